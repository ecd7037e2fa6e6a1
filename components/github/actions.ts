/**
 * Every action that a delivered workflow uses, pinned by the commit that its release tag points to. This is the
 * only place that names one: an update is one line here, and the version stays readable beside the commit.
 */

/** An action at one commit. */
export interface Action {
  /** OWNER/REPOSITORY@COMMIT, as a step's `uses` takes it. */
  uses: string;
  /** The release that the commit is. */
  version: string;
}

const pin = (repository: string, commit: string, version: string): Action => ({
  uses: `${repository}@${commit}`,
  version,
});

export const buildPush = pin("docker/build-push-action", "53b7df96c91f9c12dcc8a07bcb9ccacbed38856a", "v7.3.0");
export const checkout = pin("actions/checkout", "3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1");
export const cosignInstaller = pin("sigstore/cosign-installer", "6f9f17788090df1f26f669e9d70d6ae9567deba6", "v4.1.2");
export const createGithubAppToken = pin(
  "actions/create-github-app-token",
  "1b10c78c7865c340bc4f6099eb2f838309f1e8c3",
  "v3.1.1",
);
export const googleAuth = pin("google-github-actions/auth", "7c6bc770dae815cd3e89ee6cdf493a5fab2cc093", "v3.0.0");
export const scanImage = pin("anchore/scan-action", "e1165082ffb1fe366ebaf02d8526e7c4989ea9d2", "v7.4.0");
export const setupGcloud = pin(
  "google-github-actions/setup-gcloud",
  "aa5489c8933f4cc7a4f7d45035b3b1440c9c10db",
  "v3.0.1",
);
export const registryLogin = pin("docker/login-action", "4907a6ddec9925e35a0a9e82d7399ccc52663121", "v4.1.0");
export const setupBuildx = pin("docker/setup-buildx-action", "37fe631027851001ddb9b187196cc803df7f5f0e", "v4.3.0");
export const setupNode = pin("actions/setup-node", "820762786026740c76f36085b0efc47a31fe5020", "v7.0.0");
export const setupPython = pin("actions/setup-python", "5fda3b95a4ea91299a34e894583c3862153e4b97", "v7.0.0");
