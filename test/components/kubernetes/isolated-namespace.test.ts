import assert from "node:assert/strict";
import { IsolatedNamespace } from "../../../components/kubernetes/isolated-namespace.ts";
import { declared, optionsOf } from "../../declared.ts";

describe("IsolatedNamespace", () => {
  const args = {
    namespace: "shop-dev",
    quota: { "requests.cpu": "2" },
    defaults: { cpu: "100m", memory: "128Mi" },
  };
  const metadata = (name: string) => ({ name, namespace: "shop-dev" });

  it("holds its pods to the standard, bounds what they take, and lets nothing pass but questions to DNS", async () => {
    const { "IsolatedNamespace n": _, ...resources } = await declared(() => new IsolatedNamespace("n", args));
    const standard = "pod-security.kubernetes.io";
    assert.deepEqual(resources, {
      "Namespace n-namespace": {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: {
          name: "shop-dev",
          labels: {
            [`${standard}/enforce`]: "restricted",
            [`${standard}/enforce-version`]: "latest",
            [`${standard}/warn`]: "restricted",
            [`${standard}/warn-version`]: "latest",
            [`${standard}/audit`]: "restricted",
            [`${standard}/audit-version`]: "latest",
          },
        },
      },
      "ResourceQuota n-quota": {
        apiVersion: "v1",
        kind: "ResourceQuota",
        metadata: metadata("quota"),
        spec: { hard: { "services.nodeports": "0", "services.loadbalancers": "0", "requests.cpu": "2" } },
      },
      "LimitRange n-defaults": {
        apiVersion: "v1",
        kind: "LimitRange",
        metadata: metadata("defaults"),
        spec: {
          limits: [
            {
              type: "Container",
              defaultRequest: { cpu: "100m", memory: "128Mi", "ephemeral-storage": "256Mi" },
              default: { memory: "128Mi", "ephemeral-storage": "256Mi" },
            },
          ],
        },
      },
      "NetworkPolicy n-default-deny": {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: metadata("default-deny"),
        spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
      },
      "NetworkPolicy n-dns": {
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        metadata: metadata("dns"),
        spec: {
          podSelector: {},
          policyTypes: ["Egress"],
          egress: [
            {
              to: [
                {
                  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
                  podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
                },
                { ipBlock: { cidr: "169.254.20.10/32" } },
              ],
              ports: [
                { protocol: "UDP", port: 53 },
                { protocol: "TCP", port: 53 },
              ],
            },
          ],
        },
      },
    });
  });

  it("is kept unless it may go, and bounds what is put into it before that is there", async () => {
    let space: IsolatedNamespace | undefined;
    const made = (deletionPolicy?: "DELETE" | "PREVENT") =>
      optionsOf(() => {
        space = new IsolatedNamespace("n", { ...args, deletionPolicy });
      });
    const options = await made();
    assert.equal(options["n-namespace"]!.protect, true);
    assert.equal((await made("DELETE"))["n-namespace"]!.protect, undefined);
    assert.equal(space?.ready.length, 5);
    for (const name of ["n-quota", "n-defaults", "n-default-deny", "n-dns"]) {
      assert.deepEqual(options[name]?.dependsOn, ["n-namespace"], name);
    }
  });
});
