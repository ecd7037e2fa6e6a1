/** qivo as the document has it, as tests declare it: whatever the project's own stacks have. */
import assert from "node:assert/strict";
import { secret } from "@pulumi/pulumi";
import { type Declaration, observe } from "../../../cli/render/program.ts";
import { parseConfig } from "../../../config.ts";
import type { Environment, QivoConfig } from "../../../systems/qivo/config.ts";
import { Qivo } from "../../../systems/qivo/index.ts";
import { asPulumi, type Config } from "../../support/config.ts";

/** The least that each environment's file must say. */
export const least = {
  dev: {},
  prod: { service: { id: "srv-d3sk5h1r0fns738ibdg0", name: "qivo-mining" } },
} as const satisfies Record<Environment, object>;

/** A stack's config with qivo changed and other keys put beside it. */
export const stackWith = (stack: Environment, changes: object = {}, beside: Config = {}): Config => ({
  "github:owner": "sua-org",
  "esteira:qivo": { ...least[stack], ...changes },
  ...beside,
});

/** The system's part of a stack's config, resolved. */
export function configOf(stack: Environment, changes: object = {}): QivoConfig {
  const { config, problems } = parseConfig(asPulumi(stackWith(stack, changes)), stack);
  assert.deepEqual(problems, []);
  return config!.qivo!.config;
}

/** What a stack declares with qivo changed. @param names of the secrets that are given */
export function declare(stack: Environment, names: readonly string[], changes: object = {}): Promise<Declaration> {
  const config = configOf(stack, changes);
  return observe(async () => {
    const { facts } = new Qivo("qivo", {
      config,
      secrets: Object.fromEntries(names.map((name) => [name, secret(`canary of ${name}`)])),
      github: { owner: "sua-org", ownerType: "organization" },
    });
    return { facts };
  }, stack);
}
