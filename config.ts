/**
 * A stack's config: what Pulumi.<stack>.yaml may say. The only module that reads Pulumi's config.
 *
 * A file is read as a whole and all that is wrong with it is told at once, each problem with its key, what was
 * found and what is expected. Secrets stand apart from the rest, under `esteira:secrets`, so that the rest is
 * readable without a passphrase.
 */
import { getStack, type Output, RunError, runtime, secret } from "@pulumi/pulumi";
import { z } from "zod";
import { login } from "./components/github/names.ts";
import { nearest, oneOf } from "./components/schema.ts";
import * as equidade from "./systems/equidade/config.ts";

/** Every system: the schema of its key, how defaults are filled in, the secrets it asks a person for. */
const systems = { equidade } as const;

/** Secrets of one system by the name that its documents give them. */
export type Secrets = Record<string, Output<string>>;

/** The owner of the repositories. */
export interface GithubConfig {
  owner: string;
  ownerType: "organization" | "user";
}

/** One stack's config, checked and complete. A system that the file does not name is undefined. */
export interface StackConfig {
  stack: string;
  github: GithubConfig;
  equidade?: { config: equidade.EquidadeConfig; secrets: Secrets };
}

/** A secret that an `up` needs. */
export interface SecretNeed {
  /** Path below `esteira:secrets`, such as `equidade.DEPLOY_TRIGGER_TOKEN`. */
  path: string;
  purpose: string;
  given: boolean;
}

/** One thing wrong with a stack's file. */
export interface Problem {
  /** The key, such as `esteira:equidade.functions[2].memory`. */
  key: string;
  message: string;
}

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

const says = (what: string) => ({ error: () => what });
const secretsSchema = z
  .record(
    z.string(),
    z.record(z.string(), z.string(says("a secret's text")), says("secrets by name")),
    says("systems with their secrets"),
  )
  .describe("Secrets by system and name, set with `pulumi config set --secret --path`");

const keys = {
  "esteira:ownerType": oneOf(["organization", "user"], "what the owner of the repositories is"),
  "esteira:secrets": secretsSchema,
  "esteira:equidade": equidade.schema,
} as const;

/** Reads the running stack's config. @throws ConfigError with every problem of the file */
export function readConfig(): StackConfig {
  const stack = getStack();
  const { config, needs, problems } = parseConfig(runtime.allConfig(), stack);
  const missing = needs
    .filter(({ given }) => !given)
    .map(({ path, purpose }) => ({
      key: `esteira:secrets.${path}`,
      message: `missing; expected the ${purpose}: pulumi config set --stack ${stack} --secret --path 'esteira:secrets.${path}'`,
    }));
  if (!config || missing.length > 0) throw new ConfigError(stack, [...problems, ...missing]);
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
    const text = raw[key];
    if (text === undefined) return undefined;
    const value = fromText(text);
    const result = keys[key].safeParse(value, { reportInput: true });
    if (result.success) return result.data as z.output<(typeof keys)[Key]>;
    for (const issue of result.error.issues) problems.push(...explain(issue, key, value, key === "esteira:secrets"));
    return undefined;
  };

  for (const key of Object.keys(raw)) {
    if (key.startsWith("esteira:") && !(key in keys)) {
      problems.push({
        key,
        message: unknownKey(
          key.slice("esteira:".length),
          Object.keys(keys).map((known) => known.slice("esteira:".length)),
        ),
      });
    }
  }
  const given = read("esteira:secrets") ?? {};
  const ownerType = read("esteira:ownerType") ?? "organization";
  const named = Object.keys(systems).filter((system) => raw[`esteira:${system}`] !== undefined);
  const owner = login.safeParse(raw["github:owner"]);
  if (named.length > 0 && !owner.success) {
    problems.push({
      key: "github:owner",
      message: `${found(raw["github:owner"])}; expected ${owner.error.issues[0]!.message}: pulumi config set --stack ${stack} github:owner LOGIN`,
    });
  }

  const config: StackConfig = { stack, github: { owner: owner.data ?? "", ownerType } };
  const needs: SecretNeed[] = [];
  const parsed = read("esteira:equidade");
  if (parsed) {
    const resolved = equidade.resolve(parsed, stack);
    config.equidade = { config: resolved, secrets: wrap(given["equidade"]) };
    needs.push(...needsOf("equidade", equidade.secretsOf(resolved), given, problems));
  }
  for (const system of Object.keys(given)) {
    if (!(system in systems))
      problems.push({ key: `esteira:secrets.${system}`, message: unknownKey(system, Object.keys(systems)) });
  }
  return problems.length > 0 ? { needs, problems } : { config, needs, problems };
}

