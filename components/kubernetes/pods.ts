/** What every pod here has, whatever runs in it. */
import type { types } from "@pulumi/kubernetes";
import type { Input } from "@pulumi/pulumi";

type PodSecurity = types.input.core.v1.PodSecurityContext;
type ContainerSecurity = types.input.core.v1.SecurityContext;
type Resources = types.input.core.v1.ResourceRequirements;
type EnvVar = types.input.core.v1.EnvVar;

/** A user that no image has: a way out of a container leads to nobody's files. */
const nobodys = 10001;

/** A pod as the Pod Security Standard "restricted" wants it. @see https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted */
export const restrictedPod: PodSecurity = {
  runAsNonRoot: true,
  runAsUser: nobodys,
  runAsGroup: nobodys,
  fsGroup: nobodys,
  // A database's volume is not walked through at each start.
  fsGroupChangePolicy: "OnRootMismatch",
  seccompProfile: { type: "RuntimeDefault" },
};

/** A container of such a pod; it writes into its volumes alone. */
export const restrictedContainer: ContainerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

/** How much a container takes: all that it asks for is its own, and memory and disk no more than that. */
export interface Size {
  /** Cores, such as 250m; what is idle on the node comes on top. */
  cpu: string;
  /** Such as 512Mi. */
  memory: string;
  /** For logs and what it writes outside its volumes. @default 256Mi */
  disk?: string;
}

/** Requests and limits. A limit of cores would only slow down what has them beside it. */
export const resources = ({ cpu, memory, disk = "256Mi" }: Size): Resources => ({
  requests: { cpu, memory, "ephemeral-storage": disk },
  limits: { memory, "ephemeral-storage": disk },
});

/** The label that says by what an object is made and changed. */
export const managedBy = { "app.kubernetes.io/managed-by": "pulumi" };

/** The labels by which something is known, and those by which alone it is selected. @see https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/ */
export const labelsOf = (name: string, component: string, partOf: string) => {
  const selector = { "app.kubernetes.io/name": name };
  return {
    selector,
    labels: {
      ...selector,
      "app.kubernetes.io/component": component,
      "app.kubernetes.io/part-of": partOf,
      ...managedBy,
    },
  };
};

/** A peer of a NetworkPolicy: every pod of a namespace. */
export const inNamespace = (namespace: string) => ({
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
});

/** What a container finds in its environment. */
export interface EnvArgs {
  /** Environment variables. @default none */
  env?: Readonly<Record<string, Input<string>>>;
  /** Environment variables out of Secrets. @default none */
  secretEnv?: Readonly<Record<string, { secret: string; key: string }>>;
}

/** What a variable is that stands in a Secret. */
export const fromSecret = (secret: string, key: string) => ({ valueFrom: { secretKeyRef: { name: secret, key } } });

/** The variables as a container lists them. */
export const envOf = ({ env = {}, secretEnv = {} }: EnvArgs): EnvVar[] => [
  ...Object.entries(env).map(([name, value]) => ({ name, value })),
  ...Object.entries(secretEnv).map(([name, { secret, key }]) => ({ name, ...fromSecret(secret, key) })),
];
