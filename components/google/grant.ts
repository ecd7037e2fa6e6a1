import * as gcp from "@pulumi/gcp";
import type { CustomResourceOptions, Input, Resource } from "@pulumi/pulumi";
import type { ServiceAccount } from "./account.ts";

/** The resource that a role is given on: exactly one key. */
export type GrantTarget =
  | { project: Input<string> }
  | { bucket: Input<string> }
  /** A BigQuery dataset's ID. */
  | { dataset: Input<string>; project: Input<string> }
  /** A Secret Manager secret's ID. */
  | { secret: Input<string>; project: Input<string> }
  /** A Pub/Sub topic's name. */
  | { topic: Input<string>; project: Input<string> }
  /** Full name of a service account: projects/PROJECT/serviceAccounts/EMAIL. */
  | { serviceAccount: Input<string> };

/**
 * Gives one principal one role on one resource, beside whoever else has it: an additive IAM member, never a
 * binding or a policy, because the resource is not ours alone.
 * @param member an IAM principal, such as `serviceAccount:...`
 * @example grant("reader-sales", "serviceAccount:a@p.iam.gserviceaccount.com", "roles/bigquery.dataViewer", { dataset: "sales", project: "p" })
 * @see https://cloud.google.com/iam/docs/resource-types-with-policies
 */
export function grant(
  name: string,
  member: Input<string>,
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

/** What an account may do: roles on resources, and secrets that it may read. */
export interface Rights {
  /** Roles, each on the narrowest resource that will do. */
  roles: readonly { role: string; on: GrantTarget }[];
  /** IDs of Secret Manager secrets. */
  secrets: readonly string[];
  /** ID of the project of these secrets. */
  project: string;
}

/**
 * Gives an account its rights, each once however often it is asked for: two declarations of one grant would be
 * one grant in Google Cloud, and the end of either the end of both.
 * @param name what the grants are named after; for an account that several share, the account
 */
export function giveRights(
  name: string,
  account: ServiceAccount,
  rights: Rights,
  opts?: CustomResourceOptions,
): Resource[] {
  const grants = new Map(rights.roles.map(({ role, on }) => [`${name}-${grantName(role, on)}`, { role, on }]));
  for (const secret of rights.secrets) {
    const on = { secret, project: rights.project };
    grants.set(`${name}-${grantName(secretAccessor, on)}`, { role: secretAccessor, on });
  }
  return [...grants].map(([key, { role, on }]) => grant(key, account.member, role, on, opts));
}

/** Rights as an audit tells them. */
export const describeRights = ({
  roles,
  secrets,
}: Pick<Rights, "roles" | "secrets">): { role: string; on: string }[] => [
  ...roles.map(({ role, on }) => ({ role, on: Object.entries(on)[0]!.join(" ") })),
  ...[...new Set(secrets)].map((secret) => ({ role: secretAccessor, on: `secret ${secret}` })),
];

const secretAccessor = "roles/secretmanager.secretAccessor";

const grantName = (role: string, on: GrantTarget) => {
  const [kind, target] = Object.entries(on)[0] as [string, Input<string>];
  return `${role.split("/").at(-1)}-${kind}-${typeof target === "string" ? target : ""}`;
};
