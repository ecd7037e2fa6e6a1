import { deliveryFacts, fileFact, given, inEnvironment, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import type { RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import type { QivoArgs } from "./config.ts";

/** What qivo says of itself in the audit. */
export function factsOf(
  { config, github: hub, secrets }: QivoArgs,
  files: readonly DeliveredFile[],
  delivery: RepositoryDelivery,
): SystemFacts {
  const { environment, branch, via } = config;
  const repository = `${hub.owner}/${config.repository}`;
  return {
    ...nothing,
    ...deliveryFacts(hub.owner, delivery),
    secrets: Object.keys(secrets).map((name) => given(name, inEnvironment(environment, repository))),
    files: files.map((file) => fileFact({ ...file, repository, branch, via })),
  };
}
