import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { freePort } from "../../../sandbox/daemon.ts";
import { type Env, PYTHON, type Result, Sandbox } from "../../support/sandbox.ts";
import { refusalOf } from "../../support/script-suite.ts";
import { commitOf, type Instead, RenderStub, SERVICE } from "./render-stub.ts";

const PROGRAM = new URL("../../../components/render/pipeline/deploy.py", import.meta.url).pathname;
const COMMIT = commitOf("a");
const ID = "dep-d1a2b3c4d5e6f7g8h900";
const DASHBOARD = "https://dashboard.render.com/web/srv-x";
const LOGS = `${DASHBOARD}/logs`;
const HOOK = "POST /deploy/";
const DEPLOYS = `GET /v1/services/${SERVICE}/deploys`;
const DEPLOY = `${DEPLOYS}/`;
const LIST = `${DEPLOYS}?`;
const API = "GET /v1/";
const always = (answer: Instead): Instead => ({ ...answer, times: Infinity });

describe("deploy.py", () => {
  let box: Sandbox;
  let render: RenderStub;

  before(async () => {
    render = await RenderStub.start();
  });
  after(() => render.close());
  beforeEach(() => {
    box = new Sandbox();
    render.reset();
    // Whatever it started would have an argument list: it starts nothing.
    box.write(
      "audit/sitecustomize.py",
      `import os, sys
def started(event, _):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork"):
        sys.stderr.write(event)
        os._exit(9)
sys.addaudithook(started)`,
    );
  });
  afterEach(() => {
    box.dispose();
    assert.deepEqual(render.problems, []);
  });

  /** Runs it. Nowhere may be what only Render and the repository's secrets know: not whole, not in pieces. */
  const run = async (env: Env = {}): Promise<Result> => {
    for (const each of ["output", "summary"]) box.write(each, "");
    const all: Env = {
      RENDER_API_URL: render.url,
      RENDER_DEPLOY_HOOK: render.hook,
      RENDER_API_KEY: render.apiKey,
      SERVICE_ID: SERVICE,
      SERVICE_NAME: "mining",
      DASHBOARD_URL: DASHBOARD,
      COMMIT,
      GITHUB_REPOSITORY: "sua-org/mining",
      POLL_SECONDS: "0",
      RETRY_BASE_SECONDS: "0",
      APPEAR_SECONDS: "0",
      PYTHONPATH: box.path("audit"),
      PYTHONDONTWRITEBYTECODE: "1",
      ...env,
    };
    const result = await box.run(PYTHON, [PROGRAM], { env: all });
    for (const each of ["Canary", all["RENDER_DEPLOY_HOOK"]?.trim(), `/deploy/${SERVICE}`, "key=h"]) {
      if (!each) continue;
      assert.ok(!result.output.includes(each), result.output);
      assert.deepEqual(box.filesWith(each), []);
    }
    assert.equal(result.stderr, "");
    assert.equal(box.read("output"), "");
    return result;
  };
  const succeeds = async (env: Env = {}): Promise<string[]> => {
    const { code, stdout } = await run(env);
    assert.equal(code, 0, stdout);
    return stdout.trimEnd().split("\n");
  };
  const fails = async (title: string, env: Env, ...messages: (string | RegExp)[]): Promise<string> => {
    const message = refusalOf(await run(env), box, title);
    for (const each of messages) {
      if (typeof each === "string") assert.ok(message.includes(each), `${message}\nhas not: ${each}`);
      else assert.match(message, each);
    }
    assert.equal(box.read("summary"), `**${title}**: ${message.replaceAll("%25", "%")}\n\n`);
    return message;
  };
  const asked = () => render.requests.map(({ method, path }) => `${method} ${path}`);
  const called = (times: number) => assert.equal(render.calls.length, times, "calls of the hook");

  describe("starts the deploy of one commit", () => {
    it("by one POST with the key and the commit, and follows it by its id until it is live", async () => {
      assert.deepEqual(await succeeds(), [
        `Render accepted the deploy of aaaaaaa: HTTP 201, ${ID}`,
        ...["created", "build_in_progress", "update_in_progress", "live"].map((status) => `${ID}: ${status}`),
        `${ID} of aaaaaaa is live`,
      ]);
      assert.deepEqual(asked(), [
        `POST /deploy/${SERVICE}?key=${render.hookKey}&ref=${COMMIT}`,
        ...Array.from({ length: 4 }, () => `${DEPLOY}${ID}`),
      ]);
      const [hook, ...others] = render.requests;
      assert.deepEqual([hook!.body, hook!.headers.authorization], ["", undefined]);
      for (const { headers } of others) assert.equal(headers.authorization, `Bearer ${render.apiKey}`);
      assert.equal(box.read("summary"), `Deployed \`aaaaaaa\` to mining: \`${ID}\` is live. [Logs](${LOGS})\n\n`);
    });

    for (const status of [200, 202]) {
      it(`is accepted by ${status}`, async () => {
        render.instead(HOOK, { status, begins: true, body: { deploy: { id: ID } } });
        const [first] = await succeeds();
        const queued = status === 202 ? ", queued behind another deploy" : "";
        assert.equal(first, `Render accepted the deploy of aaaaaaa: HTTP ${status}${queued}, ${ID}`);
        called(1);
      });
    }

    it("waits while it is queued behind another", async () => {
      render.busy = true;
      const lines = await succeeds();
      assert.deepEqual(lines.slice(1, 3), [`${ID}: queued`, `${ID}: created`]);
      called(1);
    });

    const nameless: [string, unknown][] = [
      ["nothing", ""],
      ["no id", { deploy: {} }],
      ["an id that is none", { deploy: { id: "::error::x" } }],
      ["an id that is a number", { deploy: { id: 7 } }],
      ["no deploy", { deploy: [] }],
      ["a list", [1]],
      ["null", "null"],
      ["no JSON", "<html>Queued</html>"],
      ["what is not text", Buffer.from([0xff, 0xfe, 0x00])],
    ];
    for (const [what, body] of nameless) {
      it(`finds it in the list where the answer has ${what}`, async () => {
        render.instead(HOOK, { status: 202, begins: true, body });
        const lines = await succeeds({ APPEAR_SECONDS: "30" });
        assert.equal(
          lines[0],
          "Render accepted the deploy of aaaaaaa: HTTP 202, queued behind another deploy, without an id",
        );
        assert.equal(lines.at(-1), `${ID} of aaaaaaa is live`);
        called(1);
      });
    }

    it("finds it in the list once it shows there, and takes no other deploy for it", async () => {
      const before = new Date(Date.now() - 3600e3).toISOString();
      render.add({ createdAt: before, updatedAt: before, finishedAt: before });
      render.add({ commit: { id: commitOf("b"), message: "fix", createdAt: before } });
      render.late = 3;
      render.instead(HOOK, { status: 202, begins: true });
      const lines = await succeeds({ APPEAR_SECONDS: "30" });
      assert.equal(lines.at(-1), "dep-d1a2b3c4d5e6f7g8h902 of aaaaaaa is live");
      assert.equal(asked().filter((each) => each.startsWith(LIST)).length, 4);
    });

    it("takes one for it whose commit is not told yet", async () => {
      const deploy = { id: ID, status: "created", createdAt: new Date().toISOString() };
      render.instead(HOOK, { status: 202, begins: true }).instead(LIST, { body: [{ deploy, cursor: "x" }] });
      assert.equal((await succeeds()).at(-1), `${ID} of aaaaaaa is live`);
    });

    it("says each status once, however long it lasts", async () => {
      render.course = ["created", "created", "build_in_progress", "build_in_progress", "live"];
      const lines = (await succeeds()).slice(1, -1);
      assert.deepEqual(lines, [`${ID}: created`, `${ID}: build_in_progress`, `${ID}: live`]);
    });

    it("fails where the list never shows it, and says that it has begun", async () => {
      render.instead(HOOK, { status: 202 });
      await fails(
        "Deploy not followed",
        {},
        /^\[deploy-timeout\] The deploy of aaaaaaa has begun, but Render's API does not tell how it goes \(it lists no such deploy\)/,
        `See ${LOGS}`,
      );
      called(1);
    });

    it("starts it without an API key, says that nobody follows it, and does", async () => {
      assert.deepEqual(await succeeds({ RENDER_API_KEY: "" }), [
        `Render accepted the deploy of aaaaaaa: HTTP 201, ${ID}`,
        `::notice title=Not followed::the deploy of aaaaaaa was started, but not followed: RENDER_API_KEY is not set. See ${LOGS}`,
      ]);
      assert.equal(render.requests.length, 1);
    });

    it("warns where another commit was deployed", async () => {
      const commit = { id: commitOf("b"), message: "x", createdAt: new Date().toISOString() };
      render.add({ commit });
      render.instead(HOOK, { status: 201, body: { deploy: { id: ID } } });
      const lines = await succeeds();
      assert.deepEqual(
        lines.filter((line) => line.startsWith("::")),
        [`::warning title=Another commit::${ID} deployed bbbbbbb, and this run is of aaaaaaa`],
      );
      assert.equal(lines.at(-1), `${ID} of bbbbbbb is live`);
      assert.match(box.read("summary"), /\n\nDeployed `bbbbbbb` to mining: /);
    });

    it("takes the ends of lines around its secrets away, as they are pasted", async () => {
      await succeeds({ RENDER_DEPLOY_HOOK: ` ${render.hook}\n`, RENDER_API_KEY: `${render.apiKey}\r\n` });
    });
  });

  describe("tells how it ended", () => {
    it("replaced by a newer one", async () => {
      render.course = ["build_in_progress", "deactivated"];
      assert.deepEqual((await succeeds()).slice(2), [
        `${ID}: deactivated`,
        `::notice title=Replaced already::${ID} was live, and a newer deploy has taken its place`,
        `${ID} of aaaaaaa is deactivated`,
      ]);
    });

    for (const [status, meaning] of [
      ["build_failed", "the build command failed"],
      ["update_failed", "the new version did not start, or did not pass its health check"],
      ["pre_deploy_failed", "the pre-deploy command failed"],
      ["canceled", "somebody, or a newer deploy, has canceled it"],
    ] as const) {
      it(status, async () => {
        render.course = ["created", status];
        const message = await fails("Deploy failed", {});
        assert.equal(
          message,
          `[deploy-failed] ${ID} of aaaaaaa: ${status}, ${meaning}. What was live before still is. See ${LOGS}`,
        );
        assert.equal(
          asked().filter((each) => each.startsWith("GET /v1/logs")).length,
          status === "build_failed" ? 1 : 0,
        );
      });
    }

    describe("of a build that failed of its lock file", () => {
      const SAID =
        ' ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with "frozen-lockfile" because pnpm-lock.yaml is not up to date';
      const at = (ms: number) => new Date(Date.now() + ms).toISOString();
      beforeEach(() => {
        render.instead(HOOK, { status: 201, body: { deploy: { id: ID } } });
        render.add({ status: "build_failed", createdAt: at(-60e3), finishedAt: at(-1e3) });
      });

      it("by pnpm's code, and nothing else of the build's log", async () => {
        render.logs = [
          { message: "DATABASE_URL=postgres://logCanary", timestamp: at(-50e3) },
          { message: `\u001b[31m${SAID}\u001b[39m logCanary`, timestamp: at(-40e3) },
          { message: "::error::logCanary", timestamp: at(-30e3) },
        ];
        const code = " Its log says ERR_PNPM_OUTDATED_LOCKFILE. What";
        await fails("Deploy failed", {}, "[deploy-failed] ", ": build_failed, the build command failed.", code);
      });

      it("not where an earlier or a later build said so", async () => {
        render.logs = [
          { message: SAID, timestamp: at(-90e3) },
          { message: "error TS2322", timestamp: at(-30e3) },
          { message: SAID, timestamp: at(-1) },
        ];
        assert.doesNotMatch(await fails("Deploy failed", {}), /Its log/);
      });

      it("finds it at the end of a long log", async () => {
        const line = (message: string, ms: number) => ({ message, timestamp: at(ms) });
        render.logs = [...Array.from({ length: 300 }, () => line("fetching", -50e3)), line(SAID, -20e3)];
        await fails("Deploy failed", {}, "Its log says ERR_PNPM_OUTDATED_LOCKFILE.");
      });

      const unread: [string, Instead][] = [
        ["is refused", { status: 403 }],
        ["is not there", { status: 404 }],
        ["is away", { status: 503 }],
        ["says null", { body: "null" }],
        ["has no lines", { body: {} }],
        ["has a number for lines", { body: { logs: 7 } }],
        [
          "has lines of other kinds",
          { body: { logs: [null, 7, "x", [], {}, { message: null }, { message: { a: SAID } }] } },
        ],
      ];
      for (const [what, answer] of unread) {
        it(`tells of the failure all the same where the log ${what}`, async () => {
          render.instead("GET /v1/logs", always(answer));
          await fails("Deploy failed", {}, /^\[deploy-failed\] .*build_failed/);
        });
      }
    });

    it("tells of the failure all the same where the service is not told of as it should be", async () => {
      render.course = ["build_failed"];
      render.instead(DEPLOY, { body: { id: ID, status: "build_failed" } }).instead(API, { body: [] });
      await fails("Deploy failed", {}, /^\[deploy-failed\] .*build_failed/);
    });

    it("follows through a status that it does not know", async () => {
      render.course = ["created", "snapshot_in_progress", "live"];
      assert.ok((await succeeds()).includes(`${ID}: snapshot_in_progress`));
    });

    it("gives up where it takes too long, and says that it goes on", async () => {
      render.course = ["build_in_progress"];
      await fails(
        "Deploy takes too long",
        { FOLLOW_SECONDS: "0" },
        `[deploy-timeout] ${ID} is still build_in_progress after 0 s. It goes on at Render's: see ${LOGS}`,
      );
    });
  });

  describe("where the API fails while it follows", () => {
    const passing: [string, Instead][] = [
      ["500", { status: 500 }],
      ["502 with a page", { status: 502, body: "<html>Bad gateway</html>" }],
      ["503", { status: 503 }],
      ["429", { status: 429, headers: { "Retry-After": "0" } }],
      ["a connection that breaks off", { fails: "drop" }],
      ["an answer that breaks off", { fails: "cut", body: '{"id": ' }],
    ];
    for (const [what, answer] of passing) {
      it(`goes on after ${what}, within a question and after it`, async () => {
        render.instead(DEPLOY, { ...answer, times: 6 });
        const lines = await succeeds();
        assert.equal(lines.at(-1), `${ID} of aaaaaaa is live`);
        called(1);
      });
    }

    it("goes on after an answer that did not come in time", async () => {
      render.instead(DEPLOY, { fails: "silent" });
      const lines = await succeeds({ REQUEST_SECONDS: "0.5" });
      assert.ok(lines.includes("Render's API: no answer came in time, at attempt 1; trying again"), lines.join("\n"));
      called(1);
    });

    it("gives up where it is away for too long, and says that the deploy has begun", async () => {
      render.instead(API, always({ status: 503 }));
      const result = await run({ BLIND_SECONDS: "0" });
      assert.equal(result.code, 1);
      assert.ok(
        result.stdout.endsWith(
          `::error title=Deploy not followed::[deploy-timeout] The deploy of aaaaaaa has begun, but Render's API does not tell how it goes (status 503): whether it went live is not known. See ${LOGS}\n`,
        ),
        result.stdout,
      );
      called(1);
    });

    for (const [status, title, mend] of [
      [401, "Render refuses the API key", /status 401: RENDER_API_KEY is not valid.*Account Settings, API Keys/],
      [403, "Render refuses the API key", /status 403: RENDER_API_KEY/],
      [404, "Not found", /Render knows no services\/srv-.*\/deploys.*another workspace/],
    ] as const) {
      it(`says for ${status} that the deploy has begun, and what to mend`, async () => {
        render.instead(API, always({ status }));
        const begun = `The deploy of aaaaaaa has begun all the same: see ${LOGS}`;
        await fails(title, {}, mend, begun);
        called(1);
        render.instead(HOOK, { status: 202 });
        await fails(title, {}, mend, begun);
      });
    }

    it("refuses a key that is not Render's", async () => {
      await fails("Render refuses the API key", { RENDER_API_KEY: "rnd_otherCanary" }, "has begun all the same");
    });

    for (const key of ["rnd_api\nCanary", "rnd_api Canary", "rnd_apiCanaryé"]) {
      it(`calls nothing with ${JSON.stringify(key)} for a key, which would be shown by what refuses to send it`, async () => {
        await fails("Not configured", { RENDER_API_KEY: key }, "RENDER_API_KEY has blanks or line ends inside");
        assert.deepEqual(render.requests, []);
      });
    }

    const strange: [string, Instead][] = [
      ["no JSON", { body: "<html>" }],
      ["nothing", { body: "" }],
      ["null", { body: "null" }],
      ["a list", { body: [] }],
      ["a list of null", { body: [null] }],
      ["a list of what is no deploy", { body: [{ deploy: 7 }] }],
      ["text", { body: '"live"' }],
      ["a number", { body: "9".repeat(5000) }],
      ["what nests without an end", { body: "[".repeat(200_000) }],
      ["invalid UTF-8", { body: Buffer.from([0x7b, 0xff, 0x7d]) }],
      ["gzip", { body: gzipSync('{"status":"live"}'), headers: { "content-encoding": "gzip" } }],
      ["a huge body", { body: `"${"x".repeat(20 << 20)}` }],
      ["no field", { body: {} }],
      ["an id of another kind", { body: { id: 7, status: "live" } }],
      ["an id with what is no id", { body: { id: `${ID}\n::error::forged`, status: "live" } }],
      ["no id", { body: { status: "live" } }],
      ["another success", { status: 204 }],
      ["a redirect", { status: 302, headers: { location: "http://[" } }],
    ];
    for (const [what, answer] of strange) {
      it(`takes ${what} for no answer`, async () => {
        render.instead(API, always(answer));
        const { code, stdout } = await run({ BLIND_SECONDS: "0" });
        assert.equal(code, 1);
        assert.match(
          stdout,
          /^::error title=Deploy not followed::\[deploy-timeout\] The deploy of aaaaaaa has begun, but /m,
        );
        assert.doesNotMatch(stdout, /forged|^::error title=Mistake/m);
      });
      it(`takes ${what} for no answer where it looks for the deploy`, async () => {
        render.instead(HOOK, { status: 202 }).instead(API, always(answer));
        const { code, stdout } = await run();
        assert.equal(code, 1);
        assert.match(
          stdout,
          /^::error title=Deploy not followed::\[deploy-timeout\] The deploy of aaaaaaa has begun, but /m,
        );
      });
    }

    const odd: [string, object][] = [
      ["a status of another kind", { status: [] }],
      ["a status that would be a command", { status: "x\n::error title=forged::y" }],
      ["no status", { status: undefined }],
      ["a commit of another kind", { commit: "x" }],
      ["a commit's id of another kind", { commit: { id: 7 } }],
      ["a commit's id that would be a command", { commit: { id: "\n::error title=forged::%0A##[error]y" } }],
      ["no commit", { commit: undefined }],
      ["null for a commit", { commit: null }],
      ["times of other kinds", { createdAt: 7, finishedAt: {} }],
      ["times that are none", { createdAt: "2026-99-99T99:99:99Z", finishedAt: "yesterday" }],
      ["no times", { createdAt: undefined }],
      ["a time without a zone", { createdAt: "2026-11-22T10:00:00" }],
      ["an end that is no time", { finishedAt: "2026-99-99T99:99:99Z" }],
    ];
    for (const [what, fields] of odd) {
      it(`stands ${what}`, async () => {
        const deploy = { id: ID, createdAt: new Date().toISOString(), status: "build_failed", ...fields };
        render.course = ["build_failed"];
        render.instead(HOOK, { status: 202, begins: true });
        render.instead(LIST, { body: [{ deploy }] }).instead(DEPLOY, { body: deploy });
        const { code, stdout } = await run();
        assert.equal(code, 1);
        const annotations = stdout.split("\n").filter((line) => line.startsWith("::") || line.includes("##["));
        assert.equal(annotations.length, 1, stdout);
        assert.match(annotations[0]!, /^::error title=Deploy (?:failed|not followed)::/);
        assert.doesNotMatch(stdout + box.read("summary"), /forged|##\[/);
      });
    }
  });

  describe("where the hook refuses", () => {
    for (const [status, why] of [
      [400, "the commit may not be on the branch that the service deploys"],
      [401, "the hook's key is not valid (any more)"],
      [403, "the hook's key is not valid (any more)"],
      [404, "there is no such hook (any more): it was regenerated, or the service deleted"],
      [409, "the service cannot be deployed now, for instance because it is suspended"],
      [418, "an answer that was not expected"],
      [307, "an answer that was not expected"],
    ] as const) {
      it(`says what ${status} means, calls it once and shows nothing of the answer`, async () => {
        const body = `${render.hook} %0A::error::y`;
        render.instead(HOOK, { status, body, headers: { location: `${render.url}/elsewhere?key=hookCanary` } });
        const message = await fails(
          "Deploy hook refused",
          {},
          `[hook-refused] HTTP ${status}: `,
          why,
          /secret behind RENDER_DEPLOY_HOOK if/,
        );
        assert.doesNotMatch(message, /::|%/);
        assert.equal(render.requests.length, 1);
      });
    }

    it("says so of a key that was replaced", async () => {
      await fails("Deploy hook refused", { RENDER_DEPLOY_HOOK: `${render.hook}Old` }, "[hook-refused] HTTP 401");
    });
  });

  describe("where the hook gives no answer that says anything", () => {
    const lost: [string, string, Instead, Env][] = [
      ["500", "HTTP 500: Render has trouble", { status: 500 }, {}],
      ["502", "HTTP 502: Render has trouble", { status: 502, body: "<html>" }, {}],
      ["503", "HTTP 503: Render has trouble", { status: 503 }, {}],
      ["a connection that breaks off", "HTTP 000: the connection broke off", { fails: "drop" }, {}],
      [
        "an answer that comes too late",
        "HTTP 000: no answer came in time",
        { fails: "silent" },
        { REQUEST_SECONDS: "0.5" },
      ],
    ];
    for (const [what, said, answer, env] of lost) {
      it(`${what}: finds the deploy that has begun, and calls no second time`, async () => {
        render.instead(HOOK, { ...answer, begins: true });
        render.late = 2;
        const lines = await succeeds({ APPEAR_SECONDS: "30", ...env });
        assert.equal(lines[0], `${said}, but the deploy has begun: ${ID}`);
        assert.equal(lines.at(-1), `${ID} of aaaaaaa is live`);
        called(1);
      });

      it(`${what}: calls again where surely none has begun`, async () => {
        render.instead(HOOK, answer);
        const lines = await succeeds(env);
        assert.equal(lines[0], `${said}, at attempt 1; trying again`);
        assert.equal(lines.at(-1), `${ID} of aaaaaaa is live`);
        called(2);
        assert.equal(asked().filter((each) => each.startsWith(LIST)).length, 1);
      });

      it(`${what}: does not call again without an API key, which would tell`, async () => {
        render.instead(HOOK, { ...answer, begins: true });
        await fails(
          "Deploy hook's answer lost",
          { RENDER_API_KEY: "", ...env },
          `[hook-unsure] ${said}, after the call was sent. A deploy may have begun, and that cannot be found out: RENDER_API_KEY is not set`,
          `Look at ${LOGS} before this job is run again`,
        );
        assert.equal(render.requests.length, 1);
      });
    }

    for (const [what, answer, why] of [
      ["is away too", { status: 503 }, "status 503"],
      ["refuses its key", { status: 401 }, "status 401: RENDER_API_KEY is not valid"],
      ["does not know the service", { status: 404 }, "Render knows no services/"],
    ] as const) {
      it(`does not call again where the API ${what}: nobody knows whether a deploy has begun`, async () => {
        render.instead(HOOK, { status: 500, begins: true }).instead(API, always(answer));
        const { code, stdout } = await run();
        assert.equal(code, 1);
        assert.match(
          stdout,
          /^::error title=Deploy hook's answer lost::\[hook-unsure\] HTTP 500: Render has trouble, after the call/m,
        );
        assert.ok(stdout.includes(`that cannot be found out: ${why}`), stdout);
        called(1);
      });
    }

    it("gives up after four calls, of which none began a deploy", async () => {
      render.instead(HOOK, always({ status: 500 }));
      await fails(
        "Deploy hook not reached",
        {},
        /^\[hook-unreachable\] HTTP 500: Render has trouble, at attempt 4 of 4\. No deploy has begun\. Run this job again once https:/,
      );
      called(4);
    });

    it("calls again after 429, with an API key and without, which begins nothing", async () => {
      for (const RENDER_API_KEY of [render.apiKey, ""]) {
        render.reset();
        render.instead(HOOK, { status: 429, headers: { "retry-after": "0" }, times: 3 });
        const lines = await succeeds({ RENDER_API_KEY });
        assert.equal(lines[2], "HTTP 429: Render is limiting calls, at attempt 3; trying again");
        called(4);
        assert.ok(!asked().some((each) => each.startsWith(LIST)));
      }
    });

    it("waits as long as it is told to, but no longer than is bearable", async () => {
      for (const after of ["86400", "9".repeat(400), "²", "-1", "soon"]) {
        render.reset();
        render.instead(HOOK, { status: 429, headers: { "retry-after": after } });
        await succeeds({ RETRY_MOST_SECONDS: "0" });
        called(2);
      }
    });
  });

  describe("where nothing is reached", () => {
    const unreached = async (RENDER_API_URL: string, why: string) => {
      const key = "?key=hookCanary9";
      const result = await run({ RENDER_API_URL, RENDER_DEPLOY_HOOK: `${RENDER_API_URL}/deploy/${SERVICE}${key}` });
      const { code, stdout } = result;
      assert.equal(code, 1);
      assert.deepEqual(stdout.trimEnd().split("\n"), [
        ...[1, 2, 3].map((attempt) => `HTTP 000: ${why}, at attempt ${attempt}; trying again`),
        `::error title=Deploy hook not reached::[hook-unreachable] HTTP 000: ${why}, at attempt 4 of 4. No deploy has begun. HTTP 000 means that nothing answered at all, neither yes nor no. Run this job again once https://status.render.com says that Render is well`,
      ]);
    };

    it("says so of a connection that is refused, after four calls", async () =>
      unreached(`http://127.0.0.1:${await freePort()}`, "the connection was refused"));

    it("says so of a name that is not found", () =>
      unreached("http://nowhere.invalid", "its name was not found (DNS)"));

    it("says so of a certificate that nobody vouches for", async () => {
      const [key, cert] = [box.path("key.pem"), box.path("cert.pem")];
      const files = ["-keyout", key, "-out", cert, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
      const what = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
      execFileSync("openssl", ["req", ...what, ...files], { stdio: "ignore" });
      let requests = 0;
      const server = createServer({ key: box.read("key.pem"), cert: box.read("cert.pem") }, (_, response) => {
        requests += 1;
        response.end();
      });
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      try {
        const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
        await unreached(url, "its certificate is not valid, or TLS failed");
        assert.equal(requests, 0);
      } finally {
        await new Promise((done) => server.close(done));
      }
    });
  });

  describe("calls nothing", () => {
    const KEY = "key=hookCanary9";
    const malformed: [string, (url: string) => string, RegExp][] = [
      [
        "nothing",
        () => "",
        /RENDER_DEPLOY_HOOK is empty: save the service's hook \(Render Dashboard, Settings, Deploy Hook;/,
      ],
      ["blanks", () => " \n", /is empty/],
      ["another host", () => `https://evil.example/deploy/${SERVICE}?${KEY}`, /is no URL of .*\(HTTP 000\)/],
      ["a host that begins alike", (url) => `${url}.evil.example/deploy/${SERVICE}?${KEY}`, /is no URL of/],
      ["a host that comes after an @", (url) => `${url}@evil.example/deploy/${SERVICE}?${KEY}`, /is no URL of/],
      ["another scheme", (url) => `${url.replace("http:", "https:")}/deploy/${SERVICE}?${KEY}`, /is no URL of/],
      ["no scheme", (url) => `${url.replace("http://", "")}/deploy/${SERVICE}?${KEY}`, /is no URL of/],
      ["another path", (url) => `${url}/v1/${SERVICE}?${KEY}`, /is no URL of/],
      ["a command", (url) => `curl ${url}/deploy/${SERVICE}?${KEY}`, /is no URL of/],
      ["the key alone", () => "hookCanary9", /is no URL of/],
      ["a quote before it", (url) => `"${url}/deploy/${SERVICE}?${KEY}"`, /is no URL of/],
      [
        "a quote after it",
        (url) => `${url}/deploy/${SERVICE}?${KEY}"`,
        /is malformed after .*expected srv-.*\?key=\.\.\., without spaces or quotes/,
      ],
      ["a line end inside", (url) => `${url}/deploy/${SERVICE}?\n${KEY}`, /is malformed/],
      ["a space inside", (url) => `${url}/deploy/${SERVICE}?${KEY} x`, /is malformed/],
      ["another line", (url) => `${url}/deploy/${SERVICE}?${KEY}\n::error::x`, /is malformed/],
      ["no key", (url) => `${url}/deploy/${SERVICE}`, /is malformed/],
      ["an empty key", (url) => `${url}/deploy/${SERVICE}?key=`, /is malformed/],
      ["another parameter", (url) => `${url}/deploy/${SERVICE}?${KEY}&ref=x`, /is malformed/],
      ["a key with odd characters", (url) => `${url}/deploy/${SERVICE}?${KEY}%20é<`, /is malformed/],
      ["a fragment", (url) => `${url}/deploy/${SERVICE}?${KEY}#x`, /is malformed/],
      ["a way up", (url) => `${url}/deploy/../${SERVICE}?${KEY}`, /is malformed/],
      [
        "another service's",
        (url) => `${url}/deploy/srv-other?${KEY}`,
        new RegExp(`is the hook of srv-other, and the service is ${SERVICE}`),
      ],
      ["a Blueprint's", (url) => `${url}/deploy/exs-d1a2?${KEY}`, /is a Blueprint's hook, which deploys no code/],
    ];
    for (const [what, hook, message] of malformed) {
      it(`where the hook is ${what}`, async () => {
        const RENDER_DEPLOY_HOOK = hook(render.url);
        const text = await fails("Deploy hook not valid", { RENDER_DEPLOY_HOOK }, /^\[hook-invalid\] /, message);
        assert.match(text, /secret behind RENDER_DEPLOY_HOOK.*\. Nothing was deployed$/);
        assert.deepEqual(render.requests, []);
      });
    }

    for (const name of ["RENDER_API_URL", "SERVICE_ID", "COMMIT"]) {
      it(`without ${name}`, async () => {
        await fails("Not configured", { [name]: "" }, `${name} is empty or not set`);
        assert.deepEqual(render.requests, []);
      });
    }
  });
});
