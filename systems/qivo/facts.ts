import { fileFact, nothing } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import type { DeliveredFile } from "../../components/github/delivered-file.ts";
import type { QivoArgs } from "./config.ts";
import { rulesets } from "./names.ts";

/** What qivo says of itself in the audit. */
export function factsOf({ config, github: hub, secrets }: QivoArgs, files: readonly DeliveredFile[]): SystemFacts {
  const { environment, branch } = config;
  const repository = `${hub.owner}/${config.repository}`;
  return {
    ...nothing,
    secrets: Object.keys(secrets).map((name) => ({
      name,
      destination: `environment ${environment} of ${repository}`,
      origin: "stack config" as const,
    })),
    files: files.map((file) => fileFact({ ...file, repository, branch })),
    environments: [{ repository, name: environment }],
    rulesets: Object.keys(rulesets(config)).map((name) => ({ repository, name })),
  };
}
