/** An HTTP server on 127.0.0.1 that records what it is asked and answers as scripted. */
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  /** Text as it is, anything else as JSON. */
  body?: unknown;
  /** Break the connection without an answer. */
  drop?: boolean;
  /** Wait before answering. */
  delayMs?: number;
}

export interface Recorded {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export class StubServer {
  readonly requests: Recorded[] = [];
  readonly #server: Server;
  readonly #routes = new Map<string, Answer[]>();

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const { method = "", url: path = "", headers } = request;
        this.requests.push({ method, path, headers, body: Buffer.concat(chunks).toString() });
        const answer = this.#next(`${method} ${path}`);
        if (answer.drop) return void request.socket.destroy();
        setTimeout(() => {
          const { body = "" } = answer;
          response.writeHead(answer.status ?? 200, answer.headers ?? {});
          response.end(typeof body === "string" ? body : JSON.stringify(body));
        }, answer.delayMs ?? 0).unref();
      });
    });
  }

  static async start(): Promise<StubServer> {
    const stub = new StubServer();
    await new Promise<void>((resolve) => stub.#server.listen(0, "127.0.0.1", resolve));
    return stub;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Answers for one route ("POST /repos/a/b/dispatches"), in order; the last one is given ever after. */
  on(route: string, ...answers: Answer[]): this {
    this.#routes.set(route, [...answers]);
    return this;
  }

  /** Forgets the routes and what was recorded. */
  reset(): void {
    this.#routes.clear();
    this.requests.length = 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #next(route: string): Answer {
    const answers = this.#routes.get(route);
    if (!answers) return { status: 418, body: { message: `not scripted: ${route}` } };
    return (answers.length > 1 ? answers.shift() : answers[0]) ?? {};
  }
}
