/**
 * Render on loopback, with a state: one service, its deploys, its build log and its deploy hook. Refuses as Render does a wrong key
 * (401) and what it does not know (404); what Render would not understand at all is kept in `problems`.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Recorded } from "../../support/stub-server.ts";

export interface Deploy {
  id: string;
  commit: { id: string; message: string; createdAt: string };
  status: string;
  trigger: string;
  createdAt: string;
  startedAt?: string;
  updatedAt: string;
  finishedAt?: string;
}

/** An answer in place of the true one. */
export interface Instead {
  status?: number;
  headers?: Record<string, string>;
  /** Text and bytes as they are, anything else as JSON. */
  body?: unknown;
  /** `drop` breaks off before the answer, `cut` in its middle; `silent` never answers. */
  fails?: "drop" | "cut" | "silent";
  /** Of a hook's call: the deploy begins all the same. */
  begins?: boolean;
  /** How many requests are answered so: 1 by default. */
  times?: number;
}

export const SERVICE = "srv-d1a2b3c4d5e6f7g8h9j0";
export const OWNER = "tea-c1a2b3c4d5e6f7g8h9j0";
/** @returns a commit's hash, made of one hexadecimal digit */
export const commitOf = (digit: string) => digit.repeat(40);

const OVER = ["live", "deactivated", "build_failed", "update_failed", "pre_deploy_failed", "canceled"];

