import { deliveryFacts, fileFact, given, inEnvironment, made, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { CloudFunction } from "../../components/functions/cloud-function.ts";
import type { Deployer } from "../../components/functions/deployer.ts";
import type { FunctionBuild } from "../../components/functions/function-build.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import type { RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import type { EquidadeArgs, FunctionConfig } from "./config.ts";
import { keySecret } from "./names.ts";
import { trust } from "./rules.ts";

/** What equidade declares in Google Cloud. */
export interface GoogleSide {
  build: FunctionBuild;
  functions: { fn: FunctionConfig; resource: CloudFunction }[];
  deployer: Deployer;
}

/** A file, and the repository it goes to, without its owner. */
export type Placed = DeliveredFile & { repository: string };

/** What equidade says of itself in the audit. */
export function factsOf(
  { config, github: hub, secrets }: EquidadeArgs,
  { build, functions, deployer }: GoogleSide,
  files: readonly Placed[],
  packageDelivery: RepositoryDelivery,
): SystemFacts {
  const fullName = (repository: string) => `${hub.owner}/${repository}`;
  const packageRepository = fullName(config.packageRepository);
  const { repositories, workflow, branch } = trust(config);
  const { workloadIdentityProvider: provider } = deployer;
  return {
    ...nothing,
    ...deliveryFacts(hub.owner, packageDelivery),
    projects: [config.project],
    endpoints: functions.map(({ fn, resource }) => ({ name: fn.name, url: resource.url, invokers: fn.invokers ?? [] })),
    serviceAccounts: [
      { email: deployer.account.email, purpose: "deploys from GitHub", roles: [...deployer.roles] },
      { email: build.account.email, purpose: "builds functions", roles: [...build.roles] },
      ...functions.map(({ fn, resource: { account } }) => ({
        email: account.email,
        purpose: `runs ${fn.name}`,
        roles: [...account.roles],
      })),
    ],
    federation: provider
      ? [
          {
            provider,
            serviceAccount: deployer.account.email,
            repositories: repositories.map(fullName),
            workflow,
            branch: branch ?? null,
          },
        ]
      : [],
    secrets: [
      ...Object.keys(secrets).map((name) => given(name, inEnvironment(config.environment, packageRepository))),
      ...(deployer.key ? [made(keySecret(config), `${hub.owner}: ${repositories.join(", ")}`)] : []),
    ],
    files: files.map(({ repository, ...file }) =>
      fileFact({ ...file, repository: fullName(repository), branch: config.branch, via: config.via }),
    ),
  };
}
