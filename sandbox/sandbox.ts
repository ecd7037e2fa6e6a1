/** A stack on a throw-away state, with stand-ins for what it talks to. The program knows nothing of it. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runtime } from "@pulumi/pulumi";
import { parse, stringify } from "yaml";
import { Engine, root } from "../cli/engine.ts";
import { type Declaration, declare } from "../cli/render/program.ts";
import { readStackFile } from "../cli/render/stack-file.ts";
import { secretPlaceholder } from "../config.ts";
import { Missing } from "./daemon.ts";
import { standIns } from "./docker/stand-in-images.ts";
import { type Part, starters, type World } from "./parts.ts";

/** A stack's config: full key to value, as its file has it. */
export type Config = Record<string, unknown>;

/** What Pulumi.<stack>.yaml of the checkout says. */
export const configOf = (stack: string): Config => fileOf(root, stack).config ?? {};

/** One stack in its sandbox. */
export interface Sandbox {
  stack: string;
  /** Holds the project, the stack's file and the state. */
  folder: string;
  engine: Engine;
  parts: Part[];
  /** What cannot start here, each with the reason: the stack cannot be brought up. */
  missing: string[];
  /** Values that must be seen nowhere in clear text, by what they are. */
  canaries: Map<string, string>;
  /** What the render says of the stack as it is configured now. */
  declaration: Declaration;
  /** Gives the stack another config; secrets stay. @returns what it then expects to find */
  configure(config: Config): Promise<World>;
  /** Ends what runs and deletes the folder. */
  close(): Promise<void>;
}

/**
 * Starts what a stack's resources talk to and lays the stack beside it.
 * @param pulumi the CLI
 * @param config @default what the stack's file says
 * @example
 * const sandbox = await startSandbox(pulumi, "dev");
 * await sandbox.engine.run(["up", "--yes", "--skip-preview"]);
 * await sandbox.close();
 */
export async function startSandbox(pulumi: string, stack: string, config = configOf(stack)): Promise<Sandbox> {
  const folder = mkdtempSync(join(tmpdir(), `esteira-${stack}-`));
  const project = parse(readFileSync(join(root, "Pulumi.yaml"), "utf8")) as object;
  writeFileSync(join(folder, "Pulumi.yaml"), stringify({ ...project, main: join(root, "index.ts") }));

  const parts: Part[] = [];
  const missing: string[] = [];
  const write = (wanted: Config) => {
    const { config: old = {}, ...rest } = fileOf(folder, stack);
    const secrets = old["esteira:secrets"] ? { "esteira:secrets": old["esteira:secrets"] } : {};
    const settings = Object.assign({}, ...parts.map((part) => part.config)) as Config;
    const text = stringify({ ...rest, config: { ...harmless(wanted), ...settings, ...secrets } });
    writeFileSync(join(folder, `Pulumi.${stack}.yaml`), text);
  };
  const configure = async (wanted: Config) => {
    write(wanted);
    sandbox.declaration = await declare(root, stack, readStackFile(folder, stack));
    const world = worldOf(wanted, sandbox.declaration);
    for (const part of parts) part.expect?.(world);
    return world;
  };
  const sandbox = { stack, folder, parts, missing, configure, canaries: new Map<string, string>() } as Sandbox;
  sandbox.close = async () => {
    await Promise.all(parts.map((part) => part.close()));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const world = await configure(config);
    for (const name of packagesOf(sandbox.declaration)) {
      try {
        const start = starters[name];
        if (!start) throw new Missing(`nothing stands in for what the package ${name} talks to`);
        parts.push(await start(world, canary(), folder));
      } catch (error) {
        if (!(error instanceof Missing)) throw error;
        missing.push(error.message);
      }
    }
    // Now with the parts' settings, which change nothing of what is declared.
    write(config);
    for (const part of parts) {
      for (const [name, value] of Object.entries(part.secrets)) sandbox.canaries.set(name, value);
    }
    sandbox.engine = engineIn(folder, pulumi, stack, parts);
    await sandbox.engine.run(["stack", "init", stack, "--no-select"]);
    for (const { type, inputs } of sandbox.declaration.resources) {
      if (type === "pulumi:pulumi:StackReference") await referTo(sandbox, String(inputs["name"]));
    }
    for (const { path, optional, example = "KEY" } of readStackFile(folder, stack).needs) {
      if (optional) continue;
      const value = example.replace("KEY", canary());
      sandbox.canaries.set(path, value);
      await sandbox.engine.run(
        ["config", "set", "--stack", stack, "--secret", "--path", `esteira:secrets.${path}`],
        {},
        value,
      );
    }
    return sandbox;
  } catch (error) {
    await sandbox.close();
    throw error;
  }
}

/** Makes a stack with another one's outputs, as that one's render has them; its secrets are made up. */
async function referTo({ engine, canaries }: Sandbox, fullName: string): Promise<void> {
  const stack = fullName.slice(fullName.lastIndexOf("/") + 1);
  const made = await declare(root, stack, readStackFile(root, stack));
  const outputs = JSON.parse(JSON.stringify(made.outputs), (key, value: unknown) => {
    if (value !== secretPlaceholder) return value;
    const plaintext = canary();
    canaries.set(`${key} of ${stack}`, plaintext);
    return { [runtime.specialSigKey]: runtime.specialSecretSig, plaintext: JSON.stringify(plaintext) };
  }) as object;
  await engine.run(["stack", "init", stack, "--no-select"]);
  const state = JSON.parse(await engine.run(["stack", "export", "--stack", stack])) as { deployment: object };
  const type = "pulumi:pulumi:Stack";
  const urn = `urn:pulumi:${stack}::esteira::${type}::esteira-${stack}`;
  Object.assign(state.deployment, { resources: [{ urn, type, custom: false, outputs }] });
  await engine.run(["stack", "import", "--stack", stack], {}, JSON.stringify(state));
}

