import { fileFact, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import type { RuntimeAccount } from "../../components/google/runtime-account.ts";
import type { PrefectHost } from "../../components/prefect/prefect-host.ts";
import { type ArcgisArgs, usesDocker } from "./config.ts";
import { authSecret, credentialsVolume, environmentName } from "./names.ts";

/** What arcgis says of itself in the audit. */
export function factsOf(
  { config, github: hub, secrets }: ArcgisArgs,
  account: RuntimeAccount,
  files: readonly DeliveredFile[],
  host?: PrefectHost,
): SystemFacts {
  const repository = `${hub.owner}/${config.repository}`;
  const environments = usesDocker(config) ? [{ repository, name: environmentName(config.mode) }] : [];
  return {
    ...nothing,
    projects: [config.project],
    endpoints: host ? [{ name: "prefect", url: host.url, invokers: [] }] : [],
    serviceAccounts: [{ email: account.email, purpose: "runs the flows", roles: [...account.roles] }],
    secrets: [
      ...Object.keys(secrets).map((name) => ({
        name,
        destination: "the Docker host: prefect-worker",
        origin: "stack config" as const,
      })),
      ...Object.keys(host?.secrets ?? {}).map((name) => ({
        name,
        // The worker hands its settings on to the containers that it starts.
        destination: name === "PREFECT_AUTH_STRING" ? "the Docker host, and every flow's container" : "the Docker host",
        origin: "made by the program" as const,
      })),
      ...environments.flatMap(({ name }) => [
        {
          name: authSecret,
          destination: `${repository} environment ${name}`,
          origin: "made by the program" as const,
        },
        {
          name: `key of ${account.email}`,
          destination: `the Docker host: volume ${credentialsVolume(config.mode)}`,
          origin: "made by the program" as const,
        },
      ]),
    ],
    files: files.map((file) => fileFact({ ...file, repository, branch: config.branch })),
    environments,
    images: Object.entries(host?.project.services ?? {}).map(([name, { image }]) => ({ name, reference: image })),
    backups: config.host
      ? [
          {
            of: "database prefect",
            to: "volume prefect_backups of the Docker host",
            schedule: `daily at ${config.host.backupAt} UTC`,
            keptDays: config.host.backupDays,
          },
        ]
      : [],
  };
}
