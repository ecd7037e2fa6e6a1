import assert from "node:assert/strict";
import { RepositoryDelivery, type RepositoryDeliveryArgs } from "../../../components/github/repository-delivery.ts";
import { declared, optionsOf } from "../../declared.ts";

const declare = (args: Omit<RepositoryDeliveryArgs, "repository">) =>
  declared(() => new RepositoryDelivery("api", { repository: "api-repo", ...args }));

const file = (path: string, content: string, branch = "main") => ({
  [`RepositoryFile api-${path}`]: {
    repository: "api-repo",
    branch,
    file: path,
    content,
    commitMessage: `Deliver ${path}`,
    overwriteOnCreate: true,
  },
});

describe("RepositoryDelivery", () => {
  it("declares nothing that it is not given", async () =>
    assert.deepEqual(await declare({}), { "RepositoryDelivery api": {} }));

  it("puts files straight on the branch", async () => {
    assert.deepEqual(await declare({ files: { "a.yml": "a\n", "b.sh": "b\n" }, branch: "trunk" }), {
      "RepositoryDelivery api": {},
      ...file("a.yml", "a\n", "trunk"),
      ...file("b.sh", "b\n", "trunk"),
    });
  });

  it("opens another pull request, from another branch, for other content", async () => {
    const heads: unknown[] = [];
    for (const text of ["a\n", "b\n", "a\n"]) {
      const resources = await declare({ files: { "a.yml": text }, via: "pull-request" });
      heads.push(resources["RepositoryPullRequest api-pull-request"]!["headRef"]);
    }
    assert.equal(heads[0], heads[2]);
    assert.notEqual(heads[0], heads[1]);
  });

  it("brings files by a pull request from a branch of their own", async () => {
    assert.deepEqual(await declare({ files: { "a.yml": "a\n" }, via: "pull-request" }), {
      "RepositoryDelivery api": {},
      "Branch api-branch": { repository: "api-repo", branch: "esteira/api-26865bf1e0e7", sourceBranch: "main" },
      ...file("a.yml", "a\n", "esteira/api-26865bf1e0e7"),
      "RepositoryPullRequest api-pull-request": {
        baseRepository: "api-repo",
        baseRef: "main",
        headRef: "esteira/api-26865bf1e0e7",
        title: "Deliver the pipeline's files",
        body: "- `a.yml`",
      },
    });
  });

  const conditions = { refName: { includes: ["refs/tags/v*"], excludes: [] } };

  it("declares secrets, environments with who and what may deploy, and rule sets", async () => {
    const resources = await declare({
      secrets: { TOKEN: "t" },
      environments: {
        prod: {
          reviewers: { users: [1], teams: [2, 3] },
          branches: ["main"],
          tags: ["v*"],
          secrets: { KEY: "k" },
          variables: { MODE: "prod" },
        },
        dev: {},
      },
      rulesets: { tags: { target: "tag", conditions, rules: { deletion: true } } },
    });
    const at = { repository: "api-repo", environment: "prod" };
    assert.deepEqual(resources, {
      "RepositoryDelivery api": {},
      "ActionsSecret api-TOKEN": { repository: "api-repo", secretName: "TOKEN", value: "[secret]" },
      "RepositoryEnvironment api-prod": {
        ...at,
        reviewers: [{ users: [1], teams: [2, 3] }],
        preventSelfReview: true,
        canAdminsBypass: false,
        deploymentBranchPolicy: { protectedBranches: false, customBranchPolicies: true },
      },
      "RepositoryEnvironmentDeploymentPolicy api-prod-main": { ...at, branchPattern: "main" },
      "RepositoryEnvironmentDeploymentPolicy api-prod-tag-v*": { ...at, tagPattern: "v*" },
      "ActionsEnvironmentSecret api-prod-KEY": { ...at, secretName: "KEY", value: "[secret]" },
      "ActionsEnvironmentVariable api-prod-MODE": { ...at, variableName: "MODE", value: "prod" },
      "RepositoryEnvironment api-dev": {
        repository: "api-repo",
        environment: "dev",
        preventSelfReview: false,
        canAdminsBypass: true,
      },
      "RepositoryRuleset api-tags": {
        repository: "api-repo",
        name: "tags",
        enforcement: "active",
        target: "tag",
        conditions,
        rules: { deletion: true },
      },
    });
  });

  it("tells who may deploy and from where, by its own rules where nothing is said", async () => {
    let delivery: RepositoryDelivery | undefined;
    await declared(() => {
      delivery = new RepositoryDelivery("api", {
        repository: "api-repo",
        environments: {
          prod: { reviewers: { users: [1], teams: [2] }, branches: ["main"], tags: ["v*"] },
          dev: {},
        },
      });
    });
    assert.deepEqual(delivery!.environments, [
      {
        name: "prod",
        reviewers: { users: [1], teams: [2] },
        selfReview: false,
        adminsBypass: false,
        refs: ["refs/heads/main", "refs/tags/v*"],
      },
      { name: "dev", reviewers: null, selfReview: true, adminsBypass: true, refs: null },
    ]);
  });

  it("lets files follow one another, after all that their workflows need", async () => {
    const options = await optionsOf(
      () =>
        new RepositoryDelivery("api", {
          repository: "api-repo",
          environments: { prod: { secrets: { KEY: "k" } } },
          files: { a: "a", b: "b", c: "c" },
        }),
    );
    assert.deepEqual(options["api-prod-KEY"], { dependsOn: ["api-prod"] });
    assert.deepEqual(options["api-a"], { dependsOn: ["api-prod", "api-prod-KEY"] });
    assert.deepEqual(options["api-b"], { dependsOn: ["api-a"] });
    assert.deepEqual(options["api-c"], { dependsOn: ["api-b"] });
  });

  it("opens a pull request once its branch has every file; an old branch goes with its files", async () => {
    const options = await optionsOf(
      () =>
        new RepositoryDelivery("api", {
          repository: "api-repo",
          secrets: { KEY: "k" },
          files: { a: "a", b: "b" },
          via: "pull-request",
        }),
    );
    assert.deepEqual(options["api-branch"], { dependsOn: ["api-KEY"] });
    assert.deepEqual(options["api-a"], { retainOnDelete: true, dependsOn: ["api-branch"] });
    assert.deepEqual(options["api-b"], { retainOnDelete: true, dependsOn: ["api-a", "api-branch"] });
    assert.deepEqual(options["api-pull-request"], { dependsOn: ["api-b"] });
  });

  const contradictions: Record<string, [Partial<RepositoryDeliveryArgs>, RegExp]> = {
    "headBranch and via": [{ headBranch: "x" }, /^RepositoryDelivery api: headBranch "x" contradicts via "push"/],
    "headBranch and branch": [
      { headBranch: "main", via: "pull-request" },
      /headBranch "main" contradicts branch "main"/,
    ],
  };
  for (const [names, [args, message]] of Object.entries(contradictions)) {
    it(`refuses a contradiction of ${names}, naming both`, () => assert.rejects(declare(args), { message }));
  }
});
