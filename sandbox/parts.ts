/** What the packages of declared resources talk to, and how a stack is told to talk to the sandbox's. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { type Docker, type Image, startDocker } from "./docker/index.ts";
import { GitHub } from "./github/index.ts";
import { endpoints, Google, type Project } from "./google/index.ts";
import { type Kubernetes, startKubernetes } from "./kubernetes/index.ts";
import type { Api, Drift } from "./stand-in/api.ts";
import { type Logged, StandIn } from "./stand-in/server.ts";

/** What a stack expects to find: whoever creates repositories and projects is not this program. */
export interface World {
  owner: { login: string; id: number; type: "Organization" | "User" };
  /** Names of the owner's repositories. */
  repositories: string[];
  projects: Project[];
  /** Images that its containers run, made to stand in for the real ones. */
  images: Image[];
  /** Contexts of the kubeconfig by which it knows its clusters: the one cluster is each of them. */
  contexts: string[];
}

/** One thing that a stack talks to. */
export interface Part {
  name: string;
  /** Where it answers. */
  address: string;
  /** Provider settings: full config key to value. */
  config: Record<string, string>;
  /** Environment variables of the engine. */
  env: Record<string, string>;
  /** Values that must be seen nowhere, by what they are. */
  secrets: Record<string, string>;
  /** Absent where the real thing runs. */
  standIn?: StandIn;
  /** All that it holds for the stack, as plain data. */
  held(): Promise<unknown>;
  /** Changes that can be made behind the engine's back. */
  drifts(): Promise<Drift[]>;
  /** Tells it of what a changed config expects to find. */
  expect?(world: World): void;
  close(): Promise<void>;
}

/**
 * Starts the part for a package of resources (the text before the first colon of their types).
 * @param folder for what the part writes @throws Missing where it cannot start here
 */
export const starters: Record<string, (world: World, token: string, folder: string) => Promise<Part>> = {
  async github(world, token) {
    const api = new GitHub({ ...world, token });
    return standsIn(api, (url) => ({
      // A stand-in needs no pause between writes.
      config: { "github:baseUrl": `${url}/`, "github:writeDelayMs": "0" },
      env: { GITHUB_TOKEN: token },
      secrets: { GITHUB_TOKEN: token },
      expect: ({ repositories }) => api.expect(repositories),
    }));
  },
  async gcp(world, token) {
    const api = new Google({ ...world, token });
    return standsIn(api, (url) => ({
      config: { ...endpoints(url), "gcp:disableGlobalProjectWarning": "true" },
      // The list of regions comes from a service that has no custom endpoint.
      env: { GOOGLE_OAUTH_ACCESS_TOKEN: token, PULUMI_GCP_SKIP_REGION_VALIDATION: "true" },
      secrets: { GOOGLE_OAUTH_ACCESS_TOKEN: token },
      expect: ({ projects }) => api.expect(projects),
    }));
  },
  async kubernetes({ contexts }, __, folder) {
    const cluster = await startKubernetes(join(folder, "kubernetes"));
    const kubeconfig = withContexts(cluster.kubeconfig, contexts, join(folder, "kubeconfig"));
    return {
      ...runs(cluster, kubeconfig, "kubernetes:kubeconfig", "KUBECONFIG"),
      held: async () => ({ objects: await cluster.objects(), secrets: await cluster.secrets() }),
    };
  },
  async docker({ images }, __, folder) {
    const engine = await startDocker(join(folder, "docker"));
    // Another engine pulls the real ones.
    if (engine.own) await engine.images(images);
    return runs(engine, engine.host, "docker:host", "DOCKER_HOST");
  },
};

/** Writes a kubeconfig in which more contexts are what the current one is. @returns the path of the file */
function withContexts(kubeconfig: string, contexts: readonly string[], file: string): string {
  const config = parse(readFileSync(kubeconfig, "utf8")) as Kubeconfig;
  const { context } = config.contexts.find(({ name }) => name === config["current-context"])!;
  const more = contexts.filter((each) => !config.contexts.some(({ name }) => name === each));
  config.contexts.push(...more.map((name) => ({ name, context })));
  writeFileSync(file, stringify(config), { mode: 0o600 });
  return file;
}

interface Kubeconfig {
  "current-context": string;
  contexts: { name: string; context: unknown }[];
}

/** All that the stand-ins among some parts were asked. */
export const callsTo = (parts: readonly Part[]): Logged[] => parts.flatMap(({ standIn }) => standIn?.log ?? []);

/** The real thing. A provider of the program's own does not get the stack's config, but the environment. */
const runs = (
  { name, objects, drifts, close }: Pick<Kubernetes | Docker, "name" | "objects" | "drifts" | "close">,
  address: string,
  key: string,
  variable: string,
): Part => ({
  name,
  address,
  config: { [key]: address },
  env: { [variable]: address },
  secrets: {},
  held: objects,
  drifts,
  close,
});

async function standsIn(
  api: Api,
  settings: (url: string) => Pick<Part, "config" | "env" | "secrets" | "expect">,
): Promise<Part> {
  const standIn = await StandIn.start(api);
  return {
    name: api.name,
    address: `${standIn.url}/_sandbox/state, .../calls, .../faults`,
    ...settings(standIn.url),
    standIn,
    held: async () => api.snapshot(),
    drifts: async () => api.drifts(),
    close: () => standIn.close(),
  };
}
