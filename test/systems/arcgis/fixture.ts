/** arcgis with the document's six flows, as tests declare it: whatever the project's own stacks have. */
import assert from "node:assert/strict";
import { secret } from "@pulumi/pulumi";
import { type Declaration, observe } from "../../../cli/render/program.ts";
import { parseConfig } from "../../../config.ts";
import type { Mode } from "../../../systems/arcgis/config.ts";
import { Arcgis } from "../../../systems/arcgis/index.ts";
import { answerWith } from "../../components/answers.ts";
import { typeName } from "../../declared.ts";

export const flows: unknown[] = [
  "abordagem",
  "cartao_primeira_infancia_carioca",
  "cras_cas_poligonos",
  "equipamentos",
  "gestao_vagas",
  "limite_bairros_25",
];

export const host = { domain: "prefect-rj-smas.org", acmeEmail: "infra@example.org" };

/** What each stack's file says: prod owns the host, staging uses it, dev has none. */
const base: Record<Mode, object> = {
  dev: { project: "rj-smas-dev", endpoint: "https://dev.example.org" },
  staging: { project: "rj-smas-staging", endpoint: "https://staging.example.org", prefect: { stack: "prod" } },
  prod: { project: "rj-smas", endpoint: "https://example.org", prefect: host, flows },
};

/** What a stack declares with arcgis changed. @param answers what other stacks tell of themselves */
export async function declare(
  changes: object = {},
  stack: Mode = "prod",
  answers: Parameters<typeof answerWith>[0] = {},
): Promise<Declaration> {
  const raw = {
    "github:owner": "Sua-Org",
    "docker:host": "ssh://deploy@prefect-rj-smas.org",
    "esteira:arcgis": JSON.stringify({ region: "southamerica-east1", ...base[stack], ...changes }),
  };
  const { config, needs, problems } = parseConfig(raw, stack);
  assert.deepEqual(problems, []);
  const secrets = Object.fromEntries(needs.map(({ path }) => [path.replace("arcgis.", ""), secret("canary")]));
  return observe(async () => {
    answerWith(answers);
    const { facts, shared } = new Arcgis("arcgis", { ...config!.arcgis!, secrets, github: config!.github });
    return { facts, ...(shared && { shared }) };
  }, stack);
}

/** The text of each delivered file, by path. */
export const filesOf = ({ resources }: Declaration): Record<string, string> =>
  Object.fromEntries(
    resources
      .filter((each) => typeName(each) === "RepositoryFile")
      .map(({ inputs }) => [String(inputs["file"]), String(inputs["content"])]),
  );
