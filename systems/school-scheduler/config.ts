import type { Output } from "@pulumi/pulumi";
import { z } from "zod";
import {
  branchName,
  command,
  login,
  repositoryName,
  repositoryPath,
  reviewers,
  via,
} from "../../components/github/names.ts";
import type { RepositoryOwner } from "../../components/github/owner.ts";
import { pythonChecks, pythonVersion } from "../../components/github/python-checks.ts";
import { bucketName, projectId, projectNumber, region } from "../../components/google/names.ts";
import { leastMemory } from "../../components/kubernetes/mysql/names.ts";
import {
  hostName,
  kubernetesContext,
  namespace,
  objectName,
  pinnedImage,
  urlPath,
} from "../../components/kubernetes/names.ts";
import type { Size } from "../../components/kubernetes/pods.ts";
import { type DeletionPolicy, defaultPolicy, deletionPolicy } from "../../components/protection.ts";
import { cpu, mebibytes, memory, volumeSize } from "../../components/quantities.ts";
import { expected, found, oneOf, type Problem, pattern, text, whole } from "../../components/schema.ts";
import { goCron, pauses, timeZone } from "../../components/time.ts";
import { type EnvironmentSize, type SizeName, sizeNames, sizeOf, sizes } from "./sizes.ts";

/** The environments, each the name of a stack. */
export const stacks = ["dev", "homolog", "preprod", "prod"] as const;

/** An environment. */
export type Environment = (typeof stacks)[number];

/** Runs and fails at once: what a Deployment has before the first version is delivered to it. */
const noVersionYet = "registry.k8s.io/pause:3.10.1";

const replicas = whole(0, 100, "how many pods");
const commands = z.array(command, { error: () => "a list of commands" });

/**
 * What a stack's file says of school-scheduler, under `esteira:school-scheduler`.
 * @example
 * esteira:school-scheduler:
 *   size: large
 *   ingress: { host: app.example.org }
 *   cluster: { server: https://203.0.113.10, access: github-oidc }
 */