/** The JSON Schema of a stack's file, for editors. */
export function stackFileSchema(): object {
  const file = z.object({
    config: z
      .object({
        "github:owner": login,
        ...Object.fromEntries(Object.entries(keys).map(([key, schema]) => [key, schema.optional()])),
      })
      .optional(),
  });
  const json = z.toJSONSchema(file, {
    io: "input",
    target: "draft-07",
    override: ({ zodSchema, jsonSchema }) => {
      // Settings of providers (gcp:..., github:...) are Pulumi's affair; of ours, only the known ones exist.
      if ("properties" in jsonSchema && jsonSchema.properties && "esteira:equidade" in jsonSchema.properties) {
        const ours = Object.keys(keys).map((key) => key.slice("esteira:".length));
        jsonSchema.patternProperties = { [`^esteira:(?!(${ours.join("|")})$)`]: false };
        jsonSchema.additionalProperties = true;
        jsonSchema.if = { anyOf: Object.keys(systems).map((system) => ({ required: [`esteira:${system}`] })) };
        jsonSchema.then = { required: ["github:owner"] };
        delete jsonSchema.required;
      }
      if (zodSchema === secretsSchema) {
        jsonSchema.additionalProperties = {
          type: "object",
          additionalProperties: { anyOf: [{ type: "string" }, { type: "object", required: ["secure"] }] },
        };
      }
      if (zodSchema === equidade.schema) {
        jsonSchema.if = { properties: { auth: { const: "key" } }, required: ["auth"] };
        jsonSchema.else = { required: ["projectNumber"] };
      }
    },
  });
  return { ...json, title: "A stack of Esteira", additionalProperties: true };
}

const fromText = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

const wrap = (values: Record<string, string> | undefined): Secrets =>
  Object.fromEntries(Object.entries(values ?? {}).map(([name, value]) => [name, secret(value)]));

function needsOf(
  system: string,
  wanted: Record<string, string>,
  given: Record<string, Record<string, string>>,
  problems: Problem[],
): SecretNeed[] {
  for (const name of Object.keys(given[system] ?? {})) {
    if (!(name in wanted)) {
      problems.push({ key: `esteira:secrets.${system}.${name}`, message: unknownKey(name, Object.keys(wanted)) });
    }
  }
  return Object.entries(wanted).map(([name, purpose]) => ({
    path: `${system}.${name}`,
    purpose,
    given: given[system]?.[name] !== undefined,
  }));
}

function explain(issue: z.core.$ZodIssue, root: string, value: unknown, hide: boolean): Problem[] {
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    // The branch meant is the one that takes this type of value: an object's problems are those of the object form.
    const branch = issue.errors.find((issues) =>
      issues.some(({ code, path }) => code !== "invalid_type" || path.length > 0),
    );
    if (branch)
      return branch.flatMap((inner) => explain({ ...inner, path: [...issue.path, ...inner.path] }, root, value, hide));
  }
  const key = `${root}${issue.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("")}`;
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(root, issue.path);
    return issue.keys.map((unknown) => ({ key: `${key}.${unknown}`, message: unknownKey(unknown, known) }));
  }
  if (issue.code === "invalid_key") return [{ key, message: `expected ${issue.issues[0]?.message ?? issue.message}` }];
  const at = issue.path.reduce<unknown>(
    (inner, part) => (inner as Record<PropertyKey, unknown> | undefined)?.[part],
    value,
  );
  return [{ key, message: `${hide ? "not valid" : found(at)}; expected ${issue.message}` }];
}

const found = (value: unknown): string => (value === undefined ? "missing" : `found ${JSON.stringify(value)}`);

const unknownKey = (key: string, known: readonly string[]): string => {
  const close = nearest(key, known);
  return close ? `unknown key; did you mean "${close}"?` : `unknown key; known are ${known.join(", ") || "none"}`;
};

/** The keys that the schema has at a path, found by walking it. */
function knownKeys(root: string, path: readonly PropertyKey[]): string[] {
  let at: z.core.$ZodType | undefined = keys[root as keyof typeof keys];
  for (const part of path) at = inner(unwrap(at), part);
  const schema = unwrap(at);
  if (schema instanceof z.ZodUnion) {
    const object = schema.options.find((option) => option instanceof z.ZodObject);
    return object instanceof z.ZodObject ? Object.keys(object.shape) : [];
  }
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

const unwrap = (schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined =>
  schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault
    ? unwrap(schema.unwrap())
    : schema;

const inner = (schema: z.core.$ZodType | undefined, part: PropertyKey): z.core.$ZodType | undefined => {
  if (schema instanceof z.ZodArray) return schema.element;
  if (schema instanceof z.ZodObject) return (schema.shape as Record<PropertyKey, z.core.$ZodType>)[part];
  if (schema instanceof z.ZodUnion) {
    return inner(schema.options.find((option) => option instanceof z.ZodObject) as z.core.$ZodType | undefined, part);
  }
  if (schema instanceof z.ZodRecord) return schema.valueType as z.core.$ZodType;
  return undefined;
};
