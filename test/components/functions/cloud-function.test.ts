import assert from "node:assert/strict";
import { CloudFunction, type CloudFunctionArgs } from "../../../components/functions/cloud-function.ts";
import { declared } from "../../declared.ts";

const args: CloudFunctionArgs = {
  project: "my-project",
  region: "us-east1",
  functionName: "orders",
  runtime: "python313",
  source: { bucket: "sources", object: "first.zip" },
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
      "Account api-account": { accountId: "orders", project: "my-project", displayName: "orders (runtime)" },
      "Function api-function": {
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
        deletionPolicy: "DELETE",
      },
    });
  });

  it("adopts an account, gives each role and secret on its own resource, and lets in whom it is told", async () => {
    const resources = await declared(
      () =>
        new CloudFunction("api", {
          ...args,
          serviceAccount: "runner@elsewhere.iam.gserviceaccount.com",
          buildServiceAccount: "projects/my-project/serviceAccounts/build@my-project.iam.gserviceaccount.com",
          roles: [
            { role: "roles/bigquery.dataViewer", on: { dataset: "sales", project: "my-project" } },
            { role: "roles/storage.objectViewer", on: { bucket: "files" } },
            { role: "roles/pubsub.publisher", on: { topic: "events", project: "my-project" } },
            { role: "roles/bigquery.jobUser", on: { project: "my-project" } },
          ],
          // One grant, whatever the number of variables that show the secret.
          secrets: {
            DB_PASSWORD: { secret: "db-password", version: "3" },
            DB_PASSWORD_AGAIN: { secret: "db-password" },
          },
          environment: { MODE: "prod" },
          invokers: ["allUsers"],
          concurrency: 80,
          ingress: "internal-and-gclb",
          deletionPolicy: "PREVENT",
        }),
    );
    const member = "serviceAccount:runner@elsewhere.iam.gserviceaccount.com";
    const { "Function api-function": fn, ...rest } = resources;
    assert.deepEqual(rest, {
      "CloudFunction api": {},
      "SecretIamMember api-secretmanager.secretAccessor-secret-db-password": {
        secretId: "db-password",
        project: "my-project",
        role: "roles/secretmanager.secretAccessor",
        member,
      },
      "DatasetIamMember api-bigquery.dataViewer-dataset-sales": {
        datasetId: "sales",
        project: "my-project",
        role: "roles/bigquery.dataViewer",
        member,
      },
      "BucketIAMMember api-storage.objectViewer-bucket-files": {
        bucket: "files",
        role: "roles/storage.objectViewer",
        member,
      },
      "TopicIAMMember api-pubsub.publisher-topic-events": {
        topic: "events",
        project: "my-project",
        role: "roles/pubsub.publisher",
        member,
      },
      "IAMMember api-bigquery.jobUser-project-my-project": {
        project: "my-project",
        role: "roles/bigquery.jobUser",
        member,
      },
      "ServiceIamMember api-invoker-allUsers": {
        project: "my-project",
        location: "us-east1",
        name: "orders",
        role: "roles/run.invoker",
        member: "allUsers",
      },
    });
    const { buildConfig, serviceConfig, deletionPolicy } = fn as Record<string, Record<string, unknown>>;
    assert.equal(deletionPolicy, "PREVENT");
    assert.equal(
      buildConfig!["serviceAccount"],
      "projects/my-project/serviceAccounts/build@my-project.iam.gserviceaccount.com",
    );
    assert.deepEqual(serviceConfig, {
      serviceAccountEmail: "runner@elsewhere.iam.gserviceaccount.com",
      availableMemory: "256Mi",
      availableCpu: "1",
      timeoutSeconds: 60,
      maxInstanceRequestConcurrency: 80,
      minInstanceCount: 0,
      maxInstanceCount: 100,
      ingressSettings: "ALLOW_INTERNAL_AND_GCLB",
      allTrafficOnLatestRevision: true,
      environmentVariables: { MODE: "prod" },
      secretEnvironmentVariables: [
        { key: "DB_PASSWORD", secret: "db-password", projectId: "my-project", version: "3" },
        { key: "DB_PASSWORD_AGAIN", secret: "db-password", projectId: "my-project", version: "latest" },
      ],
    });
  });

  it("gives no rights where they are given elsewhere, and tells the audit of them all the same", async () => {
    const roles = [{ role: "roles/storage.objectViewer", on: { bucket: "files" } }];
    let told: unknown;
    const resources = await declared(() => {
      const serviceAccount = "shared@my-project.iam.gserviceaccount.com";
      told = new CloudFunction("api", { ...args, serviceAccount, roles, grants: "elsewhere" }).roles;
    });
    assert.deepEqual(Object.keys(resources).sort(), ["CloudFunction api", "Function api-function"]);
    assert.deepEqual(told, [{ role: "roles/storage.objectViewer", on: "bucket files" }]);
  });

  const contradictions: Record<string, [Partial<CloudFunctionArgs>, RegExp]> = {
    "concurrency and cpu": [{ concurrency: 2, cpu: 0.5 }, /^CloudFunction api: concurrency 2 contradicts cpu 0.5/],
    "minInstances and maxInstances": [
      { minInstances: 3, maxInstances: 2 },
      /minInstances 3 contradicts maxInstances 2/,
    ],
    "cpu and memory": [{ cpu: 4, memory: "1Gi" }, /cpu 4 contradicts memory 1Gi/],
    "environment and secrets": [
      { environment: { A: "x" }, secrets: { A: { secret: "s" } } },
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
});
