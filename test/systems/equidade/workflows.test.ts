/** The delivered workflows, each run whole: events in, requests, commits and deployments out. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { parse } from "yaml";
import { renderWorkflow, type Workflow } from "../../../components/github/workflow.ts";
import { type EquidadeConfig, resolve, schema } from "../../../systems/equidade/config.ts";
import { triggerDeploys } from "../../../systems/equidade/package-repository/trigger-deploys.ts";
import { Act, GitServer, requireAct, starts, type WorkflowEvent } from "../../support/act.ts";
import { real, Sandbox } from "../../support/sandbox.ts";
import { StubServer } from "../../support/stub-server.ts";
import { deliveredWorkflows } from "./fixture.ts";

const PACKAGE = "sua-org/equidade-data-package";
const FUNCTIONS = ["cloud-function-1", "cloud-function-2", "cloud-function-3"];
const GITHUB_TOKEN = "ghs_canaryOfTheRun";
const DEPLOY_TRIGGER_TOKEN = "ghp_canaryOfThePerson";

const BOT = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>";

/** Texts that would run a program if a shell, a workflow or Python pasted them into one. */
const MALICIOUS = ["0.2.3; touch PWNED", "$(touch PWNED)", '0.2.3"; touch PWNED; "'];

/** The document's payload. */
const payloadFor = (repository: string, version = "v0.2.3") => ({
  package: "equidade-data-package",
  version,
  triggered_by: "spacejao",
  source_repo: PACKAGE,
  repo_name: repository,
});

/** A release, as its webhook tells it. */
const published = (tag: string, prerelease = false): WorkflowEvent => ({
  name: "release",
  payload: {
    action: "published",
    release: { tag_name: tag, prerelease, draft: false },
    repository: { full_name: PACKAGE },
    sender: { login: "spacejao" },
  },
});

/** A start by hand. */
const byHand = (version: string): WorkflowEvent => ({
  name: "workflow_dispatch",
  payload: { ref: "refs/heads/main", inputs: { version } },
});

/** What each job's token may do, and what it may where the job says nothing: a runner here enforces neither. */
const permissions = (workflow: string) => {
  const { permissions: others, jobs } = parse(workflow) as Workflow;
  return { others, ...Object.fromEntries(Object.entries(jobs).map(([id, job]) => [id, job.permissions])) };
};

