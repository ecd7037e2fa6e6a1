/**
 * Whole workflows under nektos/act: this machine is the runner, loopback is GitHub.
 *
 * What act 0.2 does not do, and how it is made up for here:
 * - It starts a workflow by the event's name alone: {@link starts} judges activity types and branches as GitHub does.
 * - Its schema refuses `environment.deployment` and `concurrency.queue`: the copy that runs is without, see
 *   {@link copyForAct}.
 * - It has no environments, so their secrets are given to every job; no `permissions` (the token may do what the stub
 *   lets it), no `concurrency`, no `fail-fast`. Where a test depends on one of these, it reads the file.
 * - All jobs of a matrix share one result: here a job's conclusion comes from its own steps.
 * - It does not wait for the last lines of a command that fails: {@link Act} makes such a command wait for it.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parse } from "yaml";
import { type Env, PYTHON, real, type Sandbox } from "./sandbox.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const ACT = join(ROOT, ".tools/bin/act");

/** Fails, and says how to get it, where act is not built. */
export function requireAct(): void {
  assert.ok(existsSync(ACT), "act is not built: run `make test`, which builds it before the tests");
}

/** An event as its webhook tells it. A repository_dispatch has its type as `action`, a schedule its cron as `schedule`. */
export interface WorkflowEvent {
  name: "pull_request" | "push" | "release" | "repository_dispatch" | "schedule" | "workflow_dispatch" | "workflow_run";
  payload: {
    action?: string;
    ref?: string;
    schedule?: string;
    workflow_run?: { name: string; head_branch: string; [key: string]: unknown };
    [key: string]: unknown;
  };
}

export interface WorkflowRun {
  /** The text of the workflow file. */
  workflow: string;
  /** OWNER/NAME of the repository that it runs in. */
  repository: string;
  event: WorkflowEvent;
  /** What `secrets` holds; GITHUB_TOKEN is also `github.token`. */
  secrets: Record<string, string>;
  /** More of the runner's environment; it may override GITHUB_API_URL and the like. */
  env?: Env;
  /** Folders with stand-ins for actions, by OWNER/NAME. */
  actions?: Record<string, string>;
  ref?: string;
  actor?: string;
}

export interface Job {
  /** As GitHub shows it; null while it runs. */
  conclusion: "success" | "failure" | null;
  /** Outcomes of its steps, by name; a step that did not run has none. */
  steps: Record<string, string>;
  errors: { title: string; message: string }[];
  /** What the step summaries say. */
  summary: string;
}

interface Entry {
  job?: string;
  matrix?: Record<string, unknown>;
  msg?: string;
  stage?: string;
  step?: string;
  stepResult?: string;
  jobResult?: string;
  command?: string;
  arg?: string;
  content?: string;
  kvPairs?: { title?: string };
}

/**
 * Whether GitHub would start this workflow for this event.
 * @param changed the paths that a push to a branch changed
 */
export function starts(
  workflow: string,
  { name, payload }: WorkflowEvent,
  changed: readonly string[] = ["main.py"],
): boolean {
  const { on } = parse(workflow) as { on: Record<string, Record<string, string[]> | null> & { schedule?: Cron[] } };
  if (!Object.hasOwn(on, name)) return false;
  if (name === "schedule") return on.schedule!.some(({ cron }) => cron === payload.schedule);
  const { types, branches, tags, workflows, "paths-ignore": ignored } = on[name] ?? {};
  if (types && !types.includes(payload.action ?? "")) return false;
  const { workflow_run: run } = payload;
  if (run) return (workflows?.includes(run.name) ?? false) && (!branches || matches(branches, run.head_branch));
  if (!branches && !tags) return true;
  const [, kind, ref = ""] = /^refs\/(heads|tags)\/(.+)$/.exec(payload.ref ?? "") ?? [];
  if (kind === "tags") return matches(tags, ref);
  return matches(branches, ref) && changed.some((path) => !matches(ignored, path));
}

interface Cron {
  cron: string;
}

/** Whether one of a filter's patterns matches, as GitHub documents them: `*` is anything but a slash, `**` anything. */
const matches = (filters: readonly string[] = [], value: string): boolean =>
  filters.some((filter) =>
    new RegExp(
      `^${filter
        .replace(/[.()|^$\\]/g, "\\$&")
        .replaceAll("**", "\0")
        .replaceAll("*", "[^/]*")
        .replaceAll("\0", ".*")}$`,
    ).test(value),
  );

/** The workflow without the two keys that act's schema does not know; neither is about what a single run does. */
export function copyForAct(workflow: string): string {
  return workflow
    .replace(/^( +environment:\n +name: .+\n) +deployment: false\n/gm, "$1")
    .replace(/^( *concurrency:\n(?: +.+\n)*?) +queue: .+\n/gm, "$1");
}

