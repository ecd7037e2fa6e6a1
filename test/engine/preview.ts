/**
 * The real engine's preview against the offline render: the same resources, with the same inputs. Runs wherever a
 * Pulumi CLI is; `make test` leaves it out, `make test-engine` says so where there is none.
 */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { computed, type DeclaredResource, declare } from "../../cli/render/program.ts";
import { readStackFile, secretPlaceholder, stacksIn } from "../../cli/render/stack-file.ts";
import { engine, requireEngine, root } from "./engine.ts";

/** GitHub's answers to what a preview asks: who the owner is, and which ids repositories have. */
function github(): Server {
  return createServer((request, response) => {
    const [, kind, owner = "", repository = ""] =
      /^\/api\/v3\/(orgs|users|repos)\/([^/?]+)(?:\/([^/?]+))?$/.exec(request.url ?? "") ?? [];
    const account = {
      id: 4242,
      node_id: "O_4242",
      login: owner,
      type: kind === "users" ? "User" : "Organization",
      name: owner,
    };
    const answers: Record<string, object> = {
      orgs: account,
      users: account,
      repos: {
        id: 7,
        node_id: "R_7",
        name: repository,
        full_name: `${owner}/${repository}`,
        default_branch: "main",
        owner: account,
      },
    };
    response.writeHead(kind ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(kind ? answers[kind] : { message: `Not Found: ${request.url}` }));
  });
}

const canary = "canary-secret";

interface Step {
  urn: string;
  newState?: { inputs?: Record<string, unknown> };
}

describe("pulumi preview", function () {
  this.timeout(300_000);
  let server: Server;
  let folder: string;

  before(async function () {
    requireEngine.call(this);
    folder = mkdtempSync(join(tmpdir(), "esteira-engine-"));
    server = github();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(() => {
    server?.close();
    if (folder) rmSync(folder, { recursive: true });
  });

  /** The stack's own file, with the endpoints of the stand-ins and a secret beside what it says. */
  const previewOf = async (stack: string, changes: object = {}) => {
    const cwd = mkdtempSync(join(folder, `${stack}-`));
    const project = parse(readFileSync(join(root, "Pulumi.yaml"), "utf8")) as object;
    writeFileSync(join(cwd, "Pulumi.yaml"), stringify({ ...project, main: join(root, "index.ts") }));
    const file = join(cwd, `Pulumi.${stack}.yaml`);
    cpSync(join(root, `Pulumi.${stack}.yaml`), file);
    const { config } = parse(readFileSync(file, "utf8")) as { config: Record<string, unknown> };
    const { port } = server.address() as AddressInfo;
    const equidade = config["esteira:equidade"];
    const ownConfig = {
      ...config,
      ...(equidade ? { "esteira:equidade": { ...(equidade as object), ...changes } } : {}),
    };
    writeFileSync(
      file,
      stringify({
        config: {
          ...ownConfig,
          "github:baseUrl": `http://127.0.0.1:${port}/`,
          "github:token": "x",
          "gcp:accessToken": "x",
        },
      }),
    );
    const stackFile = readStackFile(cwd, stack);
    const rendered = await declare(root, stack, stackFile);
    await engine(cwd, ["stack", "init", stack]);
    for (const { path } of stackFile.needs) {
      await engine(cwd, ["config", "set", "--stack", stack, "--secret", "--path", `esteira:secrets.${path}`, canary]);
    }
    const json = await engine(cwd, ["preview", "--json", "--stack", stack]);
    assert.ok(!json.includes(canary), "the preview shows a secret");
    const { steps } = JSON.parse(json) as { steps: Step[] };
    const own = steps.filter(({ urn }) => !urn.includes("::pulumi:providers:"));
    return { rendered: rendered.resources, previewed: own };
  };

  const agree = ({ rendered, previewed }: { rendered: DeclaredResource[]; previewed: Step[] }) => {
    assert.deepEqual(
      previewed.map(({ urn }) => urn).sort(),
      rendered.map(({ urn }) => urn),
    );
    const inputs = new Map(previewed.map(({ urn, newState }) => [urn, newState?.inputs ?? {}]));
    for (const { urn, inputs: mine } of rendered) assert.deepEqual(restrict(inputs.get(urn)!, mine), mine, urn);
  };

  for (const stack of stacksIn(root)) {
    it(`of ${stack} lists what the render lists, with the same inputs`, async () => agree(await previewOf(stack)));
  }
  const variants: Record<string, object> = {
    "a key instead of federation": { auth: "key", projectNumber: undefined },
    "an app, pull requests and reviewers": {
      triggerApp: "Iv23liabcdefgh",
      via: "pull-request",
      reviewers: { users: [1] },
    },
    "a function in the object form": {
      functions: [
        {
          name: "f",
          memory: "1Gi",
          concurrency: 8,
          invokers: ["allUsers"],
          secrets: { A: "s" },
          environment: { B: "b" },
          roles: [{ role: "roles/bigquery.dataViewer", dataset: "d" }],
        },
      ],
    },
  };
  for (const [name, changes] of Object.entries(variants)) {
    it(`agrees with the render on prod with ${name}`, async () => agree(await previewOf("prod", changes)));
  }
});

/** What the engine says, cut to what the program gave: the provider adds defaults, and knows what was looked up. */
function restrict(theirs: unknown, mine: unknown): unknown {
  if (mine === computed) return computed;
  // The engine's JSON shows every secret so.
  if (mine === secretPlaceholder) return theirs === "[secret]" ? secretPlaceholder : theirs;
  if (Array.isArray(mine) && Array.isArray(theirs)) return theirs.map((each, index) => restrict(each, mine[index]));
  if (typeof mine === "object" && mine !== null && typeof theirs === "object" && theirs !== null) {
    if ("__pulumiArchive" in mine) return mine;
    return Object.fromEntries(
      Object.entries(mine).map(([key, each]) => [key, restrict((theirs as Record<string, unknown>)[key], each)]),
    );
  }
  return theirs;
}
