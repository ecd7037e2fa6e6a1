/** Every Kubernetes object that a stack renders, tried by a real API server: half a minute. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parse } from "yaml";
import { root } from "../../cli/engine.ts";
import { kindsModule, kindsModules } from "../../cli/kinds.ts";
import { computed } from "../../cli/render/program.ts";
import { stacksIn } from "../../cli/render/stack-file.ts";
import { secretPlaceholder } from "../../config.ts";
import type { KubernetesObject } from "../../sandbox/kubernetes/client.ts";
import { type Kubernetes, startKubernetes } from "../../sandbox/kubernetes/index.ts";
import { strictly } from "../../sandbox/kubernetes/strictly.ts";
import { filesBelow } from "../support/files.ts";
import { startedOrSkipped } from "../support/skip.ts";

describe("Kubernetes' own API server", function () {
  this.timeout(180_000);
  let folder: string;
  let kubernetes: Kubernetes;
  const files = stacksIn(root)
    .map((stack) => join(root, "rendered", stack, "kubernetes"))
    .filter((below) => existsSync(below))
    .flatMap(filesBelow);
  const rendered = new Map(files.map((file) => [relative(root, file), read(file)]));

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "kubernetes-"));
    kubernetes = await startedOrSkipped(this, () => startKubernetes(folder));
    const namespaces = [...rendered.values()].map(({ kind, metadata }) =>
      kind === "Namespace" ? metadata.name : metadata.namespace,
    );
    for (const name of new Set(namespaces)) {
      if (name) await kubernetes.client.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    }
  });
  after(async () => {
    // A cluster that was named stays.
    await kubernetes?.reset();
    await kubernetes?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  describe("takes every object that is rendered", () => {
    if (rendered.size === 0) console.log("  NOTHING TO TRY: no stack renders a Kubernetes object");
    for (const [file, object] of rendered) {
      it(file, async () => assert.equal(await strictly(kubernetes.client, object), undefined));
    }
  });

  for (const [file, module] of Object.entries(kindsModules)) {
    it(`is given the kinds of which ${file} has the types (else: make kinds)`, async () => {
      assert.equal(readFileSync(join(root, file), "utf8"), await kindsModule(module));
    });
  }

  it("would say that a part is left out of a kind's type which the kind does not have", async () => {
    await assert.rejects(
      kindsModule({ whose: "the operator's", kinds: { ServiceMonitor: ["endpoints.tlsConfig", "endpoints.tls"] } }),
      /^Error: cli\/kinds\.ts leaves out tls, which the kind does not have: name another, or none$/,
    );
  });

  describe("would not take", () => {
    const named = (name: string) => ({ metadata: { name, namespace: "argocd" } });
    const destination = { server: "https://kubernetes.default.svc", namespace: "shop" };
    const spec = { project: "shop", destination, source: { repoURL: "https://example.com/shop.git", path: "." } };
    const application = { apiVersion: "argoproj.io/v1alpha1", kind: "Application", ...named("shop"), spec };
    const secret = { apiVersion: "v1", kind: "Secret", ...named("argocd-secret") };
    const image = { alias: "shop", imageName: "registry.invalid/shop" };
    const updater = {
      apiVersion: "argocd-image-updater.argoproj.io/v1alpha1",
      kind: "ImageUpdater",
      ...named("shop"),
      spec: { applicationRefs: [{ namePattern: "shop", images: [image] }] },
    };
    const refusals: [what: string, object: KubernetesObject, words: RegExp][] = [
      [
        "a field that a kind does not have",
        { ...updater, spec: { ...updater.spec, namespace: "argocd" } },
        /\.spec\.namespace: field not declared in schema/,
      ],
      [
        "a value of another type",
        { ...application, spec: { ...spec, syncPolicy: { automated: { prune: "true" } } } },
        /spec\.syncPolicy\.automated\.prune/,
      ],
      [
        "an object without what it needs",
        { ...application, spec: { ...spec, project: undefined } },
        /^Application\.argoproj\.io "shop" is invalid: spec\.project: Required value$/,
      ],
      ["a secret that is not in base64", { ...secret, data: { a: "not base64" } }, /illegal base64 data/],
      [
        "a namespace that is not there",
        { ...secret, metadata: { name: "a", namespace: "nowhere" } },
        /^namespaces "nowhere" not found$/,
      ],
      ["a kind that is not served", { ...secret, kind: "Secrets" }, /^the cluster knows no Secrets in v1$/],
    ];
    for (const [what, object, words] of refusals) {
      it(what, async () => assert.match((await strictly(kubernetes.client, object)) ?? "nothing refused", words));
    }

    it("any of these without its mistake, or do what it tries", async () => {
      const before = await kubernetes.objects();
      for (const object of [application, updater, { ...secret, data: { a: "eA==" } }]) {
        assert.equal(await strictly(kubernetes.client, object), undefined);
      }
      assert.deepEqual(await kubernetes.objects(), before);
    });
  });
});

/** A rendered object, with something in place of what the render does not tell. */
function read(file: string): KubernetesObject {
  const object = parse(readFileSync(file, "utf8")) as KubernetesObject;
  if (object.kind !== "Secret") return object;
  const filled = (values: unknown, untold: string) =>
    values === null || typeof values !== "object"
      ? undefined
      : Object.fromEntries(
          Object.entries(values).map(([key, value]) => [
            key,
            [secretPlaceholder, computed].includes(value) ? untold : value,
          ]),
        );
  // Some types of Secrets hold JSON.
  const data = filled(object["data"], Buffer.from("{}").toString("base64"));
  return { ...object, data, stringData: filled(object["stringData"], "{}") };
}
