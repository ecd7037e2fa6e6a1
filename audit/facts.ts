import { createHash } from "node:crypto";
import type { SystemFacts } from "./schema.ts";

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