export class RenderStub {
  readonly requests: Recorded[] = [];
  /** What Render would not understand: is to be empty at the end of a test. */
  problems: string[] = [];
  /** The newest first, as the API lists them. */
  deploys: Deploy[] = [];
  /** Of builds: the oldest first. */
  logs: { message: string; timestamp: string }[] = [];
  service: Record<string, unknown> = {};
  hookKey = "hookCanary-_9";
  apiKey = "rnd_apiCanary9";
  /** What a deploy that the hook begins goes through: one status further each time it is asked for. */
  course: string[] = [];
  /** Another deploy is going on: the hook queues, and answers 202. */
  busy = false;
  /** For how many times the list does not show yet what the hook has begun. */
  late = 0;
  readonly #server: Server;
  readonly #courses = new Map<string, string[]>();
  #instead: { route: string; answer: Instead; left: number }[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const { method = "", url: path = "", headers } = request;
        const asked = { method, path, headers, body: Buffer.concat(chunks).toString() };
        this.requests.push(asked);
        const { status = 200, headers: more, body = "", fails } = this.#answer(asked);
        if (fails === "silent") return;
        if (fails === "drop") return void request.socket.destroy();
        const content = typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body);
        if (fails === "cut") {
          response.writeHead(status, { "content-length": content.length + 10, ...more });
          return void response.write(content, () => request.socket.destroy());
        }
        response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...more });
        response.end(content);
      });
    });
    this.reset();
  }

  static async start(): Promise<RenderStub> {
    const stub = new RenderStub();
    await new Promise<void>((resolve) => stub.#server.listen(0, "127.0.0.1", resolve));
    return stub;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** What RENDER_API_URL is to be. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The service's deploy hook, with its key. */
  get hook(): string {
    return `${this.url}/deploy/${SERVICE}?key=${this.hookKey}`;
  }

  /** How often the hook was called, well or not. */
  get calls(): Recorded[] {
    return this.requests.filter(({ path }) => path.startsWith("/deploy/"));
  }

  /** Forgets everything: a service that has no deploy yet, and whose next one is live at its fourth question. */
  reset(): void {
    this.requests.length = 0;
    this.problems = [];
    this.deploys = [];
    this.logs = [];
    this.course = ["created", "build_in_progress", "update_in_progress", "live"];
    this.busy = false;
    this.late = 0;
    this.#courses.clear();
    this.#instead = [];
    this.service = {
      id: SERVICE,
      name: "mining",
      ownerId: OWNER,
      type: "web_service",
      suspended: "not_suspended",
      autoDeploy: "no",
      branch: "main",
      dashboardUrl: `https://dashboard.render.com/web/${SERVICE}`,
    };
  }

  /** Answers the next requests that begin like this ("POST /deploy/", "GET /v1/logs") otherwise; in order. */
  instead(route: string, ...answers: Instead[]): this {
    this.#instead.push(...answers.map((answer) => ({ route, answer, left: answer.times ?? 1 })));
    return this;
  }

  /** A deploy, newer than all; of now, and live unless said otherwise. */
  add(deploy: Partial<Deploy> = {}): Deploy {
    const now = new Date().toISOString();
    const commit = { id: commitOf("a"), message: "feat: a change", createdAt: now };
    const status = deploy.status ?? "live";
    const whole: Deploy = {
      id: `dep-d1a2b3c4d5e6f7g8h9${String(this.deploys.length).padStart(2, "0")}`,
      commit,
      status,
      trigger: "api",
      createdAt: now,
      updatedAt: now,
      ...(OVER.includes(status) && { finishedAt: now }),
      ...deploy,
    };
    this.deploys.unshift(whole);
    return whole;
  }

  #answer(asked: Recorded): Instead {
    const instead = this.#instead.find(
      ({ route, left }) => left > 0 && `${asked.method} ${asked.path}`.startsWith(route),
    );
    if (instead) {
      instead.left -= 1;
      if (instead.answer.begins) this.#hook(asked);
      return instead.answer;
    }
    if (asked.path.startsWith("/deploy/")) return this.#hook(asked);
    if (asked.path.startsWith("/v1/")) return this.#api(asked);
    return asked.path === "/" ? { status: 404, body: "Not Found" } : this.#unknown(asked);
  }

  #unknown({ method, path }: Recorded): Instead {
    this.problems.push(`${method} ${path}: Render has nothing there`);
    return { status: 404, body: { id: "", message: "not found" } };
  }

  #hook({ method, path, body }: Recorded): Instead {
    const { pathname, searchParams } = new URL(path, this.url);
    if (method !== "POST") this.problems.push(`${method}: a hook is called by POST`);
    if (body) this.problems.push("a hook's call has no body");
    if (pathname !== `/deploy/${SERVICE}`) return { status: 404, body: "Not Found" };
    if (searchParams.get("key") !== this.hookKey) return { status: 401, body: "Unauthorized" };
    const [status = "live", ...rest] = this.busy ? ["queued", ...this.course] : this.course;
    const commit = {
      id: searchParams.get("ref") ?? commitOf("f"),
      message: "feat",
      createdAt: new Date().toISOString(),
    };
    const { id } = this.add({ status, commit, trigger: "deploy_hook" });
    this.#courses.set(id, rest);
    return { status: this.busy ? 202 : 201, body: { deploy: { id } } };
  }

  #api(asked: Recorded): Instead {
    const { pathname, searchParams } = new URL(asked.path, this.url);
    if (asked.headers.authorization !== `Bearer ${this.apiKey}`)
      return { status: 401, body: { message: "Unauthorized" } };
    if (asked.method !== "GET") return this.#unknown(asked);
    if (pathname === "/v1/logs") return this.#logs(searchParams);
    const [, id, deploys, deploy] = /^\/v1\/services\/([^/]+)(\/deploys)?(?:\/([^/]+))?$/.exec(pathname) ?? [];
    if (id === undefined) return this.#unknown(asked);
    if (id !== SERVICE) return { status: 404, body: { id: "", message: "not found: service" } };
    if (!deploys) return { body: this.service };
    if (deploy === undefined) {
      const hidden = this.late > 0 ? this.#courses.size : 0;
      if (hidden) this.late -= 1;
      const shown = this.deploys.slice(hidden, hidden + Number(searchParams.get("limit") ?? 20));
      return { body: shown.map((each) => ({ deploy: each, cursor: each.id })) };
    }
    const found = this.deploys.find((each) => each.id === deploy);
    if (!found) return { status: 404, body: { id: "", message: `not found: ${deploy}` } };
    const answer = structuredClone(found);
    const next = this.#courses.get(deploy)?.shift();
    const updatedAt = new Date().toISOString();
    if (next) Object.assign(found, { status: next, updatedAt, ...(OVER.includes(next) && { finishedAt: updatedAt }) });
    return { body: answer };
  }

  /** https://api-docs.render.com/reference/list-logs */
  #logs(query: URLSearchParams): Instead {
    const limit = Number(query.get("limit") ?? 20);
    const [start, end] = [query.get("startTime") ?? "", query.get("endTime") ?? new Date().toISOString()];
    const wrong = [
      query.get("ownerId") !== OWNER && "ownerId",
      query.get("resource") !== SERVICE && "resource",
      query.get("type") !== "build" && "type",
      !["forward", "backward", null].includes(query.get("direction")) && "direction",
      !(limit >= 1 && limit <= 100) && "limit",
      !(Date.parse(start) <= Date.parse(end)) && "startTime, endTime",
    ].filter(Boolean);
    if (wrong.length > 0) {
      this.problems.push(`GET /v1/logs: ${wrong}`);
      return { status: 400, body: { message: `invalid ${wrong}` } };
    }
    const backward = query.get("direction") !== "forward";
    const within = this.logs.filter(({ timestamp }) => timestamp >= start && timestamp <= end);
    if (backward) within.reverse();
    const labels = [{ name: "resource", value: SERVICE }];
    const logs = within.slice(0, limit).map((each) => ({ id: "log", labels, ...each }));
    return { body: { hasMore: within.length > limit, nextStartTime: start, nextEndTime: end, logs } };
  }
}
