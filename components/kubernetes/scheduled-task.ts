import { batch } from "@pulumi/kubernetes";
import { ComponentResource, type ComponentResourceOptions, type Input } from "@pulumi/pulumi";
import { type EnvArgs, envOf, labelsOf, resources, restrictedContainer, restrictedPod, type Size } from "./pods.ts";

/** Arguments of {@link ScheduledTask}. */
export interface ScheduledTaskArgs extends EnvArgs {
  namespace: string;
  /** What it is a part of: a label. */
  partOf: string;
  /** Name of the CronJob and of its container. */
  task: string;
  /** What it runs at first; afterwards whoever delivers the application says what. */
  image: Input<string>;
  /** The program and its arguments. */
  command: readonly string[];
  /** When it runs, in cron's five fields. @default only when somebody makes a Job of it */
  schedule?: string;
  /** Time zone of the schedule. @default "UTC" */
  timeZone?: string;
  size: Size;
  /** Name of the Secret by which its image is pulled. @default none: anybody may pull it */
  pullSecret?: string;
}

/**
 * Something that an application does without being asked by HTTP: a CronJob, from which a Job can be made at any time. One runs
 * at a time, for an hour at most.
 * @example
 * new ScheduledTask("report", { namespace: "shop", partOf: "shop", task: "report", image: "ghcr.io/acme/shop:v1", command: ["python", "report.py"], schedule: "0 5 * * 1", size: { cpu: "100m", memory: "256Mi" } })
 * // kubectl create job report-by-hand --from=cronjob/report --namespace shop
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
 */
export class ScheduledTask extends ComponentResource {
  constructor(name: string, args: ScheduledTaskArgs, opts?: ComponentResourceOptions) {
    super("esteira:kubernetes:ScheduledTask", name, {}, opts);
    const { namespace, task, schedule, timeZone = "UTC", size, pullSecret } = args;
    const { labels } = labelsOf(task, "task", args.partOf);
    new batch.v1.CronJob(
      `${name}-job`,
      {
        metadata: { name: task, namespace, labels },
        spec: {
          // There has to be one; without one of its own it is never looked at.
          schedule: schedule ?? "0 0 1 1 *",
          suspend: schedule === undefined,
          timeZone,
          concurrencyPolicy: "Forbid",
          startingDeadlineSeconds: 600,
          successfulJobsHistoryLimit: 3,
          failedJobsHistoryLimit: 3,
          jobTemplate: {
            metadata: { labels },
            spec: {
              backoffLimit: 1,
              activeDeadlineSeconds: 3600,
              ttlSecondsAfterFinished: 7 * 24 * 3600,
              template: {
                metadata: { labels },
                spec: {
                  restartPolicy: "Never",
                  automountServiceAccountToken: false,
                  enableServiceLinks: false,
                  securityContext: restrictedPod,
                  ...(pullSecret && { imagePullSecrets: [{ name: pullSecret }] }),
                  containers: [
                    {
                      name: task,
                      image: args.image,
                      imagePullPolicy: "Always",
                      command: [...args.command],
                      env: envOf(args),
                      resources: resources(size),
                      securityContext: restrictedContainer,
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
      { parent: this, ignoreChanges: ["spec.jobTemplate.spec.template.spec.containers[0].image"] },
    );
    this.registerOutputs();
  }
}
