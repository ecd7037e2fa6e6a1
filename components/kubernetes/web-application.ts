import { apps, autoscaling, core, networking, policy } from "@pulumi/kubernetes";
import { ComponentResource, type ComponentResourceOptions } from "@pulumi/pulumi";
import {
  type EnvArgs,
  envOf,
  inNamespace,
  labelsOf,
  resources,
  restrictedContainer,
  restrictedPod,
  type Size,
} from "./pods.ts";

/** How many pods: always as many, or as the load wants it: so many that they use {@link cpuPercent} of what they ask for. */
export type Replicas =
  | number
  | {
      min: number;
      max: number;
    };

/** The share of what its pods ask for that is held on average: what is left carries the load until others have started. */
const cpuPercent = 70;

/** Where an application answers from outside. */
export interface IngressArgs {
  host: string;
  /** The IngressClass whose controller serves it, such as nginx. */
  className: string;
  /** The namespace in which that controller runs. */
  controllerNamespace: string;
  /** The ClusterIssuer of cert-manager's that its certificate is from. */
  clusterIssuer: string;
}

/** Arguments of {@link WebApplication}. */
export interface WebApplicationArgs extends EnvArgs {
  namespace: string;
  /** What it is a part of: a label. */
  partOf: string;
  /** Name of the Deployment, its container and its Service. */
  application: string;
  /** What it runs at first; afterwards whoever delivers it says what. */
  image: string;
  /** Where it listens. */
  port: number;
  size: Size;
  replicas: Replicas;
  /** Whether there is a second Deployment, of no pods, on which a version can be tried behind the same Service: {@link canaryName}. @default false */
  canary?: boolean;
  /** A path that answers 200 when it can serve. */
  healthPath: string;
  /** @default it has none: it is reached in the cluster alone */
  ingress?: IngressArgs;
  /** Name of the Secret by which its image is pulled. @default none: anybody may pull it */
  pullSecret?: string;
}

/** Name of the Deployment on which a version is tried. */
export const canaryName = (application: string): string => `${application}-canary`;

/** What a rollout changes: never again the program's, which would take back what is running. */
const image = "spec.template.spec.containers[0].image";

/** Whether a version becomes ready is its rollout's affair, which is at hand to take it back; before the first there is none. */
const skipAwait = { "pulumi.com/skipAwait": "true" };

/**
 * An application that serves HTTP and keeps serving while it is rolled out, evicted or scaled: Deployment, Service, disruption
 * budget, autoscaler and Ingress as it wants them, with the network opened for just those who call it.
 *
 * Its image is given once. A workflow that sets another one owns it from then on, and an `up` leaves it as it is.
 * @example
 * new WebApplication("shop", { namespace: "shop-dev", partOf: "shop", application: "shop", image: "ghcr.io/acme/shop:v1", port: 8000, size: { cpu: "100m", memory: "256Mi" }, replicas: 2, healthPath: "/health" })
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
 */
export class WebApplication extends ComponentResource {
  constructor(name: string, args: WebApplicationArgs, opts?: ComponentResourceOptions) {
    super("esteira:kubernetes:WebApplication", name, {}, opts);
    const { namespace, application, replicas, ingress } = args;
    const { selector, labels } = labelsOf(application, "application", args.partOf);
    const parent = { parent: this };
    const metadata = { name: application, namespace, labels };

    new core.v1.ServiceAccount(`${name}-account`, { metadata, automountServiceAccountToken: false }, parent);
    const fixed = typeof replicas === "number";
    deployment(`${name}-deployment`, args, "stable", fixed ? replicas : undefined, {
      ...parent,
      ignoreChanges: [image],
    });
    if (args.canary) {
      deployment(`${name}-canary`, args, "canary", 0, { ...parent, ignoreChanges: [image, "spec.replicas"] });
    }
    new core.v1.Service(
      `${name}-service`,
      {
        metadata: { ...metadata, annotations: skipAwait },
        spec: { type: "ClusterIP", selector, ports: [{ name: "http", port: 80, targetPort: "http" }] },
      },
      parent,
    );
    if (!fixed) {
      const { min, max } = replicas;
      new autoscaling.v2.HorizontalPodAutoscaler(
        `${name}-autoscaler`,
        {
          metadata,
          spec: {
            scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: application },
            minReplicas: min,
            maxReplicas: max,
            metrics: [
              {
                type: "Resource",
                resource: { name: "cpu", target: { type: "Utilization", averageUtilization: cpuPercent } },
              },
            ],
          },
        },
        parent,
      );
    }
    if ((fixed ? replicas : replicas.min) > 1) {
      new policy.v1.PodDisruptionBudget(
        `${name}-budget`,
        // Of pods that are broken anyway none is kept: a node could not be drained for them.
        {
          metadata,
          spec: { maxUnavailable: 1, selector: { matchLabels: selector }, unhealthyPodEvictionPolicy: "AlwaysAllow" },
        },
        parent,
      );
    }
    new networking.v1.NetworkPolicy(
      `${name}-callers`,
      {
        metadata: { ...metadata, name: `${application}-callers` },
        spec: {
          podSelector: { matchLabels: selector },
          policyTypes: ["Ingress"],
          ingress: [{ from: [callers(ingress)], ports: [{ protocol: "TCP", port: "http" }] }],
        },
      },
      parent,
    );
    if (ingress) this.ingress(name, application, metadata, ingress);
    this.registerOutputs();
  }

  private ingress(name: string, application: string, metadata: Metadata, ingress: IngressArgs): void {
    const { host, className, clusterIssuer, controllerNamespace } = ingress;
    new networking.v1.Ingress(
      `${name}-ingress`,
      {
        metadata: { ...metadata, annotations: { ...skipAwait, "cert-manager.io/cluster-issuer": clusterIssuer } },
        spec: {
          ingressClassName: className,
          tls: [{ hosts: [host], secretName: `${application}-tls` }],
          rules: [
            {
              host,
              http: {
                paths: [
                  {
                    path: "/",
                    pathType: "Prefix",
                    backend: { service: { name: application, port: { name: "http" } } },
                  },
                ],
              },
            },
          ],
        },
      },
      { parent: this },
    );
    // By this pod of cert-manager's the host is shown to be ours; without it no certificate would come, nor be renewed.
    new networking.v1.NetworkPolicy(
      `${name}-certificates`,
      {
        metadata: { ...metadata, name: `${application}-certificates` },
        spec: {
          podSelector: { matchLabels: { "acme.cert-manager.io/http01-solver": "true" } },
          policyTypes: ["Ingress"],
          ingress: [{ from: [inNamespace(controllerNamespace)], ports: [{ protocol: "TCP", port: 8089 }] }],
        },
      },
      { parent: this },
    );
  }
}

