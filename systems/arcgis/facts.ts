import { deliveryFacts, fileFact, given, inEnvironment, made, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import type { RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import type { RuntimeAccount } from "../../components/google/runtime-account.ts";
import type { PrefectHost } from "../../components/prefect/prefect-host.ts";
import type { ArcgisArgs } from "./config.ts";
import { authSecret, credentialsVolume } from "./names.ts";

/** Who flows run as, and the people who may do so too. */
export interface Flows {
  account: RuntimeAccount;
  developers: SystemFacts["grants"];
}

/** What arcgis says of itself in the audit. */
export function factsOf(
  { config, github: hub, secrets }: ArcgisArgs,
  { account, developers }: Flows,
  files: readonly DeliveredFile[],
  delivery: RepositoryDelivery,
  host?: PrefectHost,
): SystemFacts {
  const repository = `${hub.owner}/${config.repository}`;
  return {
    ...nothing,
    ...deliveryFacts(hub.owner, delivery),
    projects: [config.project],
    endpoints: host ? [{ name: "prefect", url: host.url, invokers: null }] : [],
    serviceAccounts: [{ email: account.email, purpose: "runs the flows", roles: [...account.roles] }],
    grants: developers,
    secrets: [
      ...Object.keys(secrets).map((name) => given(name, "the Docker host: prefect-worker")),
      // The worker hands its settings on to the containers that it starts.
      ...Object.keys(host?.secrets ?? {}).map((name) =>
        made(name, name === "PREFECT_AUTH_STRING" ? "the Docker host, and every flow's container" : "the Docker host"),
      ),
      ...delivery.environments.flatMap(({ name }) => [
        made(authSecret, inEnvironment(name, repository)),
        made(`key of ${account.email}`, `the Docker host: volume ${credentialsVolume(config.mode)}`),
      ]),
    ],
    files: files.map((file) => fileFact({ ...file, repository, branch: config.branch, via: config.via })),
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
