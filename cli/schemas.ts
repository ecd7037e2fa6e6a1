/** npm run generate, in part: writes the JSON Schemas of the project's interfaces, docs/stack.schema.json and docs/audit.schema.json. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { auditSchema } from "../audit/schema.ts";
import { stackFileSchema } from "../config.ts";

/** Every generated schema: its path to its text. */
export const schemas = (): Record<string, string> => ({
  "docs/stack.schema.json": text(stackFileSchema()),
  "docs/audit.schema.json": text({
    ...z.toJSONSchema(auditSchema, { target: "draft-07" }),
    title: "The audit output of a stack",
  }),
});

const text = (schema: object) => `${JSON.stringify(schema, undefined, 2)}\n`;

if (import.meta.main) {
  for (const [path, schema] of Object.entries(schemas())) writeFileSync(join(import.meta.dirname, "..", path), schema);
}
