/**
 * A stack's config: what Pulumi.<stack>.yaml may say. The only module that reads Pulumi's config.
 *
 * A file is read as a whole and all that is wrong with it is told at once, each problem with its key, what was
 * found and what is expected. Secrets stand apart from the rest, under `esteira:secrets`, so that the rest is
 * readable without a passphrase.
 */
import { getStack, type Output, RunError, runtime, secret } from "@pulumi/pulumi";
import { z } from "zod";
import { dockerHost } from "./components/docker/names.ts";
import { login } from "./components/github/names.ts";
import type { RepositoryOwner } from "./components/github/owner.ts";
import { kubernetesContext } from "./components/kubernetes/names.ts";
import {
  expected,
  found,
  oneOf,
  type Problem,
  parse,
  type SecretSchema,
  unknownKey,
  whole,
} from "./components/schema.ts";
import * as arcgis from "./systems/arcgis/config.ts";
import * as equidade from "./systems/equidade/config.ts";
import * as pythonApi from "./systems/python-api/config.ts";
import * as qivo from "./systems/qivo/config.ts";
import * as schoolScheduler from "./systems/school-scheduler/config.ts";

/** What a system's config module has. */
interface SystemConfig {
  /** What a file may say. */
  schema: z.ZodType;
  /** Fills in what follows from the environment's name. */
  resolve(parsed: never, environment: string): object;
  /** The secrets that it asks a person for, and what each is for. */
  secretsOf(config: never): Record<string, string | SecretSchema>;
  /** The stacks that may have it. @default any */
  stacks?: readonly string[];
  /** Whether it puts something on the stack's Docker host. @default it does not */
  usesDocker?(config: never): boolean;
  /** Whether it puts something into the stack's Kubernetes. @default it does not */
  usesKubernetes?(config: never): boolean;
  /** What is wrong with it in this stack, though not by itself; keys below its own. @default nothing */
  problemsIn?(config: never): Problem[];
}

/** Every system under the name of its key. */
const systems = {
  arcgis,
  equidade,
  "python-api": pythonApi,
  qivo,
  "school-scheduler": schoolScheduler,
} satisfies Record<string, SystemConfig>;
type Systems = typeof systems;

/** One stack's config, checked and complete. A system that the file does not name is undefined. */
export type StackConfig = {
  stack: string;
  github: RepositoryOwner;
  /** The stack's kubeconfig, or its path: of systems in another cluster than the provider's own. */
  kubeconfig?: Output<string>;
} & {
  [Name in keyof Systems]?: { config: ReturnType<Systems[Name]["resolve"]>; secrets: Record<string, Output<string>> };
};

/** A secret that a stack's systems ask a person for. */
export interface SecretNeed {
  /** Path below `esteira:secrets`, such as `equidade.DEPLOY_TRIGGER_TOKEN`. */
  path: string;
  purpose: string;
  given: boolean;
  /** Whether an `up` goes on without it. */
  optional: boolean;
  /** Text of the form that it must have, with KEY where the secret is in it; undefined: any text. */
  example?: string;
}

/** What stands for a secret where it is not known, in place of any text. */
export const secretPlaceholder = "[secret]";

/** All that is wrong with a stack's file. */
export class ConfigError extends RunError {
  readonly problems: readonly Problem[];
  constructor(stack: string, problems: readonly Problem[]) {
    const lines = problems.map(({ key, message }) => `  ${key}: ${message}`);
    super(
      `Pulumi.${stack}.yaml has ${problems.length} problem${problems.length === 1 ? "" : "s"}:\n${lines.join("\n")}`,
    );
    this.problems = problems;
  }
}

const secretsSchema = z
  .record(
    z.string(),
    z.record(z.string(), z.string(expected("a secret's text")), expected("secrets by name")),
    expected("systems with their secrets"),
  )
  .describe("Secrets by system and name, set with `pulumi config set --secret --path`");

