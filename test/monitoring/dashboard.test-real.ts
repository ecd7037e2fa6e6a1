/** Every expression of the dashboard, by Prometheus' own evaluation of it. */
import assert from "node:assert/strict";
import { dashboardOf } from "../../components/kubernetes/monitoring/dashboard.ts";
import { shop } from "../components/kubernetes/monitoring/shop.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { withoutLabels } from "./mutants.ts";
import { findPromtool, otherwise, type Series, testRules } from "./promtool.ts";

const inShop = 'namespace="shop-prod"';
const pod = (number: number) => `${inShop},pod="shop-7d4b9c6f5d-x2x4${number}",container="shop"`;
const claim = `${inShop},persistentvolumeclaim="data-mysql-0"`;
const own: Series = {
  [`http_requests_total{${inShop},service="shop",pod="a",status="200"}`]: "0+60x60",
  [`http_requests_total{${inShop},service="shop",pod="b",status="200"}`]: "0+48x60",
  [`http_requests_total{${inShop},service="shop",pod="b",status="503"}`]: "0+12x60",
  // Of 100 a second, 50 take up to 0.125 s, 48 up to 1.125 s, and 2 up to 9.125 s.
  [`http_request_duration_seconds_bucket{${inShop},service="shop",pod="a",le="0.125"}`]: "0+3000x60",
  [`http_request_duration_seconds_bucket{${inShop},service="shop",pod="a",le="1.125"}`]: "0+5880x60",
  [`http_request_duration_seconds_bucket{${inShop},service="shop",pod="a",le="9.125"}`]: "0+6000x60",
  [`http_request_duration_seconds_bucket{${inShop},service="shop",pod="a",le="+Inf"}`]: "0+6000x60",
  [`kube_deployment_spec_replicas{${inShop},deployment="shop"}`]: "3x60",
  [`kube_deployment_status_replicas_available{${inShop},deployment="shop"}`]: "2x60",
  [`kube_pod_container_status_restarts_total{${pod(2)},uid="1"}`]: "0x29 2x60",
  [`container_cpu_usage_seconds_total{${pod(2)}}`]: "0+7.5x60",
  [`container_cpu_usage_seconds_total{${pod(5)}}`]: "0+15x60",
  [`container_memory_working_set_bytes{${pod(2)}}`]: "1000x60",
  [`container_memory_working_set_bytes{${pod(5)}}`]: "500x60",
  [`kube_pod_container_resource_requests{${pod(2)},resource="cpu",unit="core"}`]: "0.25x60",
  [`kube_pod_container_resource_requests{${pod(5)},resource="cpu",unit="core"}`]: "0.25x60",
  [`kube_pod_container_resource_requests{${pod(2)},resource="memory",unit="byte"}`]: "2000x60",
  [`kube_pod_container_resource_requests{${pod(5)},resource="memory",unit="byte"}`]: "2000x60",
  [`kube_statefulset_replicas{${inShop},statefulset="mysql"}`]: "1x60",
  [`kube_statefulset_status_replicas_ready{${inShop},statefulset="mysql"}`]: "0x60",
  [`kubelet_volume_stats_capacity_bytes{${claim}}`]: "1000x60",
  [`kubelet_volume_stats_available_bytes{${claim}}`]: "250x60",
  [`kube_cronjob_created{${inShop},cronjob="mysql-backup"}`]: "0x60",
  [`kube_cronjob_status_last_successful_time{${inShop},cronjob="mysql-backup"}`]: "600x60",
};

