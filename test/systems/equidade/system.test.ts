import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { systemFacts } from "../../../audit/schema.ts";
import type { Declaration, DeclaredResource } from "../../../cli/render/program.ts";
import { typeName, withNames } from "../../declared.ts";
import { base, declare } from "./fixture.ts";

const countByType = (resources: readonly DeclaredResource[]) => {
  const counts: Record<string, number> = {};
  for (const each of resources) counts[typeName(each)] = (counts[typeName(each)] ?? 0) + 1;
  return counts;
};

const githubOnly = ({ resources }: Declaration) => resources.filter(({ type }) => type.startsWith("github:"));

/** Calls to GitHub's API that change something, between two declarations: each created, changed or removed object is one. */
function writes(before: Declaration, after: Declaration): string[] {
  const [old, now] = [before, after].map(
    (each) => new Map(githubOnly(each).map((resource) => [resource.urn, JSON.stringify(resource.inputs)])),
  );
  return [...new Set([...old!.keys(), ...now!.keys()])]
    .filter((urn) => old!.get(urn) !== now!.get(urn))
    .map((urn) => urn.split("::").at(-1)!);
}

describe("equidade", () => {
  it("declares, for three functions in prod, exactly this many of each", async () => {
    assert.deepEqual(countByType((await declare()).resources), {
      Stack: 1,
      Equidade: 1,
      ProjectServices: 1,
      Service: 10,
      FunctionBuild: 1,
      Bucket: 1,
      BucketObject: 1,
      CloudFunction: 3,
      Function: 3,
      RuntimeAccount: 3,
      Account: 5, // one a function, the builder's, the deployer's
      Deployer: 1,
      WorkloadIdentityPool: 1,
      WorkloadIdentityPoolProvider: 1,
      IAMBinding: 1,
      IAMMember: 8, // the builder's 3 roles; the deployer's role, and its right to act as 3 + 1 accounts
      RepositoryDelivery: 4,
      RepositoryFile: 5, // 3 deploy.yml, trigger-deploys.yml, release.sh
      RepositoryEnvironment: 1,
      RepositoryEnvironmentDeploymentPolicy: 2,
      ActionsEnvironmentSecret: 1,
      RepositoryRuleset: 1,
    });
  });

  describe("costs GitHub, for one function more,", () => {
    const more = { functions: [...base.functions, "cloud-function-4"] };

    it("two writes: the function's workflow and the list in the package's", async () => {
      assert.deepEqual(writes(await declare(), await declare(more)), [
        "equidade-package-.github/workflows/trigger-deploys.yml",
        "equidade-cloud-function-4-.github/workflows/deploy.yml",
      ]);
    });

    it("no more where a user owns the repositories", async () => {
      assert.equal(writes(await declare({}, "prod", "user"), await declare(more, "prod", "user")).length, 2);
    });

    it("a third with a key: the organisation's secret is selected for one repository more", async () => {
      const key = { auth: "key", projectNumber: undefined };
      assert.deepEqual(writes(await declare(key), await declare({ ...more, ...key })), [
        "equidade-package-.github/workflows/trigger-deploys.yml",
        "equidade-key-GCP_SA_KEY",
        "equidade-cloud-function-4-.github/workflows/deploy.yml",
      ]);
    });

    it("and leaves every other function's Google resources as they are", async () => {
      const [before, after] = [await declare(), await declare(more)];
      const now = new Map(after.resources.map((each) => [each.urn, each.inputs]));
      const changed = before.resources.filter(
        (each) => JSON.stringify(now.get(each.urn)) !== JSON.stringify(each.inputs),
      );
      assert.deepEqual(
        changed.map(({ name }) => name),
        ["equidade-deployer-federated", "equidade-package-.github/workflows/trigger-deploys.yml"],
      );
      const added = after.resources.filter((each) => !before.resources.some(({ urn }) => urn === each.urn));
      assert.deepEqual(
        added.filter(({ name }) => !name.includes("cloud-function-4")),
        [],
      );
    });
  });

  it("keeps a function that leaves the file in prod, and in prod alone", async () => {
    for (const [stack, policy] of [
      ["prod", "PREVENT"],
      ["staging", "DELETE"],
      ["dev", "DELETE"],
    ] as const) {
      const { resources } = await declare({}, stack);
      const policies = resources
        .filter((each) => typeName(each) === "Function")
        .map(({ inputs }) => inputs["deletionPolicy"]);
      assert.deepEqual(policies, [policy, policy, policy]);
    }
  });

  it("lets one function go that the others may not", async () => {
    const { resources } = await declare({ functions: ["a", { name: "b", deletionPolicy: "DELETE" }] });
    const of = (name: string) => resources.find((each) => each.name === `equidade-${name}-function`)!;
    assert.deepEqual([of("a").inputs["deletionPolicy"], of("a").options.protect], ["PREVENT", true]);
    assert.deepEqual([of("b").inputs["deletionPolicy"], of("b").options.protect], ["DELETE", undefined]);
  });

  it("looks the owner's id up where the file does not say it: an organisation's, or a user's", async () => {
    for (const [ownerType, token] of [
      ["organization", "github:index/getOrganization:getOrganization"],
      ["user", "github:index/getUser:getUser"],
    ] as const) {
      const { resources, lookedUp } = await declare({}, "prod", ownerType, "");
      const provider = resources.find((each) => typeName(each) === "WorkloadIdentityPoolProvider")!;
      assert.equal(provider.inputs["attributeCondition"], "[computed]");
      assert.deepEqual(lookedUp, [token]);
    }
  });

  it("creates functions once the APIs are on and builds can run, and delivers workflows once both ends stand", async () => {
    const { resources } = await declare({ functions: ["a"] });
    const waits = (type: string, name: string) =>
      withNames(resources.find((each) => typeName(each) === type && each.name === name)!.options).dependsOn ?? [];
    const component = waits("CloudFunction", "equidade-a");
    assert.ok(component.includes("equidade-apis-run"));
    assert.ok(!component.some((name) => name.startsWith("equidade-build")), "accounts are made side by side");
    const fn = waits("Function", "equidade-a-function");
    for (const name of ["equidade-a-runtime-account", "equidade-build-object", "equidade-build-storage.objectViewer"]) {
      assert.ok(fn.includes(name), name);
    }
    const delivery = waits("RepositoryDelivery", "equidade-a");
    for (const name of ["equidade-a-function", "equidade-deployer-federated"]) assert.ok(delivery.includes(name), name);
    assert.ok(delivery.some((name) => name.startsWith("equidade-deployer-act-as-")));
  });

  it("names the key's secret by environment", async () => {
    const { resources } = await declare({ auth: "key", projectNumber: undefined }, "pre-prod");
    const secret = resources.find((each) => typeName(each) === "ActionsOrganizationSecret")!;
    assert.equal(secret.inputs["secretName"], "GCP_SA_KEY_PRE_PROD");
  });

  it("lets workflows of main deploy in prod and staging, of any branch in dev", async () => {
    const condition = async (stack: string) =>
      (await declare({}, stack)).resources.find((each) => typeName(each) === "WorkloadIdentityPoolProvider")!.inputs[
        "attributeCondition"
      ];
    assert.equal(
      await condition("prod"),
      'assertion.repository_owner_id == "4242" && assertion.ref == "refs/heads/main" && assertion.workflow_ref.endsWith("/.github/workflows/deploy.yml@refs/heads/main")',
    );
    assert.equal(
      await condition("dev"),
      'assertion.repository_owner_id == "4242" && assertion.workflow_ref.contains("/.github/workflows/deploy-dev.yml@")',
    );
    const { inputs } = (await declare({}, "prod")).resources.find((each) => typeName(each) === "IAMBinding")!;
    assert.deepEqual(
      inputs["members"],
      ["cloud-function-1", "cloud-function-2", "cloud-function-3"].map(
        (repository) =>
          `principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/equidade-deployer/attribute.repository/sua-org/${repository}`,
      ),
    );
  });

  it("puts the trigger's secret where only releases and main can read it", async () => {
    const { resources } = await declare();
    const named = (name: string) => resources.find((each) => each.name === name)!.inputs;
    assert.deepEqual(named("equidade-package-prod-DEPLOY_TRIGGER_TOKEN"), {
      repository: "equidade-data-package",
      environment: "prod",
      secretName: "DEPLOY_TRIGGER_TOKEN",
      value: "[secret]",
    });
    assert.equal(named("equidade-package-prod-main")["branchPattern"], "main");
    assert.equal(named("equidade-package-prod-tag-v*")["tagPattern"], "v*");
  });

  describe("with two functions that share an account", () => {
    const serviceAccount = "shared@equidade-prod.iam.gserviceaccount.com";
    const shared = (name: string) => ({
      name,
      serviceAccount,
      secrets: { TOKEN: "token" },
      roles: [{ role: "roles/bigquery.dataViewer", dataset: "d" }],
    });
    const grants = ({ resources }: Declaration) =>
      resources
        .filter(({ type, inputs }) => type.startsWith("gcp:") && JSON.stringify(inputs).includes("shared@"))
        .map(({ name }) => name);

    it("gives each right once, so that one function's end does not take it from the other", async () => {
      const [both, one] = [
        await declare({ functions: [shared("a"), shared("b")] }),
        await declare({ functions: [shared("b")] }),
      ];
      const rights = [
        "equidade-deployer-act-as-shared@equidade-prod.iam.gserviceaccount.com",
        "equidade-shared@equidade-prod.iam.gserviceaccount.com-bigquery.dataViewer-dataset-d",
        "equidade-shared@equidade-prod.iam.gserviceaccount.com-secretmanager.secretAccessor-secret-token",
      ];
      assert.deepEqual(
        grants(both)
          .filter((name) => !name.endsWith("-function"))
          .sort(),
        rights,
      );
      assert.deepEqual(
        grants(one)
          .filter((name) => !name.endsWith("-function"))
          .sort(),
        rights,
      );
    });
  });

  it("says in every file that it delivers where it is made, and leaves a program what it is run by", async () => {
    const { resources } = await declare();
    const delivered = resources.filter((each) => typeName(each) === "RepositoryFile").map(({ inputs }) => inputs);
    for (const { file, content } of delivered) {
      const [, first, source] = /^(#!.*\n)?# Generated by Esteira\. .* edit (\S+) in/.exec(String(content)) ?? [];
      assert.ok(source !== undefined && existsSync(new URL(`../../../${source}`, import.meta.url)), String(file));
      assert.equal(first, file === "scripts/release.sh" ? "#!/usr/bin/env bash\n" : undefined);
    }
  });

  it("tells the audit facts in its schema, with the digest of every file that it delivers", async () => {
    const { resources, outputs } = await declare({
      functions: [{ name: "f", roles: [{ role: "roles/bigquery.dataViewer", dataset: "d" }], secrets: { A: "s" } }],
    });
    const facts = systemFacts.parse(outputs["facts"]);
    const files = resources
      .filter((each) => typeName(each) === "RepositoryFile")
      .map(({ inputs }) => String(inputs["file"]))
      .sort();
    assert.deepEqual(facts.files.map(({ path }) => path).sort(), files);
    assert.deepEqual(facts.serviceAccounts.find(({ purpose }) => purpose === "runs f")!.roles, [
      { role: "roles/bigquery.dataViewer", on: "dataset d" },
      { role: "roles/secretmanager.secretAccessor", on: "secret s" },
    ]);
    assert.deepEqual(facts.secrets, [
      {
        name: "DEPLOY_TRIGGER_TOKEN",
        destination: "environment prod of sua-org/equidade-data-package",
        origin: "stack config",
      },
    ]);
  });
});
