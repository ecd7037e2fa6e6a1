/** A database whose size may change, and whose volume may not: what the engine does, on the sandbox's own Kubernetes. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../sandbox/daemon.ts";
import { Client } from "../../sandbox/kubernetes/client.ts";
import { type Part, starters } from "../../sandbox/parts.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { assertSecretsKept, assertStateEmpty, type Laid, lay, preview, requireEngine, up } from "./support.ts";

const world = {
  owner: { login: "", id: 0, type: "User" as const },
  repositories: [],
  projects: [],
  images: [],
  contexts: [],
};
const set = "/apis/apps/v1/namespaces/shop/statefulsets/mysql";
const storageClass = "/apis/storage.k8s.io/v1/storageclasses/kwok-volume";
const claim = "/api/v1/namespaces/shop/persistentvolumeclaims/data-mysql-0";
const pod = "/api/v1/namespaces/shop/pods/mysql-0";

describe("A database", function () {
  this.timeout(600_000);
  let folder: string | undefined;
  let part: Part;
  let laid: Laid;
  let client: Client;

  before(async function () {
    const pulumi = requireEngine.call(this);
    folder = mkdtempSync(join(tmpdir(), "mysql-"));
    const below = folder;
    part = await startedOrSkipped(this, () => starters["kubernetes"]!(world, "", below));
    client = new Client(part.address);
    // The one for which kwok provides; as it comes its volumes keep their size.
    const growing = { allowVolumeExpansion: true };
    await client.request("PATCH", storageClass, growing, "application/merge-patch+json");
    laid = lay(pulumi, "mysql", part, join(folder, "stack"));
    await laid.engine.run(["stack", "init", "test", "--no-select"]);
    await configure({
      image: "mysql:8.4.6",
      memory: "1Gi",
      volume: "10Gi",
      class: "kwok-volume",
      deletionPolicy: "PREVENT",
    });
  });
  after(async () => {
    laid?.engine.kill();
    await part?.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const configure = async (values: Record<string, string>) => {
    for (const [key, value] of Object.entries(values)) await laid.engine.run(["config", "set", key, value]);
  };

  /** What the steps of a preview are, those that leave things as they are apart. */
  const planned = async (...flags: string[]) =>
    (await preview(laid, ...flags))
      .filter(({ op }) => op !== "same" && op !== "refresh")
      .map(({ op, urn }) => `${op} ${urn.split("::").at(-1)}`)
      .sort();

  /** Which objects there are, and what was asked of them the last time. */
  const objects = async () => {
    const resources = (await client.resources()).filter(({ kind }) =>
      ["StatefulSet", "Pod", "PersistentVolumeClaim", "Service", "ConfigMap", "Secret", "NetworkPolicy"].includes(kind),
    );
    const all = (await Promise.all(resources.map((resource) => client.list(resource)))).flat();
    return all
      .filter(({ metadata }) => metadata.namespace === "shop")
      .map(({ kind, metadata: { name, uid, generation } }) => `${kind} ${name} ${uid} ${generation}`)
      .sort();
  };
  const uidOf = async (path: string) => (await client.get(path))!.metadata["uid"];

  /** The size of the volume that new pods would get, and that of the one that is there. */
  const volumes = async () => {
    const { spec } = await client.request<{ spec: { volumeClaimTemplates: { spec: Claim }[] } }>("GET", set);
    const there = await client.request<{ spec: Claim }>("GET", claim);
    return [spec.volumeClaimTemplates[0]!.spec, there.spec].map(({ resources }) => resources.requests.storage);
  };

  it("comes up under Pod Security's restricted, and a second preview has no change", async () => {
    await up(laid);
    assert.deepEqual(await volumes(), ["10Gi", "10Gi"]);
    const { secrets } = (await part.held()) as { secrets: Record<string, string> };
    assert.deepEqual(Object.keys(secrets).sort(), [
      "Secret shop/db-credentials: password",
      "Secret shop/db-credentials: rootpassword",
      "Secret shop/db-credentials: user",
      "Secret shop/mysql-backup-credentials: password",
      "Secret shop/mysql-backup-credentials: user",
    ]);
    for (const [name, value] of Object.entries(secrets)) {
      if (name.endsWith("password")) laid.canaries.set(name, value);
    }
    assert.equal(laid.canaries.size, 3);
    await laid.engine.run(["preview", "--expect-no-changes"]);
    await laid.engine.run(["refresh", "--yes", "--expect-no-changes"]);
  });

  it("takes another image and size where it stands", async () => {
    const [itself, volume] = [await uidOf(set), await uidOf(claim)];
    await configure({ image: "mysql:8.4.7" });
    assert.deepEqual(await planned(), ["update db-set"]);
    await up(laid);
    await configure({ memory: "2Gi" });
    assert.deepEqual(
      (await planned()).filter((step) => !step.endsWith(" db-config")),
      ["update db-set"],
    );
    await up(laid);
    assert.deepEqual([await uidOf(set), await uidOf(claim)], [itself, volume]);
    const { spec } = await client.request<{ spec: { template: { spec: { containers: Container[] } } } }>("GET", set);
    const [{ image, resources }] = spec.template.spec.containers as [Container];
    assert.deepEqual([image, resources.limits.memory], ["mysql:8.4.7", "2Gi"]);
    await laid.engine.run(["preview", "--expect-no-changes"]);
  });

  for (const [key, value, was, words] of [
    ["volume", "20Gi", "10Gi", "storage.size is 10Gi and cannot become 20Gi"],
    ["class", "other", "kwok-volume", "storage.storageClass is kwok-volume and cannot become other"],
  ] as const) {
    it(`refuses another ${key} by the preview and by up, and has touched nothing`, async () => {
      const before = await objects();
      await configure({ [key]: value });
      const refusal = new RegExp(
        `db-set keeps what it was made with: ${words}. Nothing has been touched. Take the change back, (.|\\n)*kubectl --namespace shop patch pvc data-mysql-0`,
      );
      await assert.rejects(laid.engine.run(["preview"]), refusal);
      await assert.rejects(laid.engine.run(["preview", "--refresh"]), refusal);
      await assert.rejects(up(laid), refusal);
      await assert.rejects(up(laid, "--refresh"), refusal);
      assert.deepEqual(await objects(), before);
      await configure({ [key]: was });
      await laid.engine.run(["up", "--yes", "--skip-preview", "--expect-no-changes"]);
    });
  }

  it("is given a bigger volume as its refusal says, and runs on meanwhile", async () => {
    const [running, volume] = [await uidOf(pod), await uidOf(claim)];
    await configure({ volume: "20Gi" });
    // What kubectl would send.
    const bigger = { spec: { resources: { requests: { storage: "20Gi" } } } };
    await client.request("PATCH", claim, bigger, "application/merge-patch+json");
    await client.request("DELETE", `${set}?propagationPolicy=Orphan`);
    await until("the StatefulSet gone", async () => !(await client.get(set)));
    assert.deepEqual(await planned("--refresh"), ["create db-set"]);
    await up(laid, "--refresh");
    assert.deepEqual(await volumes(), ["20Gi", "20Gi"]);
    assert.deepEqual([await uidOf(pod), await uidOf(claim)], [running, volume]);
    const owners = (await client.get(pod))!.metadata["ownerReferences"] as { uid: string }[];
    assert.deepEqual(
      owners.map(({ uid }) => uid),
      [await uidOf(set)],
    );
    await laid.engine.run(["preview", "--expect-no-changes"]);
  });

  it("is not deleted while it is protected, and leaves its volume when it is not", async () => {
    const destroy = () => laid.engine.run(["destroy", "--yes", "--skip-preview"]);
    const before = await objects();
    await assert.rejects(destroy(), /protected/);
    assert.deepEqual(await objects(), before);
    await configure({ deletionPolicy: "DELETE" });
    await up(laid);
    await laid.engine.run(["destroy", "--yes", "--skip-preview", "--target", `${await urnOf("db-set")}`]);
    await until("the pod gone", async () => !(await client.get(pod)));
    assert.ok(await client.get(claim));
    await destroy();
    await assertStateEmpty(laid);
  });

  it("shows no password", () => assertSecretsKept(laid));

  const urnOf = async (name: string) =>
    resourcesIn(await laid.engine.run(["stack", "export"]))
      .map(({ urn }) => urn)
      .find((urn) => urn.endsWith(`::${name}`));
});

interface Claim {
  resources: { requests: { storage: string } };
}

interface Container {
  image: string;
  resources: { limits: { memory: string } };
}

const resourcesIn = (state: string) =>
  (JSON.parse(state) as { deployment: { resources: { urn: string; inputs: object; outputs: object }[] } }).deployment
    .resources;
