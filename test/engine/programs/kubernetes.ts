/** A shop in a cluster, and how Argo CD would look after it. */
import * as kubernetes from "@pulumi/kubernetes";
import { Config } from "@pulumi/pulumi";

const password = new Config().requireSecret("password");

const namespace = new kubernetes.core.v1.Namespace("shop", { metadata: { name: "shop" } }).metadata.name;
/** Where an object stands; no two objects share a name, so that what is said of one is not taken for another. */
const named = (name: string) => ({ metadata: { name, namespace } });
const pods = (app: string, container: object = {}, spec: object = {}) => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: app, image: "registry.invalid/shop:1", ...container }], ...spec },
});

const settings = new kubernetes.core.v1.ConfigMap("settings", { ...named("settings"), data: { CURRENCY: "BRL" } });
const credentials = new kubernetes.core.v1.Secret("credentials", {
  ...named("credentials"),
  stringData: { PASSWORD: password },
});

const envFrom = [
  { configMapRef: { name: settings.metadata.name } },
  { secretRef: { name: credentials.metadata.name } },
];
new kubernetes.apps.v1.Deployment("orders", {
  ...named("orders"),
  spec: { replicas: 2, selector: { matchLabels: { app: "orders" } }, template: pods("orders", { envFrom }) },
});
const service = new kubernetes.core.v1.Service("front", {
  ...named("front"),
  spec: { selector: { app: "orders" }, ports: [{ port: 80, targetPort: 8080 }] },
});
new kubernetes.networking.v1.Ingress("door", {
  ...named("door"),
  spec: {
    rules: [
      {
        host: "shop.example.com",
        http: {
          paths: [
            {
              path: "/",
              pathType: "Prefix",
              backend: { service: { name: service.metadata.name, port: { number: 80 } } },
            },
          ],
        },
      },
    ],
  },
});
new kubernetes.networking.v1.NetworkPolicy("fence", {
  ...named("fence"),
  spec: {
    podSelector: { matchLabels: { app: "orders" } },
    policyTypes: ["Ingress"],
    ingress: [{ ports: [{ port: 8080 }] }],
  },
});

const peers = new kubernetes.core.v1.Service("peers", {
  ...named("peers"),
  spec: { clusterIP: "None", selector: { app: "ledger" }, ports: [{ port: 5432 }] },
});
new kubernetes.apps.v1.StatefulSet("ledger", {
  ...named("ledger"),
  spec: {
    replicas: 1,
    serviceName: peers.metadata.name,
    selector: { matchLabels: { app: "ledger" } },
    template: pods("ledger"),
  },
});
new kubernetes.batch.v1.Job("migrate", {
  ...named("migrate"),
  spec: { template: pods("migrate", {}, { restartPolicy: "Never" }) },
});

const argo = { apiVersion: "argoproj.io/v1alpha1" };
const repoURL = "https://example.com/shop.git";
const destination = { server: "https://kubernetes.default.svc", namespace };
const project = new kubernetes.apiextensions.CustomResource("tenant", {
  ...argo,
  kind: "AppProject",
  ...named("tenant"),
  spec: { sourceRepos: [repoURL], destinations: [destination] },
});
const delivery = named("delivery").metadata;
const application = new kubernetes.apiextensions.CustomResource("delivery", {
  ...argo,
  kind: "Application",
  // With it Argo CD deletes what it has deployed, before the application goes.
  metadata: { ...delivery, finalizers: ["resources-finalizer.argocd.argoproj.io"] },
  spec: {
    project: project.metadata.name,
    source: { repoURL, path: "deploy", targetRevision: "main" },
    destination,
    syncPolicy: { automated: { prune: true } },
  },
});
new kubernetes.apiextensions.CustomResource("images", {
  apiVersion: "argocd-image-updater.argoproj.io/v1alpha1",
  kind: "ImageUpdater",
  ...named("images"),
  spec: {
    applicationRefs: [
      { namePattern: application.metadata.name, images: [{ alias: "shop", imageName: "registry.invalid/shop:1.x" }] },
    ],
  },
});

// One key of a Secret that is Argo CD's own.
new kubernetes.core.v1.SecretPatch("argocd-secret", {
  metadata: {
    namespace: "argocd",
    name: "argocd-secret",
    // By another name after each create the key of one whose answer was lost would be somebody else's.
    annotations: { "pulumi.com/patchFieldManager": "shop" },
  },
  data: { "webhook.github.secret": password.apply((text) => Buffer.from(text).toString("base64")) },
});
