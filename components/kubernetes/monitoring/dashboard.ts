/** What one looks at when an alert has fired, as Grafana reads it. */
import { createHash } from "node:crypto";
import { errorShare, freeShare } from "./alerts.ts";
import { backup, containers, database, deployment, requests, type Watched } from "./queries.ts";

/** A graph, or the last value as a number, of what Prometheus answers to these expressions. */
interface Panel {
  type: "timeseries" | "stat";
  title: string;
  /** Of Grafana's units, such as s, bytes or percentunit. */
  unit: "short" | "reqps" | "percentunit" | "s" | "bytes";
  /** From 0 to 1. @default from 0 to what it takes */
  share?: true;
  /** Where an alert begins: above it, or below, is red. @default nothing is red */
  alert?: { above: number } | { below: number };
  /** By legend, in which {{label}} stands for a label's value. */
  queries: Record<string, string>;
}

/** @see https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ */
export interface Dashboard {
  uid: string;
  title: string;
  tags: string[];
  schemaVersion: number;
  timezone: string;
  refresh: string;
  time: { from: string; to: string };
  graphTooltip: 1;
  templating: { list: { type: "datasource"; name: string; label: string; query: "prometheus" }[] };
  panels: {
    id: number;
    type: Panel["type"];
    title: string;
    datasource: typeof datasource;
    gridPos: { x: number; y: number; w: number; h: number };
    fieldConfig: { defaults: Record<string, unknown>; overrides: never[] };
    targets: { refId: string; expr: string; legendFormat: string; datasource: typeof datasource }[];
  }[];
}

/** The one that whoever looks chooses; an installation's own first. */
const datasource = { type: "prometheus", uid: "${datasource}" } as const;

/** Two beside each other on Grafana's grid of 24 columns. */
const [width, height] = [12, 8];

/** The dashboard of what is watched. Its uid follows from the names, so that links to it hold. */
export function dashboardOf(watched: Watched): Dashboard {
  const { namespace, application } = watched;
  return {
    // Grafana takes 40 characters.
    uid: createHash("sha256").update(`${namespace}/${application.deployment}`).digest("hex").slice(0, 16),
    title: `${application.deployment} (${namespace})`,
    tags: ["esteira", namespace],
    schemaVersion: 39,
    timezone: "browser",
    refresh: "1m",
    time: { from: "now-6h", to: "now" },
    // The same moment in every panel.
    graphTooltip: 1,
    templating: { list: [{ type: "datasource", name: "datasource", label: "Prometheus", query: "prometheus" }] },
    panels: panelsOf(watched).map(({ type, title, queries, ...looks }, index) => ({
      id: index + 1,
      type,
      title,
      datasource,
      gridPos: { x: (index % 2) * width, y: Math.floor(index / 2) * height, w: width, h: height },
      fieldConfig: { defaults: fieldOf(looks), overrides: [] },
      targets: Object.entries(queries).map(([legendFormat, expr], number) => ({
        refId: String.fromCharCode("A".charCodeAt(0) + number),
        expr,
        legendFormat,
        datasource,
      })),
    })),
  };
}

function fieldOf({ unit, share, alert }: Pick<Panel, "unit" | "share" | "alert">): Record<string, unknown> {
  const [low, high] = alert && "below" in alert ? ["red", "green"] : ["green", "red"];
  const limit = alert && ("below" in alert ? alert.below : alert.above);
  return {
    unit,
    min: 0,
    ...(share && { max: 1 }),
    ...(limit !== undefined && {
      thresholds: {
        mode: "absolute",
        steps: [
          { value: null, color: low },
          { value: limit, color: high },
        ],
      },
      custom: { thresholdsStyle: { mode: "line" } },
    }),
  };
}

function panelsOf(watched: Watched): Panel[] {
  const { wanted, available, cpu, memory, requested } = deployment(watched);
  return [
    ...(watched.metrics ? ofRequests(watched, watched.metrics) : []),
    { type: "timeseries", title: "Replicas", unit: "short", queries: { wanted, available } },
    {
      type: "timeseries",
      title: "Restarts in an hour",
      unit: "short",
      queries: { "{{pod}} {{container}}": containers(watched).restarts },
    },
    { type: "timeseries", title: "Cores", unit: "short", queries: { used: cpu, requested: requested("cpu") } },
    { type: "timeseries", title: "Memory", unit: "bytes", queries: { used: memory, requested: requested("memory") } },
    ...(watched.database ? ofDatabase(watched, watched.database) : []),
    ...(watched.backup ? ofBackup(watched, watched.backup) : []),
  ];
}

function ofRequests(watched: Watched, metrics: NonNullable<Watched["metrics"]>): Panel[] {
  const { byStatus, statusLabel, failed, latency } = requests(watched, metrics);
  const panels: Panel[] = [
    {
      type: "timeseries",
      title: "Requests by status",
      unit: "reqps",
      queries: { [`{{${statusLabel}}}`]: byStatus },
    },
    {
      type: "timeseries",
      title: "Share of errors",
      unit: "percentunit",
      share: true,
      alert: { above: errorShare },
      queries: { "5xx": failed },
    },
  ];
  if (!latency) return panels;
  const queries = Object.fromEntries([0.5, 0.95, 0.99].map((quantile) => [`${quantile * 100} %`, latency(quantile)]));
  return [...panels, { type: "timeseries", title: "Latency", unit: "s", queries }];
}

function ofDatabase(watched: Watched, args: NonNullable<Watched["database"]>): Panel[] {
  const { wanted, ready, free } = database(watched, args);
  return [
    { type: "timeseries", title: "Database's pods", unit: "short", queries: { wanted, ready } },
    {
      type: "timeseries",
      title: "Free on the database's volume",
      unit: "percentunit",
      share: true,
      alert: { below: freeShare },
      queries: { "{{persistentvolumeclaim}}": free },
    },
  ];
}

function ofBackup(watched: Watched, args: NonNullable<Watched["backup"]>): Panel[] {
  return [
    {
      type: "stat",
      title: "Age of the last backup",
      unit: "s",
      alert: { above: args.maxAgeHours * 3600 },
      queries: { age: backup(watched, args).age },
    },
  ];
}
