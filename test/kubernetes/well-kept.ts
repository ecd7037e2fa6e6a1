/** A namespace in which kube-score finds nothing. */
import { labelsOf, resources, restrictedContainer, restrictedPod } from "../../components/kubernetes/pods.ts";
import type { KubernetesObject } from "../../sandbox/kubernetes/client.ts";

export const metadata = (name: string) => ({ name, namespace: "shop", labels: labelsOf(name, "shop", "store").labels });

const selectorOf = (name: string) => ({ matchLabels: labelsOf(name, "shop", "store").selector });

function podOf(name: string, more: object = {}) {
  const { labels } = labelsOf(name, "shop", "store");
  const container = {
    name,
    image: "registry.invalid/shop:1.2.3",
    imagePullPolicy: "Always",
    resources: resources({ cpu: "100m", memory: "128Mi" }),
    securityContext: restrictedContainer,
    ...more,
  };
  return { metadata: { labels }, spec: { securityContext: restrictedPod, containers: [container] } };
}

const served = {
  ports: [{ name: "http", containerPort: 8080 }],
  readinessProbe: { httpGet: { path: "/health", port: "http" } },
};

const spread = (name: string) => ({
  podAntiAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      { weight: 1, podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: selectorOf(name) } },
    ],
  },
});

const shopPod = podOf("shop", served);
const mysql = podOf("mysql", served);

/** The objects of a shop with its database and a backup. */
export const shop: KubernetesObject[] = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata("shop"),
    spec: {
      selector: selectorOf("shop"),
      template: { ...shopPod, spec: { ...shopPod.spec, affinity: spread("shop") } },
    },
  },
  {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: metadata("mysql"),
    spec: { replicas: 1, serviceName: "mysql", selector: selectorOf("mysql"), template: mysql },
  },
  {
    apiVersion: "batch/v1",
    kind: "CronJob",
    metadata: metadata("backup"),
    spec: {
      schedule: "0 3 * * *",
      startingDeadlineSeconds: 600,
      jobTemplate: {
        spec: { template: { ...podOf("backup"), spec: { ...podOf("backup").spec, restartPolicy: "Never" } } },
      },
    },
  },
  ...["shop", "mysql"].map((name) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: metadata(name),
    spec: {
      ...(name === "mysql" && { clusterIP: "None" }),
      selector: labelsOf(name, "shop", "store").selector,
      ports: [{ name: "http", port: 80, targetPort: "http" }],
    },
  })),
  {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: metadata("shop"),
    spec: { maxUnavailable: 1, selector: selectorOf("shop") },
  },
  {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: metadata("shop"),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      minReplicas: 2,
      maxReplicas: 4,
    },
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: metadata("shop"),
    spec: {
      rules: [
        {
          host: "shop.example.com",
          http: {
            paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "shop", port: { name: "http" } } } }],
          },
        },
      ],
    },
  },
  {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadata("nothing"),
    spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
  },
];
