import { type DeliveredFile, workflowFile } from "../../../components/github/delivered-file.ts";
import { ghcrImage } from "../../../components/github/names.ts";
import type { SchoolSchedulerConfig } from "../config.ts";
import { workflowPath } from "../names.ts";
import { workflows } from "./workflows.ts";

/** What a stack delivers: its environment's workflow. */
export const deliveredFiles = (config: SchoolSchedulerConfig, owner: string): DeliveredFile[] => {
  const { environment } = config;
  const args = { config, owner, image: ghcrImage(owner, config.repository) };
  return [
    workflowFile(
      workflowPath(environment),
      workflows[environment](args),
      "systems/school-scheduler/repository/workflows.ts",
    ),
  ];
};
