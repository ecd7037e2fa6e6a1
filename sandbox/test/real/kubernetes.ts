/** The Kubernetes of the sandbox: 30 s, of which its start takes half. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startedOrSkipped } from "../../../test/support/skip.ts";
import { until } from "../../daemon.ts";
import { type KubernetesObject, Refused } from "../../kubernetes/client.ts";
import { type Kubernetes, startKubernetes } from "../../kubernetes/index.ts";

describe("the sandbox's Kubernetes", function () {
  this.timeout(180_000);
  let folder: string;
  let kubernetes: Kubernetes;

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "kubernetes-"));
    kubernetes = await startedOrSkipped(this, () => startKubernetes(folder));
  });
  after(async () => {
    await kubernetes?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const labels = { app: "orders" };
  const template = {
    metadata: { labels },
    spec: { containers: [{ name: "orders", image: "registry.invalid/orders:1" }] },
  };
  const create = (object: Omit<KubernetesObject, "metadata">, name: string, namespace: string | undefined = "shop") =>
    kubernetes.client.apply({ ...object, metadata: { name, namespace } } as KubernetesObject);
  /** Waits until an object's status says what is expected. */
  const status = <T>(path: string, expected: (status: T) => unknown) =>
    until(
      path,
      async () => expected((await kubernetes.client.request<{ status: T }>("GET", path)).status) || undefined,
    );

  it("begins empty", async () => {
    assert.deepEqual(await kubernetes.objects(), []);
  });

  it("runs what is declared: pods become ready, jobs complete, claims get volumes, services endpoints", async () => {
    await create({ apiVersion: "v1", kind: "Namespace" }, "shop", undefined);
    const spec = { replicas: 2, selector: { matchLabels: labels }, template };
    await create({ apiVersion: "apps/v1", kind: "Deployment", spec }, "orders");
    const ports = [{ port: 80, targetPort: 8080 }];
    await create(
      { apiVersion: "v1", kind: "Service", spec: { type: "LoadBalancer", selector: labels, ports } },
      "orders",
    );
    const claim = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
    const volumeClaimTemplates = [{ metadata: { name: "data" }, spec: claim }];
    await create(
      { apiVersion: "apps/v1", kind: "StatefulSet", spec: { ...spec, serviceName: "orders", volumeClaimTemplates } },
      "db",
    );
    const job = { template: { spec: { ...template.spec, restartPolicy: "Never" } } };
    await create({ apiVersion: "batch/v1", kind: "Job", spec: job }, "migrate");
    const backend = { service: { name: "orders", port: { number: 80 } } };
    const rules = [{ host: "orders.example.com", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }];
    await create({ apiVersion: "networking.k8s.io/v1", kind: "Ingress", spec: { rules } }, "orders");

    const shop = "namespaces/shop";
    const ready = ({ readyReplicas }: { readyReplicas?: number }) => readyReplicas === 2;
    await status(`/apis/apps/v1/${shop}/deployments/orders`, ready);
    await status(`/apis/apps/v1/${shop}/statefulsets/db`, ready);
    await status(`/apis/batch/v1/${shop}/jobs/migrate`, ({ succeeded }: { succeeded?: number }) => succeeded === 1);
    await status(
      `/api/v1/${shop}/persistentvolumeclaims/data-db-0`,
      ({ phase }: { phase: string }) => phase === "Bound",
    );
    const address = ({ loadBalancer }: { loadBalancer: { ingress?: { hostname: string }[] } }) =>
      loadBalancer.ingress?.[0]?.hostname === "orders.shop.sandbox.invalid";
    await status(`/api/v1/${shop}/services/orders`, address);
    await status(`/apis/networking.k8s.io/v1/${shop}/ingresses/orders`, address);
    const slices = `/apis/discovery.k8s.io/v1/${shop}/endpointslices?labelSelector=kubernetes.io/service-name%3Dorders`;
    await until("endpoints", async () => {
      const { items } = await kubernetes.client.request<{ items: { endpoints: object[] | null }[] }>("GET", slices);
      return items[0]?.endpoints?.length === 4;
    });
    assert.deepEqual(await kubernetes.objects(), [
      "Deployment shop/orders",
      "Ingress shop/orders",
      "Job shop/migrate",
      "Namespace shop",
      ...volumes(await kubernetes.objects()),
      "PersistentVolumeClaim shop/data-db-0",
      "PersistentVolumeClaim shop/data-db-1",
      "Service shop/orders",
      "StatefulSet shop/db",
    ]);
  });

  it("has what an Argo CD and its Image Updater have before any stack", async () => {
    const names = async (kind: string) => {
      const path = `/api/v1/namespaces/argocd/${kind}`;
      const { items } = await kubernetes.client.request<{ items: KubernetesObject[] }>("GET", path);
      return items.map(({ metadata }) => metadata.name).filter((name) => name !== "kube-root-ca.crt");
    };
    assert.deepEqual(await names("secrets"), [
      "argocd-image-updater-secret",
      "argocd-notifications-secret",
      "argocd-secret",
    ]);
    assert.deepEqual(await names("configmaps"), [
      "argocd-cm",
      "argocd-cmd-params-cm",
      "argocd-gpg-keys-cm",
      "argocd-image-updater-config",
      "argocd-image-updater-ssh-config",
      "argocd-notifications-cm",
      "argocd-rbac-cm",
      "argocd-ssh-known-hosts-cm",
      "argocd-tls-certs-cm",
    ]);
  });

  it("lets go what Argo CD's controller would let go, and keeps what somebody else's finalizer holds", async () => {
    const finalizers = ["resources-finalizer.argocd.argoproj.io", "example.com/other"];
    const path = "/apis/argoproj.io/v1alpha1/namespaces/argocd";
    const make = (kind: string, name: string, finalizers: string[], spec: object) =>
      kubernetes.client.apply({
        apiVersion: "argoproj.io/v1alpha1",
        kind,
        metadata: { name, namespace: "argocd", finalizers },
        spec,
      });
    const source = { repoURL: "https://example.com/orders.git", path: "." };
    const destination = { server: "https://kubernetes.default.svc", namespace: "shop" };
    await make("AppProject", "tenant", finalizers.slice(0, 1), {});
    await make("Application", "orders", [`${finalizers[0]}/background`], { project: "tenant", source, destination });
    await make("Application", "held", finalizers, { project: "tenant", source, destination });
    const all = ["appprojects/tenant", "applications/orders", "applications/held"];
    for (const name of all) await kubernetes.client.request("DELETE", `${path}/${name}`);
    for (const name of all.slice(0, 2)) {
      await until(`${name} gone`, async () => !(await kubernetes.client.get(`${path}/${name}`)));
    }
    const held = await until("the other finalizer alone", async () => {
      const { metadata } = (await kubernetes.client.get(`${path}/applications/held`))!;
      const left = metadata["finalizers"] as string[];
      return left.length === 1 && left;
    });
    assert.deepEqual(held, ["example.com/other"]);
    const freed = { metadata: { finalizers: null } };
    await kubernetes.client.request("PATCH", `${path}/applications/held`, freed, "application/merge-patch+json");
    await until("it gone too", async () => !(await kubernetes.client.get(`${path}/applications/held`)));
  });

  it("knows Argo CD's kinds and refuses what breaks their schema, in the API's words", async () => {
    const destination = { server: "https://kubernetes.default.svc", namespace: "shop" };
    const source = { repoURL: "https://example.com/orders.git", path: "." };
    const application = { apiVersion: "argoproj.io/v1alpha1", kind: "Application" };
    const { metadata } = await create({ ...application, spec: { project: "shop", source, destination } }, "orders");
    assert.equal(metadata["generation"], 1);
    await assert.rejects(
      create({ ...application, spec: { source, destination } }, "payments"),
      (error) =>
        error instanceof Refused &&
        error.status === 422 &&
        error.message === 'Application.argoproj.io "payments" is invalid: spec.project: Required value',
    );
  });

  it("lets a rollout fail whose image is below missing.invalid", async () => {
    const spec = { selector: { matchLabels: { app: "late" } }, template: failing };
    await create({ apiVersion: "apps/v1", kind: "Deployment", spec }, "late");
    const pods = "/api/v1/namespaces/shop/pods?labelSelector=app%3Dlate";
    const waiting = await until("a pod's reason", async () => {
      const { items } = await kubernetes.client.request<{ items: Pod[] }>("GET", pods);
      return items[0]?.status.containerStatuses?.[0]?.state.waiting;
    });
    assert.deepEqual(waiting, {
      reason: "ImagePullBackOff",
      message: 'Back-off pulling image "missing.invalid/late:1"',
    });
  });

  it("is empty again after a reset", async () => {
    await kubernetes.reset();
    assert.deepEqual(await kubernetes.objects(), []);
  });

  it("tells each key that is not as it was in these, takes away an added one, and makes all as it was by a reset", async () => {
    const path = "/api/v1/namespaces/argocd";
    const merge = (name: string, data: object) =>
      kubernetes.client.request("PATCH", `${path}/${name}`, { data }, "application/merge-patch+json");
    const dataOf = async (name: string) => (await kubernetes.client.get(`${path}/${name}`))!["data"];
    const [cm, hosts] = ["configmaps/argocd-cm", "configmaps/argocd-ssh-known-hosts-cm"];
    const before = [await dataOf(cm), await dataOf(hosts)];
    await merge("secrets/argocd-secret", { "webhook.github.secret": "eA==" });
    await merge(cm, { url: "https://argocd.example.com", "resource.exclusions": "[]" });
    await merge(hosts, { ssh_known_hosts: null });
    const changed = [
      "ConfigMap argocd/argocd-cm: resource.exclusions",
      "ConfigMap argocd/argocd-cm: url",
      "ConfigMap argocd/argocd-ssh-known-hosts-cm: ssh_known_hosts",
      "Secret argocd/argocd-secret: webhook.github.secret",
    ];
    assert.deepEqual(await kubernetes.objects(), changed);
    assert.deepEqual(await kubernetes.secrets(), { [changed[3]!]: "x" });
    const drifts = (await kubernetes.drifts()).filter(({ kind }) => kind.endsWith("taken away"));
    assert.deepEqual(drifts.map(({ what }) => what).sort(), [`${changed[1]}: taken away`, `${changed[3]}: taken away`]);
    for (const drift of drifts) await drift.apply();
    assert.equal(await dataOf("secrets/argocd-secret"), undefined);
    assert.deepEqual(await kubernetes.objects(), [changed[0], changed[2]]);
    await kubernetes.reset();
    assert.deepEqual([await dataOf(cm), await dataOf(hosts)], before);
    assert.deepEqual(await kubernetes.objects(), []);
  });
});

interface Pod {
  status: { containerStatuses?: { state: { waiting?: object } }[] };
}

const failing = {
  metadata: { labels: { app: "late" } },
  spec: { containers: [{ name: "late", image: "missing.invalid/late:1" }] },
};

const volumes = (names: string[]) => names.filter((name) => name.startsWith("PersistentVolume "));
