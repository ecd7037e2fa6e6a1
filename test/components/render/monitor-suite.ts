/** What the tests of the monitor share: a repository that is pushed to as GitHub's, with its API, and Render's, each on loopback. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StandIn } from "../../../sandbox/stand-in/server.ts";
import { GitServer } from "../../support/act.ts";
import { type Env, PYTHON, type Result, real, Sandbox } from "../../support/sandbox.ts";
import { RenderStub, SERVICE } from "./render-stub.ts";
import { RepositoryStub } from "./repository-stub.ts";

const SCRIPT = new URL("../../../components/render/pipeline/monitor.py", import.meta.url).pathname;
const TOKEN = "ghs_canaryOfMonitor";

export const STATUS = "docs/PIPELINE.md";
export const HEAD = "pipeline/status";
export const NOW = "2026-11-22 10:00 UTC";
/** A time to which NOW has gone on. */
export const LATER = "2026-11-22 10:30 UTC";
export const DASHBOARD = `https://dashboard.render.com/web/${SERVICE}`;

/** Each test's own, but Render, which forgets. */
export interface MonitorSuite {
  box: Sandbox;
  render: RenderStub;
  repository: RepositoryStub;
  /** The API's server. */
  api: StandIn;
  git: GitServer;
  /** The bare repository, the monitor's checkout of it, and somebody else's. */
  remote: string;
  checkout: string;
  other: string;
  /** Runs the monitor in its checkout. Of what it knows nothing secret is found anywhere after it. */
  monitor(env?: Env): Promise<Result>;
  /** Runs it, which has to go well: what it printed. */
  passes(env?: Env): Promise<string>;
  /** Runs it, which has to fail by one annotation of this title: its words. */
  fails(title: string, env?: Env): Promise<string>;
  /** The status file on a branch, by default main's. */
  status(branch?: string): string;
  /** How often something was pushed by the monitor. */
  pushes(): number;
  /** Somebody else pushes a file to main. */
  push(path: string, text: string): void;
  /** What GitHub does with what is pushed: a hook of the bare repository. */
  hook(name: "pre-receive" | "update", text: string): void;
}

export function monitorSuite(): MonitorSuite {
  const suite = {} as MonitorSuite;

  before(async () => {
    suite.render = await RenderStub.start();
  });
  after(() => suite.render.close());

  beforeEach(async () => {
    suite.render.reset();
    suite.repository = new RepositoryStub(TOKEN);
    suite.api = await suite.repository.serve();
    suite.box = new Sandbox();
    const { box } = suite;
    suite.git = await new GitServer(box.dir, TOKEN, { ...box.env, PATH: "/usr/bin:/bin" }).start();
    const files = { "README.md": "# Mining\n", "package.json": "{}\n" };
    const { remote, clone } = box.repository(files, "sua-org/mining");
    suite.remote = remote;
    suite.other = clone;
    suite.checkout = box.path("checkout");
    // As actions/checkout makes it: one commit deep, and with no token in it.
    box.git(box.dir, "clone", "--quiet", "--depth=1", `file://${remote}`, suite.checkout);
    box.git(suite.checkout, "remote", "set-url", "origin", `${suite.git.url}/sua-org/mining`);
    box.stub("git", `exec ${real("git")} "$@"`);
  });
  afterEach(async () => {
    // First: what is left open keeps a run that fails from ending.
    await suite.api.close();
    await suite.git.close();
    suite.box.dispose();
    assert.deepEqual([...suite.api.problems, ...suite.render.problems, ...suite.git.refused], []);
  });

  suite.monitor = async (env = {}) => {
    const { box, render, api, git } = suite;
    for (const file of ["output", "summary"]) box.write(file, "");
    const result = await box.run(PYTHON, [SCRIPT], {
      cwd: suite.checkout,
      env: {
        PYTHONDONTWRITEBYTECODE: "1",
        GITHUB_API_URL: api.url,
        GITHUB_SERVER_URL: git.url,
        GITHUB_REPOSITORY: "sua-org/mining",
        GITHUB_TOKEN: TOKEN,
        BRANCH: "main",
        RENDER_API_URL: render.url,
        RENDER_API_KEY: render.apiKey,
        SERVICE_ID: SERVICE,
        SERVICE_NAME: "mining",
        DASHBOARD_URL: DASHBOARD,
        STATUS_FILE: STATUS,
        STATUS_HEAD: HEAD,
        WORKFLOWS: JSON.stringify(["deploy.yaml", "test.yaml"]),
        INTERVAL: "every 30 minutes",
        NOW,
        RETRY_BASE_SECONDS: "0.001",
        RETRY_MOST_SECONDS: "0.01",
        ...env,
      },
    });
    for (const secret of [TOKEN, Buffer.from(`x-access-token:${TOKEN}`).toString("base64"), render.apiKey]) {
      assert.ok(!result.output.includes(secret), result.output);
      // Among these files are the argument lists of git.
      assert.deepEqual(box.filesWith(secret), []);
    }
    assert.doesNotMatch(result.output, /Traceback/);
    return result;
  };
  suite.passes = async (env) => {
    const { code, output } = await suite.monitor(env);
    assert.equal(code, 0, output);
    return output;
  };
  suite.fails = async (title, env) => {
    const { code, stdout, output } = await suite.monitor(env);
    assert.equal(code, 1, output);
    const errors = stdout.split("\n").filter((line) => line.startsWith("::error"));
    assert.equal(errors.length, 1, output);
    assert.ok(errors[0]!.startsWith(`::error title=${title}::`), output);
    return errors[0]!;
  };
  suite.status = (branch = "main") => `${suite.box.git(suite.remote, "show", `${branch}:${STATUS}`)}\n`;
  suite.pushes = () =>
    suite.box.calls("git").filter(({ cwd, argv }) => cwd === suite.checkout && argv[0] === "push").length;
  suite.push = (path, text) => {
    const { box, other } = suite;
    box.git(other, "pull", "--quiet", "--rebase");
    mkdirSync(join(other, path, ".."), { recursive: true });
    writeFileSync(join(other, path), text);
    box.git(other, "add", path);
    box.git(other, "commit", "--quiet", "--message", `Change ${path}`);
    box.git(other, "push", "--quiet");
  };
  suite.hook = (name, text) => {
    mkdirSync(join(suite.remote, "hooks"), { recursive: true });
    const path = join(suite.remote, "hooks", name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
  };
  return suite;
}
