/** What Kubernetes accepts as names: the vocabulary that config schemas are made of. */
import { pattern } from "../schema.ts";

/** A namespace. @see https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names */
export const namespace = pattern(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  "a namespace: at most 63 lower-case letters, digits or hyphens, no hyphen first or last",
);

/** A context of a kubeconfig, which says the cluster and who one is there. */
export const kubernetesContext = pattern(/^\S+$/, "a context of your kubeconfig");

/** A kind with its group, as an AppProject's lists and RBAC name it. */
export const groupKind = pattern(
  /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Z][A-Za-z0-9]*$/,
  "a kind with its group, such as apps/Deployment, or Service",
);
