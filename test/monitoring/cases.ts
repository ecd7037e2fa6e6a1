/** What each alert fires of, and what it does not fire of; minute by minute, from 1970 on. */
import type { Series } from "./promtool.ts";

export interface Case {
  what: string;
  series: Series;
  /** When nothing fires. @default never */
  silent?: readonly string[];
  /** When it fires, and what it then says. @default never */
  fires?: { at: string; labels: Record<string, string>; description: string };
  /** Alerts that fire as well, and are told of elsewhere. */
  besides?: readonly string[];
}

export interface Subject {
  severity: "critical" | "warning";
  summary: string;
  cases: readonly Case[];
}

const always = (value: number) => `${value}x2000`;

const namespace = "shop-prod";
const inShop = { namespace };
const ofShop = { namespace, deployment: "shop" };
const ofDatabase = { namespace, statefulset: "mysql" };
const claim = { namespace, persistentvolumeclaim: "data-mysql-0" };
const ofBackup = { namespace, cronjob: "mysql-backup" };
const container = { namespace, pod: "shop-7d4b9c6f5d-x2x4z", container: "shop" };

const series = (name: string, labels: Record<string, string>) =>
  `${name}{${Object.entries(labels)
    .map(([label, value]) => `${label}="${value}"`)
    .join(",")}}`;
const restarts = series("kube_pod_container_status_restarts_total", { ...container, uid: "1" });
const waits = (reason: string, kind = "") =>
  series(`kube_pod_${kind}container_status_waiting_reason`, { ...container, uid: "1", reason });
const up = (pod: string, value: number): Series => ({
  [series("up", { namespace, service: "shop", pod, job: "shop" })]: always(value),
});
const replicas = (wanted: string, available: string, targets = up("a", 1)): Series => ({
  ...targets,
  [series("kube_deployment_spec_replicas", ofShop)]: wanted,
  [series("kube_deployment_status_replicas_available", ofShop)]: available,
});
const condition = (name: string, status: string) =>
  series("kube_deployment_status_condition", { ...ofShop, condition: name, reason: "unknown", status });
const autoscaler = (least: number, most: number, wanted: number): Series => {
  const gauge = (name: string) =>
    series(`kube_horizontalpodautoscaler_${name}`, { namespace, horizontalpodautoscaler: "shop" });
  return {
    [gauge("spec_min_replicas")]: always(least),
    [gauge("spec_max_replicas")]: always(most),
    [gauge("status_desired_replicas")]: always(wanted),
  };
};
/** How many a minute, by status. */
const requests = (rates: Record<string, number>): Series =>
  Object.fromEntries(Object.entries(rates).map(([status, rate]) => [requestsOf(status), `0+${rate}x60`]));
const requestsOf = (status: string) =>
  series("http_requests_total", { namespace, service: "shop", pod: container.pod, method: "GET", status });
const database = (wanted: string, ready: string): Series => ({
  [series("kube_statefulset_replicas", ofDatabase)]: wanted,
  [series("kube_statefulset_status_replicas_ready", ofDatabase)]: ready,
});
const volume = (capacity: number, available: string): Series => ({
  [series("kubelet_volume_stats_capacity_bytes", claim)]: always(capacity),
  [series("kubelet_volume_stats_available_bytes", claim)]: available,
});
const suspended = series("kube_cronjob_spec_suspend", ofBackup);
const created = series("kube_cronjob_created", ofBackup);
const success = series("kube_cronjob_status_last_successful_time", ofBackup);
const job = (owner: string, more: Series = {}, kind = "CronJob"): Series => {
  const of = { namespace, job_name: "mysql-backup-29" };
  return {
    [series("kube_job_created", of)]: always(600),
    [series("kube_job_owner", { ...of, owner_kind: kind, owner_name: owner })]: always(1),
    ...more,
  };
};
const failure = (condition: string) => series("kube_job_failed", { namespace, job_name: "mysql-backup-29", condition });
const failed: Series = { [failure("true")]: "_x20 1x100", [failure("false")]: "_x20 0x100" };

const ofRestarts = {
  labels: container,
  description: "Container shop of shop-prod/shop-7d4b9c6f5d-x2x4z restarted 3 times in an hour.",
};
const ofErrors = (share: string) => ({
  labels: inShop,
  description: `${share} of the requests to shop-prod/shop are answered with a 5xx.`,
});
const ofJob = {
  at: "20m",
  labels: { namespace, job_name: "mysql-backup-29" },
  description:
    "Job shop-prod/mysql-backup-29 failed, which began at 1970-01-01 00:10:00 +0000 UTC; mysql-backup has not succeeded since.",
};

