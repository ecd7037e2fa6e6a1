/** The delivered workflows: what starts them, what each job may and gets, and runs of them whole. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { data, Evaluator, Lexer, Parser } from "@actions/expressions";
import { parse } from "yaml";
import { check } from "../../../cli/render/checks.ts";
import { textBeside } from "../../../components/beside.ts";
import type { Job, Workflow } from "../../../components/github/workflow.ts";
import type { StandIn } from "../../../sandbox/stand-in/server.ts";
import type { Deploying } from "../../../systems/qivo/config.ts";
import { checks, rulesets, workflowPath, workflows } from "../../../systems/qivo/names.ts";
import { deliveredFiles } from "../../../systems/qivo/repository/files.ts";
import { StandIns } from "../../components/github/stand-ins.ts";
import { RenderStub, SERVICE } from "../../components/render/render-stub.ts";
import { RepositoryStub, type Run } from "../../components/render/repository-stub.ts";
import { Act, GitServer, requireAct, starts, type WorkflowEvent } from "../../support/act.ts";
import { assertLintersTake } from "../../support/lint.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { configOf } from "./fixture.ts";

const REPOSITORY = "sua-org/ComplianceCore-Mining";

type Which = keyof typeof workflows;
const all = Object.keys(workflows) as Which[];

const deploying = (changes: object = {}) => configOf("prod", changes) as Deploying;
const filesFor = (changes: object = {}, owner = "sua-org") =>
  new Map(deliveredFiles(deploying(changes), owner).map(({ path, text }) => [path, text]));
/** The text of a workflow that prod delivers. */
const delivered = (which: Which, changes: object = {}): string => {
  const text = filesFor(changes).get(workflowPath(which));
  assert.ok(text, which);
  return text;
};
const workflow = (which: Which, changes: object = {}) => parse(delivered(which, changes)) as Workflow;
const jobsOf = (which: Which, changes: object = {}) => Object.entries(workflow(which, changes).jobs);
const jobOf = (which: Which, id: string, changes: object = {}): Job => workflow(which, changes).jobs[id]!;

const push = (ref: string): WorkflowEvent => ({ name: "push", payload: { ref: `refs/${ref}` } });
const pullRequest: WorkflowEvent = { name: "pull_request", payload: { action: "opened", number: 7 } };
const byHand: WorkflowEvent = { name: "workflow_dispatch", payload: { ref: "refs/heads/main" } };
const schedule = (cron: string): WorkflowEvent => ({ name: "schedule", payload: { schedule: cron } });
const ended = (name: string, run: object = {}, action = "completed"): WorkflowEvent => ({
  name: "workflow_run",
  payload: {
    action,
    workflow_run: {
      name,
      conclusion: "failure",
      event: "push",
      head_branch: "main",
      head_repository: { full_name: REPOSITORY },
      ...run,
    },
  },
});

/** Where a job asks one of GitHub's contexts for something: name and key, each once. */
const asks = (value: unknown, context: string): string[] => [
  ...new Set([...JSON.stringify(value).matchAll(new RegExp(`\\b${context}\\.(\\w+)`, "g"))].map(([, name]) => name!)),
];

