import { fileFact, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import type { Deployer } from "../../components/kubernetes/deployer.ts";
import { backupCredentialsName, credentialsName, mysqlName } from "../../components/kubernetes/mysql/names.ts";
import type { SchoolSchedulerArgs } from "./config.ts";
import {
  addressOf,
  application,
  gateEnvironment,
  kubeconfigSecret,
  pullSecretName,
  rulesets,
  testPasswordSecret,
} from "./names.ts";

/** What school-scheduler says of itself in the audit. @param access of its workflow to the cluster, where it has any */
export function factsOf(
  { config, github: hub, secrets }: SchoolSchedulerArgs,
  files: readonly DeliveredFile[],
  access: Pick<Deployer, "subject" | "lasting"> | undefined,
): SystemFacts {
  const { environment, namespace, context, branch, database, backup } = config;
  const url = addressOf(config);
  const repository = `${hub.owner}/${config.repository}`;
  const made = (name: string, destination: string) => ({ name, destination, origin: "made by the program" as const });
  const inRepository = `environment ${environment} of ${repository}`;
  return {
    ...nothing,
    projects: backup ? [backup.project] : [],
    endpoints: url ? [{ name: application, url, invokers: ["allUsers"] }] : [],
    secrets: [
      ...Object.keys(secrets).map((name) => ({
        name,
        destination: `Secret ${namespace}/${pullSecretName}`,
        origin: "stack config" as const,
      })),
      ...["password", "rootpassword"].map((name) => made(name, `Secret ${namespace}/${credentialsName}`)),
      made("password", `Secret ${namespace}/${backupCredentialsName}`),
      ...(access ? [made(kubeconfigSecret(environment), inRepository)] : []),
      ...(environment === "prod"
        ? []
        : [made(testPasswordSecret(environment), environment === "dev" ? repository : inRepository)]),
    ],
    files: files.map((file) => fileFact({ ...file, repository, branch })),
    environments: [environment, ...(environment === "preprod" ? [gateEnvironment] : [])].map((name) => ({
      repository,
      name,
    })),
    rulesets: Object.keys(rulesets(config)).map((name) => ({ repository, name })),
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
      ? [{ repository, environment, namespace, subject: access.subject, lasting: access.lasting }]
      : [],
  };
}
