/** The Pulumi CLI for tests: finds one, and runs it on a throw-away state. */
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

export const root = join(import.meta.dirname, "../..");

/** The machine's own CLI, else the pinned package's if it can download one. */
function find(): string | undefined {
  const packaged = join(root, "node_modules/.bin");
  for (const folder of process.env["PATH"]!.split(delimiter).filter((each) => each !== packaged)) {
    try {
      accessSync(join(folder, "pulumi"), constants.X_OK);
      return join(folder, "pulumi");
    } catch {}
  }
  const own = join(packaged, "pulumi");
  return spawnSync(own, ["version"], { timeout: 120_000 }).status === 0 ? own : undefined;
}

let pulumi: string | undefined;

/** For a `before` hook: skips the suite, and says so, where there is no CLI. */
export function requireEngine(this: Mocha.Context): void {
  pulumi ??= find();
  if (!pulumi) {
    console.log("  NOT RUN: there is no pulumi on PATH, and the pinned npm package could not download it");
    this.skip();
  }
}

/**
 * Runs `pulumi` in a folder that holds a project and, beside it, the state.
 * @returns what it printed @throws Error with its errors when it fails
 */
export const engine = (cwd: string, args: string[], env: Record<string, string> = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(pulumi!, [...args, "--non-interactive"], {
      cwd,
      env: {
        ...process.env,
        PULUMI_BACKEND_URL: `file://${cwd}`,
        PULUMI_CONFIG_PASSPHRASE: "test",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_GCP_SKIP_REGION_VALIDATION: "true",
        ...env,
      },
    });
    let [out, error] = ["", ""];
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    child.stderr.on("data", (chunk) => {
      error += chunk;
    });
    child.on("close", (code) => {
      if (code === 0) resolve(out);
      else reject(new Error(`pulumi ${args.join(" ")} ended with ${code}\n${errorsIn(out)}${error}`));
    });
  });

function errorsIn(out: string): string {
  try {
    const { diagnostics = [] } = JSON.parse(out) as { diagnostics?: { severity: string; message: string }[] };
    return diagnostics
      .filter(({ severity }) => severity === "error")
      .map(({ message }) => `${message}\n`)
      .join("");
  } catch {
    return out;
  }
}
