import * as gcp from "@pulumi/gcp";
import type { CustomResourceOptions, Resource } from "@pulumi/pulumi";

/** The resource that a role is given on: one of a kind, and its project where its name does not tell it. */
export type GrantTarget =
  | { project: string }
  | { bucket: string }
  /** A BigQuery dataset's ID. */
  | { dataset: string; project: string }
  /** A Secret Manager secret's ID. */
  | { secret: string; project: string }
  /** A Pub/Sub topic's name. */
  | { topic: string; project: string }
  /** Full name of a service account: projects/PROJECT/serviceAccounts/EMAIL. */
  | { serviceAccount: string };

/**
 * Gives one principal one role on one resource, beside whoever else has it: an additive IAM member, never a
 * binding or a policy, because the resource is not ours alone.
 * @param member an IAM principal, such as `serviceAccount:...`
 * @example grant("reader-sales", "serviceAccount:a@p.iam.gserviceaccount.com", "roles/bigquery.dataViewer", { dataset: "sales", project: "p" })
 * @see https://cloud.google.com/iam/docs/resource-types-with-policies
 */
export function grant(
  name: string,
  member: string,
  role: string,
  on: GrantTarget,
  opts?: CustomResourceOptions,
): Resource {
  if ("bucket" in on) return new gcp.storage.BucketIAMMember(name, { bucket: on.bucket, role, member }, opts);
  if ("dataset" in on) {
    return new gcp.bigquery.DatasetIamMember(name, { datasetId: on.dataset, project: on.project, role, member }, opts);
  }
  if ("secret" in on) {
    return new gcp.secretmanager.SecretIamMember(
      name,
      { secretId: on.secret, project: on.project, role, member },
      opts,
    );
  }
  if ("topic" in on)
    return new gcp.pubsub.TopicIAMMember(name, { topic: on.topic, project: on.project, role, member }, opts);
  if ("serviceAccount" in on) {
    return new gcp.serviceaccount.IAMMember(name, { serviceAccountId: on.serviceAccount, role, member }, opts);
  }
  return new gcp.projects.IAMMember(name, { project: on.project, role, member }, opts);
}
