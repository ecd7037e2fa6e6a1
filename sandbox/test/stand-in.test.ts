/** The server that every stand-in has: what it knows, how it fails, and a look inside. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { type Api, Refusal } from "../stand-in/api.ts";
import { type Fault, failNext, faults } from "../stand-in/faults.ts";
import { StandIn } from "../stand-in/server.ts";

/** A service with one number. */
class Counter implements Api {
  readonly name = "Counter";
  readonly invalid = 422;
  count = 0;
  readonly descriptions = [
    {
      match: (method: string, path: string) =>
        path === "/count" ? { operation: `count/${method.toLowerCase()}`, params: {} } : undefined,
      problems: ({ body }: { body: unknown }) => (body === "wrong" ? ["body must be a number"] : []),
    },
  ];
  readonly handlers = {
    "count/get": () => ({ body: { count: this.count } }),
    "count/post": () => {
      if (this.count === 9) throw new Refusal(409, "it is full");
      this.count += 1;
      return { status: 201, body: { count: this.count } };
    },
    "count/put": () => {
      throw new Error("a mistake of the stand-in");
    },
  };
  refusal = (status: number, message: string) => ({ status, body: { message } });
  snapshot = () => ({ count: this.count });
  drifts = () => [];
}

describe("a stand-in", () => {
  let api: Counter;
  let standIn: StandIn;
  beforeEach(async () => {
    api = new Counter();
    standIn = await StandIn.start(api);
  });
  afterEach(() => standIn.close());

  const ask = async (method: string, path = "/count", body?: unknown) => {
    const response = await fetch(standIn.url + path, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as { message: string } };
  };

  it("tells apart what it does not know, what there is not, what is wrong, and its own mistakes", async () => {
    assert.equal((await ask("POST")).status, 201);
    api.count = 9;
    assert.deepEqual((await ask("POST")).body, { message: "it is full" });
    assert.deepEqual(standIn.problems, []);
    assert.equal((await ask("DELETE")).status, 501);
    assert.equal((await ask("GET", "/other")).status, 404);
    assert.equal((await ask("GET", "/count?x=1")).status, 200);
    assert.equal((await ask("POST", "/count", "wrong")).status, 422);
    assert.equal((await ask("PUT")).status, 500);
    const [first, second, third, fourth] = standIn.problems;
    assert.equal(first, "count/delete: the stand-in of Counter does not know this operation yet");
    assert.equal(second, "GET /other: Counter has no such path");
    assert.equal(third, "count/post: body must be a number");
    assert.match(fourth!, /^count\/put: Error: a mistake of the stand-in/);
  });

  const outcomes: Record<Fault, { status?: number; count: number }> = {
    conflict: { status: 409, count: 0 },
    "rate-limit": { status: 429, count: 0 },
    error: { status: 500, count: 0 },
    drop: { count: 0 },
    "lost-answer": { count: 1 },
    slow: { status: 201, count: 1 },
  };
  for (const [fault, { status, count }] of Object.entries(outcomes) as [Fault, { status?: number; count: number }][]) {
    it(`can be told to fail once: ${faults[fault]}`, async () => {
      const hit = failNext(standIn, fault, "*/post");
      assert.equal((await ask("GET")).status, 200);
      if (status === undefined) await assert.rejects(ask("POST"), /fetch failed/);
      else assert.equal((await ask("POST")).status, status);
      assert.equal(api.count, count);
      assert.deepEqual(hit, ["count/post"]);
      assert.deepEqual(
        standIn.log.map(({ operation, status, fault }) => ({ operation, status, fault })),
        [
          { operation: "count/get", status: 200, fault: undefined },
          { operation: "count/post", status: status ?? 0, fault },
        ],
      );
      assert.equal((await ask("POST")).status, 201);
    });
  }

  it("outlives a request that is none", async () => {
    const { port } = new URL(standIn.url);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request({ port, path: "//" }, (response) => resolve(response.resume().statusCode))
        .on("error", reject)
        .end();
    });
    assert.equal(status, 400);
    assert.match(standIn.problems[0]!, /^GET \/\/: it is no request/);
    assert.equal((await ask("GET")).status, 200);
  });

  it("says when to come back, once the rate is exceeded", async () => {
    failNext(standIn, "rate-limit");
    assert.equal((await ask("GET")).headers.get("retry-after"), "1");
  });

  it("shows its state and its calls, and takes faults, over HTTP", async () => {
    assert.equal(
      (await ask("POST", "/_sandbox/faults", { fault: "error", operation: "count/*", times: 2 })).status,
      200,
    );
    for (const status of [500, 500, 201]) assert.equal((await ask("POST")).status, status);
    assert.equal((await ask("POST", "/_sandbox/faults", { fault: "conflict" })).status, 200);
    assert.equal((await ask("DELETE", "/_sandbox/faults")).status, 200);
    assert.equal((await ask("POST")).status, 201);
    assert.deepEqual((await ask("GET", "/_sandbox/state")).body, { count: 2 });
    const calls = (await ask("GET", "/_sandbox/calls")).body as unknown as { fault?: string }[];
    assert.deepEqual(
      calls.map(({ fault }) => fault),
      ["error", "error", undefined, undefined],
    );
    const { status, body } = await ask("POST", "/_sandbox/faults", { fault: "fire" });
    assert.equal(status, 422);
    assert.match(body.message, /one of these/);
    assert.equal((await ask("GET", "/_sandbox/else")).status, 404);
  });
});