/** Our own keys, without `esteira:`. */
const keys = {
  ownerType: oneOf(["organization", "user"], "what the owner of the repositories is"),
  ownerId: whole(1, Number.MAX_SAFE_INTEGER, "the owner's id, as `gh api users/LOGIN --jq .id` prints it"),
  secrets: secretsSchema,
  ...(Object.fromEntries(Object.entries(systems).map(([name, { schema }]) => [name, schema])) as {
    [Name in keyof Systems]: Systems[Name]["schema"];
  }),
};

/** Whether a key holds a secret. The SDK has it, but leaves it out of its typings. */
const { isConfigSecret } = runtime as unknown as { isConfigSecret(key: string): boolean };

/** The command that sets a secret. @param path below `esteira:secrets` */
export const setSecret = (stack: string, path: string) =>
  `pulumi config set --stack ${stack} --secret --path 'esteira:secrets.${path}'`;

/** Reads the running stack's config. @throws ConfigError with every problem of the file */
export function readConfig(): StackConfig {
  const stack = getStack();
  const raw = runtime.allConfig();
  const { config, needs, problems } = parseConfig(raw, stack);
  if (raw["esteira:secrets"] !== undefined && !isConfigSecret("esteira:secrets")) {
    problems.push({
      key: "esteira:secrets",
      message: `stands in clear text; set each again: ${setSecret(stack, "SYSTEM.NAME")}`,
    });
  }
  for (const { path, purpose } of needs.filter(({ given, optional }) => !given && !optional)) {
    problems.push({
      key: `esteira:secrets.${path}`,
      message: `missing; expected the ${purpose}: ${setSecret(stack, path)}`,
    });
  }
  if (!config || problems.length > 0) throw new ConfigError(stack, problems);
  return config;
}

/**
 * Checks a stack's config.
 * @param raw the config as Pulumi keeps it: full key to text, structured values as JSON
 * @returns the config, or undefined where there are problems; missing secrets are no problem here, but `needs`
 */
