import { stringify } from "yaml";
import { textBeside } from "../beside.ts";

/** Who one is at a cluster. */
export type KubernetesUser =
  /** Whoever holds the token, for as long as it lasts. */
  | { token: string }
  /** The GitHub job that runs kubectl, by the token that GitHub gives it for this audience: it lasts minutes. */
  | { githubOidc: { audience: string } };

/** Arguments of {@link kubeconfig}. */
export interface KubeconfigArgs {
  /** URL of the API server, such as https://k8s.example.com:6443. */
  server: string;
  /** Certificate in PEM by which the server is known. */
  certificateAuthority: string;
  /** The namespace of commands that name none; the context has its name too. */
  namespace: string;
  user: KubernetesUser;
}

/**
 * A kubeconfig of one cluster, one user and one namespace, as YAML. For a GitHub job it holds no secret: kubectl asks for a token
 * when it needs one, by a program that needs nothing but the runner's python3 and `permissions: id-token: write`.
 * @throws Error where the certificate is not in PEM, or the server is without TLS
 * @example
 * kubeconfig({ server: "https://k8s.example.com:6443", certificateAuthority: pem, namespace: "shop-prod", user: { githubOidc: { audience: "shop-prod" } } })
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 * @see https://docs.github.com/en/actions/reference/security/oidc
 */
export function kubeconfig({ server, certificateAuthority, namespace, user }: KubeconfigArgs): string {
  if (!/^https:\/\/\S+$/.test(server)) throw new Error(`the API server's URL is ${server}: expected one with https`);
  if (!certificateAuthority.includes("-----BEGIN CERTIFICATE-----")) {
    throw new Error(`the certificate of ${server} is not in PEM: expected -----BEGIN CERTIFICATE-----`);
  }
  return stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: namespace,
          cluster: { server, "certificate-authority-data": Buffer.from(certificateAuthority).toString("base64") },
        },
      ],
      users: [{ name: namespace, user: "token" in user ? user : { exec: githubToken(user.githubOidc.audience) } }],
      contexts: [{ name: namespace, context: { cluster: namespace, user: namespace, namespace } }],
      "current-context": namespace,
    },
    { lineWidth: 0 },
  );
}

const githubToken = (audience: string) => ({
  apiVersion: "client.authentication.k8s.io/v1",
  command: "python3",
  args: ["-c", textBeside(import.meta.url, "./github_token.py")],
  env: [{ name: "AUDIENCE", value: audience }],
  interactiveMode: "Never",
  provideClusterInfo: false,
});
