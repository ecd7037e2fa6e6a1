/** What somebody is told of, and when. */
import { autoscaler, backup, containers, database, deployment, requests, type Watched } from "./queries.ts";

/** A rule that alerts, as a PrometheusRule holds it. */
export interface Alert {
  alert: string;
  /** In PromQL. */
  expr: string;
  for?: string;
  labels: { severity: Severity };
  annotations: { summary: string; description: string; runbook_url?: string };
}

/** critical: somebody is woken up. warning: it can wait for the morning. */
type Severity = "critical" | "warning";

/** From here on errors are too many: a share of the requests of five minutes. */
export const errorShare = 0.05;
/** Requests in five minutes below which a share says nothing: of fewer than these one failure would be too many. */
const enoughRequests = 20;
/** What must be free of the database's volume: a share. */
export const freeShare = 0.1;
/** A volume that has more than this is not called filling: a restore fills it fast, and ends. */
const ampleShare = 0.4;

interface Condition {
  alert: string;
  severity: Severity;
  expr: string;
  /** How long it must hold. @default as soon as it does: the expression looks back itself */
  for?: string;
  summary: string;
  description: string;
}

/**
 * The alerts of what is watched. None fires while a rollout goes its way, and none rests on a series that is missing: what a
 * cluster does not tell, because kube-state-metrics is down, is told by the installation's own alerts.
 * @param runbook a page with a heading for each alert
 * @example alertsOf({ namespace: "shop-prod", application: { deployment: "shop", service: "shop", port: "http" } })
 */
export function alertsOf(watched: Watched, runbook?: string): Alert[] {
  return [
    ...ofContainers(watched),
    ...ofDeployment(watched),
    ...ofAutoscaler(watched),
    ...(watched.metrics ? ofRequests(watched, watched.metrics) : []),
    ...(watched.database ? ofDatabase(watched, watched.database) : []),
    ...(watched.backup ? ofBackup(watched, watched.backup) : []),
  ].map(({ alert, expr, for: held, severity, summary, description }) => ({
    alert,
    expr,
    ...(held && { for: held }),
    labels: { severity },
    annotations: { summary, description, ...(runbook && { runbook_url: `${runbook}#${alert.toLowerCase()}` }) },
  }));
}

function ofContainers(watched: Watched): Condition[] {
  const { restarts, stuck } = containers(watched);
  const which = "Container {{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }}";
  return [
    {
      alert: "ContainerRestarting",
      severity: "warning",
      expr: `${restarts} >= 3`,
      summary: "A container keeps restarting",
      description: `${which} restarted {{ $value | printf "%.0f" }} times in an hour.`,
    },
    {
      alert: "ContainerStuck",
      severity: "warning",
      expr: `${stuck} == 1`,
      for: "10m",
      summary: "A container cannot start",
      description: `${which} waits: {{ $labels.reason }}.`,
    },
  ];
}

function ofDeployment(watched: Watched): Condition[] {
  const { wanted, available, stuck } = deployment(watched);
  const which = "{{ $labels.namespace }}/{{ $labels.deployment }}";
  return [
    {
      alert: "ApplicationDown",
      severity: "critical",
      expr: `${available} == 0 and ${wanted} > 0`,
      for: "5m",
      summary: "The application is not available at all",
      description: `No replica of ${which} has been available for 5 minutes.`,
    },
    {
      alert: "ApplicationReplicasMissing",
      severity: "warning",
      expr: `${available} < ${wanted}`,
      for: "15m",
      summary: "The application has fewer replicas than it should",
      description: `${which} has had {{ $value }} replicas available, fewer than wanted, for 15 minutes.`,
    },
    {
      alert: "RolloutStuck",
      severity: "warning",
      expr: `${stuck} == 1`,
      // It is told only after the Deployment's own progressDeadlineSeconds.
      for: "1m",
      summary: "A rollout does not come to its end",
      description: `The rollout of ${which} makes no progress: what ran before still does, where it can.`,
    },
  ];
}

