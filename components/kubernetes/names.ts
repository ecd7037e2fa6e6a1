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

/** Where an Ingress answers. @see https://kubernetes.io/docs/concepts/services-networking/ingress/#hostname-wildcards */
export const hostName = pattern(
  /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/,
  "a host's name in lower case, without https:// and path, such as app.example.org",
);

/** An object's name that is a label too. */
export const objectName = pattern(
  /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/,
  "a name: at most 63 lower-case letters, digits or hyphens, a letter first, no hyphen last",
);

/** An image with a tag that says which one, or a digest. */
export const pinnedImage = pattern(
  /^(?!.*:latest$)[a-z0-9][a-z0-9.:/_-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$/,
  "an image with a tag other than latest, or with its digest, such as mysql:8.4.9",
);

/** A path below an address. */
export const urlPath = pattern(/^\/[A-Za-z0-9._~/?&=%-]*$/, "a path, such as /health");
