/**
 * What Prometheus is asked: each expression once, for the alerts that compare it and the dashboard that draws it. The metrics are
 * kube-state-metrics', the kubelet's and the application's own. Each is put together by the labels that say what it is about: one
 * that is told twice, as while kube-state-metrics is replaced, is neither counted twice nor makes a comparison ambiguous.
 * @see https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics/workload
 */

/** What is watched. */
export interface Watched {
  namespace: string;
  application: {
    /** Name of its Deployment; its pods and its Service bear the labels that `labelsOf` makes of that name. */
    deployment: string;
    service: string;
    /** Name of the port, of the Service's and of the container's that it leads to. */
    port: string;
  };
  /** What the application tells of itself. @default nothing: it is watched from outside alone */
  metrics?: {
    /** Such as /metrics. */
    path: string;
    /** Name of the counter of requests. @default "http_requests_total" */
    requests?: string;
    /** Its label with the status of the answer: 503 or 5xx. @default "status" */
    statusLabel?: string;
    /** Name of the histogram of seconds that requests take, without _bucket. @default none: no latency is drawn */
    durations?: string;
  };
  /** A database in the namespace. @default none */
  database?: { statefulSet: string };
  /** What writes its backup. @default none */
  backup?: {
    cronJob: string;
    /** Hours after which the last backup is too old: more than lie between two of them, and what one takes. */
    maxAgeHours: number;
  };
}

/** @param patterns labels that are compared as regular expressions, from start to end */
const selector = (labels: Record<string, string>, patterns: Record<string, string> = {}) =>
  `{${[
    ...Object.entries(labels).map(([name, value]) => `${name}="${value}"`),
    ...Object.entries(patterns).map(([name, pattern]) => `${name}=~"${pattern}"`),
  ].join(",")}}`;

/** A name within a pattern. */
const literal = (name: string) => name.replaceAll(".", "[.]");

/** What the names of a ReplicaSet and its pods end with: no vowels, so that a Job beside it is another. @see https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go */
const generated = "[bcdfghjklmnpqrstvwxz2456789]+";

/** Why a container waits for something that does not come by itself. */
const stuckFor = "CrashLoopBackOff|ImagePullBackOff|InvalidImageName|CreateContainerConfigError|CreateContainerError";

/** Of containers in the namespace, whoever's they are. */
export const containers = ({ namespace }: Watched) => ({
  /** In the last hour. */
  restarts: `max by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total${selector({ namespace })}[1h]))`,
  /** 1 for each that cannot start. It runs for moments in between, so it is asked whether it waited lately. */
  stuck: `max by (namespace, pod, container, reason) (max_over_time(${selector({ namespace }, { __name__: "kube_pod_(init_)?container_status_waiting_reason", reason: stuckFor })}[5m]))`,
});

/** Of the Deployment. */
export function deployment({ namespace, application }: Watched) {
  const of = { namespace, deployment: application.deployment };
  const pod = `${literal(application.deployment)}-${generated}-${generated}`;
  // Else a pod's sum would be counted beside its containers.
  const used = selector({ namespace }, { pod, container: ".+" });
  const gauge = (metric: string, more = {}) =>
    `max by (namespace, deployment) (${metric}${selector({ ...of, ...more })})`;
  return {
    wanted: gauge("kube_deployment_spec_replicas"),
    available: gauge("kube_deployment_status_replicas_available"),
    /** 1 once a rollout has taken longer than the Deployment gives it. */
    stuck: gauge("kube_deployment_status_condition", { condition: "Progressing", status: "false" }),
    /** In cores and bytes. */
    cpu: `sum by (namespace) (rate(container_cpu_usage_seconds_total${used}[5m]))`,
    memory: `sum by (namespace) (container_memory_working_set_bytes${used})`,
    requested: (resource: "cpu" | "memory") =>
      `sum by (namespace) (max by (namespace, pod, container) (kube_pod_container_resource_requests${selector({ namespace, resource }, { pod })}))`,
  };
}

/** Of autoscalers in the namespace. */
export function autoscaler({ namespace }: Watched) {
  const gauge = (metric: string) =>
    `max by (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_${metric}${selector({ namespace })})`;
  return {
    wanted: gauge("status_desired_replicas"),
    least: gauge("spec_min_replicas"),
    most: gauge("spec_max_replicas"),
  };
}

/** Of requests. */
export function requests({ namespace, application: { service } }: Watched, metrics: NonNullable<Watched["metrics"]>) {
  const { requests: counter = "http_requests_total", statusLabel = "status", durations } = metrics;
  const of = { namespace, service };
  const rate = (by: string, patterns = {}) => `sum by (${by}) (rate(${counter}${selector(of, patterns)}[5m]))`;
  const all = rate("namespace");
  return {
    /** A second. */
    all,
    byStatus: rate(statusLabel),
    statusLabel,
    /** From 0 to 1. Where nothing fails there is no series of failures, and still a share. */
    failed: `(${rate("namespace", { [statusLabel]: "5.." })} or ${all} * 0) / ${all}`,
    /** In seconds. */
    latency: durations
      ? (quantile: number) =>
          `histogram_quantile(${quantile}, sum by (le) (rate(${durations}_bucket${selector(of)}[5m])))`
      : undefined,
    /** How many pods answer Prometheus. */
    read: `sum by (namespace) (up${selector(of)})`,
  };
}

/** Of the database and its volumes. */
export function database({ namespace }: Watched, { statefulSet }: NonNullable<Watched["database"]>) {
  const gauge = (metric: string) =>
    `max by (namespace, statefulset) (${metric}${selector({ namespace, statefulset: statefulSet })})`;
  // A claim is named by its template, the StatefulSet and the pod's number.
  const claims = selector({ namespace }, { persistentvolumeclaim: `.+-${literal(statefulSet)}-[0-9]+` });
  const volume = (expression: string) => `max by (namespace, persistentvolumeclaim) (${expression})`;
  const free = `kubelet_volume_stats_available_bytes${claims}`;
  return {
    wanted: gauge("kube_statefulset_replicas"),
    ready: gauge("kube_statefulset_status_replicas_ready"),
    /** From 0 to 1. */
    free: `${volume(free)} / ${volume(`kubelet_volume_stats_capacity_bytes${claims}`)}`,
    /** Bytes that are left in four days if it goes on as in the last six hours. */
    freeInFourDays: volume(`predict_linear(${free}[6h], ${4 * 24 * 3600})`),
  };
}

/** Of the backup. */
export function backup({ namespace }: Watched, { cronJob }: NonNullable<Watched["backup"]>) {
  const of = selector({ namespace, cronjob: cronJob });
  const byJob = "on (namespace, job_name)";
  const owned = selector({ namespace, owner_kind: "CronJob", owner_name: cronJob });
  const success = `kube_cronjob_status_last_successful_time${of}`;
  const created = `max by (namespace, job_name) (kube_job_created${selector({ namespace })})`;
  return {
    /** Seconds since the last success; while there is none, which has no series, since the CronJob is there. */
    age: `time() - max by (namespace, cronjob) (${success} or kube_cronjob_created${of})`,
    /** 1 for yes. */
    suspended: `max by (namespace, cronjob) (kube_cronjob_spec_suspend${of})`,
    /** When jobs that failed began. A failed one is kept for a look at its logs, so it counts till another succeeds. */
    failed: [
      `${created} and ${byJob} kube_job_failed${selector({ namespace, condition: "true" })} == 1`,
      `and ${byJob} kube_job_owner${owned}`,
      `unless ${byJob} ${created} < on (namespace) group_left () max by (namespace) (${success})`,
    ].join(" "),
  };
}
