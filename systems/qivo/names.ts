import type { RulesetArgs } from "../../components/github/repository-delivery.ts";
import { defaultBranch } from "../../components/github/rulesets.ts";
import type { Environment, QivoConfig } from "./config.ts";

/** The GitHub environment in which tests run, in every workflow: dev's. */
export const testEnvironment: Environment = "dev";

/** The repository's workflows, by the names that GitHub shows and the document's files. */
export const workflows = {
  deploy: { name: "Deploy", file: "deploy.yaml" },
  tests: { name: "Tests", file: "test.yml" },
  pythonCi: { name: "Python CI", file: "python-ci.yml" },
  monitor: { name: "Monitor Pipeline", file: "monitor.yaml" },
  recovery: { name: "Auto-Recovery", file: "auto-recovery.yaml" },
} as const;

/** Where a workflow stands in the repository. */
export const workflowPath = (which: keyof typeof workflows): string => `.github/workflows/${workflows[which].file}`;

/** Names of the jobs that test a pull request, as GitHub shows them. */
export const checks = { build: "Build & Setup", tests: "Run Automated Tests", python: "python" } as const;

/** The program that sums a build up. */
export const summaryPath = ".github/scripts/build_summary.sh";

/** What a repository has once is prod's. */
export const rulesets = ({ environment, branch, approvals }: QivoConfig): Readonly<Record<string, RulesetArgs>> =>
  environment === "prod"
    ? defaultBranch(branch, approvals === undefined ? undefined : { approvals, checks: Object.values(checks) })
    : {};
