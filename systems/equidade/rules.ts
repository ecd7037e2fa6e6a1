import type { RulesetArgs } from "../../components/github/repository-delivery.ts";
import { releasedVersions } from "../../components/github/rulesets.ts";
import type { EquidadeConfig } from "./config.ts";
import { workflowPath } from "./names.ts";

/** Who may act as the deployer: one workflow file of the functions' repositories, on the branch; by hand on any ref. */
export const trust = (config: EquidadeConfig) => ({
  repositories: config.functions.map((fn) => fn.repository),
  workflow: workflowPath("deploy", config),
  branch: config.release === "by-hand" ? undefined : config.branch,
});

/** A rollback goes to an old version: so a version that was released stays what it was. Once in a repository: prod's. */
export const rulesets = (config: EquidadeConfig): Readonly<Record<string, RulesetArgs>> =>
  config.release === "final" ? releasedVersions : {};
