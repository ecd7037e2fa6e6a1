/**
 * npm run render -- --stack prod [--out rendered] [--json], or --all for every stack.
 * Shows what `pulumi up` would declare, offline, and writes it as files.
 * Exit 0: rendered and clean; 1: a check failed; 2: the call or the config is wrong, and nothing is written.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ConfigError, setSecret } from "../config.ts";
import { root } from "./engine.ts";
import { type Artefacts, artefacts } from "./render/artefacts.ts";
import { check, type Finding } from "./render/checks.ts";
import { type Declaration, declare, defaultStackTraceLimit } from "./render/program.ts";
import { counts, providers, tree } from "./render/report.ts";
import { isUsage, readStackFile, type StackFile, stacksIn, UsageError } from "./render/stack-file.ts";

/** One stack's render, whole and in memory. */
export interface Render {
  stack: string;
  declaration: Declaration;
  files: Artefacts;
  findings: Finding[];
  needs: StackFile["needs"];
}

/** Renders a stack without writing anything. */
export async function render(stack: string): Promise<Render> {
  const stackFile = readStackFile(root, stack);
  const declaration = await declare(root, stack, stackFile);
  const files = artefacts(declaration, stackFile.config["github:owner"] ?? "");
  return { stack, declaration, files, findings: await check(files), needs: stackFile.needs };
}

/**
 * Writes a render below `out`/<stack>, in place of the one before.
 * @throws UsageError when that folder holds something that is no render: it would be lost
 */
export function write(files: Artefacts, folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(join(folder, "resources.json"))) {
    throw new UsageError(`${folder} holds something that is no render; give another --out`);
  }
  rmSync(folder, { recursive: true, force: true });
  for (const [path, text] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function show({ stack, declaration: { resources }, files, findings, needs }: Render, folder: string): void {
  const delivered = [...files.keys()].filter((path) => path.includes("/"));
  console.log(tree(resources));
  console.log(
    resources.length === 1
      ? `\nNo system is in ${stack}.`
      : `\n${resources.length} resources in ${stack}: ${providers(resources)}, the rest components`,
  );
  if (delivered.length > 0) console.log(`\n${delivered.length} files for other places, in ${folder}/:`);
  for (const path of delivered.slice(0, 10)) console.log(`  ${path}`);
  if (delivered.length > 10) console.log(`  … and ${delivered.length - 10} more`);
  if (needs.length > 0) {
    console.log("\nSecrets:");
    for (const { path, purpose, given, optional } of needs) {
      console.log(`  ${given ? "given   " : optional ? "optional" : "missing "}  ${path}: ${purpose}`);
      if (!given) console.log(`            ${setSecret(stack, path)}`);
    }
  }
  for (const { file, message } of findings) console.error(`\n${folder}/${file}: ${message}`);
  console.log(findings.length > 0 ? "" : `\nNext: read ${folder}/audit.json, then make preview STACK=${stack}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      stack: { type: "string" },
      all: { type: "boolean", default: false },
      out: { type: "string", default: "rendered" },
      json: { type: "boolean", default: false },
    },
  });
  if ((values.stack === undefined) === !values.all) throw new UsageError("give either --stack NAME or --all");
  const renders: Render[] = [];
  for (const stack of values.stack ? [values.stack] : stacksIn(root)) renders.push(await render(stack));

  for (const each of renders) {
    const folder = join(resolve(values.out), each.stack);
    write(each.files, folder);
    if (!values.json) show(each, relative(process.cwd(), folder) || ".");
  }
  if (values.json) {
    const summary = renders.map(({ stack, declaration, files, findings, needs }) => ({
      stack,
      resources: Object.fromEntries(counts(declaration.resources)),
      files: [...files.keys()],
      secrets: needs,
      findings,
    }));
    console.log(JSON.stringify(values.all ? summary : summary[0], undefined, 2));
  }
  return renders.some(({ findings }) => findings.length > 0) ? 1 : 0;
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    const { message } = error as Error;
    const expected = isUsage(error) || error instanceof ConfigError;
    console.error(`esteira: ${message}`);
    if (!expected) {
      console.error(
        "For a stack trace: node --stack-trace-limit=50 --import ./cli/start.mjs cli/render.ts --stack NAME",
      );
      if (Error.stackTraceLimit > defaultStackTraceLimit) console.error((error as Error).stack);
    }
    process.exitCode = 2;
  }
}
