/** A real Kubernetes API: the one that is named, or API server, controllers and scheduler on nodes that kwok plays. */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { commandPath, Daemon, freePort, Missing, until } from "../daemon.ts";
import type { Drift } from "../stand-in/api.ts";
import { Client, type KubernetesObject, Refused } from "./client.ts";

export interface Kubernetes {
  name: "Kubernetes";
  /** The path of a file. */
  kubeconfig: string;
  client: Client;
  /**
   * What it holds beyond what it started with, sorted: `Deployment shop/orders`, `Namespace shop`, and of what is installed each
   * key that is not as it was: `Secret argocd/argocd-secret: webhook.github.secret`. Not what comes and goes with other objects.
   */
  objects(): Promise<string[]>;
  /** What stands in the Secrets among these, in clear text: `Secret shop/credentials: PASSWORD` to the value. */
  secrets(): Promise<Record<string, string>>;
  /** Each of them could be deleted behind somebody's back, and a key that was added to what is installed taken away. */
  drifts(): Promise<Drift[]>;
  /** Deletes all of that, waits until it is gone, and makes what is installed as it was. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

const tools = join(import.meta.dirname, "../../.tools/kubernetes");
/** Of kinds: Argo CD's, its Image Updater's and the Prometheus operator's. */
const definitions = join(tools, "definitions");
/** What an installation of these has before any stack: a folder for each namespace. */
const installation = join(tools, "installed");
const commands = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"] as const;

/**
 * Starts a cluster below a folder, with the kinds, the namespace and the objects of an Argo CD, and no Argo CD; with the
 * kinds of a Prometheus operator, and none of these. It listens on
 * 127.0.0.1 only and ends with this process.
 *
 * `SANDBOX_KUBECONFIG` names another one instead, say of kind or k3d, which is then used as it is. It is for the sandbox alone:
 * stacks are destroyed there, and a reset deletes whatever was not there at the start. The ordinary KUBECONFIG is never used.
 *
 * @param apiServer more arguments of the API server, where it has to be another one than by itself
 * @throws Missing where there is neither
 */
export async function startKubernetes(folder: string, apiServer: readonly string[] = []): Promise<Kubernetes> {
  const named = process.env["SANDBOX_KUBECONFIG"];
  if (named && !existsSync(named)) throw new Missing(`SANDBOX_KUBECONFIG names ${named}, which is not there`);
  if (named && apiServer.length > 0) {
    throw new Missing(`SANDBOX_KUBECONFIG names a cluster, whose API server cannot be given ${apiServer.join(" ")}`);
  }
  const { kubeconfig, daemons } = named ? { kubeconfig: named, daemons: [] } : await startCluster(folder, apiServer);
  const close = async () => {
    for (const daemon of daemons.toReversed()) await daemon.stop();
  };
  try {
    const client = new Client(kubeconfig);
    // A cluster of its own has them already.
    if (named) await define(client);
    const installed = await install(client);
    const first = new Set((await allObjects(client)).map(nameOf));
    const added = async () => (await allObjects(client)).filter((object) => !first.has(nameOf(object)));
    const changed = () => changesOf(client, installed);
    return {
      name: "Kubernetes",
      kubeconfig,
      client,
      objects: async () => [...(await added()).map(nameOf), ...(await changed()).map(({ name }) => name)].sort(),
      secrets: async () => {
        const whole = (await added()).filter(isSecret).flatMap((object) => {
          const data = (object["data"] ?? {}) as Data;
          return Object.entries(data).map(([key, value]) => [`${nameOf(object)}: ${key}`, value] as const);
        });
        const keys = (await changed())
          .filter(({ object }) => isSecret(object))
          .map(({ name, now }) => [name, now] as const);
        const inClear = (value = "") => Buffer.from(value, "base64").toString();
        return Object.fromEntries([...whole, ...keys].map(([name, value]) => [name, inClear(value)]));
      },
      drifts: async () => [
        ...(await added()).map((object) => ({
          what: `${nameOf(object)}: deleted`,
          kind: `${object.kind}: deleted`,
          object: object.metadata.name,
          apply: async () => {
            const path = await client.pathOf(object);
            // With its namespace, perhaps.
            if (!(await client.get(path))) return;
            // Else a job's pods stay, and a namespace is still there when this returns.
            await client.request("DELETE", `${path}?propagationPolicy=Background`);
            await until(`${nameOf(object)} gone`, async () => !(await client.get(path)));
          },
        })),
        ...(await changed())
          .filter(({ isNew }) => isNew)
          .map(({ name, object, restore }) => ({
            what: `${name}: taken away`,
            kind: `${object.kind}: key taken away`,
            object: object.metadata.name,
            apply: restore,
          })),
      ],
      reset: async () => {
        for (const { restore } of await changed()) await restore();
        await deleteAll(client, added);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startCluster(
  folder: string,
  apiServer: readonly string[],
): Promise<{ kubeconfig: string; daemons: Daemon[] }> {
  const paths = Object.fromEntries(commands.map((name) => [name, commandPath(name)]));
  const stages = join(tools, "stages");
  const missing: string[] = commands.filter((name) => !paths[name]);
  missing.push(...[stages, definitions, installation].filter((path) => !existsSync(path)));
  if (missing.length > 0) {
    throw new Missing(
      `there is no ${missing.join(", ")}: \`make kubernetes\` builds it, or SANDBOX_KUBECONFIG names a cluster`,
    );
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = (name: string) => join(folder, name);
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const token = randomBytes(24).toString("hex");
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const write = (name: string, text: string | Buffer) => writeFileSync(path(name), text, { mode: 0o600 });
  write("service-accounts.key", privateKey.export({ type: "pkcs1", format: "pem" }));
  write("service-accounts.pub", publicKey.export({ type: "spki", format: "pem" }));
  write("tokens.csv", `${token},sandbox,sandbox,system:masters\n`);

  const daemons: Daemon[] = [];
  const start = (name: (typeof commands)[number], args: string[]) => {
    // What kwok would read from the home directory stays out of it.
    const daemon = new Daemon(name, paths[name]!, args, path(`${name}.log`), { KWOK_WORKDIR: path("kwok") });
    daemons.push(daemon);
    return daemon;
  };
  const ready = (daemon: Daemon, ask: () => Promise<boolean>) =>
    until(daemon.name, () => {
      daemon.check();
      return ask();
    });
  try {
    const etcdUrl = `http://127.0.0.1:${etcdPort}`;
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    const etcd = start("etcd", [
      `--data-dir=${path("etcd")}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      // Nothing here outlives the machine.
      "--unsafe-no-fsync",
    ]);
    await ready(etcd, async () => (await fetch(`${etcdUrl}/health`)).ok);
    const apiserver = start("kube-apiserver", [
      `--etcd-servers=${etcdUrl}`,
      "--bind-address=127.0.0.1",
      // Else it wants a default route, which a machine without a network has not.
      "--advertise-address=127.0.0.1",
      `--secure-port=${port}`,
      // It makes its own certificate.
      `--cert-dir=${path("certificates")}`,
      `--token-auth-file=${path("tokens.csv")}`,
      "--authorization-mode=RBAC",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${path("service-accounts.pub")}`,
      `--service-account-signing-key-file=${path("service-accounts.key")}`,
      "--service-cluster-ip-range=10.96.0.0/16",
      // A loopback address cannot be an endpoint of the service `kubernetes`.
      "--endpoint-reconciler-type=none",
      // Nobody watches over the node's health, else pods would be lost when the machine sleeps.
      "--disable-admission-plugins=TaintNodesByCondition",
      ...apiServer,
    ]);
    const certificate = path("certificates/apiserver.crt");
    await ready(apiserver, async () => existsSync(certificate));
    const kubeconfig = path("kubeconfig");
    write("kubeconfig", kubeconfigOf(`https://127.0.0.1:${port}`, readFileSync(certificate), token));
    const client = new Client(kubeconfig);
    await ready(apiserver, async () => (await client.request("GET", "/readyz")) === "ok");

    start("kube-controller-manager", [
      `--kubeconfig=${kubeconfig}`,
      "--bind-address=127.0.0.1",
      "--secure-port=0",
      "--leader-elect=false",
      "--controllers=*,-node-lifecycle-controller",
      `--service-account-private-key-file=${path("service-accounts.key")}`,
      `--root-ca-file=${certificate}`,
      "--use-service-account-credentials",
      // Nobody else is kept waiting.
      "--kube-api-qps=500",
      "--kube-api-burst=500",
    ]);
    start("kube-scheduler", [`--kubeconfig=${kubeconfig}`, "--secure-port=0", "--leader-elect=false"]);
    // It has stages for objects of these kinds, and ends where it finds none such.
    await define(client);
    start("kwok", [
      `--kubeconfig=${kubeconfig}`,
      "--manage-all-nodes",
      "--node-port=0",
      ...[...filesOf(stages), ...filesOf(join(import.meta.dirname, "stages"))].map((file) => `--config=${file}`),
    ]);
    // Beside the stages, kwok's folder has the class of the volumes that it provides.
    for (const file of filesOf(join(tools, "objects"))) await applyAll(client, file);
    await client.apply(node);
    await until("a ready node and a service account", async () => {
      for (const daemon of daemons) daemon.check();
      const { status } = await client.request<Node>("GET", "/api/v1/nodes/sandbox");
      const isReady = status.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
      return isReady && (await client.get("/api/v1/namespaces/default/serviceaccounts/default"));
    });
    return { kubeconfig, daemons };
  } catch (error) {
    for (const daemon of daemons.toReversed()) await daemon.stop();
    throw error;
  }
}

interface Node {
  status: { conditions?: { type: string; status: string }[] };
}

/** By itself kwok gives a node no disk, and no pod that asks for some would have a place. */
const room = { cpu: "1k", memory: "1Ti", pods: "1M", "ephemeral-storage": "1Ti" };

/** A node on which kwok plays the kubelet. */
const node: KubernetesObject = {
  apiVersion: "v1",
  kind: "Node",
  metadata: {
    name: "sandbox",
    labels: { "kubernetes.io/hostname": "sandbox", "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" },
  },
  status: { allocatable: room, capacity: room },
};

const kubeconfigOf = (server: string, certificate: Buffer, token: string) =>
  stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "sandbox", cluster: { server, "certificate-authority-data": certificate.toString("base64") } }],
    users: [{ name: "sandbox", user: { token } }],
    contexts: [{ name: "sandbox", context: { cluster: "sandbox", user: "sandbox" } }],
    "current-context": "sandbox",
  });

const foldersOf = (folder: string) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []);

/** The YAML files of a folder. */
const filesOf = (folder: string) =>
  foldersOf(folder).filter((name) => name.endsWith(".yaml") && !name.endsWith("/kustomization.yaml"));

const define = async (client: Client) => {
  for (const file of foldersOf(definitions).flatMap(filesOf)) await applyAll(client, file);
};

/** @returns what is there now before any stack */
async function install(client: Client): Promise<KubernetesObject[]> {
  const objects: KubernetesObject[] = [];
  for (const folder of foldersOf(installation)) {
    const namespace = basename(folder);
    await client.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    for (const file of filesOf(folder)) objects.push(...(await applyAll(client, file, namespace)));
  }
  return objects;
}

/** One key of an installed object's data that is not as it was. */
interface Change {
  name: string;
  /** The key was not there at all. */
  isNew: boolean;
  /** Its value; of a Secret in base64. */
  now: string | undefined;
  object: KubernetesObject;
  restore(): Promise<void>;
}

type Data = Record<string, string | undefined>;

async function changesOf(client: Client, installed: KubernetesObject[]): Promise<Change[]> {
  const changes = installed.map(async (object) => {
    const path = await client.pathOf(object);
    const before = (object["data"] ?? {}) as Data;
    const now = ((await client.get(path))?.["data"] ?? {}) as Data;
    const keys = Object.keys({ ...before, ...now }).filter((key) => before[key] !== now[key]);
    return keys.map((key) => ({
      name: `${nameOf(object)}: ${key}`,
      isNew: before[key] === undefined,
      now: now[key],
      object,
      restore: async () => {
        const data = { [key]: before[key] ?? null };
        await client.request("PATCH", path, { data }, "application/merge-patch+json");
      },
    }));
  });
  return (await Promise.all(changes)).flat();
}

/** Applies a file's objects, and waits until the kinds that they define are served. @param namespace of those that name none */
async function applyAll(client: Client, file: string, namespace?: string): Promise<KubernetesObject[]> {
  const applied: KubernetesObject[] = [];
  for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
    const object = document.toJS() as KubernetesObject | null;
    if (!object) continue;
    if (namespace) object.metadata.namespace ??= namespace;
    applied.push(await client.apply(object));
    if (object.kind !== "CustomResourceDefinition") continue;
    const { group, names, versions } = object["spec"] as Definition;
    const { name: version } = versions.find(({ served }) => served)!;
    await until(`${object.metadata.name} served`, async () => {
      const list = await client.get<{ resources: { kind: string }[] }>(`/apis/${group}/${version}`);
      return list?.resources.some(({ kind }) => kind === names.kind);
    });
  }
  return applied;
}

