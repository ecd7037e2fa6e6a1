import { textBeside } from "../../../components/beside.ts";
import { type DeliveredFile, programFile, workflowFile } from "../../../components/github/delivered-file.ts";
import { countTests } from "../../../components/github/python-checks.ts";
import type { Workflow } from "../../../components/github/workflow.ts";
import { programs, recoveryFindings } from "../../../components/render/pipeline.ts";
import { deploys, type QivoConfig } from "../config.ts";
import { summaryPath, workflowPath, type workflows } from "../names.ts";
import { autoRecovery, deploy, monitoring, pythonCi, test, type WorkflowsArgs } from "./workflows.ts";

const made: Readonly<Record<keyof typeof workflows, (args: WorkflowsArgs) => Workflow>> = {
  tests: test,
  pythonCi,
  deploy,
  monitor: monitoring,
  recovery: autoRecovery,
};

/** What a stack delivers: prod all of it, as a repository has it once. The programs come before the workflows that run them. */
export const deliveredFiles = (config: QivoConfig, owner: string): DeliveredFile[] =>
  deploys(config)
    ? [
        ...programs({}),
        countTests(),
        programFile(
          summaryPath,
          textBeside(import.meta.url, "./build_summary.sh"),
          "systems/qivo/repository/build_summary.sh",
        ),
        ...Object.entries(made).map(([which, workflow]) =>
          workflowFile(
            workflowPath(which as keyof typeof workflows),
            workflow({ config, owner }),
            "systems/qivo/repository/workflows.ts",
            recoveryFindings,
          ),
        ),
      ]
    : [];
