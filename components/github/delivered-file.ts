import type { Action } from "./actions.ts";
import type { RepositoryDeliveryArgs } from "./repository-delivery.ts";
import { actionsOf, type Findings, generatedFrom, renderWorkflow, type Workflow } from "./workflow.ts";

/** A file that a system puts into a repository. */
export interface DeliveredFile {
  path: string;
  text: string;
  /** The actions that it uses, if it is a workflow. */
  actions?: Action[];
}

/**
 * A workflow's file.
 * @param source where the workflow is made, for whoever reads the file
 * @param meant see {@link renderWorkflow}
 */
export const workflowFile = (path: string, workflow: Workflow, source: string, meant?: Findings): DeliveredFile => ({
  path,
  text: renderWorkflow(workflow, source, meant),
  actions: actionsOf(workflow),
});

/**
 * A program's file, which says at its top where it is made.
 * @param source where that is, for whoever reads the file
 */
export const programFile = (path: string, text: string, source: string): DeliveredFile => {
  // What runs it stands in the first line or nowhere.
  const [first = ""] = /^#!.*\n/.exec(text) ?? [];
  const told = generatedFrom(source).replace(/^/gm, "# ");
  return { path, text: `${first}${told}\n${text.slice(first.length)}` };
};

/** Files as a {@link RepositoryDelivery} takes them. */
export const filesOf = (files: readonly DeliveredFile[]): Record<string, string> =>
  Object.fromEntries(files.map(({ path, text }) => [path, text]));

/** How files get to a repository; each stack's pull requests from branches of its own. */
export const arrival = (
  name: string,
  environment: string,
  { branch, via }: { branch: string; via: "push" | "pull-request" },
): Pick<RepositoryDeliveryArgs, "branch" | "via" | "headBranch"> => ({
  branch,
  via,
  headBranch: via === "pull-request" ? `esteira/${name}-${environment}` : undefined,
});
