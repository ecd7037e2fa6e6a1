/**
 * What a pipeline asks GitHub's API of its own repository, with a state behind it: requests are held against GitHub's published
 * description, so that one which GitHub would refuse is refused here.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import {
  type Api,
  type Call,
  type Description,
  type Handler,
  Refusal,
  type Reply,
} from "../../../sandbox/stand-in/api.ts";
import { OpenApi } from "../../../sandbox/stand-in/openapi.ts";
import { StandIn } from "../../../sandbox/stand-in/server.ts";

export interface Issue {
  number: number;
  title: string;
  body: string;
  state: "open" | "closed";
  labels: string[];
  comments: string[];
}

export interface Pull {
  number: number;
  title: string;
  head: string;
  base: string;
  body: string;
  state: "open" | "closed";
  html_url: string;
}

export interface Job {
  id: number;
  name: string;
  conclusion: string;
  steps: { name: string; conclusion: string; started_at?: string; completed_at?: string }[];
  log: string;
}

export interface Run {
  id: number;
  /** The workflow's file. */
  file: string;
  run_number: number;
  run_attempt: number;
  event: string;
  status: string;
  conclusion: string | null;
  head_branch: string;
  head_sha: string;
  head_repository: string;
  message: string;
  jobs: Job[];
}

export class RepositoryStub implements Api {
  readonly name = "GitHub";
  readonly invalid = 422;
  readonly descriptions: Description[] = [description(), store];
  readonly issues: Issue[] = [];
  readonly pulls: Pull[] = [];
  readonly runs: Run[] = [];
  /** Messages of the branch's commits of the last day. */
  readonly commits: string[] = [];
  /** Workflow and ref of each that was started. */
  readonly dispatched: string[] = [];
  /** Ids of runs whose failed jobs were run again. */
  readonly rerun: number[] = [];
  /** Refuses an operation, as it would without the permission for it. */
  readonly forbidden = new Set<string>();
  readonly handlers: Record<string, Handler>;
  /** The base of the store that logs stand in; the stub's own by default. */
  store = "";
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
    this.handlers = Object.fromEntries(
      Object.entries(this.#operations()).map(([name, handler]) => [
        name,
        (call: Call) => {
          try {
            if (call.headers.authorization !== `Bearer ${this.#token}`) throw new Refusal(401, "Bad credentials");
            if (this.forbidden.has(name)) throw new Refusal(403, "Resource not accessible by integration");
            return handler(call);
          } catch (error) {
            if (!(error instanceof Refusal)) throw error;
            return this.refusal(error.status, error.message);
          }
        },
      ]),
    );
    this.handlers["store/log"] = ({ params }) => {
      const job = this.runs.flatMap(({ jobs }) => jobs).find(({ id }) => id === Number(params["id"]));
      return job ? { body: Buffer.from(job.log) } : { status: 404 };
    };
  }

  /** @returns the server; `url` is what GITHUB_API_URL is to be */
  async serve(): Promise<StandIn> {
    const server = await StandIn.start(this);
    this.store = server.url;
    return server;
  }

  /** A run of the branch main's own, failed unless said otherwise. */
  run(run: Partial<Run> & { file: string }): Run {
    const id = 9000 + this.runs.length;
    const whole: Run = {
      id,
      run_number: 100 + this.runs.length,
      run_attempt: 1,
      event: "push",
      status: "completed",
      conclusion: "failure",
      head_branch: "main",
      head_sha: "a".repeat(40),
      head_repository: "sua-org/mining",
      message: "feat: a change",
      jobs: [],
      ...run,
    };
    this.runs.push(whole);
    return whole;
  }

  refusal(status: number, message: string): Reply {
    return { status, body: { message, documentation_url: "https://docs.github.com/rest", status: String(status) } };
  }

  snapshot(): Record<string, unknown> {
    return { issues: this.issues, pulls: this.pulls, dispatched: this.dispatched, rerun: this.rerun };
  }

  drifts(): [] {
    return [];
  }

  #operations(): Record<string, Handler> {
    const page = (call: Call, all: unknown[]) => {
      const size = Number(call.query.get("per_page") ?? 30);
      const first = (Number(call.query.get("page") ?? 1) - 1) * size;
      return all.slice(first, first + size);
    };
    const found = <T>(item: T | undefined): T => {
      if (item === undefined) throw new Refusal(404, "Not Found");
      return item;
    };
    const issue = (call: Call) =>
      found(this.issues.find(({ number }) => number === Number(call.params["issue_number"])));
    const run = (call: Call) => found(this.runs.find(({ id }) => id === Number(call.params["run_id"])));
    const shown = ({ jobs: _, file, message, head_repository, ...rest }: Run) => ({
      ...rest,
      path: `.github/workflows/${file}`,
      name: file,
      html_url: `https://github.example/sua-org/mining/actions/runs/${rest.id}`,
      head_repository: { full_name: head_repository },
      head_commit: { id: rest.head_sha, message },
    });
    return {
      "issues/list-for-repo": (call) => ({
        body: page(
          call,
          this.issues
            .filter(({ state }) => state === (call.query.get("state") ?? "open"))
            .filter(({ labels }) => !call.query.has("labels") || labels.includes(call.query.get("labels")!))
            .map(({ comments, ...rest }) => ({ ...rest, comments: comments.length })),
        ),
      }),
      "issues/create": (call) => {
        const { title, body = "", labels = [] } = call.body as { title: string; body?: string; labels?: string[] };
        const made: Issue = { number: this.issues.length + 1, title, body, labels, state: "open", comments: [] };
        this.issues.push(made);
        return { status: 201, body: made };
      },
      "issues/update": (call) => ({ body: Object.assign(issue(call), call.body) }),
      "issues/create-comment": (call) => {
        issue(call).comments.push((call.body as { body: string }).body);
        return { status: 201, body: {} };
      },
      "issues/list-comments": (call) => ({
        body: page(
          call,
          issue(call).comments.map((body) => ({ body })),
        ),
      }),
      "pulls/list": (call) => ({
        body: this.pulls.filter(
          ({ state, head, base }) =>
            state === call.query.get("state") &&
            `sua-org:${head}` === call.query.get("head") &&
            base === call.query.get("base"),
        ),
      }),
      "pulls/create": (call) => {
        const { title, head, base, body = "" } = call.body as Pull;
        const number = this.pulls.length + 1;
        const html_url = `https://github.example/sua-org/mining/pull/${number}`;
        this.pulls.push({ number, title, head, base, body, state: "open", html_url });
        return { status: 201, body: this.pulls.at(-1) };
      },
      "actions/list-workflow-runs": (call) => ({
        body: {
          total_count: this.runs.length,
          workflow_runs: page(
            call,
            this.runs
              .filter(({ file }) => file === call.params["workflow_id"])
              .filter(({ head_branch }) => head_branch === (call.query.get("branch") ?? head_branch))
              .sort((one, other) => other.run_number - one.run_number)
              .map(shown),
          ),
        },
      }),
      "actions/get-workflow-run": (call) => ({ body: shown(run(call)) }),
      "actions/list-jobs-for-workflow-run-attempt": (call) => {
        const { jobs } = run(call);
        return {
          body: {
            total_count: jobs.length,
            jobs: page(
              call,
              jobs.map(({ log: _, ...job }) => job),
            ),
          },
        };
      },
      // GitHub sends on to a store, by an address that is a key and wants no token.
      "actions/download-job-logs-for-workflow-run": (call) => ({
        status: 302,
        headers: { location: `${this.store}/_logs/${call.params["job_id"]}?sig=secret` },
      }),
      "actions/create-workflow-dispatch": (call) => {
        this.dispatched.push(`${call.params["workflow_id"]} ${(call.body as { ref: string }).ref}`);
        return { status: 204 };
      },
      "actions/re-run-workflow-failed-jobs": (call) => {
        this.rerun.push(run(call).id);
        return { status: 201, body: {} };
      },
      "repos/list-commits": (call) => ({
        body: page(
          call,
          this.commits.map((message) => ({ sha: "c".repeat(40), commit: { message } })),
        ),
      }),
    };
  }
}

