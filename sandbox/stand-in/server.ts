/** The HTTP server of a stand-in: finds the operation, checks the request, can be told to fail, keeps a log. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Api, type Call, type Description, Refusal, type Reply } from "./api.ts";
import { control } from "./control.ts";

/** What a request came to. */
export interface Logged {
  /** The operation, or method and path where the description knows none. */
  operation: string;
  method: string;
  url: string;
  /** 0 where the connection was broken without an answer. */
  status: number;
  /** When it was asked: milliseconds since the stand-in's process started. */
  at: number;
  /** Why it was refused by the stand-in itself: no such operation, or against the description. */
  problem?: string;
  /** The fault that was put in its way. */
  fault?: string;
}

/** Whether a call changed something, or was to: to read a policy is a POST at Google. */
export const isWrite = ({ method, operation }: Pick<Logged, "method" | "operation">): boolean =>
  method !== "GET" && !operation.endsWith(".getIamPolicy");

/** Stands between a request and its answer; `undefined` breaks the connection. */
export type Interceptor = (call: Call, answer: () => Reply, log: Logged) => Promise<Reply | undefined>;

/**
 * Serves an {@link Api} on 127.0.0.1.
 *
 * @example
 * const server = await StandIn.start(new GitHub({ owner: "acme", repositories: ["api"] }));
 * server.intercept = async (call, answer) => (call.method === "PUT" ? undefined : answer());
 */
export class StandIn {
  readonly log: Logged[] = [];
  /** Put in the way of every request while it is set. */
  intercept: Interceptor | undefined;
  readonly api: Api;
  readonly #server: Server;

  private constructor(api: Api) {
    this.api = api;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: Error) => {
        const problem = `it is no request: ${error.message}`;
        const { method = "", url = "" } = request;
        this.log.push({ operation: `${method} ${url}`, method, url, status: 400, at: performance.now(), problem });
        response.writeHead(400).end(problem);
      });
    });
    // Faults break connections on purpose.
    this.#server.on("clientError", (_, socket) => socket.destroy());
  }

  /** @param port any free one by default */
  static async start(api: Api, port = 0): Promise<StandIn> {
    const standIn = new StandIn(api);
    await new Promise<void>((resolve, reject) => {
      standIn.#server.once("error", reject).listen(port, "127.0.0.1", resolve);
    });
    return standIn;
  }

  /** Without a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Requests that a stand-in had to refuse because it does not know them, or they break the description. */
  get problems(): string[] {
    return this.log.flatMap(({ operation, problem }) => (problem ? [`${operation}: ${problem}`] : []));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      // The client went away, as a killed engine does.
      return;
    }
    const { method = "", url = "", headers } = request;
    const { pathname, searchParams } = new URL(url, "http://127.0.0.1");
    const bytes = Buffer.concat(chunks);
    if (pathname.startsWith("/_sandbox/")) {
      const { status, value } = control(this, `${method} ${pathname}`, jsonIn(bytes));
      response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
      return void response.end(`${JSON.stringify(value, undefined, 2)}\n`);
    }
    const logged: Logged = { operation: `${method} ${pathname}`, method, url, status: 0, at: performance.now() };
    this.log.push(logged);
    const found = this.#find(method, pathname);
    const call: Call = {
      operation: logged.operation,
      params: {},
      ...found?.match,
      method,
      url,
      query: searchParams,
      headers,
      body: jsonIn(bytes),
      bytes,
    };
    logged.operation = call.operation;
    const answer = () => this.#answer(call, found?.description, logged);
    const reply = await (this.intercept ?? (async (_, answered) => answered()))(call, answer, logged);
    if (!reply) return void request.socket.destroy();
    const { body } = reply;
    logged.status = reply.status ?? (body === undefined ? 204 : 200);
    const isBytes = Buffer.isBuffer(body);
    response.writeHead(logged.status, {
      ...(body !== undefined && !isBytes && { "content-type": "application/json; charset=utf-8" }),
      ...reply.headers,
    });
    response.end(body === undefined || isBytes ? body : JSON.stringify(body));
  }

  #find(method: string, path: string) {
    for (const description of this.api.descriptions) {
      const match = description.match(method, path);
      if (match) return { description, match };
    }
    return undefined;
  }

  /** @param description the one that has the operation, if any has */
  #answer(call: Call, description: Description | undefined, logged: Logged): Reply {
    const { api } = this;
    const handler = api.handlers[call.operation];
    if (!description || !handler) {
      logged.problem = description
        ? `the stand-in of ${api.name} does not know this operation yet`
        : `${api.name} has no such path`;
      return api.refusal(description ? 501 : 404, `${logged.operation}: ${logged.problem}`);
    }
    const problems = description.problems(call);
    if (problems.length > 0) {
      logged.problem = problems.join("; ");
      return api.refusal(api.invalid, logged.problem);
    }
    try {
      return handler(call);
    } catch (error) {
      if (error instanceof Refusal) return api.refusal(error.status, error.message);
      logged.problem = `${(error as Error).stack}`;
      return api.refusal(500, logged.problem);
    }
  }
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return bytes.length > 0 ? JSON.parse(bytes.toString()) : undefined;
  } catch {
    return undefined;
  }
}
