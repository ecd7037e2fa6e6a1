import { fileFact, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import { ghcrImage } from "../../components/github/names.ts";
import { declaredWindows, type PythonApiArgs } from "./config.ts";
import { environmentName } from "./names.ts";

/** What python-api says of itself in the audit. */
export function factsOf({ config, github: hub, secrets }: PythonApiArgs, files: readonly DeliveredFile[]): SystemFacts {
  const { environment, application, argocd, namespace, server, branch, chart, breakGlass, windows } = config;
  const repository = `${hub.owner}/${config.repository}`;
  return {
    ...nothing,
    secrets: [
      ...Object.keys(secrets).map((name) => ({
        name,
        destination: destinationOf(name, config),
        origin: "stack config" as const,
      })),
      ...(argocd.webhooks === "made"
        ? [
            { name: "webhook.github.secret", destination: webhookAt("argocd-secret") },
            ...(argocd.imageUpdaterUrl
              ? [{ name: "webhook.ghcr-secret", destination: webhookAt("argocd-image-updater-secret") }]
              : []),
          ].map((each) => ({ ...each, origin: "made by the program" as const }))
        : []),
    ],
    files: files.map((file) => fileFact({ ...file, repository, branch })),
    environments: [{ repository, name: environmentName(environment) }],
    rulesets: environment === "prod" ? [{ repository, name: "released versions" }] : [],
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
      applications: [...(window.applications ?? [])],
      manualSync: window.manualSync ?? false,
      // The one beyond those that always hold.
      breakGlass: (index >= windows.length && breakGlass) || null,
    })),
  };

  function webhookAt(secretName: string) {
    return `Secret ${argocd.namespace}/${secretName}, and the webhook of ${repository}`;
  }
}

const destinationOf = (name: string, { application, argocd, repository }: PythonApiArgs["config"]): string => {
  if (name.endsWith("_WEBHOOK_SECRET")) return `the webhook of ${repository}`;
  return `Secret ${argocd.namespace}/${application}-${name === "GHCR_TOKEN" ? "registry" : "repository"}`;
};
