import assert from "node:assert/strict";
import type { Interceptor } from "../../../sandbox/stand-in/server.ts";
import { DASHBOARD, LATER, monitorSuite, NOW, STATUS } from "./monitor-suite.ts";
import { type Deploy, type Instead, SERVICE } from "./render-stub.ts";

const SERVICE_ROW = `| Service | [mining](${DASHBOARD}) |`;
const AT = { createdAt: "2026-11-22T09:50:00.123456Z", finishedAt: "2026-11-22T09:58:59.5Z" };
const runUrl = (id: number) => `https://github.example/sua-org/mining/actions/runs/${id}`;

describe("monitor.py", () => {
  const suite = monitorSuite();

  /** The table's row of this name, as it was pushed. */
  const row = (name: string) => {
    const rows = suite
      .status()
      .split("\n")
      .filter((line) => line.startsWith(`| ${name} |`));
    assert.equal(rows.length, 1);
    return rows[0]!.slice(name.length + 5, -2);
  };
  const deploy = (of: Partial<Deploy>) => suite.render.add({ ...AT, ...of });
  const issues = () => suite.repository.issues;
  const states = () => issues().map(({ state }) => state);
  const operations = () => suite.api.log.map(({ operation }) => operation);
  const count = (operation: string) => operations().filter((each) => each === operation).length;
  /** Nothing was written: not at GitHub, not in the checkout, and nothing was pushed. */
  const untouched = () => {
    assert.deepEqual(new Set(operations()), new Set(["actions/list-workflow-runs"]));
    assert.equal(suite.pushes(), 0);
    assert.equal(suite.box.git(suite.checkout, "status", "--porcelain"), "");
  };

  describe("writes", () => {
    it("the whole status of a service that is live", async () => {
      const { id } = deploy({});
      const { id: run } = suite.repository.run({ file: "deploy.yaml", conclusion: "success" });
      const output = await suite.passes();
      const text = [
        "# Pipeline status",
        "",
        "<!-- Written by the monitor's workflow: changes made here are overwritten. -->",
        "",
        "| | |",
        "| --- | --- |",
        SERVICE_ROW,
        "| State | running |",
        `| Last deploy | \`live\` \`${id}\`, commit \`aaaaaaa\`, 2026-11-22 09:58 UTC |`,
        `| Live | \`live\` \`${id}\`, commit \`aaaaaaa\`, 2026-11-22 09:58 UTC |`,
        "| Auto-Deploy | off |",
        `| \`deploy.yaml\` | \`success\`, [run 100](${runUrl(run)}), commit \`aaaaaaa\` |`,
        "| `test.yaml` | no run yet |",
        "",
        `Last change: ${NOW}. Looked at every 30 minutes; nothing is written while all stays as it is.`,
        "",
      ].join("\n");
      assert.equal(suite.status(), text);
      assert.equal(suite.box.read("summary"), `${text}\n\n`);
      assert.equal(output, `${STATUS}: pushed\n`);
      assert.deepEqual(
        suite.render.requests.map(({ method, path }) => `${method} ${path}`),
        [`GET /v1/services/${SERVICE}`, `GET /v1/services/${SERVICE}/deploys?limit=20`],
      );
    });

    it("that a service is suspended, and has no deploy yet", async () => {
      suite.render.service["suspended"] = "suspended";
      await suite.passes();
      assert.deepEqual(["State", "Last deploy", "Live"].map(row), ["suspended", "none", "none"]);
    });

    it("a deploy that goes on, beside the one that is live", async () => {
      const { id } = deploy({});
      const { finishedAt: _, ...created } = AT;
      const next = suite.render.add({ ...created, status: "build_in_progress" });
      await suite.passes();
      assert.equal(
        row("Last deploy"),
        `\`build_in_progress\` \`${next.id}\`, commit \`aaaaaaa\`, 2026-11-22 09:50 UTC`,
      );
      assert.equal(row("Live"), `\`live\` \`${id}\`, commit \`aaaaaaa\`, 2026-11-22 09:58 UTC`);
    });

    it("that it does not see what is live behind many deploys that failed", async () => {
      deploy({});
      for (let each = 0; each < 20; each++) deploy({ status: "build_failed" });
      await suite.passes();
      assert.equal(row("Live"), "not among the last 20 deploys");
    });

    it("a warning where Render deploys by itself", async () => {
      suite.render.service["autoDeploy"] = "yes";
      const output = await suite.passes();
      assert.match(output, /^::warning title=Render deploys by itself::mining has Auto-Deploy on: .*Turn it off in /m);
      assert.equal(row("Auto-Deploy"), "**on: untested pushes are deployed**");
    });

    it("that it does not know what Render does not say", async () => {
      suite.render.service = { id: SERVICE, suspended: ["suspended"] };
      await suite.passes();
      assert.deepEqual(["State", "Auto-Deploy"].map(row), ["unknown", "unknown"]);
    });

    it("the newest run that has ended, of the branch itself", async () => {
      const own = { file: "deploy.yaml", conclusion: "success" };
      const { id } = suite.repository.run({ ...own, conclusion: "timed_out", head_sha: "b".repeat(40) });
      suite.repository.run({ ...own, head_repository: "somebody/mining" });
      suite.repository.run({ ...own, event: "pull_request" });
      suite.repository.run({ ...own, head_branch: "other" });
      suite.repository.run({ ...own, status: "in_progress", conclusion: null });
      await suite.passes();
      assert.equal(row("`deploy.yaml`"), `\`timed_out\`, [run 100](${runUrl(id)}), commit \`bbbbbbb\``);
    });

    it("no markup, and no command, that comes from outside", async () => {
      const evil = "x`|@all <b>[a](b)\r\n::error::y\u2028#1 __z__";
      suite.repository.run({ file: "deploy.yaml", conclusion: evil });
      suite.render.service["name"] = evil;
      suite.render.add({ status: evil, createdAt: evil, commit: { id: evil, message: evil, createdAt: evil } });
      const output = await suite.passes({ SERVICE_NAME: evil });
      assert.doesNotMatch(output, /^::error/m);
      assert.equal(row("`deploy.yaml`"), "no run yet");
      assert.equal(row("Service").split("]")[0], "[x all b a b ::error::y 1 __z__");
      assert.match(row("Last deploy"), /^`unknown` `dep-\w+`, commit `unknown`, not yet$/);
      const text = suite.status();
      assert.equal(text.split("\n").length, 16);
      assert.doesNotMatch(text.replace(/<!-- .* -->/, ""), /[@<>#](?!\sPipeline)|\[a\]/);
      for (const line of text.split("\n").filter((each) => each.startsWith("|")))
        assert.equal(line.split("|").length, 4, line);
    });

    for (const [what, change] of Object.entries<() => object | undefined>({
      "the interval": () => ({ INTERVAL: "every hour" }),
      "the state": () => void (suite.render.service["suspended"] = "suspended"),
      "a deploy": () => void deploy({}),
      "a run": () => void suite.repository.run({ file: "test.yaml" }),
    })) {
      it(`anew where ${what} has changed`, async () => {
        await suite.passes();
        await suite.passes({ NOW: LATER, ...change() });
        assert.equal(suite.pushes(), 2);
        assert.match(suite.status(), new RegExp(`^Last change: ${LATER}\\.`, "m"));
      });
    }

    it("the time of its own clock", async () => {
      await suite.passes({ NOW: "" });
      assert.match(suite.status(), /^Last change: \d{4}-\d\d-\d\d \d\d:\d\d UTC\. Looked at/m);
    });
  });

  describe("opens an issue", () => {
    for (const [status, meaning] of [
      ["build_failed", "the build command failed"],
      ["update_failed", "the new version did not start, or did not pass its health check"],
      ["pre_deploy_failed", "the pre-deploy command failed"],
    ] as const) {
      it(`for ${status}, once over many runs`, async () => {
        const { id } = deploy({ status });
        for (const _ of [1, 2, 3]) await suite.passes();
        const text = [
          `The deploy \`${id}\` of mining (commit ${"a".repeat(40)}) ended as \`${status}\`: ${meaning}. What was live before still is.`,
          "",
          `- Log: ${DASHBOARD}/logs`,
          "- This issue is closed once a deploy is live",
          "",
          `<!-- pipeline: service ${SERVICE} -->`,
          `<!-- pipeline: last ${id} -->`,
          "",
        ];
        assert.deepEqual(issues(), [
          {
            number: 1,
            title: "mining: the deploy to Render failed",
            body: text.join("\n"),
            labels: ["pipeline"],
            state: "open",
            comments: [],
          },
        ]);
      });
    }

    it("and comments on it once for another deploy that failed", async () => {
      const first = deploy({ status: "build_failed" });
      await suite.passes();
      const second = deploy({ status: "update_failed" });
      for (const _ of [1, 2]) await suite.passes();
      assert.equal(issues().length, 1);
      const { comments, body } = issues()[0]!;
      assert.equal(comments.length, 1);
      assert.match(comments[0]!, new RegExp(`^The deploy \`${second.id}\` .* ended as \`update_failed\``));
      assert.doesNotMatch(comments[0]!, /<!--/);
      assert.ok(body.includes(`\`${first.id}\``));
      assert.deepEqual(body.match(/<!--.*-->/g), [
        `<!-- pipeline: service ${SERVICE} -->`,
        `<!-- pipeline: last ${second.id} -->`,
      ]);
    });

    it("and comments once though somebody has cut what it had noted", async () => {
      deploy({ status: "build_failed" });
      await suite.passes();
      issues()[0]!.body = `<!-- pipeline: service ${SERVICE} -->`;
      for (const _ of [1, 2]) await suite.passes();
      assert.equal(issues()[0]!.comments.length, 1);
    });

    it("closes it with a comment once a deploy is live, and opens another for the next failure", async () => {
      deploy({ status: "build_failed" });
      await suite.passes();
      const { id } = deploy({});
      for (const _ of [1, 2]) await suite.passes();
      assert.deepEqual(states(), ["closed"]);
      assert.deepEqual(issues()[0]!.comments, [`\`${id}\` is live: deployed again.`]);
      deploy({ status: "build_failed" });
      for (const _ of [1, 2]) await suite.passes();
      assert.deepEqual(states(), ["closed", "open"]);
    });

    for (const status of ["canceled", "created", "queued", "build_in_progress", "update_in_progress"]) {
      it(`and neither opens nor closes one for ${status}`, async () => {
        deploy({ status: "build_failed" });
        await suite.passes();
        deploy({ status });
        await suite.passes();
        assert.deepEqual(states(), ["open"]);
        assert.deepEqual(issues()[0]!.comments, []);
        assert.match(row("Last deploy"), new RegExp(`^\`${status}\``));
        suite.render.deploys = [deploy({ status })];
        issues().length = 0;
        await suite.passes();
        assert.deepEqual(issues(), []);
      });
    }

    it("and leaves alone what is not its own", async () => {
      const other = { title: "x", state: "open", labels: ["pipeline"], comments: [] } as const;
      const bodies = ["service srv-other", "workflow other.yaml", `last ${SERVICE}`].map(
        (each) => `<!-- pipeline: ${each} -->`,
      );
      for (const [index, body] of bodies.entries())
        issues().push({ ...other, number: index + 1, body, labels: ["pipeline"], comments: [] });
      deploy({});
      await suite.passes();
      assert.deepEqual(states(), ["open", "open", "open"]);
      assert.equal(count("issues/create-comment"), 0);
    });

    it("and finds it behind a hundred others", async () => {
      deploy({ status: "build_failed" });
      await suite.passes();
      const [own] = issues().splice(0);
      for (let number = 1; number <= 100; number++) issues().push({ ...own!, number, body: "" });
      issues().push({ ...own!, number: 101 });
      await suite.passes();
      assert.equal(issues().length, 101);
    });
  });

  describe("of a workflow's issue", () => {
    beforeEach(() =>
      issues().push({
        number: 1,
        title: "deploy.yaml has failed, and was not repaired",
        body: "x\n\n<!-- pipeline: workflow deploy.yaml on main -->\n<!-- pipeline: last 1 -->\n",
        state: "open",
        labels: ["pipeline"],
        comments: [],
      }),
    );

    it("closes it once the newest run has succeeded", async () => {
      suite.repository.run({ file: "deploy.yaml" });
      const { id } = suite.repository.run({ file: "deploy.yaml", conclusion: "success" });
      const output = await suite.passes();
      assert.deepEqual(states(), ["closed"]);
      assert.deepEqual(issues()[0]!.comments, [`[Run 101](${runUrl(id)}) succeeded.`]);
      assert.match(output, /^Closed issue #1: /m);
    });

    it("closes it though the pull requests of forks fill the newest hundred runs", async () => {
      suite.repository.run({ file: "deploy.yaml", conclusion: "success" });
      for (let each = 0; each < 120; each++) {
        suite.repository.run({ file: "deploy.yaml", event: "pull_request", head_repository: "somebody/mining" });
      }
      await suite.passes();
      assert.deepEqual(states(), ["closed"]);
    });

    for (const [what, run] of Object.entries({
      "has failed": { file: "deploy.yaml" },
      "was cancelled": { file: "deploy.yaml", conclusion: "cancelled" },
      "goes on": { file: "deploy.yaml", status: "in_progress", conclusion: null },
      "is another workflow's": { file: "test.yaml", conclusion: "success" },
      "is a fork's": { file: "deploy.yaml", conclusion: "success", head_repository: "somebody/mining" },
      "is a pull request's": { file: "deploy.yaml", conclusion: "success", event: "pull_request" },
      "is another branch's": { file: "deploy.yaml", conclusion: "success", head_branch: "other" },
    })) {
      it(`leaves it open where the newest run ${what}`, async () => {
        suite.repository.run(run);
        await suite.passes();
        assert.deepEqual(states(), ["open"]);
      });
    }
  });

  it("tells of the workflows alone without a key of Render's, and says so", async () => {
    issues().push({
      number: 1,
      title: "x",
      body: `<!-- pipeline: service ${SERVICE} -->`,
      state: "open",
      labels: ["pipeline"],
      comments: [],
    });
    suite.repository.run({ file: "deploy.yaml", conclusion: "success" });
    const output = await suite.passes({ RENDER_API_KEY: "" });
    assert.match(output, /^::notice title=Render not looked at::RENDER_API_KEY is not set: neither the service nor/m);
    assert.deepEqual(suite.render.requests, []);
    assert.equal(row("Service"), `[mining](${DASHBOARD}), not looked at: no API key`);
    assert.match(row("`deploy.yaml`"), /^`success`/);
    assert.doesNotMatch(suite.status(), /State|Live/);
    assert.deepEqual(states(), ["open"]);
  });

  describe("of Render's API", () => {
    const away: Record<string, Instead> = {
      "is away": { status: 503 },
      "breaks off": { fails: "drop" },
    };
    for (const [what, answer] of Object.entries(away)) {
      for (const asked of [`GET /v1/services/${SERVICE}`, `GET /v1/services/${SERVICE}/deploys`]) {
        it(`warns where it ${what} (${asked}), and leaves everything as it is`, async () => {
          suite.render.instead(asked, { ...answer, times: 100 });
          assert.match(
            await suite.passes(),
            /^::warning title=Not looked at::Render's API gives no answer \(.+\): what/m,
          );
          untouched();
        });
      }
    }

    for (const body of ["<html>maintenance</html>", "null"]) {
      for (const asked of [`GET /v1/services/${SERVICE}`, `GET /v1/services/${SERVICE}/deploys`]) {
        it(`fails where ${asked} says ${body}, which does not pass by itself`, async () => {
          suite.render.instead(asked, { body, times: 100 });
          const output = await suite.fails("Not looked at");
          assert.match(output, /this program may be older than the API/);
          untouched();
        });
      }
    }

    it("tells of the workflows where it is away, too", async () => {
      suite.render.instead(`GET /v1/services/${SERVICE}`, { status: 503, times: 100 });
      const key = "workflow deploy.yaml on main";
      issues().push({
        number: 1,
        title: "deploy.yaml has failed",
        body: `<!-- pipeline: ${key} -->`,
        state: "open",
        labels: ["pipeline"],
        comments: [],
      });
      suite.repository.run({ file: "deploy.yaml", conclusion: "success" });
      await suite.passes();
      assert.deepEqual(states(), ["closed"]);
    });

    it("asks again", async () => {
      suite.render.instead("GET /v1/services", { status: 502 }, { fails: "drop" });
      await suite.passes();
      assert.equal(suite.pushes(), 1);
    });

    for (const body of [[{}], [{ deploy: null }], [null], [{ deploy: { status: "live" } }], { deploys: [] }]) {
      it(`does not go by ${JSON.stringify(body)} for deploys`, async () => {
        suite.render.instead(`GET /v1/services/${SERVICE}/deploys`, { body, times: 100 });
        await suite.fails("Not looked at");
        untouched();
      });
    }

    it("says that the key is refused, and what to do", async () => {
      const words = await suite.fails("Render refuses the API key", { RENDER_API_KEY: "rnd_otherCanary" });
      assert.match(words, /status 401: RENDER_API_KEY is not valid \(any more\).*Make one in Account Settings/);
      untouched();
    });

    it("says that it knows no such service", async () => {
      const words = await suite.fails("Not found", { SERVICE_ID: "srv-00000000000000000000" });
      assert.match(words, /Render knows no services\/srv-00000000000000000000: RENDER_API_KEY may be of another/);
      untouched();
    });
  });

  describe("of GitHub's API", () => {
    /** Answers so often in place of an operation. @param done whether it is done all the same */
    const instead = (
      operation: string,
      reply: Awaited<ReturnType<Interceptor>>,
      { times = 100, done = false } = {},
    ) => {
      let left = times;
      suite.api.intercept = async (call, answer) => {
        if (call.operation !== operation || left-- <= 0) return answer();
        if (done) answer();
        return reply;
      };
    };

    beforeEach(() => {
      deploy({ status: "build_failed" });
      suite.repository.run({ file: "deploy.yaml" });
    });

    for (const [operation, writes] of [
      ["actions/list-workflow-runs", 0],
      // What has become of the deploy is in the file all the same.
      ["issues/list-for-repo", 1],
      ["issues/create", 1],
    ] as const) {
      it(`says which permission is missing for ${operation}`, async () => {
        suite.repository.forbidden.add(operation);
        assert.match(
          await suite.fails("Not permitted"),
          /status 403 to \w+ [\w/.]+: Resource not accessible by integration\. The job needs `permissions: actions: read, issues: write`$/,
        );
        assert.equal(suite.pushes(), writes);
      });

      it(`asks again for ${operation} after 503, and does it once`, async () => {
        instead(operation, { status: 503 }, { times: 1 });
        await suite.passes();
        assert.equal(issues().length, 1);
      });

      it(`gives up on ${operation} where it stays away, and says so`, async () => {
        instead(operation, { status: 503 });
        assert.match(await suite.fails("GitHub refuses"), /GitHub answers status 503 to /);
        assert.equal(count(operation), 4);
        assert.equal(suite.pushes(), writes);
      });

      it(`waits for ${operation} while it is limited, and blames no permission in the end`, async () => {
        const body = { message: "API rate limit exceeded for installation ID 1." };
        const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1" };
        instead(operation, { status: 403, body, headers }, { times: 2 });
        await suite.passes();
        issues().length = 0;
        instead(operation, { status: 403, body, headers });
        assert.match(await suite.fails("GitHub refuses"), /status 403 to .*rate limit exceeded for installation ID 1$/);
      });
    }

    for (const status of [undefined, 500, 502]) {
      for (const done of [true, false]) {
        const what = `${status ? `${status}` : "no answer"}, ${done ? "though it was done" : "and nothing was done"}`;
        it(`opens one issue where opening has ${what}`, async () => {
          instead("issues/create", status ? { status } : undefined, { times: 1, done });
          assert.match(
            await suite.passes(),
            /POST issues: .*at attempt 1; looking whether it was made\nOpened issue #1/,
          );
          assert.equal(issues().length, 1);
          assert.equal(count("issues/create"), done ? 1 : 2);
        });

        it(`comments once where commenting has ${what}`, async () => {
          await suite.passes();
          deploy({ status: "build_failed" });
          instead("issues/create-comment", status ? { status } : undefined, { times: 1, done });
          for (const _ of [1, 2]) await suite.passes();
          assert.equal(issues()[0]!.comments.length, 1);
        });

        it(`changes an issue where changing it has ${what}`, async () => {
          await suite.passes();
          deploy({});
          instead("issues/update", status ? { status } : undefined, { times: 1, done });
          await suite.passes();
          assert.deepEqual([states(), issues()[0]!.comments.length], [["closed"], 1]);
        });
      }
    }

    it("takes an answer that is no issue for a lost one", async () => {
      instead("issues/create", { status: 201, body: {} }, { times: 1, done: true });
      await suite.passes();
      assert.equal(issues().length, 1);
    });

    const odd = { body: Buffer.from("<html>") };
    for (const [operation, replies] of Object.entries({
      "actions/list-workflow-runs": [
        odd,
        ...[[], {}, null, { workflow_runs: null }, { workflow_runs: [{}] }, { workflow_runs: [null] }],
      ],
      "issues/list-for-repo": [
        odd,
        ...[{}, null, [null], [{}], [{ number: "1", body: null }], [{ number: 1, body: [] }]],
      ],
    })) {
      for (const reply of replies) {
        const what = reply === odd ? "no JSON" : JSON.stringify(reply);
        it(`refuses ${what} as an answer to ${operation}`, async () => {
          instead(operation, reply === odd ? odd : { body: reply });
          assert.match(await suite.fails("GitHub refuses"), /status 200 to GET .*another form than GitHub documents$/);
          assert.deepEqual(issues(), []);
          assert.equal(suite.pushes(), operation.startsWith("issues/") ? 1 : 0);
        });
      }
    }

    describe("where the repository has no issues", () => {
      const off = { status: 410, body: { message: "Issues has been disabled in this repository." } };
      beforeEach(() => {
        suite.api.intercept = async ({ operation }, answer) => (operation.startsWith("issues/") ? off : answer());
      });

      it("keeps the file, and fails for a trouble that it cannot tell", async () => {
        assert.match(
          await suite.fails("GitHub refuses"),
          /status 410 to POST issues: Issues has been disabled in this/,
        );
        assert.match(suite.status(), /^\| Last deploy \| `build_failed` /m);
        assert.equal(suite.pushes(), 1);
      });

      it("has nothing to fail for once all is well", async () => {
        deploy({ status: "live" });
        suite.repository.run({ file: "deploy.yaml", conclusion: "success" });
        await suite.passes();
        assert.match(suite.status(), /^\| Last deploy \| `live` /m);
      });
    });

    it("cannot forge an annotation by what it says", async () => {
      instead("issues/create", { status: 422, body: { message: "x\n::error title=y::%0A::z" } });
      assert.match(await suite.fails("GitHub refuses"), /to POST issues: x ::error title=y::%250A::z$/);
    });

    it("says that the token is no longer known", async () => {
      instead("actions/list-workflow-runs", { status: 401, body: { message: "Bad credentials" } });
      assert.match(await suite.fails("Not permitted"), /status 401 .*Bad credentials/);
    });
  });

  for (const name of ["GITHUB_TOKEN", "BRANCH", "STATUS_FILE", "STATUS_HEAD", "WORKFLOWS", "SERVICE_ID"]) {
    it(`says that ${name} is missing`, async () => {
      assert.match(await suite.fails("Not configured", { [name]: " " }), new RegExp(`::${name} is empty or not set`));
      assert.equal(suite.pushes(), 0);
    });
  }
});
