/** Pipelines by their args alone: two services of one repository, which know nothing of each other. */
import assert from "node:assert/strict";
import { workflowFile } from "../../../components/github/delivered-file.ts";
import type { Job, Workflow } from "../../../components/github/workflow.ts";
import {
  deployment,
  monitor,
  type PipelineArgs,
  programs,
  recovery,
  recoveryFindings,
  type WorkflowName,
} from "../../../components/render/pipeline.ts";
import type { StandIn } from "../../../sandbox/stand-in/server.ts";
import { GitServer } from "../../support/act.ts";
import { assertLintersTake } from "../../support/lint.ts";
import { type Env, Sandbox } from "../../support/sandbox.ts";
import { commitOf, RenderStub, SERVICE } from "./render-stub.ts";
import { RepositoryStub } from "./repository-stub.ts";

/** A service's pipeline: what the components make of its args, and of the names of its workflows. */
interface Pipeline {
  args: PipelineArgs;
  deploy: WorkflowName;
  monitor: WorkflowName & { schedule: string; statusFile: string };
  recovery: WorkflowName;
  /** The files of workflows that only test; the second's is the first's, too. */
  tests: readonly [string, ...string[]];
}

const web: Pipeline = {
  args: {
    service: { id: "srv-w1e2b3w1e2b3w1e2b3w1", name: "web" },
    owner: "sua-org",
    repository: "mining",
    branch: "main",
    environment: "prod",
  },
  deploy: { name: "Deploy Web", file: "deploy-web.yaml" },
  monitor: { name: "Monitor Web", file: "monitor-web.yaml", schedule: "7,37 * * * *", statusFile: "docs/WEB.md" },
  recovery: { name: "Recover Web", file: "recover-web.yaml" },
  tests: ["test.yml"],
};
const jobs: Pipeline = {
  args: {
    service: { id: SERVICE, name: "jobs" },
    api: "https://render.example.org",
    owner: "sua-org",
    repository: "mining",
    branch: "stable",
    environment: "batch",
    secrets: { hook: "JOBS_HOOK", apiKey: "JOBS_KEY" },
    folder: "tools/jobs",
  },
  deploy: { name: "Deploy Jobs", file: "deploy-jobs.yaml" },
  monitor: { name: "Monitor Jobs", file: "monitor-jobs.yaml", schedule: "11 * * * *", statusFile: "docs/JOBS.md" },
  recovery: { name: "Recover Jobs", file: "recover-jobs.yaml" },
  tests: ["test.yml"],
};

const deploying = ({ args, deploy }: Pipeline): Workflow => ({
  name: deploy.name,
  on: { push: { branches: [args.branch] } },
  permissions: {},
  jobs: { deploy: deployment(args, { if: "github.actor != 'nobody'" }) },
});
const monitoring = ({ args, deploy, monitor: its, tests }: Pipeline) =>
  monitor({ ...args, ...its, workflows: [deploy.file, ...tests] });
const recovering = ({ args, deploy, monitor: its, recovery: { name } }: Pipeline, attempts?: number) =>
  recovery({ ...args, name, workflows: [deploy, its], schedule: "22 * * * *", node: "22", pnpm: "10", attempts });

/** Everything that a pipeline delivers, by its path. */
const filesOf = (its: Pipeline) =>
  new Map(
    [
      ...programs(its.args),
      ...(
        [
          [its.deploy, deploying(its)],
          [its.monitor, monitoring(its)],
          [its.recovery, recovering(its)],
        ] as const
      ).map(([{ file }, workflow]) =>
        workflowFile(
          `.github/workflows/${file}`,
          workflow,
          "test/components/render/pipeline.test.ts",
          recoveryFindings,
        ),
      ),
    ].map(({ path, text }) => [path, text]),
  );

const jobOf = ({ jobs: all }: Workflow): Job => Object.values(all)[0]!;
const envOf = (workflow: Workflow, step: string) =>
  jobOf(workflow).steps!.find(({ name }) => name === step)!.env as Record<string, string>;

