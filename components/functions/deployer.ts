import * as gcp from "@pulumi/gcp";
import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  interpolate,
  type Output,
  type Resource,
} from "@pulumi/pulumi";
import { createAccount, type ServiceAccount } from "../google/account.ts";
import { createKey } from "../google/account-key.ts";
import { grant } from "../google/grant.ts";

/** How workflows reach the deployer's account. */
export type DeployerAuth =
  | {
      /** GitHub's own tokens, exchanged by Workload Identity Federation: nothing to keep, nothing to leak. */
      kind: "keyless";
      /** Number of the project: part of the provider's name, which workflows must spell. */
      projectNumber: string;
      /** Login of the repositories' owner. */
      owner: string;
      /** Numeric id of the owner: a login can be given up and taken by somebody else, an id cannot. */
      ownerId: Input<string>;
      /** The repositories, without owner, whose workflows may act as the deployer; no others may. */
      repositories: readonly string[];
      /** Path of the one workflow file, in each of them, that may. */
      workflow: string;
      /** The one branch whose workflow may. @default any ref of these repositories */
      branch?: string;
    }
  /** A service-account key, to be put where the workflows find it. */
  | { kind: "key" };

/** Arguments of {@link Deployer}. */
export interface DeployerArgs {
  /** ID of the project. */
  project: string;
  /** The accounts that it deploys as: what runs the functions and what builds them. */
  actAs: readonly ServiceAccount[];
  auth: DeployerAuth;
}

/**
 * The account that workflows act as when they deploy functions: Cloud Functions Developer on the project (an
 * upload is asked for at the project, no narrower resource will do), Service Account User on each account
 * that it deploys as and on no other.
 * @example
 * new Deployer("orders", { project: "p", actAs: [fn.account], auth: { kind: "key" } })
 * @see https://cloud.google.com/functions/docs/reference/iam/roles
 * @see https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines
 */
export class Deployer extends ComponentResource {
  readonly account: ServiceAccount;
  /** Keyless only: the provider's full name, for google-github-actions/auth. Known beforehand. */
  readonly workloadIdentityProvider?: string;
  /** Key only: the key as the JSON text that google-github-actions/auth takes. */
  readonly key?: Output<string>;
  /** What its account may do, as an audit tells it. */
  readonly roles: readonly { role: string; on: string }[];
  private readonly entry: Resource;
  private readonly actAs = new Map<string, Resource>();

  constructor(name: string, args: DeployerArgs, opts?: ComponentResourceOptions) {
    super("esteira:functions:Deployer", name, {}, opts);
    const { project, auth } = args;
    const parent = { parent: this };

    this.account = createAccount(
      `${name}-account`,
      { id: name, project, displayName: `${name} (deploys from GitHub)` },
      parent,
    );
    const made = { parent: this, dependsOn: [this.account.resource!] };
    grant(`${name}-developer`, this.account.member, "roles/cloudfunctions.developer", { project }, made);
    // By account, not by what runs as it: the right goes when the last one goes.
    for (const account of new Map(args.actAs.map((each) => [each.email, each])).values()) {
      const dependsOn = [this.account.resource!, ...(account.resource ? [account.resource] : [])];
      const on = { serviceAccount: account.fullName };
      this.actAs.set(
        account.email,
        grant(`${name}-act-as-${account.email}`, this.account.member, "roles/iam.serviceAccountUser", on, {
          parent: this,
          dependsOn,
        }),
      );
    }

    this.roles = [
      { role: "roles/cloudfunctions.developer", on: `project ${project}` },
      ...[...this.actAs.keys()].map((email) => ({
        role: "roles/iam.serviceAccountUser",
        on: `service account ${email}`,
      })),
    ];

    if (auth.kind === "key") {
      const { resource, json } = createKey(`${name}-key`, this.account, made);
      this.entry = resource;
      this.key = json;
    } else {
      this.entry = this.federate(name, project, auth);
      this.workloadIdentityProvider = `${poolName(auth.projectNumber, name)}/providers/github`;
    }
    this.registerOutputs({ serviceAccount: this.account.email });
  }

  /** What must stand before a workflow can deploy something that runs as `account`. */
  readyFor(account: ServiceAccount): Resource[] {
    const actAs = this.actAs.get(account.email);
    return actAs ? [this.entry, actAs] : [this.entry];
  }

  private federate(name: string, project: string, auth: DeployerAuth & { kind: "keyless" }): Resource {
    const parent = { parent: this };
    const pool = new gcp.iam.WorkloadIdentityPool(
      `${name}-pool`,
      { project, workloadIdentityPoolId: name, displayName: `${name} (GitHub)` },
      parent,
    );
    const provider = new gcp.iam.WorkloadIdentityPoolProvider(
      `${name}-provider`,
      {
        project,
        workloadIdentityPoolId: pool.workloadIdentityPoolId,
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
        attributeCondition: attributeCondition(auth),
      },
      parent,
    );
    // Authoritative for this one role on this one account, which is ours: one write for any number of repositories.
    return new gcp.serviceaccount.IAMBinding(
      `${name}-federated`,
      {
        serviceAccountId: this.account.fullName,
        role: "roles/iam.workloadIdentityUser",
        members: auth.repositories.map(
          (repository) =>
            `principalSet://iam.googleapis.com/${poolName(auth.projectNumber, name)}/attribute.repository/${auth.owner}/${repository}`,
        ),
      },
      { parent: this, dependsOn: [this.account.resource!, provider] },
    );
  }
}

const poolName = (projectNumber: string, pool: string) =>
  `projects/${projectNumber}/locations/global/workloadIdentityPools/${pool}`;

/** The owner by id, the branch, and the workflow file: no other workflow of these repositories is let in. */
const attributeCondition = ({ ownerId, branch, workflow }: DeployerAuth & { kind: "keyless" }): Output<string> =>
  interpolate`assertion.repository_owner_id == "${ownerId}" && ${
    branch
      ? `assertion.ref == "refs/heads/${branch}" && assertion.workflow_ref.endsWith("/${workflow}@refs/heads/${branch}")`
      : `assertion.workflow_ref.contains("/${workflow}@")`
  }`;
