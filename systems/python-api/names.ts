import type { RulesetArgs } from "../../components/github/repository-delivery.ts";
import { releasedVersions } from "../../components/github/rulesets.ts";
import type { Environment, PythonApiConfig } from "./config.ts";

/** The GitHub environment of a stack. */
export const environmentName = (environment: Environment): string =>
  ({ dev: "development", staging: "staging", prod: "production" })[environment];

/** Whose tag the Image Updater writes, below the chart's folder. */
export const valuesFile = (environment: Environment): string => `values-${environment}.yaml`;

/** The Helm release's name, after which the chart calls its objects: neither Helm nor Kubernetes takes capitals or `_`. */
export const releaseName = ({ repository }: Pick<PythonApiConfig, "repository">): string =>
  repository.toLowerCase().replaceAll("_", "-");

/** A tag names one image for good. Once in a repository: prod's. */
export const rulesets = ({
  environment,
}: Pick<PythonApiConfig, "environment">): Readonly<Record<string, RulesetArgs>> =>
  environment === "prod" ? releasedVersions : {};

/** Where the secrets stand by which GitHub is known: keys of Secrets that an installation of Argo CD has. */
export const webhookSecrets = {
  argocd: { secretName: "argocd-secret", key: "webhook.github.secret" },
  "image-updater": { secretName: "argocd-image-updater-secret", key: "webhook.ghcr-secret" },
};

/** Where an environment's runbook stands in the repository. */
export const runbookPath = (environment: Environment): string => `docs/runbooks/${environment}.md`;

/** The project's address for Git. */
export const repositoryUrl = (owner: string, { repository }: Pick<PythonApiConfig, "repository">): string =>
  `https://github.com/${owner}/${repository}.git`;
