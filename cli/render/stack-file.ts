import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { nearest } from "../../components/schema.ts";
import { parseConfig, type SecretNeed, secretPlaceholder } from "../../config.ts";

/** A stack's config as the engine would hand it to the program. */
export interface StackFile {
  /** Full key to text; structured values as JSON. */
  config: Record<string, string>;
  /** Keys that hold a secret. */
  secretKeys: string[];
  /** The secrets that its systems ask for, and whether the file has them. */
  needs: SecretNeed[];
}

/** A call that cannot be carried out: exit code 2. */
export class UsageError extends Error {}

/** Whether a call was wrong, of ours or for the parser of arguments. */
export const isUsage = (error: unknown): boolean =>
  error instanceof UsageError || ((error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS") ?? false);

/** The stacks that have a file in `root`. */
export const stacksIn = (root: string): string[] =>
  readdirSync(root)
    .map((file) => /^Pulumi\.([A-Za-z0-9_.-]+)\.yaml$/.exec(file)?.[1])
    .filter((stack) => stack !== undefined)
    .sort();

/**
 * Reads Pulumi.<stack>.yaml without a passphrase: an encrypted value, and a secret that an `up` needs and the
 * file does not have, become {@link secretPlaceholder}.
 * @throws UsageError when there is no such file, or it is no YAML
 */
export function readStackFile(root: string, stack: string): StackFile {
  const file = `Pulumi.${stack}.yaml`;
  if (!existsSync(join(root, file))) {
    const stacks = stacksIn(root);
    const close = nearest(stack, stacks);
    throw new UsageError(
      `there is no ${file}; ${close ? `did you mean --stack ${close}?` : `stacks are ${stacks.join(", ")}`}`,
    );
  }
  const document = parseDocument(readFileSync(join(root, file), "utf8"));
  const [broken] = document.errors;
  if (broken) throw new UsageError(`${file} is no YAML: ${broken.message}`);

  const { config: written = {} } = (document.toJS() ?? {}) as { config?: unknown };
  if (typeof written !== "object" || written === null || Array.isArray(written)) {
    throw new UsageError(`${file}: config is ${JSON.stringify(written)}; expected keys with values`);
  }
  // As the engine does: a key without a namespace is the project's own.
  const entries = Object.entries(written).map(
    ([key, value]) => [key.includes(":") ? key : `esteira:${key}`, value] as const,
  );
  const secretKeys: string[] = [];
  const config = Object.fromEntries(
    entries.map(([key, value]) => {
      let secret = false;
      const plain = decrypt(value, () => (secret = true));
      if (secret) secretKeys.push(key);
      return [key, typeof plain === "string" ? plain : JSON.stringify(plain)];
    }),
  );

  const { needs } = parseConfig(config, stack);
  const missing = needs.filter(({ given, optional }) => !given && !optional);
  if (missing.length > 0) {
    const secrets = JSON.parse(config["esteira:secrets"] ?? "{}") as Record<string, Record<string, unknown>>;
    for (const { path } of missing) {
      const [system, name] = path.split(".") as [string, string];
      // What stands there and is no secret is for the program to refuse.
      if (typeof (secrets[system] ??= {}) === "object") secrets[system][name] ??= secretPlaceholder;
    }
    config["esteira:secrets"] = JSON.stringify(secrets);
    if (!entries.some(([key]) => key === "esteira:secrets")) {
      secretKeys.push("esteira:secrets");
    }
  }
  return { config, secretKeys, needs };
}

function decrypt(value: unknown, onSecret: () => void): unknown {
  if (Array.isArray(value)) return value.map((each) => decrypt(each, onSecret));
  if (typeof value !== "object" || value === null) return value;
  if ("secure" in value && Object.keys(value).length === 1) {
    onSecret();
    return secretPlaceholder;
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, decrypt(each, onSecret)]));
}
