import { core, networking, type types } from "@pulumi/kubernetes";
import { ComponentResource, type ComponentResourceOptions, type Resource } from "@pulumi/pulumi";
import { type DeletionPolicy, keeps } from "../protection.ts";
import { inNamespace, resources, type Size } from "./pods.ts";

/** Arguments of {@link IsolatedNamespace}. */
export interface IsolatedNamespaceArgs {
  /** The namespace's name. */
  namespace: string;
  /** All that its objects may take together, by the quota's own names, such as `requests.cpu`. */
  quota: Readonly<Record<string, string>>;
  /** What a container gets that says nothing. */
  defaults: Size;
  /** Whether it may be deleted: all that is in it would go. @default "PREVENT" */
  deletionPolicy?: DeletionPolicy;
}

/** What a service must be to be reached from outside: an Ingress is the way in. */
const noWayIn = { "services.nodeports": "0", "services.loadbalancers": "0" };

/**
 * A namespace whose pods can do little and reach nobody: the Pod Security Standard "restricted" is enforced, a quota and
 * defaults bound what they take, and no traffic passes in either direction but questions to the cluster's DNS. What else is
 * needed is opened by whoever needs it, in a NetworkPolicy of its own.
 * @example
 * new IsolatedNamespace("shop", { namespace: "shop-dev", quota: { "requests.cpu": "2" }, defaults: { cpu: "100m", memory: "128Mi" } })
 * @see https://kubernetes.io/docs/concepts/security/pod-security-admission/
 */
export class IsolatedNamespace extends ComponentResource {
  /** What must stand before something is put into it: it would start unbounded. */
  readonly ready: readonly Resource[];

  constructor(name: string, args: IsolatedNamespaceArgs, opts?: ComponentResourceOptions) {
    super("esteira:kubernetes:IsolatedNamespace", name, {}, opts);
    const { namespace, quota, defaults, deletionPolicy } = args;
    const space = new core.v1.Namespace(
      `${name}-namespace`,
      { metadata: { name: namespace, labels: restricted } },
      { parent: this, protect: keeps(deletionPolicy) },
    );
    const inside = { parent: this, dependsOn: [space] };
    const { requests, limits } = resources(defaults);
    this.ready = [
      space,
      new core.v1.ResourceQuota(
        `${name}-quota`,
        { metadata: { name: "quota", namespace }, spec: { hard: { ...noWayIn, ...quota } } },
        inside,
      ),
      new core.v1.LimitRange(
        `${name}-defaults`,
        {
          metadata: { name: "defaults", namespace },
          spec: { limits: [{ type: "Container", defaultRequest: requests, default: limits }] },
        },
        inside,
      ),
      new networking.v1.NetworkPolicy(
        `${name}-default-deny`,
        {
          metadata: { name: "default-deny", namespace },
          spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
        },
        inside,
      ),
      new networking.v1.NetworkPolicy(
        `${name}-dns`,
        {
          metadata: { name: "dns", namespace },
          spec: { podSelector: {}, policyTypes: ["Egress"], egress: [dns] },
        },
        inside,
      ),
    ];
    this.registerOutputs();
  }
}

const standard = "pod-security.kubernetes.io";

/** `enforce` refuses pods; the other two tell of them when their Deployment is applied already. */
const restricted = Object.fromEntries(
  ["enforce", "warn", "audit"].flatMap((mode) => [
    [`${standard}/${mode}`, "restricted"],
    [`${standard}/${mode}-version`, "latest"],
  ]),
);

const dns: types.input.networking.v1.NetworkPolicyEgressRule = {
  to: [
    {
      ...inNamespace("kube-system"),
      podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
    },
    // A cache on each node, where a cluster has one, answers at this address. https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
    { ipBlock: { cidr: "169.254.20.10/32" } },
  ],
  ports: [
    { protocol: "UDP", port: 53 },
    { protocol: "TCP", port: 53 },
  ],
};
