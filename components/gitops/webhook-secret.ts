import { core } from "@pulumi/kubernetes";
import { ComponentResource, type ComponentResourceOptions, type Output, secret } from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";

/** Arguments of {@link WebhookSecret}. */
export interface WebhookSecretArgs {
  /** Name of the Secret that the installation has already, such as argocd-secret. */
  secretName: string;
  namespace: string;
  /** The key that is added to it, such as webhook.github.secret. */
  key: string;
}

/**
 * A secret by which whoever calls a webhook is known, put beside the others in an installation's own Secret. The rest of that Secret
 * stays whose it is; where somebody has set the key already, Kubernetes names who, and refuses.
 * @example
 * new WebhookSecret("github", { secretName: "argocd-secret", namespace: "argocd", key: "webhook.github.secret" }).value
 * @see https://argo-cd.readthedocs.io/en/stable/operator-manual/webhook/
 */
export class WebhookSecret extends ComponentResource {
  /** The secret's value, for the side that calls. */
  readonly value: Output<string>;

  constructor(name: string, { secretName, namespace, key }: WebhookSecretArgs, opts?: ComponentResourceOptions) {
    super("esteira:gitops:WebhookSecret", name, {}, opts);
    const { result } = new RandomPassword(`${name}-value`, { length: 40, special: false }, { parent: this });
    this.value = secret(result);
    new core.v1.SecretPatch(
      `${name}-patch`,
      {
        metadata: {
          name: secretName,
          namespace,
          // Else each create has a manager of another name, and one whose answer was lost stands in the way of the next.
          annotations: { "pulumi.com/patchFieldManager": `esteira-${name}` },
        },
        data: { [key]: this.value.apply((value) => Buffer.from(value).toString("base64")) },
      },
      { parent: this },
    );
    this.registerOutputs();
  }
}
