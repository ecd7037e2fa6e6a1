import assert from "node:assert/strict";
import { Deployer, type DeployerAuth } from "../../../components/functions/deployer.ts";
import { accountNamed, createAccount } from "../../../components/google/account.ts";
import { declared, optionsOf } from "../../declared.ts";

const runtime = accountNamed("orders@my-project.iam.gserviceaccount.com");
const email = "ci-deployer@my-project.iam.gserviceaccount.com";
const member = `serviceAccount:${email}`;

const declare = (auth: DeployerAuth) => {
  let deployer: Deployer | undefined;
  const resources = declared(() => {
    deployer = new Deployer("ci-deployer", {
      project: "my-project",
      actAs: [runtime, runtime],
      auth,
    });
  });
  return resources.then((each) => ({ resources: each, deployer: deployer! }));
};

const common = {
  "Deployer ci-deployer": {},
  "Account ci-deployer-account": {
    accountId: "ci-deployer",
    project: "my-project",
    displayName: "ci-deployer (deploys from GitHub)",
  },
  "IAMMember ci-deployer-developer": { project: "my-project", role: "roles/cloudfunctions.developer", member },
  "IAMMember ci-deployer-act-as-orders@my-project.iam.gserviceaccount.com": {
    serviceAccountId: "projects/my-project/serviceAccounts/orders@my-project.iam.gserviceaccount.com",
    role: "roles/iam.serviceAccountUser",
    member,
  },
};

describe("Deployer", () => {
  it("keyless: only the named repositories of this owner, on this branch, may act as it", async () => {
    const { resources, deployer } = await declare({
      kind: "keyless",
      projectNumber: "123456789012",
      owner: "acme",
      ownerId: "4242",
      repositories: ["a", "b"],
      workflow: ".github/workflows/deploy.yml",
      branch: "main",
    });
    const pool = "projects/123456789012/locations/global/workloadIdentityPools/ci-deployer";
    assert.equal(deployer.workloadIdentityProvider, `${pool}/providers/github`);
    assert.equal(deployer.key, undefined);
    assert.deepEqual(resources, {
      ...common,
      "WorkloadIdentityPool ci-deployer-pool": {
        project: "my-project",
        workloadIdentityPoolId: "ci-deployer",
        displayName: "ci-deployer (GitHub)",
      },
      "WorkloadIdentityPoolProvider ci-deployer-provider": {
        project: "my-project",
        workloadIdentityPoolId: "ci-deployer",
        workloadIdentityPoolProviderId: "github",
        displayName: "GitHub Actions",
        oidc: { issuerUri: "https://token.actions.githubusercontent.com" },
        attributeMapping: {
          "google.subject": "assertion.sub",
          "attribute.repository": "assertion.repository",
          "attribute.repository_owner_id": "assertion.repository_owner_id",
          "attribute.ref": "assertion.ref",
          "attribute.workflow_ref": "assertion.workflow_ref",
        },
        attributeCondition:
          'assertion.repository_owner_id == "4242" && assertion.ref == "refs/heads/main" && assertion.workflow_ref.endsWith("/.github/workflows/deploy.yml@refs/heads/main")',
      },
      "IAMBinding ci-deployer-federated": {
        serviceAccountId: `projects/my-project/serviceAccounts/${email}`,
        role: "roles/iam.workloadIdentityUser",
        members: [
          `principalSet://iam.googleapis.com/${pool}/attribute.repository/acme/a`,
          `principalSet://iam.googleapis.com/${pool}/attribute.repository/acme/b`,
        ],
      },
    });
  });

  it("keyless without a branch: any ref of those repositories", async () => {
    const { resources } = await declare({
      kind: "keyless",
      projectNumber: "1",
      owner: "acme",
      ownerId: "4242",
      repositories: ["a"],
      workflow: ".github/workflows/deploy-dev.yml",
    });
    assert.equal(
      resources["WorkloadIdentityPoolProvider ci-deployer-provider"]!["attributeCondition"],
      'assertion.repository_owner_id == "4242" && assertion.workflow_ref.contains("/.github/workflows/deploy-dev.yml@")',
    );
  });

  it("key: an account key, handed on as a secret, and no federation", async () => {
    const { resources, deployer } = await declare({ kind: "key" });
    assert.deepEqual(resources, {
      ...common,
      "Key ci-deployer-key": { serviceAccountId: `projects/my-project/serviceAccounts/${email}` },
    });
    assert.equal(await (deployer.key as unknown as { isSecret: Promise<boolean> }).isSecret, true);
    assert.equal(deployer.workloadIdentityProvider, undefined);
    assert.deepEqual(deployer.roles, [
      { role: "roles/cloudfunctions.developer", on: "project my-project" },
      { role: "roles/iam.serviceAccountUser", on: "service account orders@my-project.iam.gserviceaccount.com" },
    ]);
  });

  it("acts as an account, and lets workflows in, only once these exist", async () => {
    let ready: string[] = [];
    const options = await optionsOf(() => {
      const account = createAccount("made", { id: "orders", project: "my-project", displayName: "Orders" });
      const auth = {
        kind: "keyless",
        projectNumber: "1",
        owner: "acme",
        ownerId: "2",
        repositories: ["a"],
        workflow: "w.yml",
      } as const;
      const deployer = new Deployer("ci-deployer", { project: "my-project", actAs: [account], auth });
      ready = deployer.readyFor(account).map((each) => (each as unknown as { __name: string }).__name);
    });
    const actAs = "ci-deployer-act-as-orders@my-project.iam.gserviceaccount.com";
    assert.deepEqual(options[actAs], { dependsOn: ["ci-deployer-account", "made"] });
    assert.deepEqual(options["ci-deployer-federated"], { dependsOn: ["ci-deployer-account", "ci-deployer-provider"] });
    assert.deepEqual(options["ci-deployer-developer"], { dependsOn: ["ci-deployer-account"] });
    assert.deepEqual(ready, ["ci-deployer-federated", actAs]);
  });
});
