import { batch, core, networking, type types } from "@pulumi/kubernetes";
import { ComponentResource, type ComponentResourceOptions, type CustomResourceOptions } from "@pulumi/pulumi";
import { textBeside } from "../../beside.ts";
import { type BucketArgs, createBucket } from "../../google/bucket.ts";
import { grant } from "../../google/grant.ts";
import { type DeletionPolicy, keeps } from "../../protection.ts";
import { fromSecret, labelsOf, resources, restrictedContainer, restrictedPod, type Size } from "../pods.ts";
import type { MySql } from "./mysql.ts";
import { backupName, restoreName } from "./names.ts";

/** Arguments of {@link MySqlBackups}. */
export interface MySqlBackupsArgs {
  namespace: string;
  /** What it is a part of: the label app.kubernetes.io/part-of. */
  partOf: string;
  /** Whose backups, from where: its image has the programs that fit it. */
  mysql: Pick<MySql, "host" | "port" | "database" | "image" | "secrets">;
  /** The bucket that is made for them alone. */
  bucket: {
    name: string;
    project: string;
    location: string;
    /** Days after which a backup is deleted: 2 or more. */
    keptDays: number;
    /** Whether a backup, and the bucket, may go before its time. @default "PREVENT" */
    deletionPolicy?: DeletionPolicy;
  };
  /** When, as cron has it: `0 3 * * *`. */
  schedule: string;
  /** Whose clock that is, such as America/Sao_Paulo. */
  timeZone: string;
  /** The project of the cluster, on which Workload Identity Federation is on: its ID and number. */
  cluster: { project: string; projectNumber: string };
}

/** What a backup takes, and a restore: a stream, however large the database is. The disk is for rclone itself. */
export const backupSize: Size = { cpu: "250m", memory: "512Mi", disk: "512Mi" };

const days = 86_400;

/** What copies backups, of the version that test/mysql/tools builds. */
export const rcloneImage = "rclone/rclone:1.76.0";

/** Where rclone is put beside the programs of MySQL's image, which has none. */
const rcloneFolder = "/opt/rclone";

/**
 * Backups of a {@link MySql} in a bucket: made by a schedule, each with a checksum that says that it is whole, and a job that brings
 * one back. Who makes them can neither read nor change nor delete one; who brings one back can only read.
 *
 * **To make one now:** `kubectl create job --from=cronjob/mysql-backup backup-1`
 *
 * **To bring one back**, with the application scaled to 0: `kubectl create job --from=cronjob/mysql-restore restore-1` takes the newest
 * whole one, and refuses where the database has tables. Another one, or over those tables:
 *
 *     kubectl create job --from=cronjob/mysql-restore restore-1 --dry-run=client --output=yaml |
 *       kubectl set env --local --filename=- --output=yaml BACKUP=shop/2026-11-22T03-00-00Z.sql.gz CONFIRM=shop |
 *       kubectl apply --filename=-
 *
 * It goes on where the checksum is right, and in the end its log has each table's rows.
 * @throws Error when the backups are kept for less than two days
 * @example
 * new MySqlBackups("db-backups", { namespace: "shop", partOf: "shop", mysql, bucket: { name: "acme-shop-backups", project: "p", location: "us-east1", keptDays: 30 }, schedule: "0 3 * * *", timeZone: "America/Sao_Paulo", cluster: { project: "p", projectNumber: "123456789012" } })
 * @see https://docs.cloud.google.com/kubernetes-engine/docs/how-to/workload-identity
 */
export class MySqlBackups extends ComponentResource {
  /** Who may do what in the bucket, as an audit tells it. */
  readonly grants: { principal: string; role: string; on: string }[] = [];

