/** python-api as the document has it, as tests declare it: whatever the project's own stacks have. */
import assert from "node:assert/strict";
import { secret } from "@pulumi/pulumi";
import { type Declaration, observe } from "../../../cli/render/program.ts";
import { parseConfig } from "../../../config.ts";
import type { Environment, PythonApiConfig } from "../../../systems/python-api/config.ts";
import { PythonApi } from "../../../systems/python-api/index.ts";
import { typeName } from "../../declared.ts";

/** A stack's config with python-api changed. */
export function configOf(changes: object = {}, stack: Environment = "prod"): PythonApiConfig {
  return parsed(changes, stack).config["python-api"]!.config;
}

function parsed(changes: object, stack: Environment) {
  const raw = {
    "github:owner": "Sua-Org",
    "kubernetes:context": "argocd",
    "esteira:python-api": JSON.stringify({ argocd: { url: "https://argocd.example.org" }, ...changes }),
  };
  const { config, needs, problems } = parseConfig(raw, stack);
  assert.deepEqual(problems, []);
  return { config: config!, needs };
}

/** What a stack declares with python-api changed. */
export function declare(changes: object = {}, stack: Environment = "prod"): Promise<Declaration> {
  const { config, needs } = parsed(changes, stack);
  const secrets = Object.fromEntries(needs.map(({ path }) => [path.replace("python-api.", ""), secret("canary")]));
  return observe(async () => {
    const { facts } = new PythonApi("python-api", { ...config["python-api"]!, secrets, github: config.github });
    return { facts };
  }, stack);
}

/** The inputs of one resource, by the last word of its type and, where that is not enough, its name. */
export function inputsOf({ resources }: Declaration, type: string, name?: string): Record<string, unknown> {
  const found = resources.filter((each) => typeName(each) === type && (name === undefined || each.name === name));
  assert.equal(found.length, 1, `${found.length} of ${type}`);
  return found[0]!.inputs;
}

/** The text of each delivered file, by path. */
export const filesOf = ({ resources }: Declaration): Record<string, string> =>
  Object.fromEntries(
    resources
      .filter((each) => typeName(each) === "RepositoryFile")
      .map(({ inputs }) => [String(inputs["file"]), String(inputs["content"])]),
  );