/** One run of one workflow. It can be looked at while it runs, as by the API. */
export class Act {
  /** The jobs that have been started, by the name that GitHub shows. */
  readonly jobs = new Map<string, Job>();
  /** Everything that was printed. Nothing in it is masked. */
  output = "";
  code: number | null = null;
  readonly #sandbox: Sandbox;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  /** @throws AssertionError when GitHub would not start the workflow */
  async run(options: WorkflowRun): Promise<this> {
    const { workflow, event, actions = {} } = options;
    assert.ok(starts(workflow, event), `${event.name} does not start this workflow`);
    const sandbox = this.#sandbox;
    if (!existsSync(sandbox.path("checkout"))) sandbox.repository({}, "checkout"); // act asks git about its own folder
    const secrets = sandbox.write(
      "secrets",
      Object.entries(options.secrets)
        .map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
        .join(""),
    );
    const cache = sandbox.path("cache");
    mkdirSync(cache, { recursive: true });
    const env: Env = {
      GITHUB_REPOSITORY: options.repository,
      GITHUB_REF: options.ref ?? "refs/heads/main",
      GITHUB_RUN_ID: "4711",
      ...options.env,
    };
    const uses = [...workflow.matchAll(/^ +(?:- )?uses: (([^@\s]+)@\S+)/gm)].map(([, whole, name]) => {
      const folder = actions[name!];
      assert.ok(folder, `no stand-in for ${name}`);
      return `${whole}=${folder}`;
    });
    this.#shell("bash", real("bash"));
    this.#shell("python", PYTHON);
    const { PATH, HOME, TMPDIR, LANG, GIT_CONFIG_GLOBAL, GIT_CONFIG_NOSYSTEM } = sandbox.env;
    const child = spawn(
      ACT,
      [
        event.name,
        ...["--directory", sandbox.path("checkout")],
        ...["--workflows", sandbox.write("workflow.yml", copyForAct(workflow))],
        ...["--eventpath", sandbox.write("event.json", JSON.stringify(event.payload))],
        ...["--secret-file", secrets, "--env-file", "/dev/null"],
        ...["--actor", options.actor ?? "spacejao"],
        ...["--platform", "ubuntu-24.04=-self-hosted"],
        ...["--action-cache-path", cache, "--no-cache-server", "--no-skip-checkout", "--rm"],
        ...["--json", "--insecure-secrets"], // unmasked: a secret in the output is seen
        ...Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
        ...uses.flatMap((each) => ["--local-repository", each]),
      ],
      {
        cwd: sandbox.dir,
        env: {
          PATH: `${sandbox.path("shells")}:${PATH}`,
          HOME,
          TMPDIR,
          LANG,
          GIT_CONFIG_GLOBAL,
          GIT_CONFIG_NOSYSTEM,
          XDG_CACHE_HOME: cache,
        },
        stdio: ["ignore", "pipe", "pipe"],
        timeout: 90_000,
      },
    );
    const { name } = parse(workflow) as { name: string };
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        const [drained] = /drained-[0-9-]+/.exec(line) ?? [];
        if (drained) return writeFileSync(sandbox.path("shells", drained), "");
        this.output += `${line}\n`;
        if (line.startsWith("{")) this.#take(JSON.parse(line) as Entry, name);
      });
    }
    this.code = await new Promise((done, failed) => child.on("error", failed).on("close", done));
    rmSync(secrets);
    return this;
  }

  /** Conclusion by job, of the jobs that were not skipped. */
  get conclusions(): Record<string, Job["conclusion"]> {
    return Object.fromEntries([...this.jobs].map(([name, { conclusion }]) => [name, conclusion]).sort());
  }

  job(name: string): Job {
    const job = this.jobs.get(name);
    assert.ok(job, `no job ${name} in:\n${this.output}`);
    return job;
  }

  /** The answer of GET /repos/OWNER/NAME/actions/runs/RUN_ID/attempts/N/jobs: as it stands when it is asked for. */
  get jobsAnswer(): { toJSON(): object } {
    return {
      toJSON: () => ({
        total_count: this.jobs.size,
        jobs: [...this.jobs].map(([name, { conclusion }], index) => ({
          id: index + 1,
          run_id: 4711,
          run_attempt: 1,
          name,
          status: conclusion === null ? "in_progress" : "completed",
          conclusion,
          html_url: `https://github.example/jobs/${index + 1}`,
        })),
      }),
    };
  }

  /** A step's shell that, before it fails, waits until what it printed has arrived here. */
  #shell(name: string, program: string): void {
    const path = this.#sandbox.write(
      `shells/${name}`,
      `#!/bin/sh
'${program}' "$@" && exit
code=$?
[ -t 1 ] || exit $code
mark=drained-$$-$(date +%s%N)
echo "$mark"
for _ in $(seq 500); do
  [ ! -e '${this.#sandbox.path("shells")}'/"$mark" ] || break
  sleep 0.02
done
exit $code
`,
    );
    chmodSync(path, 0o755);
  }

  #take(entry: Entry, workflow: string): void {
    if (!entry.job) return;
    // "Trigger Deploys/dispatch (cloud-function-1)-1   ": act numbers a matrix's jobs and pads names.
    const name = entry.job.trim().slice(workflow.length + 1);
    const values = Object.values(entry.matrix ?? {});
    const plain = values.length > 0 ? name.replace(/-\d+$/, "") : name;
    // GitHub appends the values to a name that has none of them.
    const key = values.length === 0 || plain.endsWith(")") ? plain : `${plain} (${values.join(", ")})`;
    const job = this.jobs.get(key) ?? { conclusion: null, steps: {}, errors: [], summary: "" };
    this.jobs.set(key, job);
    if (entry.stepResult && entry.stage === "Main") job.steps[entry.step!] = entry.stepResult;
    if (entry.command === "error") {
      job.errors.push({ title: entry.kvPairs?.title ?? "", message: entry.arg ?? "" });
    }
    if (entry.command === "summary") job.summary += entry.content;
    if (entry.jobResult) {
      const failed = values.length > 0 ? Object.values(job.steps).includes("failure") : entry.jobResult !== "success";
      job.conclusion = failed ? "failure" : "success";
    }
  }
}

