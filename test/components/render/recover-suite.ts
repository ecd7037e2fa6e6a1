/** What the tests of recover.py share: GitHub, Render and a registry on loopback, and runs that have failed. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { StandIn } from "../../../sandbox/stand-in/server.ts";
import { type Env, outputsOf, PYTHON, type Result, real, Sandbox } from "../../support/sandbox.ts";
import { StubServer } from "../../support/stub-server.ts";
import { RenderStub, SERVICE } from "./render-stub.ts";
import { type Job, RepositoryStub, type Run } from "./repository-stub.ts";

const PROGRAMS = new URL("../../../components/render/pipeline/", import.meta.url).pathname;
const PNPM = new URL("../../../node_modules/pnpm/bin/pnpm.cjs", import.meta.url).pathname;
const TOKEN = "ghs_canaryOfRecovery";
/** Stands in logs that tests write: it must get nowhere. */
export const CANARY = "canaryInALog";
export const HEAD = "pipeline/lock-file";

/** What pnpm 10 says of a lock file that package.json has outgrown. */
export const OUTDATED =
  ' ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with "frozen-lockfile" because pnpm-lock.yaml is not up to date with <ROOT>/package.json';

/** Lines as a job's log has them, all of one second of the minute in which the tests' jobs run. */
export const at = (second: number, ...lines: string[]): string =>
  lines.map((line) => `2026-11-22T10:00:${String(second).padStart(2, "0")}.1234567Z ${line}\n`).join("");

const time = (second: number) => `2026-11-22T10:00:${String(second).padStart(2, "0")}Z`;
const integrity = (name: string, version: string) =>
  `sha512-${createHash("sha512").update(`${name}@${version}`).digest("base64")}`;

/** A step from a second to another. */
export const step = (name: string, conclusion: string, from: number, to: number) => ({
  name,
  conclusion,
  started_at: time(from),
  completed_at: time(to),
});

let jobs = 0;

/** A job whose second step failed and printed this, and a secret. */
export function job(lines: string[], more: Partial<Job> = {}): Job {
  return {
    id: ++jobs,
    name: "build",
    conclusion: "failure",
    steps: [
      step("Set up job", "success", 0, 1),
      step("Check out", "success", 1, 5),
      step("Install", "failure", 5, 9),
      step("Complete job", "success", 9, 9),
    ],
    log:
      at(0, "Current runner version: '2.330.0'", "##[group]Runner Image", "##[endgroup]") +
      at(1, "##[group]Run actions/checkout@v5", "with:", "##[endgroup]") +
      at(
        5,
        "##[group]Run pnpm install",
        "\u001b[36;1mpnpm install\u001b[0m",
        "shell: /usr/bin/bash -e {0}",
        "##[endgroup]",
      ) +
      at(7, ...lines, `PASSWORD=${CANARY}`, `##[error]it is ${CANARY}`) +
      at(9, "##[error]Process completed with exit code 1.", "Post job cleanup.", "Cleaning up orphan processes"),
    ...more,
  };
}

/** package.json and the lock file that pnpm 10 makes of it: the range, and the version that is locked. */
export function packages(all: Record<string, [range: string, version: string]>): { manifest: string; lock: string } {
  const each = (text: (name: string, range: string, version: string) => string) =>
    Object.entries(all)
      .map(([name, [range, version]]) => text(name, range, version))
      .join("");
  const dependencies = Object.fromEntries(Object.entries(all).map(([name, [range]]) => [name, range]));
  return {
    manifest: `${JSON.stringify({ name: "mining", version: "1.0.0", dependencies }, undefined, 2)}\n`,
    lock: `lockfileVersion: '9.0'

settings:
  autoInstallPeers: true
  excludeLinksFromLockfile: false

importers:

  .:
    dependencies:
${each((name, range, version) => `      ${name}:\n        specifier: ${range}\n        version: ${version}\n`)}
packages:

${each((name, _, version) => `  ${name}@${version}:\n    resolution: {integrity: ${integrity(name, version)}}\n\n`)}snapshots:

${each((name, _, version) => `  ${name}@${version}: {}\n\n`)}`.replace(/\n\n$/, "\n"),
  };
}

export interface Suite {
  box: Sandbox;
  github: RepositoryStub;
  server: StandIn;
  render: RenderStub;
  registry: StubServer;
  /** The checkout in which programs run. */
  cwd: string;
  /** The real pnpm, before which this bash text runs. */
  usePnpm(before?: string): void;
  start(program: string, env?: Env): Promise<Result>;
  diagnose(env?: Env): Promise<{ action: string; output: string }>;
  repair(env?: Env): Promise<Result>;
  /** Both, as the workflow does it. */
  recover(run: Run, env?: Env): Promise<{ action: string; code: number | null; output: string }>;
}

