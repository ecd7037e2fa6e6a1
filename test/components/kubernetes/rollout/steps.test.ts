import assert from "node:assert/strict";
import { deploy, rollback, rolloutRules } from "../../../../components/kubernetes/rollout/steps.ts";

const where = {
  namespace: "shop-prod",
  deployment: "shop",
  container: "web",
  image: "${{ needs.build.outputs.image }}",
  kubeconfig: "${{ secrets.KUBECONFIG }}",
};
const common = {
  NAMESPACE: "shop-prod",
  DEPLOYMENT: "shop",
  CONTAINER: "web",
  IMAGE: "${{ needs.build.outputs.image }}",
  KUBECONFIG_BASE64: "${{ secrets.KUBECONFIG }}",
};
const service = { name: "shop", port: "http" };

describe("the steps of a rollout", () => {
  it("hand on what they are given, and leave the rest to the program", () => {
    const { run, ...step } = deploy("rollout", { ...where, health: { url: "https://shop.example.com/health" } });
    assert.deepEqual(step, {
      name: "Roll out and watch",
      id: "rollout",
      shell: "python",
      env: {
        COMMAND: "deploy",
        ...common,
        HEALTH_URL: "https://shop.example.com/health",
        SMOKE_PATHS: "[]",
        READY: "[]",
      },
    });
    assert.match(run!, /^"""Rolls a Deployment out/);
  });

  it("have everything else too", () => {
    const { run: _, ...step } = deploy("rollout", {
      ...where,
      if: "github.ref == 'refs/heads/main'",
      health: { service },
      smokePaths: ["/", "/api"],
      ready: ["statefulset/mysql"],
      canary: {
        deployment: "shop-canary",
        replicas: 2,
        seconds: 30,
        service: { name: "shop-canary", port: "http" },
      },
      seconds: { rollout: 1, smoke: 2, watch: 3, probe: 0.5, unavailable: 5, blind: 0, rollback: 7 },
    });
    assert.equal(step.if, "github.ref == 'refs/heads/main'");
    assert.deepEqual(step.env, {
      COMMAND: "deploy",
      ...common,
      SERVICE: "http:shop:http",
      HEALTH_PATH: "/health",
      SMOKE_PATHS: '["/","/api"]',
      READY: '["statefulset/mysql"]',
      CANARY: "shop-canary",
      CANARY_REPLICAS: "2",
      CANARY_SECONDS: "30",
      CANARY_SERVICE: "http:shop-canary:http",
      ROLLOUT_SECONDS: "1",
      SMOKE_SECONDS: "2",
      WATCH_SECONDS: "3",
      PROBE_SECONDS: "0.5",
      UNAVAILABLE_SECONDS: "5",
      BLIND_SECONDS: "0",
      ROLLBACK_SECONDS: "7",
    });
  });

  it("go back by the same program where a step after them fails", () => {
    const previousRevision = "${{ steps.rollout.outputs.previous-revision }}";
    const { run, ...step } = rollback({ ...where, previousRevision });
    assert.deepEqual(step, {
      name: "Roll back",
      if: "failure()",
      shell: "python",
      env: { COMMAND: "rollback", ...common, PREVIOUS_REVISION: previousRevision },
    });
    assert.equal(run, deploy("rollout", { ...where, health: { service } }).run);
    assert.equal(rollback({ ...where, previousRevision, if: "always()" }).if, "always()");
  });
});

describe("rolloutRules", () => {
  const lists = [
    { apiGroups: ["apps"], resources: ["replicasets"], verbs: ["list"] },
    { apiGroups: [""], resources: ["pods"], verbs: ["list"] },
  ];
  const deployments = (...resourceNames: string[]) => ({
    apiGroups: ["apps"],
    resources: ["deployments"],
    resourceNames,
    verbs: ["get", "list", "watch", "patch"],
  });

  it("give no more than a rollout from outside needs", () => {
    const health = { url: "https://shop.example.com/health" };
    assert.deepEqual(rolloutRules({ deployment: "shop", health }), [deployments("shop"), ...lists]);
  });

  it("give a canary, the services that are asked and the workloads that are looked at, each by name", () => {
    assert.deepEqual(
      rolloutRules({
        deployment: "shop",
        health: { service },
        canary: { deployment: "shop-canary", service: { name: "shop-canary", port: "http" } },
        ready: ["statefulset/mysql", "deployment/mail", "statefulset/redis"],
      }),
      [
        deployments("shop", "shop-canary"),
        { apiGroups: ["apps"], resources: ["deployments/scale"], resourceNames: ["shop-canary"], verbs: ["patch"] },
        ...lists,
        {
          apiGroups: [""],
          resources: ["services/proxy"],
          resourceNames: ["http:shop:http", "http:shop-canary:http"],
          verbs: ["get"],
        },
        { apiGroups: ["apps"], resources: ["statefulsets"], resourceNames: ["mysql", "redis"], verbs: ["get"] },
        { apiGroups: ["apps"], resources: ["deployments"], resourceNames: ["mail"], verbs: ["get"] },
      ],
    );
  });
});
