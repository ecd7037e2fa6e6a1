import assert from "node:assert/strict";
import { at, CANARY, job, OUTDATED, recoverSuite, step } from "./recover-suite.ts";
import { SERVICE } from "./render-stub.ts";
import type { Job, Run } from "./repository-stub.ts";

describe("recover.py: what a run failed of", () => {
  const suite = recoverSuite();

  const failed = (jobs: Job[], more: Partial<Run> = {}) => suite.github.run({ file: "deploy.yaml", jobs, ...more });
  const finds = async (run: Run, expected: string, cause: RegExp, env = {}) => {
    const { action, output } = await suite.diagnose({ RUN_ID: `${run.id}`, ...env });
    assert.equal(action, expected, output);
    assert.match(output, cause);
    return output;
  };
  const untouched = () => {
    assert.deepEqual(suite.github.snapshot(), { issues: [], pulls: [], dispatched: [], rerun: [] });
    assert.deepEqual(suite.box.calls("git"), []);
  };

  describe("the lock file", () => {
    for (const code of [
      "OUTDATED_LOCKFILE",
      "NO_LOCKFILE",
      "BROKEN_LOCKFILE",
      "LOCKFILE_MISSING_DEPENDENCY",
      "LOCKFILE_BREAKING_CHANGE",
      "LOCKFILE_CONFIG_MISMATCH",
      "FROZEN_LOCKFILE_WITH_OUTDATED_LOCKFILE",
    ])
      it(code, async () => {
        await finds(
          failed([job([` ERR_PNPM_${code}  it is so`])]),
          "rebuild",
          new RegExp(`It failed of the lock file \\(ERR_PNPM_${code}\\); failed: build: Install: rebuild\n`),
        );
        untouched();
      });

    it("is read out of colours, carriage returns, a byte order mark, and lines without times", async () => {
      const mark = "\ufeff";
      const red = "\u001b[41m\u001b[30m ERR_PNPM_OUTDATED_LOCKFILE \u001b[39m\u001b[49m Cannot install";
      for (const log of [mark + job([red]).log, job([OUTDATED]).log.replaceAll("\n", "\r\n"), `${mark}${OUTDATED}\r\n`])
        await finds(failed([job([], { log })]), "rebuild", /ERR_PNPM_OUTDATED_LOCKFILE/);
    });

    it("is found in megabytes, and where a step's times are missing, have a zone, or there is no step", async () => {
      const noise = Array.from({ length: 40_000 }, (_, line) => `ok ${line} ${"x".repeat(100)}`);
      await finds(failed([job([...noise, OUTDATED, ...noise])]), "rebuild", /OUTDATED/);
      const failure = { name: "Install", conclusion: "failure" };
      const zone = { started_at: "2026-11-22T02:00:05.000-08:00", completed_at: "2026-11-22T02:00:09.000-08:00" };
      for (const steps of [[failure], [{ ...failure, ...zone }], []])
        await finds(failed([job([OUTDATED], { steps })]), "rebuild", /OUTDATED/);
    });

    it("is no cause in a step that did not fail, though it ended in the second in which the next one began", async () => {
      const tests = ["##[group]Run pytest", "##[endgroup]", "1 failed"];
      const log =
        at(1, "##[group]Run pnpm lint", "##[endgroup]") +
        at(5, OUTDATED, "  a line without a time".trim(), "##[error]Process completed with exit code 1.", ...tests) +
        at(9, "##[error]Process completed with exit code 1.", "##[group]Run pnpm report", "##[endgroup]") +
        at(10, OUTDATED);
      const steps = [step("Lint", "success", 1, 5), step("Test", "failure", 5, 9), step("Report", "success", 9, 11)];
      await finds(failed([job([], { steps, log })]), "tell", /Nothing that a program can repair; failed: build: Test/);
    });

    it("is no cause in a line that goes on after a step that did not fail", async () => {
      for (const log of [`${at(2, "10 %\r20 %")}${OUTDATED}\n`, `\ufeff${at(2, OUTDATED)}`])
        await finds(failed([job([], { log: log + at(7, "1 failed") })]), "tell", /Nothing/);
    });

    it("is no cause in a job that succeeded, or in the echo of a script and its environment", async () => {
      const echo = at(
        5,
        "##[group]Run pytest",
        `\u001b[36;1mgrep ${OUTDATED}\u001b[0m`,
        "env:",
        OUTDATED,
        "##[endgroup]",
      );
      await finds(
        failed([job([OUTDATED], { name: "lint", conclusion: "success" }), job([], { log: echo + at(7, "1 failed") })]),
        "tell",
        /failed: build: Install: tell/,
      );
    });

    it("is Render's own", async () => {
      const line = "##[error][deploy-failed] dep-d1 of aaaaaaa: build_failed, the build command failed. Its log says";
      await finds(
        failed([job([`${line} ERR_PNPM_OUTDATED_LOCKFILE. What`])]),
        "rebuild",
        /\(ERR_PNPM_OUTDATED_LOCKFILE\)/,
      );
    });

    it("is not made anew for the commit that has made it anew, nor a fourth time in a day", async () => {
      const message = "ci: rebuild pnpm-lock.yaml\n\nPipeline-Recovery: https://github.example/run";
      const itself = failed([job([OUTDATED])], { message });
      await finds(itself, "tell", /A lock file that was made anew is refused again: the lock file \(ERR_PNPM_OUTDATED/);
      suite.github.commits.push("feat: a change", message, message);
      await finds(failed([job([OUTDATED])]), "rebuild", /It failed of the lock file/);
      suite.github.commits.push(message);
      await finds(
        failed([job([OUTDATED])]),
        "tell",
        /pnpm-lock\.yaml was made anew 3 times in a day, and it failed again/,
      );
    });
  });

  describe("something that passes", () => {
    const passing: Record<string, string[]> = {
      "pnpm: no answer": [" ERR_PNPM_META_FETCH_FAIL  GET https://registry.npmjs.org/left: reason: socket hang up"],
      "pnpm: name": [" EAI_AGAIN  request to https://registry.npmjs.org/left failed, reason: getaddrinfo EAI_AGAIN"],
      "pnpm: 503": [" ERR_PNPM_FETCH_503  GET https://registry.npmjs.org/left: Service Unavailable - 503"],
      npm: ["npm error code ECONNRESET"],
      pip: [
        "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool(host='pypi.org', port=443): Read timed out.",
      ],
      apt: ["E: Failed to fetch http://archive.ubuntu.com/a.deb  503  Service Unavailable [IP: 1.2.3.4 80]"],
      "curl: name": ["curl: (6) Could not resolve host: api.example.com"],
      "curl: after its progress": ["  0     0    0     0\rcurl: (6) Could not resolve host: api.example.com"],
      "npm, after its spinner": ["\u001b[1G\u001b[0K\u001b[?25hnpm error code ECONNRESET"],
      "npm, in colours": ["\u001b[1mnpm\u001b[22m \u001b[31merror\u001b[39m code ECONNRESET"],
      "curl: 502": ["curl: (22) The requested URL returned error: 502"],
      git: ["fatal: unable to access 'https://github.com/a/b/': The requested URL returned error: 503"],
      "git: cut": ["error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502"],
      actions: ["##[error]Response status code does not indicate success: 503 (Service Unavailable)."],
      "an action": ["##[error]connect ETIMEDOUT 140.82.112.6:443"],
      runner: [
        "##[error]The runner has received a shutdown signal. This can happen when the runner service is stopped",
      ],
      "runner lost": ["##[error]The hosted runner lost communication with the server."],
      "GitHub's API": ["##[error]GitHub answers status 503: GET issues: no answer came in time"],
    };
    for (const [what, lines] of Object.entries(passing))
      it(what, async () => {
        await finds(
          failed([job(lines)]),
          "rerun",
          /It failed of something that passes.*; failed: build: Install: rerun/,
        );
        untouched();
      });

    for (const line of [
      " ! [rejected]        HEAD -> main (fetch first)",
      " ! [rejected]        main -> main (non-fast-forward)",
      " ! [remote rejected] HEAD -> main (cannot lock ref 'refs/heads/main': is at 1 but expected 2)",
      "##[error]main moved on before each of 5 pushes",
      "##[error][rejected] main moved on before each of 5 pushes",
    ])
      it(`a push that came too late: ${line}`, async () => {
        await finds(failed([job([line])]), "rerun", /It failed of a push that came too late; failed: build: Install/);
      });

    it("is not tried a fourth time", async () => {
      const jobs = [job(["npm error code ECONNRESET"])];
      await finds(failed(jobs, { run_attempt: 2 }), "rerun", /: rerun/);
      await finds(failed(jobs, { run_attempt: 3 }), "tell", /It failed in each of 3 attempts of something that passes/);
      await finds(failed(jobs, { run_attempt: 4 }), "rerun", /: rerun/, { MAX_ATTEMPTS: "5" });
    });
  });

  describe("nothing that a program can repair", () => {
    const plain: Record<string, string[]> = {
      pytest: [
        "    def test_health(client):",
        ">       assert client.get('/health').status_code == 200, 'HTTP 503'",
        "E       AssertionError: expected status 503, got error 500",
        "E       assert 502 == 200",
        "E       requests.exceptions.ReadTimeout: HTTPConnectionPool(host='api.test', port=80): Read timed out. (read timeout=1)",
        "E       ConnectionResetError: [Errno 104] Connection reset by peer",
        "tests/test_api.py:12: urllib3: Could not resolve host, a timeout, ECONNRESET",
        "FAILED tests/test_api.py::test_health - AssertionError: expected status 503, got error 500",
        "ERROR tests/test_db.py::test_up - ConnectionError: Connection reset by peer",
        "ERROR: test_read (tests.test_api.Reads): 1 failed",
        "##[error]tests/test_api.py#L12 expected status 503, HTTP 503, code 503",
      ],
      "a test with a service of its own": [
        "    Error: connect ECONNREFUSED",
        "##[error]Error: connect ECONNREFUSED 127.0.0.1:5432",
        "npm error connect ECONNREFUSED ::1:5432",
        "curl: (7) Connection timed out: http://localhost:8080",
      ],
      "what was tried again, and went well": [
        " WARN  GET https://registry.npmjs.org/left error (ECONNRESET). Will retry in 10 seconds. 2 retries left.",
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'ReadTimeoutError(\"Read timed out.\")': /simple/",
        "warning: retrying: Connection reset by peer",
      ],
      "a push that rules refuse": [
        "remote: error: GH006: Protected branch update failed for refs/heads/main.",
        " ! [remote rejected] main -> main (protected branch hook declined)",
        "error: failed to push some refs to 'https://github.com/a/b'",
      ],
      "words of pushes": ["See the 'Note about fast-forwards': a non-fast-forward, fetch first, cannot lock ref"],
      "words of this pipeline": ["HEAD is now at 1234567 fix: say [deploy-failed] and [hook-unreachable] in one line"],
    };
    for (const [what, lines] of Object.entries(plain))
      it(what, async () => {
        await finds(failed([job(lines)]), "tell", /Nothing that a program can repair; failed: build: Install: tell/);
      });

    it("says which steps failed, and of a run without a job that GitHub may have refused the workflow", async () => {
      const steps = [step("Run echo `x` @all <b>", "failure", 1, 2), step("Test", "failure", 3, 4)];
      const jobs = [job([], { steps }), job([], { name: "e2e (1)", steps: [] })];
      await finds(failed(jobs), "tell", /failed: build: Run echo x all b, build: Test, e2e 1/);
      await finds(
        failed([], { conclusion: "startup_failure" }),
        "tell",
        /no job, so that GitHub itself may have refused/,
      );
    });

    it("where a log is gone", async () => {
      for (const [status, attempts] of [
        [404, 3],
        [410, 1],
      ] as const) {
        let asked = 0;
        suite.github.handlers["store/log"] = () => {
          asked++;
          return { status, body: CANARY };
        };
        await finds(
          failed([job([OUTDATED])]),
          "tell",
          /A log could not be read, so that what it failed of is not known/,
        );
        assert.equal(asked, attempts);
      }
    });

    it("but where a log comes late", async () => {
      const stored = suite.github.handlers["store/log"]!;
      let asked = 0;
      suite.github.handlers["store/log"] = (call) => (asked++ === 0 ? { status: 404 } : stored(call));
      await finds(failed([job([OUTDATED])]), "rebuild", /the lock file \(ERR_PNPM_OUTDATED_LOCKFILE\)/);
    });
  });

  describe("a deploy at Render's", () => {
    const deploys = (said: string, more: Partial<Run> = {}) => failed([job([`##[error]${said}`])], more);
    const late = "[deploy-timeout] dep-d1 is still build_in_progress after 1800 s. It goes on at Render's";

    it("was canceled", async () => {
      const said = "[deploy-failed] dep-d1 of aaaaaaa: canceled, somebody, or a newer deploy, has canceled it. What";
      await finds(deploys(said), "nothing", /The deploy was canceled/);
    });

    it("failed", async () => {
      const said = "[deploy-failed] dep-d1 of aaaaaaa: update_failed, it did not start. See https://x/canceled";
      await finds(deploys(said), "tell", /Render's deploy failed; failed: build: Install/);
    });

    for (const [status, action, words] of [
      ["live", "nothing", /The deploy took long, and dep-d1 is live now/],
      ["deactivated", "nothing", /dep-d1 is deactivated now/],
      ["canceled", "nothing", /dep-d1 is canceled now/],
      ["build_failed", "tell", /Render's deploy failed/],
      ["update_in_progress", "nothing", /The deploy goes on at Render's: the monitor tells how it ends/],
    ] as const)
      it(`took too long, and is ${status} now`, async () => {
        suite.render.add({ status: "live" });
        suite.render.add({ id: "dep-d1", status });
        await finds(deploys(late), action, words);
        // Where it got no name, it is the newest.
        await finds(deploys("[deploy-timeout] Render accepted the deploy of aaaaaaa, but lists none"), action, words);
      });

    it("took too long, and how it ended cannot be looked at", async () => {
      await finds(deploys(late), "tell", /RENDER_API_KEY is not set: how the deploy has ended is not looked at/, {
        RENDER_API_KEY: "",
      });
      await finds(deploys(late), "tell", /How the deploy has ended cannot be looked at: Render knows no services/);
      suite.render.instead("GET /v1/", { status: 500, times: 9 });
      await finds(deploys(late), "tell", /How the deploy has ended cannot be looked at: status 500/);
    });
  });

  describe("the deploy hook", () => {
    const codes = ["hook-invalid", "hook-unreachable", "hook-refused", "hook-unsure"];
    const fails = (code: string, more: Partial<Run> = {}) => failed([job([`##[error][${code}] HTTP 000`])], more);

    it("could not be reached, and can be now", async () => {
      await finds(fails("hook-unreachable"), "rerun", /a deploy hook that could not be reached, and can be now/);
      assert.deepEqual(
        suite.render.requests.map(({ method, path }) => `${method} ${path}`),
        ["GET /", `GET /v1/services/${SERVICE}`],
      );
      await finds(
        fails("hook-unreachable", { run_attempt: 3 }),
        "tell",
        /It failed in each of 3 attempts of a deploy hook/,
      );
    });

    it("without a key says what it could not look at", async () => {
      const output = await finds(fails("hook-unreachable"), "rerun", /can be now/, { RENDER_API_KEY: "" });
      assert.match(output, /^RENDER_API_KEY is not set: whether Render knows the service is not looked at$/m);
      assert.equal(suite.render.requests.length, 1);
    });

    it("was not valid, and has been saved anew", async () => {
      const run = failed([job(["##[error][hook-invalid] RENDER_DEPLOY_HOOK is empty"])]);
      await finds(run, "rerun", /It failed of a deploy hook that was not valid, and is now; failed: build: Install/);
      await finds(
        fails("hook-invalid", { run_attempt: 3 }),
        "tell",
        /It failed in each of 3 attempts of a deploy hook/,
      );
    });

    for (const [status, words] of [
      [
        400,
        /Render refused to deploy, HTTP 400: .*the commit may not be on the branch that the service deploys; failed/,
      ],
      [409, /Render refused to deploy, HTTP 409: the service cannot be deployed now, for instance because it is susp/],
      [404, /Render refused the deploy hook, though its form is right: its key may be an old one; failed/],
    ] as const)
      it(`was refused by HTTP ${status}`, async () => {
        await finds(failed([job([`##[error][hook-refused] HTTP ${status}: ${CANARY}`])]), "tell", words);
      });

    it("was refused, or its answer was lost", async () => {
      await finds(
        fails("hook-refused"),
        "tell",
        /Render refused the deploy hook, though its form is right: its key may be/,
      );
      await finds(fails("hook-unsure"), "tell", /The hook's answer was lost, and a deploy may have begun/);
    });

    const wrong: [string, (url: string) => string, RegExp][] = [
      ["empty", () => "", /RENDER_DEPLOY_HOOK is empty/],
      ["elsewhere", () => "https://api.example.com/deploy/x", /is no URL of .*HTTP 000/],
      ["malformed", (url) => `${url}/deploy/${SERVICE}`, /is malformed after/],
      [
        "another service's",
        (url) => `${url}/deploy/srv-other?key=x`,
        /is the hook of srv-other, and the service is srv-d1/,
      ],
      ["a Blueprint's", (url) => `${url}/deploy/exs-1?key=x`, /is a Blueprint's hook/],
    ];
    for (const [what, url, words] of wrong)
      it(`is ${what}`, async () => {
        for (const code of codes)
          await finds(fails(code), "tell", words, { RENDER_DEPLOY_HOOK: url(suite.render.url) });
      });

    it("is of a service that is suspended or unknown, or nothing answers; a key that is not valid says nothing of it", async () => {
      suite.render.service["suspended"] = "suspended";
      await finds(fails("hook-refused"), "tell", /The deploy hook: mining is suspended in Render: resume it there/);
      suite.render.instead("GET /v1/services", { status: 404 }, { status: 401 }, { status: 500, times: 4 });
      await finds(fails("hook-refused"), "tell", /The deploy hook: Render knows no services\/srv-/);
      await finds(fails("hook-unreachable"), "rerun", /is not looked at: status 401: RENDER_API_KEY is not valid/);
      await finds(fails("hook-refused"), "tell", /The deploy hook: Render's API gives no answer: status 500/);
      suite.render.instead("GET /", { fails: "drop", times: 4 });
      await finds(fails("hook-unreachable"), "tell", /127\.0\.0\.1:\d+ gives no answer \(HTTP 000\): the connection/);
    });
  });

  describe("has nothing to do with", () => {
    const cases: [string, Partial<Run>, RegExp][] = [
      ["a pull request's run", { event: "pull_request" }, /Nothing: the run is not of main itself/],
      ["another branch's", { head_branch: "feature" }, /Nothing: the run is not of main itself/],
      [
        "a fork's, of a branch of the same name",
        { head_repository: "somebody/mining" },
        /Nothing: the run is not of main itself/,
      ],
      ["a success", { conclusion: "success" }, /Nothing: the run has ended as success/],
      ["what was cancelled", { conclusion: "cancelled" }, /Nothing: the run has ended as cancelled/],
      [
        "a run that goes on",
        { status: "in_progress", conclusion: null },
        /Nothing: the run goes on: somebody has started it again/,
      ],
      [
        "recovery itself",
        { file: "auto-recovery.yaml" },
        /Nothing: auto-recovery\.yaml is none of deploy\.yaml, ci\.yaml, monitor/,
      ],
    ];
    for (const [what, more, words] of cases)
      it(what, async () => {
        await finds(failed([job([OUTDATED])], more), "nothing", words);
        untouched();
        assert.deepEqual(suite.render.requests, []);
      });

    it("what a newer run has overtaken, though that goes on", async () => {
      const run = failed([job([OUTDATED])]);
      suite.github.run({ file: "ci.yaml" });
      suite.github.run({ file: "deploy.yaml", head_branch: "feature" });
      await finds(run, "rebuild", /: rebuild/);
      suite.github.run({ file: "deploy.yaml", status: "queued", conclusion: null });
      await finds(run, "nothing", /Nothing: run 100 of deploy\.yaml is overtaken by run 103/);
    });
  });

  describe("by hand, and by schedule", () => {
    const plan = () =>
      (JSON.parse(suite.box.read("tmp/diagnosis.json")) as { run: Run; action: string }[]).map(({ run, action }) => [
        run.id,
        action,
      ]);

    it("takes the newest run of each workflow, and hides none behind another", async () => {
      suite.github.run({ file: "deploy.yaml", jobs: [job([])] });
      suite.github.run({ file: "ci.yaml", jobs: [job([OUTDATED])] });
      suite.github.run({ file: "monitor.yaml", conclusion: "success" });
      const { action, output } = await suite.diagnose();
      assert.equal(action, "rebuild", output);
      assert.deepEqual(plan(), [
        [9000, "tell"],
        [9001, "rebuild"],
      ]);
    });

    it("goes by the newest run that says something: a cancelled one hides no failure", async () => {
      suite.github.run({ file: "deploy.yaml", jobs: [job([])] });
      suite.github.run({ file: "deploy.yaml", conclusion: "cancelled" });
      assert.equal((await suite.diagnose()).action, "tell");
      assert.deepEqual(plan(), [[9000, "tell"]]);
    });

    it("leaves out what is overtaken", async () => {
      suite.github.run({ file: "ci.yaml", jobs: [job([])] });
      suite.github.run({ file: "deploy.yaml" });
      suite.github.run({ file: "deploy.yaml", status: "in_progress", conclusion: null });
      assert.equal((await suite.diagnose()).action, "tell");
      assert.deepEqual(plan(), [[9000, "tell"]]);
    });

    it("looks at the hook where nothing has failed and somebody wants to know, and does nothing else", async () => {
      failed([], { conclusion: "success" });
      assert.doesNotMatch((await suite.diagnose()).output, /Deploy hook/);
      assert.deepEqual(suite.render.requests, []);
      const { action, output } = await suite.diagnose({ CHECK_HOOK: "true" });
      assert.equal(action, "nothing");
      assert.match(output, /^::notice title=Deploy hook::Its form is right, and its host answers$/m);
      assert.match(output, /Nothing: the newest run of none of deploy\.yaml, ci\.yaml, monitor\.yaml has failed$/m);
      const wrong = await suite.diagnose({ CHECK_HOOK: "true", RENDER_DEPLOY_HOOK: "" });
      assert.equal(wrong.action, "nothing");
      assert.match(wrong.output, /^::warning title=Deploy hook::RENDER_DEPLOY_HOOK is empty/m);
      untouched();
    });
  });

  describe("odd answers", () => {
    for (const [what, operation, body] of [
      ["a run that is a list", "actions/get-workflow-run", []],
      ["a run without a path", "actions/get-workflow-run", { id: 1 }],
      ["no runs", "actions/list-workflow-runs", { total_count: 0 }],
      ["jobs that are none", "actions/list-jobs-for-workflow-run-attempt", { jobs: [5] }],
      ["commits that are none", "repos/list-commits", [{ sha: "x" }]],
    ] as const)
      it(`are a clean failure: ${what}`, async () => {
        const run = failed([job([OUTDATED])]);
        suite.github.handlers[operation] = () => ({ body });
        const { code, output } = await suite.start("recover.py", { COMMAND: "diagnose", RUN_ID: `${run.id}` });
        assert.equal(code, 1, output);
        assert.match(output, /^::error title=[^:]+::[^\n]*form[^\n]*\n$/);
        assert.equal(suite.box.read("output"), "");
      });

    it("are a clean failure: a run that does not exist, a token that is refused, a command that is none", async () => {
      const missing = await suite.start("recover.py", { COMMAND: "diagnose", RUN_ID: "1" });
      assert.equal(missing.code, 1);
      assert.match(missing.output, /^::error title=GitHub refuses::GitHub answers status 404/);
      suite.github.forbidden.add("actions/get-workflow-run");
      const denied = await suite.start("recover.py", { COMMAND: "diagnose", RUN_ID: "1" });
      assert.match(denied.output, /^::error title=Not permitted::.*status 403.*`permissions: actions: write/);
      const command = await suite.start("recover.py", { COMMAND: "mend" });
      assert.match(command.output, /^::error title=Not configured::COMMAND is mend: expected diagnose or repair\n$/);
    });

    it("of the service are no service that is suspended", async () => {
      const run = failed([job(["##[error][hook-refused] HTTP 404"])]);
      suite.render.instead("GET /v1/services", { body: [] });
      const { code, output } = await suite.start("recover.py", { COMMAND: "diagnose", RUN_ID: `${run.id}` });
      assert.match(output, code === 0 ? /Render's API gives no answer/ : /::error title=Answer not understood::/);
    });
  });
});
