/** How a version gets to an environment's cluster. */
import { installSteps } from "../../../components/github/python-checks.ts";
import { checkOut, type Job, runner, type Step } from "../../../components/github/workflow.ts";
import { mysqlName } from "../../../components/kubernetes/mysql/names.ts";
import {
  deploy,
  type Follower,
  rollback,
  type rolloutRules,
  setImage,
} from "../../../components/kubernetes/rollout/steps.ts";
import { canaryName } from "../../../components/kubernetes/web-application.ts";
import type { SchoolSchedulerConfig } from "../config.ts";
import { addressOf, application, generation, kubeconfigSecret } from "../names.ts";
import type { WorkflowArgs } from "./jobs.ts";

type RolloutArgs = Parameters<typeof rolloutRules>[0];

/** What is rolled out and looked at: by a workflow's step, and as far as its Role in the cluster lets it. */
export function rolloutOf(config: SchoolSchedulerConfig): RolloutArgs {
  const { healthPath, environment, watchMinutes } = config;
  const address = addressOf(config);
  return {
    deployment: application,
    health: address
      ? { url: `${address}${healthPath}` }
      : { service: { name: application, port: "http" }, path: healthPath },
    ready: [`statefulset/${mysqlName}`],
    ...(environment === "preprod" && {
      canary: { deployment: canaryName(application), seconds: watchMinutes * 60 },
    }),
  };
}

/** What generates schedules has the version that serves. */
export const follower: Follower = { workload: `cronjob/${generation}`, container: generation };

/** What a rollout may take, and being taken back: the watch comes on top. */
const rolloutMinutes = 30;

/** What one command may take. It fails then and the version is taken back; a job that runs out of time is just cut off. */
const testMinutes = 30;

/**
 * Rolls a version out, watches it, and takes it back when it is bad.
 * @param image with its digest: what is found by a tag may change
 * @param afterwards tests of what is deployed then; it is taken back when one of them fails
 */
export const deployment = (
  { config }: WorkflowArgs,
  { needs, image, afterwards = [] }: { needs: [string, ...string[]]; image: string; afterwards?: readonly string[] },
): Job => {
  const { environment, cluster, watchMinutes } = config;
  const address = addressOf(config);
  const rollout = rolloutOf(config);
  const target = {
    namespace: config.namespace,
    deployment: application,
    container: application,
    image,
    kubeconfig: `\${{ secrets.${kubeconfigSecret(environment)} }}`,
  };
  const tests = afterwards.map(
    (command): Step => ({ run: command, env: { BASE_URL: address ?? "" }, "timeout-minutes": testMinutes }),
  );
  return {
    name: "deploy",
    needs,
    "runs-on": runner,
    // A canary is watched as long as the version.
    "timeout-minutes": rolloutMinutes + (rollout.canary ? 2 : 1) * watchMinutes + testMinutes * tests.length,
    environment: { name: environment, ...(address && { url: address }) },
    permissions: {
      ...(tests.length > 0 && { contents: "read" }),
      ...(cluster?.access === "github-oidc" && { "id-token": "write" }),
    },
    steps: [
      deploy("deploy", {
        ...target,
        ...rollout,
        smokePaths: config.smoke as `/${string}`[],
        // With ten pods, each of which takes its time to start.
        seconds: { rollout: 600, watch: config.watchMinutes * 60 },
      }),
      ...(tests.length > 0
        ? [
            checkOut(),
            ...installSteps(config),
            ...tests,
            rollback({
              ...target,
              previousRevision: "${{ steps.deploy.outputs.previous-revision }}",
              if: "(failure() || cancelled()) && steps.deploy.outcome == 'success'",
            }),
          ]
        : []),
      setImage({ ...target, ...follower }),
    ],
  };
};
