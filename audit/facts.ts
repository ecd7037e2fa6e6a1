import { createHash } from "node:crypto";
import type { SystemFacts } from "./schema.ts";

/** The facts of a system that has nothing of any kind; what it has is put in their place. */
export const nothing: SystemFacts = {
  projects: [],
  endpoints: [],
  serviceAccounts: [],
  federation: [],
  secrets: [],
  files: [],
  environments: [],
  rulesets: [],
  images: [],
  backups: [],
  applications: [],
  syncWindows: [],
  namespaces: [],
  clusterAccess: [],
};

type FileFact = SystemFacts["files"][number];

/** The fact of a delivered file: its digest stands for its content. */
export const fileFact = ({
  text,
  actions = [],
  ...where
}: Omit<FileFact, "sha256" | "actions"> & { text: string; actions?: FileFact["actions"] }): FileFact => ({
  ...where,
  sha256: createHash("sha256").update(text).digest("hex"),
  actions,
});
