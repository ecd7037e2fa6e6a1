import type { Output } from "@pulumi/pulumi";
import { z } from "zod";
import { imageReference } from "../../components/docker/names.ts";
import { branchName, login, repositoryName, repositoryPath, reviewers, via } from "../../components/github/names.ts";
import type { RepositoryOwner } from "../../components/github/owner.ts";
import { pythonChecks } from "../../components/github/python-checks.ts";
import * as google from "../../components/google/names.ts";
import type { FlowSettings } from "../../components/prefect/deployments.ts";
import { images } from "../../components/prefect/images.ts";
import { type DeletionPolicy, defaultPolicy, deletionPolicy } from "../../components/protection.ts";
import { memory } from "../../components/quantities.ts";
import { type Problem, pattern, trueOrFalse, whole } from "../../components/schema.ts";
import { cron, timeOfDay, timeZone } from "../../components/time.ts";

/** The values of MODE, each the name of a stack. */
export const stacks = ["dev", "staging", "prod"] as const;

/** A value of MODE. */
export type Mode = (typeof stacks)[number];

const pythonPackage = pattern(
  /^[A-Za-z_][A-Za-z0-9_]*(\/[A-Za-z_][A-Za-z0-9_]*)*$/,
  "the folder of a Python package, such as pipelines/arcgis",
);

const person = pattern(
  /^((user|group|domain|serviceAccount):\S+|principal(Set)?:\/\/\S+)$/,
  "an IAM principal that is not everybody, such as user:ana@example.org",
);

const flowName = pattern(
  /^[a-z][a-z0-9_]{0,62}$/,
  "a flow's name, which is a Python module's: at most 63 lower-case letters, digits or _, a letter first",
);

/** What a flow may set, alone or for all. */
const settings = {
  schedule: cron.optional().describe("When it runs by itself, in cron's five fields; switched off outside prod"),
  timezone: timeZone.optional().describe("Time zone of the schedule; America/Sao_Paulo by default"),
  concurrency: whole(1, 100, "runs at a time, more wait").optional(),
  memory: memory.optional().describe("Memory of its container at most, in Mi or Gi; no limit by default"),
};

const flowObject = z.strictObject({
  name: flowName,
  entrypoint: pattern(
    /^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./-]*\.py:[A-Za-z_][A-Za-z0-9_]*$/,
    "a file and its function, such as pipelines/arcgis/abordagem/flows.py:abordagem_flow",
  )
    .optional()
    .describe("File and function; PACKAGE/NAME/flows.py:NAME_flow by default"),
  ...settings,
});

const flow = z.union([flowName, flowObject], { error: () => "a flow's name, or an object with `name`" });

const prefectImage = pattern(
  /^[a-z0-9][a-z0-9._/:-]*:3\.[0-9]+\.[0-9]+[A-Za-z0-9_.-]*(@sha256:[0-9a-f]{64})?$/,
  "an image of Prefect 3 whose tag begins with the whole version, such as prefecthq/prefect:3.8.8-python3.12",
);

/** The host, in the stack that owns it. */
const host = z.strictObject({
  domain: pattern(
    /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/,
    "the name under which Prefect is reached, such as prefect-rj-smas.org",
  ),
  acmeEmail: pattern(
    /^[^\s@]+@[^\s@]+\.[^\s@]+$/,
    "the e-mail address that the certificate authority writes to before a certificate expires",
  ),
  acmeServer: pattern(/^https:\/\/\S+$/, "the https URL of an ACME directory")
    .optional()
    .describe("Directory of the certificate authority; Let's Encrypt's by default"),
  pool: pattern(/^[a-z][a-z0-9-]{0,62}$/, "a work pool's name: lower-case letters, digits or hyphens, a letter first")
    .default("docker-pool")
    .describe("The work pool, of type docker; made where there is none"),
  webSockets: trueOrFalse
    .default(false)
    .describe(
      "Sets PREFECT_EVENTS_ENABLED and PREFECT_API_ENABLE_HTTP2 of the worker; the proxy passes WebSockets in either case",
    ),
  backupAt: timeOfDay.default("06:00").describe("When the database is dumped, in UTC"),
  backupDays: whole(1, 365, "days that a dump is kept").default(14),
  registryUser: login.optional().describe("Who pulls the flows' images from ghcr.io; nobody where they are public"),
  images: z
    .strictObject(
      {
        postgres: imageReference.optional(),
        prefect: prefectImage.optional(),
        redis: imageReference.optional(),
        traefik: imageReference.optional(),
      },
      { error: () => "an object with images" },
    )
    .optional()
    .describe("Images in the place of the pinned ones, such as a mirror's"),
});

