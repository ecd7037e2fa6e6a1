import assert from "node:assert/strict";
import { WebApplication, type WebApplicationArgs } from "../../../components/kubernetes/web-application.ts";
import { type Declared, declared, optionsOf } from "../../declared.ts";
import { restricted } from "./restricted.ts";

describe("WebApplication", () => {
  const args: WebApplicationArgs = {
    namespace: "shop-dev",
    partOf: "shop",
    application: "shop",
    image: "ghcr.io/acme/shop:v1",
    port: 8000,
    size: { cpu: "100m", memory: "256Mi" },
    replicas: 2,
    healthPath: "/health",
    env: { MODE: "full" },
    secretEnv: { PASSWORD: { secret: "credentials", key: "password" } },
  };
  const ingress = {
    host: "shop.example.org",
    className: "nginx",
    controllerNamespace: "ingress-nginx",
    clusterIssuer: "letsencrypt",
  };
  const labels = {
    "app.kubernetes.io/name": "shop",
    "app.kubernetes.io/component": "application",
    "app.kubernetes.io/part-of": "shop",
    "app.kubernetes.io/managed-by": "pulumi",
  };
  const selector = { "app.kubernetes.io/name": "shop" };
  const metadata = { name: "shop", namespace: "shop-dev", labels };
  const skipAwait = { "pulumi.com/skipAwait": "true" };
  const make = (changes: Partial<WebApplicationArgs> = {}) => new WebApplication("a", { ...args, ...changes });
  const declare = (changes: Partial<WebApplicationArgs> = {}) => declared(() => make(changes));

  const pod = (track: string) => ({
    metadata: { labels: { ...labels, track } },
    spec: {
      serviceAccountName: "shop",
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: restricted.pod,
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "topology.kubernetes.io/zone",
          whenUnsatisfiable: "ScheduleAnyway",
          labelSelector: { matchLabels: { ...selector, track } },
          matchLabelKeys: ["pod-template-hash"],
        },
      ],
      affinity: {
        podAntiAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            {
              weight: 100,
              podAffinityTerm: {
                topologyKey: "kubernetes.io/hostname",
                labelSelector: { matchLabels: { ...selector, track } },
              },
            },
          ],
        },
      },
      terminationGracePeriodSeconds: 45,
      containers: [
        {
          name: "shop",
          image: "ghcr.io/acme/shop:v1",
          imagePullPolicy: "Always",
          ports: [{ name: "http", containerPort: 8000, protocol: "TCP" }],
          env: [
            { name: "MODE", value: "full" },
            { name: "PASSWORD", valueFrom: { secretKeyRef: { name: "credentials", key: "password" } } },
          ],
          resources: {
            requests: { cpu: "100m", memory: "256Mi", "ephemeral-storage": "256Mi" },
            limits: { memory: "256Mi", "ephemeral-storage": "256Mi" },
          },
          securityContext: restricted.container,
          startupProbe: { httpGet: { path: "/health", port: "http" }, periodSeconds: 5, failureThreshold: 24 },
          readinessProbe: { httpGet: { path: "/health", port: "http" }, periodSeconds: 5, timeoutSeconds: 3 },
          livenessProbe: { tcpSocket: { port: "http" }, periodSeconds: 10, failureThreshold: 6 },
          lifecycle: { preStop: { sleep: { seconds: 10 } } },
          volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
        },
      ],
      volumes: [{ name: "tmp", emptyDir: { sizeLimit: "128Mi" } }],
    },
  });
  const deployment = (name: string, track: string, replicas: object) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "shop-dev", labels: { ...labels, track }, annotations: skipAwait },
    spec: {
      ...replicas,
      selector: { matchLabels: { ...selector, track } },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: "25%" } },
      minReadySeconds: 10,
      progressDeadlineSeconds: 300,
      revisionHistoryLimit: 10,
      template: pod(track),
    },
  });
  const callers = (resources: Declared) => {
    const { ingress } = resources["NetworkPolicy a-callers"]!["spec"] as { ingress: { from: unknown[] }[] };
    return ingress.flatMap(({ from }) => from);
  };

  it("keeps serving: a rollout, an eviction and a probe each leave enough pods", async () => {
    const { "WebApplication a": _, ...resources } = await declare();
    assert.deepEqual(resources, {
      "ServiceAccount a-account": {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata,
        automountServiceAccountToken: false,
      },
      "Deployment a-deployment": deployment("shop", "stable", { replicas: 2 }),
      "Service a-service": {
        apiVersion: "v1",
        kind: "Service",
        metadata: { ...metadata, annotations: skipAwait },
        spec: { type: "ClusterIP", selector, ports: [{ name: "http", port: 80, targetPort: "http" }] },
      },
      "PodDisruptionBudget a-budget": {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata,
        spec: { maxUnavailable: 1, selector: { matchLabels: selector }, unhealthyPodEvictionPolicy: "AlwaysAllow" },
      },
      "NetworkPolicy a-callers": {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { ...metadata, name: "shop-callers" },
        spec: {
          podSelector: { matchLabels: selector },
          policyTypes: ["Ingress"],
          ingress: [
            {
              from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } } }],
              ports: [{ protocol: "TCP", port: "http" }],
            },
          ],
        },
      },
    });
  });

  it("answers at a host by TLS, and lets in its controller alone, which cert-manager needs too", async () => {
    const resources = await declare({ ingress });
    assert.deepEqual(resources["Ingress a-ingress"], {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { ...metadata, annotations: { ...skipAwait, "cert-manager.io/cluster-issuer": "letsencrypt" } },
      spec: {
        ingressClassName: "nginx",
        tls: [{ hosts: ["shop.example.org"], secretName: "shop-tls" }],
        rules: [
          {
            host: "shop.example.org",
            http: {
              paths: [
                {
                  path: "/",
                  pathType: "Prefix",
                  backend: { service: { name: "shop", port: { name: "http" } } },
                },
              ],
            },
          },
        ],
      },
    });
    const controller = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "ingress-nginx" } } };
    assert.deepEqual(callers(resources), [controller]);
    assert.deepEqual(resources["NetworkPolicy a-certificates"]?.["spec"], {
      podSelector: { matchLabels: { "acme.cert-manager.io/http01-solver": "true" } },
      policyTypes: ["Ingress"],
      ingress: [{ from: [controller], ports: [{ protocol: "TCP", port: 8089 }] }],
    });
  });

  it("is scaled by its load, and then not by the program", async () => {
    const resources = await declare({ replicas: { min: 3, max: 9 } });
    assert.deepEqual(resources["Deployment a-deployment"], deployment("shop", "stable", {}));
    assert.deepEqual(resources["HorizontalPodAutoscaler a-autoscaler"]?.["spec"], {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      minReplicas: 3,
      maxReplicas: 9,
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 70 } } },
      ],
    });
    assert.ok(resources["PodDisruptionBudget a-budget"]);
  });

  it("of one pod has no budget, which would only keep a node from being drained", async () => {
    for (const replicas of [0, 1, { min: 1, max: 3 }]) {
      const resources = await declare({ replicas });
      assert.equal(resources["PodDisruptionBudget a-budget"], undefined, JSON.stringify(replicas));
    }
  });

  it("has a canary of no pods behind the same Service, which neither Deployment takes for its own", async () => {
    const resources = await declare({ canary: true, replicas: { min: 3, max: 9 } });
    assert.deepEqual(resources["Deployment a-canary"], deployment("shop-canary", "canary", { replicas: 0 }));
  });

  it("is pulled by a Secret where it has one", async () => {
    const resources = await declare({ pullSecret: "registry" });
    const { template } = resources["Deployment a-deployment"]!["spec"] as {
      template: { spec: Record<string, unknown> };
    };
    assert.deepEqual(template.spec["imagePullSecrets"], [{ name: "registry" }]);
  });

  it("leaves its image to whoever delivers it, and the canary's number of pods", async () => {
    const options = await optionsOf(() => make({ canary: true }));
    const image = "spec.template.spec.containers[0].image";
    assert.deepEqual(options["a-deployment"]?.ignoreChanges, [image]);
    assert.deepEqual(options["a-canary"]?.ignoreChanges, [image, "spec.replicas"]);
  });
});
