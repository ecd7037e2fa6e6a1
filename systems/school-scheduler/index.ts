import { Provider } from "@pulumi/kubernetes";
import { ComponentResource, type ComponentResourceOptions, type Input, type Resource, secret } from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";
import type { SystemFacts } from "../../audit/schema.ts";
import { arrival, filesOf } from "../../components/github/delivered-file.ts";
import { type EnvironmentArgs, RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import { Deployer } from "../../components/kubernetes/deployer.ts";
import { IsolatedNamespace } from "../../components/kubernetes/isolated-namespace.ts";
import { Monitoring } from "../../components/kubernetes/monitoring/monitoring.ts";
import { MySqlBackups } from "../../components/kubernetes/mysql/backups.ts";
import { MySql } from "../../components/kubernetes/mysql/mysql.ts";
import { backupName, mysqlName } from "../../components/kubernetes/mysql/names.ts";
import { pullSecret } from "../../components/kubernetes/pull-secret.ts";
import { rolloutRules, setImageRules } from "../../components/kubernetes/rollout/steps.ts";
import { ScheduledTask } from "../../components/kubernetes/scheduled-task.ts";
import { WebApplication } from "../../components/kubernetes/web-application.ts";
import { pauses } from "../../components/time.ts";
import type { Environment, SchoolSchedulerArgs, SchoolSchedulerConfig } from "./config.ts";
import { factsOf } from "./facts.ts";
import {
  application,
  clusterUser,
  deployer,
  gateEnvironment,
  generation,
  kubeconfigSecret,
  partOf,
  pullSecretName,
  refsOf,
  rulesets,
  testPasswordSecret,
} from "./names.ts";
import { defaults, quotaOf } from "./quota.ts";
import { follower, rolloutOf } from "./repository/delivery.ts";
import { deliveredFiles } from "./repository/files.ts";

/** How much later than planned a backup may be before somebody is told. */
const graceHours = 2;

/**
 * school-scheduler: a Python application with its MySQL in four environments, each a namespace of its own cluster. The
 * repository's workflows deliver to them by themselves: develop to dev, release branches to homolog, main to preprod, versions to prod.
 */
export class SchoolScheduler extends ComponentResource {
  /** What the audit says of it. */
  readonly facts: SystemFacts;

  constructor(name: string, args: SchoolSchedulerArgs, opts?: ComponentResourceOptions) {
    super("esteira:systems:SchoolScheduler", name, {}, opts);
    const { config, github: hub } = args;
    const { environment, namespace, context, sizes, deletionPolicy, repository } = config;
    const provider =
      context === undefined
        ? undefined
        : new Provider(`${name}-cluster`, { context, kubeconfig: args.kubeconfig }, { parent: this });
    const space = new IsolatedNamespace(
      `${name}-space`,
      { namespace, quota: quotaOf(sizes), defaults, deletionPolicy },
      { parent: this, provider },
    );
    const inside = { parent: this, provider, dependsOn: [...space.ready] };
    const { mysql: database, backups } = this.database(name, args, inside);
    const workloads = this.workloads(name, args, database, {
      ...inside,
      dependsOn: [...space.ready, ...database.ready],
    });
    this.monitoring(name, args, inside);
    const access = this.deployer(name, args, inside);
    const secrets = secretsByPlace(
      environment,
      this.testSecrets(name, environment),
      access ? { [kubeconfigSecret(environment)]: access.kubeconfig } : {},
    );
    const files = deliveredFiles(config, hub.owner);
    const delivery = new RepositoryDelivery(
      `${name}-repository`,
      {
        repository,
        ...arrival(name, environment, config),
        secrets: secrets.repository,
        environments: environmentsOf(config, secrets.environment),
        rulesets: rulesets(config),
        files: filesOf(files),
      },
      // Once the workflow is there it may run, and then wants to find what it rolls out and may.
      { parent: this, dependsOn: [...workloads, ...(access?.ready ?? [])] },
    );
    this.facts = factsOf(args, { files, delivery, access, backups });
    this.registerOutputs();
  }

  private database(name: string, { config }: SchoolSchedulerArgs, opts: ComponentResourceOptions) {
    const { namespace, database, sizes, backup, deletionPolicy } = config;
    const mysql = new MySql(
      `${name}-mysql`,
      {
        namespace,
        partOf,
        image: database.image,
        database: database.name,
        user: database.user,
        size: sizes.database,
        storage: { size: sizes.storage, storageClass: database.storageClass },
        clients: [application, generation],
        deletionPolicy,
      },
      opts,
    );
    if (!backup) return { mysql };
    const { project, location, bucket, keptDays, schedule, timeZone } = backup;
    const backups = new MySqlBackups(
      `${name}-backups`,
      {
        namespace,
        partOf,
        mysql,
        bucket: { name: bucket, project, location, keptDays, deletionPolicy },
        schedule,
        timeZone,
        cluster: { project, projectNumber: String(backup.projectNumber) },
      },
      opts,
    );
    return { mysql, backups };
  }

  private workloads(
    name: string,
    { config, secrets }: SchoolSchedulerArgs,
    { host, port, database, secrets: { credentials } }: MySql,
    opts: ComponentResourceOptions,
  ): Resource[] {
    const { namespace, sizes, image, registryUser, environment } = config;
    if (registryUser) {
      const registry = { host: "ghcr.io", user: registryUser, token: secrets["GHCR_TOKEN"]! };
      pullSecret(`${name}-registry`, { ...registry, namespace, secretName: pullSecretName }, opts);
    }
    const common = {
      namespace,
      partOf,
      image,
      pullSecret: registryUser && pullSecretName,
      env: { ...config.env, DB_HOST: host, DB_PORT: String(port), DB_NAME: database },
      secretEnv: {
        DB_USER: { secret: credentials, key: "user" },
        DB_PASSWORD: { secret: credentials, key: "password" },
      },
    };
    const serving = new WebApplication(
      `${name}-application`,
      {
        ...common,
        application,
        port: config.port,
        size: sizes.application,
        replicas: sizes.replicas,
        canary: environment === "preprod",
        healthPath: config.healthPath,
        ingress: config.ingress,
      },
      opts,
    );
    const { command, schedule, timeZone } = config.generation;
    const generating = new ScheduledTask(
      `${name}-generation`,
      { ...common, task: generation, command, schedule, timeZone, size: sizes.generation },
      opts,
    );
    return [serving, generating];
  }

  private monitoring(name: string, { config }: SchoolSchedulerArgs, opts: ComponentResourceOptions): void {
    const { namespace, monitoring, backup } = config;
    if (!monitoring) return;
    const { release, namespace: prometheus, metricsPath } = monitoring;
    const pause = backup && Math.ceil(pauses(backup.schedule).longest / 3_600_000);
    new Monitoring(
      `${name}-monitoring`,
      {
        namespace,
        partOf,
        application: { deployment: application, service: application, port: "http" },
        metrics: metricsPath === undefined ? undefined : { path: metricsPath },
        database: { statefulSet: mysqlName },
        backup: pause === undefined ? undefined : { cronJob: backupName, maxAgeHours: pause + graceHours },
        prometheus: { namespace: prometheus, labels: { release } },
      },
      opts,
    );
  }

  /** Who the workflow is in the cluster, where it deploys. */
  private deployer(
    name: string,
    { config, github: hub }: SchoolSchedulerArgs,
    opts: ComponentResourceOptions,
  ): Deployer | undefined {
    const { namespace, cluster } = config;
    if (!cluster) return undefined;
    const { server, certificateAuthority, access, audience } = cluster;
    return new Deployer(
      `${name}-deployer`,
      {
        account: deployer,
        namespace,
        partOf,
        rules: [...rolloutRules(rolloutOf(config)), ...setImageRules(follower)],
        server,
        certificateAuthority,
        access: access === "token" ? access : { githubOidc: { audience, user: clusterUser(config, hub.owner) } },
      },
      opts,
    );
  }

  /** The password of the database that the workflow's tests make and throw away; prod has none: it runs what preprod has tested. */
  private testSecrets(name: string, environment: Environment): Record<string, Input<string>> {
    if (environment === "prod") return {};
    const { result } = new RandomPassword(`${name}-tests-password`, { length: 40, special: false }, { parent: this });
    return { [testPasswordSecret(environment)]: secret(result) };
  }
}

type Secrets = Readonly<Record<string, Input<string>>>;

/** Whose secrets dev's tests have is everybody's who may push: its environment is closed to pull requests. */
const secretsByPlace = (environment: Environment, tests: Secrets, deployment: Secrets) =>
  environment === "dev"
    ? { repository: tests, environment: deployment }
    : { repository: {}, environment: { ...deployment, ...tests } };

/** The environments that a stack owns. */
function environmentsOf(config: SchoolSchedulerConfig, secrets: Secrets): Record<string, EnvironmentArgs> {
  const { environment } = config;
  const reviewers = config.reviewers === "none" ? undefined : config.reviewers;
  const refs = refsOf(config);
  return environment === "preprod"
    ? { [environment]: { ...refs, secrets }, [gateEnvironment]: { ...refs, reviewers } }
    : { [environment]: { ...refs, reviewers, secrets } };
}
