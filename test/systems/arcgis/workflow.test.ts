/** The delivered ci_cd.yml: what starts it, what each job may and gets. GitHub's own parser takes it: test/cli. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Job, Step, Workflow } from "../../../components/github/workflow.ts";
import { assertLintersTake } from "../../support/lint.ts";
import { declare, filesOf } from "./fixture.ts";

const root = join(import.meta.dirname, "../../..");
const script = (name: string) => readFileSync(join(root, "systems/arcgis/repository", name), "utf8");
const path = ".github/workflows/ci_cd.yml";

/** Steps as a person names them: by name, else by what they run. */
const stepsOf = (job: Job) => job.steps!.map(({ name, run }) => name ?? run);

describe("arcgis' ci_cd.yml", () => {
  let text: string;
  let workflow: Workflow;
  let jobs: Record<string, Job>;

  const rendered = async (changes: object = {}) => filesOf(await declare(changes))[path]!;
  const step = (job: string, name: string): Step => jobs[job]!.steps!.find((each) => each.name === name)!;

  before(async () => {
    text = await rendered();
    workflow = parse(text) as Workflow;
    jobs = workflow.jobs;
  });

  const ignored = (folder: string) => [".env", `${folder}/settings/dev.json`];

  it("is started by a push to the default branch or one of staging, unless it brings other environments' values alone, and by a pull request", async () => {
    assert.deepEqual(workflow.on, {
      push: { branches: ["main", "staging/**"], "paths-ignore": ignored("pipelines/arcgis") },
      pull_request: {},
    });
    const { on } = parse(await rendered({ package: "src" })) as Workflow;
    assert.deepEqual((on as { push: object }).push, {
      branches: ["main", "staging/**"],
      "paths-ignore": ignored("src"),
    });
  });

  it("has the document's four jobs, each after those that must succeed first", () => {
    assert.deepEqual(
      Object.entries(jobs).map(([id, { name, needs }]) => [id, name, needs]),
      [
        ["test", "test", undefined],
        ["smoke-dbt", "smoke-dbt", undefined],
        ["build-push", "build-push", ["test", "smoke-dbt"]],
        ["deploy-flows", "deploy-flows", "build-push"],
      ],
    );
  });

  it("builds for a push alone, and deploys what was built alone", () => {
    const conditions = Object.entries(jobs).flatMap(([id, job]) => (job.if === undefined ? [] : [[id, job.if]]));
    // A job that needs one that is skipped is skipped itself, unless a condition of its own says otherwise.
    assert.deepEqual(conditions, [["build-push", "github.event_name == 'push'"]]);
  });

  it("gives each job's token what the job needs, and nothing beyond", () => {
    assert.deepEqual(workflow.permissions, {});
    assert.deepEqual(Object.fromEntries(Object.entries(jobs).map(([id, { permissions }]) => [id, permissions])), {
      test: { contents: "read" },
      "smoke-dbt": { contents: "read" },
      "build-push": { contents: "read", packages: "write" },
      "deploy-flows": { packages: "read" },
    });
    for (const id of ["test", "smoke-dbt", "build-push"]) {
      assert.deepEqual(step(id, "Check out").with, { "persist-credentials": false });
    }
  });

  it("cuts off a pull request's run for a newer one, and no deploy", () => {
    assert.deepEqual(workflow.concurrency, {
      group: "ci-cd-${{ github.ref }}",
      "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
    });
    const own = Object.entries(jobs).filter(([, { concurrency }]) => concurrency !== undefined);
    assert.deepEqual(
      own.map(([id, { concurrency }]) => [id, concurrency]),
      [
        [
          "deploy-flows",
          {
            group: "deploy-flows-${{ github.ref_name == 'main' && 'prod' || 'staging' }}",
            "cancel-in-progress": false,
            // Else a third branch's would throw out the second's, which waits.
            queue: "max",
          },
        ],
      ],
    );
  });

  it("tests as dev: modules that are imported there read their settings", () =>
    assert.deepEqual(
      Object.entries(jobs).flatMap(([id, { env }]) => (env === undefined ? [] : [[id, env]])),
      [["test", { MODE: "dev", RIO_ENV: "dev" }]],
    ));

  it("ends each job that hangs", () => {
    for (const [id, job] of Object.entries(jobs)) {
      assert.ok(Number(job["timeout-minutes"]) > 0 && Number(job["timeout-minutes"]) <= 45, id);
      assert.equal(job["runs-on"], "ubuntu-24.04");
    }
  });

  it("runs each check as a step of its own, with the version of Python that the file names", async () => {
    assert.deepEqual(stepsOf(jobs["test"]!), ["Check out", "Set up Python", "Install", "ruff check .", "pytest"]);
    assert.deepEqual(step("test", "Set up Python").with, { "python-version": "3.12" });
    const other = parse(await rendered({ checks: ["make test"], python: "3.13", install: "uv sync" })) as Workflow;
    assert.deepEqual(stepsOf(other.jobs["test"]!), ["Check out", "Set up Python", "Install", "make test"]);
    assert.equal(other.jobs["test"]!.steps![2]!.run, "uv sync");
    assert.deepEqual(other.jobs["test"]!.steps![1]!.with, { "python-version": "3.13" });
  });

  it("compiles the models with the values of the branch's environment", () => {
    assert.deepEqual(step("smoke-dbt", "Compile the models"), {
      name: "Compile the models",
      shell: "python",
      env: {
        DBT_PROJECT: "queries",
        SETTINGS: "pipelines/arcgis/settings/${{ github.ref_name == 'main' && 'prod.json' || 'staging.json' }}",
      },
      run: script("smoke_dbt.py"),
    });
  });

  it("names an image once, by branch and commit, and pushes it with cache, provenance and bill of materials", () => {
    const tag = "${{ github.ref_name == 'main' && 'main' || 'staging' }}-${{ github.sha }}";
    assert.deepEqual(step("build-push", "Name the image"), {
      name: "Name the image",
      id: "image",
      env: { IMAGE: `ghcr.io/sua-org/pipelines-arcgis:${tag}` },
      run: 'echo "reference=$IMAGE" >> "$GITHUB_OUTPUT"',
    });
    assert.deepEqual(jobs["build-push"]!.outputs, {
      image: "${{ steps.image.outputs.reference }}",
      digest: "${{ steps.build.outputs.digest }}",
    });
    assert.equal(step("build-push", "Build and push").id, "build");
    assert.deepEqual(step("build-push", "Build and push").with, {
      context: ".",
      push: true,
      tags: "${{ steps.image.outputs.reference }}",
      "cache-from": "type=gha",
      "cache-to": "type=gha,mode=max",
      provenance: "mode=max",
      sbom: true,
    });
    assert.deepEqual(step("build-push", "Log in to GHCR").with, {
      registry: "ghcr.io",
      username: "${{ github.actor }}",
      password: "${{ github.token }}",
    });
  });

  it("deploys from within that image and nothing beside it, in the branch's environment and mode", async () => {
    const job = jobs["deploy-flows"]!;
    assert.deepEqual(job.environment, { name: "${{ github.ref_name == 'main' && 'production' || 'staging' }}" });
    assert.deepEqual(job.container, {
      image: "ghcr.io/sua-org/pipelines-arcgis@${{ needs.build-push.outputs.digest }}",
      credentials: { username: "${{ github.actor }}", password: "${{ github.token }}" },
      options: "--user 0",
    });
    assert.deepEqual(stepsOf(job), ["Deploy the flows"]);
    assert.deepEqual(step("deploy-flows", "Deploy the flows"), {
      name: "Deploy the flows",
      shell: "python",
      "working-directory": "/app",
      env: {
        MODE: "${{ github.ref_name == 'main' && 'prod' || 'staging' }}",
        RIO_ENV: "${{ github.ref_name == 'main' && 'prod' || 'staging' }}",
        IMAGE: "${{ needs.build-push.outputs.image }}@${{ needs.build-push.outputs.digest }}",
        IMAGE_DIGEST: "${{ needs.build-push.outputs.digest }}",
        PREFECT_API_URL: "${{ vars.PREFECT_API_URL }}",
        PREFECT_API_AUTH_STRING: "${{ secrets.PREFECT_API_KEY }}",
      },
      run: script("deploy_flows.py"),
    });
    const other = parse(await rendered({ workdir: "/opt/pipelines" })) as Workflow;
    assert.equal(other.jobs["deploy-flows"]!.steps![0]!["working-directory"], "/opt/pipelines");
  });

  it("pastes nothing into a program: values, the one secret among them, come by the environment", () => {
    for (const job of Object.values(jobs)) {
      for (const { run = "" } of job.steps!) assert.doesNotMatch(run, /\$\{\{/);
    }
    assert.deepEqual(text.match(/\bsecrets\.\w+/g), ["secrets.PREFECT_API_KEY"]);
  });

  it("pins every action by a commit, with its version beside it", () => {
    const uses = text.split("\n").filter((line) => line.includes("uses:"));
    assert.equal(uses.length, 3 + 2 + 3);
    for (const line of uses) assert.match(line, /uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it("decides by another default branch where the file names one; a tag has no slash", async () => {
    const other = await rendered({ branch: "release/v1" });
    const { on, jobs: its } = parse(other) as Workflow;
    assert.deepEqual((on as { push: object }).push, {
      branches: ["release/v1", "staging/**"],
      "paths-ignore": ignored("pipelines/arcgis"),
    });
    assert.equal(other.match(/github\.ref_name == 'release\/v1' && /g)?.length, 6);
    assert.doesNotMatch(other, /'main'/);
    assert.ok(String(its["build-push"]!.steps![3]!.env!["IMAGE" as never]).includes("&& 'release-v1' || 'staging' }}"));
  });

  it("is what actionlint and zizmor take", () => {
    assertLintersTake(path, text);
  });
});
