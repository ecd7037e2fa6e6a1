import assert from "node:assert/strict";
import { ScheduledTask } from "../../../components/kubernetes/scheduled-task.ts";
import { declared, optionsOf } from "../../declared.ts";
import { restricted } from "./restricted.ts";

describe("ScheduledTask", () => {
  const args = {
    namespace: "shop",
    partOf: "shop",
    task: "report",
    image: "ghcr.io/acme/shop:v1",
    command: ["python", "report.py"],
    size: { cpu: "100m", memory: "256Mi" },
  };
  const specOf = async (changes: object) =>
    (await declared(() => new ScheduledTask("t", { ...args, ...changes })))["CronJob t-job"]!["spec"] as Record<
      string,
      unknown
    >;

  it("is one job at a time, of a pod that can do little", async () => {
    const schedule = { schedule: "0 5 * * 1", timeZone: "America/Sao_Paulo" };
    const env = { env: { MODE: "full" }, secretEnv: { PASSWORD: { secret: "credentials", key: "password" } } };
    const { "ScheduledTask t": _, ...resources } = await declared(
      () => new ScheduledTask("t", { ...args, ...schedule, ...env, pullSecret: "registry" }),
    );
    const labels = {
      "app.kubernetes.io/name": "report",
      "app.kubernetes.io/component": "task",
      "app.kubernetes.io/part-of": "shop",
      "app.kubernetes.io/managed-by": "pulumi",
    };
    assert.deepEqual(resources, {
      "CronJob t-job": {
        apiVersion: "batch/v1",
        kind: "CronJob",
        metadata: { name: "report", namespace: "shop", labels },
        spec: {
          schedule: "0 5 * * 1",
          suspend: false,
          timeZone: "America/Sao_Paulo",
          concurrencyPolicy: "Forbid",
          startingDeadlineSeconds: 600,
          successfulJobsHistoryLimit: 3,
          failedJobsHistoryLimit: 3,
          jobTemplate: {
            metadata: { labels },
            spec: {
              backoffLimit: 1,
              activeDeadlineSeconds: 3600,
              ttlSecondsAfterFinished: 604800,
              template: {
                metadata: { labels },
                spec: {
                  restartPolicy: "Never",
                  automountServiceAccountToken: false,
                  enableServiceLinks: false,
                  securityContext: restricted.pod,
                  imagePullSecrets: [{ name: "registry" }],
                  containers: [
                    {
                      name: "report",
                      image: "ghcr.io/acme/shop:v1",
                      imagePullPolicy: "Always",
                      command: ["python", "report.py"],
                      env: [
                        { name: "MODE", value: "full" },
                        {
                          name: "PASSWORD",
                          valueFrom: { secretKeyRef: { name: "credentials", key: "password" } },
                        },
                      ],
                      resources: {
                        requests: { cpu: "100m", memory: "256Mi", "ephemeral-storage": "256Mi" },
                        limits: { memory: "256Mi", "ephemeral-storage": "256Mi" },
                      },
                      securityContext: restricted.container,
                      volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
                    },
                  ],
                  volumes: [{ name: "tmp", emptyDir: { sizeLimit: "128Mi" } }],
                },
              },
            },
          },
        },
      },
    });
  });

  it("without a schedule waits for somebody to make a Job of it", async () => {
    const { suspend, timeZone } = await specOf({});
    assert.deepEqual([suspend, timeZone], [true, "UTC"]);
  });

  it("leaves its image to whoever delivers the application", async () => {
    const options = await optionsOf(() => new ScheduledTask("t", args));
    assert.deepEqual(options["t-job"]?.ignoreChanges, ["spec.jobTemplate.spec.template.spec.containers[0].image"]);
  });
});
