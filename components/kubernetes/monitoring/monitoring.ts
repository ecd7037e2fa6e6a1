import { apiextensions, core, networking } from "@pulumi/kubernetes";
import { ComponentResource, type ComponentResourceOptions } from "@pulumi/pulumi";
import { inNamespace, labelsOf } from "../pods.ts";
import { alertsOf } from "./alerts.ts";
import { dashboardOf } from "./dashboard.ts";
import type { PrometheusRuleSpec, ServiceMonitorSpec } from "./kinds.ts";
import type { Watched } from "./queries.ts";

/** Arguments of {@link Monitoring}: what is watched, and by which installation. */
export interface MonitoringArgs extends Watched {
  /** The system that the application is a part of. */
  partOf: string;
  /** The Prometheus that reads rules and monitors, installed with its operator. */
  prometheus: {
    /** The namespace that it runs in. @default "monitoring" */
    namespace?: string;
    /** Labels by which it takes rules and monitors, such as release: kube-prometheus-stack. Without them it sees neither. */
    labels: Readonly<Record<string, string>>;
  };
  /** Address of a page with a heading for each alert, such as ApplicationDown. @default the alerts name none */
  runbook?: string;
}

/**
 * An application's monitoring: its alerts, a dashboard and, where it has metrics, that they are read, with the one way through the
 * namespace's policies that this takes. It expects what kube-prometheus-stack installs: the Prometheus operator,
 * kube-state-metrics, the kubelet's metrics and Grafana with its sidecar for dashboards.
 * @example
 * new Monitoring("monitoring", {
 *   namespace: "shop-prod",
 *   partOf: "shop",
 *   application: { deployment: "shop", service: "shop", port: "http" },
 *   metrics: { path: "/metrics" },
 *   database: { statefulSet: "mysql" },
 *   backup: { cronJob: "mysql-backup", maxAgeHours: 26 },
 *   prometheus: { labels: { release: "kube-prometheus-stack" } },
 * })
 * @see https://prometheus-operator.dev/docs/api-reference/api/
 */
export class Monitoring extends ComponentResource {
  constructor(name: string, args: MonitoringArgs, opts?: ComponentResourceOptions) {
    super("esteira:kubernetes:Monitoring", name, {}, opts);
    const { namespace, partOf, application, metrics, prometheus, runbook } = args;
    const { deployment, port } = application;
    const { selector, labels } = labelsOf(deployment, "monitoring", partOf);
    const parent = { parent: this };
    const taken = { metadata: { name: deployment, namespace, labels: { ...labels, ...prometheus.labels } } };

    new apiextensions.CustomResource(
      `${name}-alerts`,
      {
        apiVersion: "monitoring.coreos.com/v1",
        kind: "PrometheusRule",
        ...taken,
        spec: { groups: [{ name: deployment, rules: alertsOf(args, runbook) }] } satisfies PrometheusRuleSpec,
      },
      parent,
    );
    if (metrics) {
      new apiextensions.CustomResource(
        `${name}-monitor`,
        {
          apiVersion: "monitoring.coreos.com/v1",
          kind: "ServiceMonitor",
          ...taken,
          spec: {
            selector: { matchLabels: selector },
            endpoints: [{ port, path: metrics.path }],
          } satisfies ServiceMonitorSpec,
        },
        parent,
      );
      new networking.v1.NetworkPolicy(
        `${name}-policy`,
        {
          metadata: { name: `${deployment}-metrics`, namespace, labels },
          spec: {
            podSelector: { matchLabels: selector },
            policyTypes: ["Ingress"],
            ingress: [
              {
                from: [inNamespace(prometheus.namespace ?? "monitoring")],
                ports: [{ port, protocol: "TCP" }],
              },
            ],
          },
        },
        parent,
      );
    }
    new core.v1.ConfigMap(
      `${name}-dashboard`,
      {
        metadata: {
          name: `${deployment}-dashboard`,
          namespace,
          // By which the sidecar knows a dashboard, and its folder.
          labels: { ...labels, grafana_dashboard: "1" },
          annotations: { grafana_folder: partOf },
        },
        // The sidecar puts the files of all namespaces into one folder.
        data: { [`${namespace}-${deployment}.json`]: JSON.stringify(dashboardOf(args)) },
      },
      parent,
    );
    this.registerOutputs();
  }
}
