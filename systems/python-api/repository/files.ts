import { type DeliveredFile, workflowFile } from "../../../components/github/delivered-file.ts";
import { ghcrImage } from "../../../components/github/names.ts";
import { type PythonApiConfig, stacks } from "../config.ts";
import { environmentName, runbookPath, valuesFile } from "../names.ts";
import { publish, workflowPath } from "./publish.ts";
import { runbook } from "./runbook.ts";

/** What a stack delivers: its environment's workflow and runbook. */
export function deliveredFiles(config: PythonApiConfig, owner: string): DeliveredFile[] {
  const { environment, chart } = config;
  const valuesFiles = Object.fromEntries(stacks.map((each) => [each, `${chart}/${valuesFile(each)}`])) as Record<
    (typeof stacks)[number],
    string
  >;
  return [
    workflowFile(
      workflowPath(environment),
      publish({
        ...config,
        owner,
        environmentName: environmentName(environment),
        image: ghcrImage(owner, config.repository),
        then: afterCommit(config),
        valuesFiles,
        delivered: stacks.flatMap((each) => [workflowPath(each), runbookPath(each)]),
      }),
      "systems/python-api/repository/publish.ts",
    ),
    { path: runbookPath(environment), text: runbook(config, owner) },
  ];
}

const afterCommit = ({ automated, application, windows }: PythonApiConfig): string =>
  automated
    ? `then Argo CD syncs ${application} by itself`
    : `then an operator syncs${windows.length > 0 ? ", within a window" : ""}: \`argocd app sync ${application}\``;
