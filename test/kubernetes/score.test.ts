import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { root } from "../../cli/engine.ts";
import { stacksIn } from "../../cli/render/stack-file.ts";
import { filesBelow } from "../support/files.ts";
import { Sandbox } from "../support/sandbox.ts";
import { meant, score } from "../support/score.ts";
import { metadata, shop } from "./well-kept.ts";

describe("kube-score", () => {
  const box = new Sandbox();
  after(() => box.dispose());

  let written = 0;
  const filesOf = (objects: readonly object[]) =>
    objects.map((object) => box.write(`${++written}.yaml`, JSON.stringify(object)));
  /** By object and check alone. */
  const findingsIn = (objects: readonly object[], ...exceptions: [string[]?]) =>
    score(filesOf(objects), ...exceptions).findings.map((finding) => finding.split(": ").slice(0, 2).join(" "));

  describe("finds nothing in what is rendered:", () => {
    const folders = stacksIn(root)
      .map((stack) => join(root, "rendered", stack, "kubernetes"))
      .filter((below) => existsSync(below))
      .flatMap((below) => readdirSync(below).map((namespace) => join(below, namespace)));
    const all: string[] = [];
    for (const folder of folders) {
      it(relative(root, folder), () => {
        const { findings } = score(filesBelow(folder));
        all.push(...findings);
        assert.deepEqual(
          findings.filter((finding) => !meant.some(([pattern]) => pattern.test(finding))),
          [],
        );
      });
    }
    it("but what is meant, each of it once at least", () => {
      for (const [pattern, why] of meant)
        assert.ok(
          all.some((finding) => pattern.test(finding)),
          why,
        );
    });
  });

  it("finds nothing in a namespace that is as it should be", () => {
    assert.deepEqual(score(filesOf(shop)), { scored: 9, findings: [] });
  });

  it("would ask for a limit of cores, but for the exception", () => {
    assert.deepEqual(findingsIn(shop, []), [
      "CronJob/batch/v1/shop/backup container-resources",
      "Deployment/apps/v1/shop/shop container-resources",
      "StatefulSet/apps/v1/shop/mysql container-resources",
    ]);
  });

  describe("finds", () => {
    const without = (kind: string) => shop.filter((object) => object.kind !== kind);
    /** The first object of a kind with other words in its JSON. */
    const changed = (kind: string, ...words: [from: string, to: string][]) => {
      const object = shop.find((object) => object.kind === kind)!;
      const text = words.reduce((before, [from, to]) => {
        assert.ok(before.includes(from), `${kind}: no ${from}`);
        return before.replace(from, to);
      }, JSON.stringify(object));
      return shop.map((each) => (each === object ? (JSON.parse(text) as object) : each));
    };
    const [deployment, statefulSet, cronJob] = [
      "Deployment/apps/v1/shop/shop",
      "StatefulSet/apps/v1/shop/mysql",
      "CronJob/batch/v1/shop/backup",
    ];
    const latest = [':1.2.3"', ':latest"'] as [string, string];
    const wrong: [what: string, objects: object[], ...findings: string[]][] = [
      ["an image without a version", changed("Deployment", latest), `${deployment} container-image-tag`],
      [
        "a container without limits of memory and disk",
        changed("StatefulSet", [',"limits":{"memory":"128Mi","ephemeral-storage":"256Mi"}', ""]),
        `${statefulSet} container-ephemeral-storage-request-and-limit`,
        `${statefulSet} container-resources`,
      ],
      [
        "a container that may write anywhere",
        changed("Deployment", ['"readOnlyRootFilesystem":true', '"readOnlyRootFilesystem":false']),
        `${deployment} container-security-context-readonlyrootfilesystem`,
      ],
      [
        "a pod that runs as root",
        changed("Deployment", ['"runAsUser":10001', '"runAsUser":0']),
        `${deployment} container-security-context-user-group-id`,
      ],
      [
        "a service's pod that does not say when it is ready",
        changed("Deployment", ['"readinessProbe"', '"livenessProbe"']),
        `${deployment} pod-probes`,
      ],
      [
        "a schedule whose start is waited for without an end",
        changed("CronJob", ['"startingDeadlineSeconds":600,', ""]),
        `${cronJob} cronjob-has-deadline`,
      ],
      [
        "pods without a policy",
        without("NetworkPolicy"),
        `${cronJob} pod-networkpolicy`,
        `${deployment} pod-networkpolicy`,
        `${statefulSet} pod-networkpolicy`,
      ],
      [
        "what may all be evicted at once",
        without("PodDisruptionBudget"),
        `${deployment} deployment-has-poddisruptionbudget`,
      ],
      [
        "an autoscaler of nothing",
        changed("HorizontalPodAutoscaler", ['"name":"shop"},"minReplicas"', '"name":"till"},"minReplicas"']),
        `${deployment} deployment-replicas`,
        "HorizontalPodAutoscaler/autoscaling/v2/shop/shop horizontalpodautoscaler-has-target",
      ],
      [
        "a service of nothing",
        changed("Service", [
          '"selector":{"app.kubernetes.io/name":"shop"}',
          '"selector":{"app.kubernetes.io/name":"till"}',
        ]),
        "Service/v1/shop/shop service-targets-pod",
      ],
      [
        "an ingress to nothing",
        changed("Ingress", ['"service":{"name":"shop"', '"service":{"name":"till"']),
        "Ingress/networking.k8s.io/v1/shop/shop ingress-targets-service",
      ],
      [
        "what would leave a check out by itself",
        changed("Deployment", latest, [
          '"metadata":{',
          '"metadata":{"annotations":{"kube-score/ignore":"container-image-tag"},',
        ]),
        `${deployment} container-image-tag`,
      ],
    ];
    for (const [what, objects, ...findings] of wrong) {
      it(what, () => assert.deepEqual([...new Set(findingsIn(objects))].sort(), findings.sort()));
    }
  });

  it("says which object it cannot read", () => {
    const objects = [
      { apiVersion: "apps/v1", kind: "Deployment", metadata: metadata("shop"), spec: { replicas: "two" } },
    ];
    assert.throws(() => score(filesOf(objects)), /kube-score: .*two|kube-score: .*replicas/s);
  });
});
