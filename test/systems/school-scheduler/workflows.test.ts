/** The delivered ci-*.yml: what starts them, what each job may and gets, and runs of them whole. */
import assert from "node:assert/strict";
import { parse, stringify } from "yaml";
import { check } from "../../../cli/render/checks.ts";
import { type Job, renderWorkflow, type Step, type Workflow } from "../../../components/github/workflow.ts";
import { type Environment, stacks } from "../../../systems/school-scheduler/config.ts";
import { checkNames, refsOf, rulesets, workflowPath } from "../../../systems/school-scheduler/names.ts";
import { deliveredFiles } from "../../../systems/school-scheduler/repository/files.ts";
import { workflows } from "../../../systems/school-scheduler/repository/workflows.ts";
import { RegistryStub } from "../../components/github/registry-stub.ts";
import { StandIns } from "../../components/github/stand-ins.ts";
import { Act, GitServer, requireAct, starts, type WorkflowEvent } from "../../support/act.ts";
import { assertLintersTake } from "../../support/lint.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { deployed, configOf as leastOf } from "./fixture.ts";

const REPOSITORY = "sua-org/school_scheduler";
const IMAGE = "ghcr.io/sua-org/school_scheduler";
const SOURCE = "systems/school-scheduler/repository/workflows.ts";

const configOf = (environment: Environment, changes: object = {}) =>
  leastOf(environment, { ...deployed[environment], ...changes });

/** The workflow that a stack delivers. */
const delivered = (environment: Environment, changes: object = {}, owner = "sua-org"): string => {
  const [file, ...more] = deliveredFiles(configOf(environment, changes), owner);
  assert.deepEqual([file?.path, more], [workflowPath(environment), []]);
  return file!.text as string;
};
const workflow = (environment: Environment, changes: object = {}): Workflow =>
  parse(delivered(environment, changes)) as Workflow;
const jobsOf = (environment: Environment, changes: object = {}): Record<string, Job> =>
  workflow(environment, changes).jobs;
const push = (ref: string): WorkflowEvent => ({ name: "push", payload: { ref: `refs/${ref}` } });
const pullRequest: WorkflowEvent = { name: "pull_request", payload: { action: "opened", number: 7 } };

/** The image that a job rolls out, with tag and digest, wherever its step takes it from. */
const rolledOut = (job: Job, name: string): string => {
  const { id, ...step } = job.steps![0]!;
  assert.equal(id, "deploy");
  const [found] =
    new RegExp(`${RegExp.escape(name)}(?:[:@](?:[\\w.:-]|\\$\\{\\{[^}]+\\}\\})+)*`).exec(JSON.stringify(step)) ?? [];
  assert.ok(found, JSON.stringify(step));
  return found;
};
/** What it asks of one of GitHub's contexts, each once; programs ask nothing, see below. */
const asks = (value: unknown, context: string): string[] => {
  const text = JSON.stringify(value, (key, each: unknown) => (key === "run" ? undefined : each));
  return [...new Set([...text.matchAll(new RegExp(`\\b${context}\\.(\\w+)`, "g"))].map(([, name]) => name!))];
};

