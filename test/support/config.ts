/** A stack's config as tables of cases: what the program says of it, and what the editor's schema does. */
import assert from "node:assert/strict";
import { Ajv } from "ajv";
import { parseConfig, stackFileSchema } from "../../config.ts";

/** A stack's config with structured values as they are. */
export type Config = Record<string, unknown>;

/** The editor's schema. */
export const validate = new Ajv({ strict: false }).compile(stackFileSchema());

/** As the engine hands it over: structured values as JSON, undefined ones not at all. */
export const asPulumi = (config: Config): Record<string, string> =>
  Object.fromEntries(
    Object.entries(config)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );

/** As the file has it: what the program gets in clear text is encrypted there. */
const encrypted = (config: Config): Config => {
  const secrets = Object.entries((config["esteira:secrets"] ?? {}) as Record<string, Record<string, string>>).map(
    ([system, values]) => [
      system,
      Object.fromEntries(Object.entries(values).map(([name, text]) => [name, { secure: text }])),
    ],
  );
  return secrets.length > 0 ? { ...config, "esteira:secrets": Object.fromEntries(secrets) } : config;
};

/** All that the program finds wrong, `key: message` each. */
export const problemsOf = (config: Config, stack: string): string[] =>
  parseConfig(asPulumi(config), stack).problems.map(({ key, message }) => `${key}: ${message}`);

/** Says in which stack a case is. */
export type StackOf = (config: Config) => string;

/** A test for each config that both take. */
export function itTakes(cases: Record<string, Config>, stackOf: StackOf): void {
  for (const [name, config] of Object.entries(cases)) {
    it(name, () => {
      assert.deepEqual(problemsOf(config, stackOf(config)), []);
      assert.ok(validate({ config: encrypted(config) }), JSON.stringify(validate.errors));
    });
  }
}

/** A test for each config that both refuse, the program with just these problems. */
export function itRefuses(cases: Record<string, [config: Config, ...problems: string[]]>, stackOf: StackOf): void {
  for (const [name, [config, ...problems]] of Object.entries(cases)) {
    it(name, () => {
      assert.deepEqual(problemsOf(config, stackOf(config)), problems);
      assert.equal(validate({ config }), false, "the editor's schema accepts it");
    });
  }
}

/** A test for each config that the program refuses with just these problems, in whatever way a schema cannot. */
export function itRefusesAlone(cases: Record<string, [config: Config, ...problems: string[]]>, stackOf: StackOf): void {
  for (const [name, [config, ...problems]] of Object.entries(cases)) {
    it(name, () => assert.deepEqual(problemsOf(config, stackOf(config)), problems));
  }
}
