import { registerHooks } from "node:module";
import type { Artefacts } from "./artefacts.ts";
import { computed } from "./program.ts";

/** Something that a rendered file must not have. */
export interface Finding {
  /** Path below rendered/<stack>. */
  file: string;
  message: string;
}

const isWorkflow = (path: string) => /^github\/[^/]+\/[^/]+\/\.github\/workflows\/[^/]+\.ya?ml$/.test(path);

/** Checks every rendered file that goes somewhere: each is whole, and GitHub's own parser takes each workflow. */
export async function check(files: Artefacts): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [file, text] of files) {
    if (file.startsWith("github/") && text.includes(computed)) {
      findings.push({
        file,
        message: "its content depends on what only a provider knows, so nobody can review it beforehand",
      });
    }
    if (isWorkflow(file)) findings.push(...(await workflowProblems(file, text)).map((message) => ({ file, message })));
  }
  return findings;
}

async function workflowProblems(file: string, content: string): Promise<string[]> {
  const { NoOperationTraceWriter, parseWorkflow } = await (parser ??= loadParser());
  const { context } = parseWorkflow({ name: file, content }, new NoOperationTraceWriter());
  return context.errors.getErrors().map(({ message }) => message);
}

let parser: ReturnType<typeof loadParser> | undefined;

/** Loads GitHub's parser when the first workflow asks for it. It imports its schema the way bundlers like it, not Node. */
const loadParser = () => {
  registerHooks({
    load: (url, context, next) =>
      url.includes("/@actions/") && url.endsWith(".json")
        ? next(url, { ...context, importAttributes: { type: "json" } })
        : next(url, context),
  });
  return import("@actions/workflow-parser");
};