const operations = [
  "issues/list-for-repo",
  "issues/create",
  "issues/update",
  "issues/create-comment",
  "issues/list-comments",
  "pulls/list",
  "pulls/create",
  "actions/list-workflow-runs",
  "actions/get-workflow-run",
  "actions/list-jobs-for-workflow-run-attempt",
  "actions/download-job-logs-for-workflow-run",
  "actions/create-workflow-dispatch",
  "actions/re-run-workflow-failed-jobs",
  "repos/list-commits",
];

/** Where logs stand: another service, which is not to be given the token. */
const store: Description = {
  match: (_, path) =>
    path.startsWith("/_logs/") ? { operation: "store/log", params: { id: path.slice(7) } } : undefined,
  problems: ({ headers }) => (headers.authorization ? ["the token went along"] : []),
};

let described: OpenApi | undefined;

/** GitHub's own, read once. */
function description(): OpenApi {
  if (!described) {
    const require = createRequire(new URL("../../../sandbox/github/index.ts", import.meta.url));
    const file = require.resolve("@octokit/openapi/generated/api.github.com.json");
    // By OpenAPI 3.0.3 `nullable` says nothing where there is no type; Ajv takes it for a mistake.
    const typed = (_: string, value: { nullable?: boolean; type?: string } | null) => {
      if (value?.nullable && !value.type) delete value.nullable;
      return value;
    };
    const document = JSON.parse(readFileSync(file, "utf8"), typed) as ConstructorParameters<typeof OpenApi>[0];
    described = new OpenApi(document, { operations });
  }
  return described;
}
