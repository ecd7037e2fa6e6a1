import type { RulesetArgs } from "../../components/github/repository-delivery.ts";
import { defaultBranch, releasedVersions } from "../../components/github/rulesets.ts";
import type { Environment, SchoolSchedulerConfig } from "./config.ts";

/** The label of all that belongs together. */
export const partOf = "school-scheduler";

/** Name of the Secret by which private images are pulled. */
export const pullSecretName = "registry";

/** Name of the Deployment, its container and its Service, as the document's commands have it. */
export const application = "school-scheduler";

/** Name of the CronJob that generates schedules. */
export const generation = `${application}-generation`;

/** Where it answers from outside. */
export const addressOf = ({ ingress }: Pick<SchoolSchedulerConfig, "ingress">): string | undefined =>
  ingress && `https://${ingress.host}`;

/** Name of the Role that the workflow has in the namespace. */
export const deployer = `${application}-deployer`;

/** Who the cluster takes the environment's jobs for, where it trusts GitHub. */
export const clusterUser = (
  { cluster, repository, environment }: Pick<SchoolSchedulerConfig, "cluster" | "repository" | "environment">,
  owner: string,
): string => cluster?.user ?? `github:repo:${owner}/${repository}:environment:${environment}`;

/** Where an environment's workflow stands in the repository. */
export const workflowPath = (environment: Environment): string =>
  `.github/workflows/ci-${environment === "dev" ? "cd" : environment}.yml`;

/** A secret's name as the document has it: dev's has no environment in it. */
const secretName = (name: string, environment: Environment): string =>
  environment === "dev" ? name : `${name}_${environment.toUpperCase()}`;

/** By which the environment's workflow reaches its cluster. */
export const kubeconfigSecret = (environment: Environment): string => secretName("KUBECONFIG", environment);

/** The password of the database that the workflow's own tests make and throw away. */
export const testPasswordSecret = (environment: Environment): string => secretName("DB_PASSWORD", environment);

/** The environment in which somebody approves what preprod has tested, apart from the one that is deployed to. */
export const gateEnvironment = "preprod-gate";

/** Branches and tags by whose push an environment's workflow is started, and from which alone the environment may be deployed to. */
type Refs = {
  branches?: [string, ...string[]];
  tags?: [string, ...string[]];
};

/** The {@link Refs} of an environment, as GitHub's filters and deployment policies have them. */
export const refsOf = ({
  environment,
  branch,
  developBranch,
}: Pick<SchoolSchedulerConfig, "environment" | "branch" | "developBranch">): Refs => {
  const refs: Record<Environment, Refs> = {
    // No pull request's: its branch brings a workflow of its own, which could read what the environment holds.
    dev: { branches: [developBranch] },
    homolog: { branches: ["release/*", "homolog"] },
    preprod: { branches: [branch], tags: ["preprod/*"] },
    prod: { tags: ["v*"] },
  };
  return refs[environment];
};

/**
 * A test's name as GitHub shows it. Only dev's is a check: what homolog says of a release branch would otherwise answer for the
 * pull request that merges it, which is of the same commit.
 */
export const testName = (environment: Environment, test: string): string =>
  environment === "dev" ? test : `${environment} ${test}`;

/** The tests of a pull request, by the names under which GitHub shows them. */
export const checkNames = ({ pythons }: Pick<SchoolSchedulerConfig, "pythons">): string[] => [
  "lint",
  ...pythons.map((python) => `test (${python})`),
  "integration",
];

/** What a repository has once is prod's: who may change the branch, and that a version stays what it was. */
export const rulesets = (config: SchoolSchedulerConfig): Readonly<Record<string, RulesetArgs>> =>
  config.environment === "prod"
    ? {
        ...releasedVersions,
        ...defaultBranch(config.branch, { approvals: config.approvals, checks: checkNames(config) }),
      }
    : {};
