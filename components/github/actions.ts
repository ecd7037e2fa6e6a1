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

export const checkout = pin("actions/checkout", "3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1");
export const createGithubAppToken = pin(
  "actions/create-github-app-token",
  "1b10c78c7865c340bc4f6099eb2f838309f1e8c3",
  "v3.1.1",
);
export const googleAuth = pin("google-github-actions/auth", "7c6bc770dae815cd3e89ee6cdf493a5fab2cc093", "v3.0.0");
export const setupGcloud = pin(
  "google-github-actions/setup-gcloud",
  "aa5489c8933f4cc7a4f7d45035b3b1440c9c10db",
  "v3.0.1",
);
