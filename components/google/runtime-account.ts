import { ComponentResource, type ComponentResourceOptions, type Resource } from "@pulumi/pulumi";
import { accountNamed, createAccount, type ServiceAccount } from "./account.ts";
import { type GrantTarget, grant } from "./grant.ts";

/** Arguments of {@link RuntimeAccount}: `id` creates an account, `email` adopts one. */
export type RuntimeAccountArgs = (
  | {
      /** What the ID of a new account is made of: itself, or what fits of it and a digest. */
      id: string;
      /** What people see. */
      displayName: string;
    }
  | {
      /** E-mail of an account that exists already. */
      email: string;
    }
) & {
  /** ID of the project of the account, if it is new, and of the secrets. */
  project: string;
  /** Roles, each on the narrowest resource that will do. @default none */
  roles?: readonly { role: string; on: GrantTarget }[];
  /** IDs of the Secret Manager secrets that it may read. @default none */
  secrets?: readonly string[];
};

const secretAccessor = "roles/secretmanager.secretAccessor";

/**
 * The account that something runs as, with its rights: one component an account, however many run as it. Two
 * declarations of one grant would be one grant in Google Cloud, and the end of either the end of both; so a right that
 * is asked for twice is given once.
 * @example
 * new RuntimeAccount("orders", { id: "orders", displayName: "orders", project: "p", roles: [{ role: "roles/bigquery.jobUser", on: { project: "p" } }] })
 */
export class RuntimeAccount extends ComponentResource implements ServiceAccount {
  readonly email: string;
  /** projects/PROJECT/serviceAccounts/EMAIL. */
  readonly fullName: string;
  readonly member: string;
  readonly resource?: ServiceAccount["resource"];
  /** What must stand before something runs as it: the account and its rights. */
  readonly ready: readonly Resource[];
  /** What it may do, as an audit tells it. */
  readonly roles: readonly { role: string; on: string }[];

  constructor(name: string, args: RuntimeAccountArgs, opts?: ComponentResourceOptions) {
    super("esteira:google:RuntimeAccount", name, {}, opts);
    const { project } = args;
    const account =
      "email" in args
        ? accountNamed(args.email)
        : createAccount(`${name}-account`, { id: args.id, project, displayName: args.displayName }, { parent: this });
    this.email = account.email;
    this.fullName = account.fullName;
    this.member = account.member;
    this.resource = account.resource;

    // The e-mail is known beforehand, so the order has to be said: an account must exist before it is granted anything.
    const made = account.resource ? [account.resource] : [];
    const rights = new Map(
      [
        ...(args.roles ?? []),
        ...(args.secrets ?? []).map((secret) => ({ role: secretAccessor, on: { secret, project } })),
      ].map((right) => [rightName(right, project), right]),
    );
    this.ready = [
      ...made,
      ...[...rights].map(([key, { role, on }]) =>
        grant(`${name}-${key}`, account.member, role, on, { parent: this, dependsOn: made }),
      ),
    ];
    this.roles = [...rights.values()].map(({ role, on }) => ({ role, on: Object.entries(on)[0]!.join(" ") }));
    this.registerOutputs({ email: this.email });
  }
}

/** What a right is named by: all that makes it another one. */
const rightName = ({ role, on }: { role: string; on: GrantTarget }, project: string): string => {
  const [kind, target] = Object.entries(on)[0]!;
  const elsewhere = "project" in on && kind !== "project" && on.project !== project ? `-${on.project}` : "";
  return `${role.replace(/^roles\//, "")}-${kind}-${target}${elsewhere}`;
};
