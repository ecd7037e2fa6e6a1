/** What an application's monitoring declares, tried by a real API server with the operator's own kinds. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Monitoring } from "../../components/kubernetes/monitoring/monitoring.ts";
import type { KubernetesObject } from "../../sandbox/kubernetes/client.ts";
import { type Kubernetes, startKubernetes } from "../../sandbox/kubernetes/index.ts";
import { strictly } from "../../sandbox/kubernetes/strictly.ts";
import { runbook, shop } from "../components/kubernetes/monitoring/shop.ts";
import { declared } from "../declared.ts";
import { startedOrSkipped } from "../support/skip.ts";

describe("Kubernetes' own API server takes Monitoring's", function () {
  this.timeout(180_000);
  let folder: string;
  let kubernetes: Kubernetes;
  let objects: Record<string, KubernetesObject>;

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "kubernetes-"));
    kubernetes = await startedOrSkipped(this, () => startKubernetes(folder));
    await kubernetes.client.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: shop.namespace } });
    const prometheus = { labels: { release: "kube-prometheus-stack" } };
    const resources = await declared(() => new Monitoring("m", { ...shop, partOf: "store", prometheus, runbook }));
    objects = resources as unknown as typeof objects;
  });
  after(async () => {
    await kubernetes?.reset();
    await kubernetes?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const name of [
    "PrometheusRule m-alerts",
    "ServiceMonitor m-monitor",
    "NetworkPolicy m-policy",
    "ConfigMap m-dashboard",
  ]) {
    it(name, async () => assert.equal(await strictly(kubernetes.client, objects[name]!), undefined));
  }

  it("and would not take a rule with a duration that is none", async () => {
    const rule = structuredClone(objects["PrometheusRule m-alerts"]!) as KubernetesObject & {
      spec: { groups: { rules: { for: string }[] }[] };
    };
    rule.spec.groups[0]!.rules[0]!.for = "soon";
    assert.match((await strictly(kubernetes.client, rule)) ?? "", /spec\.groups\[0\]\.rules\[0\]\.for/);
  });
});