export const schema = z.strictObject(
  {
    context: kubernetesContext
      .optional()
      .describe("Its cluster, as a context of the stack's kubeconfig; by default the stack's own, kubernetes:context"),
    repository: repositoryName.default("school_scheduler"),
    branch: branchName.default("main").describe("The repository's default branch: what is merged goes to preprod"),
    developBranch: branchName.default("develop"),
    via: via.default("pull-request"),
    reviewers: z
      .union([z.literal("none"), reviewers], expected("who approves: `users` and `teams`; or none"))
      .optional()
      .describe(
        "Who approves a deployment to prod, and what leaves preprod; `none` where GitHub's plan has no reviewers",
      ),
    approvals: whole(0, 6, "how many people must approve a pull request").default(1),
    dockerfile: repositoryPath.default("Dockerfile"),
    namespace: namespace.optional().describe("Where it runs; school-scheduler-ENVIRONMENT by default"),
    size: oneOf(sizeNames, "a size").optional().describe("How large it is; dev: small, homolog: medium, others: large"),
    image: pinnedImage
      .default(noVersionYet)
      .describe("What runs before the first deployment; afterwards the workflow says"),
    registryUser: login.optional().describe("Who pulls the image from ghcr.io; nobody where it is public"),
    port: whole(1, 65535, "where the application listens").default(8000),
    healthPath: urlPath.default("/health").describe("Answers 200 when the application can serve"),
    smoke: z
      .array(urlPath, { error: () => "a list of paths" })
      .default([])
      .describe("Paths beside `healthPath` that must answer after a deployment"),
    env: z
      .record(pattern(/^[A-Z][A-Z0-9_]*$/, "an environment variable's name in capitals"), text, {
        error: () => "variables with their values",
      })
      .default({})
      .describe("Environment variables of the application, none of them a secret"),
    application: z
      .strictObject({ cpu: cpu.optional(), memory: memory.optional() }, { error: () => "an object" })
      .default({})
      .describe("What one pod takes, where the size does not fit"),
    replicas: z
      .union(
        [
          replicas,
          z
            .strictObject({ min: replicas, max: replicas })
            .refine(({ min, max }) => min >= 1 && min <= max, expected("`min` of at least 1 and no more than `max`")),
        ],
        { error: () => "a whole number of pods, or an object with `min` and `max`" },
      )
      .optional()
      .describe("How many pods: a number, or `min` and `max` between which the load decides"),
    database: z
      .strictObject(
        {
          image: pinnedImage.default("mysql:8.4.10"),
          name: pattern(/^[a-z][a-z0-9_]{0,63}$/, "a database's name: lower-case letters, digits or _").default(
            "school_scheduler",
          ),
          user: pattern(/^(?!root$)[a-z][a-z0-9_]{0,31}$/, "a user's name other than root").default("school"),
          cpu: cpu.optional(),
          memory: memory.optional(),
          storage: volumeSize.optional().describe("Size of its volume; it cannot be changed by an `up`"),
          storageClass: objectName.optional().describe("Class of its volume; the cluster's default by default"),
        },
        { error: () => "an object" },
      )
      .prefault({}),
    ingress: z
      .strictObject(
        {
          host: hostName.describe("Where it answers, such as app.example.org"),
          className: objectName.default("nginx").describe("The IngressClass"),
          controllerNamespace: namespace.default("ingress-nginx").describe("Where the class' controller runs"),
          clusterIssuer: objectName.default("letsencrypt").describe("The ClusterIssuer of cert-manager's"),
        },
        { error: () => "an object with `host`" },
      )
      .optional()
      .describe("Where it answers from outside, by TLS; needed in preprod and prod"),
    cluster: z
      .strictObject(
        {
          server: pattern(
            /^https:\/\/[A-Za-z0-9[][A-Za-z0-9.:\]-]*$/,
            "the API server's https URL, as GitHub's runners reach it",
          ),
          certificateAuthority: pattern(
            /^-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----\s*$/,
            "the cluster's certificate authority, in PEM",
          ),
          access: oneOf(["github-oidc", "token"], "how a workflow is known to the cluster")
            .default("github-oidc")
            .describe("By GitHub's own tokens, which last minutes, or by one that lasts"),
          audience: pattern(/^\S+$/, "an audience without blanks")
            .default("kubernetes")
            .describe("The audience of GitHub's tokens, as the cluster asks for it"),
          user: pattern(/^\S+$/, "a user's name without blanks")
            .optional()
            .describe(
              "What the cluster calls who has such a token; github:repo:OWNER/REPOSITORY:environment:ENVIRONMENT by default",
            ),
        },
        { error: () => "an object with `server` and `certificateAuthority`" },
      )
      .optional()
      .describe("The cluster as the workflow reaches it; needed in all but dev, which is not deployed to without it"),
    backup: z
      .strictObject(
        {
          project: projectId.describe("Of the bucket, and of the cluster whose accounts may write into it"),
          projectNumber,
          location: region.describe("Where the bucket is"),
          bucket: bucketName.optional().describe("The bucket's name; PROJECT-mysql-backups-ENVIRONMENT by default"),
          schedule: goCron.default("0 3 * * *").describe("When a backup is made"),
          timeZone: timeZone.default("America/Sao_Paulo"),
          keptDays: whole(2, 3650, "how many days a backup is kept").default(30),
        },
        { error: () => "an object with `project`, `projectNumber` and `location`" },
      )
      .optional()
      .describe("Where the database is copied to; needed in prod"),
    generation: z
      .strictObject(
        {
          command: z
            .array(z.string(expected("text")), { error: () => "a list: the program and its arguments" })
            .min(1, { error: () => "a program" })
            .default(["python", "app/school_schedule.py", "--headless"]),
          schedule: goCron.optional().describe("When schedules are generated; by hand alone by default"),
          timeZone: timeZone.default("America/Sao_Paulo"),
        },
        { error: () => "an object" },
      )
      .prefault({})
      .describe("The headless generation of schedules"),
    monitoring: z
      .strictObject(
        {
          release: objectName
            .default("kube-prometheus-stack")
            .describe("Value of the label `release`, by which the installed Prometheus takes rules and monitors"),
          namespace: namespace.default("monitoring").describe("Where that Prometheus runs"),
          metricsPath: urlPath.optional().describe("Where the application tells its metrics, if it does"),
        },
        { error: () => "an object" },
      )
      .optional()
      .describe("Alerts and a dashboard, where the Prometheus operator runs"),
    python: pythonChecks.python,
    install: pythonChecks.install,
    pythons: z
      .array(pythonVersion, { error: () => "a list of versions" })
      .min(1, { error: () => "at least one version" })
      .default(["3.11", "3.12", "3.13"])
      .describe("Versions of Python that the tests run on"),
    lint: commands.default(["ruff check ."]),
    tests: commands.default(["pytest tests/unit"]).describe("Tests that want nothing but Python"),
    integration: commands.default(["pytest tests/integration"]).describe("Tests that want a MySQL"),
    endToEnd: commands.default(["pytest tests/e2e"]).describe("Tests against preprod, at BASE_URL"),
    loadTest: commands
      .default([
        'locust --headless --locustfile tests/load/locustfile.py --host "$BASE_URL" --users 50 --spawn-rate 5 --run-time 3m',
      ])
      .describe("Load on preprod, at BASE_URL; fails where requests did"),
    watchMinutes: whole(1, 60, "how many minutes a deployment is watched").optional(),
    severity: oneOf(
      ["medium", "high", "critical"],
      "from which severity a known vulnerability keeps a version out",
    ).default("critical"),
    deletionPolicy: deletionPolicy("whether the namespace and its database may be deleted").optional(),
  },
  { error: () => "an object" },
);