describe("a pipeline", () => {
  it("deploys by the service's hook, from its environment", () =>
    assert.deepEqual(deployment(jobs.args, { needs: "tests" }), {
      name: "Deploy to Render",
      needs: "tests",
      "runs-on": "ubuntu-24.04",
      "timeout-minutes": 45,
      environment: { name: "batch", url: `https://dashboard.render.com/web/${SERVICE}` },
      permissions: { contents: "read" },
      steps: [
        {
          name: "Check out",
          uses: deployment(web.args, {}).steps![0]!.uses,
          with: { "persist-credentials": false },
        },
        {
          name: "Deploy",
          env: {
            RENDER_API_URL: "https://render.example.org",
            SERVICE_ID: SERVICE,
            SERVICE_NAME: "jobs",
            DASHBOARD_URL: `https://dashboard.render.com/web/${SERVICE}`,
            RENDER_API_KEY: "${{ secrets.JOBS_KEY }}",
            RENDER_DEPLOY_HOOK: "${{ secrets.JOBS_HOOK }}",
            COMMIT: "${{ github.sha }}",
          },
          run: "python3 tools/jobs/deploy.py",
        },
      ],
    }));

  it("looks and repairs by its own names", () => {
    const service = { ...envOf(deploying(jobs), "Deploy") };
    for (const each of ["RENDER_DEPLOY_HOOK", "COMMIT"]) delete service[each];
    const common = { ...service, BRANCH: "stable", GITHUB_TOKEN: "${{ github.token }}" };
    assert.deepEqual(envOf(monitoring(jobs), "Look"), {
      ...common,
      WORKFLOWS: '["deploy-jobs.yaml","test.yml"]',
      OWN_WORKFLOW: "monitor-jobs.yaml",
      STATUS_FILE: "docs/JOBS.md",
      STATUS_HEAD: "jobs/status",
      INTERVAL: "by the schedule 11 * * * * (UTC)",
    });
    const repairs = { ...common, WORKFLOWS: '["deploy-jobs.yaml","monitor-jobs.yaml"]', MAX_ATTEMPTS: "3" };
    assert.deepEqual(envOf(recovering(jobs), "Diagnose"), {
      ...repairs,
      COMMAND: "diagnose",
      RENDER_DEPLOY_HOOK: "${{ secrets.JOBS_HOOK }}",
      RUN_ID: "${{ github.event.workflow_run.id }}",
      CHECK_HOOK: "${{ github.event_name == 'workflow_dispatch' }}",
    });
    assert.deepEqual(envOf(recovering(jobs), "Repair, or tell"), {
      ...repairs,
      COMMAND: "repair",
      LOCK_HEAD: "jobs/pnpm-lock",
    });
    assert.deepEqual(
      [monitoring(jobs), recovering(jobs)].map((each) => jobOf(each).steps!.flatMap(({ run }) => run ?? [])),
      [
        ["python3 tools/jobs/monitor.py"],
        ["python3 tools/jobs/recover.py", 'npm install --global "pnpm@$PNPM"', "python3 tools/jobs/recover.py"],
      ],
    );
    assert.deepEqual(recovering(jobs).on, {
      workflow_run: { workflows: ["Deploy Jobs", "Monitor Jobs"], types: ["completed"], branches: ["stable"] },
      schedule: [{ cron: "22 * * * *" }],
      workflow_dispatch: {},
    });
    for (const workflow of [monitoring(jobs), recovering(jobs)]) {
      assert.deepEqual(jobOf(workflow).environment, { name: "batch", deployment: false });
      assert.equal(jobOf(workflow).steps![0]!.with!["ref"], "stable");
    }
    assert.equal(envOf(recovering(jobs, 7), "Diagnose")["MAX_ATTEMPTS"], "7");
  });

  it("has defaults: Render's own API, the usual names of secrets, a folder, three attempts", () => {
    const { api: _, secrets: __, folder: ___, ...least } = jobs.args;
    const given = {
      api: "https://api.render.com",
      secrets: { hook: "RENDER_DEPLOY_HOOK", apiKey: "RENDER_API_KEY" },
      folder: ".github/render",
    };
    const [by, without] = [given, {}].map((more) => filesOf({ ...jobs, args: { ...least, ...more } }));
    assert.deepEqual(without, by);
    assert.deepEqual(programs({}), programs({ folder: ".github/render" }));
    assert.deepEqual(recovering(jobs), recovering(jobs, 3));
  });

  it("runs the same programs for every service", () => {
    const texts = (its: Pipeline) => programs(its.args).map(({ path, text }) => [path.split("/").at(-1), text]);
    assert.deepEqual(texts(jobs), texts(web));
    assert.equal(texts(jobs).length, 8);
  });
});