describe("equidade's workflows under a runner", () => {
  let sandbox: Sandbox;
  let delivered: Awaited<ReturnType<typeof deliveredWorkflows>>;

  before(async () => {
    requireAct();
    delivered = await deliveredWorkflows();
  });
  beforeEach(() => {
    sandbox = new Sandbox();
    sandbox.usePython();
    // What a program pasted from outside would call; no script of ours does.
    sandbox.stub("touch");
  });
  afterEach(() => {
    sandbox.dispose();
  });

  /** Nothing that came from outside has run, wherever it would have put its file. */
  const assertNothingPasted = () => {
    assert.deepEqual(sandbox.calls("touch"), []);
    assert.equal(
      readdirSync(sandbox.dir, { recursive: true, encoding: "utf8" }).find((path) => path.includes("PWNED")),
      undefined,
    );
  };

  /** No log and no file that the run left behind has one of the tokens. */
  const assertNoTokenLeft = (run: Act) => {
    for (const token of [GITHUB_TOKEN, DEPLOY_TRIGGER_TOKEN]) {
      assert.equal(run.output.includes(token), false, `${token} is in the log`);
      assert.deepEqual(sandbox.filesWith(token), []);
    }
  };

  describe("trigger-deploys", () => {
    let api: StubServer;

    before(async () => {
      api = await StubServer.start();
    });
    beforeEach(() => api.reset());
    after(() => api.close());

    /** A run against an API where all is well, save for what `scripted` says. */
    const trigger = async (
      workflow: string,
      event: WorkflowEvent,
      {
        repositories = FUNCTIONS,
        secrets = { DEPLOY_TRIGGER_TOKEN } as Record<string, string>,
        scripted = (_: StubServer) => {},
      } = {},
    ) => {
      const run = new Act(sandbox);
      for (const name of repositories) api.on(`POST /repos/sua-org/${name}/dispatches`, { status: 204 });
      api.on(`GET /repos/${PACKAGE}/releases/tags/v0.2.2`, { body: { tag_name: "v0.2.2" } });
      api.on(`GET /repos/${PACKAGE}/actions/runs/4711/attempts/1/jobs?per_page=100&page=1`, { body: run.jobsAnswer });
      scripted(api);
      return run.run({
        workflow,
        event,
        repository: PACKAGE,
        ref: event.name === "release" ? "refs/tags/v0.2.3" : "refs/heads/main",
        secrets: { GITHUB_TOKEN, ...secrets },
        env: { GITHUB_API_URL: api.url, RETRY_BASE_SECONDS: "0" },
      });
    };
    const prod = () => delivered("prod", "equidade-data-package", "trigger-deploys.yml");
    const staging = () => delivered("staging", "equidade-data-package", "trigger-deploys-staging.yml");

    type Matrix = {
      strategy: { matrix: { repo: string[] }; "fail-fast": boolean; "max-parallel": number };
      needs: string | string[];
    };
    const jobsIn = (text: string) => (parse(text) as { jobs: Record<string, Matrix> }).jobs;

    /** What was posted where, in the order of the repositories' names. */
    const posted = () =>
      api.requests
        .filter(({ method }) => method === "POST")
        .map(({ path, body }) => ({ path, body: JSON.parse(body) as unknown }))
        .sort((a, b) => a.path.localeCompare(b.path));
    const events = (version: string, { type = "package-updated", repositories = FUNCTIONS } = {}) =>
      repositories.map((name) => ({
        path: `/repos/sua-org/${name}/dispatches`,
        body: { event_type: type, client_payload: payloadFor(name, version) },
      }));
    const allGreen = {
      version: "success",
      "dispatch (cloud-function-1)": "success",
      "dispatch (cloud-function-2)": "success",
      "dispatch (cloud-function-3)": "success",
      report: "success",
    };

    it("tells every function's repository of a release, once, with the document's payload", async () => {
      sandbox.stub("curl", `exec '${real("curl")}' "$@"`);
      const run = await trigger(prod(), published("v0.2.3"));
      assert.equal(run.code, 0, run.output);
      assert.deepEqual(run.conclusions, allGreen);
      assert.deepEqual(posted(), events("v0.2.3"));
      const reads = api.requests
        .filter(({ method }) => method !== "POST")
        .map(({ method, path }) => `${method} ${path}`);
      assert.deepEqual(reads, [`GET /repos/${PACKAGE}/actions/runs/4711/attempts/1/jobs?per_page=100&page=1`]);
      assert.match(run.job("report").summary, /^\| notified \| 3 \|$/m);
      assert.match(run.job("report").summary, /^\| not notified \| 0 \|$/m);

      // Each token goes where it belongs, in one header, and into nothing else.
      for (const { method, path, headers, body } of api.requests) {
        const { authorization, ...others } = headers;
        assert.equal(authorization, `Bearer ${method === "POST" ? DEPLOY_TRIGGER_TOKEN : GITHUB_TOKEN}`);
        assert.doesNotMatch(JSON.stringify([path, others, body]), /canary/);
      }
      assert.equal(sandbox.calls("curl").length, 4);
      assert.doesNotMatch(JSON.stringify(sandbox.calls("curl").map(({ argv }) => argv)), /canary/);
      assertNoTokenLeft(run);
    });

    it("goes on when one repository cannot be told, and the report names exactly that one", async () => {
      const run = await trigger(prod(), published("v0.2.3"), {
        scripted: () =>
          api.on("POST /repos/sua-org/cloud-function-2/dispatches", { status: 404, body: { message: "Not Found" } }),
      });
      assert.equal(run.code, 1);
      assert.deepEqual(run.conclusions, {
        ...allGreen,
        "dispatch (cloud-function-2)": "failure",
        report: "failure",
      });
      assert.deepEqual(posted(), events("v0.2.3"));
      const [error, ...more] = run.job("report").errors;
      assert.deepEqual(more, []);
      assert.equal(error?.title, "Not all repositories were notified");
      assert.match(error?.message ?? "", /^1 of 3 not notified: cloud-function-2 \(failure\)\./);
      const table = run.job("report").summary.split("| Not notified | Job |")[1] ?? "";
      assert.deepEqual(table.match(/cloud-function-\d/g), ["cloud-function-2"]);
      // The runner here goes on in any case; GitHub does so only because of this line.
      assert.equal(jobsIn(prod())["dispatch"]?.strategy["fail-fast"], false);
      assertNoTokenLeft(run);
    });

    it("leaves pre-releases to staging, under staging's own event", async () => {
      const inProd = await trigger(prod(), published("v0.3.0-rc.1", true));
      assert.equal(inProd.code, 0, inProd.output);
      assert.deepEqual(inProd.conclusions, {});
      assert.deepEqual(api.requests, []);

      const inStaging = await trigger(staging(), published("v0.3.0-rc.1", true));
      assert.equal(inStaging.code, 0, inStaging.output);
      assert.deepEqual(inStaging.conclusions, allGreen);
      assert.deepEqual(posted(), events("v0.3.0-rc.1", { type: "package-updated-staging" }));
    });

    it("leaves final releases to prod", async () => {
      const run = await trigger(staging(), published("v0.2.3"));
      assert.equal(run.code, 0, run.output);
      assert.deepEqual(run.conclusions, {});
      assert.deepEqual(api.requests, []);
    });

    it("is started by a published release and by hand, and in dev by hand alone", () => {
      const dev = delivered("dev", "equidade-data-package", "trigger-deploys-dev.yml");
      const { payload } = published("v0.2.3");
      for (const [workflow, onRelease] of [
        [prod(), true],
        [staging(), true],
        [dev, false],
      ] as const) {
        assert.equal(starts(workflow, byHand("0.2.3")), true);
        assert.equal(starts(workflow, published("v0.2.3")), onRelease);
        assert.equal(starts(workflow, { name: "release", payload: { ...payload, action: "edited" } }), false);
        assert.equal(starts(workflow, { name: "push", payload: { ref: "refs/heads/main" } }), false);
      }
    });

    it("gives each job's token no more than the job needs", () => {
      assert.deepEqual(permissions(prod()), {
        others: {},
        version: { contents: "read" },
        dispatch: {},
        report: { actions: "read" },
      });
    });

    it("rolls back: an older version by hand, once its release is known to exist", async () => {
      const run = await trigger(prod(), byHand("0.2.2"));
      assert.equal(run.code, 0, run.output);
      assert.deepEqual(run.conclusions, allGreen);
      assert.equal(api.requests[0]?.path, `/repos/${PACKAGE}/releases/tags/v0.2.2`);
      assert.deepEqual(posted(), events("v0.2.2"));
      assertNoTokenLeft(run);
    });

    it("tells nobody of a version that was never released", async () => {
      const run = await trigger(prod(), byHand("v9.9.9"), {
        scripted: () => api.on(`GET /repos/${PACKAGE}/releases/tags/v9.9.9`, { status: 404 }),
      });
      assert.equal(run.code, 1);
      assert.deepEqual(run.conclusions, { version: "failure" });
      assert.deepEqual(
        api.requests.map(({ method, path }) => `${method} ${path}`),
        [`GET /repos/${PACKAGE}/releases/tags/v9.9.9`],
      );
      assert.deepEqual(
        run.job("version").errors.map(({ title }) => title),
        ["No such release"],
      );
    });

    for (const version of MALICIOUS) {
      it(`neither runs nor passes on a version that is a program: ${version}`, async () => {
        for (const event of [byHand(version), published(version)]) {
          const run = await trigger(prod(), event);
          assert.equal(run.code, 1);
          assert.deepEqual(run.conclusions, { version: "failure" });
          assert.deepEqual(
            run.job("version").errors.map(({ title }) => title),
            ["Not a version"],
          );
          assert.deepEqual(api.requests, []);
        }
        assertNothingPasted();
      });
    }

    it("says which secret is missing and what belongs in it", async () => {
      const run = await trigger(prod(), published("v0.2.3"), { secrets: {} });
      assert.equal(run.code, 1);
      assert.deepEqual(posted(), []);
      for (const name of FUNCTIONS) {
        const [error, ...more] = run.job(`dispatch (${name})`).errors;
        assert.deepEqual(more, []);
        assert.equal(error?.title, "DEPLOY_TRIGGER_TOKEN is not configured");
        assert.ok(error.message.startsWith(`sua-org/${name} was not notified: `));
        assert.match(error.message, /Settings → Environments → prod.*PAT with scopes: repo, workflow/);
      }
      const [error] = run.job("report").errors;
      assert.match(
        error?.message ?? "",
        /^3 of 3 not notified: cloud-function-1 \(failure\), cloud-function-2 \(failure\), cloud-function-3 \(failure\)\./,
      );
    });

    describe("with 600 functions", () => {
      const repositories = Array.from({ length: 600 }, (_, index) => `cloud-function-${index + 1}`);
      const render = (change = (_: Workflow) => {}) => {
        const config: EquidadeConfig = resolve(
          schema.parse({
            project: "equidade-prod",
            projectNumber: "123456789012",
            region: "southamerica-east1",
            functions: repositories,
          }),
          "prod",
        );
        const workflow = triggerDeploys(config, "sua-org");
        change(workflow);
        return renderWorkflow(workflow, "workflows.test.ts");
      };
      it("has three dispatch jobs, none beyond a matrix's limit, and tells every repository once", () => {
        const { version, report, ...dispatches } = jobsIn(render());
        const lists = Object.values(dispatches).map(({ strategy }) => strategy.matrix.repo);
        assert.deepEqual(Object.keys(dispatches), ["dispatch", "dispatch-2", "dispatch-3"]);
        assert.deepEqual(
          lists.map(({ length }) => length),
          [256, 256, 88],
        );
        assert.deepEqual(lists.flat(), repositories);
        // 20 at a time, between the three of them.
        assert.deepEqual(
          Object.values(dispatches).map(({ strategy }) => strategy["max-parallel"]),
          [7, 7, 7],
        );
        assert.deepEqual(
          Object.values(dispatches).map(({ needs }) => needs),
          ["version", "version", "version"],
        );
        assert.ok(version);
        assert.deepEqual(report?.needs, ["version", "dispatch", "dispatch-2", "dispatch-3"]);
      });

      it("dispatches from each of these jobs and reports on all of them", async () => {
        // The first two of each job's list: a runner on this machine needs a second for four jobs.
        const few = render(({ jobs }) => {
          for (const [id, job] of Object.entries(jobs)) {
            if (id.startsWith("dispatch")) (job as unknown as Matrix).strategy.matrix.repo.splice(2);
          }
        });
        const those = [1, 2, 257, 258, 513, 514].map((number) => `cloud-function-${number}`);
        const run = await trigger(few, published("v0.2.3"), {
          repositories: those,
          scripted: () => api.on("POST /repos/sua-org/cloud-function-514/dispatches", { status: 403, body: {} }),
        });
        assert.equal(run.code, 1);
        assert.deepEqual(run.conclusions, {
          version: "success",
          "dispatch (cloud-function-1)": "success",
          "dispatch (cloud-function-2)": "success",
          "dispatch-2 (cloud-function-257)": "success",
          "dispatch-2 (cloud-function-258)": "success",
          "dispatch-3 (cloud-function-513)": "success",
          "dispatch-3 (cloud-function-514)": "failure",
          report: "failure",
        });
        assert.deepEqual(posted(), events("v0.2.3", { repositories: those }));
        assert.match(
          run.job("report").errors[0]?.message ?? "",
          /^1 of 6 not notified: cloud-function-514 \(failure\)\./,
        );
      });
    });
  });

  describe("deploy", () => {
    const REPOSITORY = "sua-org/cloud-function-1";
    const BEFORE = "cloud-function-1-00001-old";
    const AFTER = "cloud-function-1-00002-new";
    let server: GitServer;
    let remote: string;

    const updated = (change: Record<string, unknown> = {}, action = "package-updated"): WorkflowEvent => ({
      name: "repository_dispatch",
      payload: { action, branch: "main", client_payload: { ...payloadFor("cloud-function-1"), ...change } },
    });
    const pushed: WorkflowEvent = { name: "push", payload: { ref: "refs/heads/main" } };

    const deployed = (change: string) => `jq --arg labels "$labels" '${change}' "$state" >"$state.new"
mv "$state.new" "$state"`;
    const labelled = `.labels += ($labels | split(",") | map(split("=") | {(.[0]): .[1]}) | add)`;
    const succeeds = deployed(`${labelled} | .serviceConfig.revision = "${AFTER}"`);

    beforeEach(async () => {
      ({ remote } = sandbox.repository(
        {
          "main.py": "def main(request):\n    return 'ok'\n",
          "requirements.txt": "# what it needs\nfunctions-framework==3.8.2\nequidade-data-package==0.2.2\n",
        },
        REPOSITORY,
      ));
      server = await new GitServer(sandbox.dir, GITHUB_TOKEN, sandbox.env).start();
      sandbox.write(
        "state.json",
        JSON.stringify({
          name: "projects/equidade-prod/locations/southamerica-east1/functions/cloud-function-1",
          state: "ACTIVE",
          labels: { "esteira-stack": "prod" },
          serviceConfig: { revision: BEFORE, allTrafficOnLatestRevision: true },
        }),
      );
    });
    afterEach(() => server.close());

    /** Actions as they behave, as far as these workflows see, with a record of their inputs. */
    const actions = () => {
      const action = (name: string, inputs: object, run: string) => {
        const env = { INPUTS: "${{ toJSON(inputs) }}", RECORD: sandbox.path(`${name}.jsonl`) };
        const steps = [
          { shell: "bash", env, run: `set -euo pipefail\njq -c 'del(.token)' <<<"$INPUTS" >>"$RECORD"\n${run}` },
        ];
        sandbox.write(
          `actions/${name}/action.yml`,
          JSON.stringify({ name, inputs, runs: { using: "composite", steps } }),
        );
        return sandbox.path("actions", name);
      };
      return {
        "actions/checkout": action(
          "checkout",
          {
            ref: { default: "" },
            path: { default: "." },
            token: { default: "${{ github.token }}" },
            "persist-credentials": { default: "true" },
          },
          `input() { jq -r --arg name "$1" '.[$name]' <<<"$INPUTS"; }
ref=$(input ref)
ref=\${ref:-$GITHUB_REF}
branch=\${ref#refs/heads/}
extra="http.$GITHUB_SERVER_URL/.extraheader"
header="AUTHORIZATION: basic $(printf 'x-access-token:%s' "$(input token)" | base64 -w0)"
mkdir -p "$(input path)"
cd "$(input path)"
git init --quiet
git remote add origin "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"
git config --local "$extra" "$header"
git fetch --quiet --no-tags --depth=1 origin "+refs/heads/$branch:refs/remotes/origin/$branch"
git checkout --quiet --force -B "$branch" "refs/remotes/origin/$branch"
[[ $(input persist-credentials) == true ]] || git config --local --unset-all "$extra"`,
        ),
        "google-github-actions/auth": action(
          "auth",
          {
            workload_identity_provider: { default: "" },
            service_account: { default: "" },
            credentials_json: { default: "" },
          },
          `file=$GITHUB_WORKSPACE/gha-creds-0123456789abcdef.json
echo '{"type": "external_account", "canary": "canaryOfGoogle"}' >"$file"
for name in GOOGLE_GHA_CREDS_PATH GOOGLE_APPLICATION_CREDENTIALS CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE; do
  echo "$name=$file" >>"$GITHUB_ENV"
done`,
        ),
        "google-github-actions/setup-gcloud": action("setup-gcloud", { version: { default: "latest" } }, ":"),
      };
    };

    /** A run where gcloud knows the function of state.json and `deploy` is what deploying it does. */
    const run = async (
      event: WorkflowEvent,
      {
        stack = "prod",
        file = "deploy.yml",
        workflow = delivered(stack, "cloud-function-1", file),
        deploy = succeeds,
        ref = "refs/heads/main",
      } = {},
    ) => {
      sandbox.stub(
        "gcloud",
        `state='${sandbox.path("state.json")}'
if ! grep -q canaryOfGoogle "\${CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE-}" 2>/dev/null; then
  echo 'ERROR: (gcloud) You do not currently have an active account selected.' >&2
  exit 1
fi
labels=
for each in "$@"; do
  [[ $each != --update-labels=* ]] || labels=\${each#*=}
done
case "$1 $2" in
  'functions describe') cat "$state" ;;
  'functions deploy')
    cp -r . '${sandbox.path("uploaded")}'
    ${deploy}
    ;;
  *) exit 2 ;;
esac`,
      );
      return new Act(sandbox).run({
        workflow,
        event,
        ref,
        repository: REPOSITORY,
        secrets: { GITHUB_TOKEN },
        env: { GITHUB_SERVER_URL: server.url, VERIFY_ATTEMPTS: "2", VERIFY_SECONDS: "0" },
        actions: actions(),
      });
    };

    const git = (...args: string[]) => sandbox.git(remote, ...args);
    /** The subjects on the remote's branch, newest first. */
    const log = (branch = "main") => git("log", "--format=%s", branch).split("\n");
    const pinnedOn = (branch = "main") => git("show", `${branch}:requirements.txt`).match(/^equidade.*$/m)?.[0];
    const uploaded = () => sandbox.read("uploaded/requirements.txt").match(/^equidade.*$/m)?.[0];
    const inputs = (action: string) =>
      sandbox
        .read(`${action}.jsonl`)
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, string>);
    const deploys = () => sandbox.calls("gcloud").filter(({ argv }) => argv[1] === "deploy");
    /** gcloud was told to deploy exactly this, once, in the checkout's folder. */
    const assertDeployed = (label: string, environment = "prod", commit = git("rev-parse", "main")) => {
      assert.equal(deploys().length, 1);
      const [{ argv, cwd } = { argv: [], cwd: "" }] = deploys();
      assert.deepEqual(argv, [
        ...["functions", "deploy", "cloud-function-1", "--gen2"],
        ...["--region=southamerica-east1", `--project=equidade-${environment}`, "--source=."],
        ...["--runtime=python313", "--entry-point=main"],
        `--build-service-account=projects/equidade-${environment}/serviceAccounts/equidade-build@equidade-${environment}.iam.gserviceaccount.com`,
        `--update-labels=equidade-data-package=${label},commit=${commit.slice(0, 12)}`,
        "--quiet",
      ]);
      assert.match(cwd, /\/source$/);
    };
    const assertNoCredentialsUploaded = () => {
      assert.deepEqual(sandbox.filesWith("canary", "uploaded"), []);
      const basic = Buffer.from(`x-access-token:${GITHUB_TOKEN}`).toString("base64");
      assert.deepEqual(sandbox.filesWith(basic, "uploaded"), []);
      assert.deepEqual(readdirSync(sandbox.path("uploaded")).sort(), [".git", "main.py", "requirements.txt"]);
    };
    /** Nothing was committed and nobody was asked to deploy. */
    const assertNothingDone = () => {
      assert.deepEqual(log(), ["First"]);
      assert.equal(git("for-each-ref", "--format=%(refname)"), "refs/heads/main");
      assert.deepEqual(sandbox.calls("gcloud"), []);
      assert.equal(existsSync(sandbox.path("auth.jsonl")), false);
    };
    const steps = (act: Act) => act.job("deploy").steps;
    const ALL = {
      "Check out": "success",
      "Pin the package": "success",
      "Log in to Google Cloud": "success",
      "Set up gcloud": "success",
      "Deploy and verify": "success",
    };

    it("pins the released version in one commit, deploys that commit, and verifies it", async () => {
      const act = await run(updated());
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(act.conclusions, { deploy: "success" });
      assert.deepEqual(steps(act), ALL);

      assert.deepEqual(log(), ["Pin equidade-data-package==0.2.3", "First"]);
      assert.equal(git("log", "-1", "--format=%an <%ae>|%cn", "main"), `${BOT}|github-actions[bot]`);
      assert.equal(git("diff", "--name-only", "main~", "main"), "requirements.txt");
      assert.equal(
        git("show", "main:requirements.txt"),
        "# what it needs\nfunctions-framework==3.8.2\nequidade-data-package==0.2.3",
      );

      assertDeployed("0_2_3");
      assert.equal(uploaded(), "equidade-data-package==0.2.3");
      const described = sandbox.calls("gcloud").filter(({ argv }) => argv[1] === "describe");
      assert.deepEqual(
        described.map(({ argv }) => argv),
        Array(2).fill([
          ...["functions", "describe", "cloud-function-1", "--gen2"],
          ...["--region=southamerica-east1", "--project=equidade-prod", "--format=json"],
        ]),
      );
      assert.match(act.job("deploy").summary, new RegExp(`${AFTER}.*equidade-data-package==0\\.2\\.3`));

      assert.deepEqual(inputs("checkout"), [{ ref: "main", path: "source", "persist-credentials": "false" }]);
      assert.deepEqual(inputs("auth"), [
        {
          workload_identity_provider:
            "projects/123456789012/locations/global/workloadIdentityPools/equidade-deployer/providers/github",
          service_account: "equidade-deployer@equidade-prod.iam.gserviceaccount.com",
          credentials_json: "",
        },
      ]);
      assert.deepEqual(inputs("setup-gcloud"), [{ version: "528.0.0" }]);

      // Git asks without the token first, is refused, and then gets it from its helper; nothing keeps it.
      assert.deepEqual(server.refused, [`GET /${REPOSITORY}/info/refs?service=git-receive-pack`]);
      assert.doesNotMatch(sandbox.read("uploaded/.git/config"), /extraheader|credential/);
      assertNoCredentialsUploaded();
      assertNoTokenLeft(act);
    });

    it("pins on top of what somebody pushed meanwhile, and deploys both", async () => {
      server.beforePush = () => {
        sandbox.write(`${REPOSITORY}/main.py`, "def main(request):\n    return 'faster'\n");
        sandbox.git(sandbox.path(REPOSITORY), "commit", "--quiet", "--all", "--message", "Faster");
        sandbox.git(sandbox.path(REPOSITORY), "push", "--quiet");
      };
      const act = await run(updated());
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(log(), ["Pin equidade-data-package==0.2.3", "Faster", "First"]);
      assertDeployed("0_2_3");
      assert.match(sandbox.read("uploaded/main.py"), /faster/);
      assert.equal(uploaded(), "equidade-data-package==0.2.3");
    });

    it("verifies, and fails a run whose function ends FAILED", async () => {
      const act = await run(updated(), { deploy: `${succeeds}\n${deployed('.state = "FAILED"')}` });
      assert.equal(act.code, 1);
      assert.deepEqual(steps(act), { ...ALL, "Deploy and verify": "failure" });
      assert.equal(deploys().length, 1);
      const [error, ...more] = act.job("deploy").errors;
      assert.deepEqual(more, []);
      assert.equal(error?.title, "Not verified");
      assert.match(
        error.message,
        new RegExp(`found state FAILED, revision ${AFTER},.*Still serving: ${BEFORE}\\.$`, "s"),
      );
    });

    it("fails a run whose function keeps its old revision", async () => {
      const act = await run(updated(), { deploy: deployed(labelled) });
      assert.equal(act.code, 1);
      assert.deepEqual(steps(act), { ...ALL, "Deploy and verify": "failure" });
      const [error] = act.job("deploy").errors;
      assert.equal(error?.title, "Not verified");
      assert.match(error.message, new RegExp(`found state ACTIVE, revision ${BEFORE},`));
    });

    it("fails a run whose deployment gcloud refuses, and says what still serves", async () => {
      const act = await run(updated(), {
        deploy: `echo "ERROR: (gcloud.functions.deploy) ResponseError: status=[403], code=[Ok], message=[Permission 'iam.serviceaccounts.actAs' denied]" >&2
exit 1`,
      });
      assert.equal(act.code, 1);
      assert.equal(deploys().length, 1);
      const [error] = act.job("deploy").errors;
      assert.equal(error?.title, "Deployment failed");
      assert.match(error.message, /Cloud Functions Developer and Service Account User/);
      assert.ok(error.message.endsWith(`Still serving: ${BEFORE}.`), error.message);
    });

    for (const version of MALICIOUS) {
      it(`neither runs nor pins a version that is a program: ${version}`, async () => {
        for (const event of [updated({ version }), byHand(version)]) {
          const act = await run(event);
          assert.equal(act.code, 1);
          assert.deepEqual(steps(act), { "Check out": "success", "Pin the package": "failure" });
          assertNothingDone();
        }
        assertNothingPasted();
      });
    }

    it("refuses what is meant for another package or repository, or comes from another", async () => {
      for (const [change, problem] of [
        [{ package: "equidade-data-packages" }, /^client_payload\.package is .*, expected equidade-data-package$/],
        [{ repo_name: "cloud-function-2" }, /^client_payload\.repo_name is .*, expected cloud-function-1$/],
        [{ source_repo: "org/other" }, /^client_payload\.source_repo is .*, expected sua-org\/equidade-data-package$/],
      ] as const) {
        const act = await run(updated(change));
        assert.equal(act.code, 1);
        const errors = act.job("deploy").errors;
        assert.deepEqual(
          errors.map(({ title }) => title),
          ["Bad payload"],
        );
        assert.match(errors[0]?.message ?? "", problem);
        assertNothingDone();
      }
    });

    it("deploys a push to main with what is pinned, and commits nothing", async () => {
      const act = await run(pushed);
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(steps(act), ALL);
      assert.deepEqual(log(), ["First"]);
      assertDeployed("0_2_2");
      assert.equal(uploaded(), "equidade-data-package==0.2.2");
      assertNoCredentialsUploaded();
    });

    it("deploys again, without a commit, a version that is pinned already", async () => {
      const act = await run(updated({ version: "v0.2.2" }));
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(log(), ["First"]);
      assertDeployed("0_2_2");
    });

    it("rolls back by hand: pins and deploys an older version", async () => {
      const act = await run(byHand("v0.1.9"));
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(log(), ["Pin equidade-data-package==0.1.9", "First"]);
      assert.equal(pinnedOn(), "equidade-data-package==0.1.9");
      assertDeployed("0_1_9");
      assert.equal(uploaded(), "equidade-data-package==0.1.9");
    });

    it("deploys by hand what is pinned, when no version is given", async () => {
      const act = await run(byHand(""));
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(log(), ["First"]);
      assertDeployed("0_2_2");
    });

    it("keeps staging's pre-releases off main", async () => {
      const act = await run(updated({ version: "v0.3.0-rc.1" }, "package-updated-staging"), {
        stack: "staging",
        file: "deploy-staging.yml",
      });
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(steps(act), ALL);
      assert.deepEqual(log(), ["First"]);
      assert.equal(pinnedOn(), "equidade-data-package==0.2.2");
      assertDeployed("0_3_0rc1", "staging");
      assert.equal(uploaded(), "equidade-data-package==0.3.0rc1");
      assert.equal(
        inputs("auth")[0]?.["service_account"],
        "equidade-deployer@equidade-staging.iam.gserviceaccount.com",
      );
      assertNoCredentialsUploaded();
    });

    it("deploys in dev the branch that the run was started on", async () => {
      git("branch", "feature", "main");
      const clone = sandbox.path(REPOSITORY);
      sandbox.write(`${REPOSITORY}/main.py`, "def main(request):\n    return 'feature'\n");
      sandbox.git(clone, "commit", "--quiet", "--all", "--message", "Feature");
      sandbox.git(clone, "push", "--quiet", "origin", "HEAD:feature");
      const event = byHand("0.3.0.dev1");
      const act = await run(
        { ...event, payload: { ...event.payload, ref: "refs/heads/feature" } },
        { stack: "dev", file: "deploy-dev.yml", ref: "refs/heads/feature" },
      );
      assert.equal(act.code, 0, act.output);
      assert.deepEqual(log("feature"), ["Feature", "First"]);
      assert.deepEqual(log(), ["First"]);
      assertDeployed("0_3_0_dev1", "dev", git("rev-parse", "feature"));
      assert.match(sandbox.read("uploaded/main.py"), /feature/);
      assert.equal(uploaded(), "equidade-data-package==0.3.0.dev1");
    });

    it("may write to the repository only where the pin is committed", () => {
      for (const [stack, file, contents] of [
        ["prod", "deploy.yml", "write"],
        ["staging", "deploy-staging.yml", "read"],
        ["dev", "deploy-dev.yml", "read"],
      ] as const) {
        const workflow = delivered(stack, "cloud-function-1", file);
        assert.deepEqual(permissions(workflow), { others: {}, deploy: { contents, "id-token": "write" } });
      }
    });

    it("is started by its own environment's events alone", () => {
      const files = { prod: "deploy.yml", staging: "deploy-staging.yml", dev: "deploy-dev.yml" };
      for (const [stack, file] of Object.entries(files)) {
        const workflow = delivered(stack, "cloud-function-1", file);
        const own = stack === "prod" ? "package-updated" : `package-updated-${stack}`;
        for (const type of ["package-updated", "package-updated-staging", "package-updated-dev", "other"]) {
          assert.equal(starts(workflow, updated({}, type)), type === own, `${type} in ${stack}`);
        }
        assert.equal(starts(workflow, pushed), stack === "prod");
        assert.equal(starts(workflow, { name: "push", payload: { ref: "refs/heads/other" } }), false);
        assert.equal(starts(workflow, byHand("")), true);
      }
    });
  });
});
