import { type Step, script } from "../../github/workflow.ts";
import type { PolicyRule } from "../deployer.ts";

/** What a rollout is asked for: whether it is well, and paths that must answer. */
export type Health =
  /** From outside, as everybody reaches it. */
  | {
      /** With https, such as https://shop.example.com/health. Smoke paths are of the same host. */
      url: string;
    }
  /** Through the API server, where nothing outside is reached. */
  | {
      service: ServicePort;
      /** @default "/health" */
      path?: string;
    };

/** A port of a Service in the namespace. */
export interface ServicePort {
  name: string;
  /** The port's name. */
  port: string;
}

/** A second Deployment, of no pods by itself, whose pods the same Service reaches. Its selector is another one than the first's. */
export interface Canary {
  deployment: string;
  /** Pods. @default 1 */
  replicas?: number;
  /** How long it is watched. @default 120 */
  seconds?: number;
  /** A Service of its pods alone, to be asked for their health too. @default by their state and the shared Service only */
  service?: ServicePort;
}

/** Where a rollout is. */
interface Place {
  /** A Deployment. */
  deployment: string;
  health: Health;
  canary?: Canary;
  /** Workloads that must be ready after it, such as statefulset/mysql. @default none */
  ready?: readonly `${"deployment" | "statefulset" | "daemonset"}/${string}`[];
}

/** Arguments of {@link rollback}. Each text may be an expression. */
export interface RollbackArgs {
  namespace: string;
  deployment: string;
  /** The container that has the image. */
  container: string;
  /** With tag or digest. */
  image: string;
  /** A kubeconfig in base64: an expression that is a secret. */
  kubeconfig: string;
  /** What {@link deploy} output as previous-revision. */
  previousRevision: string;
  /** @default "failure()" */
  if?: string;
}

/** Arguments of {@link deploy}. Each text may be an expression. */
export interface DeployArgs extends Place, Omit<RollbackArgs, "previousRevision"> {
  /** @default always */
  if?: string;
  /** Paths that must answer 2xx after the rollout, besides the health. @default none */
  smokePaths?: readonly `/${string}`[];
  /**
   * Durations in seconds.
   * @default `{ rollout: 300, smoke: 60, watch: 600, probe: 10, unavailable: 60, blind: 120, rollback: 300 }`
   */
  seconds?: Partial<Record<(typeof durations)[number], number>>;
}

const durations = ["rollout", "smoke", "watch", "probe", "unavailable", "blind", "rollback"] as const;

/**
 * Gives the Deployment the image, watches it, and goes back to the revision before where it turns out bad: it then fails, and the
 * summary says why. Outputs `previous-revision`, `previous-image`, `previous-replica-set` and `result`.
 * @example
 * deploy("rollout", { namespace: "shop-prod", deployment: "shop", container: "shop", image: "${{ needs.build.outputs.image }}", kubeconfig: "${{ secrets.KUBECONFIG }}", health: { url: "https://shop.example.com/health" }, smokePaths: ["/"] })
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-back-a-deployment
 */
export const deploy = (id: string, args: DeployArgs): Step => {
  const { health, canary, seconds = {} } = args;
  return {
    name: "Roll out and watch",
    id,
    ...(args.if !== undefined && { if: args.if }),
    shell: "python",
    env: {
      COMMAND: "deploy",
      ...environment(args),
      ...("url" in health
        ? { HEALTH_URL: health.url }
        : { SERVICE: proxied(health.service), HEALTH_PATH: health.path ?? "/health" }),
      SMOKE_PATHS: JSON.stringify(args.smokePaths ?? []),
      READY: JSON.stringify(args.ready ?? []),
      ...(canary && {
        CANARY: canary.deployment,
        ...(canary.replicas !== undefined && { CANARY_REPLICAS: `${canary.replicas}` }),
        ...(canary.seconds !== undefined && { CANARY_SECONDS: `${canary.seconds}` }),
        ...(canary.service && { CANARY_SERVICE: proxied(canary.service) }),
      }),
      ...Object.fromEntries(
        durations.flatMap((each) =>
          seconds[each] === undefined ? [] : [[`${each.toUpperCase()}_SECONDS`, `${seconds[each]}`]],
        ),
      ),
    },
    run: rollout(),
  };
};

