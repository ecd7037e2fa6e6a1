import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { MySql, type MySqlArgs } from "../../../../components/kubernetes/mysql/mysql.ts";
import { type Declared, declared, optionsOf } from "../../../declared.ts";
import { restricted } from "../restricted.ts";

const args: MySqlArgs = {
  namespace: "shop-prod",
  partOf: "shop",
  image: "mysql:8.4.7",
  database: "shop",
  user: "app",
  size: { cpu: "500m", memory: "3Gi" },
  storage: { size: "10Gi", storageClass: "fast" },
  clients: ["shop", "shop-jobs"],
};

describe("MySql", () => {
  const labels = {
    "app.kubernetes.io/name": "mysql",
    "app.kubernetes.io/component": "database",
    "app.kubernetes.io/part-of": "shop",
    "app.kubernetes.io/managed-by": "pulumi",
  };
  const selector = { "app.kubernetes.io/name": "mysql" };
  const metadata = (name: string) => ({ name, namespace: "shop-prod", labels });
  const of = (changes: Partial<MySqlArgs> = {}) => declared(() => new MySql("db", { ...args, ...changes }));
  const configurationIn = (all: Declared) => (all["ConfigMap db-config"]!["data"] as Record<string, string>)["my.cnf"]!;

  it("makes the database, its passwords and its rules, and nothing else", async () => {
    assert.deepEqual(Object.keys(await of()).sort(), [
      "ConfigMap db-config",
      "MySql db",
      "NetworkPolicy db-clients-policy",
      "NetworkPolicy db-policy",
      "RandomPassword db-backup-password",
      "RandomPassword db-password",
      "RandomPassword db-rootpassword",
      "Secret db-backup-credentials",
      "Secret db-credentials",
      "Service db-service",
      "StatefulSet db-set",
    ]);
  });

  it("runs one server on one volume that outlives it", async () => {
    const all = await of();
    const { template, ...spec } = all["StatefulSet db-set"]!["spec"] as { template: Template };
    assert.deepEqual(all["StatefulSet db-set"]!["metadata"], {
      ...metadata("mysql"),
      annotations: {
        "esteira/made-with": JSON.stringify({
          namespace: "shop-prod",
          database: "shop",
          user: "app",
          "storage.size": "10Gi",
          "storage.storageClass": "fast",
          serviceName: "mysql",
          podManagementPolicy: "OrderedReady",
          selector: JSON.stringify(selector),
        }),
      },
    });
    assert.deepEqual(spec, {
      replicas: 1,
      serviceName: "mysql",
      podManagementPolicy: "OrderedReady",
      selector: { matchLabels: selector },
      updateStrategy: { type: "RollingUpdate" },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      volumeClaimTemplates: [
        {
          metadata: { name: "data" },
          spec: {
            accessModes: ["ReadWriteOnce"],
            storageClassName: "fast",
            resources: { requests: { storage: "10Gi" } },
          },
        },
      ],
    });
    // Another configuration starts it again.
    const digest = createHash("sha256").update(configurationIn(all)).digest("hex");
    assert.deepEqual(template.metadata, { labels, annotations: { "esteira/config": digest } });
    const { containers, ...pod } = template.spec;
    assert.deepEqual(pod, {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: restricted.pod,
      terminationGracePeriodSeconds: 300,
      volumes: [
        { name: "run", emptyDir: { sizeLimit: "16Mi" } },
        { name: "config", configMap: { name: "mysql-config", items: [{ key: "my.cnf", path: "esteira.cnf" }] } },
        {
          name: "init",
          configMap: { name: "mysql-config", items: [{ key: "users.sh", path: "users.sh", mode: 0o555 }] },
        },
      ],
    });
    const from = (name: string, key: string) => ({ valueFrom: { secretKeyRef: { name, key } } });
    const probe = (command: string) => ({
      exec: { command: ["sh", "-c", `MYSQL_PWD="$MYSQL_PASSWORD" exec ${command}`] },
    });
    const ping = probe('mysqladmin --host=127.0.0.1 --user="$MYSQL_USER" --silent ping');
    const query = probe('mysql --host=127.0.0.1 --user="$MYSQL_USER" --execute="SELECT 1" "$MYSQL_DATABASE"');
    assert.deepEqual(containers, [
      {
        name: "mysql",
        image: "mysql:8.4.7",
        imagePullPolicy: "Always",
        env: [
          { name: "MYSQL_DATABASE", value: "shop" },
          { name: "MYSQL_USER", value: "app" },
          { name: "MYSQL_PASSWORD", ...from("db-credentials", "password") },
          { name: "MYSQL_ROOT_PASSWORD", ...from("db-credentials", "rootpassword") },
          { name: "BACKUP_USER", ...from("mysql-backup-credentials", "user") },
          { name: "BACKUP_PASSWORD", ...from("mysql-backup-credentials", "password") },
        ],
        ports: [{ name: "mysql", containerPort: 3306 }],
        resources: {
          requests: { cpu: "500m", memory: "3Gi", "ephemeral-storage": "256Mi" },
          limits: { memory: "3Gi", "ephemeral-storage": "256Mi" },
        },
        securityContext: restricted.container,
        startupProbe: { ...ping, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 360 },
        readinessProbe: { ...query, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
        livenessProbe: { ...ping, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 6 },
        volumeMounts: [
          { name: "data", mountPath: "/var/lib/mysql" },
          { name: "run", mountPath: "/var/run/mysqld" },
          { name: "data", mountPath: "/tmp", subPath: "tmp" },
          { name: "config", mountPath: "/etc/mysql/conf.d", readOnly: true },
          { name: "init", mountPath: "/docker-entrypoint-initdb.d", readOnly: true },
        ],
      },
    ]);
  });

  it("leaves the class of the volume to the cluster where none is said", async () => {
    const { spec } = (await of({ storage: { size: "10Gi" } }))["StatefulSet db-set"] as {
      spec: { volumeClaimTemplates: { spec: object }[] };
    };
    assert.deepEqual(Object.keys(spec.volumeClaimTemplates[0]!.spec), ["accessModes", "resources"]);
  });

  it("is told to the engine as what is not made again, and asks before it is changed", async () => {
    const options = await optionsOf(() => new MySql("db", args));
    assert.deepEqual(options["db-set"], {
      dependsOn: [
        "db-backup-credentials",
        "db-clients-policy",
        "db-config",
        "db-credentials",
        "db-policy",
        "db-service",
      ],
      ignoreChanges: [
        "metadata.namespace",
        "spec.podManagementPolicy",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
      ],
      protect: true,
      beforeUpdate: ["db-made-with"],
    });
    const kept = Object.entries(options).filter(([, { protect }]) => protect);
    assert.deepEqual(kept.map(([name]) => name).sort(), [
      "db-backup-credentials",
      "db-backup-password",
      "db-credentials",
      "db-password",
      "db-rootpassword",
      "db-set",
    ]);
    const loose = await optionsOf(() => new MySql("db", { ...args, deletionPolicy: "DELETE" }));
    assert.ok(Object.values(loose).every(({ protect }) => !protect));
  });

  it("makes up its passwords, which stand in Secrets alone", async () => {
    const all = await of();
    for (const name of ["password", "rootpassword", "backup-password"]) {
      assert.deepEqual(all[`RandomPassword db-${name}`], { length: 40, special: false });
    }
    for (const [name, object] of [
      ["credentials", "db-credentials"],
      ["backup-credentials", "mysql-backup-credentials"],
    ] as const) {
      const secret = { apiVersion: "v1", kind: "Secret", metadata: metadata(object), type: "Opaque" };
      assert.deepEqual(all[`Secret db-${name}`], { ...secret, stringData: "[secret]" });
    }
  });

  it("is reached within the namespace alone, by its clients and its backups", async () => {
    const all = await of();
    assert.deepEqual(all["Service db-service"], {
      apiVersion: "v1",
      kind: "Service",
      metadata: metadata("mysql"),
      spec: {
        clusterIP: "None",
        publishNotReadyAddresses: true,
        selector,
        ports: [{ name: "mysql", port: 3306, targetPort: "mysql" }],
      },
    });
    const values = ["shop", "shop-jobs", "mysql-backup", "mysql-restore"];
    const clients = { matchExpressions: [{ key: "app.kubernetes.io/name", operator: "In", values }] };
    const ports = [{ protocol: "TCP", port: 3306 }];
    const policy = (name: string, spec: object) => ({
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: metadata(name),
      spec,
    });
    assert.deepEqual(
      all["NetworkPolicy db-policy"],
      policy("mysql", {
        podSelector: { matchLabels: selector },
        policyTypes: ["Ingress", "Egress"],
        ingress: [{ from: [{ podSelector: clients }], ports }],
      }),
    );
    assert.deepEqual(
      all["NetworkPolicy db-clients-policy"],
      policy("mysql-clients", {
        podSelector: clients,
        policyTypes: ["Egress"],
        egress: [{ to: [{ podSelector: { matchLabels: selector } }], ports }],
      }),
    );
  });

  it("is configured by its memory, and makes the user of its backups at the first start", async () => {
    const all = await of();
    assert.deepEqual(all["ConfigMap db-config"]!["metadata"], metadata("mysql-config"));
    const script = new URL("../../../../components/kubernetes/mysql/users.sh", import.meta.url);
    const data = all["ConfigMap db-config"]!["data"] as Record<string, string>;
    assert.deepEqual(Object.keys(data), ["my.cnf", "users.sh"]);
    assert.equal(data["users.sh"], readFileSync(script, "utf8"));
    const settings = data["my.cnf"]!.split("\n").filter((line) => line && !line.startsWith("#"));
    assert.deepEqual(settings, [
      "[mysqld]",
      "datadir = /var/lib/mysql/data",
      "socket = /var/run/mysqld/mysqld.sock",
      "pid-file = /var/run/mysqld/mysqld.pid",
      "tmpdir = /tmp",
      "secure-file-priv = NULL",
      "local-infile = OFF",
      "mysqlx = OFF",
      "skip-name-resolve",
      "character-set-server = utf8mb4",
      "collation-server = utf8mb4_0900_ai_ci",
      "innodb-buffer-pool-size = 1536M",
      "innodb-buffer-pool-instances = 1",
      "disable-log-bin",
      "max-allowed-packet = 1G",
    ]);
  });

  for (const [memory, pool] of [
    ["1Gi", "512M"],
    ["1500Mi", "640M"],
    ["16Gi", "8192M"],
  ]) {
    it(`keeps pages in ${pool} of ${memory}`, async () => {
      const text = configurationIn(await of({ size: { cpu: "1", memory: memory! } }));
      assert.match(text, new RegExp(`^innodb-buffer-pool-size = ${pool}$`, "m"));
    });
  }

  it("refuses a memory in which it would not start", async () => {
    await assert.rejects(
      of({ size: { cpu: "1", memory: "1023Mi" } }),
      new Error("MySQL starts with no less than 1Gi of memory: size.memory is 1023Mi; give it 1Gi or more"),
    );
  });

  it("tells where it is and what its backups need", async () => {
    let made: MySql | undefined;
    await declared(() => {
      made = new MySql("db", args);
    });
    const { host, port, database, image, secrets, ready } = made!;
    assert.deepEqual(
      { host, port, database, image, secrets, ready: ready.length },
      {
        host: "mysql",
        port: 3306,
        database: "shop",
        image: "mysql:8.4.7",
        secrets: { credentials: "db-credentials", backup: "mysql-backup-credentials" },
        ready: 1,
      },
    );
  });
});

interface Template {
  metadata: object;
  spec: { containers: object[] };
}
