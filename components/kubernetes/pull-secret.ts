import { core } from "@pulumi/kubernetes";
import { type CustomResourceOptions, type Input, jsonStringify, type Output, secret } from "@pulumi/pulumi";

/** Who reads images from a registry. */
export interface RegistryUser {
  /** The registry, such as ghcr.io. */
  host: string;
  user: string;
  token: Input<string>;
}

/** What a Secret of the type kubernetes.io/dockerconfigjson holds. */
export const dockerConfig = ({ host, user, token }: RegistryUser): Output<string> =>
  jsonStringify({ auths: { [host]: { username: user, password: token } } });

/**
 * A Secret by which nodes pull private images.
 * @see https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
 */
export const pullSecret = (
  name: string,
  args: RegistryUser & { namespace: string; secretName: string },
  opts?: CustomResourceOptions,
): core.v1.Secret =>
  new core.v1.Secret(
    name,
    {
      metadata: { name: args.secretName, namespace: args.namespace },
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": secret(dockerConfig(args)) },
    },
    opts,
  );
