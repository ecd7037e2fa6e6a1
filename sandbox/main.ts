/** make sandbox: a stack brought up by the real engine, with stand-ins for what it talks to, left running for a look. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findPulumi, noEngine } from "../cli/engine.ts";
import { isUsage } from "../cli/render/stack-file.ts";
import { type Sandbox, startSandbox } from "./sandbox.ts";

const usage = `node --import ./cli/start.mjs sandbox/main.ts --stack NAME [--once]

Brings the stack up by the Pulumi engine, with local stand-ins for GitHub and Google Cloud, and leaves it running until
Ctrl+C. --once ends as soon as it is up. Exit codes: 0 up, 1 the engine failed, 2 wrong call, 3 something is missing here.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { stack: { type: "string" }, once: { type: "boolean" }, help: { type: "boolean" } },
  });
  if (values.help || !values.stack) {
    console[values.help ? "log" : "error"](usage);
    return values.help ? 0 : 2;
  }
  const pulumi = findPulumi();
  if (!pulumi) {
    console.error(`sandbox: ${noEngine}`);
    return 3;
  }
  const began = performance.now();
  const { signal, forget } = interruption();
  let sandbox: Sandbox | undefined;
  try {
    sandbox = await startSandbox(pulumi, values.stack);
    if (sandbox.missing.length > 0) {
      for (const reason of sandbox.missing) console.error(`sandbox: ${reason}`);
      return 3;
    }
    if (signal.aborted) return 1;
    const { code } = await sandbox.engine.start(["up", "--yes", "--skip-preview"], {}, "", process.stdout).ended;
    if (code !== 0) return 1;
    console.log(`\n${summary(sandbox, (performance.now() - began) / 1000)}`);
    if (!values.once && !signal.aborted) await once(signal, "abort");
    return 0;
  } finally {
    forget();
    await sandbox?.close();
  }
}

/** Ctrl+C as a signal: meanwhile it ends nothing by itself, so that all that was begun can be ended. */
function interruption(): { signal: AbortSignal; forget(): void } {
  const controller = new AbortController();
  const stop = () => controller.abort();
  // Keeps the process alive where a stack needs no server.
  const forever = setInterval(() => {}, 2 ** 31 - 1);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
  const forget = () => {
    clearInterval(forever);
    for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, stop);
  };
  return { signal: controller.signal, forget };
}

function summary({ stack, folder, engine, parts, declaration }: Sandbox, seconds: number): string {
  const env = join(folder, "env.sh");
  const variables = Object.entries(engine.env).map(([name, value]) => `export ${name}='${value}'\n`);
  writeFileSync(env, `cd ${folder}\n${variables.join("")}`);
  return [
    `${stack} is up: ${declaration.resources.length} resources in ${seconds.toFixed(0)} s`,
    ...parts.map(
      ({ name, standIn, address }) => `  ${name.padEnd(13)}${standIn ? `${standIn.log.length} calls; ` : ""}${address}`,
    ),
    "",
    "The CLI on this state, in another shell:",
    `  . ${env}; pulumi preview --refresh`,
    "",
    "Ctrl+C ends it and deletes everything.",
  ].join("\n");
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`sandbox: ${(error as Error).message}`);
  process.exitCode = isUsage(error) ? 2 : 1;
}
