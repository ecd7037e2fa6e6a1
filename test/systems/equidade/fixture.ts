/** equidade with three functions, as tests declare it: whatever the project's own stacks have. */
import assert from "node:assert/strict";
import { type Declaration, observe } from "../../../cli/render/program.ts";
import { parseConfig } from "../../../config.ts";
import { Equidade } from "../../../systems/equidade/index.ts";
import { typeName } from "../../declared.ts";

export const base = {
  project: "equidade-prod",
  projectNumber: 123456789012,
  region: "southamerica-east1",
  functions: ["cloud-function-1", "cloud-function-2", "cloud-function-3"] as unknown[],
};

/** What a stack declares with equidade changed. */
export async function declare(
  changes: object = {},
  stack = "prod",
  ownerType = "organization",
  ownerId: string | undefined = "4242",
): Promise<Declaration> {
  const raw = {
    "github:owner": "sua-org",
    "esteira:ownerType": ownerType,
    ...(ownerId && { "esteira:ownerId": ownerId }),
    "esteira:equidade": JSON.stringify({ ...base, ...changes }),
    "esteira:secrets": "{}",
  };
  const { config, problems } = parseConfig(raw, stack);
  assert.deepEqual(problems, []);
  return observe(
    async () => ({
      facts: new Equidade("equidade", {
        ...config!.equidade!,
        secrets: { DEPLOY_TRIGGER_TOKEN: "t" as never },
        github: config!.github,
      }).facts,
    }),
    stack,
  );
}

/** The workflow files of dev, staging and prod: files("prod", "cloud-function-1", "deploy.yml"). */
export async function deliveredWorkflows(): Promise<(stack: string, repository: string, file: string) => string> {
  const texts = new Map<string, string>();
  for (const stack of ["dev", "staging", "prod"]) {
    const { resources } = await declare({ project: `equidade-${stack}` }, stack);
    for (const { inputs } of resources.filter((each) => typeName(each) === "RepositoryFile")) {
      texts.set(`${stack} ${inputs["repository"]} ${inputs["file"]}`, String(inputs["content"]));
    }
  }
  return (stack, repository, file) => {
    const text = texts.get(`${stack} ${repository} .github/workflows/${file}`);
    assert.ok(text, `${stack} delivers no ${file} to ${repository}`);
    return text;
  };
}
