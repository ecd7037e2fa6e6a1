import { fileFact, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import { ghcrImage } from "../../components/github/names.ts";
import { secretNames } from "../../components/gitops/gitops-application.ts";
import { declaredWindows, type PythonApiArgs } from "./config.ts";
import { environmentName, rulesets, webhookSecrets } from "./names.ts";

/** What python-api says of itself in the audit. */
export function factsOf({ config, github: hub, secrets }: PythonApiArgs, files: readonly DeliveredFile[]): SystemFacts {
  const { environment, application, argocd, namespace, server, branch, chart, breakGlass, windows } = config;
  const repository = `${hub.owner}/${config.repository}`;
  const told = argocd.imageUpdaterUrl ? Object.values(webhookSecrets) : [webhookSecrets.argocd];
  const madeWebhooks = argocd.webhooks === "made" ? told : [];
  return {
    ...nothing,
    secrets: [
      ...Object.keys(secrets).map((name) => ({
        name,
        destination: destinationOf(name, config),
        origin: "stack config" as const,
      })),
      ...madeWebhooks.map(({ key, secretName }) => ({
        name: key,
        destination: `Secret ${argocd.namespace}/${secretName}, and the webhook of ${repository}`,
        origin: "made by the program" as const,
      })),
    ],
    files: files.map((file) => fileFact({ ...file, repository, branch })),
    environments: [{ repository, name: environmentName(environment) }],
    rulesets: Object.keys(rulesets(config)).map((name) => ({ repository, name })),
    applications: [
      {
        name: application,
        project: application,
        source: { repository, branch, path: chart },
        destination: { server, namespace },
        sync: config.automated ? "automatic" : "by hand",
        image: ghcrImage(hub.owner, config.repository),
        tags: config.tags,
      },
    ],
    syncWindows: declaredWindows(config).map((window, index) => ({
      project: application,
      kind: window.kind,
      schedule: window.schedule,
      duration: window.duration,
      timeZone: window.timeZone ?? "UTC",
      applications: window.applications ?? [],
      namespaces: window.namespaces ?? [],
      clusters: window.clusters ?? [],
      andOperator: window.andOperator ?? false,
      manualSync: window.manualSync ?? false,
      syncOverrun: window.syncOverrun ?? false,
      // The one beyond those that always hold.
      breakGlass: (index >= windows.length && breakGlass) || null,
    })),
  };
}

const destinationOf = (name: string, { application, argocd, repository }: PythonApiArgs["config"]): string => {
  if (name.endsWith("_WEBHOOK_SECRET")) return `the webhook of ${repository}`;
  return `Secret ${argocd.namespace}/${secretNames(application)[name === "GHCR_TOKEN" ? "registry" : "repository"]}`;
};
