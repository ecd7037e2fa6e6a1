import { core, rbac } from "@pulumi/kubernetes";
import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  type Output,
  output,
  type Resource,
  RunError,
  secret,
} from "@pulumi/pulumi";
import { type KubernetesUser, kubeconfig } from "./kubeconfig.ts";
import { labelsOf } from "./pods.ts";

/** A rule of a Role. */
export interface PolicyRule {
  /** The core's is "". */
  apiGroups: string[];
  resources: string[];
  /** Names of the objects. @default all of the namespace */
  resourceNames?: string[];
  verbs: string[];
}

/** How a workflow is known to the cluster. */
export type DeployerAccess =
  | {
      /** GitHub's own token of the job: of minutes, and nowhere at rest. The cluster has to trust GitHub's issuer. */
      githubOidc: {
        /** Whom the token is made for, as the cluster asks for it. One an environment. */
        audience: string;
        /** What the cluster calls who has such a token, such as github:repo:sua-org/shop:environment:prod. */
        user: string;
      };
    }
  /** A service account's token, which lasts until its Secret is deleted: for a cluster that trusts no other issuer. */
  | "token";

/** Arguments of {@link Deployer}. */
export interface DeployerArgs {
  /** What its Role, the binding and a service account are called, such as shop-deployer. */
  account: string;
  /** The one namespace in which it may do anything. */
  namespace: string;
  /** All that it may do there. */
  rules: readonly PolicyRule[];
  /** URL of the API server, as the workflow reaches it. */
  server: Input<string>;
  /** Certificate in PEM by which that server is known. */
  certificateAuthority: Input<string>;
  access: DeployerAccess;
  /** The system that it belongs to: a label. */
  partOf: string;
}

/**
 * Who a workflow is when it deploys: one Role in one namespace, bound to GitHub's token of the job, or to a service account
 * whose token lasts.
 *
 * Who may patch a Deployment may have its pods read whatever a pod of the namespace may: RBAC does not look into an object.
 * @example
 * new Deployer("shop", { account: "shop-deployer", namespace: "shop-prod", rules: rolloutRules(rollout), server, certificateAuthority, access: { githubOidc: { audience: "shop-prod", user: "github:repo:sua-org/shop:environment:prod" } }, partOf: "shop" })
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#using-authentication-configuration
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
export class Deployer extends ComponentResource {
  /** A kubeconfig in base64, for a secret of the workflow's environment. */
  readonly kubeconfig: Output<string>;
  /** Who is bound, as an audit tells it: `User NAME` or `ServiceAccount NAMESPACE/NAME`. */
  readonly subject: string;
  /** All that it may do in its namespace. */
  readonly rules: readonly PolicyRule[];
  /** Whether the kubeconfig holds a token that does not end by itself. */
  readonly lasting: boolean;
  /** What must stand before a workflow can deploy. */
  readonly ready: readonly Resource[];

  constructor(name: string, args: DeployerArgs, opts?: ComponentResourceOptions) {
    super("esteira:kubernetes:Deployer", name, {}, opts);
    const { account, namespace, access } = args;
    const { labels } = labelsOf(account, "deployer", args.partOf);
    const metadata = { name: account, namespace, labels };
    const parent = { parent: this };
    this.rules = args.rules;
    this.lasting = access === "token";
    this.subject = access === "token" ? `ServiceAccount ${namespace}/${account}` : `User ${access.githubOidc.user}`;

    const role = new rbac.v1.Role(`${name}-role`, { metadata, rules: [...args.rules] }, parent);
    const binding = new rbac.v1.RoleBinding(
      `${name}-binding`,
      {
        metadata,
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: account },
        subjects: [
          access === "token"
            ? { kind: "ServiceAccount", name: account, namespace }
            : { apiGroup: "rbac.authorization.k8s.io", kind: "User", name: access.githubOidc.user },
        ],
      },
      { parent: this, dependsOn: [role] },
    );
    const user: Output<KubernetesUser> =
      access === "token"
        ? tokenOf(name, metadata, this).apply((token) => ({ token }))
        : output({ githubOidc: { audience: access.githubOidc.audience } });
    this.kubeconfig = secret(
      all([args.server, args.certificateAuthority, user]).apply(([server, certificateAuthority, user]) =>
        Buffer.from(kubeconfig({ server, certificateAuthority, namespace, user })).toString("base64"),
      ),
    );
    this.ready = [binding];
    this.registerOutputs({ subject: this.subject, lasting: this.lasting });
  }
}

/** The token of a service account of its own, which no pod is given. */
function tokenOf(
  name: string,
  metadata: { name: string; namespace: string; labels: Record<string, string> },
  parent: Resource,
): Output<string> {
  const account = new core.v1.ServiceAccount(
    `${name}-account`,
    { metadata, automountServiceAccountToken: false },
    { parent },
  );
  const token = new core.v1.Secret(
    `${name}-token`,
    {
      metadata: {
        ...metadata,
        name: `${metadata.name}-token`,
        annotations: { "kubernetes.io/service-account.name": metadata.name },
      },
      type: "kubernetes.io/service-account-token",
    },
    // Of an account that is not there, the cluster deletes the Secret. What the provider waits for is its token.
    { parent, dependsOn: [account] },
  );
  return token.data.apply((data: Record<string, string> | undefined) => {
    const value = data?.["token"];
    if (!value)
      throw new RunError(`Secret ${metadata.namespace}/${metadata.name}-token has no token: pulumi up --refresh`);
    return Buffer.from(value, "base64").toString();
  });
}
