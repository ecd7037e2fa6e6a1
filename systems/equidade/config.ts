import type { Output } from "@pulumi/pulumi";
import { z } from "zod";
import { contradictions } from "../../components/functions/cloud-function.ts";
import { branchName, repositoryName, reviewers, via } from "../../components/github/names.ts";
import type { RepositoryOwner } from "../../components/github/owner.ts";
import { accountEmail } from "../../components/google/account.ts";
import * as google from "../../components/google/names.ts";
import { type DeletionPolicy, defaultPolicy, deletionPolicy } from "../../components/protection.ts";
import { memory } from "../../components/quantities.ts";
import { expected, oneOf, pattern, text, whole } from "../../components/schema.ts";

const variableName = pattern(
  /^(?!(PORT|K_.*|FUNCTION_.*|X_GOOGLE_.*)$)[A-Z_][A-Z0-9_]*$/,
  "a variable's name: capital letters, digits or _; PORT, K_..., FUNCTION_... and X_GOOGLE_... are Google's own",
);

/** A role and the one resource that it is given on. */
const roleOn = z
  .strictObject(
    {
      role: google.role,
      bucket: text.optional().describe("Name of a Cloud Storage bucket"),
      dataset: text.optional().describe("ID of a BigQuery dataset"),
      secret: google.secretId.optional(),
      topic: text.optional().describe("Name of a Pub/Sub topic"),
      project: z
        .literal(true, { error: () => "true" })
        .optional()
        .describe("The whole project: only where no narrower resource will do"),
    },
    { error: () => "an object with `role` and what it is given on" },
  )
  .refine(
    ({ role: _, ...on }) => Object.values(on).filter((target) => target !== undefined).length === 1,
    expected("a role on exactly one of bucket, dataset, secret, topic or `project: true`"),
  );

/** What a function may set, alone or for all. */
const settings = {
  runtime: oneOf(["python311", "python312", "python313", "python314"], "a Python runtime").optional(),
  memory: memory.optional(),
  cpu: z
    .number({ error: () => "a number of CPUs, such as 1 or 0.5" })
    .min(0.08)
    .max(8)
    .optional()
    .describe("CPUs per instance"),
  timeout: whole(1, 3600, "seconds for one request").optional(),
  concurrency: whole(1, 1000, "requests per instance at a time").optional(),
  minInstances: whole(0, 1000, "instances kept warm").optional(),
  maxInstances: whole(1, 1000, "instances at most").optional(),
  ingress: oneOf(["all", "internal-only", "internal-and-gclb"], "what reaches the function").optional(),
  invokers: z
    .array(google.principal, { error: () => "a list of IAM principals" })
    .optional()
    .describe("Who may call the function; nobody by default"),
  environment: z
    .record(variableName, text, { error: () => "variables with their values" })
    .optional()
    .describe("Environment variables"),
  secrets: z
    .record(variableName, google.secretId, { error: () => "variables with their secrets' IDs" })
    .optional()
    .describe("Environment variables from Secret Manager: variable to secret ID"),
  roles: z
    .array(roleOn, { error: () => "a list of roles" })
    .optional()
    .describe("Roles of the function's account, each on the narrowest resource"),
};

/** The settings alone, whatever else stands beside them. */
const allSettings = z.object(settings);

const policy = deletionPolicy("what happens to a function that leaves the file");

const functionObject = z.strictObject({
  name: google.functionName,
  repository: repositoryName.optional().describe("The function's repository; its name by default"),
  entryPoint: pattern(/^[A-Za-z_][A-Za-z0-9_]*$/, "the name of a Python function").default("main"),
  serviceAccount: google.serviceAccountEmail
    .optional()
    .describe("An existing account to run as; one is created by default"),
  deletionPolicy: policy.optional(),
  ...settings,
});

const fn = z.union([google.functionName, functionObject], {
  error: () => "a function's name, or an object with `name`",
});

/**
 * What a stack's file says of equidade, under `esteira:equidade`.
 * @example
 * esteira:equidade:
 *   project: equidade-prod
 *   projectNumber: 123456789012
 *   region: southamerica-east1
 *   functions:
 *     - cloud-function-1
 */