/** The host of another stack. */
const reference = z.strictObject({
  stack: pattern(
    /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+)?$/,
    "the stack that owns the host: its name, or ORGANISATION/PROJECT/STACK",
  ),
  image: prefectImage
    .optional()
    .describe("That stack's `images.prefect`, where it has one: by it the key comes onto the host"),
});

/**
 * What a stack's file says of arcgis, under `esteira:arcgis`.
 * @example
 * esteira:arcgis:
 *   project: arcgis-staging
 *   region: southamerica-east1
 *   endpoint: https://arcgis.example.org/staging
 *   prefect: { stack: prod }
 */
export const schema = z
  .strictObject(
    {
      project: google.projectId,
      region: google.region,
      endpoint: pattern(/^https:\/\/[^\s"]+$/, "the https URL of ArcGIS").describe(
        "Where this environment's ArcGIS answers",
      ),
      bucket: google.bucketName.optional().describe("Name of the bucket that is made; PROJECT-arcgis by default"),
      dataset: google.datasetId.default("arcgis").describe("ID of the BigQuery dataset that is made"),
      repository: repositoryName.default("pipelines-arcgis"),
      branch: branchName.default("main").describe("The repository's default branch"),
      package: pythonPackage
        .default("pipelines/arcgis")
        .describe("Folder of the Python package, which has constants.py"),
      via: via.default("push"),
      reviewers: reviewers.optional(),
      developers: z
        .array(person, { error: () => "a list of IAM principals" })
        .default([])
        .describe("Who may act as the flows' account, to try a flow on a machine of one's own"),
      deletionPolicy: deletionPolicy("whether what holds data may be deleted")
        .optional()
        .describe(
          "Whether the bucket, the dataset and the host's volumes may be deleted; prod: PREVENT, others: DELETE",
        ),
      prefect: z
        .union([host, reference], {
          error: () =>
            "an object with either `domain`, in the stack that owns the host, or `stack`, in one that uses it",
        })
        .optional()
        .describe("The Prefect that runs the flows; without one they run by hand"),
      workdir: pattern(/^\/[A-Za-z0-9._/-]*$/, "an absolute path")
        .default("/app")
        .describe("Where the image has the repository's root: its WORKDIR"),
      ...pythonChecks,
      dbt: repositoryPath.default("queries").describe("Folder of the dbt project"),
      defaults: z
        .strictObject(settings, { error: () => "an object" })
        .prefault({})
        .describe("What every flow has unless it says otherwise"),
      flows: z
        .array(flow, { error: () => "a list of flows" })
        .min(1, { error: () => "at least one flow" })
        .optional()
        .describe("The flows, in the stack that owns the host; each has a deployment in staging and one in prod"),
    },
    { error: () => "an object" },
  )
  .superRefine(
    (config, context) => {
      const owns = isObject(config?.prefect) && "domain" in config.prefect;
      if (owns && config.flows === undefined) {
        context.addIssue({ code: "custom", path: ["flows"], message: "the list of flows that this host runs" });
      }
      if (!owns && config?.flows !== undefined) {
        context.addIssue({
          code: "custom",
          path: ["flows"],
          message: "nothing here: the stack that owns the host has the flows, in staging and in prod",
        });
      }
      const names = Array.isArray(config?.flows)
        ? config.flows.map((entry) => (isObject(entry) ? entry.name : entry))
        : [];
      names.forEach((name, index) => {
        const first = names.indexOf(name);
        if (typeof name === "string" && first < index) {
          context.addIssue({
            code: "custom",
            path: typeof config.flows![index] === "string" ? ["flows", index] : ["flows", index, "name"],
            message: `a name of its own: flows[${first}] has it already`,
          });
        }
      });
    },
    // Also beside other problems: all are told at once.
    { when: () => true },
  );

const isObject = (value: unknown): value is Record<string, unknown> & object =>
  typeof value === "object" && value !== null;

type Parsed = z.output<typeof schema>;

/** The host's part of the config. */
export type HostConfig = z.output<typeof host>;

/** arcgis's part of a stack's config, everything resolved. */
export type ArcgisConfig = Omit<Parsed, "flows" | "defaults" | "bucket" | "deletionPolicy" | "prefect"> & {
  /** The value of MODE. */
  mode: Mode;
  bucket: string;
  deletionPolicy: DeletionPolicy;
  /** The image of Prefect that the host can pull. */
  prefectImage: string;
  /** The host, where this stack owns it. */
  host?: HostConfig;
  /** The stack that owns the host, where this one uses it. */
  hostOf?: string;
  /** Short form and `defaults` resolved. */
  flows: FlowSettings[];
};

/** Fills in what follows from the environment's name and from other keys. */
export function resolve(parsed: Parsed, environment: string): ArcgisConfig {
  const { flows = [], defaults, prefect, ...rest } = parsed;
  return {
    ...rest,
    mode: environment as Mode,
    developers: [...new Set(parsed.developers)],
    bucket: parsed.bucket ?? `${parsed.project}-arcgis`,
    deletionPolicy: parsed.deletionPolicy ?? defaultPolicy(environment),
    prefectImage: (prefect && ("domain" in prefect ? prefect.images?.prefect : prefect.image)) ?? images.prefect,
    ...(prefect && ("domain" in prefect ? { host: prefect } : { hostOf: prefect.stack })),
    flows: flows.map((entry) => {
      const each: z.output<typeof flowObject> = typeof entry === "string" ? { name: entry } : entry;
      return {
        timezone: "America/Sao_Paulo",
        concurrency: 1,
        ...defaults,
        ...each,
        entrypoint: each.entrypoint ?? `${parsed.package}/${each.name}/flows.py:${each.name}_flow`,
      };
    }),
  };
}

/** The secrets that a person gives, and what each is for. */
export const secretsOf = ({ host }: ArcgisConfig): Record<string, string> =>
  host?.registryUser
    ? {
        GHCR_TOKEN: `personal access token of ${host.registryUser} with scope read:packages, which pulls the flows' images`,
      }
    : {};

/** Whether the stack puts something on a Docker host. */
export const usesDocker = ({ host, hostOf }: ArcgisConfig): boolean => host !== undefined || hostOf !== undefined;

/** What is wrong with it in this stack. */
export function problemsIn(config: ArcgisConfig): Problem[] {
  const { host, hostOf, mode, branch, reviewers } = config;
  const problems: Problem[] = [];
  if (mode === "dev" && usesDocker(config)) {
    problems.push({ key: "prefect", message: "found in dev; expected nothing: its flows run by hand, with MODE=dev" });
  }
  if (host && mode === "staging") {
    problems.push({
      key: "prefect.domain",
      message: "found in staging; expected in prod, which staging refers to by `stack: prod`",
    });
  }
  if (hostOf !== undefined && (hostOf === mode || hostOf.endsWith(`/esteira/${mode}`))) {
    problems.push({
      key: "prefect.stack",
      message: `found "${hostOf}", which is this stack; expected the one that owns the host`,
    });
  }
  if (reviewers && !usesDocker(config)) {
    problems.push({
      key: "reviewers",
      message: "found without prefect; expected beside it: nothing is deployed otherwise",
    });
  }
  if (/^staging(\/|$)/.test(branch)) {
    problems.push({
      key: "branch",
      message: `found "${branch}"; expected another name: pushes to staging/** go to staging`,
    });
  }
  return problems;
}

/** Arguments of arcgis. */
export interface ArcgisArgs {
  config: ArcgisConfig;
  /** The secrets that `secretsOf(config)` names. */
  secrets: Readonly<Record<string, Output<string>>>;
  /** Whose repositories they are. */
  github: RepositoryOwner;
}
