import { createHash } from "node:crypto";
import { apps, core, networking } from "@pulumi/kubernetes";
import { ComponentResource, type ComponentResourceOptions, type Resource } from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";
import { textBeside } from "../../beside.ts";
import { type DeletionPolicy, keeps } from "../../protection.ts";
import { mebibytes } from "../../quantities.ts";
import { envOf, labelsOf, resources, restrictedContainer, restrictedPod, type Size } from "../pods.ts";
import { fixedKey, fixedOptions, fixedText } from "./fixed.ts";
import {
  backupCredentialsName,
  backupName,
  credentialsName,
  leastMemory,
  mysqlName,
  mysqlPort,
  restoreName,
} from "./names.ts";

/** Arguments of {@link MySql}. */
export interface MySqlArgs {
  namespace: string;
  /** What it is a part of: the label app.kubernetes.io/part-of. */
  partOf: string;
  /** The official image with its digest, such as mysql:8.4.7@sha256:... */
  image: string;
  /** The database that is made at the first start. */
  database: string;
  /** The user who may do everything in it, and nothing else. */
  user: string;
  /** Half of the memory keeps pages of the database. At least 1Gi. */
  size: Size;
  /** The volume, which is made once: see {@link MySql} for a bigger one. */
  storage: {
    /** Such as 10Gi. */
    size: string;
    /** @default the cluster's own */
    storageClass?: string;
  };
  /** Whose pods may connect: values of the label app.kubernetes.io/name in the namespace. */
  clients: readonly string[];
  /** Whether the database and its passwords may be deleted. @default "PREVENT" */
  deletionPolicy?: DeletionPolicy;
}

/** Where the image's configuration, and this one, has what it writes. */
const paths = { data: "/var/lib/mysql", run: "/var/run/mysqld", tmp: "/tmp" };

/**
 * One MySQL with its volume, users and rules of who may connect; nobody outside the namespace can.
 *
 * **A bigger volume.** Kubernetes never gives a StatefulSet another volume, and the engine would delete it to make it again. That is
 * refused, at the preview already. Instead, with the database running on:
 * 1. `kubectl patch pvc data-mysql-0 --patch '{"spec":{"resources":{"requests":{"storage":"20Gi"}}}}'`, for which the storage class
 *    needs `allowVolumeExpansion`;
 * 2. `kubectl delete statefulset mysql --cascade=orphan`, which leaves the pod alone;
 * 3. `storage.size: 20Gi`, and `pulumi up --refresh`: it makes the StatefulSet again, which takes over pod and volume.
 *
 * **Another database or user** is refused likewise: they are made at the first start. Make them in MySQL in the place of step 1.
 *
 * **A volume outlives** its StatefulSet, and the passwords stand in it: the users are made at the first start. Where it is kept
 * and the stack's own passwords are not, nobody can log in; so the namespace goes with the database, or neither.
 * @throws Error when the memory is too little
 * @example
 * new MySql("db", { namespace: "shop", partOf: "shop", image: "mysql:8.4.7", database: "shop", user: "shop", size: { cpu: "500m", memory: "2Gi" }, storage: { size: "10Gi" }, clients: ["shop"] })
 * @see https://hub.docker.com/_/mysql
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
 */
export class MySql extends ComponentResource {
  /** Its name in the namespace's DNS. */
  readonly host = mysqlName;
  readonly port = mysqlPort;
  readonly database: string;
  readonly image: string;
  /** Names of Secrets: of the application and root (`user`, `password`, `rootpassword`), of who makes backups (`user`, `password`). */
  readonly secrets = { credentials: credentialsName, backup: backupCredentialsName };
  /** What must stand before somebody connects. */
  readonly ready: readonly Resource[];

