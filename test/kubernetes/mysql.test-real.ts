/** A database and its backups, tried by a real API server in a namespace that enforces Pod Security's restricted: half a minute. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MySqlBackups } from "../../components/kubernetes/mysql/backups.ts";
import { MySql } from "../../components/kubernetes/mysql/mysql.ts";
import type { KubernetesObject } from "../../sandbox/kubernetes/client.ts";
import { type Kubernetes, startKubernetes } from "../../sandbox/kubernetes/index.ts";
import { strictly } from "../../sandbox/kubernetes/strictly.ts";
import { declared } from "../declared.ts";
import { startedOrSkipped } from "../support/skip.ts";

describe("Kubernetes' own API server", function () {
  this.timeout(180_000);
  const namespace = "shop-prod";
  let folder: string;
  let kubernetes: Kubernetes;
  let objects: KubernetesObject[];

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "kubernetes-"));
    kubernetes = await startedOrSkipped(this, () => startKubernetes(folder));
    const metadata = { name: namespace, labels: { "pod-security.kubernetes.io/enforce": "restricted" } };
    await kubernetes.client.apply({ apiVersion: "v1", kind: "Namespace", metadata });
    const shop = { namespace, partOf: "shop" };
    const all = await declared(() => {
      const mysql = new MySql("db", {
        ...shop,
        ...{ image: "mysql:8.4.7", database: "shop", user: "shop", clients: ["shop"] },
        ...{ size: { cpu: "500m", memory: "2Gi" }, storage: { size: "10Gi" } },
      });
      const bucket = { name: "acme-backups", project: "my-project", location: "us-east1", keptDays: 30 };
      new MySqlBackups("backups", {
        ...{ ...shop, mysql, bucket, schedule: "0 3 * * *", timeZone: "America/Sao_Paulo" },
        cluster: { project: "my-project", projectNumber: "123456789012" },
      });
    });
    objects = Object.values(all)
      .filter(({ kind }) => kind !== undefined)
      // A secret is not told.
      .map(({ stringData: _, ...object }) => object as unknown as KubernetesObject);
    assert.equal(objects.length, 13);
  });
  after(async () => {
    await kubernetes?.reset();
    await kubernetes?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("takes each object of a database and its backups", async () => {
    for (const object of objects) {
      assert.equal(await strictly(kubernetes.client, object), undefined, `${object.kind} ${object.metadata.name}`);
    }
  });

  it("takes each of their pods, as restricted as they are", async () => {
    const accounts = objects.filter(({ kind }) => kind === "ServiceAccount");
    for (const account of accounts) await kubernetes.client.apply(account);
    const pods = objects.flatMap((object) => {
      const { template, jobTemplate } = (object["spec"] ?? {}) as Spec;
      const pod = template ?? jobTemplate?.spec.template;
      return pod ? [{ ...pod, metadata: { ...pod.metadata, name: object.metadata.name, namespace } }] : [];
    });
    assert.deepEqual(pods.map(({ metadata }) => metadata.name).sort(), ["mysql", "mysql-backup", "mysql-restore"]);
    for (const { metadata, spec } of pods) {
      // What the StatefulSet adds.
      const claim = { name: "data", persistentVolumeClaim: { claimName: "data-mysql-0" } };
      const volumes = metadata.name === "mysql" ? [...spec.volumes, claim] : spec.volumes;
      const pod = { apiVersion: "v1", kind: "Pod", metadata, spec: { ...spec, volumes } };
      assert.equal(await strictly(kubernetes.client, pod), undefined, metadata.name);
      const loose = { ...pod, spec: { ...pod.spec, securityContext: {} } };
      assert.match((await strictly(kubernetes.client, loose)) ?? "", /violates PodSecurity "restricted/);
    }
  });
});

interface Pod {
  metadata: object;
  spec: { volumes: object[] };
}

interface Spec {
  template?: Pod;
  jobTemplate?: { spec: { template: Pod } };
}