/** Others', which are never counted: a job whose name begins alike, a pod's sum, another resource, and all of that under other names. */
const others: Series = {
  'container_cpu_usage_seconds_total{namespace="shop-prod",pod="shop-migrate-x2x4z",container="shop"}': "0+600x60",
  'container_memory_working_set_bytes{namespace="shop-prod",pod="shop-migrate-x2x4z",container="shop"}': "700x60",
  'kube_pod_container_resource_requests{namespace="shop-prod",pod="shop-migrate-x2x4z",container="shop",resource="cpu"}':
    "8x60",
  'kube_pod_container_resource_requests{namespace="shop-prod",pod="shop-migrate-x2x4z",container="shop",resource="memory"}':
    "8000x60",
  'container_cpu_usage_seconds_total{namespace="shop-prod",pod="shop-7d4b9c6f5d-x2x42",container=""}': "0+600x60",
  'container_memory_working_set_bytes{namespace="shop-prod",pod="shop-7d4b9c6f5d-x2x42",container=""}': "700x60",
  [`kube_pod_container_resource_requests{${pod(2)},resource="ephemeral_storage",unit="byte"}`]: "9000x60",
  ...Object.fromEntries(
    ["namespace", "deployment", "service", "statefulset", "cronjob", "persistentvolumeclaim"].flatMap((label) =>
      Object.keys(own)
        .filter((name) => name.includes(`${label}="`))
        .map((name) => [name.replace(new RegExp(`${label}="[^"]*"`), `${label}="other"`), "0+6000x60"]),
    ),
  ),
};

/** After an hour, by panel and legend: labels and value. They are compared to the last bit, so all can be written in binary. */
const expected: Record<string, Record<string, Record<string, number>>> = {
  "Requests by status": { "{{status}}": { '{status="200"}': 1.8, '{status="503"}': 0.2 } },
  "Share of errors": { "5xx": { [`{${inShop}}`]: 0.1 } },
  Latency: { "50 %": { "{}": 0.125 }, "95 %": { "{}": 1.0625 }, "99 %": { "{}": 5.125 } },
  Replicas: { wanted: { [`{${inShop},deployment="shop"}`]: 3 }, available: { [`{${inShop},deployment="shop"}`]: 2 } },
  "Restarts in an hour": { "{{pod}} {{container}}": { [`{${pod(2)}}`]: 2 } },
  Cores: { used: { [`{${inShop}}`]: 0.375 }, requested: { [`{${inShop}}`]: 0.5 } },
  Memory: { used: { [`{${inShop}}`]: 1500 }, requested: { [`{${inShop}}`]: 4000 } },
  "Database's pods": {
    wanted: { [`{${inShop},statefulset="mysql"}`]: 1 },
    ready: { [`{${inShop},statefulset="mysql"}`]: 0 },
  },
  "Free on the database's volume": { "{{persistentvolumeclaim}}": { [`{${claim}}`]: 0.25 } },
  "Age of the last backup": { age: { [`{${inShop},cronjob="mysql-backup"}`]: 3000 } },
};

describe("Prometheus answers the dashboard", () => {
  let promtool: string;
  const panels = dashboardOf(shop).panels.map(
    ({ title, targets }) => [title, targets.map(({ legendFormat, expr }) => [legendFormat, expr] as const)] as const,
  );

  before(async function () {
    promtool = await startedOrSkipped(this, async () => findPromtool());
  });

  it("in every panel", () => {
    assert.deepEqual(
      Object.fromEntries(panels.map(([title, targets]) => [title, targets.map(([legend]) => legend)])),
      Object.fromEntries(Object.entries(expected).map(([title, legends]) => [title, Object.keys(legends)])),
    );
  });

  for (const [title, targets] of panels) {
    it(`${title}, and otherwise if any label were not asked for`, () => {
      const expressions = targets.map(([legend, expr]) => ({
        expr,
        eval_time: "60m",
        exp_samples: Object.entries(expected[title]![legend]!).map(([labels, value]) => ({ labels, value })),
      }));
      const series = { ...own, ...others };
      assert.equal(testRules(promtool, [], [{ series, expressions }]), "");
      for (const each of expressions) {
        for (const { what, expr } of withoutLabels(each.expr)) {
          assert.ok(otherwise(testRules(promtool, [], [{ series, expressions: [{ ...each, expr }] }])), what);
        }
      }
    });
  }
});