export function parseConfig(
  raw: Readonly<Record<string, string>>,
  stack: string,
): { config?: StackConfig; needs: SecretNeed[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const read = <Key extends keyof typeof keys>(key: Key): z.output<(typeof keys)[Key]> | undefined => {
    const text = raw[`esteira:${key}`];
    if (text === undefined) return undefined;
    const result = parse(keys[key], `esteira:${key}`, fromText(text), key === "secrets");
    problems.push(...result.problems);
    return result.data as z.output<(typeof keys)[Key]> | undefined;
  };

  for (const key of Object.keys(raw).filter((each) => each.startsWith("esteira:"))) {
    const name = key.slice("esteira:".length);
    if (!(name in keys)) problems.push({ key, message: unknownKey(name, Object.keys(keys), "esteira:") });
  }
  const names = Object.keys(systems) as (keyof Systems)[];
  const given = read("secrets") ?? {};
  const owner = login.safeParse(raw["github:owner"]);
  if (!owner.success && names.some((name) => raw[`esteira:${name}`] !== undefined)) {
    const mend = `pulumi config set --stack ${stack} github:owner LOGIN`;
    const { message } = owner.error.issues[0]!;
    problems.push({ key: "github:owner", message: `${found(raw["github:owner"])}; expected ${message}: ${mend}` });
  }
  const ownerId = read("ownerId")?.toString();
  const github = { owner: owner.data ?? "", ownerType: read("ownerType") ?? "organization", ownerId };
  const kubeconfig = raw["kubernetes:kubeconfig"];
  const config: StackConfig = { stack, github, ...(kubeconfig && { kubeconfig: secret(kubeconfig) }) };
  const needs: SecretNeed[] = [];
  for (const name of names) {
    const parsed = read(name);
    if (!parsed) continue;
    const { resolve, secretsOf, stacks, usesDocker, usesKubernetes, problemsIn }: SystemConfig = systems[name];
    if (stacks && !stacks.includes(stack)) {
      problems.push({
        key: `esteira:${name}`,
        message: `found in the stack ${stack}; expected in ${stacks.join(", ")} alone`,
      });
      continue;
    }
    const resolved = resolve(parsed as never, stack) as never;
    if (usesDocker?.(resolved)) dockerProblems(raw, stack, problems);
    if (usesKubernetes?.(resolved)) kubernetesProblems(raw, stack, problems);
    for (const { key, message } of problemsIn?.(resolved) ?? []) {
      problems.push({ key: `esteira:${name}.${key}`, message });
    }
    const values = given[name] ?? {};
    const wanted = secretsOf(resolved);
    config[name] = {
      config: resolved,
      secrets: Object.fromEntries(Object.entries(values).map(([key, text]) => [key, secret(text)])),
    };
    for (const key of Object.keys(values).filter((each) => !(each in wanted))) {
      problems.push({ key: `esteira:secrets.${name}.${key}`, message: unknownKey(key, Object.keys(wanted)) });
    }
    for (const [key, secretSchema] of Object.entries(wanted)) {
      const path = `${name}.${key}`;
      const {
        purpose,
        optional = false,
        schema,
        example,
      }: SecretSchema = typeof secretSchema === "string" ? { purpose: secretSchema } : secretSchema;
      needs.push({ path, purpose, given: key in values, optional, ...(example && { example }) });
      const text = values[key];
      if (schema && text !== undefined && text !== secretPlaceholder) {
        problems.push(...parse(schema, `esteira:secrets.${path}`, text, true).problems);
      }
    }
  }
  for (const name of Object.keys(given).filter((each) => !(each in systems))) {
    problems.push({ key: `esteira:secrets.${name}`, message: unknownKey(name, names) });
  }
  return { ...(problems.length === 0 && { config }), needs, problems };
}

/** Whether the provider's own setting names a host. */
function dockerProblems(raw: Readonly<Record<string, string>>, stack: string, problems: Problem[]): void {
  const host = dockerHost.safeParse(raw["docker:host"]);
  if (host.success) return;
  const mend = `pulumi config set --stack ${stack} docker:host ssh://USER@HOST`;
  const { message } = host.error.issues[0]!;
  problems.push({ key: "docker:host", message: `${found(raw["docker:host"])}; expected ${message}: ${mend}` });
}

/** Whether the provider's own settings name a cluster: the shell's current one would be anybody's. */
function kubernetesProblems(raw: Readonly<Record<string, string>>, stack: string, problems: Problem[]): void {
  const key = "kubernetes:context";
  const context = kubernetesContext.safeParse(raw[key]);
  if (context.success || raw["kubernetes:kubeconfig"] || problems.some((problem) => problem.key === key)) return;
  const mend = `pulumi config set --stack ${stack} ${key} CONTEXT`;
  const { message } = context.error.issues[0]!;
  problems.push({ key, message: `${found(raw[key])}; expected ${message}: ${mend}` });
}

/** The JSON Schema of a stack's file, for editors: takes and refuses what {@link readConfig} does, as far as it can say it. */
export function stackFileSchema(): object {
  const properties = Object.fromEntries(
    Object.entries(keys).map(([key, schema]) => [`esteira:${key}`, schema.optional()]),
  );
  const config = z
    .looseObject({
      "github:owner": login.optional(),
      "docker:host": dockerHost.optional(),
      "kubernetes:context": kubernetesContext.optional(),
      ...properties,
    })
    .meta({
      // Settings of providers (gcp:..., github:...) are Pulumi's affair; of ours, only the known ones exist.
      patternProperties: { [`^esteira:(?!(${Object.keys(keys).join("|")})$)`]: false },
      if: { anyOf: Object.keys(systems).map((name) => ({ required: [`esteira:${name}`] })) },
      then: { required: ["github:owner"] },
    });
  return z.toJSONSchema(z.looseObject({ config: config.optional() }).meta({ title: "A stack of Esteira" }), {
    io: "input",
    target: "draft-07",
    override: ({ zodSchema, jsonSchema }) => {
      // What the program reads in clear text is encrypted in the file.
      if (zodSchema === secretsSchema) {
        const encrypted = {
          type: "object" as const,
          properties: { secure: { type: "string" as const } },
          required: ["secure"],
        };
        jsonSchema.additionalProperties = { type: "object", additionalProperties: encrypted };
      }
    },
  });
}

const fromText = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};
