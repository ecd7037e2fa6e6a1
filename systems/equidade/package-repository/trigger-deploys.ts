import { createGithubAppToken } from "../../../components/github/actions.ts";
import { type Job, runner, type Step, script, type Workflow } from "../../../components/github/workflow.ts";
import type { EquidadeConfig } from "../config.ts";
import { eventType, named } from "../names.ts";

/** A matrix ends at 256 jobs; the functions beyond it get jobs of their own. */
const matrixLimit = 256;
/** GitHub takes about 80 writes a minute before it asks one to wait. */
const atATime = 20;

/** A release of the package, told to every function's repository. */
export const triggerDeploys = (config: EquidadeConfig, owner: string): Workflow => {
  const dispatches = chunks(
    config.functions.map((fn) => fn.repository),
    matrixLimit,
  );
  const dispatchJobs = dispatches.map((repositories, index): [string, Job] => {
    const id = index === 0 ? "dispatch" : `dispatch-${index + 1}`;
    return [id, dispatch(id, repositories, config, Math.ceil(atATime / dispatches.length))];
  });
  const prerelease = config.release === "pre-release";
  return {
    name: named("Trigger Deploys", config),
    on: {
      ...(config.release === "by-hand" ? {} : { release: { types: ["published"] } }),
      workflow_dispatch: {
        inputs: {
          version: {
            description: "A released version, such as v0.2.3; an older one is a rollback",
            required: true,
            type: "string",
          },
        },
      },
    },
    permissions: {},
    // Every release counts: one that waits is not thrown out by the next.
    concurrency: { group: `trigger-deploys-${config.environment}`, "cancel-in-progress": false, queue: "max" },
    env: { GITHUB_ORG: owner, PACKAGE: config.package, EVENT_TYPE: eventType(config) },
    jobs: {
      version: {
        name: "version",
        ...(config.release === "by-hand"
          ? {}
          : {
              if: `github.event_name == 'workflow_dispatch' || ${prerelease ? "" : "!"}github.event.release.prerelease`,
            }),
        "runs-on": runner,
        "timeout-minutes": 5,
        permissions: { contents: "read" },
        outputs: { version: "${{ steps.version.outputs.version }}" },
        steps: [
          {
            name: "Check the version",
            id: "version",
            env: {
              REQUESTED: "${{ inputs.version || github.event.release.tag_name }}",
              CHECK_RELEASE: "${{ github.event_name == 'workflow_dispatch' }}",
              GITHUB_TOKEN: "${{ github.token }}",
            },
            run: script(import.meta.url, "./version.sh"),
          },
        ],
      },
      ...Object.fromEntries(dispatchJobs),
      report: {
        name: "report",
        needs: ["version", ...dispatchJobs.map(([id]) => id)],
        if: "always() && needs.version.result == 'success'",
        "runs-on": runner,
        "timeout-minutes": 5,
        permissions: { actions: "read" },
        steps: [
          {
            name: "Say which repositories were not told",
            env: { VERSION: "${{ needs.version.outputs.version }}", GITHUB_TOKEN: "${{ github.token }}" },
            run: script(import.meta.url, "./report.sh"),
          },
        ],
      },
    },
  };
};

const dispatch = (id: string, repositories: readonly string[], config: EquidadeConfig, parallel: number): Job => ({
  name: `${id} (\${{ matrix.repo }})`,
  needs: "version",
  "runs-on": runner,
  "timeout-minutes": 15,
  // Its secrets and its approval, without a deployment record for each repository.
  environment: { name: config.environment, deployment: false },
  permissions: {},
  strategy: {
    "fail-fast": false,
    "max-parallel": parallel,
    matrix: { repo: [...repositories] as [string, ...string[]] },
  },
  steps: steps(config),
});

const steps = (config: EquidadeConfig): [Step, ...Step[]] => {
  const send: Step = {
    name: "Send the event",
    env: {
      REPO: "${{ matrix.repo }}",
      VERSION: "${{ needs.version.outputs.version }}",
      TRIGGERED_BY: "${{ github.actor }}",
      SOURCE_REPO: "${{ github.repository }}",
      TOKEN_PLACE: `Settings → Environments → ${config.environment}, put there by the infrastructure program`,
      ...(config.triggerApp
        ? {
            TOKEN_SECRET: "DEPLOY_TRIGGER_APP_KEY",
            TOKEN_WANTED: `the private key of the GitHub App ${config.triggerApp}, installed there with contents: write`,
          }
        : {}),
      TOKEN: config.triggerApp ? "${{ steps.app.outputs.token }}" : "${{ secrets.DEPLOY_TRIGGER_TOKEN }}",
    },
    run: script(import.meta.url, "./dispatch.sh"),
  };
  return config.triggerApp ? [appToken(config.triggerApp), send] : [send];
};

const appToken = (clientId: string): Step => ({
  name: "Get the app's token",
  id: "app",
  uses: createGithubAppToken.uses,
  with: {
    "client-id": clientId,
    "private-key": "${{ secrets.DEPLOY_TRIGGER_APP_KEY }}",
    owner: "${{ env.GITHUB_ORG }}",
    repositories: "${{ matrix.repo }}",
    "permission-contents": "write",
  },
});

const chunks = <T>(items: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