describe("two pipelines in one repository", () => {
  const all = [web, jobs] as const;

  it("hold nothing of each other, and share no path", () => {
    const [ofWeb, ofJobs] = all.map(filesOf);
    assert.deepEqual(
      [...ofWeb!.keys()].filter((path) => ofJobs!.has(path)),
      [],
    );
    assert.deepEqual([ofWeb!.size, ofJobs!.size], [11, 11]);
    const its = {
      web: /\bweb\b(?!\/srv-)|srv-w1e2|\bmain\b|\bprod\b|api\.render\.com|secrets\.RENDER|\.github\/render|-web|Web\b|WEB|7,37/,
      jobs: /\bjobs\b(?!:$)|srv-d1a2|stable|batch|render\.example\.org|JOBS|tools\/jobs|-jobs|Jobs\b|11 \* \*/m,
    };
    for (const [files, own, other] of [
      [ofWeb!, its.web, its.jobs],
      [ofJobs!, its.jobs, its.web],
    ] as const) {
      for (const [path, text] of files) {
        if (path.endsWith(".py")) continue;
        assert.match(text, own, path);
        assert.doesNotMatch(text, other, path);
      }
    }
  });

  it("share no group, no branch, no file, and no workflow that both would repair", () => {
    const shared = all.map((its) => {
      const [look, repair] = [monitoring(its), recovering(its)];
      const group = (each: Workflow) => (jobOf(each).concurrency as { group: string }).group;
      assert.equal(group(look), group(repair), "they write to the same branch and issues");
      const { workflow_run } = repair.on as { workflow_run: { workflows: string[] } };
      const { STATUS_HEAD, STATUS_FILE } = envOf(look, "Look");
      const { LOCK_HEAD } = envOf(repair, "Repair, or tell");
      return [group(look), STATUS_HEAD, STATUS_FILE, LOCK_HEAD, ...workflow_run.workflows];
    });
    assert.equal(new Set(shared.flat()).size, 12);
    // Git keeps branches as files: none may be the folder of another.
    const heads = shared.flatMap(([, status, , lock]) => [status, lock]);
    for (const each of heads) for (const other of heads) assert.ok(!other!.startsWith(`${each}/`));
  });

  it("are taken by the linters", () => {
    for (const [path, text] of filesOf(jobs)) if (!path.endsWith(".py")) assertLintersTake(path, text);
  });

  describe("at work", () => {
    const TOKEN = "ghs_canaryOfTheRun";
    let render: RenderStub;
    let box: Sandbox;
    let github: RepositoryStub;
    let api: StandIn;
    let git: GitServer;

    before(async () => {
      render = await RenderStub.start();
    });
    after(() => render.close());
    beforeEach(async () => {
      render.reset();
      box = new Sandbox();
      box.usePython();
      github = new RepositoryStub(TOKEN);
      api = await github.serve();
      git = await new GitServer(box.dir, TOKEN, box.env).start();
      const { clone } = box.repository(Object.fromEntries(all.flatMap((its) => [...filesOf(its)])), "sua-org/mining");
      box.git(clone, "push", "--quiet", "origin", "main:stable");
      box.git(clone, "remote", "set-url", "origin", `${git.url}/sua-org/mining`);
    });
    afterEach(async () => {
      await Promise.all([api.close(), git.close()]);
      box.dispose();
      assert.deepEqual([api.problems, render.problems, git.refused], [[], [], []]);
    });

    const here = (its: Pipeline): Pipeline => ({ ...its, args: { ...its.args, api: render.url } });
    /** Runs a step as a runner does, in a checkout of the pipeline's branch: it has to go well. */
    const run = async (
      its: Pipeline,
      workflow: Workflow,
      step: string,
      values: Record<string, string>,
      more: Env = {},
    ) => {
      const cwd = box.path("sua-org/mining");
      box.git(cwd, "checkout", "--quiet", "--detach", its.args.branch === "main" ? "main" : "origin/stable");
      const given: Record<string, string> = { "github.token": TOKEN, "secrets.RENDER_API_KEY": "", ...values };
      given["github.event_name == 'workflow_dispatch'"] ??= "false";
      const env = Object.fromEntries(
        Object.entries(envOf(workflow, step)).map(([name, text]) => [
          name,
          text.replace(/^\$\{\{ (.+) \}\}$/, (_, asked: string) => {
            assert.ok(asked in given, asked);
            return given[asked]!;
          }),
        ]),
      );
      const command = jobOf(workflow).steps!.find(({ name }) => name === step)!.run!;
      const { code, output } = await box.run("bash", ["-c", command], {
        cwd,
        env: {
          ...{ PYTHONDONTWRITEBYTECODE: "1", RETRY_BASE_SECONDS: "0", POLL_SECONDS: "0", APPEAR_SECONDS: "0" },
          ...{ GITHUB_API_URL: api.url, GITHUB_SERVER_URL: git.url, GITHUB_REPOSITORY: "sua-org/mining" },
          RUNNER_TEMP: box.dir,
          ...env,
          ...more,
        },
      });
      assert.equal(code, 0, output);
      for (const secret of [TOKEN, render.hookKey, render.apiKey]) assert.ok(!output.includes(secret), output);
      return output;
    };
    const ofJobs = () => ({ "secrets.JOBS_HOOK": render.hook, "secrets.JOBS_KEY": render.apiKey });
    const look = (its: Pipeline, values: Record<string, string> = {}) =>
      run(its, monitoring(here(its)), "Look", values, { GITHUB_STEP_SUMMARY: "" });
    const recover = async (its: Pipeline, id: number) => {
      const values = { "secrets.RENDER_DEPLOY_HOOK": "", "github.event.workflow_run.id": `${id}`, ...ofJobs() };
      box.write("output", "");
      const workflow = recovering(here(its));
      await run(its, workflow, "Diagnose", values);
      assert.equal(box.read("output"), "action=tell\n");
      await run(its, workflow, "Repair, or tell", { ...values, "steps.diagnose.outputs.action": "tell" });
    };

    it("the second deploys its own service, with its own secrets, from its own folder", async () => {
      const values = { ...ofJobs(), "github.sha": commitOf("b") };
      await run(jobs, deploying(here(jobs)), "Deploy", values);
      assert.deepEqual(
        render.deploys.map(({ status, commit: { id } }) => [status, id]),
        [["live", commitOf("b")]],
      );
      assert.match(box.read("summary"), /to jobs:/);
    });

    it("one without an API key deploys, and does not follow", async () => {
      await run(jobs, deploying(here(jobs)), "Deploy", {
        ...ofJobs(),
        "secrets.JOBS_KEY": "",
        "github.sha": commitOf("b"),
      });
      assert.deepEqual(render.requests, render.calls);
      assert.deepEqual([render.deploys.length, render.deploys[0]?.status], [1, "created"]);
      assert.match(box.read("summary"), /Not followed/);
    });

    it("each keeps its own status on its own branch", async () => {
      await look(web);
      await look(jobs, ofJobs());
      const files = (branch: string) =>
        box.git(box.path("sua-org/mining.git"), "ls-tree", "--name-only", branch, "docs/");
      assert.deepEqual(["main", "stable"].map(files), ["docs/WEB.md", "docs/JOBS.md"]);
    });

    it("neither closes the other's issues: of a service, of its workflows, nor of one that both look at", async () => {
      const open = () =>
        github.issues.filter(({ state }) => state === "open").map(({ title }) => title.split(/[: ]/)[0]);
      const log = "2026-11-22T10:00:00.1234567Z 1 failed\n";
      const job = { id: 1, name: "build", conclusion: "failure", steps: [], log };
      for (const [its, file] of [
        [web, web.deploy.file],
        [jobs, jobs.deploy.file],
      ] as const)
        await recover(
          its,
          github.run({ file, head_branch: its.args.branch, jobs: [{ ...job, id: github.runs.length }] }).id,
        );
      // A workflow for both branches, of which each recovery might tell where it is told to.
      const both = { ...web, deploy: { name: "Tests", file: "test.yml" } };
      await recover(both, github.run({ file: "test.yml", jobs: [{ ...job, id: 9 }] }).id);
      render.add({ status: "build_failed" });
      await look(jobs, ofJobs());
      assert.deepEqual(open(), ["deploy-web.yaml", "deploy-jobs.yaml", "test.yml", "jobs"]);
      // All is well with the second, and with the workflow that both look at, on the second's branch.
      render.add({ status: "live" });
      for (const file of [jobs.deploy.file, "test.yml"])
        github.run({ file, head_branch: "stable", conclusion: "success" });
      await look(web);
      assert.deepEqual(open(), ["deploy-web.yaml", "deploy-jobs.yaml", "test.yml", "jobs"]);
      await look(jobs, ofJobs());
      assert.deepEqual(open(), ["deploy-web.yaml", "test.yml"]);
      for (const file of [web.deploy.file, "test.yml"]) github.run({ file, conclusion: "success" });
      await look(jobs, ofJobs());
      assert.deepEqual(open(), ["deploy-web.yaml", "test.yml"]);
      await look(web);
      assert.deepEqual(open(), []);
    });
  });
});
