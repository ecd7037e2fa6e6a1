import assert from "node:assert/strict";
import { type Env, real } from "../../../support/sandbox.ts";
import { scriptSuite } from "../../../support/script-suite.ts";
import type { Answer } from "../../../support/stub-server.ts";

const SCRIPT = new URL("../../../../systems/equidade/package-repository/dispatch.sh", import.meta.url).pathname;
const CANARY = "ghp_canaryOfDispatch";
const ROUTE = "POST /repos/sua-org/cloud-function-1/dispatches";
const SENT: Answer = { status: 204 };

describe("dispatch.sh", () => {
  const suite = scriptSuite();

  const run = (more: Env = {}) =>
    suite.box.bash(SCRIPT, {
      GITHUB_API_URL: suite.github.url,
      GITHUB_ORG: "sua-org",
      REPO: "cloud-function-1",
      EVENT_TYPE: "package-updated",
      PACKAGE: "equidade-data-package",
      VERSION: "v0.2.3",
      TRIGGERED_BY: "spacejao",
      SOURCE_REPO: "org/equidade-data-package",
      TOKEN: CANARY,
      RETRY_BASE_SECONDS: "0",
      ...more,
    });
  const error = (message: RegExp, stdout: string) => {
    const lines = stdout.split("\n").filter((line) => line.startsWith("::"));
    assert.equal(lines.length, 1, stdout);
    assert.match(lines[0] ?? "", message);
  };

  it("sends exactly the event and the five keys of the payload", async () => {
    suite.github.on(ROUTE, SENT);
    const result = await run();
    assert.equal(result.code, 0, result.output);
    assert.equal(suite.github.requests.length, 1);
    const [request] = suite.github.requests;
    assert.deepEqual(JSON.parse(request?.body ?? ""), {
      event_type: "package-updated",
      client_payload: {
        package: "equidade-data-package",
        version: "v0.2.3",
        triggered_by: "spacejao",
        source_repo: "org/equidade-data-package",
        repo_name: "cloud-function-1",
      },
    });
    assert.equal(request?.headers.authorization, `Bearer ${CANARY}`);
    assert.equal(request?.headers.accept, "application/vnd.github+json");
    assert.equal(request?.headers["x-github-api-version"], "2022-11-28");
  });

  it("says so in one line and one line of the summary", async () => {
    suite.github.on(ROUTE, SENT);
    const result = await run();
    assert.equal(result.output, "sua-org/cloud-function-1: notified of equidade-data-package v0.2.3 at attempt 1\n");
    assert.equal(
      suite.box.read("summary"),
      "- `sua-org/cloud-function-1`: notified of `equidade-data-package` `v0.2.3`\n",
    );
  });

  it("keeps text from outside as data of the JSON", async () => {
    suite.github.on(ROUTE, SENT);
    const actor = '"}, $(touch owned) \\ \n::error::x';
    assert.equal((await run({ TRIGGERED_BY: actor })).code, 0);
    assert.equal(JSON.parse(suite.github.requests[0]?.body ?? "").client_payload.triggered_by, actor);
  });

  describe("tries again", () => {
    const again: [string, Answer][] = [
      ...[500, 502, 503, 504, 429].map((status): [string, Answer] => [`after ${status}`, { status }]),
      ["after a broken connection", { drop: true }],
      ["after a secondary rate limit with Retry-After", { status: 403, headers: { "retry-after": "0" } }],
      [
        "after a secondary rate limit told in the message",
        { status: 403, body: { message: "You have exceeded a secondary rate limit." } },
      ],
      [
        "after the rate limit",
        {
          status: 403,
          body: { message: "API rate limit exceeded for user ID 1." },
          headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1" },
        },
      ],
    ];
    for (const [when, answer] of again) {
      it(when, async () => {
        suite.github.on(ROUTE, answer, answer, SENT);
        const result = await run();
        assert.equal(result.code, 0, result.output);
        assert.equal(suite.github.requests.length, 3);
        assert.equal(new Set(suite.github.requests.map(({ body }) => body)).size, 1, "the same event each time");
        assert.match(result.stdout, /notified of equidade-data-package v0\.2\.3 at attempt 3\n$/);
      });
    }

    it("when the answer takes too long", async () => {
      suite.box.stub("curl", `exec ${real("curl")} "$@" --max-time 0.3`); // the last --max-time counts
      suite.github.on(ROUTE, { ...SENT, delayMs: 2000 }, SENT);
      const result = await run();
      assert.equal(result.code, 0, result.output);
      assert.equal(suite.github.requests.length, 2);
      const argv = suite.box.calls("curl")[0]?.argv ?? [];
      for (const [flag, value] of [
        ["--connect-timeout", "10"],
        ["--max-time", "30"],
      ] as const)
        assert.equal(argv[argv.indexOf(flag) + 1], value);
    });

    it("five times at most, then says the repository, the status and the attempts", async () => {
      suite.github.on(ROUTE, { status: 503, body: "not JSON" });
      const result = await run();
      assert.equal(result.code, 1);
      assert.equal(suite.github.requests.length, 5);
      error(
        /^::error title=Dispatch failed::sua-org\/cloud-function-1 was not notified: status 503 after 5 attempt/,
        result.stdout,
      );
      assert.equal(suite.box.read("summary"), "");
    });

    it("five times when nobody listens", async () => {
      const result = await run({ GITHUB_API_URL: "http://127.0.0.1:9" });
      assert.equal(result.code, 1);
      error(/sua-org\/cloud-function-1 was not notified: status 000 after 5 attempt/, result.stdout);
    });
  });

  describe("waits", () => {
    const waits = async (answer: Answer, base: string) => {
      suite.box.stub("sleep");
      suite.github.on(ROUTE, answer);
      assert.equal((await run({ RETRY_BASE_SECONDS: base })).code, 1);
      return suite.box.calls("sleep").map(({ argv }) => Number(argv[0]));
    };
    const within = (found: number[], expected: number[], base: number) => {
      assert.equal(found.length, expected.length);
      found.forEach((wait, at) => {
        const least = expected[at] ?? NaN;
        assert.ok(
          wait >= least && wait <= Math.min(least + base, 120),
          `${found} is not ${expected}, each with up to ${base} s more`,
        );
      });
    };

    it("twice as long each time", async () => within(await waits({ status: 500 }, "2"), [2, 4, 8, 16], 2));
    it("as long as Retry-After says", async () =>
      assert.deepEqual(await waits({ status: 503, headers: { "retry-after": "7" } }, "0"), [7, 7, 7, 7]));
    it("never longer than 120 s", async () =>
      assert.deepEqual(await waits({ status: 429, headers: { "retry-after": "86400" } }, "2"), [120, 120, 120, 120]));
    it("a minute and more after a rate limit that tells no time", async () =>
      within(await waits({ status: 429 }, "2"), [60, 120, 120, 120], 2));
    it("no time at all for a Retry-After that is no number", async () =>
      assert.deepEqual(await waits({ status: 429, headers: { "retry-after": "$(id)|x" } }, "0"), [0, 0, 0, 0]));
    it("until x-ratelimit-reset when nothing remains", async () => {
      const reset = Math.floor(Date.now() / 1000) + 50;
      const found = await waits(
        { status: 429, headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": `${reset}` } },
        "0",
      );
      assert.equal(found.length, 4);
      for (const wait of found) assert.ok(wait > 30 && wait <= 50, `${found}`);
    });
  });

  describe("does not try again, and says what to mend", () => {
    const final: [string, Answer, RegExp][] = [
      [
        "401",
        { status: 401, body: { message: "Bad credentials" } },
        /status 401 after 1 attempt.*DEPLOY_TRIGGER_TOKEN.*expired.*scopes: repo, workflow.*Bad credentials/,
      ],
      [
        "403 without a rate limit",
        { status: 403, body: { message: "Resource not accessible by personal access token" } },
        /status 403.*no permission.*scopes: repo, workflow/,
      ],
      [
        "403 with requests left",
        { status: 403, headers: { "x-ratelimit-remaining": "4000" } },
        /status 403 after 1 attempt/,
      ],
      [
        "404",
        { status: 404, body: { message: "Not Found" } },
        /status 404.*does not exist or the token cannot see it.*GITHUB_ORG.*stack file/,
      ],
      ["422", { status: 422, body: { message: "Validation failed" } }, /status 422.*Validation failed/],
      ["307", { status: 307, headers: { location: "/repositories/1/dispatches" } }, /status 307.*renamed or moved/],
      ["200", { status: 200 }, /status 200.*not expected/],
    ];
    for (const [status, answer, message] of final) {
      it(status, async () => {
        suite.github.on(ROUTE, answer);
        const result = await run();
        assert.equal(result.code, 1);
        assert.equal(suite.github.requests.length, 1);
        error(message, result.stdout);
        error(/^::error title=Dispatch failed::sua-org\/cloud-function-1 was not notified/, result.stdout);
        assert.equal(suite.box.read("summary"), "");
      });
    }

    it("what GitHub says cannot start a workflow command", async () => {
      suite.github.on(ROUTE, { status: 422, body: { message: "x\n::error::y%0A::warning::z" } });
      const { stdout } = await run();
      error(/GitHub said: x ::error::y%250A::warning::z$/, stdout);
    });
  });

  describe("sends nothing", () => {
    it("without a token, and says which secret is missing and where it belongs", async () => {
      for (const TOKEN of ["", " \n", undefined]) {
        const result = await run({ TOKEN });
        assert.equal(result.code, 1);
        error(
          /^::error title=DEPLOY_TRIGGER_TOKEN is not configured::.*Settings → Secrets and variables → Actions/,
          result.stdout,
        );
      }
      assert.deepEqual(suite.github.requests, []);
    });

    it("without an app's token, and names the app's secret and what belongs in it", async () => {
      const { stdout } = await run({
        TOKEN: "",
        TOKEN_SECRET: "DEPLOY_TRIGGER_APP_KEY",
        TOKEN_WANTED: "the private key of the App",
      });
      error(
        /^::error title=DEPLOY_TRIGGER_APP_KEY is not configured::.*secret DEPLOY_TRIGGER_APP_KEY .*Save in it the private key of the App$/,
        stdout,
      );
    });

    it("with a token that would say more to curl than a token", async () => {
      assert.equal((await run({ TOKEN: `${CANARY}"\nurl = "http://evil` })).code, 1);
      assert.deepEqual(suite.github.requests, []);
    });

    for (const [name, value] of [
      ["REPO", "a/../../b"],
      ["REPO", "x\n::error::y"],
      ["GITHUB_ORG", ""],
      ["VERSION", "0.2.3; id"],
      ["EVENT_TYPE", "$(id)"],
    ] as const) {
      it(`with ${name}=${JSON.stringify(value)}`, async () => {
        const result = await run({ [name]: value });
        assert.equal(result.code, 1);
        error(new RegExp(`^::error title=Not dispatched::${name} is empty or has characters`), result.stdout);
        assert.deepEqual(suite.github.requests, []);
      });
    }
  });

  it("accepts a token pasted with its line end", async () => {
    suite.github.on(ROUTE, SENT);
    assert.equal((await run({ TOKEN: `${CANARY}\n` })).code, 0);
    assert.equal(suite.github.requests[0]?.headers.authorization, `Bearer ${CANARY}`);
  });

  it("shows the token to nobody: no argument, no log, no file", async () => {
    for (const tool of ["curl", "jq", "sleep", "mktemp", "grep"]) suite.box.stub(tool, `exec ${real(tool)} "$@"`);
    suite.box.stub(
      "curl",
      `${real("find")} "$TMPDIR" -type f -exec cp {} ${suite.box.path("log")} \\;\nexec ${real("curl")} "$@"`,
    );
    suite.github.on(ROUTE, { status: 503 }, { status: 401, body: { message: "Bad credentials" } });
    const result = await run();
    assert.equal(result.code, 1);
    assert.equal(suite.box.calls("curl").length, 2);
    assert.deepEqual(
      suite.github.requests.map(({ headers }) => headers.authorization),
      [`Bearer ${CANARY}`, `Bearer ${CANARY}`],
    );
    assert.ok(!result.output.includes(CANARY));
    assert.deepEqual(suite.box.filesWith(CANARY), []);
  });
});
