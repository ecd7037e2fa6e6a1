import type { EquidadeConfig } from "./config.ts";

type Environment = Pick<EquidadeConfig, "environment">;

/** prod has the document's own names; every other environment's carry it as a suffix, so that stacks never meet. */
const suffix = ({ environment }: Environment, separator: string): string =>
  environment === "prod" ? "" : `${separator}${environment}`;

/** The event that tells a function's repository of a release. */
export const eventType = (config: Environment): string => `package-updated${suffix(config, "-")}`;

/** Path of an environment's workflow file. */
export const workflowPath = (name: string, config: Environment): string =>
  `.github/workflows/${name}${suffix(config, "-")}.yml`;

/** A workflow's name as GitHub lists it. */
export const named = (name: string, config: Environment): string =>
  config.environment === "prod" ? name : `${name} (${config.environment})`;

/** The secret with the deployer's key. An organisation has one of a name, so environments need names of their own. */
export const keySecret = (config: Environment): string =>
  `GCP_SA_KEY${suffix(config, "_").toUpperCase().replaceAll("-", "_")}`;