/**
 * Sets all of it up by the hooks of the suite that calls it. After each test it holds: the hook was not called, nothing was asked
 * that GitHub or Render would not understand, and no key is in an output, a file, an argument list, an issue or pnpm's environment.
 */
export function recoverSuite(): Suite {
  const suite = {} as Suite;
  let output = "";
  before(async () => {
    suite.render = await RenderStub.start();
    suite.registry = await StubServer.start();
  });
  after(async () => {
    await suite.render.close();
    await suite.registry.close();
  });
  beforeEach(async () => {
    output = "";
    suite.render.reset();
    suite.registry.reset();
    suite.github = new RepositoryStub(TOKEN);
    suite.server = await suite.github.serve();
    const box = new Sandbox();
    suite.box = box;
    suite.cwd = box.dir;
    suite.usePnpm();
    box.stub("git", `exec '${real("git")}' "$@"`);
    for (const [name, versions] of Object.entries({ left: ["1.0.0", "1.5.0"], right: ["2.0.0", "2.3.0"] }))
      suite.registry.on(`GET /${name}`, {
        headers: { "content-type": "application/json" },
        body: {
          name,
          "dist-tags": { latest: versions.at(-1) },
          versions: Object.fromEntries(
            versions.map((version) => {
              const tarball = `${suite.registry.url}/${name}/-/${name}-${version}.tgz`;
              const dist = { tarball, integrity: integrity(name, version) };
              return [version, { name, version, dist, scripts: { install: "exit 1" } }];
            }),
          ),
        },
      });
  });
  afterEach(async () => {
    const { box, github, render, server } = suite;
    await server.close();
    const told = output + JSON.stringify(github.snapshot());
    const pair = Buffer.from(`x-access-token:${TOKEN}`).toString("base64");
    const calls = ["git", "pnpm"].flatMap((name) => box.calls(name));
    for (const secret of [TOKEN, pair, render.hookKey, render.apiKey, CANARY]) {
      assert.ok(!told.includes(secret), `${secret} in ${told}`);
      assert.deepEqual(box.filesWith(secret), [], secret);
      assert.ok(!calls.some(({ argv }) => argv.join(" ").includes(secret)), secret);
    }
    for (const { env } of box.calls("pnpm"))
      assert.deepEqual(
        env.filter((name) => /TOKEN|RENDER|KEY/.test(name)),
        [],
      );
    box.dispose();
    assert.deepEqual(render.calls, [], "a call of the hook deploys");
    assert.deepEqual(render.problems, []);
    assert.deepEqual(server.problems, []);
    assert.ok(!output.includes("Traceback"), output);
  });

  suite.usePnpm = (before = "") => suite.box.stub("pnpm", `${before}\nexec '${process.execPath}' '${PNPM}' "$@"`);
  suite.start = async (program, env = {}) => {
    const { box, render, server, registry } = suite;
    box.write("output", "");
    const result = await box.run(PYTHON, [`${PROGRAMS}${program}`], {
      cwd: suite.cwd,
      env: {
        PYTHONDONTWRITEBYTECODE: "1",
        GITHUB_API_URL: server.url,
        GITHUB_SERVER_URL: "https://github.example",
        GITHUB_REPOSITORY: "sua-org/mining",
        GITHUB_TOKEN: TOKEN,
        BRANCH: "main",
        RENDER_API_URL: render.url,
        SERVICE_ID: SERVICE,
        SERVICE_NAME: "mining",
        DASHBOARD_URL: `https://dashboard.render.com/web/${SERVICE}`,
        RENDER_DEPLOY_HOOK: render.hook,
        RENDER_API_KEY: render.apiKey,
        RUNNER_TEMP: box.path("tmp"),
        WORKFLOWS: '["deploy.yaml", "ci.yaml", "monitor.yaml"]',
        LOCK_HEAD: HEAD,
        RETRY_BASE_SECONDS: "0",
        npm_config_registry: registry.url,
        npm_config_fetch_retries: "0",
        ...env,
      },
    });
    output += result.output;
    assert.equal(result.stderr, "");
    return result;
  };
  suite.diagnose = async (env) => {
    const result = await suite.start("recover.py", { COMMAND: "diagnose", ...env });
    assert.equal(result.code, 0, result.output);
    const { action = "", ...others } = outputsOf(suite.box.read("output"));
    assert.deepEqual(others, {});
    return { action, output: result.output };
  };
  suite.repair = (env) => suite.start("recover.py", { COMMAND: "repair", ...env });
  suite.recover = async (run, env) => {
    const { action, output: first } = await suite.diagnose({ RUN_ID: `${run.id}`, ...env });
    if (action === "nothing") return { action, code: 0, output: first };
    const { code, output: second } = await suite.repair(env);
    return { action, code, output: first + second };
  };
  return suite;
}