/**
 * For a step that fails after {@link deploy}, such as a test from end to end: goes back to the revision of before, if the
 * Deployment still runs the image; else it says what it runs, and leaves it. Outputs `result`.
 */
export const rollback = (args: RollbackArgs): Step => ({
  name: "Roll back",
  if: args.if ?? "failure()",
  shell: "python",
  env: { COMMAND: "rollback", ...environment(args), PREVIOUS_REVISION: args.previousRevision },
  run: rollout(),
});

/** A workload that runs the application's image without serving: nobody watches it. */
export interface Follower {
  /** Such as cronjob/report. */
  workload: `cronjob/${string}`;
  container: string;
}

/** Gives a follower the image that was rolled out, once that has turned out good. Each text of `args` may be an expression. */
export const setImage = (args: Follower & Pick<RollbackArgs, "namespace" | "image" | "kubeconfig">): Step => ({
  name: `Give ${args.workload} the image`,
  env: {
    NAMESPACE: args.namespace,
    WORKLOAD: args.workload,
    CONTAINER: args.container,
    IMAGE: args.image,
    KUBECONFIG_BASE64: args.kubeconfig,
  },
  run: script(import.meta.url, "./set_image.sh"),
});

/** All that {@link setImage} may do in the namespace. */
export const setImageRules = ({ workload }: Follower): PolicyRule[] => [
  {
    apiGroups: ["batch"],
    resources: ["cronjobs"],
    resourceNames: [workload.slice("cronjob/".length)],
    verbs: ["get", "patch"],
  },
];

/**
 * All that {@link deploy} and {@link rollback} may do in the namespace. ReplicaSets and pods are found by labels, which RBAC
 * cannot narrow; the rest is by name.
 */
export const rolloutRules = ({ deployment, health, canary, ready = [] }: Place): PolicyRule[] => {
  const services = [...("service" in health ? [health.service] : []), ...(canary?.service ? [canary.service] : [])].map(
    proxied,
  );
  const workloads = Map.groupBy(ready, (each) => each.slice(0, each.indexOf("/")));
  return [
    // To list and watch one by its name is what `kubectl rollout status` does.
    {
      apiGroups: ["apps"],
      resources: ["deployments"],
      resourceNames: [deployment, ...(canary ? [canary.deployment] : [])],
      verbs: ["get", "list", "watch", "patch"],
    },
    ...(canary
      ? [
          {
            apiGroups: ["apps"],
            resources: ["deployments/scale"],
            resourceNames: [canary.deployment],
            verbs: ["patch"],
          },
        ]
      : []),
    { apiGroups: ["apps"], resources: ["replicasets"], verbs: ["list"] },
    { apiGroups: [""], resources: ["pods"], verbs: ["list"] },
    ...(services.length > 0
      ? [{ apiGroups: [""], resources: ["services/proxy"], resourceNames: services, verbs: ["get"] }]
      : []),
    ...[...workloads].map(([kind, names]) => ({
      apiGroups: ["apps"],
      resources: [`${kind}s`],
      resourceNames: names.map((each) => each.slice(kind.length + 1)),
      verbs: ["get"],
    })),
  ];
};

/** As the API server's proxy has it in paths, and RBAC in names. */
const proxied = ({ name, port }: ServicePort) => `http:${name}:${port}`;

const rollout = () => script(import.meta.url, "./rollout.py");

const environment = (args: Omit<RollbackArgs, "previousRevision" | "if">) => ({
  NAMESPACE: args.namespace,
  DEPLOYMENT: args.deployment,
  CONTAINER: args.container,
  IMAGE: args.image,
  KUBECONFIG_BASE64: args.kubeconfig,
});
