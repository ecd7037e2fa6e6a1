import assert from "node:assert/strict";
import { alertsOf } from "../../../../components/kubernetes/monitoring/alerts.ts";
import { dashboardOf } from "../../../../components/kubernetes/monitoring/dashboard.ts";
import { Monitoring, type MonitoringArgs } from "../../../../components/kubernetes/monitoring/monitoring.ts";
import { declared } from "../../../declared.ts";
import { runbook, shop } from "./shop.ts";

const labels = {
  "app.kubernetes.io/name": "shop",
  "app.kubernetes.io/component": "monitoring",
  "app.kubernetes.io/part-of": "store",
  "app.kubernetes.io/managed-by": "pulumi",
};
const release = { release: "kube-prometheus-stack" };
const args: MonitoringArgs = { ...shop, partOf: "store", prometheus: { labels: release }, runbook };
const { metrics: _, ...withoutMetrics } = args;

describe("Monitoring", () => {
  it("is rules, how metrics are read, the way to them, and a dashboard", async () => {
    const { "Monitoring m": _, ...resources } = await declared(() => new Monitoring("m", args));
    const metadata = { name: "shop", namespace: "shop-prod", labels: { ...labels, ...release } };
    assert.deepEqual(resources, {
      "PrometheusRule m-alerts": {
        apiVersion: "monitoring.coreos.com/v1",
        kind: "PrometheusRule",
        metadata,
        spec: { groups: [{ name: "shop", rules: alertsOf(shop, runbook) }] },
      },
      "ServiceMonitor m-monitor": {
        apiVersion: "monitoring.coreos.com/v1",
        kind: "ServiceMonitor",
        metadata,
        spec: {
          selector: { matchLabels: { "app.kubernetes.io/name": "shop" } },
          endpoints: [{ port: "http", path: "/metrics" }],
        },
      },
      "NetworkPolicy m-policy": {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: { name: "shop-metrics", namespace: "shop-prod", labels },
        spec: {
          podSelector: { matchLabels: { "app.kubernetes.io/name": "shop" } },
          policyTypes: ["Ingress"],
          ingress: [
            {
              from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }],
              ports: [{ port: "http", protocol: "TCP" }],
            },
          ],
        },
      },
      "ConfigMap m-dashboard": {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: {
          name: "shop-dashboard",
          namespace: "shop-prod",
          labels: { ...labels, grafana_dashboard: "1" },
          annotations: { grafana_folder: "store" },
        },
        data: { "shop-prod-shop.json": JSON.stringify(dashboardOf(shop)) },
      },
    });
  });

  it("of an application without metrics opens no way to it", async () => {
    const resources = await declared(() => new Monitoring("m", withoutMetrics));
    assert.deepEqual(Object.keys(resources).sort(), [
      "ConfigMap m-dashboard",
      "Monitoring m",
      "PrometheusRule m-alerts",
    ]);
  });

  it("follows another installation's names", async () => {
    const resources = await declared(
      () =>
        new Monitoring("m", {
          ...args,
          prometheus: { namespace: "observability", labels: { team: "store" } },
        }),
    );
    assert.match(JSON.stringify(resources["NetworkPolicy m-policy"]), /"kubernetes.io\/metadata.name":"observability"/);
    for (const name of ["PrometheusRule m-alerts", "ServiceMonitor m-monitor"]) {
      const { metadata } = resources[name] as { metadata: { labels: object } };
      assert.deepEqual(metadata.labels, { ...labels, team: "store" });
    }
  });
});

describe("Alerts", () => {
  const { metrics: _, database: __, backup: ___, ...application } = shop;
  const names = (watched: Parameters<typeof alertsOf>[0]) => alertsOf(watched).map(({ alert }) => alert);
  const always = [
    "ContainerRestarting",
    "ContainerStuck",
    "ApplicationDown",
    "ApplicationReplicasMissing",
    "RolloutStuck",
    "AutoscalerAtMaximum",
  ];

  it("are of what there is", () => {
    const { metrics, database, backup } = shop;
    assert.deepEqual(names(application), always);
    assert.deepEqual(names({ ...application, metrics }), [...always, "ApplicationErrors", "ApplicationMetricsMissing"]);
    assert.deepEqual(names({ ...application, database }), [
      ...always,
      "DatabaseNotReady",
      "DatabaseVolumeNearlyFull",
      "DatabaseVolumeFilling",
    ]);
    assert.deepEqual(names({ ...application, backup }), [...always, "BackupTooOld", "BackupSuspended", "BackupFailed"]);
  });

  it("say how bad it is, what it is, and where the way out stands", () => {
    for (const { alert, labels, annotations } of alertsOf(shop, runbook)) {
      assert.ok(["critical", "warning"].includes(labels.severity), alert);
      assert.deepEqual(Object.keys(annotations), ["summary", "description", "runbook_url"], alert);
      assert.equal(annotations.runbook_url, `${runbook}#${alert.toLowerCase()}`);
    }
    for (const { alert, annotations } of alertsOf(shop)) {
      assert.deepEqual(Object.keys(annotations), ["summary", "description"], alert);
    }
  });

  it("ask for the application's own names of its counter and its label", () => {
    const metrics = { path: "/metrics", requests: "shop_answers_total", statusLabel: "code" };
    const { expr } = alertsOf({ ...shop, metrics }).find(({ alert }) => alert === "ApplicationErrors")!;
    assert.match(expr, /^\(sum by \(namespace\) \(rate\(shop_answers_total\{[^}]*,code=~"5\.\."\}\[5m\]\)\)/);
    assert.doesNotMatch(expr, /http_requests_total|status/);
  });

  it("take a dot in a name for a dot", () => {
    const rules = alertsOf({ ...shop, database: { statefulSet: "my.sql" } });
    const { expr } = rules.find(({ alert }) => alert === "DatabaseVolumeNearlyFull")!;
    assert.match(expr, /persistentvolumeclaim=~"\.\+-my\[\.\]sql-\[0-9\]\+"/);
  });
});
