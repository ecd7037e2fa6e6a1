import assert from "node:assert/strict";
import { PYTHON } from "../../support/sandbox.ts";
import { scriptSuite } from "../../support/script-suite.ts";

const SCRIPT = new URL("../../../components/kubernetes/github_token.py", import.meta.url).pathname;
const REQUEST_TOKEN = "canaryOfTheRequest";

describe("github_token.py", () => {
  const suite = scriptSuite();
  const part = (content: unknown) => Buffer.from(JSON.stringify(content)).toString("base64url");
  // Of a length that base64 would pad.
  const token = `${part({ alg: "RS256" })}.${part({ exp: 1_800_000_000, sub: "repo:a/b" })}.signature`;
  const route = "GET /token?api-version=2.0&audience=https%3A%2F%2Fk8s.example.com%2Fa%26b";

  const run = () =>
    suite.box.run(PYTHON, [SCRIPT], {
      env: {
        AUDIENCE: "https://k8s.example.com/a&b",
        ACTIONS_ID_TOKEN_REQUEST_URL: `${suite.github.url}/token?api-version=2.0`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: REQUEST_TOKEN,
        RETRY_SECONDS: "0.01",
      },
    });

  it("prints a credential that ends half a minute before the token", async () => {
    suite.github.on(route, { body: { value: token } });
    const { code, stdout, stderr } = await run();
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(JSON.parse(stdout), {
      apiVersion: "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      status: { token, expirationTimestamp: "2027-01-15T07:59:30Z" },
    });
    assert.equal(suite.github.requests[0]!.headers.authorization, `Bearer ${REQUEST_TOKEN}`);
  });

  it("tries again where GitHub has a fault or is tired, four times in all", async () => {
    suite.github.on(route, { status: 500 }, { status: 429 }, { drop: true }, { body: { value: token } });
    assert.equal((await run()).code, 0);
    suite.github.reset();
    suite.github.on(route, { status: 503 });
    const { code, stdout, stderr } = await run();
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /GitHub gave no token for the audience https:\/\/k8s\.example\.com\/a&b: status 503\n$/);
    assert.equal(suite.github.requests.length, 4);
  });

  it("does not try again where it is refused, takes its token nowhere else and shows it to nobody", async () => {
    suite.github.on(route, { status: 403 });
    assert.equal((await run()).code, 1);
    assert.equal(suite.github.requests.length, 1);
    suite.github.reset();
    suite.github.on(route, { status: 302, headers: { location: "/elsewhere" } }).on("GET /elsewhere", { body: "{}" });
    const { output } = await run();
    assert.ok(suite.github.requests.some(({ path }) => path === "/elsewhere"));
    assert.ok(suite.github.requests.every(({ path, headers }) => path !== "/elsewhere" || !headers.authorization));
    assert.ok(!output.includes(REQUEST_TOKEN));
  });

  it("says which permission a job lacks", async () => {
    const { code, stderr } = await suite.box.run(PYTHON, [SCRIPT], { env: { AUDIENCE: "shop" } });
    assert.deepEqual(
      [code, stderr],
      [1, "This job has no token of GitHub's: it needs `permissions: id-token: write`\n"],
    );
  });
});
