import { deliveryFacts, fileFact, given, made, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import { ghcrImage } from "../../components/github/names.ts";
import type { RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import { secretNames } from "../../components/gitops/gitops-application.ts";
import { declaredWindows, type PythonApiArgs } from "./config.ts";
import { webhookSecrets } from "./names.ts";

/** What python-api says of itself in the audit. */
export function factsOf(
  { config, github: hub, secrets }: PythonApiArgs,
  files: readonly DeliveredFile[],
  delivery: RepositoryDelivery,
): SystemFacts {
  const { application, argocd, namespace, server, branch, via, chart, breakGlass, windows, groups } = config;
  const repository = `${hub.owner}/${config.repository}`;
  const told = argocd.imageUpdaterUrl ? Object.values(webhookSecrets) : [webhookSecrets.argocd];
  const madeWebhooks = argocd.webhooks === "made" ? told : [];
  return {
    ...nothing,
    ...deliveryFacts(hub.owner, delivery),
    secrets: [
      ...Object.keys(secrets).map((name) => given(name, destinationOf(name, config))),
      ...madeWebhooks.map(({ key, secretName }) =>
        made(key, `Secret ${argocd.namespace}/${secretName}, and the webhook of ${repository}`),
      ),
    ],
    files: files.map((file) => fileFact({ ...file, repository, branch, via })),
    applications: [
      {
        name: application,
        project: application,
        source: { repository, branch, path: chart },
        destination: { server, namespace },
        sync: config.automated ? "automatic" : "by hand",
        operators: [...(groups?.operators ?? [])],
        viewers: [...(groups?.viewers ?? [])],
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