/** Git over HTTP as GitHub serves it to a workflow: who has the token reads and writes, nobody else does either. */
export class GitServer {
  /** The method and path of each request that came without the token. */
  readonly refused: string[] = [];
  /** What happens, once, between a workflow's last look at a repository and its push. */
  beforePush: (() => void) | undefined;
  /** How many requests more are answered by 503. */
  away = 0;
  /** Of how many pushes more the answer is lost, though they are done. */
  losing = 0;
  readonly #server: Server;

  /** @param root folder of the bare repositories: OWNER/NAME.git */
  constructor(root: string, token: string, env: Env) {
    const password = `Basic ${Buffer.from(`x-access-token:${token}`).toString("base64")}`;
    this.#server = createServer((request, response) => {
      const { method = "", url = "", headers } = request;
      if (headers.authorization?.replace(/^basic /i, "Basic ") !== password) {
        this.refused.push(`${method} ${url}`);
        response.writeHead(401, { "WWW-Authenticate": 'Basic realm="GitHub"' }).end();
        return;
      }
      if (this.away > 0) {
        this.away -= 1;
        return void response.writeHead(503).end();
      }
      const [path = "", query = ""] = url.split("?");
      if (query === "service=git-receive-pack") {
        const before = this.beforePush;
        this.beforePush = undefined; // first, for it may set another
        before?.();
      }
      const backend = spawn("git", ["http-backend"], {
        env: {
          ...(env as NodeJS.ProcessEnv),
          GIT_PROJECT_ROOT: root,
          GIT_HTTP_EXPORT_ALL: "1",
          REMOTE_USER: "github-actions[bot]",
          REMOTE_ADDR: "127.0.0.1",
          REQUEST_METHOD: method,
          PATH_INFO: path.replace(/^(\/[^/]+\/[^/]+?)(?:\.git)?\//, "$1.git/"),
          QUERY_STRING: query,
          CONTENT_TYPE: headers["content-type"] ?? "",
          HTTP_CONTENT_ENCODING: headers["content-encoding"]?.toString() ?? "",
          GIT_PROTOCOL: headers["git-protocol"]?.toString() ?? "",
        },
        stdio: ["pipe", "pipe", "inherit"],
      });
      request.pipe(backend.stdin);
      const chunks: Buffer[] = [];
      backend.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
      backend.on("close", () => {
        if (this.losing > 0 && path.endsWith("/git-receive-pack")) {
          this.losing -= 1;
          return void request.socket.destroy();
        }
        const answer = Buffer.concat(chunks);
        const end = answer.indexOf("\r\n\r\n");
        for (const line of answer.subarray(0, end).toString().split("\r\n")) {
          const [name = "", value = ""] = line.split(": ");
          if (name === "Status") response.statusCode = Number.parseInt(value, 10);
          else response.setHeader(name, value);
        }
        response.end(answer.subarray(end + 4));
      });
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}
