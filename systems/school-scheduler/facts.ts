import { deliveryFacts, fileFact, given, inEnvironment, made, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import type { RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import type { Deployer } from "../../components/kubernetes/deployer.ts";
import type { MySqlBackups } from "../../components/kubernetes/mysql/backups.ts";
import { backupCredentialsName, credentialsName, mysqlName } from "../../components/kubernetes/mysql/names.ts";
import type { SchoolSchedulerArgs } from "./config.ts";
import { addressOf, application, kubeconfigSecret, pullSecretName, testPasswordSecret } from "./names.ts";

/** What school-scheduler declares that the audit tells of. */
export interface Declared {
  files: readonly DeliveredFile[];
  delivery: RepositoryDelivery;
  /** Of its workflow to the cluster, where it has any. */
  access?: Deployer;
  backups?: MySqlBackups;
}

/** What school-scheduler says of itself in the audit. */
export function factsOf(
  { config, github: hub, secrets }: SchoolSchedulerArgs,
  { files, delivery, access, backups }: Declared,
): SystemFacts {
  const { environment, namespace, context, branch, via, database, backup } = config;
  const url = addressOf(config);
  const repository = `${hub.owner}/${config.repository}`;
  const ofJobs = inEnvironment(environment, repository);
  return {
    ...nothing,
    ...deliveryFacts(hub.owner, delivery),
    projects: backup ? [backup.project] : [],
    endpoints: url ? [{ name: application, url, invokers: null }] : [],
    secrets: [
      ...Object.keys(secrets).map((name) => given(name, `Secret ${namespace}/${pullSecretName}`)),
      ...["password", "rootpassword"].map((name) => made(name, `Secret ${namespace}/${credentialsName}`)),
      made("password", `Secret ${namespace}/${backupCredentialsName}`),
      ...(access ? [made(kubeconfigSecret(environment), ofJobs)] : []),
      ...(environment === "prod"
        ? []
        : [made(testPasswordSecret(environment), environment === "dev" ? repository : ofJobs)]),
    ],
    files: files.map((file) => fileFact({ ...file, repository, branch, via })),
    grants: [...(backups?.grants ?? [])],
    images: [{ name: mysqlName, reference: database.image }],
    backups: backup
      ? [
          {
            of: `database ${namespace}/${mysqlName}/${database.name}`,
            to: `gs://${backup.bucket}`,
            schedule: `${backup.schedule} ${backup.timeZone}`,
            keptDays: backup.keptDays,
          },
        ]
      : [],
    namespaces: [{ name: namespace, context: context ?? null, podSecurity: "restricted" }],
    clusterAccess: access
      ? [
          {
            repository,
            environment,
            namespace,
            subject: access.subject,
            rules: [...access.rules],
            lasting: access.lasting,
          },
        ]
      : [],
  };
}