  constructor(name: string, args: MySqlArgs, opts?: ComponentResourceOptions) {
    super("esteira:kubernetes:MySql", name, {}, opts);
    const { namespace, image, database, user, deletionPolicy } = args;
    this.database = database;
    this.image = image;
    const { labels, selector } = labelsOf(mysqlName, "database", args.partOf);
    const named = (object: string) => ({ name: object, namespace, labels });
    const kept = { parent: this, protect: keeps(deletionPolicy) };

    const password = (of: string) => new RandomPassword(`${name}-${of}`, { length: 40, special: false }, kept).result;
    const secret = (what: string, object: string, stringData: core.v1.SecretArgs["stringData"]) =>
      new core.v1.Secret(`${name}-${what}`, { metadata: named(object), type: "Opaque", stringData }, kept);
    const secrets = [
      secret("credentials", credentialsName, {
        user,
        password: password("password"),
        rootpassword: password("rootpassword"),
      }),
      secret("backup-credentials", backupCredentialsName, { user: "backup", password: password("backup-password") }),
    ];

    const configuration = myCnf(args.size);
    const config = new core.v1.ConfigMap(
      `${name}-config`,
      {
        metadata: named(`${mysqlName}-config`),
        data: { "my.cnf": configuration, "users.sh": textBeside(import.meta.url, "./users.sh") },
      },
      { parent: this },
    );
    const service = new core.v1.Service(
      `${name}-service`,
      {
        metadata: named(mysqlName),
        spec: {
          clusterIP: "None",
          // A pod has its own name before it is ready.
          publishNotReadyAddresses: true,
          selector,
          ports: [{ name: "mysql", port: mysqlPort, targetPort: "mysql" }],
        },
      },
      { parent: this },
    );
    const policies = this.policies(name, args);

    const { size, storageClass } = args.storage;
    const podManagementPolicy = "OrderedReady";
    const madeWith = {
      namespace,
      // Made at the first start, and looked at by none after it.
      database,
      user,
      "storage.size": size,
      "storage.storageClass": storageClass ?? "the cluster's own",
      serviceName: mysqlName,
      podManagementPolicy,
      selector: JSON.stringify(selector),
    };
    const set = new apps.v1.StatefulSet(
      `${name}-set`,
      {
        metadata: { ...named(mysqlName), annotations: { [fixedKey]: fixedText(madeWith) } },
        spec: {
          replicas: 1,
          serviceName: mysqlName,
          podManagementPolicy,
          selector: { matchLabels: selector },
          updateStrategy: { type: "RollingUpdate" },
          persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
          volumeClaimTemplates: [
            {
              metadata: { name: "data" },
              spec: {
                accessModes: ["ReadWriteOnce"],
                ...(storageClass && { storageClassName: storageClass }),
                resources: { requests: { storage: size } },
              },
            },
          ],
          template: {
            // Another configuration is read by a start only.
            metadata: { labels, annotations: { "esteira/config": digest(configuration) } },
            spec: podSpec(args),
          },
        },
      },
      {
        ...kept,
        ...fixedOptions(name, mendOf(args)),
        // Names and no outputs of these go into the spec: one that is made again would have the engine make this again too.
        dependsOn: [...secrets, config, service, ...policies],
      },
    );
    this.ready = [set];
    this.registerOutputs({ host: this.host });
  }

  private policies(name: string, { namespace, partOf, clients }: MySqlArgs): Resource[] {
    const { labels, selector } = labelsOf(mysqlName, "database", partOf);
    const database = { matchLabels: selector };
    const values = [...clients, backupName, restoreName];
    const those = { matchExpressions: [{ key: "app.kubernetes.io/name", operator: "In", values }] };
    const ports = [{ protocol: "TCP", port: mysqlPort }];
    const policy = (what: string, object: string, spec: networking.v1.NetworkPolicyArgs["spec"]) =>
      new networking.v1.NetworkPolicy(
        `${name}-${what}`,
        { metadata: { name: object, namespace, labels }, spec },
        { parent: this },
      );
    return [
      // Nothing that it begins itself.
      policy("policy", mysqlName, {
        podSelector: database,
        policyTypes: ["Ingress", "Egress"],
        ingress: [{ from: [{ podSelector: those }], ports }],
      }),
      policy("clients-policy", `${mysqlName}-clients`, {
        podSelector: those,
        policyTypes: ["Egress"],
        egress: [{ to: [{ podSelector: database }], ports }],
      }),
    ];
  }
}

type PodSpec = core.v1.PodArgs["spec"];

