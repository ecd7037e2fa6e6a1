import { createHash } from "node:crypto";
import * as gcp from "@pulumi/gcp";
import type { CustomResourceOptions } from "@pulumi/pulumi";

/** A service account that the program created or adopted. */
export interface ServiceAccount {
  /** NAME@PROJECT.iam.gserviceaccount.com: known before anything exists, because Google derives it from the ID. */
  email: string;
  /** projects/PROJECT/serviceAccounts/EMAIL: what IAM resources on the account ask for. */
  fullName: string;
  /** The IAM principal, `serviceAccount:EMAIL`. */
  member: string;
  /** The account's resource; undefined for one that exists elsewhere and is only used. */
  resource?: gcp.serviceaccount.Account;
}

/**
 * The ID that an account gets from a longer name: what fits Google's 30 characters, and a digest of the
 * rest, so that two long names never meet.
 * @example accountId("cloud-function-1") // "cloud-function-1"
 */
export function accountId(name: string): string {
  if (name.length >= 6 && name.length <= 30) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 6);
  return `${name.slice(0, 23).replace(/-+$/, "")}-${digest}`;
}

/** The e-mail that an account made of `id` has. */
export const accountEmail = (id: string, project: string): string =>
  `${accountId(id)}@${project}.iam.gserviceaccount.com`;

/** Creates a service account, its ID derived from `id` by {@link accountId}. */
export function createAccount(
  name: string,
  args: { id: string; project: string; displayName: string },
  opts?: CustomResourceOptions,
): ServiceAccount {
  const id = accountId(args.id);
  const resource = new gcp.serviceaccount.Account(
    name,
    { accountId: id, project: args.project, displayName: args.displayName },
    opts,
  );
  return { ...accountNamed(accountEmail(args.id, args.project)), resource };
}

/** A service account that exists already, by its e-mail address; its project is part of the address. */
export function accountNamed(email: string): ServiceAccount {
  const project = /@([^.]+)\.iam\.gserviceaccount\.com$/.exec(email)?.[1] ?? "-";
  return { email, fullName: `projects/${project}/serviceAccounts/${email}`, member: `serviceAccount:${email}` };
}
