/**
 * The real engine's preview against the offline render: the same resources, with the same inputs. Runs wherever a
 * Pulumi CLI is; `make test` leaves it out, `make test-engine` says so where there is none.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parse, stringify } from "yaml";
import { computed, type DeclaredResource, declare } from "../../cli/render/program.ts";
import { readStackFile, secretPlaceholder, stacksIn } from "../../cli/render/stack-file.ts";

const root = join(import.meta.dirname, "../..");

/** The machine's own CLI, else the pinned package's if it can download one. */
function findPulumi(): string | undefined {
  const packaged = join(root, "node_modules/.bin");
  for (const folder of process.env["PATH"]!.split(delimiter).filter((each) => each !== packaged)) {
    try {
      accessSync(join(folder, "pulumi"), constants.X_OK);
      return join(folder, "pulumi");
    } catch {}
  }
  const own = join(packaged, "pulumi");
  return spawnSync(own, ["version"], { timeout: 120_000 }).status === 0 ? own : undefined;
}

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
  let pulumi: string;
  let server: Server;
  let folder: string;

  before(async function () {
    const found = findPulumi();
    if (!found) {
      console.log("  NOT RUN: there is no pulumi on PATH, and the pinned npm package could not download it");
      this.skip();
    }
    pulumi = found!;
    folder = mkdtempSync(join(tmpdir(), "esteira-engine-"));
    server = github();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(() => {
    server?.close();
    if (folder) rmSync(folder, { recursive: true });
  });

  /** Runs the engine in a folder of its own, so that no file of the project is written. */
  const engine = (cwd: string, ...args: string[]) =>
    new Promise<string>((resolve, reject) => {
      const child = spawn(pulumi, [...args, "--non-interactive"], {
        cwd,
        env: {
          ...process.env,
          PULUMI_BACKEND_URL: `file://${cwd}`,
          PULUMI_CONFIG_PASSPHRASE: "test",
          PULUMI_SKIP_UPDATE_CHECK: "true",
          PULUMI_GCP_SKIP_REGION_VALIDATION: "true",
        },
      });
      let [out, error] = ["", ""];
      child.stdout.on("data", (chunk) => (out += chunk));
      child.stderr.on("data", (chunk) => (error += chunk));
      child.on("close", (code) =>
        code === 0 ? resolve(out) : reject(new Error(`pulumi ${args[0]} ended with ${code}\n${errorsIn(out)}${error}`)),
      );
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
    await engine(cwd, "stack", "init", stack);
    for (const { path } of stackFile.needs) {
      await engine(cwd, "config", "set", "--stack", stack, "--secret", "--path", `esteira:secrets.${path}`, canary);
    }
    const json = await engine(cwd, "preview", "--json", "--stack", stack);
    assert.ok(!json.includes(canary), "the preview shows a secret");
    const { steps } = JSON.parse(json) as { steps: Step[] };
    const own = steps.filter(({ urn }) => !urn.includes("::pulumi:providers:"));
    return { rendered: rendered.resources, engine: own };
  };

  const agree = ({ rendered, engine }: { rendered: DeclaredResource[]; engine: Step[] }) => {
    assert.deepEqual(
      engine.map(({ urn }) => urn).sort(),
      rendered.map(({ urn }) => urn),
    );
    const inputs = new Map(engine.map(({ urn, newState }) => [urn, newState?.inputs ?? {}]));
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

function errorsIn(out: string): string {
  try {
    const { diagnostics = [] } = JSON.parse(out) as { diagnostics?: { severity: string; message: string }[] };
    return diagnostics
      .filter(({ severity }) => severity === "error")
      .map(({ message }) => `${message}\n`)
      .join("");
  } catch {
    return out;
  }
}