function podSpec({ image, database, size, user }: MySqlArgs): PodSpec {
  const probe = (
    command: string,
    seconds: { periodSeconds: number; timeoutSeconds: number; failureThreshold: number },
  ) => ({
    // By the network: during the first start there is a server by the socket that goes again. No password is an argument.
    exec: { command: ["sh", "-c", `MYSQL_PWD="$MYSQL_PASSWORD" exec ${command}`] },
    ...seconds,
  });
  const login = '--host=127.0.0.1 --user="$MYSQL_USER"';
  // It succeeds for a server that answers, also "access denied": a password that somebody has changed must not end it.
  const answers = `mysqladmin ${login} --silent ping`;
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: restrictedPod,
    // What a clean shutdown has to write; one that is cut short is recovered at the next start.
    terminationGracePeriodSeconds: 300,
    containers: [
      {
        name: mysqlName,
        image,
        imagePullPolicy: "Always",
        // At the first start these make the users; afterwards they only tell the probes who to be.
        env: envOf({
          env: { MYSQL_DATABASE: database, MYSQL_USER: user },
          secretEnv: {
            MYSQL_PASSWORD: { secret: credentialsName, key: "password" },
            MYSQL_ROOT_PASSWORD: { secret: credentialsName, key: "rootpassword" },
            BACKUP_USER: { secret: backupCredentialsName, key: "user" },
            BACKUP_PASSWORD: { secret: backupCredentialsName, key: "password" },
          },
        }),
        ports: [{ name: "mysql", containerPort: mysqlPort }],
        resources: resources(size),
        securityContext: restrictedContainer,
        // Half an hour for the first start or for the recovery after a crash, during which nothing else asks.
        startupProbe: probe(answers, { periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 360 }),
        readinessProbe: probe(`mysql ${login} --execute="SELECT 1" "$MYSQL_DATABASE"`, {
          periodSeconds: 10,
          timeoutSeconds: 5,
          failureThreshold: 3,
        }),
        // Two minutes without an answer: a server that is merely busy is not ended.
        livenessProbe: probe(answers, { periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 6 }),
        volumeMounts: [
          { name: "data", mountPath: paths.data },
          { name: "run", mountPath: paths.run },
          // Beside the data: what a large sort writes must not get the pod evicted.
          { name: "data", mountPath: paths.tmp, subPath: "tmp" },
          { name: "config", mountPath: "/etc/mysql/conf.d", readOnly: true },
          { name: "init", mountPath: "/docker-entrypoint-initdb.d", readOnly: true },
        ],
      },
    ],
    volumes: [
      { name: "run", emptyDir: { sizeLimit: "16Mi" } },
      { name: "config", configMap: { name: `${mysqlName}-config`, items: [{ key: "my.cnf", path: "esteira.cnf" }] } },
      {
        name: "init",
        configMap: {
          name: `${mysqlName}-config`,
          // Run by the image rather than read into its own shell.
          items: [{ key: "users.sh", path: "users.sh", mode: 0o555 }],
        },
      },
    ],
  };
}

/** What differs from the image's own configuration. @see https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html */
function myCnf({ memory }: Size): string {
  const mebi = mebibytes(memory);
  if (mebi < leastMemory) {
    throw new Error(`MySQL starts with no less than 1Gi of memory: size.memory is ${memory}; give it 1Gi or more`);
  }
  return `[mysqld]
# Below the volume, whose own folder may hold lost+found.
datadir = ${paths.data}/data
socket = ${paths.run}/mysqld.sock
pid-file = ${paths.run}/mysqld.pid
tmpdir = ${paths.tmp}
# Server and files share no folder: no SELECT INTO OUTFILE, no LOAD DATA INFILE.
secure-file-priv = NULL
local-infile = OFF
mysqlx = OFF
# Hosts are addresses: nobody is asked for their names.
skip-name-resolve
character-set-server = utf8mb4
collation-server = utf8mb4_0900_ai_ci
# In whole chunks of 128 MiB, to which the server would round up.
innodb-buffer-pool-size = ${Math.floor(mebi / 2 / 128) * 128}M
innodb-buffer-pool-instances = 1
# No replica reads it.
disable-log-bin
# As much as a row of a dump takes, in which bytes are two letters each.
max-allowed-packet = 1G
`;
}

const digest = (text: string) => createHash("sha256").update(text).digest("hex");

/** What to do about another volume, database or user. */
const mendOf = ({ namespace, storage: { size } }: MySqlArgs): string => {
  const patch = JSON.stringify({ spec: { resources: { requests: { storage: size } } } });
  const kubectl = `kubectl --namespace ${namespace}`;
  return [
    "Take the change back, or while the database runs on:",
    `1. for a bigger volume: ${kubectl} patch pvc data-${mysqlName}-0 --patch '${patch}'; for another database or user: make it in MySQL`,
    `2. ${kubectl} delete statefulset ${mysqlName} --cascade=orphan`,
    "3. pulumi up --refresh",
  ].join("\n");
};