/** By alert. */
export const subjects: Record<string, Subject> = {
  ContainerRestarting: {
    severity: "warning",
    summary: "A container keeps restarting",
    cases: [
      {
        what: "three restarts in an hour",
        series: { [restarts]: "0x9 1x24 2x24 3x60" },
        fires: { at: "60m", ...ofRestarts },
      },
      { what: "one restart", series: { [restarts]: "0x9 1x100" }, silent: ["10m", "30m", "60m"] },
      { what: "two restarts", series: { [restarts]: "0x9 2x100" }, silent: ["10m", "30m", "60m"] },
      { what: "three in two hours", series: { [restarts]: "0x9 1x49 2x49 3x60" }, silent: ["60m", "110m", "120m"] },
      { what: "pods that a rollout brings", series: { [restarts]: "_x9 0x60" }, silent: ["10m", "11m", "60m"] },
    ],
  },
  ContainerStuck: {
    severity: "warning",
    summary: "A container cannot start",
    cases: [
      {
        what: "one that runs for moments in between",
        series: { [waits("CrashLoopBackOff")]: "1 _x3 1 _x3 1 _x3 1 _x3 1" },
        silent: ["9m"],
        fires: {
          at: "10m",
          labels: { ...container, reason: "CrashLoopBackOff" },
          description: "Container shop of shop-prod/shop-7d4b9c6f5d-x2x4z waits: CrashLoopBackOff.",
        },
      },
      {
        what: "an init container without its image",
        series: { [waits("ImagePullBackOff", "init_")]: always(1) },
        silent: ["9m"],
        fires: {
          at: "10m",
          labels: { ...container, reason: "ImagePullBackOff" },
          description: "Container shop of shop-prod/shop-7d4b9c6f5d-x2x4z waits: ImagePullBackOff.",
        },
      },
      { what: "one that starts slowly", series: { [waits("ContainerCreating")]: always(1) }, silent: ["10m", "60m"] },
      {
        what: "one that crashed once",
        series: { [waits("CrashLoopBackOff")]: "1 1 _x60" },
        silent: ["5m", "10m", "14m"],
      },
    ],
  },
  ApplicationDown: {
    severity: "critical",
    summary: "The application is not available at all",
    cases: [
      {
        what: "no replica of one",
        series: replicas(always(1), always(0)),
        silent: ["4m"],
        fires: {
          at: "5m",
          labels: ofShop,
          description: "No replica of shop-prod/shop has been available for 5 minutes.",
        },
      },
      { what: "none wanted", series: replicas(always(0), always(0)), silent: ["5m", "60m"] },
      {
        what: "a rollout that stops the old one first",
        series: replicas(always(1), "1x5 0x3 1x60"),
        silent: ["9m", "20m"],
      },
      { what: "one of two", series: replicas(always(2), always(1)), silent: ["5m", "14m"] },
    ],
  },
  ApplicationReplicasMissing: {
    severity: "warning",
    summary: "The application has fewer replicas than it should",
    cases: [
      {
        what: "one of two",
        series: replicas(always(2), always(1)),
        silent: ["14m"],
        fires: {
          at: "15m",
          labels: ofShop,
          description: "shop-prod/shop has had 1 replicas available, fewer than wanted, for 15 minutes.",
        },
      },
      { what: "a rollout", series: replicas(always(2), "2x5 1x12 3x2 2x60"), silent: ["15m", "18m", "40m"] },
      { what: "all of them", series: replicas(always(2), always(2)), silent: ["15m", "60m"] },
      {
        what: "none for long",
        series: replicas(always(2), always(0)),
        fires: {
          at: "15m",
          labels: ofShop,
          description: "shop-prod/shop has had 0 replicas available, fewer than wanted, for 15 minutes.",
        },
        besides: ["ApplicationDown"],
      },
    ],
  },
  RolloutStuck: {
    severity: "warning",
    summary: "A rollout does not come to its end",
    cases: [
      {
        what: "one that makes no progress",
        series: { [condition("Progressing", "false")]: always(1), [condition("Progressing", "true")]: always(0) },
        silent: ["0m"],
        fires: {
          at: "1m",
          labels: ofShop,
          description: "The rollout of shop-prod/shop makes no progress: what ran before still does, where it can.",
        },
      },
      {
        what: "one that does",
        series: { [condition("Progressing", "false")]: always(0), [condition("Progressing", "true")]: always(1) },
        silent: ["1m", "60m"],
      },
      { what: "another condition", series: { [condition("Available", "false")]: always(1) }, silent: ["1m", "60m"] },
    ],
  },
  AutoscalerAtMaximum: {
    severity: "warning",
    summary: "An autoscaler cannot add replicas any more",
    cases: [
      {
        what: "six of six",
        series: autoscaler(2, 6, 6),
        silent: ["29m"],
        fires: {
          at: "30m",
          labels: { namespace, horizontalpodautoscaler: "shop" },
          description: "shop-prod/shop has wanted 6 replicas, its maximum, for 30 minutes.",
        },
      },
      { what: "five of six", series: autoscaler(2, 6, 5), silent: ["30m", "90m"] },
      { what: "one that may not choose", series: autoscaler(6, 6, 6), silent: ["30m", "90m"] },
    ],
  },
  ApplicationErrors: {
    severity: "critical",
    summary: "Too many requests fail",
    cases: [
      {
        what: "more than one of twenty",
        series: requests({ 200: 947, 503: 53 }),
        silent: ["5m"],
        fires: { at: "6m", ...ofErrors("5.3%") },
      },
      {
        what: "statuses that are counted by class",
        series: requests({ "2xx": 90, "5xx": 10 }),
        fires: { at: "6m", ...ofErrors("10%") },
      },
      {
        what: "failures that come every four minutes",
        series: { ...requests({ 200: 100 }), [requestsOf("500")]: "0x3 200x3 400x3 600x3 800x3 1000x3" },
        fires: { at: "19m", ...ofErrors("28.57%") },
      },
      {
        what: "little traffic, and all of it fails",
        series: requests({ 500: 4 }),
        silent: ["9m"],
        fires: { at: "10m", ...ofErrors("100%") },
      },
      { what: "one of twenty", series: requests({ 200: 95, 503: 5 }), silent: ["6m", "30m"] },
      { what: "less traffic than says anything", series: requests({ 500: 3.9 }), silent: ["6m", "30m"] },
      {
        what: "a quiet night with one failure",
        series: { ...requests({ 200: 2 }), [requestsOf("500")]: "0x9 1x60" },
        silent: ["10m", "12m", "15m", "20m"],
      },
      {
        what: "failures that are over soon",
        series: { ...requests({ 200: 100 }), [requestsOf("500")]: "0x9 100x60" },
        silent: ["10m", "14m", "15m", "20m"],
      },
      { what: "requests that are wrong themselves", series: requests({ 200: 50, 404: 50 }), silent: ["6m", "30m"] },
      { what: "no failure ever", series: requests({ 200: 100 }), silent: ["6m", "30m"] },
      { what: "no request", series: requests({ 200: 0, 500: 0 }), silent: ["6m", "30m"] },
    ],
  },
  ApplicationMetricsMissing: {
    severity: "warning",
    summary: "The application's metrics are not read",
    cases: [
      {
        what: "a target that does not answer",
        series: replicas(always(1), always(1), up("a", 0)),
        silent: ["14m"],
        fires: {
          at: "15m",
          labels: inShop,
          description:
            "1 replicas are available, and none of shop-prod/shop answers Prometheus: ApplicationErrors cannot fire.",
        },
      },
      {
        what: "no target at all",
        series: replicas(always(2), always(2), {}),
        silent: ["14m"],
        fires: {
          at: "15m",
          labels: inShop,
          description:
            "2 replicas are available, and none of shop-prod/shop answers Prometheus: ApplicationErrors cannot fire.",
        },
      },
      {
        what: "a target of another service",
        series: replicas(always(2), always(2), {
          [series("up", { namespace, service: "till", pod: "a", job: "till" })]: always(1),
        }),
        fires: {
          at: "15m",
          labels: inShop,
          description:
            "2 replicas are available, and none of shop-prod/shop answers Prometheus: ApplicationErrors cannot fire.",
        },
      },
      {
        what: "one of two targets",
        series: replicas(always(2), always(2), { ...up("a", 1), ...up("b", 0) }),
        silent: ["15m", "60m"],
      },
      { what: "an application that is not there", series: replicas(always(0), always(0), {}), silent: ["15m", "60m"] },
    ],
  },
  DatabaseNotReady: {
    severity: "critical",
    summary: "The database is not ready",
    cases: [
      {
        what: "none of one",
        series: database(always(1), always(0)),
        silent: ["4m"],
        fires: {
          at: "5m",
          labels: ofDatabase,
          description: "shop-prod/mysql has had 0 pods ready for 5 minutes.",
        },
      },
      { what: "a restart", series: database(always(1), "1x5 0x3 1x60"), silent: ["9m", "20m"] },
      { what: "one of one", series: database(always(1), always(1)), silent: ["5m", "60m"] },
    ],
  },
  DatabaseVolumeNearlyFull: {
    severity: "critical",
    summary: "The database's volume is nearly full",
    cases: [
      {
        what: "less than a tenth",
        series: volume(1000, always(95)),
        silent: ["4m"],
        fires: { at: "5m", labels: claim, description: "9.5% of shop-prod/data-mysql-0 is free." },
      },
      { what: "a tenth", series: volume(1000, always(100)), silent: ["5m", "90m"] },
    ],
  },
  DatabaseVolumeFilling: {
    severity: "warning",
    summary: "The database's volume will be full within four days",
    cases: [
      {
        what: "a pace by which it is full in less than four days",
        series: volume(1000, "390-0.068x500"),
        silent: ["60m"],
        fires: {
          at: "61m",
          labels: claim,
          description:
            "38.59% of shop-prod/data-mysql-0 is free, and nothing in 4 days if it goes on as in the last 6 hours.",
        },
      },
      { what: "a pace by which it is full later", series: volume(1000, "390-0.065x200"), silent: ["61m", "120m"] },
      { what: "a volume with ample room", series: volume(1000, "430-0.1x250"), silent: ["61m", "120m", "240m"] },
      { what: "a restore that is over", series: volume(1000, "900-10x50 400x600"), silent: ["61m", "180m", "360m"] },
      {
        what: "most of it filled in the last hours",
        series: volume(1000, "900-10x55 345x700"),
        fires: {
          at: "4h",
          labels: claim,
          description:
            "34.5% of shop-prod/data-mysql-0 is free, and nothing in 4 days if it goes on as in the last 6 hours.",
        },
      },
      { what: "most of it filled long ago", series: volume(1000, "900-10x55 345x700"), silent: ["8h"] },
      {
        what: "a volume that is full, and stays so",
        series: volume(1000, always(0)),
        silent: ["61m", "120m"],
        besides: ["DatabaseVolumeNearlyFull"],
      },
    ],
  },
  BackupTooOld: {
    severity: "critical",
    summary: "There is no fresh backup",
    cases: [
      {
        what: "a success that is too long ago",
        series: { [created]: always(0), [success]: always(3600), [suspended]: always(0) },
        silent: ["26h", "27h"],
        fires: {
          at: "27h1m",
          labels: ofBackup,
          description: "shop-prod/mysql-backup has made no backup for 1d 2h 1m 0s; 26h are allowed.",
        },
      },
      {
        what: "a CronJob that never succeeded",
        series: { [created]: always(0), [suspended]: always(0) },
        // While it is young it need not have.
        silent: ["1h", "26h"],
        fires: {
          at: "26h1m",
          labels: ofBackup,
          description: "shop-prod/mysql-backup has made no backup for 1d 2h 1m 0s; 26h are allowed.",
        },
      },
      {
        what: "a backup that was just made",
        series: { [created]: always(0), [success]: `3600x1619 ${27 * 3600}x300`, [suspended]: always(0) },
        silent: ["27h", "27h1m", "30h"],
      },
      {
        what: "a CronJob that is suspended",
        series: { [created]: always(0), [suspended]: always(1) },
        silent: ["20h", "30h"],
        besides: ["BackupSuspended"],
      },
    ],
  },
  BackupSuspended: {
    severity: "warning",
    summary: "Backups are suspended",
    cases: [
      {
        what: "for too long",
        series: { [created]: always(0), [suspended]: always(1) },
        silent: ["25h59m"],
        fires: {
          at: "26h",
          labels: ofBackup,
          description:
            "shop-prod/mysql-backup has been suspended for 26h, so nothing says that its last backup is too old.",
        },
      },
      { what: "not at all", series: { [suspended]: always(0) }, silent: ["26h", "30h"] },
    ],
  },
  BackupFailed: {
    severity: "warning",
    summary: "A backup failed",
    cases: [
      { what: "the first one", series: job("mysql-backup", failed), fires: ofJob },
      { what: "one after a success", series: job("mysql-backup", { ...failed, [success]: always(300) }), fires: ofJob },
      {
        what: "one that began when another succeeded",
        series: job("mysql-backup", { ...failed, [success]: always(600) }),
        fires: ofJob,
      },
      {
        what: "one before a success",
        series: job("mysql-backup", { ...failed, [success]: always(900) }),
        silent: ["20m"],
      },
      { what: "another CronJob's", series: job("cleaning", failed), silent: ["20m"] },
      {
        what: "one after which another CronJob succeeds",
        series: job("mysql-backup", { ...failed, [success.replace("mysql-backup", "cleaning")]: always(900) }),
        fires: ofJob,
      },
      {
        what: "one of which it is said that it did not fail",
        series: job("mysql-backup", { [failure("true")]: always(0), [failure("false")]: always(1) }),
        silent: ["20m"],
      },
      {
        what: "one of something else of that name",
        series: job("mysql-backup", failed, "Workflow"),
        silent: ["20m"],
      },
      { what: "one that runs", series: job("mysql-backup"), silent: ["20m"] },
    ],
  },
};