export const schema = z
  .strictObject(
    {
      project: google.projectId,
      projectNumber: google.projectNumber.optional(),
      region: google.region,
      package: pattern(
        /^(?=.{1,63}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$/,
        "the package's name on its index, normalised: at most 63 lower-case letters, digits and single hyphens, a letter first",
      ).default("equidade-data-package"),
      packageRepository: repositoryName.optional().describe("The package's repository; its name by default"),
      branch: branchName.default("main").describe("The repositories' default branch"),
      release: oneOf(["final", "pre-release", "by-hand"], "which releases start a deploy")
        .optional()
        .describe("Which releases start a deploy; prod: final, staging: pre-release, others: by-hand"),
      auth: oneOf(["keyless", "key"], "how workflows reach Google")
        .default("keyless")
        .describe("keyless: Workload Identity Federation; key: a service-account key in the secret GCP_SA_KEY"),
      triggerApp: pattern(/^(Iv[A-Za-z0-9.]{8,}|[1-9][0-9]*)$/, "the client ID or app ID of a GitHub App, as text")
        .optional()
        .describe("A GitHub App that sends the events instead of the personal token in DEPLOY_TRIGGER_TOKEN"),
      via: via.default("push"),
      reviewers: reviewers.optional(),
      deletionPolicy: policy
        .optional()
        .describe("What happens to a function that leaves the file; prod: PREVENT, others: DELETE"),
      pin: oneOf(["commit", "deploy"], "what a version's pin lands in")
        .optional()
        .describe(
          "commit: in the branch, by a push; deploy: in the deploy alone. commit in prod unless via is pull-request",
        ),
      defaults: z
        .strictObject(settings, { error: () => "an object" })
        .prefault({})
        .describe("What every function has unless it says otherwise"),
      functions: z.array(fn, { error: () => "a list of functions" }).min(1, { error: () => "at least one function" }),
    },
    { error: () => "an object" },
  )
  .refine((config) => config?.auth !== "keyless" || config.projectNumber !== undefined, {
    path: ["projectNumber"],
    when: () => true,
    error: () =>
      "the project's number, which keyless workflows must spell: `gcloud projects describe PROJECT --format='value(projectNumber)'`; or set auth: key",
  })
  .superRefine(
    (config, context) => {
      for (const { path, ...issue } of Array.isArray(config?.functions) ? conflicts(config) : []) {
        context.addIssue({ code: "custom", path: ["functions", ...path], ...issue });
      }
    },
    // Also beside other problems: all are told at once.
    { when: () => true },
  )
  .meta({ if: { properties: { auth: { const: "key" } }, required: ["auth"] }, else: { required: ["projectNumber"] } });

/** Names that the program gives to what stands beside the functions. */
const reserved = ["package", "equidade-build", "equidade-deployer"];

interface Conflicting {
  functions: readonly z.input<typeof fn>[];
  defaults: unknown;
  project: string;
  package: string;
  packageRepository?: string;
}

/** What no function alone is wrong about: two of one name, and settings that contradict each other. */
function conflicts({
  functions,
  defaults,
  project,
  package: packageName,
  packageRepository = packageName,
}: Conflicting) {
  const made = new Set(
    [
      ...reserved,
      ...functions.map((entry) => (typeof entry === "string" ? entry : entry?.serviceAccount ? "" : entry?.name)),
    ]
      .filter((id) => typeof id === "string" && id !== "")
      .map((id) => accountEmail(id, project)),
  );
  const found: { path: PropertyKey[]; message: string; params?: { contradicting: unknown } }[] = [];
  const first = { name: new Map<string, number>(), repository: new Map<string, number>() };
  functions.forEach((entry, index) => {
    const each: Partial<z.input<typeof functionObject>> = typeof entry === "string" ? { name: entry } : entry;
    const problem = (key: string, message: string) =>
      found.push({ path: typeof entry === "string" ? [index] : [index, key], message });
    const take = (key: "name" | "repository", value: unknown) => {
      if (typeof value !== "string") return;
      const taken = first[key].get(value.toLowerCase());
      if (taken === undefined) first[key].set(value.toLowerCase(), index);
      else problem(key, `a ${key} of its own: functions[${taken}] has "${value}" already`);
    };
    take("name", each?.name);
    if (each?.name && reserved.includes(each.name))
      problem("name", `a name that the program does not use itself: ${reserved.join(", ")}`);
    if (each && (each.repository ?? each.name) === packageRepository) {
      problem(each.repository ? "repository" : "name", "a repository other than the package's own");
    }
    // Where the name is taken already, a repository of the same name says nothing new.
    if (each?.repository !== undefined || first.name.get(each?.name?.toLowerCase?.() ?? "") === index) {
      take("repository", each?.repository ?? each?.name);
    }
    if (each?.serviceAccount && made.has(each.serviceAccount)) {
      problem("serviceAccount", "an account that this stack does not make itself");
    }
    const merged = allSettings.safeParse({ ...(defaults as object), ...each });
    if (!merged.success) return;
    const { roles: _, ...rest } = merged.data;
    for (const { key, value, message } of contradictions(rest)) {
      found.push({ path: [index, ...key.split(".")], message, params: { contradicting: value } });
    }
  });
  return found;
}

type Parsed = z.output<typeof schema>;

/** A function as the system sees it: short form, `defaults` and the environment's rules resolved. */
export type FunctionConfig = z.output<typeof functionObject> & {
  repository: string;
  runtime: string;
  deletionPolicy: DeletionPolicy;
};

/** equidade's part of a stack's config, everything resolved. */
export type EquidadeConfig = Omit<
  Parsed,
  "functions" | "defaults" | "projectNumber" | "release" | "deletionPolicy" | "pin"
> & {
  /** The environment's name: the stack's. */
  environment: string;
  projectNumber: string;
  packageRepository: string;
  release: NonNullable<Parsed["release"]>;
  pin: NonNullable<Parsed["pin"]>;
  functions: FunctionConfig[];
};

/** Fills in what follows from the environment's name and from other keys. */
export function resolve(parsed: Parsed, environment: string): EquidadeConfig {
  const { functions, defaults, deletionPolicy: _, ...rest } = parsed;
  const releases: Record<string, Parsed["release"]> = { prod: "final", staging: "pre-release" };
  const release = parsed.release ?? releases[environment] ?? "by-hand";
  const deletion = parsed.deletionPolicy ?? defaultPolicy(environment);
  return {
    ...rest,
    environment,
    projectNumber: String(parsed.projectNumber ?? ""),
    packageRepository: parsed.packageRepository ?? parsed.package,
    release,
    // Only final releases leave their pin on the branch: a pre-release there would go to prod with the next push.
    pin: parsed.pin ?? (release === "final" && parsed.via === "push" ? "commit" : "deploy"),
    functions: functions.map((entry) => {
      const each: z.output<typeof functionObject> =
        typeof entry === "string" ? { name: entry, entryPoint: "main" } : entry;
      return {
        ...defaults,
        ...each,
        runtime: each.runtime ?? defaults.runtime ?? "python313",
        repository: each.repository ?? each.name,
        deletionPolicy: each.deletionPolicy ?? deletion,
      };
    }),
  };
}

/** The secrets that a person gives, and what each is for. The names are the document's. */
export const secretsOf = (config: EquidadeConfig): Record<string, string> =>
  config.triggerApp
    ? { DEPLOY_TRIGGER_APP_KEY: `private key of the GitHub App ${config.triggerApp}, in PEM` }
    : { DEPLOY_TRIGGER_TOKEN: "personal access token with scopes repo and workflow, which sends the events" };

/** Arguments of equidade. */
export interface EquidadeArgs {
  config: EquidadeConfig;
  /** The secrets that `secretsOf(config)` names. */
  secrets: Readonly<Record<string, Output<string>>>;
  /** Whose repositories they are. */
  github: RepositoryOwner;
}
