import assert from "node:assert/strict";
import { CloudFunction, type CloudFunctionArgs } from "../../../components/functions/cloud-function.ts";
import { RuntimeAccount } from "../../../components/google/runtime-account.ts";
import { declared, optionsOf } from "../../declared.ts";

const args: CloudFunctionArgs = {
  project: "my-project",
  region: "us-east1",
  functionName: "orders",
  runtime: "python313",
  source: { bucket: "sources", object: "first.zip" },
};

const functionInputs = {
  name: "orders",
  project: "my-project",
  location: "us-east1",
  buildConfig: {
    runtime: "python313",
    entryPoint: "main",
    source: { storageSource: { bucket: "sources", object: "first.zip" } },
  },
  serviceConfig: {
    serviceAccountEmail: "orders@my-project.iam.gserviceaccount.com",
    availableMemory: "256Mi",
    timeoutSeconds: 60,
    maxInstanceRequestConcurrency: 1,
    minInstanceCount: 0,
    maxInstanceCount: 100,
    ingressSettings: "ALLOW_ALL",
    allTrafficOnLatestRevision: true,
    secretEnvironmentVariables: [],
  },
  deletionPolicy: "PREVENT",
};

describe("CloudFunction", () => {
  it("declares an account and a private function that runs as it", async () => {
    let url = "";
    const resources = await declared(() => {
      ({ url } = new CloudFunction("api", args));
    });
    assert.equal(url, "https://us-east1-my-project.cloudfunctions.net/orders");
    assert.deepEqual(resources, {
      "CloudFunction api": {},
      "RuntimeAccount api-runtime": {},
      "Account api-runtime-account": { accountId: "orders", project: "my-project", displayName: "orders (runtime)" },
      "Function api-function": functionInputs,
    });
  });

  it("sets what it is told, gives its account its rights, and lets in whom it is told", async () => {
    const resources = await declared(
      () =>
        new CloudFunction("api", {
          ...args,
          buildServiceAccount: "projects/my-project/serviceAccounts/build@my-project.iam.gserviceaccount.com",
          roles: [{ role: "roles/storage.objectViewer", on: { bucket: "files" } }],
          secrets: { DB_PASSWORD: "db-password" },
          environment: { MODE: "prod" },
          invokers: ["allUsers"],
          memory: "1Gi",
          timeout: 120,
          concurrency: 80,
          minInstances: 1,
          maxInstances: 3,
          ingress: "internal-and-gclb",
          deletionPolicy: "DELETE",
        }),
    );
    const member = "serviceAccount:orders@my-project.iam.gserviceaccount.com";
    assert.deepEqual(resources, {
      "CloudFunction api": {},
      "RuntimeAccount api-runtime": {},
      "Account api-runtime-account": { accountId: "orders", project: "my-project", displayName: "orders (runtime)" },
      "BucketIAMMember api-runtime-storage.objectViewer-bucket-files": {
        bucket: "files",
        role: "roles/storage.objectViewer",
        member,
      },
      "SecretIamMember api-runtime-secretmanager.secretAccessor-secret-db-password": {
        secretId: "db-password",
        project: "my-project",
        role: "roles/secretmanager.secretAccessor",
        member,
      },
      "Function api-function": {
        ...functionInputs,
        buildConfig: {
          ...functionInputs.buildConfig,
          serviceAccount: "projects/my-project/serviceAccounts/build@my-project.iam.gserviceaccount.com",
        },
        serviceConfig: {
          ...functionInputs.serviceConfig,
          availableMemory: "1Gi",
          availableCpu: "1",
          timeoutSeconds: 120,
          maxInstanceRequestConcurrency: 80,
          minInstanceCount: 1,
          maxInstanceCount: 3,
          ingressSettings: "ALLOW_INTERNAL_AND_GCLB",
          environmentVariables: { MODE: "prod" },
          secretEnvironmentVariables: [
            { key: "DB_PASSWORD", secret: "db-password", projectId: "my-project", version: "latest" },
          ],
        },
        deletionPolicy: "DELETE",
      },
      "ServiceIamMember api-invoker-allUsers": {
        project: "my-project",
        location: "us-east1",
        name: "orders",
        role: "roles/run.invoker",
        member: "allUsers",
      },
    });
  });

  it("runs as an account that others run as too", async () => {
    const resources = await declared(() => {
      const account = new RuntimeAccount("shared", {
        email: "shared@my-project.iam.gserviceaccount.com",
        project: "my-project",
      });
      new CloudFunction("api", { ...args, account });
    });
    assert.deepEqual(Object.keys(resources).sort(), [
      "CloudFunction api",
      "Function api-function",
      "RuntimeAccount shared",
    ]);
    const { serviceConfig } = resources["Function api-function"] as { serviceConfig: Record<string, unknown> };
    assert.equal(serviceConfig["serviceAccountEmail"], "shared@my-project.iam.gserviceaccount.com");
  });

  it("leaves the build to the deploys, waits for its account's rights, and is protected unless it may go", async () => {
    const options = (changes: Partial<CloudFunctionArgs>) =>
      optionsOf(() => new CloudFunction("api", { ...args, ...changes }));
    const roles = [{ role: "roles/bigquery.jobUser", on: { project: "my-project" } }];
    assert.deepEqual((await options({ roles }))["api-function"], {
      ignoreChanges: ["buildConfig"],
      protect: true,
      dependsOn: ["api-runtime-account", "api-runtime-bigquery.jobUser-project-my-project"],
    });
    assert.deepEqual((await options({ deletionPolicy: "DELETE" }))["api-function"], {
      ignoreChanges: ["buildConfig"],
      dependsOn: ["api-runtime-account"],
    });
  });

  const contradictions: Record<string, [Partial<CloudFunctionArgs>, RegExp]> = {
    "concurrency and cpu": [{ concurrency: 2, cpu: 0.5 }, /^CloudFunction api: concurrency 2 contradicts cpu 0.5/],
    "minInstances and maxInstances": [
      { minInstances: 3, maxInstances: 2 },
      /minInstances 3 contradicts maxInstances 2/,
    ],
    "cpu and memory": [{ cpu: 4, memory: "1Gi" }, /cpu 4 contradicts memory 1Gi/],
    "environment and secrets": [
      { environment: { A: "x" }, secrets: { A: "s" } },
      /environment\.A "x" contradicts secrets\.A/,
    ],
  };
  for (const [names, [changes, message]] of Object.entries(contradictions)) {
    it(`refuses a contradiction of ${names}, naming both`, () =>
      assert.rejects(
        declared(() => new CloudFunction("api", { ...args, ...changes })),
        { message },
      ));
  }

  it("refuses a contradiction of roles and account, naming both", () =>
    assert.rejects(
      declared(() => {
        const account = new RuntimeAccount("shared", {
          email: "shared@my-project.iam.gserviceaccount.com",
          project: "my-project",
        });
        const roles = [{ role: "roles/bigquery.jobUser", on: { project: "my-project" } }];
        new CloudFunction("api", { ...args, account, roles });
      }),
      { message: /^CloudFunction api: roles .* contradicts account shared@my-project/ },
    ));
});
