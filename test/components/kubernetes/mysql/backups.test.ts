import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { MySqlBackups, type MySqlBackupsArgs, rcloneImage } from "../../../../components/kubernetes/mysql/backups.ts";
import { declared, optionsOf } from "../../../declared.ts";
import { restricted } from "../restricted.ts";

const args: MySqlBackupsArgs = {
  namespace: "shop-prod",
  partOf: "shop",
  mysql: {
    host: "mysql",
    port: 3306,
    database: "shop",
    image: "mysql:8.4.7",
    secrets: { credentials: "db-credentials", backup: "mysql-backup-credentials" },
  },
  bucket: { name: "acme-backups", project: "data", location: "us-east1", keptDays: 30 },
  schedule: "0 3 * * *",
  timeZone: "America/Sao_Paulo",
  cluster: { project: "clusters", projectNumber: "123456789012" },
};

describe("MySqlBackups", () => {
  const of = (changes: Partial<MySqlBackupsArgs> = {}) =>
    declared(() => new MySqlBackups("b", { ...args, ...changes }));
  const metadata = (name: string) => ({
    name,
    namespace: "shop-prod",
    labels: {
      "app.kubernetes.io/name": name,
      "app.kubernetes.io/component": "backup",
      "app.kubernetes.io/part-of": "shop",
      "app.kubernetes.io/managed-by": "pulumi",
    },
  });

  it("makes a bucket, two jobs with an account each, and nothing else", async () => {
    assert.deepEqual(Object.keys(await of()).sort(), [
      "Bucket b-bucket",
      "BucketIAMMember b-mysql-backup-access",
      "BucketIAMMember b-mysql-restore-access",
      "ConfigMap b-scripts",
      "CronJob b-mysql-backup",
      "CronJob b-mysql-restore",
      "MySqlBackups b",
      "NetworkPolicy b-egress",
      "ServiceAccount b-mysql-backup-account",
      "ServiceAccount b-mysql-restore-account",
    ]);
  });

  it("keeps each backup for its days in a bucket that nobody else sees", async () => {
    const bucket = {
      name: "acme-backups",
      project: "data",
      location: "us-east1",
      uniformBucketLevelAccess: true,
      publicAccessPrevention: "enforced",
      versioning: { enabled: false },
      lifecycleRules: [{ action: { type: "Delete" }, condition: { age: 30 } }],
    };
    assert.deepEqual((await of())["Bucket b-bucket"], {
      ...bucket,
      retentionPolicy: { isLocked: false, retentionPeriod: `${29 * 86_400}` },
      softDeletePolicy: { retentionDurationSeconds: 604_800 },
      forceDestroy: false,
    });
    const loose = { bucket: { ...args.bucket, deletionPolicy: "DELETE" as const } };
    assert.deepEqual((await of(loose))["Bucket b-bucket"], {
      ...bucket,
      softDeletePolicy: { retentionDurationSeconds: 0 },
      forceDestroy: true,
    });
    const protectedIn = async (changes: object) =>
      (await optionsOf(() => new MySqlBackups("b", { ...args, ...changes })))["b-bucket"]!.protect;
    assert.deepEqual([await protectedIn({}), await protectedIn(loose)], [true, undefined]);
  });

  it("refuses to keep them for less than two days", async () => {
    for (const keptDays of [1, 0, Number.NaN]) {
      await assert.rejects(
        of({ bucket: { ...args.bucket, keptDays } }),
        new Error(`backups are kept for ${keptDays} days: bucket.keptDays has to be 2 or more`),
      );
    }
  });

  it("lets who makes them only add, and who restores them only read", async () => {
    const all = await of();
    const principal = (name: string) =>
      `principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/clusters.svc.id.goog/subject/ns/shop-prod/sa/${name}`;
    for (const [name, role] of [
      ["mysql-backup", "roles/storage.objectCreator"],
      ["mysql-restore", "roles/storage.objectViewer"],
    ] as const) {
      assert.deepEqual(all[`BucketIAMMember b-${name}-access`], {
        bucket: "acme-backups",
        role,
        member: principal(name),
      });
      assert.deepEqual(all[`ServiceAccount b-${name}-account`], {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: metadata(name),
        automountServiceAccountToken: false,
      });
    }
  });

  it("lets both reach Google, and nothing else that the namespace does not open", async () => {
    const to = (cidr: string, port: number) => ({ to: [{ ipBlock: { cidr } }], ports: [{ protocol: "TCP", port }] });
    assert.deepEqual((await of())["NetworkPolicy b-egress"], {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: metadata("mysql-backup-egress"),
      spec: {
        podSelector: {
          matchExpressions: [
            { key: "app.kubernetes.io/name", operator: "In", values: ["mysql-backup", "mysql-restore"] },
          ],
        },
        policyTypes: ["Egress"],
        egress: [to("0.0.0.0/0", 443), to("169.254.169.254/32", 80), to("169.254.169.252/32", 988)],
      },
    });
  });

  const container = {
    securityContext: restricted.container,
    resources: {
      requests: { cpu: "250m", memory: "512Mi", "ephemeral-storage": "512Mi" },
      limits: { memory: "512Mi", "ephemeral-storage": "512Mi" },
    },
  };
  const pod = (name: string, script: string, env: object[]) => ({
    metadata: { labels: metadata(name).labels },
    spec: {
      serviceAccountName: name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: "Never",
      securityContext: restricted.pod,
      initContainers: [
        {
          name: "rclone",
          image: "rclone/rclone:1.76.0",
          imagePullPolicy: "Always",
          command: ["cp", "/usr/local/bin/rclone", "/opt/rclone"],
          ...container,
          volumeMounts: [{ name: "rclone", mountPath: "/opt/rclone" }],
        },
      ],
      containers: [
        {
          name,
          // Programs that fit the server are the server's own.
          image: "mysql:8.4.7",
          imagePullPolicy: "Always",
          command: ["bash", `/scripts/${script}`],
          env,
          ...container,
          volumeMounts: [
            { name: "rclone", mountPath: "/opt/rclone", readOnly: true },
            { name: "scripts", mountPath: "/scripts", readOnly: true },
            { name: "tmp", mountPath: "/tmp" },
          ],
        },
      ],
      volumes: [
        { name: "rclone", emptyDir: { sizeLimit: "256Mi" } },
        { name: "tmp", emptyDir: { sizeLimit: "16Mi" } },
        { name: "scripts", configMap: { name: "mysql-backup-scripts" } },
      ],
    },
  });
  const environment = (user: object, password: object, more: object[] = []) => [
    { name: "PATH", value: "/opt/rclone:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    { name: "MYSQL_HOST", value: "mysql" },
    { name: "MYSQL_PORT", value: "3306" },
    { name: "MYSQL_DATABASE", value: "shop" },
    { name: "MYSQL_USER", ...user },
    { name: "MYSQL_PWD", ...password },
    { name: "REMOTE", value: ":gcs:acme-backups" },
    { name: "RCLONE_CONFIG" },
    { name: "RCLONE_GCS_ENV_AUTH", value: "true" },
    { name: "RCLONE_GCS_BUCKET_POLICY_ONLY", value: "true" },
    { name: "RCLONE_GCS_NO_CHECK_BUCKET", value: "true" },
    ...more,
  ];
  const from = (name: string, key: string) => ({ valueFrom: { secretKeyRef: { name, key } } });
  const limits = {
    concurrencyPolicy: "Forbid",
    startingDeadlineSeconds: 3600,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 3,
  };

  it("makes one by the clock, as the user who can only read the database", async () => {
    const login = environment(from("mysql-backup-credentials", "user"), from("mysql-backup-credentials", "password"));
    assert.deepEqual((await of())["CronJob b-mysql-backup"], {
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata: metadata("mysql-backup"),
      spec: {
        ...limits,
        schedule: "0 3 * * *",
        timeZone: "America/Sao_Paulo",
        suspend: false,
        jobTemplate: {
          spec: {
            backoffLimit: 2,
            activeDeadlineSeconds: 21_600,
            template: pod("mysql-backup", "backup.sh", login),
          },
        },
      },
    });
  });

  it("restores one as root when somebody asks, once, and never by itself", async () => {
    const login = environment({ value: "root" }, from("db-credentials", "rootpassword"), [
      { name: "BACKUP" },
      { name: "CONFIRM" },
    ]);
    assert.deepEqual((await of())["CronJob b-mysql-restore"], {
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata: metadata("mysql-restore"),
      spec: {
        ...limits,
        schedule: "0 0 1 1 *",
        timeZone: "America/Sao_Paulo",
        suspend: true,
        jobTemplate: {
          spec: {
            backoffLimit: 0,
            activeDeadlineSeconds: 86_400,
            ttlSecondsAfterFinished: 604_800,
            template: pod("mysql-restore", "restore.sh", login),
          },
        },
      },
    });
  });

  it("runs once the account, its right, the way there and the scripts stand", async () => {
    const options = await optionsOf(() => new MySqlBackups("b", args));
    for (const name of ["b-mysql-backup", "b-mysql-restore"]) {
      const before = [`${name}-access`, `${name}-account`, "b-egress", "b-scripts"];
      assert.deepEqual(options[name]!.dependsOn, before.sort());
      assert.deepEqual(options[`${name}-access`]!.dependsOn, ["b-bucket"]);
    }
    const file = (name: string) =>
      readFileSync(new URL(`../../../../components/kubernetes/mysql/${name}`, import.meta.url), "utf8");
    assert.deepEqual((await of())["ConfigMap b-scripts"], {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: metadata("mysql-backup-scripts"),
      data: { "backup.sh": file("backup.sh"), "restore.sh": file("restore.sh") },
    });
  });

  it("are copied by the rclone with which their tests are run", () => {
    const tools = readFileSync(new URL("../../../mysql/tools/go.mod", import.meta.url), "utf8");
    assert.equal(rcloneImage, `rclone/rclone:${/rclone\/rclone v([0-9.]+)/.exec(tools)![1]}`);
  });
});