function ofAutoscaler(watched: Watched): Condition[] {
  const { wanted, least, most } = autoscaler(watched);
  return [
    {
      alert: "AutoscalerAtMaximum",
      severity: "warning",
      // One that may not choose is always at its maximum.
      expr: `${wanted} >= ${most} and ${most} > ${least}`,
      for: "30m",
      summary: "An autoscaler cannot add replicas any more",
      description:
        "{{ $labels.namespace }}/{{ $labels.horizontalpodautoscaler }} has wanted {{ $value }} replicas, its maximum, for 30 minutes.",
    },
  ];
}

function ofRequests(watched: Watched, metrics: NonNullable<Watched["metrics"]>): Condition[] {
  const { all, failed, read } = requests(watched, metrics);
  const { available } = deployment(watched);
  const { service } = watched.application;
  return [
    {
      alert: "ApplicationErrors",
      severity: "critical",
      expr: `${failed} > ${errorShare} and ${all} * 300 >= ${enoughRequests}`,
      for: "5m",
      summary: "Too many requests fail",
      description: `{{ $value | humanizePercentage }} of the requests to {{ $labels.namespace }}/${service} are answered with a 5xx.`,
    },
    {
      alert: "ApplicationMetricsMissing",
      severity: "warning",
      // Errors that nobody counts are no errors, so it is said that nobody counts.
      expr: `sum by (namespace) (${available}) > 0 unless on (namespace) ${read} > 0`,
      for: "15m",
      summary: "The application's metrics are not read",
      description: `{{ $value }} replicas are available, and none of {{ $labels.namespace }}/${service} answers Prometheus: ApplicationErrors cannot fire.`,
    },
  ];
}

function ofDatabase(watched: Watched, args: NonNullable<Watched["database"]>): Condition[] {
  const { wanted, ready, free, freeInFourDays } = database(watched, args);
  const volume = "{{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }}";
  return [
    {
      alert: "DatabaseNotReady",
      severity: "critical",
      expr: `${ready} < ${wanted}`,
      for: "5m",
      summary: "The database is not ready",
      description: "{{ $labels.namespace }}/{{ $labels.statefulset }} has had {{ $value }} pods ready for 5 minutes.",
    },
    {
      alert: "DatabaseVolumeNearlyFull",
      severity: "critical",
      expr: `${free} < ${freeShare}`,
      for: "5m",
      summary: "The database's volume is nearly full",
      description: `{{ $value | humanizePercentage }} of ${volume} is free.`,
    },
    {
      alert: "DatabaseVolumeFilling",
      severity: "warning",
      expr: `${free} < ${ampleShare} and ${freeInFourDays} < 0`,
      for: "1h",
      summary: "The database's volume will be full within four days",
      description: `{{ $value | humanizePercentage }} of ${volume} is free, and nothing in 4 days if it goes on as in the last 6 hours.`,
    },
  ];
}

function ofBackup(watched: Watched, args: NonNullable<Watched["backup"]>): Condition[] {
  const { age, suspended, failed } = backup(watched, args);
  const which = `{{ $labels.namespace }}/${args.cronJob}`;
  const hours = `${args.maxAgeHours}h`;
  return [
    {
      alert: "BackupTooOld",
      severity: "critical",
      expr: `${age} > ${args.maxAgeHours * 3600} unless ${suspended} == 1`,
      summary: "There is no fresh backup",
      description: `${which} has made no backup for {{ $value | humanizeDuration }}; ${hours} are allowed.`,
    },
    {
      alert: "BackupSuspended",
      severity: "warning",
      expr: `${suspended} == 1`,
      for: hours,
      summary: "Backups are suspended",
      description: `${which} has been suspended for ${hours}, so nothing says that its last backup is too old.`,
    },
    {
      alert: "BackupFailed",
      severity: "warning",
      expr: failed,
      summary: "A backup failed",
      description: `Job {{ $labels.namespace }}/{{ $labels.job_name }} failed, which began at {{ $value | humanizeTimestamp }}; ${args.cronJob} has not succeeded since.`,
    },
  ];
}
