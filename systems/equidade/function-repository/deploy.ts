import { checkout, googleAuth, setupGcloud } from "../../../components/github/actions.ts";
import { runner, script, type Workflow } from "../../../components/github/workflow.ts";
import type { EquidadeConfig, FunctionConfig } from "../config.ts";
import { eventType, keySecret, named } from "../names.ts";

/** What a deploy needs to know of Google's side. */
export interface DeployTarget {
  /** E-mail of the deployer. */
  deployer: string;
  /** Full name of the account that builds. */
  builder: string;
  /** Full name of the workload identity provider; undefined where a key is used. */
  workloadIdentityProvider?: string;
  /** Where the function answers. */
  url: string;
}

// Read once, not once a function.
const [pinPy, deploySh] = [script(import.meta.url, "./pin.py"), script(import.meta.url, "./deploy.sh")];

/** The Google Cloud CLI: what deploys to prod does not change by itself. */
const gcloud = "528.0.0";

/** The checkout's folder. Google's login leaves its credentials in the workspace, beside it: never in what is uploaded. */
const source = "source";

/** A function's deploy: pins the package, deploys, verifies. */
export const deploy = (fn: FunctionConfig, config: EquidadeConfig, owner: string, target: DeployTarget): Workflow => {
  const commits = config.pin === "commit";
  return {
    name: named("Deploy", config),
    on: {
      repository_dispatch: { types: [eventType(config)] },
      workflow_dispatch: {
        inputs: {
          version: {
            description: "A released version, such as v0.2.3; empty: the one that is pinned",
            required: false,
            type: "string",
          },
        },
      },
      // A push deploys what is pinned in the branch, so only where pins go there. A delivery of this very file
      // changes no code: it must not deploy every function again.
      ...(commits ? { push: { branches: [config.branch], "paths-ignore": [".github/**"] } } : {}),
    },
    permissions: {},
    // A version that waits to be pinned is not thrown out by a push that comes after it.
    concurrency: { group: `deploy-${config.environment}`, "cancel-in-progress": false, queue: "max" },
    env: {
      FUNCTION_NAME: fn.name,
      GCP_PROJECT: config.project,
      REGION: config.region,
      RUNTIME: fn.runtime,
      ENTRY_POINT: fn.entryPoint,
      BUILD_ACCOUNT: target.builder,
      PACKAGE: config.package,
    },
    jobs: {
      deploy: {
        name: "deploy",
        "runs-on": runner,
        "timeout-minutes": 30,
        environment: { name: config.environment, url: target.url },
        permissions: {
          contents: commits ? "write" : "read",
          ...(target.workloadIdentityProvider ? { "id-token": "write" } : {}),
        },
        steps: [
          {
            name: "Check out",
            uses: checkout.uses,
            // The branch's tip, not the commit of the event: a run that waited must not deploy what is old by now.
            with: {
              ...(commits || config.release !== "by-hand" ? { ref: config.branch } : {}),
              path: source,
              "persist-credentials": false,
            },
          },
          {
            name: "Pin the package",
            id: "pin",
            shell: "python",
            "working-directory": source,
            env: {
              EVENT_NAME: "${{ github.event_name }}",
              CLIENT_PAYLOAD: "${{ toJSON(github.event.client_payload) }}",
              INPUT_VERSION: "${{ inputs.version }}",
              SOURCE_REPO: `${owner}/${config.packageRepository}`,
              REPO_NAME: fn.repository,
              BRANCH: config.branch,
              COMMIT: String(commits),
              GITHUB_TOKEN: "${{ github.token }}",
            },
            run: pinPy,
          },
          {
            name: "Log in to Google Cloud",
            uses: googleAuth.uses,
            with: target.workloadIdentityProvider
              ? { workload_identity_provider: target.workloadIdentityProvider, service_account: target.deployer }
              : { credentials_json: `\${{ secrets.${keySecret(config)} }}` },
          },
          { name: "Set up gcloud", uses: setupGcloud.uses, with: { version: gcloud } },
          {
            name: "Deploy and verify",
            "working-directory": source,
            env: {
              ACCESS: target.workloadIdentityProvider
                ? `Workload Identity Federation as ${target.deployer}`
                : `the secret ${keySecret(config)} (Settings → Secrets and variables → Actions)`,
              VERSION: "${{ steps.pin.outputs.version }}",
              LABEL: "${{ steps.pin.outputs.label }}",
              SHA: "${{ steps.pin.outputs.sha }}",
            },
            run: deploySh,
          },
        ],
      },
    },
  };
};