  constructor(name: string, args: MySqlBackupsArgs, opts?: ComponentResourceOptions) {
    super("esteira:kubernetes:MySqlBackups", name, {}, opts);
    const { mysql, bucket } = args;
    const child = { parent: this };
    const backups = createBucket(`${name}-bucket`, bucketArgs(bucket), child);
    const named = (object: string) => metadataOf(args, object);
    const scripts = new core.v1.ConfigMap(
      `${name}-scripts`,
      {
        metadata: named(`${backupName}-scripts`),
        data: {
          "backup.sh": textBeside(import.meta.url, "./backup.sh"),
          "restore.sh": textBeside(import.meta.url, "./restore.sh"),
        },
      },
      child,
    );
    const policy = new networking.v1.NetworkPolicy(
      `${name}-egress`,
      {
        metadata: named(`${backupName}-egress`),
        spec: {
          podSelector: {
            matchExpressions: [{ key: "app.kubernetes.io/name", operator: "In", values: [backupName, restoreName] }],
          },
          policyTypes: ["Egress"],
          egress: [
            // The bucket, whose addresses Google changes.
            { to: [{ ipBlock: { cidr: "0.0.0.0/0" } }], ports: [{ protocol: "TCP", port: 443 }] },
            // Who the pod is: with Dataplane V2, and without.
            // https://docs.cloud.google.com/kubernetes-engine/docs/how-to/workload-identity#network-policy
            { to: [{ ipBlock: { cidr: "169.254.169.254/32" } }], ports: [{ protocol: "TCP", port: 80 }] },
            { to: [{ ipBlock: { cidr: "169.254.169.252/32" } }], ports: [{ protocol: "TCP", port: 988 }] },
          ],
        },
      },
      child,
    );

    const job = (
      object: string,
      role: string,
      schedule: Pick<CronJobSpec, "schedule" | "timeZone" | "suspend">,
      jobSpec: object,
      container: Container,
    ) => {
      const dependsOn = [
        scripts,
        policy,
        ...this.account(name, args, object, role, { ...child, dependsOn: [backups] }),
      ];
      new batch.v1.CronJob(
        `${name}-${object}`,
        {
          metadata: named(object),
          spec: {
            ...schedule,
            concurrencyPolicy: "Forbid",
            startingDeadlineSeconds: 3600,
            successfulJobsHistoryLimit: 3,
            failedJobsHistoryLimit: 3,
            jobTemplate: {
              spec: {
                ...jobSpec,
                template: { metadata: { labels: named(object).labels }, spec: podSpec(args, object, container) },
              },
            },
          },
        },
        { ...child, dependsOn },
      );
    };
    const { schedule, timeZone } = args;
    job(
      backupName,
      "roles/storage.objectCreator",
      { schedule, timeZone, suspend: false },
      { backoffLimit: 2, activeDeadlineSeconds: 6 * 3600 },
      { script: "backup.sh", credentials: { name: mysql.secrets.backup, user: "user", password: "password" } },
    );
    job(
      restoreName,
      "roles/storage.objectViewer",
      // Somebody makes a job of it; by itself it never comes up.
      { schedule: "0 0 1 1 *", timeZone, suspend: true },
      // Once: what failed may have left a part of a database, of which a person has to know.
      { backoffLimit: 0, activeDeadlineSeconds: 24 * 3600, ttlSecondsAfterFinished: 7 * days },
      {
        script: "restore.sh",
        credentials: { name: mysql.secrets.credentials, password: "rootpassword" },
        env: [
          // Empty, until somebody says.
          { name: "BACKUP" },
          { name: "CONFIRM" },
        ],
      },
    );
    this.registerOutputs();
  }

  /** A pod's account, with a role on the bucket and none anywhere else. */
  private account(name: string, args: MySqlBackupsArgs, object: string, role: string, opts: CustomResourceOptions) {
    const { namespace, bucket, cluster } = args;
    const account = new core.v1.ServiceAccount(
      `${name}-${object}-account`,
      { metadata: metadataOf(args, object), automountServiceAccountToken: false },
      { parent: this },
    );
    const pool = `projects/${cluster.projectNumber}/locations/global/workloadIdentityPools/${cluster.project}.svc.id.goog`;
    const member = `principal://iam.googleapis.com/${pool}/subject/ns/${namespace}/sa/${object}`;
    this.grants.push({ principal: member, role, on: `bucket ${bucket.name}` });
    return [account, grant(`${name}-${object}-access`, member, role, { bucket: bucket.name }, opts)];
  }
}

