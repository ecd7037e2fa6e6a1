import type { Input } from "@pulumi/pulumi";

/** How a repository is reached over HTTPS: as a GitHub App, whose tokens last an hour, or by a token. */
export type GitCredentials =
  | {
      /** The app's numeric id. */
      app: number;
      /** The id of its installation at the repository's owner. */
      installation: number;
      /** The app's private key, in PEM. */
      privateKey: Input<string>;
    }
  | { token: Input<string> };

/** Fields of a Secret, as Argo CD names them. @see https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#repositories */
export const fieldsOf = (credentials: GitCredentials): Record<string, Input<string>> =>
  "token" in credentials
    ? // GitHub takes any name beside a token.
      { username: "x-access-token", password: credentials.token }
    : {
        githubAppID: String(credentials.app),
        githubAppInstallationID: String(credentials.installation),
        githubAppPrivateKey: credentials.privateKey,
      };
