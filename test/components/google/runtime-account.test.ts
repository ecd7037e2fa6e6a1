import assert from "node:assert/strict";
import { RuntimeAccount } from "../../../components/google/runtime-account.ts";
import { declared, optionsOf } from "../../declared.ts";

const email = "orders@my-project.iam.gserviceaccount.com";
const member = `serviceAccount:${email}`;

describe("RuntimeAccount", () => {
  it("creates an account and gives each right on its own kind of resource", async () => {
    let told: unknown;
    const resources = await declared(() => {
      told = new RuntimeAccount("orders", {
        id: "orders",
        displayName: "Orders",
        project: "my-project",
        roles: [
          { role: "roles/bigquery.dataViewer", on: { dataset: "sales", project: "my-project" } },
          { role: "roles/storage.objectViewer", on: { bucket: "files" } },
          { role: "roles/pubsub.publisher", on: { topic: "events", project: "my-project" } },
          { role: "roles/bigquery.jobUser", on: { project: "my-project" } },
        ],
        secrets: ["db-password"],
      }).roles;
    });
    assert.deepEqual(resources, {
      "RuntimeAccount orders": {},
      "Account orders-account": { accountId: "orders", project: "my-project", displayName: "Orders" },
      "DatasetIamMember orders-bigquery.dataViewer-dataset-sales": {
        datasetId: "sales",
        project: "my-project",
        role: "roles/bigquery.dataViewer",
        member,
      },
      "BucketIAMMember orders-storage.objectViewer-bucket-files": {
        bucket: "files",
        role: "roles/storage.objectViewer",
        member,
      },
      "TopicIAMMember orders-pubsub.publisher-topic-events": {
        topic: "events",
        project: "my-project",
        role: "roles/pubsub.publisher",
        member,
      },
      "IAMMember orders-bigquery.jobUser-project-my-project": {
        project: "my-project",
        role: "roles/bigquery.jobUser",
        member,
      },
      "SecretIamMember orders-secretmanager.secretAccessor-secret-db-password": {
        secretId: "db-password",
        project: "my-project",
        role: "roles/secretmanager.secretAccessor",
        member,
      },
    });
    assert.deepEqual(told, [
      { role: "roles/bigquery.dataViewer", on: "dataset sales" },
      { role: "roles/storage.objectViewer", on: "bucket files" },
      { role: "roles/pubsub.publisher", on: "topic events" },
      { role: "roles/bigquery.jobUser", on: "project my-project" },
      { role: "roles/secretmanager.secretAccessor", on: "secret db-password" },
    ]);
  });

  it("adopts one that exists, and gives a right that is asked for twice once", async () => {
    const secret = { role: "roles/secretmanager.secretAccessor", on: { secret: "s", project: "my-project" } };
    const resources = await declared(
      () => new RuntimeAccount("orders", { email, project: "my-project", roles: [secret], secrets: ["s", "s"] }),
    );
    assert.deepEqual(Object.keys(resources).sort(), [
      "RuntimeAccount orders",
      "SecretIamMember orders-secretmanager.secretAccessor-secret-s",
    ]);
  });

  it("keeps rights apart that differ in anything", async () => {
    const roles = [
      { role: "roles/storage.objectViewer", on: { bucket: "b" } },
      { role: "projects/my-project/roles/storage.objectViewer", on: { bucket: "b" } },
      { role: "roles/bigquery.dataViewer", on: { dataset: "d", project: "my-project" } },
      { role: "roles/bigquery.dataViewer", on: { dataset: "d", project: "other-project" } },
    ];
    const resources = await declared(() => new RuntimeAccount("orders", { email, project: "my-project", roles }));
    assert.equal(Object.keys(resources).length, 1 + roles.length);
  });

  it("grants nothing to an account before it exists", async () => {
    const options = await optionsOf(
      () =>
        new RuntimeAccount("orders", { id: "orders", displayName: "Orders", project: "my-project", secrets: ["s"] }),
    );
    assert.deepEqual(options["orders-secretmanager.secretAccessor-secret-s"], { dependsOn: ["orders-account"] });
  });
});
