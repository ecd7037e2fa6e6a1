import assert from "node:assert/strict";
import { alertsOf } from "../../../../components/kubernetes/monitoring/alerts.ts";
import { dashboardOf } from "../../../../components/kubernetes/monitoring/dashboard.ts";
import { shop } from "./shop.ts";

describe("A dashboard", () => {
  const { panels, ...dashboard } = dashboardOf(shop);

  it("has a uid that stays, and a datasource that whoever looks chooses", () => {
    assert.deepEqual(dashboard, {
      uid: "f3790813b761e62d",
      title: "shop (shop-prod)",
      tags: ["esteira", "shop-prod"],
      schemaVersion: 39,
      timezone: "browser",
      refresh: "1m",
      time: { from: "now-6h", to: "now" },
      graphTooltip: 1,
      templating: { list: [{ type: "datasource", name: "datasource", label: "Prometheus", query: "prometheus" }] },
    });
    const datasource = { type: "prometheus", uid: "${datasource}" };
    for (const { targets, ...panel } of panels) {
      for (const each of [panel, ...targets]) assert.deepEqual(each.datasource, datasource, panel.title);
    }
    assert.notEqual(dashboardOf({ ...shop, namespace: "shop-dev" }).uid, dashboard.uid);
    const till = { ...shop.application, deployment: "till" };
    assert.notEqual(dashboardOf({ ...shop, application: till }).uid, dashboard.uid);
  });

  it("puts its panels beside and below each other", () => {
    assert.deepEqual(
      panels.map(({ id, title, gridPos: { x, y, w, h } }) => [id, title, x, y, w, h]),
      [
        [1, "Requests by status", 0, 0, 12, 8],
        [2, "Share of errors", 12, 0, 12, 8],
        [3, "Latency", 0, 8, 12, 8],
        [4, "Replicas", 12, 8, 12, 8],
        [5, "Restarts in an hour", 0, 16, 12, 8],
        [6, "Cores", 12, 16, 12, 8],
        [7, "Memory", 0, 24, 12, 8],
        [8, "Database's pods", 12, 24, 12, 8],
        [9, "Free on the database's volume", 0, 32, 12, 8],
        [10, "Age of the last backup", 12, 32, 12, 8],
      ],
    );
  });

  it("is red where its alert begins", () => {
    const steps = (title: string) => panels.find((panel) => panel.title === title)!.fieldConfig.defaults["thresholds"];
    const from = (low: string, value: number, high: string) => ({
      mode: "absolute",
      steps: [
        { value: null, color: low },
        { value, color: high },
      ],
    });
    assert.deepEqual(steps("Share of errors"), from("green", 0.05, "red"));
    assert.deepEqual(steps("Free on the database's volume"), from("red", 0.1, "green"));
    assert.deepEqual(steps("Age of the last backup"), from("green", 26 * 3600, "red"));
    assert.equal(steps("Replicas"), undefined);
  });

  it("draws what the alerts compare", () => {
    const compared = alertsOf(shop).map(({ expr }) => expr);
    const titles = [
      "Share of errors",
      "Replicas",
      "Restarts in an hour",
      "Database's pods",
      "Free on the database's volume",
    ];
    for (const title of [...titles, "Age of the last backup"]) {
      for (const { expr } of panels.find((panel) => panel.title === title)!.targets) {
        assert.ok(
          compared.some((each) => each.includes(expr)),
          `${title}: ${expr}`,
        );
      }
    }
  });

  it("shows what there is, and names each query once", () => {
    const { metrics: _, database: __, backup: ___, ...application } = shop;
    const titles = (watched: Parameters<typeof dashboardOf>[0]) =>
      dashboardOf(watched).panels.map(({ title }) => title);
    assert.deepEqual(titles(application), ["Replicas", "Restarts in an hour", "Cores", "Memory"]);
    // Without a histogram there is no latency.
    assert.ok(!titles({ ...shop, metrics: { path: "/metrics" } }).includes("Latency"));
    for (const { targets } of panels) {
      assert.deepEqual(
        targets.map(({ refId }) => refId),
        ["A", "B", "C"].slice(0, targets.length),
      );
    }
  });
});
