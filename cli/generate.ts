/** npm run generate: writes again what follows from the program: rendered/, the JSON Schemas, and the render that README shows. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { auditSchema } from "../audit/schema.ts";
import { stackFileSchema } from "../config.ts";
import { root } from "./engine.ts";

/** The JSON Schemas of the project's interfaces: path to text. */
export const schemas = (): Record<string, string> => ({
  "docs/stack.schema.json": text(stackFileSchema()),
  "docs/audit.schema.json": text({
    ...z.toJSONSchema(auditSchema, { target: "draft-07" }),
    title: "The audit output of a stack",
  }),
});

const text = (schema: object) => `${JSON.stringify(schema, undefined, 2)}\n`;

/** What a command of ours prints, run in the project's folder. */
const printed = (...args: string[]): string =>
  execFileSync(process.execPath, ["--import", "./cli/start.mjs", ...args], { cwd: root, encoding: "utf8" });

if (import.meta.main) {
  for (const [path, schema] of Object.entries(schemas())) writeFileSync(join(root, path), schema);
  printed("cli/render.ts", "--all");
  const readme = join(root, "README.md");
  const shown = /(\$ make render STACK=prod\n)[\s\S]*?(```)/;
  const render = printed("cli/render.ts", "--stack", "prod");
  writeFileSync(
    readme,
    readFileSync(readme, "utf8").replace(shown, (_, command, end) => command + render + end),
  );
}