type Metadata = { name: string; namespace: string; labels: Record<string, string> };

function deployment(
  name: string,
  args: WebApplicationArgs,
  track: "stable" | "canary",
  replicas: number | undefined,
  opts: ComponentResourceOptions & { ignoreChanges: string[] },
): void {
  const { namespace, partOf, application, port, size, pullSecret, healthPath } = args;
  const { selector, labels } = labelsOf(application, "application", partOf);
  const matchLabels = { ...selector, track };
  const objectName = track === "stable" ? application : canaryName(application);
  new apps.v1.Deployment(
    name,
    {
      metadata: { name: objectName, namespace, labels: { ...labels, track }, annotations: skipAwait },
      spec: {
        ...(replicas !== undefined && { replicas }),
        selector: { matchLabels },
        // A pod goes when another one serves; of many some at a time, or a rollout would take minutes for each.
        strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: "25%" } },
        minReadySeconds: 10,
        progressDeadlineSeconds: 300,
        revisionHistoryLimit: 10,
        template: {
          metadata: { labels: { ...labels, track } },
          spec: {
            serviceAccountName: application,
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            securityContext: restrictedPod,
            ...(pullSecret && { imagePullSecrets: [{ name: pullSecret }] }),
            // Apart as far as there is room: over zones evenly, over nodes at all.
            topologySpreadConstraints: [
              {
                maxSkew: 1,
                topologyKey: "topology.kubernetes.io/zone",
                whenUnsatisfiable: "ScheduleAnyway",
                labelSelector: { matchLabels },
                // The pods of the version that goes would count against those that come.
                matchLabelKeys: ["pod-template-hash"],
              },
            ],
            affinity: {
              podAntiAffinity: {
                preferredDuringSchedulingIgnoredDuringExecution: [
                  {
                    weight: 100,
                    podAffinityTerm: { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels } },
                  },
                ],
              },
            },
            terminationGracePeriodSeconds: 45,
            containers: [
              {
                name: application,
                image: args.image,
                imagePullPolicy: "Always",
                ports: [{ name: "http", containerPort: port, protocol: "TCP" }],
                env: envOf(args),
                resources: resources(size),
                securityContext: restrictedContainer,
                // Two minutes to start; after that a lost database takes it out of service, but does not restart it.
                startupProbe: { httpGet: { path: healthPath, port: "http" }, periodSeconds: 5, failureThreshold: 24 },
                readinessProbe: { httpGet: { path: healthPath, port: "http" }, periodSeconds: 5, timeoutSeconds: 3 },
                livenessProbe: { tcpSocket: { port: "http" }, periodSeconds: 10, failureThreshold: 6 },
                // Until nobody sends it anything more.
                lifecycle: { preStop: { sleep: { seconds: 10 } } },
                volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
              },
            ],
            volumes: [{ name: "tmp", emptyDir: { sizeLimit: "128Mi" } }],
          },
        },
      },
    },
    opts,
  );
}

/** Who may call: the Ingress' controller, else the API server, by whose proxy its health is asked for. */
const callers = (ingress?: IngressArgs) => inNamespace(ingress?.controllerNamespace ?? "kube-system");