type CronJobSpec = types.input.batch.v1.CronJobSpec;

/** What the two pods differ in. */
interface Container {
  script: string;
  /** A Secret, and its keys; without one for the user it is root. */
  credentials: { name: string; user?: string; password: string };
  env?: { name: string; value?: string }[];
}

const metadataOf = ({ namespace, partOf }: MySqlBackupsArgs, name: string) => ({
  name,
  namespace,
  labels: labelsOf(name, "backup", partOf).labels,
});

function bucketArgs({ name, project, location, keptDays, deletionPolicy }: MySqlBackupsArgs["bucket"]): BucketArgs {
  if (!(keptDays >= 2)) throw new Error(`backups are kept for ${keptDays} days: bucket.keptDays has to be 2 or more`);
  const protect = keeps(deletionPolicy);
  return {
    name,
    project,
    location,
    deletionPolicy,
    // Nothing is ever written over.
    versioning: { enabled: false },
    lifecycleRules: [{ action: { type: "Delete" }, condition: { age: keptDays } }],
    // A day less than they are kept, so that their end never meets it. Where the stack may go, its bucket goes with all that is in it.
    ...(protect && { retentionPolicy: { isLocked: false, retentionPeriod: `${(keptDays - 1) * days}` } }),
    softDeletePolicy: { retentionDurationSeconds: protect ? 7 * days : 0 },
  };
}

function podSpec({ mysql, bucket }: MySqlBackupsArgs, object: string, of: Container) {
  const { credentials, env = [] } = of;
  const from = (key: string) => fromSecret(credentials.name, key);
  const tool = { name: "rclone", mountPath: rcloneFolder };
  return {
    serviceAccountName: object,
    // Who it is at Google, the metadata server knows.
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    restartPolicy: "Never",
    securityContext: restrictedPod,
    initContainers: [
      {
        name: "rclone",
        image: rcloneImage,
        imagePullPolicy: "Always",
        command: ["cp", "/usr/local/bin/rclone", rcloneFolder],
        resources: resources(backupSize),
        securityContext: restrictedContainer,
        volumeMounts: [tool],
      },
    ],
    containers: [
      {
        name: object,
        image: mysql.image,
        imagePullPolicy: "Always",
        command: ["bash", `/scripts/${of.script}`],
        env: [
          { name: "PATH", value: `${rcloneFolder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin` },
          { name: "MYSQL_HOST", value: mysql.host },
          { name: "MYSQL_PORT", value: `${mysql.port}` },
          { name: "MYSQL_DATABASE", value: mysql.database },
          { name: "MYSQL_USER", ...(credentials.user ? from(credentials.user) : { value: "root" }) },
          { name: "MYSQL_PWD", ...from(credentials.password) },
          { name: "REMOTE", value: `:gcs:${bucket.name}` },
          ...rcloneSettings,
          ...env,
        ],
        resources: resources(backupSize),
        securityContext: restrictedContainer,
        volumeMounts: [
          { ...tool, readOnly: true },
          { name: "scripts", mountPath: "/scripts", readOnly: true },
          { name: "tmp", mountPath: "/tmp" },
        ],
      },
    ],
    volumes: [
      { name: "rclone", emptyDir: { sizeLimit: "256Mi" } },
      { name: "tmp", emptyDir: { sizeLimit: "16Mi" } },
      { name: "scripts", configMap: { name: `${backupName}-scripts` } },
    ],
  };
}

/** How rclone talks to the bucket: it has no file of its own. @see https://rclone.org/googlecloudstorage/ */
export const rcloneSettings: readonly { name: string; value?: string }[] = [
  { name: "RCLONE_CONFIG" },
  // As who the pod is.
  { name: "RCLONE_GCS_ENV_AUTH", value: "true" },
  // No roles on objects: the bucket has those for all of them.
  { name: "RCLONE_GCS_BUCKET_POLICY_ONLY", value: "true" },
  // Who makes backups may not look whether the bucket is there.
  { name: "RCLONE_GCS_NO_CHECK_BUCKET", value: "true" },
];
