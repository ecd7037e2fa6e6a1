/** The delivered publish-*.yml: what starts them, what each job may and gets, and runs of them whole. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { check } from "../../../cli/render/checks.ts";
import { actionsOf, type Job, renderWorkflow, type Step, type Workflow } from "../../../components/github/workflow.ts";
import { type PublishArgs, publish, workflowPath } from "../../../systems/python-api/repository/publish.ts";
import { RegistryStub } from "../../components/github/registry-stub.ts";
import { StandIns } from "../../components/github/stand-ins.ts";
import { Act, GitServer, requireAct, starts } from "../../support/act.ts";
import { assertLintersTake } from "../../support/lint.ts";
import { Sandbox } from "../../support/sandbox.ts";

type Environment = PublishArgs["environment"];
const ENVIRONMENTS = ["dev", "staging", "prod"] satisfies Environment[];
const root = join(import.meta.dirname, "../../..");
const text = (path: string) => readFileSync(join(root, path), "utf8");
const REPOSITORY = "sua-org/python-api-base";
const valuesFiles = {
  dev: "deployments/helm/api/values-dev.yaml",
  staging: "deployments/helm/api/values-staging.yaml",
  prod: "deployments/helm/api/values-prod.yaml",
};
const delivered = [".github/workflows/publish-dev.yml", "docs/runbooks/dev.md"];
const names = { dev: "development", staging: "staging", prod: "production" };

const argsFor = (environment: Environment, changes: Partial<PublishArgs> = {}): PublishArgs => ({
  environment,
  environmentName: names[environment],
  owner: "sua-org",
  repository: "python-api-base",
  branch: "main",
  then: `then somebody looks after ${environment}`,
  image: "ghcr.io/sua-org/python-api-base",
  dockerfile: "Dockerfile",
  valuesFiles,
  delivered,
  python: "3.12",
  install: "pip install -r requirements.txt",
  checks: ["ruff check .", "pytest"],
  ...changes,
});
const rendered = (environment: Environment, changes: Partial<PublishArgs> = {}) =>
  renderWorkflow(publish(argsFor(environment, changes)), "systems/python-api/repository/publish.ts");

const startedBy = (workflow: string, ref: string, changed?: readonly string[]): boolean =>
  starts(workflow, { name: "push", payload: { ref } }, changed);

describe("python-api's publish-*.yml", () => {
  const workflows = Object.fromEntries(ENVIRONMENTS.map((each) => [each, parse(rendered(each)) as Workflow])) as Record<
    Environment,
    Workflow
  >;
  const jobs = (environment: Environment) => workflows[environment].jobs as Record<string, Job>;
  const step = (environment: Environment, job: string, name: string): Step =>
    jobs(environment)[job]!.steps!.find((each) => each.name === name)!;

  it("stand one an environment beside each other", () =>
    assert.deepEqual(ENVIRONMENTS.map(workflowPath), [
      ".github/workflows/publish-dev.yml",
      ".github/workflows/publish-staging.yml",
      ".github/workflows/publish-prod.yml",
    ]));

  it("are started by a push to the branch, a candidate's tag, a final version's tag", () => {
    assert.deepEqual(
      ENVIRONMENTS.map((each) => workflows[each].on),
      [
        { push: { branches: ["main"], "paths-ignore": [...Object.values(valuesFiles), ...delivered] } },
        { push: { tags: ["v[0-9]+.[0-9]+.[0-9]+-rc.[0-9]+"] } },
        { push: { tags: ["v[0-9]+.[0-9]+.[0-9]+"] } },
      ],
    );
    const started = (ref: string) => ENVIRONMENTS.filter((each) => startedBy(rendered(each), ref));
    assert.deepEqual(started("refs/heads/main"), ["dev"]);
    assert.deepEqual(started("refs/heads/hotfix/x"), []);
    assert.deepEqual(started("refs/heads/v1.2.0"), []);
    assert.deepEqual(started("refs/tags/v1.2.0-rc.1"), ["staging"]);
    assert.deepEqual(started("refs/tags/v10.20.30"), ["prod"]);
    for (const each of ["main", "v1.2", "v1.2.0-rc", "v1.2.0-dev.1", "v1.2.0-rc.1.2", "xv1.2.0", "v1.2.0+x", "v1x2x0"])
      assert.deepEqual(started(`refs/tags/${each}`), [], each);
    assert.deepEqual((parse(rendered("dev", { branch: "trunk" })) as Workflow).on, {
      push: { branches: ["trunk"], "paths-ignore": [...Object.values(valuesFiles), ...delivered] },
    });
  });

  it("do not go round: what the Image Updater commits for any environment starts nothing, with code it does", () => {
    const dev = rendered("dev");
    for (const each of Object.values(valuesFiles)) {
      assert.equal(startedBy(dev, "refs/heads/main", [each]), false, each);
      assert.equal(startedBy(dev, "refs/heads/main", [each, "main.py"]), true, each);
    }
    assert.equal(startedBy(dev, "refs/heads/main", Object.values(valuesFiles)), false);
    for (const each of ["deployments/helm/api/values.yaml", "deployments/helm/api/templates/x.yaml", "values-dev.yaml"])
      assert.equal(startedBy(dev, "refs/heads/main", [each]), true, each);
    const elsewhere = { dev: "a.yaml", staging: "b.yaml", prod: "c.yaml" };
    assert.equal(startedBy(rendered("dev", { valuesFiles: elsewhere }), "refs/heads/main", ["b.yaml"]), false);
  });

  for (const environment of ENVIRONMENTS) {
    describe(`for ${environment}`, () => {
      const workflow = workflows[environment];

      it("lets runs of one ref follow each other and throws none out", () => {
        const group = `publish-${environment}-\${{ github.ref }}`;
        assert.deepEqual(workflow.concurrency, { group, "cancel-in-progress": false, queue: "max" });
        for (const job of Object.values(jobs(environment))) assert.equal(job.concurrency, undefined);
      });

      it("gives each job's token what the job needs, and nothing beyond", () => {
        assert.deepEqual(workflow.permissions, {});
        assert.deepEqual(
          Object.entries(jobs(environment)).map(([id, { permissions }]) => [id, permissions]),
          [
            ["version", { contents: "read", packages: "read" }],
            ["test", { contents: "read" }],
            ["image", { contents: "read", packages: "write" }],
          ],
        );
        for (const { steps } of Object.values(jobs(environment)))
          for (const { uses, with: its } of steps!)
            if (uses?.startsWith("actions/checkout")) assert.equal(its?.["persist-credentials" as never], false);
      });

      it("has its jobs one after the other, and in the repository itself alone", () => {
        const conditions = Object.entries(jobs(environment)).map(([id, job]) => [id, job.needs, job.if]);
        assert.deepEqual(conditions, [
          ["version", undefined, "github.repository == 'sua-org/python-api-base'"],
          ["test", "version", "needs.version.outputs.action == 'build'"],
          [
            "image",
            ["version", "test"],
            "!cancelled() && (needs.test.result == 'success' || needs.version.outputs.action == 'tag')",
          ],
        ]);
        assert.deepEqual(jobs(environment)["image"]!.environment, { name: names[environment] });
        assert.equal(jobs(environment)["version"]!.environment, undefined);
        for (const [id, job] of Object.entries(jobs(environment))) {
          assert.equal(job["runs-on"], "ubuntu-24.04");
          assert.ok(Number(job["timeout-minutes"]) > 0 && Number(job["timeout-minutes"]) <= 45, id);
        }
      });

      it("finds the version in the whole history", () => {
        assert.deepEqual(step(environment, "version", "Check out").with, {
          ref: "main",
          "fetch-depth": 0,
          "persist-credentials": false,
        });
        assert.deepEqual(step(environment, "version", "Find the version"), {
          name: "Find the version",
          id: "version",
          shell: "python",
          env: {
            ENVIRONMENT: environment,
            COMMIT: "${{ github.sha }}",
            BRANCH: "main",
            ...(environment !== "dev" && { TAG: "${{ github.ref_name }}" }),
            ...(environment === "prod" && { STAGING_VALUES: valuesFiles.staging }),
            GITHUB_TOKEN: "${{ github.token }}",
          },
          run: text("systems/python-api/repository/version.py"),
        });
        assert.deepEqual(jobs(environment)["version"]!.outputs, {
          version: "${{ steps.version.outputs.version }}",
          source: "${{ steps.version.outputs.source }}",
          hotfix: "${{ steps.version.outputs.hotfix }}",
          action: "${{ steps.look.outputs.action }}",
        });
      });

      it("looks before the tests, and again before it publishes", () => {
        const expected = (from: string) => ({
          COMMAND: "look",
          IMAGE: "ghcr.io/sua-org/python-api-base",
          REVISION: "${{ github.sha }}",
          REGISTRY_USER: "${{ github.actor }}",
          REGISTRY_TOKEN: "${{ github.token }}",
          TAG: `\${{ ${from}.outputs.version }}`,
          ...{
            dev: {
              DONE_TAG: "sha-${{ github.sha }}",
              SERIES: "v(\\d+)\\.(\\d+)\\.(\\d+)-dev\\.(\\d+)",
              IF_LOWER: "warn",
            },
            staging: { SERIES: "v(\\d+)\\.(\\d+)\\.(\\d+)-rc\\.(\\d+)", IF_LOWER: "refuse" },
            prod: {
              SOURCE: `\${{ ${from}.outputs.source }}`,
              SERIES: "v(\\d+)\\.(\\d+)\\.(\\d+)",
              IF_LOWER: "refuse",
            },
          }[environment],
        });
        const first = step(environment, "version", "Look into the registry");
        assert.deepEqual(first.env, { ...expected("steps.version"), IF_DENIED: "absent" });
        const again = step(environment, "image", "Look into the registry");
        assert.deepEqual(again.env, expected("needs.version"));
        assert.equal(jobs(environment)["image"]!.steps![0], again);
        for (const { run, id, shell } of [first, again]) {
          assert.equal(run, text("components/github/registry/image_tags.py"));
          assert.deepEqual([id, shell], ["look", "python"]);
        }
      });

      it("runs each check as a step of its own", () => {
        const { steps } = jobs(environment)["test"]!;
        assert.deepEqual(
          steps!.map(({ name, run }) => name ?? run),
          ["Check out", "Set up Python", "Install", "ruff check .", "pytest"],
        );
        assert.deepEqual(steps![1]!.with, { "python-version": "3.12" });
        assert.equal(steps![2]!.run, "pip install -r requirements.txt");
      });

      it("builds, gives the last tag, and says what comes next", () => {
        const { steps } = jobs(environment)["image"]!;
        const builds = "steps.look.outputs.action == 'build' && needs.test.result == 'success'";
        assert.deepEqual(
          steps!.map(({ name, id, if: condition }) => [name, id, condition]),
          [
            ["Look into the registry", "look", undefined],
            ["Check out", undefined, builds],
            ["Set up Buildx", undefined, builds],
            ["Log in to GHCR", undefined, builds],
            ["Build and push", "build", builds],
            [environment === "prod" ? "Promote" : "Tag by commit", "tag", "steps.look.outputs.target != ''"],
            ["Say what was published", undefined, "steps.look.outputs.action != 'nothing'"],
          ],
        );
        assert.deepEqual(steps![4]!.with, {
          context: ".",
          file: "Dockerfile",
          push: true,
          tags: "ghcr.io/sua-org/python-api-base:${{ needs.version.outputs.version }}",
          labels: "org.opencontainers.image.revision=${{ github.sha }}",
          annotations: "index,manifest:org.opencontainers.image.revision=${{ github.sha }}",
          "cache-from": "type=gha",
          "cache-to": "type=gha,mode=max",
          provenance: "mode=max",
          sbom: true,
        });
        assert.deepEqual(steps![5]!.env, {
          COMMAND: "tag",
          IMAGE: "ghcr.io/sua-org/python-api-base",
          REVISION: "${{ github.sha }}",
          REGISTRY_USER: "${{ github.actor }}",
          REGISTRY_TOKEN: "${{ github.token }}",
          SOURCE: "${{ steps.look.outputs.source }}",
          TAG: "${{ steps.look.outputs.target }}",
        });
        assert.deepEqual(steps![6], {
          name: "Say what was published",
          if: "steps.look.outputs.action != 'nothing'",
          env: {
            IMAGE: "ghcr.io/sua-org/python-api-base",
            VERSION: "${{ needs.version.outputs.version }}",
            DIGEST: "${{ steps.build.outputs.digest || steps.tag.outputs.digest }}",
            REVISION: "${{ github.sha }}",
            SOURCE: "${{ needs.version.outputs.source }}",
            HOTFIX: "${{ needs.version.outputs.hotfix }}",
            VALUES: valuesFiles[environment],
            BRANCH: "main",
            THEN: `then somebody looks after ${environment}`,
          },
          run: text("systems/python-api/repository/published.sh"),
        });
      });

      it("pastes nothing into a program, uses no secret, and names no tag that moves", () => {
        for (const job of Object.values(jobs(environment)))
          for (const { run = "" } of job.steps!) assert.doesNotMatch(run, /\$\{\{/);
        assert.deepEqual(rendered(environment).match(/\$\{\{[^}]*\bsecrets\b|:latest\b/g), null);
      });

      it("pins every action by a commit, with its version beside it", () => {
        const uses = rendered(environment)
          .split("\n")
          .filter((line) => line.includes("uses:"));
        assert.equal(uses.length, 1 + 2 + 4);
        for (const line of uses) assert.match(line, /uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
        assert.equal(actionsOf(publish(argsFor(environment))).length, 5);
      });

      it("is what GitHub's parser, actionlint and zizmor take", async () => {
        const path = workflowPath(environment);
        assert.deepEqual(await check(new Map([[`github/${REPOSITORY}/${path}`, rendered(environment)]])), []);
        assertLintersTake(path, rendered(environment));
      });
    });
  }
});

describe("python-api's workflows under a runner", () => {
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
    for (const each of ["install-it", "check-it"]) sandbox.stub(each);
    at = sandbox.repository({ "main.py": "", Dockerfile: "FROM scratch\n" }, REPOSITORY);
    server = await new GitServer(sandbox.dir, registry.secret, sandbox.env).start();
    registry.reset("v0.1.0-dev.1", "v0.1.0-dev.2", "v1.2.0-rc.1", "v1.2.0", "v1.2.1");
  });
  afterEach(async () => {
    await server.close();
    sandbox.dispose();
  });

  const git = (...args: string[]) => sandbox.git(at.clone, ...args);
  const head = () => git("rev-parse", "HEAD");
  const commit = (message: string, files: Record<string, string> = {}) => {
    for (const [path, content] of Object.entries(files)) sandbox.write(`${REPOSITORY}/${path}`, content);
    git("add", "--all");
    git("commit", "--quiet", "--allow-empty", "--message", message);
    git("push", "--quiet", "origin", "main");
  };
  const tag = (name: string, ...args: string[]) => {
    git("tag", ...args, name);
    git("push", "--quiet", "origin", `refs/tags/${name}`);
  };
  /** What the Image Updater does once it finds a tag. */
  const update = (environment: Environment, version: string) =>
    commit(`build: automatic update of ${environment}`, {
      [valuesFiles[environment]]: `image:\n  repository: ${registry.image}\n  tag: ${version}\n`,
    });

  const builds = () => actions.inputs("build-push").length;
  const puts = () => registry.asked.filter((each) => each.startsWith("PUT ")).map((each) => each.slice(14));

  const run = async (environment: Environment, ref = "refs/heads/main", changes: Partial<PublishArgs> = {}) => {
    const workflow = rendered(environment, {
      image: registry.image,
      install: "install-it",
      checks: ["check-it"],
      ...changes,
    });
    assert.ok(startedBy(workflow, ref), `${ref} does not start publish-${environment}.yml`);
    sandbox.git(sandbox.dir, "clone", "--quiet", at.remote, sandbox.path("checkout"));
    const sha = git("rev-parse", `${ref.startsWith("refs/tags/") ? ref : "main"}^{commit}`);
    sandbox.git(sandbox.path("checkout"), "checkout", "--quiet", "--detach", sha);
    registry.expect(`sha-${sha}`);
    const act = await new Act(sandbox).run({
      workflow,
      event: { name: "push", payload: { ref } },
      ref,
      repository: REPOSITORY,
      secrets: { GITHUB_TOKEN: registry.secret },
      env: { GITHUB_SERVER_URL: server.url, RETRY_BASE_SECONDS: "0" },
      actions: actions.folders,
      actor: registry.user,
    });
    await sandbox.run("rm", ["-rf", sandbox.path("checkout")]);
    // The runner knows the token; nobody else keeps it.
    const basic = Buffer.from(`${registry.user}:${registry.secret}`).toString("base64");
    for (const each of [registry.secret, registry.token, basic]) assert.ok(!act.output.includes(each), act.output);
    return act;
  };
  const ALL = { image: "success", test: "success", version: "success" };

  it("dev: publishes a push under the next version and by its commit; a second run publishes nothing", async () => {
    commit("Second");
    const sha = head();
    const act = await run("dev");
    assert.equal(act.code, 0, act.output);
    assert.deepEqual(act.conclusions, ALL);
    const digest = registry.tags["v0.1.0-dev.2"]!;
    assert.deepEqual(registry.tags, { "v0.1.0-dev.2": digest, [`sha-${sha}`]: digest });
    assert.deepEqual(puts(), ["v0.1.0-dev.2", `sha-${sha}`]);
    const revision = `org.opencontainers.image.revision=${sha}`;
    assert.deepEqual(actions.inputs("build-push"), [
      {
        ...{ context: ".", file: "Dockerfile", push: "true", tags: `${registry.image}:v0.1.0-dev.2` },
        ...{ labels: revision, annotations: `index,manifest:${revision}` },
      },
    ]);
    for (const each of ["install-it", "check-it"]) assert.equal(sandbox.calls(each).length, 1);
    assert.equal(
      act.job("image").summary,
      `Published \`${registry.image}:v0.1.0-dev.2\`, \`${digest}\`, of the commit \`${sha}\`: built. Next: Argo CD Image Updater commits it into \`${valuesFiles.dev}\` on main; then somebody looks after dev.\n`,
    );

    // Again; and again when what was tagged since would make it another version.
    for (const then of [() => {}, () => tag("v1.2.0-rc.1")]) {
      then();
      const again = await run("dev");
      assert.equal(again.code, 0, again.output);
      assert.deepEqual(again.conclusions, { version: "success" });
      assert.match(again.job("version").summary, new RegExp(`^Nothing to publish: .*:sha-${sha}\` is the image of`));
    }
    assert.deepEqual(Object.keys(registry.tags).length, 2);
    assert.deepEqual([builds(), puts().length], [1, 2]);
  });

  it("dev: does not go round when the Image Updater commits what was published", async () => {
    assert.equal((await run("dev")).code, 0);
    update("dev", "v0.1.0-dev.1");
    const changed = git("diff", "--name-only", "HEAD~1", "HEAD").split("\n");
    assert.deepEqual(changed, [valuesFiles.dev]);
    for (const each of ENVIRONMENTS) assert.equal(startedBy(rendered(each), "refs/heads/main", changed), false);
    commit("Code", { "main.py": "pass\n" });
    registry.expect("v0.1.0-dev.3");
    const act = await run("dev");
    assert.equal(act.code, 0, act.output);
    assert.ok(registry.tags["v0.1.0-dev.3"]);
  });

  it("dev: a run that was cut off before its last tag is finished by the next, without another build", async () => {
    const route = `PUT ${registry.path(`manifests/sha-${head()}`)}`;
    const cut = { status: 500 };
    const expectAll = registry.expect.bind(registry);
    registry.expect = (...references) => {
      expectAll(...references);
      registry.server.on(route, cut);
    };
    const act = await run("dev");
    registry.expect = expectAll;
    assert.deepEqual(act.conclusions, { ...ALL, image: "failure" });
    assert.deepEqual(Object.keys(registry.tags), ["v0.1.0-dev.1"]);
    const again = await run("dev");
    assert.equal(again.code, 0, again.output);
    assert.deepEqual(again.conclusions, { version: "success", image: "success" });
    assert.equal(registry.tags[`sha-${head()}`], registry.tags["v0.1.0-dev.1"]);
    assert.equal(builds(), 1);
    assert.match(again.job("image").summary, /^Published .*:v0\.1\.0-dev\.1`, `sha256:/);
  });

  it("publishes nothing that fails its checks", async () => {
    sandbox.stub("check-it", "exit 1");
    const act = await run("dev");
    assert.equal(act.code, 1);
    assert.deepEqual(act.conclusions, { version: "success", test: "failure" });
    assert.deepEqual([builds(), registry.tags], [0, {}]);
  });

  it("is for the repository itself alone", async () => {
    const act = await run("dev", undefined, { owner: "somebody-else" });
    assert.deepEqual(act.conclusions, {});
    assert.deepEqual(registry.server.requests, []);
  });

  it("staging: builds a candidate, once", async () => {
    tag("v1.2.0-rc.1");
    const act = await run("staging", "refs/tags/v1.2.0-rc.1");
    assert.equal(act.code, 0, act.output);
    assert.deepEqual(act.conclusions, ALL);
    assert.deepEqual(Object.keys(registry.tags), ["v1.2.0-rc.1"]);
    assert.match(
      act.job("image").summary,
      /: built\. Next: .*`deployments\/helm\/api\/values-staging\.yaml` on main; then somebody looks after staging/,
    );
    const again = await run("staging", "refs/tags/v1.2.0-rc.1");
    assert.equal(again.code, 0, again.output);
    assert.deepEqual(again.conclusions, { version: "success" });
    assert.deepEqual([builds(), puts()], [1, ["v1.2.0-rc.1"]]);
  });

  it("staging: refuses a tag whose image is of another commit, and leaves it", async () => {
    const digest = registry.add("v1.2.0-rc.1", "f".repeat(40));
    tag("v1.2.0-rc.1");
    const act = await run("staging", "refs/tags/v1.2.0-rc.1");
    assert.equal(act.code, 1);
    assert.deepEqual(act.conclusions, { version: "failure" });
    const [error, ...more] = act.job("version").errors;
    assert.deepEqual([error?.title, more], ["Tag is taken", []]);
    assert.match(error!.message, new RegExp(`made of f{40}; this run is of ${head()}\\.`));
    assert.match(act.job("version").summary, /^\*\*Tag is taken\*\*: /);
    assert.deepEqual([registry.tags["v1.2.0-rc.1"], builds(), puts()], [digest, 0, []]);
  });

  it("staging: refuses one that is lower than what is published, as nothing would deploy it", async () => {
    registry.add("v1.3.0-rc.1", "f".repeat(40));
    tag("v1.2.0-rc.1");
    const act = await run("staging", "refs/tags/v1.2.0-rc.1");
    assert.deepEqual(act.conclusions, { version: "failure" });
    assert.equal(act.job("version").errors[0]?.title, "Not the highest version");
  });

  /** A candidate that staging runs, and a final tag on the same commit. */
  const candidate = () => {
    const sha = head();
    tag("v1.2.0-rc.1");
    const digest = registry.add("v1.2.0-rc.1", sha, { platforms: ["amd64", "arm64"] });
    update("staging", "v1.2.0-rc.1");
    git("tag", "v1.2.0", "v1.2.0-rc.1");
    git("push", "--quiet", "origin", "v1.2.0");
    return { sha, digest };
  };

  it("prod: promotes what staging has run, under the same digest, once, and tests and builds nothing", async () => {
    const { sha, digest } = candidate();
    const act = await run("prod", "refs/tags/v1.2.0");
    assert.equal(act.code, 0, act.output);
    assert.deepEqual(act.conclusions, { version: "success", image: "success" });
    assert.deepEqual(registry.tags, { "v1.2.0-rc.1": digest, "v1.2.0": digest });
    assert.deepEqual([builds(), sandbox.calls("check-it").length, puts()], [0, 0, ["v1.2.0"]]);
    assert.equal(
      act.job("image").summary,
      `Published \`${registry.image}:v1.2.0\`, \`${digest}\`, of the commit \`${sha}\`: promoted from \`v1.2.0-rc.1\`, the same image. Next: Argo CD Image Updater commits it into \`${valuesFiles.prod}\` on main; then somebody looks after prod.\n`,
    );
    const again = await run("prod", "refs/tags/v1.2.0");
    assert.equal(again.code, 0, again.output);
    assert.deepEqual(again.conclusions, { version: "success" });
    assert.deepEqual(puts(), ["v1.2.0"]);
  });

  it("prod: refuses what staging has not run, before it asks the registry", async () => {
    tag("v1.2.0-rc.1");
    registry.add("v1.2.0-rc.1", head());
    tag("v1.2.0");
    const act = await run("prod", "refs/tags/v1.2.0");
    assert.equal(act.code, 1);
    assert.deepEqual(act.conclusions, { version: "failure" });
    const [error] = act.job("version").errors;
    assert.equal(error?.title, "Not tested in staging");
    assert.match(error.message, /v1\.2\.0-rc\.1 is on the same commit.*no commit on main made it image\.tag/);
    assert.match(act.job("version").summary, /```console\ngit log -p origin\/main -- /);
    assert.deepEqual(registry.server.requests, []);
  });

  it("prod: builds and tests a hotfix, and says why it is one", async () => {
    tag("v1.2.1", "--annotate", "-m", "Hotfix release", "-m", "Hotfix: `logins` fail");
    const act = await run("prod", "refs/tags/v1.2.1");
    assert.equal(act.code, 0, act.output);
    assert.deepEqual(act.conclusions, ALL);
    assert.deepEqual([Object.keys(registry.tags), builds()], [["v1.2.1"], 1]);
    assert.match(act.job("image").summary, /: built as a hotfix \( logins {2}fail\)\. Next: /);
  });

  it("prod: looks again before it publishes: an image that came meanwhile is left", async () => {
    tag("v1.2.1", "--annotate", "-m", "Hotfix release", "-m", "Hotfix: it burns");
    const expectAll = registry.expect.bind(registry);
    sandbox.stub("check-it", `: >'${sandbox.path("meanwhile")}'`);
    const route = `GET ${registry.path("manifests/v1.2.1")}`;
    expectAll("v1.2.1");
    const other = JSON.stringify({ annotations: { "org.opencontainers.image.revision": "e".repeat(40) } });
    registry.server.on(route, registry.challenge, { status: 404 }, registry.challenge, { body: other });
    const act = await run("prod", "refs/tags/v1.2.1");
    assert.deepEqual(act.conclusions, { ...ALL, image: "failure" });
    assert.equal(act.job("image").errors[0]?.title, "Tag is taken");
    assert.deepEqual([builds(), puts()], [0, []]);
  });

  it("says at the latest before it would publish that it may not", async () => {
    const denied = { status: 403, body: { errors: [{ code: "DENIED", message: "denied" }] } };
    registry.server.on(`GET ${registry.path("manifests/v1.2.0-rc.1")}`, registry.challenge, denied);
    tag("v1.2.0-rc.1");
    const act = await run("staging", "refs/tags/v1.2.0-rc.1");
    assert.deepEqual(act.conclusions, { ...ALL, image: "failure" });
    assert.equal(act.job("image").errors[0]?.title, "Registry denies access");
    assert.equal(builds(), 0);
  });
});