describe("school-scheduler's ci-*.yml", () => {
  it("stand one an environment beside each other", () =>
    assert.deepEqual(stacks.map(workflowPath), [
      ".github/workflows/ci-cd.yml",
      ".github/workflows/ci-homolog.yml",
      ".github/workflows/ci-preprod.yml",
      ".github/workflows/ci-prod.yml",
    ]));

  const long = "x".repeat(200);
  for (const [ref, ...expected] of [
    ["heads/develop", "dev"],
    ["heads/release/1.2", "homolog"],
    ["heads/release/Über-1.2", "homolog"],
    ["heads/homolog", "homolog"],
    ["heads/main", "preprod"],
    ["tags/preprod/1", "preprod"],
    [`tags/preprod/${long}`, "preprod"],
    ["tags/v1.2.3", "prod"],
    // Refused by the run, with words: GitHub's filters cannot say what a version is.
    ["tags/vnext", "prod"],
    ...["release/1/2", "release", "releases/1", "feature/x", "dependabot/pip/x-1", "Develop", "dev", "preprod"].map(
      (each) => [`heads/${each}`] as const,
    ),
    ...["preprod/1", "v1.2.3", "master", "homolog/x", "develop/x", "main-2", long].map(
      (each) => [`heads/${each}`] as const,
    ),
    ...["main", "develop", "homolog", "release/1.2", "1.2.3", "v1/2", "preprod", "preprod/a/b", "V1.2.3"].map(
      (each) => [`tags/${each}`] as const,
    ),
  ] as readonly (readonly [string, ...Environment[]])[]) {
    it(`${ref.replace(long, "x…")} starts ${expected.join() || "nothing"}, and may deploy to nothing else`, () => {
      assert.deepEqual(
        stacks.filter((each) => starts(delivered(each), push(ref))),
        expected,
      );
      // An environment's patterns are a filter's.
      const policy = (each: Environment) => stringify({ on: { push: refsOf(configOf(each)) } });
      assert.deepEqual(
        stacks.filter((each) => starts(policy(each), push(ref))),
        expected,
      );
    });
  }

  it("are started by a pull request in dev alone", () => {
    assert.deepEqual(
      stacks.filter((each) => starts(delivered(each), pullRequest)),
      ["dev"],
    );
    // Not pull_request_target, workflow_run or the like: their code would run with the repository's rights.
    assert.deepEqual(
      stacks.map((each) => workflow(each).on),
      [
        { push: { branches: ["develop"] }, pull_request: {} },
        { push: { branches: ["release/*", "homolog"] } },
        { push: { branches: ["main"], tags: ["preprod/*"] } },
        { push: { tags: ["v*"] } },
      ],
    );
  });

  it("follow the config's branches, and their environments with them", () => {
    const changes = { branch: "trunk", developBranch: "next" };
    assert.ok(starts(delivered("dev", changes), push("heads/next")));
    assert.ok(starts(delivered("preprod", changes), push("heads/trunk")));
    assert.deepEqual(refsOf(configOf("dev", changes)).branches, ["next"]);
    assert.deepEqual(refsOf(configOf("preprod", changes)).branches, ["trunk"]);
    assert.match(delivered("prod", changes), /refs\/\(heads\/trunk\|tags\/preprod\/\[\^\/\]\+\)\$/);
  });

  it("deploy to an environment one at a time, and throw none of what waits out", () => {
    const inTurn = (environment: Environment) => ({
      group: `school-scheduler-${environment}`,
      "cancel-in-progress": false,
      queue: "max",
    });
    const concurrency = (environment: Environment) => {
      const { concurrency: whole, jobs } = workflow(environment);
      const own = Object.entries(jobs).flatMap(([id, job]) => (job.concurrency ? [[id, job.concurrency]] : []));
      return [whole, Object.fromEntries(own)];
    };
    assert.deepEqual(concurrency("homolog"), [inTurn("homolog"), {}]);
    assert.deepEqual(concurrency("prod"), [inTurn("prod"), {}]);
    // Neither the run nor the gate: nobody may ever decide there.
    assert.deepEqual(concurrency("preprod"), [undefined, { deploy: inTurn("preprod") }]);
    // A push to develop waits for the one before; a pull request's newer commit ends the tests of the older, and no one else's.
    assert.deepEqual(concurrency("dev"), [
      {
        group: "school-scheduler-dev-${{ github.ref }}",
        "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
      },
      {},
    ]);
  });

  const own = `github.repository == '${REPOSITORY}'`;
  const none = { needs: undefined, if: undefined, environment: undefined, secrets: [] as string[] };
  const lint = { ...none, minutes: 10, permissions: { contents: "read" } };
  const test = { ...lint, minutes: 30 };
  const image = { ...none, minutes: 45, permissions: { contents: "read", packages: "write" } };
  const oidc = { "id-token": "write" };
  const expected: Record<Environment, Record<string, object>> = {
    dev: {
      lint,
      test,
      // No environment: a pull request gets none.
      integration: { ...test, secrets: ["DB_PASSWORD"] },
      image: { ...image, needs: ["lint", "test", "integration"], if: `github.event_name == 'push' && ${own}` },
      deploy: {
        ...none,
        needs: ["image"],
        minutes: 32,
        permissions: oidc,
        environment: { name: "dev" },
        secrets: ["KUBECONFIG"],
      },
    },
    homolog: {
      lint: { ...lint, if: own },
      integration: {
        ...test,
        if: own,
        environment: { name: "homolog", deployment: false },
        secrets: ["DB_PASSWORD_HOMOLOG"],
      },
      image: { ...image, needs: ["lint", "integration"] },
      deploy: {
        ...none,
        needs: ["image"],
        minutes: 32,
        permissions: oidc,
        environment: { name: "homolog", url: "https://app.homolog.example.org" },
        secrets: ["KUBECONFIG_HOMOLOG"],
      },
    },
    preprod: {
      lint: { ...lint, if: own },
      test: { ...test, if: own },
      integration: {
        ...test,
        if: own,
        environment: { name: "preprod", deployment: false },
        secrets: ["DB_PASSWORD_PREPROD"],
      },
      image: { ...image, needs: ["lint", "test", "integration"] },
      scan: { ...none, needs: "image", minutes: 15, permissions: { packages: "read" } },
      deploy: {
        ...none,
        needs: ["image", "scan"],
        minutes: 94,
        permissions: { contents: "read", ...oidc },
        environment: { name: "preprod", url: "https://app.preprod.example.org" },
        secrets: ["KUBECONFIG_PREPROD"],
      },
      gate: {
        ...none,
        needs: ["image", "deploy"],
        minutes: 15,
        permissions: { packages: "write", ...oidc },
        environment: { name: "preprod-gate" },
      },
    },
    prod: {
      image: { ...none, if: own, minutes: 20, permissions: { packages: "write" } },
      deploy: {
        ...none,
        needs: ["image"],
        minutes: 40,
        permissions: oidc,
        environment: { name: "prod", url: "https://app.example.org" },
        secrets: ["KUBECONFIG_PROD"],
      },
    },
  };
  for (const environment of stacks) {
    describe(`for ${environment}`, () => {
      const jobs = Object.entries(jobsOf(environment));

      it("has these jobs, each with what it needs and nothing beyond", () => {
        assert.deepEqual(workflow(environment).permissions, {});
        const found = jobs.map(([id, job]) => {
          const { needs, if: condition, permissions, environment: itsEnvironment, name } = job;
          // Other workflows run for the commit of a pull request: none may answer for what is asked of that one.
          const isTest = ["lint", "test", "integration"].includes(id);
          assert.equal(name, isTest && environment !== "dev" ? `${environment} ${id}` : id);
          assert.equal(job["runs-on"], "ubuntu-24.04");
          assert.equal(job.env, undefined);
          // The rollout takes its cluster's secret as its access wants it.
          const secrets =
            id === "deploy"
              ? [`KUBECONFIG${environment === "dev" ? "" : `_${environment.toUpperCase()}`}`]
              : asks(job, "secrets");
          for (const each of asks(job, "secrets")) assert.ok(secrets.includes(each), `${each} in ${id}`);
          return [
            id,
            {
              needs,
              if: condition,
              minutes: job["timeout-minutes"],
              permissions,
              environment: itsEnvironment,
              secrets,
            },
          ];
        });
        assert.deepEqual(Object.fromEntries(found), expected[environment]);
      });

      it("shows the token to the registry's steps alone", () => {
        for (const [id, job] of jobs) {
          for (const step of job.steps!) {
            const { name = "" } = step;
            const registry = ["Look into the registry", "Log in to GHCR", "Promote", "Tag as passed"].includes(name);
            assert.equal(/github\.token|GITHUB_TOKEN/.test(JSON.stringify(step)) && !registry, false, `${id}: ${name}`);
            if (name === "Check out") assert.deepEqual(step.with, { "persist-credentials": false });
          }
        }
      });

      it("names no image after a branch: its tags are legal and its references digests", () => {
        // What a branch is called stands in a group that nothing but GitHub reads, and prod's tag is looked at first.
        const asked = asks(workflow(environment), "github").filter((each) => /ref|event|actor|sha|run/.test(each));
        assert.deepEqual(
          asked.sort(),
          {
            dev: ["actor", "event_name", "ref", "run_id", "sha"],
            homolog: ["actor", "run_id", "sha"],
            preprod: ["actor", "run_id", "sha"],
            prod: ["actor", "ref_name", "sha"],
          }[environment],
        );
        const steps = jobs.flatMap(([, job]) => job.steps!);
        const tags = steps.flatMap(({ env = {}, with: its }) => {
          const { TAG, DONE_TAG, SOURCE: source } = env as Record<string, string>;
          const built = (its as Record<string, string> | undefined)?.["tags"]?.replace(`${IMAGE}:`, "");
          return [TAG, DONE_TAG, source, built].filter((each) => each !== undefined);
        });
        assert.deepEqual(
          [...new Set(tags)].filter((each) => !/^\$\{\{ steps\.look\./.test(each)).sort(),
          {
            dev: ["dev-${{ github.run_id }}"],
            homolog: ["homolog-${{ github.run_id }}"],
            preprod: ["preprod-${{ github.run_id }}", "sha-${{ github.sha }}"],
            prod: ["${{ github.ref_name }}", "sha-${{ github.sha }}"],
          }[environment],
        );
        const { needs, looked } = { needs: "needs.image.outputs.digest", looked: "steps.look.outputs.digest" };
        const deployTag = {
          dev: ":dev-${{ github.run_id }}",
          homolog: ":homolog-${{ github.run_id }}",
          preprod: "",
          prod: ":${{ github.ref_name }}",
        };
        const reference = `${IMAGE}${deployTag[environment]}@\${{ ${needs} }}`;
        assert.equal(rolledOut(jobsOf(environment)["deploy"]!, IMAGE), reference);
        const named = steps.flatMap((step) => {
          const env = step.env as Record<string, string> | undefined;
          const its = step.with as Record<string, string> | undefined;
          return [its?.["image"], env?.["COMMAND"] ? undefined : env?.["IMAGE"]].filter((each) => each !== undefined);
        });
        assert.deepEqual(
          named,
          {
            // At last what generates schedules.
            dev: [reference],
            homolog: [reference],
            preprod: [`${IMAGE}@\${{ ${needs} }}`, reference, `${IMAGE}@\${{ ${needs} }}`],
            prod: [`${IMAGE}@\${{ ${looked} }}`, `${IMAGE}@\${{ ${looked} }}`, reference],
          }[environment],
        );
        assert.doesNotMatch(delivered(environment), /[:-]latest\b/);
      });

      it("pastes nothing into a program", () => {
        for (const [id, job] of jobs) for (const { run = "" } of job.steps!) assert.doesNotMatch(run, /\$\{\{/, id);
      });

      it("pins every action by a commit, with its version beside it", () => {
        const uses = jobs.flatMap(([, job]) => job.steps!.flatMap((step) => step.uses ?? []));
        assert.equal(uses.length, { dev: 10, homolog: 8, preprod: 16, prod: 3 }[environment]);
        const lines = delivered(environment)
          .split("\n")
          .filter((line) => /^ +(- )?uses:/.test(line));
        assert.ok(lines.length >= uses.length);
        for (const line of lines) assert.match(line, /uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
      });

      it("is what GitHub's parser, actionlint and zizmor take", async () => {
        const path = workflowPath(environment);
        assert.deepEqual(await check(new Map([[`github/${REPOSITORY}/${path}`, delivered(environment)]])), []);
        const text = renderWorkflow(withStandIns(workflow(environment), IMAGE), SOURCE);
        assertLintersTake(path, text);
      });
    });
  }

  it("is not deployed to without a cluster: dev ends with its image", () =>
    assert.deepEqual(Object.keys(jobsOf("dev", { cluster: undefined })), ["lint", "test", "integration", "image"]));

  it("asks for no token of GitHub's where the cluster has one that lasts", () => {
    const cluster = { ...configOf("prod").cluster, access: "token" };
    assert.deepEqual(jobsOf("prod", { cluster })["deploy"]!.permissions, {});
    assert.deepEqual(jobsOf("preprod", { cluster })["deploy"]!.permissions, { contents: "read" });
  });

  it("leaves time for the watch, however long, and has each test fail before its job is cut off", () => {
    for (const watchMinutes of [1, 60]) {
      assert.equal(jobsOf("prod", { watchMinutes })["deploy"]!["timeout-minutes"], 30 + watchMinutes);
      const deploy = jobsOf("preprod", { watchMinutes, endToEnd: ["a", "b"], loadTest: ["c"] })["deploy"]!;
      assert.equal(deploy["timeout-minutes"], 30 + 2 * watchMinutes + 3 * 30);
      const tests = deploy.steps!.filter(({ run = "" }) => ["a", "b", "c"].includes(run));
      assert.deepEqual(
        tests.map((step) => [step["timeout-minutes"], step.env]),
        Array(3).fill([30, { BASE_URL: "https://app.preprod.example.org" }]),
      );
    }
  });

  it("tests what is deployed in preprod, between the rollout and the step that takes it back; elsewhere it only rolls out", () => {
    const names = (environment: Environment) =>
      jobsOf(environment)["deploy"]!.steps!.map(({ name, run }) => name ?? run);
    const rollout = ["Roll out and watch"];
    const follower = ["Give cronjob/school-scheduler-generation the image"];
    const { loadTest } = configOf("preprod");
    assert.equal(loadTest.length, 1);
    const tests = ["Check out", "Set up Python", "Install", "pytest tests/e2e", ...loadTest, "Roll back"];
    assert.deepEqual(names("preprod"), [...rollout, ...tests, ...follower]);
    for (const each of ["dev", "homolog", "prod"] as const) assert.deepEqual(names(each), [...rollout, ...follower]);
  });

  it("asks of a pull request the checks that it runs, by the names that GitHub shows", () => {
    for (const changes of [{}, { pythons: ["3.12"] }]) {
      const shown = Object.values(jobsOf("dev", changes)).flatMap(({ name, if: condition, needs, strategy }) => {
        // What is for pushes alone, and what waits for it.
        if (condition !== undefined || needs?.includes("image")) return [];
        const { python } = (strategy?.matrix ?? {}) as { python?: string[] };
        return python ? python.map((each) => `${name} (${each})`) : [name];
      });
      assert.deepEqual(shown, [
        "lint",
        ...(changes.pythons ?? ["3.11", "3.12", "3.13"]).map((each) => `test (${each})`),
        "integration",
      ]);
      assert.deepEqual(checkNames(configOf("dev", changes)), shown);
      const { requiredStatusChecks } = rulesets(configOf("prod", changes))["main"]!.rules as {
        requiredStatusChecks: { requiredChecks: { context: string; integrationId: number }[] };
      };
      assert.deepEqual(
        requiredStatusChecks.requiredChecks,
        shown.map((context) => ({ context, integrationId: 15368 })),
      );
    }
  });

  it("tells every version of Python that fails, not only the first", () =>
    assert.deepEqual(jobsOf("dev")["test"]!.strategy, {
      "fail-fast": false,
      matrix: { python: ["3.11", "3.12", "3.13"] },
    }));

  it("tests against a database of the job's own, up once it answers by the network; a fork's has a password, too", () => {
    for (const [environment, secret] of [
      ["dev", "DB_PASSWORD"],
      ["homolog", "DB_PASSWORD_HOMOLOG"],
      ["preprod", "DB_PASSWORD_PREPROD"],
    ] as const) {
      const { services, steps } = jobsOf(environment, { database: { name: "school", image: "mysql:8.4.9" } })[
        "integration"
      ]!;
      const password = `\${{ secrets.${secret} || github.sha }}`;
      assert.deepEqual(services, {
        mysql: {
          image: "mysql:8.4.9",
          env: { MYSQL_ROOT_PASSWORD: password, MYSQL_DATABASE: "school" },
          ports: ["3306:3306"],
          options: '--health-cmd "mysqladmin ping --host 127.0.0.1 --silent" --health-interval 5s --health-retries 24',
        },
      });
      assert.deepEqual(
        steps!.map(({ name, run, env }) => [name ?? run, env]),
        [
          ["Check out", undefined],
          ["Set up Python", undefined],
          ["Install", undefined],
          [
            "pytest tests/integration",
            { DB_HOST: "127.0.0.1", DB_PORT: "3306", DB_NAME: "school", DB_USER: "root", DB_PASSWORD: password },
          ],
        ],
      );
    }
  });

  it("scans what is published before it is deployed, signed or promoted, by the config's severity", () => {
    const order = (environment: Environment, job: string) => jobsOf(environment)[job]!.steps!.map(({ name }) => name);
    assert.deepEqual(order("preprod", "scan"), ["Log in to GHCR", "Scan"]);
    assert.deepEqual(order("preprod", "gate"), [
      ...["Log in to GHCR", "Install cosign", "Sign", "Look into the registry", "Tag as passed"],
    ]);
    assert.deepEqual(order("prod", "image"), [
      ...["Check the version", "Look into the registry", "Log in to GHCR", "Install cosign"],
      ...["Verify the signature", "Scan", "Promote"],
    ]);
    for (const [environment, job] of [
      ["preprod", "scan"],
      ["prod", "image"],
    ] as const) {
      const step = jobsOf(environment, { severity: "high" })[job]!.steps!.find(({ name }) => name === "Scan")!;
      const { image: _, ...inputs } = step.with as Record<string, unknown>;
      assert.deepEqual(inputs, {
        "fail-build": true,
        "severity-cutoff": "high",
        "only-fixed": true,
        "output-format": "table",
      });
    }
  });
});

/** The rollout's steps replaced: what they do in a cluster is not what these tests are about, only when they do it. */
function withStandIns(whole: Workflow, name: string): Workflow {
  for (const job of Object.values(whole.jobs)) {
    if (job.name !== "deploy") continue;
    const env = { IMAGE: rolledOut(job, name) };
    job.steps = job.steps!.map((step): Step => {
      const { id, name = "", if: condition } = step;
      if (id === "deploy") return { id, env, run: 'deploy-it "$IMAGE"' };
      if (name === "Roll back") return { if: condition!, env, run: 'rollback-it "$IMAGE"' };
      return name.startsWith("Give cronjob/") ? { env, run: 'follow-it "$IMAGE"' } : step;
    }) as [Step, ...Step[]];
  }
  return whole;
}

describe("school-scheduler's workflows under a runner", () => {
  const SECRETS = Object.fromEntries(
    ["KUBECONFIG", "DB_PASSWORD"].flatMap((name) =>
      ["", "_HOMOLOG", "_PREPROD", "_PROD"].map((suffix) => [name + suffix, `canary-of-${name}${suffix}`]),
    ),
  );
  const commands = {
    pythons: ["3.11", "3.12"],
    install: "install-it",
    lint: ["lint-it"],
    tests: ["test-it"],
    integration: ["integrate-it"],
    endToEnd: ["end-to-end-it"],
    loadTest: ['load-it "$BASE_URL"'],
  };
  let sandbox: Sandbox;
  let server: GitServer;
  let registry: RegistryStub;
  let actions: StandIns;
  let at: { remote: string; clone: string };

  before(async () => {
    requireAct();
    registry = await RegistryStub.start();
  });
  after(() => registry.close());
  beforeEach(async () => {
    sandbox = new Sandbox();
    sandbox.usePython();
    actions = new StandIns(sandbox, registry);
    for (const each of [
      "install-it",
      "lint-it",
      "test-it",
      "end-to-end-it",
      "load-it",
      "scan",
      "deploy-it",
      "rollback-it",
      "follow-it",
    ])
      sandbox.stub(each);
    sandbox.stub("integrate-it", `printf '%s' "$DB_PASSWORD" >'${sandbox.path("password")}'`);
    // A signature is the identity that Sigstore would certify, beside the image.
    sandbox.stub(
      "cosign",
      `image=\${!#} signatures='${sandbox.write("signatures", "")}'
case $1 in
  sign) echo "https://github.com/Sua-Org/school_scheduler/.github/workflows/ci-preprod.yml@$GITHUB_REF $image" >>"$signatures" ;;
  verify) while read -r identity signed; do
      [[ $signed != "$image" ]] || ! grep -qP "$5" <<<"$identity" || exit 0
    done <"$signatures"
    echo 'Error: no matching signatures' >&2; exit 10 ;;
esac`,
    );
    at = sandbox.repository({ "main.py": "", Dockerfile: "FROM scratch\n" }, REPOSITORY);
    server = await new GitServer(sandbox.dir, registry.secret, sandbox.env).start();
    registry.reset(`sha-${head()}`);
  });
  afterEach(async () => {
    await server.close();
    sandbox.dispose();
  });

  const git = (...args: string[]) => sandbox.git(at.clone, ...args);
  const head = () => git("rev-parse", "HEAD");
  const commit = () => {
    git("commit", "--quiet", "--allow-empty", "--message", "Next");
    git("push", "--quiet");
    registry.expect(`sha-${head()}`);
  };
  /** How often each command was called. */
  const counts = (...names: string[]) => names.map((name) => sandbox.calls(name).length);
  const images = (name: "deploy-it" | "rollback-it" | "scan") => sandbox.calls(name).map(({ argv }) => argv[0]);
  const builds = () => actions.inputs("build-push").length;
  /** What was written in the registry, and what was signed, in their order. */
  const puts = () => registry.asked.filter((each) => each.startsWith("PUT ")).map((each) => each.slice(14));
  const cosigned = () => sandbox.calls("cosign").map(({ argv }) => [argv[0], argv.at(-1)]);

  interface RunOptions {
    ref?: string;
    id?: string;
    event?: WorkflowEvent;
    owner?: string;
    secrets?: Record<string, string>;
  }
  const run = async (environment: Environment, options: RunOptions = {}) => {
    const { ref = "heads/main", id = "4711", event = push(ref), owner = "sua-org", secrets = SECRETS } = options;
    const config = configOf(environment, commands);
    const whole = workflows[environment]({ config, owner, image: registry.image });
    // As GitHub has it: what is pushed under the ref.
    git("push", "--quiet", "--force", "origin", `HEAD:refs/${ref}`);
    sandbox.git(sandbox.dir, "clone", "--quiet", at.remote, sandbox.path("checkout"));
    sandbox.git(sandbox.path("checkout"), "checkout", "--quiet", "--detach", head());
    registry.expect(`${environment}-${id}`, ref.slice("tags/".length));
    const act = await new Act(sandbox).run({
      workflow: renderWorkflow(withStandIns(whole, registry.image), SOURCE),
      event,
      ref: `refs/${ref}`,
      repository: REPOSITORY,
      secrets: { GITHUB_TOKEN: registry.secret, ...secrets },
      env: { GITHUB_SERVER_URL: server.url, RETRY_BASE_SECONDS: "0", GITHUB_RUN_ID: id },
      actions: actions.folders,
      actor: registry.user,
    });
    await sandbox.run("rm", ["-rf", sandbox.path("checkout")]);
    const basic = Buffer.from(`${registry.user}:${registry.secret}`).toString("base64");
    for (const each of [registry.secret, registry.token, basic, "canary-of-"])
      assert.ok(!act.output.includes(each), act.output);
    return act;
  };
  const TESTED = {
    ...{ lint: "success", "test (3.11)": "success", "test (3.12)": "success" },
    integration: "success",
  } as const;
  const TESTED_AGAIN = {
    ...{ "preprod lint": "success", "preprod test (3.11)": "success", "preprod test (3.12)": "success" },
    "preprod integration": "success",
  } as const;
  const PASSED = { ...TESTED_AGAIN, image: "success", scan: "success", deploy: "success", gate: "success" } as const;
  const preprod = (options: RunOptions = {}) => run("preprod", options);
  const release = (tag = "v1.2.3", options: RunOptions = {}) => run("prod", { ref: `tags/${tag}`, ...options });
  const passes = async () => {
    const act = await preprod();
    assert.deepEqual(act.conclusions, PASSED, act.output);
    const digest = registry.tags[`sha-${head()}`]!;
    assert.ok(digest);
    return digest;
  };

  describe("in dev", () => {
    it("tests a push to develop, publishes it by the run's number and deploys that digest", async () => {
      const act = await run("dev", { ref: "heads/develop" });
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(act.conclusions, { ...TESTED, image: "success", deploy: "success" });
      const digest = registry.tags["dev-4711"];
      assert.deepEqual(registry.tags, { "dev-4711": digest });
      assert.deepEqual(images("deploy-it"), [`${registry.image}:dev-4711@${digest}`]);
      assert.deepEqual(actions.inputs("build-push")[0]!["tags"], `${registry.image}:dev-4711`);
      assert.deepEqual(
        actions
          .inputs("setup-python")
          .map((each) => each["python-version"])
          .sort(),
        ["3.11", "3.12", "3.12", "3.12"],
      );
      assert.deepEqual(counts("lint-it", "test-it", "integrate-it", "install-it"), [1, 2, 1, 4]);
      // Only who needs a secret has it in its environment.
      assert.equal(sandbox.read("password"), "canary-of-DB_PASSWORD");
      for (const name of ["lint-it", "test-it", "install-it", "deploy-it"])
        for (const { env } of sandbox.calls(name)) assert.ok(!env.some((each) => /^(DB_|KUBECONFIG)/.test(each)), name);
    });

    it("publishes once: a run again finds its image and deploys it again", async () => {
      await run("dev", { ref: "heads/develop" });
      const again = await run("dev", { ref: "heads/develop" });
      assert.equal(again.code, 0, again.output);
      assert.equal(builds(), 1);
      assert.deepEqual(images("deploy-it"), Array(2).fill(`${registry.image}:dev-4711@${registry.tags["dev-4711"]}`));
    });

    it("only tests a pull request, a fork's without any secret", async () => {
      for (const secrets of [SECRETS, {}]) {
        const act = await run("dev", { event: pullRequest, ref: "pull/7/merge", secrets });
        assert.equal(act.code, 0, act.output);
        assert.deepEqual(act.conclusions, TESTED);
        assert.equal(sandbox.read("password"), secrets["DB_PASSWORD"] ?? head());
      }
      assert.deepEqual([registry.server.requests, images("deploy-it")], [[], []]);
    });

    it("tests a push in a fork, and publishes nothing of it", async () => {
      const act = await run("dev", { ref: "heads/develop", owner: "somebody-else" });
      assert.deepEqual(act.conclusions, TESTED);
      assert.deepEqual([registry.server.requests, images("deploy-it")], [[], []]);
    });

    it("publishes nothing that one version of Python fails", async () => {
      sandbox.stub("test-it", "[[ $pythonLocation != */3.12 ]]");
      const act = await run("dev", { ref: "heads/develop" });
      assert.equal(act.code, 1);
      assert.deepEqual(act.conclusions, { ...TESTED, "test (3.12)": "failure" });
      assert.deepEqual([registry.server.requests, images("deploy-it")], [[], []]);
    });
  });

  describe("in homolog", () => {
    for (const ref of [
      "heads/release/1.2",
      "heads/homolog",
      `heads/release/Ü_X$(touch$IFS'PWNED')${"x".repeat(200)}`,
    ]) {
      it(`tests with a database, publishes and deploys ${ref.slice(0, 40)}, whatever it is called`, async () => {
        sandbox.stub("touch");
        const act = await run("homolog", { ref });
        assert.equal(act.code, 0, act.output);
        assert.deepEqual(act.conclusions, {
          ...{ "homolog lint": "success", "homolog integration": "success" },
          ...{ image: "success", deploy: "success" },
        });
        const digest = registry.tags["homolog-4711"];
        assert.deepEqual(registry.tags, { "homolog-4711": digest });
        assert.deepEqual(images("deploy-it"), [`${registry.image}:homolog-4711@${digest}`]);
        assert.equal(sandbox.read("password"), "canary-of-DB_PASSWORD_HOMOLOG");
        assert.deepEqual(counts("touch"), [0]);
      });
    }

    it("publishes and deploys nothing that fails a test, and nothing of a fork's", async () => {
      sandbox.stub("integrate-it", "exit 1");
      const act = await run("homolog", { ref: "heads/homolog" });
      assert.deepEqual(act.conclusions, { "homolog lint": "success", "homolog integration": "failure" });
      const fork = await run("homolog", { ref: "heads/homolog", owner: "somebody-else" });
      assert.deepEqual(fork.conclusions, {});
      assert.deepEqual([registry.server.requests, images("deploy-it")], [[], []]);
    });
  });

  describe("in preprod", () => {
    it("tests, publishes, scans, deploys and tests again; signs what passed, and then tags it by its commit", async () => {
      const act = await preprod();
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(act.conclusions, PASSED);
      const sha = `sha-${head()}`;
      const digest = registry.tags[sha];
      const reference = `${registry.image}@${digest}`;
      assert.deepEqual(registry.tags, { "preprod-4711": digest, [sha]: digest });
      assert.deepEqual(puts(), ["preprod-4711", sha]);
      assert.deepEqual(
        [images("scan"), images("deploy-it"), cosigned()],
        [[reference], [reference], [["sign", reference]]],
      );
      assert.deepEqual(counts("end-to-end-it", "load-it", "rollback-it", "follow-it"), [1, 1, 0, 1]);
      assert.deepEqual(sandbox.calls("load-it")[0]!.argv, ["https://app.preprod.example.org"]);
      for (const name of ["end-to-end-it", "load-it"])
        for (const { env } of sandbox.calls(name)) assert.ok(!env.some((each) => /^(DB_|KUBECONFIG)/.test(each)), name);
    });

    it("tries a commit that has passed before as the image that it is, and signs it again: a signature may be lost", async () => {
      const digest = await passes();
      for (const ref of ["heads/main", "tags/preprod/again"]) {
        const act = await preprod({ ref, id: `4712${ref.length}` });
        assert.deepEqual(act.conclusions, PASSED);
      }
      assert.equal(builds(), 1);
      assert.deepEqual(puts(), ["preprod-4711", `sha-${head()}`]);
      const reference = `${registry.image}@${digest}`;
      assert.deepEqual([images("deploy-it"), images("scan")], [Array(3).fill(reference), Array(3).fill(reference)]);
      assert.deepEqual(cosigned(), Array(3).fill(["sign", reference]));
    });

    for (const [what, command] of [
      ["an end-to-end test", "end-to-end-it"],
      ["the load", "load-it"],
      ["the installation of the tests", "install-it"],
    ] as const) {
      it(`takes the version back when ${what} fails, and does not come to the gate`, async () => {
        sandbox.stub(command, `[[ $GITHUB_JOB != deploy ]]`);
        const act = await preprod();
        assert.equal(act.code, 1);
        const { gate: _, ...before } = PASSED;
        assert.deepEqual(act.conclusions, { ...before, deploy: "failure" });
        assert.deepEqual(images("rollback-it"), [`${registry.image}@${registry.tags["preprod-4711"]}`]);
        assert.deepEqual(counts("follow-it"), [0]);
        assert.deepEqual([puts(), cosigned()], [["preprod-4711"], []]);
      });
    }

    it("deploys nothing in which a vulnerability is found", async () => {
      sandbox.stub("scan", "exit 1");
      const act = await preprod();
      assert.deepEqual(act.conclusions, { ...TESTED_AGAIN, image: "success", scan: "failure" });
      assert.deepEqual([images("deploy-it"), cosigned(), puts()], [[], [], ["preprod-4711"]]);
    });

    it("does not come to the gate when the deployment fails, nor at the next attempt", async () => {
      sandbox.stub("deploy-it", "exit 1");
      const { gate: _, ...before } = PASSED;
      assert.deepEqual((await preprod()).conclusions, { ...before, deploy: "failure" });
      assert.deepEqual((await preprod()).conclusions, { ...before, deploy: "failure" });
      assert.deepEqual([builds(), cosigned(), puts()], [1, [], ["preprod-4711"]]);
    });

    it("tags nothing that could not be signed; the next attempt does both", async () => {
      const cosign = sandbox.read("bin/cosign");
      sandbox.stub("cosign", "exit 1");
      assert.deepEqual((await preprod()).conclusions, { ...PASSED, gate: "failure" });
      assert.deepEqual(puts(), ["preprod-4711"]);
      sandbox.write("bin/cosign", cosign);
      assert.deepEqual((await preprod()).conclusions, PASSED);
      assert.deepEqual([builds(), puts()], [1, ["preprod-4711", `sha-${head()}`]]);
    });

    it("leaves the tag where another run of the commit has passed while this one's gate was closed", async () => {
      const other = JSON.stringify({ annotations: { "org.opencontainers.image.revision": head() } });
      const route = `GET ${registry.path(`manifests/sha-${head()}`)}`;
      // Not there for the job that builds, there for the gate.
      registry.server.on(route, registry.challenge, { status: 404 }, registry.challenge, { body: other });
      const act = await preprod();
      assert.deepEqual(act.conclusions, PASSED);
      assert.deepEqual(puts(), ["preprod-4711"]);
      assert.match(act.job("gate").summary, /^Nothing to publish: /);
    });

    it("does nothing in a fork", async () => {
      assert.deepEqual((await preprod({ owner: "somebody-else" })).conclusions, {});
      assert.deepEqual(registry.server.requests, []);
    });
  });

  describe("in prod", () => {
    const RELEASED = { image: "success", deploy: "success" };
    /** Nothing was tagged, nothing deployed, and the run says why. */
    const refused = (act: Act, title: string, message: RegExp, tags = ["preprod-4711", `sha-${head()}`]) => {
      assert.equal(act.code, 1);
      assert.deepEqual(act.conclusions, { image: "failure" });
      const [error, ...more] = act.job("image").errors;
      assert.deepEqual([error?.title, more], [title, []]);
      assert.match(error!.message, message);
      assert.deepEqual([puts(), images("deploy-it").length], [tags, tags.length > 0 ? 1 : 0]);
    };

    it("deploys what preprod has passed: the same digest under the version, verified and scanned, nothing built or tested", async () => {
      const digest = await passes();
      const reference = `${registry.image}@${digest}`;
      const act = await release();
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(act.conclusions, RELEASED);
      assert.deepEqual(registry.tags, { "preprod-4711": digest, [`sha-${head()}`]: digest, "v1.2.3": digest });
      assert.deepEqual(puts().at(-1), "v1.2.3");
      assert.deepEqual(images("deploy-it"), [reference, `${registry.image}:v1.2.3@${digest}`]);
      assert.deepEqual(
        [images("scan"), cosigned()],
        [
          [reference, reference],
          [
            ["sign", reference],
            ["verify", reference],
          ],
        ],
      );
      assert.deepEqual([builds(), ...counts("test-it", "integrate-it", "lint-it")], [1, 2, 1, 1]);
    });

    it("takes what preprod has passed as a tag preprod/*", async () => {
      assert.deepEqual((await preprod({ ref: `tags/preprod/Feature-${"x".repeat(200)}` })).conclusions, PASSED);
      assert.deepEqual((await release()).conclusions, RELEASED);
    });

    it("deploys a version again that is promoted already, under the same digest", async () => {
      const digest = await passes();
      for (const _ of [1, 2]) assert.deepEqual((await release()).conclusions, RELEASED);
      assert.equal(puts().filter((each) => each === "v1.2.3").length, 1);
      assert.deepEqual(images("deploy-it").slice(1), Array(2).fill(`${registry.image}:v1.2.3@${digest}`));
    });

    it("is finished by its next attempt when it was cut off before the promotion", async () => {
      await passes();
      const expectAll = registry.expect.bind(registry);
      // What a run makes to be asked for is broken once more.
      registry.expect = (...references) => {
        expectAll(...references);
        registry.server.on(`PUT ${registry.path("manifests/v1.2.3")}`, { status: 500 });
      };
      assert.deepEqual((await release()).conclusions, { image: "failure" });
      registry.expect = expectAll;
      assert.equal(images("deploy-it").length, 1);
      assert.deepEqual((await release()).conclusions, RELEASED);
      assert.ok(registry.tags["v1.2.3"]);
    });

    for (const tag of ["vnext", "v1.2.3$(touch$IFS'PWNED')"]) {
      it(`refuses the tag ${tag} before it asks the registry`, async () => {
        sandbox.stub("touch");
        refused(await release(tag), "Not a version", /is no version: expected vX\.Y\.Z/, []);
        assert.deepEqual(registry.server.requests, []);
        assert.deepEqual(counts("touch", "cosign", "scan"), [0, 0, 0]);
      });
    }

    it("refuses a commit that preprod has not passed, be its image built and deployed there", async () => {
      sandbox.stub("load-it", "exit 1");
      await preprod();
      refused(await release(), "Nothing to promote", /wait until it has been tested, then run this job again/, [
        "preprod-4711",
      ]);
    });

    it("refuses the commit after the one that preprod has passed", async () => {
      await passes();
      const tags = puts();
      commit();
      refused(await release(), "Nothing to promote", /is not in the registry/, tags);
    });

    it("refuses an image whose signature is lost, until preprod has run again as it is told", async () => {
      await passes();
      sandbox.write("signatures", "");
      refused(await release(), "Not signed by preprod", /Nothing was deployed\. Run preprod's workflow on this commit/);
      assert.deepEqual((await preprod()).conclusions, PASSED);
      assert.deepEqual((await release()).conclusions, RELEASED);
    });

    it("refuses an image in which a vulnerability has been found since", async () => {
      await passes();
      sandbox.stub("scan", "exit 1");
      const act = await release();
      assert.deepEqual(act.conclusions, { image: "failure" });
      assert.deepEqual([registry.tags["v1.2.3"], images("deploy-it").length], [undefined, 1]);
    });

    it("refuses a version whose tag is another commit's, and leaves it", async () => {
      const before = registry.add("v1.2.3", "f".repeat(40));
      await passes();
      refused(await release(), "Tag is taken", /made of f{40}; this run is of/);
      assert.equal(registry.tags["v1.2.3"], before);
    });

    it("does nothing in a fork", async () => {
      assert.deepEqual((await release("v1.2.3", { owner: "somebody-else" })).conclusions, {});
      assert.deepEqual(registry.server.requests, []);
    });
  });
});
