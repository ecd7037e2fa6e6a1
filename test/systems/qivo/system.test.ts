import assert from "node:assert/strict";
import type { SystemFacts } from "../../../audit/schema.ts";
import type { Declaration } from "../../../cli/render/program.ts";
import type { Environment } from "../../../systems/qivo/config.ts";
import { typeName } from "../../declared.ts";
import { declare } from "./fixture.ts";

const all = { dev: ["DATABASE_URL", "OPENAI_API_KEY"], prod: ["RENDER_DEPLOY_HOOK", "RENDER_API_KEY"] } as const;
const declared = (stack: Environment, changes: object = {}, names: readonly string[] = all[stack]) =>
  declare(stack, names, changes);

/** The inputs of each resource of a type. */
const inputs = ({ resources }: Declaration, type: string) =>
  resources.filter((each) => typeName(each) === type).map((each) => each.inputs);
const counts = ({ resources }: Declaration) =>
  Object.fromEntries([...Map.groupBy(resources, typeName)].map(([type, each]) => [type, each.length]));
const facts = ({ outputs }: Declaration) => outputs["facts"] as SystemFacts;
const repository = "ComplianceCore-Mining";

describe("qivo", () => {
  it("has in dev the environment that tests run in, with their secrets, of any branch, and nothing else", async () => {
    const dev = await declared("dev");
    assert.deepEqual(counts(dev), {
      ActionsEnvironmentSecret: 2,
      Qivo: 1,
      RepositoryDelivery: 1,
      RepositoryEnvironment: 1,
      Stack: 1,
    });
    assert.deepEqual(inputs(dev, "RepositoryEnvironment"), [
      { repository, environment: "dev", preventSelfReview: false, canAdminsBypass: true },
    ]);
    assert.deepEqual(
      inputs(dev, "ActionsEnvironmentSecret"),
      all.dev.map((secretName) => ({ repository, environment: "dev", secretName, value: "[secret]" })),
    );
  });

  it("has in prod what a repository has once, and the environment that deploys, from its branch alone", async () => {
    const prod = await declared("prod");
    assert.deepEqual(counts(prod), {
      ActionsEnvironmentSecret: 2,
      Qivo: 1,
      RepositoryDelivery: 1,
      RepositoryEnvironment: 1,
      RepositoryEnvironmentDeploymentPolicy: 1,
      RepositoryFile: 15,
      RepositoryRuleset: 1,
      Stack: 1,
    });
    assert.deepEqual(inputs(prod, "RepositoryEnvironment"), [
      {
        repository,
        environment: "prod",
        preventSelfReview: false,
        canAdminsBypass: true,
        deploymentBranchPolicy: { protectedBranches: false, customBranchPolicies: true },
      },
    ]);
    assert.deepEqual(inputs(prod, "RepositoryEnvironmentDeploymentPolicy"), [
      { repository, environment: "prod", branchPattern: "main" },
    ]);
    assert.deepEqual(
      inputs(prod, "ActionsEnvironmentSecret").map(({ secretName, value }) => [secretName, value]),
      [
        ["RENDER_API_KEY", "[secret]"],
        ["RENDER_DEPLOY_HOOK", "[secret]"],
      ],
    );
    assert.deepEqual(inputs(prod, "RepositoryRuleset"), [
      {
        repository,
        name: "main",
        enforcement: "active",
        target: "branch",
        conditions: { refName: { includes: ["~DEFAULT_BRANCH"], excludes: [] } },
        rules: { deletion: true, nonFastForward: true },
      },
    ]);
  });

  it("delivers each file once, the programs before the workflows that run them", async () => {
    const prod = await declared("prod");
    const files = facts(prod).files.map(({ path }) => path);
    const [programs, workflows] = [files.slice(0, 10), files.slice(10)];
    assert.ok(
      programs.every((path) => /^\.github\/(render|scripts)\/[a-z_]+\.(py|sh)$/.test(path)),
      programs.join(),
    );
    assert.deepEqual(workflows, [
      ".github/workflows/test.yml",
      ".github/workflows/python-ci.yml",
      ".github/workflows/deploy.yaml",
      ".github/workflows/monitor.yaml",
      ".github/workflows/auto-recovery.yaml",
    ]);
    assert.equal(new Set(files).size, 15);
    assert.deepEqual(
      inputs(prod, "RepositoryFile")
        .map(({ file }) => file)
        .sort(),
      files.toSorted(),
    );
    assert.deepEqual(new Set(inputs(prod, "RepositoryFile").map(({ branch }) => branch)), new Set(["main"]));
  });

  it("makes pull requests the only way to the branch where somebody approves, and comes by one itself", async () => {
    const prod = await declared("prod", { approvals: 2, via: "pull-request" });
    const [{ rules }] = inputs(prod, "RepositoryRuleset") as [{ rules: unknown }];
    assert.deepEqual(rules, {
      deletion: true,
      nonFastForward: true,
      pullRequest: { requiredApprovingReviewCount: 2, dismissStaleReviewsOnPush: true, requireLastPushApproval: true },
      requiredStatusChecks: {
        strictRequiredStatusChecksPolicy: true,
        requiredChecks: [
          { context: "Build & Setup", integrationId: 15368 },
          { context: "Run Automated Tests", integrationId: 15368 },
          { context: "python", integrationId: 15368 },
        ],
      },
    });
    assert.deepEqual([counts(prod)["Branch"], counts(prod)["RepositoryPullRequest"]], [1, 1]);
  });

  it("goes on without the optional secrets, and tells of those that it has", async () => {
    for (const [stack, needed] of [
      ["dev", "DATABASE_URL"],
      ["prod", "RENDER_DEPLOY_HOOK"],
    ] as const) {
      const without = await declared(stack, {}, [needed]);
      assert.equal(counts(without)["ActionsEnvironmentSecret"], 1);
      assert.deepEqual(facts(without).secrets, [
        { name: needed, destination: `environment ${stack} of sua-org/${repository}`, origin: "stack config" },
      ]);
      assert.deepEqual(
        facts(await declared(stack)).secrets.map(({ name }) => name),
        all[stack],
      );
    }
  });

  it("tells the audit of its environment, rules and files", async () => {
    for (const stack of ["dev", "prod"] as const) {
      const { environments, rulesets, files } = facts(await declared(stack));
      assert.deepEqual(
        environments.map((each) => [each.repository, each.name, each.refs]),
        [[`sua-org/${repository}`, stack, stack === "prod" ? ["refs/heads/main"] : null]],
      );
      assert.deepEqual(
        rulesets.map((each) => [each.repository, each.name, each.rules]),
        stack === "prod" ? [[`sua-org/${repository}`, "main", ["deletion", "non_fast_forward"]]] : [],
      );
      assert.equal(files.length, stack === "prod" ? 15 : 0);
    }
  });
});