/**
 * The CLI on a state in a folder, with these parts and nothing else to talk to.
 * @param stack the one that its commands are for
 */
export const engineIn = (folder: string, pulumi: string, stack: string, parts: Part[]): Engine =>
  new Engine(
    pulumi,
    folder,
    {
      PULUMI_BACKEND_URL: `file://${folder}`,
      PULUMI_CONFIG_PASSPHRASE: "sandbox",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      // Not selected, which the CLI would remember beyond the sandbox.
      PULUMI_STACK: stack,
      // What escapes the sandbox finds nobody; the CLI may still download its providers.
      HTTPS_PROXY: `http://${nowhere}`,
      NO_PROXY: "127.0.0.1,localhost,get.pulumi.com",
      GCE_METADATA_HOST: nowhere,
      ...(Object.assign({}, ...parts.map((part) => part.env)) as Record<string, string>),
    },
    inherited(),
  );

/** A config without the settings of providers and without secrets, which are for the real services. */
const harmless = (config: Config): Config =>
  Object.fromEntries(
    Object.entries(config)
      .filter(([key]) => key in asked || !/^(github|gcp|kubernetes|docker):|^esteira:secrets$/.test(key))
      .map(([key, value]) => asked[key]?.(value) ?? [key, value]),
  );

/** Settings of providers that the program asks for itself, until a part gives its own. */
const asked: Record<string, (value: unknown) => [key: string, value: unknown]> = {
  "github:owner": (owner) => ["github:owner", owner],
  "docker:host": () => ["docker:host", "unix:///nobody/docker.sock"],
  "kubernetes:context": () => ["kubernetes:kubeconfig", "/nobody/kubeconfig"],
  "kubernetes:kubeconfig": () => ["kubernetes:kubeconfig", "/nobody/kubeconfig"],
};

/** What the engine gets of the shell's environment: no account, project, cluster or backend of anybody's. */
const inherited = () =>
  Object.fromEntries(
    ["PATH", "HOME", "TMPDIR", "LANG", "PULUMI_HOME", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"].flatMap((name) =>
      process.env[name] === undefined ? [] : [[name, process.env[name]]],
    ),
  );

/** An address where nobody listens. */
const nowhere = "127.0.0.1:9";

/** A value found nowhere by chance. */
const canary = () => `canary-${randomBytes(12).toString("hex")}`;

/** The packages that resources talk to something by: all but the engine's own, the program's and what only computes. */
const packagesOf = ({ resources }: Declaration): string[] =>
  [...new Set(resources.map(({ type }) => type.split(":")[0]!))].filter(
    (name) => !["pulumi", "esteira", "random"].includes(name),
  );

/** What the stack expects to find: all that its resources name and none of them makes. */
function worldOf(config: Config, { resources }: Declaration): World {
  const named = (key: string, type = "") => [
    ...new Set(
      resources
        .filter((resource) => resource.type.startsWith(type))
        .map(({ inputs }) => inputs[key])
        .filter((value) => typeof value === "string"),
    ),
  ];
  const objectsIn = (value: Config) =>
    Object.values(value).filter((each): each is Config => typeof each === "object" && each !== null);
  // Of a system, or of a part of it.
  const settings = objectsIn(config).flatMap((system) => [system, ...objectsIn(system)]);
  const numberOf = (id: string) => settings.find(({ project }) => project === id)?.["projectNumber"] ?? 111111111111;
  const made = new Set(named("accountId", "gcp:serviceaccount/account:"));
  const accountsOf = (id: string) => {
    const emails = JSON.stringify(resources.map(({ inputs }) => inputs)).matchAll(
      new RegExp(`([a-z0-9-]+)@${id}\\.iam\\.gserviceaccount\\.com`, "g"),
    );
    return [...new Set([...emails].map(([, account]) => account!))].filter((account) => !made.has(account));
  };
  const ownBuckets = named("name", "gcp:storage/bucket:");
  const buckets = named("bucket", "gcp:storage/bucketIAMMember:").filter((name) => !ownBuckets.includes(name));
  return {
    owner: {
      login: String(config["github:owner"] ?? ""),
      id: Number(config["esteira:ownerId"] ?? 4242),
      type: config["esteira:ownerType"] === "user" ? "User" : "Organization",
    },
    repositories: named("repository"),
    projects: named("project").map((id, index) => ({
      id,
      number: String(numberOf(id)),
      accounts: accountsOf(id),
      // A bucket's name does not tell whose it is.
      buckets: index === 0 ? buckets : [],
    })),
    images: standIns(resources),
    contexts: named("context", "pulumi:providers:kubernetes"),
  };
}

function fileOf(folder: string, stack: string): { config?: Config } {
  try {
    return (parse(readFileSync(join(folder, `Pulumi.${stack}.yaml`), "utf8")) as object | null) ?? {};
  } catch {
    return {};
  }
}