interface Definition {
  group: string;
  names: { kind: string };
  versions: { name: string; served: boolean }[];
}

// What controllers keep for others: it appears by itself, and goes with them or with their namespace.
const kept = new Set([
  "Event",
  "Lease",
  "Endpoints",
  "EndpointSlice",
  "ControllerRevision",
  "IPAddress",
  "PersistentVolume",
  "PersistentVolumeClaim",
]);

/** All objects that somebody declared: not those that belong to another one or to the namespace. */
async function allObjects(client: Client): Promise<KubernetesObject[]> {
  const resources = (await client.resources()).filter(({ kind }) => !kept.has(kind));
  const objects = (await Promise.all(resources.map((resource) => client.list(resource)))).flat();
  return objects.filter(
    ({ kind, metadata: { name, ownerReferences } }) =>
      !ownerReferences &&
      !(kind === "ConfigMap" && name === "kube-root-ca.crt") &&
      !(kind === "ServiceAccount" && name === "default"),
  );
}

const isSecret = ({ kind }: KubernetesObject) => kind === "Secret";

const nameOf = ({ kind, metadata: { name, namespace } }: KubernetesObject) =>
  `${kind} ${namespace ? `${namespace}/` : ""}${name}`;

async function deleteAll(client: Client, added: () => Promise<KubernetesObject[]>): Promise<void> {
  await until("an empty cluster", async () => {
    const objects = await added();
    for (const object of objects.filter(({ metadata }) => !metadata["deletionTimestamp"])) {
      try {
        await client.request("DELETE", `${await client.pathOf(object)}?propagationPolicy=Background`);
      } catch (error) {
        // Others go with their namespace.
        if (!(error instanceof Refused && error.status === 404)) throw error;
      }
    }
    return objects.length === 0;
  });
}