type Parsed = z.output<typeof schema>;

/** school-scheduler's part of a stack's config, everything resolved. */
export type SchoolSchedulerConfig = Omit<
  Parsed,
  "namespace" | "size" | "application" | "replicas" | "backup" | "watchMinutes" | "deletionPolicy"
> & {
  environment: Environment;
  namespace: string;
  size: SizeName;
  /** The size, and what the file says otherwise. */
  sizes: EnvironmentSize;
  backup?: NonNullable<Parsed["backup"]> & { bucket: string };
  watchMinutes: number;
  deletionPolicy: DeletionPolicy;
};

/** Fills in what follows from the environment's name and from other keys. */
export function resolve(parsed: Parsed, stack: string): SchoolSchedulerConfig {
  const environment = stack as Environment;
  const size = parsed.size ?? sizeOf[environment];
  const { application, replicas, database, storage, generation } = sizes[size];
  const { backup } = parsed;
  return {
    ...parsed,
    environment,
    size,
    namespace: parsed.namespace ?? `school-scheduler-${environment}`,
    sizes: {
      application: sizeWith(application, parsed.application),
      replicas: parsed.replicas ?? replicas,
      database: sizeWith(database, parsed.database),
      storage: parsed.database.storage ?? storage,
      generation,
    },
    ...(backup && {
      backup: { ...backup, bucket: backup.bucket ?? `${backup.project}-mysql-backups-${environment}` },
    }),
    watchMinutes: parsed.watchMinutes ?? (environment === "prod" ? 10 : 2),
    deletionPolicy: parsed.deletionPolicy ?? defaultPolicy(environment),
  } as SchoolSchedulerConfig;
}

const sizeWith = (
  size: Size,
  { cpu = size.cpu, memory = size.memory }: { cpu?: string | number; memory?: string },
) => ({
  cpu: String(cpu),
  memory,
});

/** The secrets that a person gives, and what each is for. */
export const secretsOf = ({ registryUser }: SchoolSchedulerConfig): Record<string, string> => ({
  ...(registryUser && {
    GHCR_TOKEN: `personal access token of ${registryUser} with scope read:packages, by which nodes pull the image`,
  }),
});

/** It declares objects in a cluster, which may be another than that of the stack's other systems. */
export const usesKubernetes = ({ context }: SchoolSchedulerConfig): boolean => context === undefined;

const day = 24 * 3_600_000;

/** What is wrong with it in this stack. */
export function problemsIn(config: SchoolSchedulerConfig): Problem[] {
  const { environment, sizes, ingress, cluster, backup, reviewers } = config;
  const problems: Problem[] = [];
  const problem = (key: string, message: string) => problems.push({ key, message });
  const isLast = environment === "prod" || environment === "preprod";
  if (sizes.replicas === 0 && environment === "prod") {
    problem("replicas", "found 0 in prod; expected at least 1: nobody would be served");
  }
  if (mebibytes(sizes.database.memory) < leastMemory) {
    problem(
      "database.memory",
      `${found(sizes.database.memory)}; expected ${leastMemory}Mi at least, with less MySQL does not start`,
    );
  }
  if (isLast && !ingress) {
    problem(
      "ingress.host",
      `missing in ${environment}; expected the host at which it answers, such as app.example.org`,
    );
  }
  if (environment !== "dev" && !cluster) {
    problem(
      "cluster",
      `missing in ${environment}; expected the cluster as its workflow reaches it: server, certificateAuthority`,
    );
  }
  if (environment === "prod" && !backup) {
    problem(
      "backup",
      "missing in prod; expected project, projectNumber and location: nothing else has a copy of the database",
    );
  }
  if (backup) {
    const pause = pauses(backup.schedule).longest / day;
    if (backup.keptDays <= pause) {
      problem(
        "backup.keptDays",
        `${found(backup.keptDays)}, with ${Math.ceil(pause)} days from one backup to the next; expected more: at times there would be none`,
      );
    }
  }
  if (environment === "prod" && !reviewers) {
    problem(
      "reviewers",
      "missing in prod; expected who approves a deployment: users and teams by their numeric ids, or none",
    );
  }
  if (reviewers && (environment === "dev" || environment === "homolog")) {
    problem(
      "reviewers",
      `found in ${environment}; expected in preprod and prod alone: what goes to ${environment} waits for nobody`,
    );
  }
  return problems;
}

/** Arguments of school-scheduler. */
export interface SchoolSchedulerArgs {
  config: SchoolSchedulerConfig;
  /** The secrets that `secretsOf(config)` names. */
  secrets: Readonly<Record<string, Output<string>>>;
  /** Whose repository it is. */
  github: RepositoryOwner;
  /** The kubeconfig that `config.context` is of, or its path. @default the engine's own */
  kubeconfig?: Output<string>;
}