describe("qivo's workflows", () => {
  it("are five, with the programs that they run, from prod; dev delivers nothing", () => {
    assert.deepEqual(deliveredFiles(configOf("dev"), "sua-org"), []);
    const programs = ["tell", "web", "render", "github", "landing", "deploy", "monitor", "recover"];
    assert.deepEqual(
      [...filesFor().keys()],
      [
        ...programs.map((each) => `.github/render/${each}.py`),
        ...["count_tests.py", "build_summary.sh"].map((each) => `.github/scripts/${each}`),
        ...["test.yml", "python-ci.yml", "deploy.yaml", "monitor.yaml", "auto-recovery.yaml"].map(
          (each) => `.github/workflows/${each}`,
        ),
      ],
    );
  });

  const app = ["src/app.ts"];
  for (const [what, event, changed, ...expected] of [
    ["a push to main", push("heads/main"), app, "deploy", "pythonCi"],
    ["one of the lock file", push("heads/main"), ["pnpm-lock.yaml"], "deploy", "pythonCi"],
    ["one of another document", push("heads/main"), ["docs/README.md"], "deploy", "pythonCi"],
    ["one of the status and the application", push("heads/main"), ["docs/PIPELINE.md", ...app], "deploy", "pythonCi"],
    ["one of the status alone", push("heads/main"), ["docs/PIPELINE.md"]],
    ["one of delivered files alone", push("heads/main"), [".github/render/tell.py", ".github/workflows/deploy.yaml"]],
    ["one of both", push("heads/main"), ["docs/PIPELINE.md", ".github/render/tell.py"]],
    // GitHub's filters of paths want a changed file: an empty commit has none.
    ["one of an empty commit", push("heads/main"), []],
    ["a push elsewhere", push("heads/feature"), app],
    ["a push of the recovery's branch", push("heads/qivo-mining/pnpm-lock"), ["pnpm-lock.yaml"]],
    ["a tag", push("tags/main"), app],
    ["a pull request", pullRequest, app, "tests", "pythonCi"],
    ["somebody", byHand, app, ...all],
    ["the clock", schedule("7,37 * * * *"), app, "monitor", "recovery"],
    ["another schedule", schedule("0 * * * *"), app],
    ["the end of deploy.yaml", ended("Deploy"), app, "recovery"],
    ["the end of test.yml", ended("Tests"), app, "recovery"],
    ["the end of python-ci.yml", ended("Python CI"), app, "recovery"],
    ["the end of monitor.yaml", ended("Monitor Pipeline"), app, "recovery"],
    ["the end of the recovery itself", ended("Auto-Recovery"), app],
    ["the end of a run elsewhere", ended("Deploy", { head_branch: "feature" }), app],
    ["the beginning of a run", ended("Deploy", {}, "requested"), app],
    ["a release", { name: "release", payload: { action: "published" } }, app],
    ["a repository_dispatch", { name: "repository_dispatch", payload: { action: "deploy" } }, app],
  ] as readonly (readonly [string, WorkflowEvent, readonly string[], ...Which[]])[]) {
    it(`${expected.join(", ") || "none"}: started by ${what}`, () =>
      assert.deepEqual(
        all.filter((each) => starts(delivered(each), event, changed)),
        expected,
      ));
  }

  it("are called as auto-recovery knows them, and it does not know itself", () => {
    const { on } = parse(delivered("recovery")) as {
      on: { workflow_run: { workflows: string[]; branches: string[] } };
    };
    const others = all.filter((each) => each !== "recovery");
    assert.deepEqual(new Set(on.workflow_run.workflows), new Set(others.map((each) => workflow(each).name)));
    assert.deepEqual(on.workflow_run.branches, ["main"]);
    assert.deepEqual(on, {
      workflow_run: {
        workflows: ["Deploy", "Tests", "Python CI", "Monitor Pipeline"],
        types: ["completed"],
        branches: ["main"],
      },
      schedule: [{ cron: "7,37 * * * *" }],
      workflow_dispatch: {},
    });
    const files = others.map((each) => workflowPath(each).split("/").at(-1)!);
    for (const { env = {} } of jobOf("recovery", "recover").steps!) {
      const { WORKFLOWS } = env as Record<string, string>;
      if (WORKFLOWS) assert.deepEqual(new Set(JSON.parse(WORKFLOWS) as string[]), new Set(files));
    }
  });

  describe("auto-recovery's condition", () => {
    /** As GitHub evaluates it. */
    const holds = (event: WorkflowEvent, repository = REPOSITORY): boolean => {
      const { tokens } = new Lexer(jobOf("recovery", "recover").if as string).lex();
      const github = { event_name: event.name, event: event.payload, repository };
      const context = JSON.parse(JSON.stringify({ github }), data.reviver) as data.Dictionary;
      const value = new Evaluator(new Parser(tokens, ["github"], []).parse(), context).evaluate();
      assert.ok(value instanceof data.BooleanData);
      return value.value;
    };
    const fork = { head_repository: { full_name: "somebody-else/ComplianceCore-Mining" } };
    for (const [what, expected, run] of [
      ["a push's failure", true, {}],
      ["a push's run that took too long", true, { conclusion: "timed_out" }],
      ["a push's workflow that GitHub could not start", true, { conclusion: "startup_failure" }],
      ["a failure by schedule", true, { event: "schedule" }],
      ["a failure by hand", true, { event: "workflow_dispatch" }],
      ["a pull request's failure, from a branch called main", false, { event: "pull_request" }],
      ["a fork's pull request's failure", false, { event: "pull_request", ...fork }],
      ["a fork's failure", false, fork],
      ["a failure of a fork that is gone", false, { head_repository: null }],
      ...["success", "skipped", "cancelled", "neutral", "action_required", "stale"].map(
        (conclusion) => [`a run that ended as ${conclusion}`, false, { conclusion }] as const,
      ),
    ] as const) {
      it(`${expected ? "takes" : "passes over"} ${what}`, () => assert.equal(holds(ended("Deploy", run)), expected));
    }

    it("takes whoever starts it by hand, and the clock, but not in a fork", () => {
      const clock = schedule("7,37 * * * *");
      assert.deepEqual([holds(byHand), holds(clock)], [true, true]);
      for (const event of [byHand, clock, ended("Deploy"), ended("Deploy", fork)])
        assert.equal(holds(event, "somebody-else/ComplianceCore-Mining"), false);
    });
  });

  const own = `github.repository == '${REPOSITORY}'`;
  const read = { contents: "read" };
  const quiet = (name: string) => ({ name, deployment: false });
  const inTurn = { group: "qivo-mining-pipeline", "cancel-in-progress": false, queue: "max" };
  const tests = {
    name: "Run Automated Tests",
    minutes: 60,
    permissions: read,
    environment: quiet("dev"),
    secrets: { "Bridge AI": ["DATABASE_URL", "OPENAI_API_KEY"], "Validator AI": ["DATABASE_URL", "OPENAI_API_KEY"] },
    token: [],
  };
  const none = { needs: undefined, if: undefined, environment: undefined, concurrency: undefined };
  const build = { ...none, name: "Build & Setup", if: own, minutes: 60, permissions: read, secrets: {}, token: [] };
  const writing = { contents: "write", issues: "write", "pull-requests": "write" };
  const expected: Record<Which, { concurrency: unknown; jobs: Record<string, object> }> = {
    deploy: {
      concurrency: { group: "deploy-${{ github.ref }}", "cancel-in-progress": false },
      jobs: {
        build,
        tests: { ...none, ...tests, needs: "build" },
        deploy: {
          ...none,
          name: "Deploy to Render",
          needs: "tests",
          minutes: 45,
          permissions: read,
          environment: { name: "prod", url: "https://dashboard.render.com/web/srv-d3sk5h1r0fns738ibdg0" },
          secrets: { Deploy: ["RENDER_API_KEY", "RENDER_DEPLOY_HOOK"] },
          token: [],
        },
      },
    },
    tests: {
      concurrency: { group: "tests-${{ github.ref }}", "cancel-in-progress": true },
      jobs: { build, tests: { ...none, ...tests } },
    },
    pythonCi: {
      concurrency: { group: "python-${{ github.ref }}", "cancel-in-progress": true },
      jobs: { python: { ...none, name: "python", minutes: 60, permissions: read, secrets: {}, token: [] } },
    },
    monitor: {
      concurrency: undefined,
      jobs: {
        monitor: {
          ...none,
          name: "monitor",
          if: own,
          minutes: 10,
          permissions: { actions: "read", ...writing },
          environment: quiet("prod"),
          concurrency: inTurn,
          secrets: { Look: ["RENDER_API_KEY"] },
          token: ["Look"],
        },
      },
    },
    recovery: {
      concurrency: undefined,
      jobs: {
        recover: {
          ...none,
          name: "recover",
          if: jobOf("recovery", "recover").if, // see above
          minutes: 20,
          permissions: { actions: "write", ...writing },
          environment: quiet("prod"),
          concurrency: inTurn,
          secrets: { Diagnose: ["RENDER_API_KEY", "RENDER_DEPLOY_HOOK"], "Repair, or tell": ["RENDER_API_KEY"] },
          token: ["Diagnose", "Repair, or tell"],
        },
      },
    },
  };
  for (const which of all) {
    describe(workflows[which].file, () => {
      const jobs = jobsOf(which);
      const steps = jobs.flatMap(([, job]) => job.steps!);

      it("has these jobs, each with what it needs and nothing beyond", () => {
        assert.deepEqual(workflow(which).permissions, {});
        assert.deepEqual(workflow(which).env, undefined);
        const found = jobs.map(([id, job]) => {
          const { name, needs, if: condition, permissions, environment, concurrency } = job;
          assert.equal(job["runs-on"], "ubuntu-24.04");
          // A secret is a step's, never the job's: what others install does not see it.
          assert.deepEqual([job.env, asks({ ...job, steps: undefined }, "secrets")], [undefined, []]);
          const own = job.steps!.map((step) => [step.name, asks(step, "secrets").sort()] as const);
          const token = job.steps!.filter((step) => JSON.stringify(step).includes("github.token"));
          return [
            id,
            {
              ...{ name, needs, if: condition, minutes: job["timeout-minutes"], permissions, environment, concurrency },
              secrets: Object.fromEntries(own.filter(([, secrets]) => secrets.length > 0)),
              token: token.map((step) => step.name),
            },
          ];
        });
        assert.deepEqual(
          { concurrency: workflow(which).concurrency, jobs: Object.fromEntries(found) },
          expected[which],
        );
      });

      it("pastes nothing into a program, and leaves no token behind a checkout", () => {
        for (const { run = "", uses, with: its } of steps) {
          assert.doesNotMatch(run, /\$\{\{/);
          if (!uses?.startsWith("actions/checkout@")) continue;
          // What was pushed since is looked at and repaired, not what the event was of.
          const ref = ["monitor", "recovery"].includes(which) ? { ref: "main" } : {};
          assert.deepEqual(its, { ...ref, "persist-credentials": false });
        }
      });

      it("pins every action by a commit, with its version beside it", () => {
        const lines = delivered(which)
          .split("\n")
          .filter((line) => /^ +(- )?uses:/.test(line));
        assert.equal(lines.length, { deploy: 6, tests: 5, pythonCi: 2, monitor: 1, recovery: 2 }[which]);
        assert.equal(steps.filter(({ uses }) => uses).length, lines.length);
        for (const line of lines) assert.match(line, /uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
      });

      it("is what GitHub's parser, actionlint and zizmor take", async () => {
        const path = workflowPath(which);
        assert.deepEqual(await check(new Map([[`github/${REPOSITORY}/${path}`, delivered(which)]])), []);
        assertLintersTake(path, delivered(which));
      });
    });
  }

  /** Names of steps, or what they run. */
  const stepsOf = (which: Which, id: string, changes: object = {}) =>
    jobOf(which, id, changes).steps!.map(({ name, run }) => name ?? run);

  it("build in the document's order, with its versions; the linter holds up nothing", () => {
    assert.deepEqual(stepsOf("deploy", "build"), [
      ...["Check out", "Set up Node.js", "Set up Python", "Set up pnpm"],
      ...["Install Node dependencies", "Install Python dependencies", "Run linter", "Build", "Build summary"],
    ]);
    const { steps } = jobOf("deploy", "build");
    const named = Object.fromEntries(steps!.map((step) => [step.name, step]));
    assert.deepEqual(named["Set up Node.js"]!.with, { "node-version": "22", "package-manager-cache": false });
    assert.deepEqual(named["Set up Python"]!.with, { "python-version": "3.11" });
    assert.deepEqual(named["Set up pnpm"]!.env, { PNPM: "10" });
    assert.equal(named["Install Node dependencies"]!.run, "pnpm install --frozen-lockfile");
    assert.deepEqual(
      steps!.filter((step) => step["continue-on-error"] !== undefined),
      [named["Run linter"]],
    );
    assert.deepEqual(
      steps!.flatMap((step) => (step.if === undefined ? [] : [[step.name, step.if]])),
      [["Build summary", "always()"]],
    );
  });

  it("test the same before a deploy as in a pull request: the document's suites, each counted", () => {
    const { needs: _, ...before } = jobOf("deploy", "tests");
    assert.deepEqual(before, jobOf("tests", "tests"));
    assert.deepEqual(jobOf("deploy", "build"), jobOf("tests", "build"));
    const suites = before.steps!.flatMap(({ env }) => {
      const { SUITE, EXPECTED } = (env ?? {}) as Record<string, string>;
      return SUITE ? [[SUITE, EXPECTED]] : [];
    });
    assert.deepEqual(suites, [
      ["tests/test_bridge_ai.py", undefined],
      ["Bridge AI", "16"],
      ["tests/test_validator_ai.py", undefined],
      ["Validator AI", "12"],
    ]);
  });

  it("fail by what takes too long, before GitHub cancels the job and tells nobody", () => {
    for (const which of ["deploy", "tests", "pythonCi"] as const)
      for (const [id, job] of jobsOf(which).filter(([id]) => id !== "deploy"))
        for (const { name, run, "timeout-minutes": minutes } of job.steps!)
          assert.equal(minutes, run === undefined ? undefined : 15, `${which} ${id} ${name}`);
  });

  it("run by the names that a protected branch asks for", () => {
    const shown = [jobOf("tests", "build").name, jobOf("tests", "tests").name, jobOf("pythonCi", "python").name];
    assert.deepEqual(shown, Object.values(checks));
    const { rules } = rulesets(deploying({ approvals: 1, via: "pull-request" }))["main"]!;
    const { requiredChecks } = (rules as { requiredStatusChecks: { requiredChecks: { context: string }[] } })
      .requiredStatusChecks;
    assert.deepEqual(
      requiredChecks.map(({ context }) => context),
      shown,
    );
  });

  it("follow the config", () => {
    const changes = {
      service: { id: SERVICE, name: "mining" },
      api: "https://render.example.org",
      repository: "Other",
      branch: "trunk",
      node: "24.1",
      pnpm: "11",
      python: "3.13",
      install: "pip install .[tests]",
      checks: ["mypy .", "pytest -q"],
      lint: "pnpm eslint .",
      build: "pnpm --recursive build",
      suites: [{ name: "All", path: "tests", tests: 3 }],
      monitor: { schedule: "*/15 * * * *", file: "STATUS.md" },
      attempts: 5,
    };
    const text = Object.fromEntries(all.map((each) => [each, delivered(each, changes)])) as Record<Which, string>;
    for (const each of all) {
      assert.doesNotMatch(
        text[each],
        /\bmain\b|qivo-mining|srv-d3sk|api\.render\.com|ComplianceCore|PIPELINE\.md|7,37/,
        each,
      );
    }
    assert.deepEqual(
      all.filter((each) => text[each].includes("github.repository == 'sua-org/Other'")),
      ["deploy", "tests", "monitor", "recovery"],
    );
    for (const each of ["deploy", "pythonCi"] as const) {
      assert.ok(starts(text[each], push("heads/trunk")));
      assert.ok(!starts(text[each], push("heads/main")));
      assert.ok(!starts(text[each], push("heads/trunk"), ["STATUS.md"]));
    }
    assert.ok(starts(text.monitor, schedule("*/15 * * * *")));
    assert.ok(starts(text.recovery, ended("Deploy", { head_branch: "trunk" })));
    const env = (which: Which, id: string, step: string) =>
      jobOf(which, id, changes).steps!.find(({ name }) => name === step)!.env as Record<string, string>;
    const service = {
      RENDER_API_URL: "https://render.example.org",
      SERVICE_ID: SERVICE,
      SERVICE_NAME: "mining",
      DASHBOARD_URL: `https://dashboard.render.com/web/${SERVICE}`,
      RENDER_API_KEY: "${{ secrets.RENDER_API_KEY }}",
    };
    const here = { ...service, BRANCH: "trunk", GITHUB_TOKEN: "${{ github.token }}" };
    const RENDER_DEPLOY_HOOK = "${{ secrets.RENDER_DEPLOY_HOOK }}";
    assert.deepEqual(env("deploy", "deploy", "Deploy"), {
      ...service,
      RENDER_DEPLOY_HOOK,
      COMMIT: "${{ github.sha }}",
    });
    assert.deepEqual(env("monitor", "monitor", "Look"), {
      ...here,
      WORKFLOWS: '["deploy.yaml","test.yml","python-ci.yml"]',
      OWN_WORKFLOW: "monitor.yaml",
      STATUS_FILE: "STATUS.md",
      STATUS_HEAD: "mining/status",
      INTERVAL: "by the schedule */15 * * * * (UTC)",
    });
    const repairs = {
      ...here,
      WORKFLOWS: '["deploy.yaml","test.yml","python-ci.yml","monitor.yaml"]',
      MAX_ATTEMPTS: "5",
    };
    assert.deepEqual(env("recovery", "recover", "Diagnose"), {
      ...repairs,
      COMMAND: "diagnose",
      RENDER_DEPLOY_HOOK,
      RUN_ID: "${{ github.event.workflow_run.id }}",
      CHECK_HOOK: "${{ github.event_name == 'workflow_dispatch' }}",
    });
    assert.deepEqual(env("recovery", "recover", "Repair, or tell"), {
      ...repairs,
      COMMAND: "repair",
      LOCK_HEAD: "mining/pnpm-lock",
    });
    for (const [which, id] of [
      ["deploy", "build"],
      ["recovery", "recover"],
    ] as const) {
      assert.deepEqual(
        jobOf(which, id, changes)
          .steps!.filter(({ name }) => name === "Set up Node.js" || name === "Set up pnpm")
          .map((step) => step.with?.["node-version"] ?? (step.env as Record<string, string>)["PNPM"]),
        ["24.1", "11"],
      );
    }
    assert.deepEqual(
      jobOf("deploy", "build", changes).steps!.flatMap(({ run }) => run ?? []),
      [
        ...['npm install --global "pnpm@$PNPM"', "pnpm install --frozen-lockfile", "pip install .[tests]"],
        ...["pnpm eslint .", "pnpm --recursive build", "bash .github/scripts/build_summary.sh"],
      ],
    );
    assert.deepEqual(stepsOf("tests", "tests", changes), ["Check out", "Set up Python", "Install", "All", "Count All"]);
    assert.deepEqual(stepsOf("pythonCi", "python", changes), [
      ...["Check out", "Set up Python", "Install", "mypy .", "pytest -q"],
    ]);
    for (const each of ["deploy", "tests", "pythonCi"] as const)
      assert.equal(text[each].match(/python-version: "3\.13"/g)?.length, each === "pythonCi" ? 1 : 2);
  });

  it("run programs that are delivered as they are tested, and hold none of GitHub's expressions", () => {
    for (const [path, text] of filesFor()) {
      const name = /([a-z_]+\.(py|sh))$/.exec(path)?.[1];
      if (name === undefined) continue;
      assert.match(text, /^# Generated by Esteira\. Changes made here are overwritten: edit (components|systems)\//);
      assert.ok(text.split("\n")[0]!.includes(`/${name} in the`), path);
      assert.doesNotMatch(text, path.endsWith(".py") ? /\$\{\{|qivo|srv-d/ : /\$\{\{|srv-d/, path);
    }
    const started = all.flatMap((each) =>
      jobsOf(each).flatMap(([, job]) =>
        job.steps!.flatMap(({ run }) => /^(?:python3?|bash) (\S+)$/.exec(run ?? "")?.[1] ?? []),
      ),
    );
    const counting = Array(2).fill(".github/scripts/count_tests.py");
    assert.deepEqual(started, [
      ...[".github/scripts/build_summary.sh", ...counting, ".github/render/deploy.py"],
      ...[".github/scripts/build_summary.sh", ...counting, ".github/render/monitor.py"],
      ...[".github/render/recover.py", ".github/render/recover.py"],
    ]);
    for (const each of started) assert.ok(filesFor().has(each), each);
  });
});
/** A suite's file, for the stand-in of pytest: so many tests, and what the others do. */
const suite = (count: number, ...others: string[]) =>
  [...Array<string>(count).fill("pass"), ...others].map((what, index) => `def test_${index}(): ${what}\n`).join("");

describe("qivo's workflows under a runner", () => {
  const TOKEN = "ghs_canaryOfTheRun";
  const tested = { DATABASE_URL: "postgresql://canary-of-tests", OPENAI_API_KEY: "canary-of-openai" };
  const lockRefused =
    ' ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with "frozen-lockfile" because pnpm-lock.yaml is not up to date';
  let render: RenderStub;
  let sandbox: Sandbox;
  let server: GitServer;
  let github: RepositoryStub;
  let api: StandIn;
  let actions: StandIns;
  let at: { remote: string; clone: string };
  /** The monitor's clock goes on from run to run. */
  let time = 0;

  before(async () => {
    requireAct();
    render = await RenderStub.start();
  });
  after(() => render.close());
  beforeEach(async () => {
    render.reset();
    sandbox = new Sandbox();
    sandbox.usePython();
    sandbox.write("modules/pytest.py", textBeside(import.meta.url, "./pytest_stand_in.py"));
    actions = new StandIns(sandbox);
    for (const each of ["npm", "pnpm", "pip", "ruff", "pytest"]) sandbox.stub(each);
    at = sandbox.repository(
      {
        ...Object.fromEntries(files()),
        "package.json": "{}",
        "pnpm-lock.yaml": "old\n",
        "tests/test_bridge_ai.py": suite(16),
        "tests/test_validator_ai.py": suite(12),
      },
      REPOSITORY,
    );
    server = await new GitServer(sandbox.dir, TOKEN, sandbox.env).start();
    github = new RepositoryStub(TOKEN);
    api = await github.serve();
  });
  afterEach(async () => {
    await Promise.all([server.close(), api.close()]);
    sandbox.dispose();
  });

  /** As delivered, for the service that the stub has. */
  const files = (owner = "sua-org") =>
    new Map(
      deliveredFiles({ ...deploying({ service: { id: SERVICE, name: "mining" } }), api: render.url }, owner).map(
        ({ path, text }) => [path, text],
      ),
    );
  const main = (...args: string[]) => sandbox.git(at.remote, ...args, "main");
  const head = () => main("rev-parse");
  const commits = () => Number(main("rev-list", "--count"));
  const commit = (path: string, text: string) => {
    sandbox.write(join(REPOSITORY, path), text);
    sandbox.git(at.clone, "commit", "--quiet", "--all", "--message", "Next");
    sandbox.git(at.clone, "push", "--quiet");
  };
  /** How often each command was called. */
  const counts = (...names: string[]) => names.map((name) => sandbox.calls(name).length);

  interface RunOptions {
    secrets?: Record<string, string>;
    owner?: string;
  }
  const start = async (which: Which, event: WorkflowEvent, { secrets = {}, owner = "sua-org" }: RunOptions = {}) => {
    await sandbox.run("rm", ["-rf", sandbox.path("checkout")]);
    sandbox.git(sandbox.dir, "clone", "--quiet", at.remote, sandbox.path("checkout"));
    const given = {
      GITHUB_TOKEN: TOKEN,
      ...tested,
      RENDER_DEPLOY_HOOK: render.hook,
      RENDER_API_KEY: render.apiKey,
      ...secrets,
    };
    const act = await new Act(sandbox).run({
      workflow: files(owner).get(workflowPath(which))!,
      event,
      repository: REPOSITORY,
      secrets: given,
      env: {
        GITHUB_SERVER_URL: server.url,
        GITHUB_API_URL: api.url,
        PYTHONPATH: sandbox.path("modules"),
        PYTHONDONTWRITEBYTECODE: "1",
        PYTEST_LOG: sandbox.path("pytest.jsonl"),
        NOW: `at ${time++}`,
        ...{ RETRY_BASE_SECONDS: "0", POLL_SECONDS: "0", APPEAR_SECONDS: "0", BLIND_SECONDS: "0" },
      },
      actions: actions.folders,
    });
    const basic = Buffer.from(`x-access-token:${TOKEN}`).toString("base64");
    for (const each of [TOKEN, basic, render.hookKey, render.apiKey, ...Object.values(tested)])
      assert.ok(!act.output.includes(each), act.output);
    assert.deepEqual([api.problems, render.problems, server.refused], [[], [], []]);
    return act;
  };

  describe("deploy.yaml", () => {
    const DEPLOYED = { "Build & Setup": "success", "Run Automated Tests": "success", "Deploy to Render": "success" };
    const deploy = (options?: RunOptions) => start("deploy", push("heads/main"), options);
    /** Nothing was deployed. */
    const stopped = (act: Act, conclusions: Record<string, string>) => {
      assert.equal(act.code, 1, act.output);
      assert.deepEqual(act.conclusions, conclusions);
      assert.deepEqual(render.requests, []);
    };
    /** The deploy's job failed, and says so by one annotation. */
    const refused = (act: Act, title: string, message: RegExp) => {
      assert.equal(act.code, 1, act.output);
      assert.deepEqual(act.conclusions, { ...DEPLOYED, "Deploy to Render": "failure" });
      const [error, ...more] = act.job("Deploy to Render").errors;
      assert.deepEqual([error?.title, more], [title, []]);
      assert.match(error!.message, message);
      assert.match(act.job("Deploy to Render").summary, message);
    };

    it("builds, tests and deploys the pushed commit, until it is live", async () => {
      const act = await deploy();
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(act.conclusions, DEPLOYED);
      assert.deepEqual(
        render.deploys.map(({ status, commit: { id } }) => [status, id]),
        [["live", head()]],
      );
      assert.deepEqual(
        sandbox.calls("pnpm").map(({ argv }) => argv),
        [["install", "--frozen-lockfile"], ["lint"], ["build"], ["--version"]],
      );
      assert.deepEqual(sandbox.calls("npm")[0]!.argv, ["install", "--global", "pnpm@10"]);
      assert.deepEqual(
        sandbox
          .read("pytest.jsonl")
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as unknown),
        ["tests/test_bridge_ai.py", "tests/test_validator_ai.py"].map((each) => [each, ...Object.values(tested)]),
      );
      assert.deepEqual(
        [actions.inputs("setup-node"), actions.inputs("setup-python")].map((each) =>
          each.map((its) => its["node-version"] ?? its["python-version"]),
        ),
        [["22"], ["3.11", "3.11"]],
      );
      assert.match(act.job("Build & Setup").summary, /\| Linter \| success \|\n\| Build \| success \|/);
      assert.match(
        act.job("Run Automated Tests").summary,
        /- Bridge AI: 16 tests passed, as expected\n- Validator AI: 12 /,
      );
      assert.match(act.job("Deploy to Render").summary, new RegExp(`Deployed \`${head().slice(0, 7)}\` to mining`));
      // Only who needs a secret has it in its environment.
      for (const name of ["npm", "pnpm", "pip"])
        for (const { env } of sandbox.calls(name))
          assert.ok(!env.some((each) => /^(DATABASE_URL|OPENAI|RENDER_)/.test(each)), name);
    });

    it("goes on where the linter finds something, and says so", async () => {
      sandbox.stub("pnpm", "[[ $1 != lint ]]");
      const act = await deploy();
      assert.deepEqual([act.code, act.conclusions], [0, DEPLOYED], act.output);
      assert.equal(render.deploys[0]?.status, "live");
      assert.match(act.job("Build & Setup").summary, /\| Linter \| failure \|\n\| Build \| success \|/);
      assert.match(act.output, /The linter found something/);
    });

    it("neither tests nor deploys what cannot be built, and says how far it came", async () => {
      sandbox.stub("pnpm", "[[ $1 != build ]]");
      const act = await deploy();
      stopped(act, { "Build & Setup": "failure" });
      assert.deepEqual([sandbox.read("pytest.jsonl"), counts("pip")], ["", [1]]);
      assert.match(act.job("Build & Setup").summary, /\| Linter \| success \|\n\| Build \| failure \|/);
    });

    it("neither builds nor deploys what cannot be installed, and says how far it came", async () => {
      sandbox.stub("pnpm", `[[ $1 != install ]] || { echo '${lockRefused}'; exit 1; }`);
      const act = await deploy();
      stopped(act, { "Build & Setup": "failure" });
      assert.match(
        act.job("Build & Setup").summary,
        /\| Linter \| (not run|skipped) \|\n\| Build \| (not run|skipped) \|/,
      );
    });

    for (const [what, file, text, message] of [
      ["has vanished", "tests/test_bridge_ai.py", suite(15), /^15 tests passed; expected 16/],
      [
        "is skipped",
        "tests/test_validator_ai.py",
        suite(11, "skip"),
        /^11 tests passed \(1 skipped: test_11\); expected 12/,
      ],
      ["fails", "tests/test_validator_ai.py", suite(12, "fail"), undefined],
    ] as const) {
      it(`deploys nothing of which a test ${what}`, async () => {
        commit(file, text);
        const act = await deploy();
        stopped(act, { "Build & Setup": "success", "Run Automated Tests": "failure" });
        const { errors } = act.job("Run Automated Tests");
        assert.equal(errors.length, message ? 1 : 0);
        if (message) assert.match(errors[0]!.message, message);
      });
    }

    it("fails where Render refuses the hook", async () => {
      render.instead("POST /deploy/", { status: 401, body: "Unauthorized" });
      refused(await deploy(), "Deploy hook refused", /\[hook-refused\] HTTP 401/);
      assert.deepEqual([render.calls.length, render.deploys], [1, []]);
    });

    it("fails where Render's build does, and names the deploy", async () => {
      render.course = ["created", "build_in_progress", "build_failed"];
      refused(
        await deploy(),
        "Deploy failed",
        new RegExp(`\\[deploy-failed\\] dep-[0-9a-z]+ of ${head().slice(0, 7)}: build_failed`),
      );
      assert.equal(render.deploys.length, 1);
    });

    it("deploys without an API key, and says that it does not follow", async () => {
      const act = await deploy({ secrets: { RENDER_API_KEY: "" } });
      assert.deepEqual([act.code, act.conclusions], [0, DEPLOYED], act.output);
      assert.equal(render.deploys[0]?.commit.id, head());
      assert.deepEqual(render.requests, render.calls);
      assert.match(act.job("Deploy to Render").summary, /\*\*Not followed\*\*/);
    });

    it("does nothing in a fork", async () => {
      const act = await deploy({ owner: "somebody-else" });
      assert.deepEqual([act.conclusions, render.requests], [{}, []]);
    });
  });

  it("test.yml and python-ci.yml test a pull request, a fork's without any secret", async () => {
    const secrets = { DATABASE_URL: "", OPENAI_API_KEY: "", RENDER_DEPLOY_HOOK: "", RENDER_API_KEY: "" };
    const act = await start("tests", pullRequest, { secrets });
    assert.deepEqual(
      [act.code, act.conclusions],
      [0, { "Build & Setup": "success", "Run Automated Tests": "success" }],
      act.output,
    );
    assert.deepEqual(JSON.parse(sandbox.read("pytest.jsonl").split("\n")[0]!), ["tests/test_bridge_ai.py", "", ""]);
    sandbox.stub("ruff", "exit 1");
    const python = await start("pythonCi", pullRequest, { secrets });
    assert.deepEqual([python.code, python.conclusions], [1, { python: "failure" }]);
    assert.deepEqual([counts("pip", "ruff", "pytest"), render.requests], [[3, 1, 0], []]);
  });

  it("monitor.yaml keeps the status on the branch, and an issue while a deploy has failed", async () => {
    const look = async () => {
      const before = commits();
      const act = await start("monitor", schedule("7,37 * * * *"));
      assert.deepEqual([act.code, act.conclusions], [0, { monitor: "success" }], act.output);
      return commits() - before;
    };
    const status = () =>
      main("show").includes("docs/PIPELINE.md") && sandbox.git(at.remote, "show", "main:docs/PIPELINE.md");
    github.run({ file: "deploy.yaml", head_repository: REPOSITORY, head_sha: head() });
    const { id } = render.add({ status: "build_failed" });
    assert.equal(await look(), 1);
    assert.match(status() || "", new RegExp(`build_failed.*${id}`));
    assert.equal(
      main("log", "-1", "--format=%an <%ae>"),
      "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>",
    );
    assert.equal(main("show", "--format=", "--name-only"), "docs/PIPELINE.md");
    assert.deepEqual(
      github.issues.map(({ state, labels, body }) => [state, labels, body.includes(id)]),
      [["open", ["pipeline"], true]],
    );
    assert.equal(await look(), 0);
    assert.deepEqual(
      github.issues.map(({ state, comments }) => [state, comments.length]),
      [["open", 0]],
    );
    render.add({ status: "live" });
    assert.equal(await look(), 1);
    assert.deepEqual(
      github.issues.map(({ state }) => state),
      ["closed"],
    );
    assert.deepEqual(render.calls, []);
  });

  describe("auto-recovery.yaml", () => {
    /** A failed run of deploy.yaml, whose build printed this. */
    const failed = (line: string, changes: Partial<Run> = {}) =>
      github.run({
        file: "deploy.yaml",
        head_repository: REPOSITORY,
        head_sha: head(),
        jobs: [
          {
            id: 1,
            name: "Build & Setup",
            conclusion: "failure",
            steps: [
              {
                name: "Install Node dependencies",
                conclusion: "failure",
                started_at: "2026-11-22T10:00:00Z",
                completed_at: "2026-11-22T10:00:09Z",
              },
            ],
            log: `2026-11-22T10:00:03.1234567Z ${line}\n2026-11-22T10:00:04.1234567Z ##[error]Process completed with exit code 1.\n`,
          },
        ],
        ...changes,
      });
    const recover = async (event: WorkflowEvent) => {
      const act = await start("recovery", event);
      assert.deepEqual([act.code, render.calls], [0, []], act.output);
      return act;
    };
    const recoverFrom = ({ id }: Run) => recover(ended("Deploy", { id }));

    it("makes a lock file anew, pushes it and starts the deploy, which no push of a workflow's does", async () => {
      sandbox.stub("pnpm", '[[ " $* " == *" --frozen-lockfile "* ]] || echo new >pnpm-lock.yaml');
      const before = commits();
      const act = await recoverFrom(failed(lockRefused));
      assert.deepEqual(act.conclusions, { recover: "success" });
      assert.equal(commits(), before + 1);
      assert.equal(sandbox.git(at.remote, "show", "main:pnpm-lock.yaml"), "new");
      assert.equal(main("show", "--format=", "--name-only"), "pnpm-lock.yaml");
      assert.match(
        main("log", "-1", "--format=%an %B"),
        /^github-actions\[bot\] ci: rebuild pnpm-lock\.yaml\n(.*\n)*Pipeline-Recovery: /,
      );
      assert.deepEqual([github.dispatched, github.rerun, github.issues], [["deploy.yaml main"], [], []]);
      assert.deepEqual(
        [actions.inputs("setup-node")[0]!["node-version"], sandbox.calls("npm")[0]!.argv.at(-1)],
        ["22", "pnpm@10"],
      );
      // Neither what others wrote nor what installs it sees a secret.
      for (const name of ["npm", "pnpm"])
        for (const { env } of sandbox.calls(name))
          assert.ok(!env.some((each) => /^(RENDER_|GITHUB_TOKEN)/.test(each)), name);
    });

    it("runs again what failed of something that passes", async () => {
      const run = failed("fatal: unable to access 'https://github.com/a/b/': Could not resolve host: github.com");
      await recoverFrom(run);
      assert.deepEqual([github.rerun, github.issues, github.dispatched], [[run.id], [], []]);
      assert.deepEqual(counts("npm", "pnpm"), [0, 0]);
    });

    it("opens an issue where nothing can be repaired, for somebody by hand, too; one", async () => {
      const before = commits();
      const run = failed("TypeError: canary-of-the-log");
      await recoverFrom(run);
      await recover(byHand);
      const [issue, ...more] = github.issues;
      assert.deepEqual([issue?.state, more], ["open", []]);
      assert.match(issue!.title, /^deploy\.yaml has failed/);
      assert.doesNotMatch(JSON.stringify(issue), /canary/);
      assert.deepEqual([github.rerun, github.dispatched, commits()], [[], [], before]);
    });

    it("tells of the monitor, too, whose next good run closes it", async () => {
      const run = failed("TypeError: canary-of-the-log", { file: "monitor.yaml" });
      await recover(ended("Monitor Pipeline", { id: run.id }));
      assert.deepEqual(
        github.issues.map(({ title, state }) => [title.split(" ")[0], state]),
        [["monitor.yaml", "open"]],
      );
      assert.equal((await start("monitor", schedule("7,37 * * * *"))).code, 0);
      assert.equal(github.issues[0]!.state, "closed");
    });

    it("by hand, where nothing has failed, tests the hook without calling it, and changes nothing", async () => {
      failed("irrelevant", { conclusion: "success" });
      const act = await recover(byHand);
      const { steps, summary } = act.job("recover");
      assert.deepEqual(
        Object.keys(steps).filter((each) => /Repair|Set up/.test(each)),
        [],
      );
      assert.match(summary, /Deploy hook/);
      assert.deepEqual(github.snapshot(), { issues: [], pulls: [], dispatched: [], rerun: [] });
    });

    it("does not run for a pull request's failure, nor for what has not failed", async () => {
      const { id } = failed(lockRefused);
      for (const run of [{ event: "pull_request" }, { conclusion: "cancelled" }])
        assert.deepEqual((await recover(ended("Deploy", { id, ...run }))).conclusions, {});
      assert.deepEqual(api.log, []);
    });
  });
});
