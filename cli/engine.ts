/** The Pulumi CLI: finds one, and runs it in a folder. */
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Writable } from "node:stream";

/** The checkout. */
export const root = join(import.meta.dirname, "..");

/** What to say where there is no CLI. */
export const noEngine =
  "there is no pulumi on PATH, and the pinned npm package could not download it; `make render` works without one";

/** The path of a command, in the first of some folders that has it. @param folders those of PATH by default */
export const commandPath = (name: string, folders = process.env["PATH"]!.split(delimiter)): string | undefined =>
  folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });

/**
 * The machine's own CLI, else the pinned package's if it can download one.
 * @param packaged where the npm package's command is
 */
export function findPulumi(packaged = join(root, "node_modules/.bin")): string | undefined {
  const folders = process.env["PATH"]!.split(delimiter).filter((each) => each !== packaged);
  const own = join(packaged, "pulumi");
  const works = () => spawnSync(own, ["version"], { timeout: 120_000 }).status === 0;
  return commandPath("pulumi", folders) ?? (works() ? own : undefined);
}

/** How a command ended. */
export interface Ended {
  /** Exit code; undefined where a signal ended it. */
  code: number | undefined;
  /** Standard output. */
  out: string;
  /** Standard error. */
  error: string;
}

/** A command under way. */
export interface Running {
  pid: number;
  ended: Promise<Ended>;
}

/** What a process has started, and what that has: the CLI puts each of its plugins into a group of its own. */
export function descendants(pid: number): number[] {
  const lines = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).stdout.trim().split("\n");
  const all = lines.map((line) => line.trim().split(/\s+/).map(Number) as [pid: number, parent: number]);
  const below = (parent: number): number[] => {
    const own = all.filter((each) => each[1] === parent).map(([child]) => child);
    return [...own, ...own.flatMap(below)];
  };
  return below(pid);
}

const signals = ["SIGINT", "SIGTERM"] as const;

/** The CLI in a folder that holds a project. */
export class Engine {
  readonly #running = new Set<Running>();
  readonly #pulumi: string;
  readonly #folder: string;
  readonly #inherited: NodeJS.ProcessEnv;
  /** All that its commands have printed. */
  readonly transcript: string[] = [];
  /** What it gets besides that. */
  readonly env: Record<string, string>;

  /** @param inherited what it gets from the shell that started this */
  constructor(
    pulumi: string,
    folder: string,
    env: Record<string, string> = {},
    inherited: NodeJS.ProcessEnv = process.env,
  ) {
    this.#inherited = inherited;
    this.#pulumi = pulumi;
    this.#folder = folder;
    this.env = env;
  }

  /**
   * Runs a command to its end.
   * @param input what it reads from standard input
   * @returns what it printed @throws Error with its errors when it fails
   */
  async run(args: readonly string[], env: Record<string, string> = {}, input = ""): Promise<string> {
    const { code, out, error } = await this.start(args, env, input).ended;
    if (code === 0) return out;
    throw new Error(`pulumi ${args.join(" ")} ended with ${code ?? "a signal"}\n${errorsIn(out)}${error}`);
  }

  /** Kills every command under way, as a machine that loses power: the CLI, the program and the providers at once. */
  kill(): void {
    for (const { pid } of this.#running) {
      for (const each of [pid, ...descendants(pid)]) {
        try {
          process.kill(each, "SIGKILL");
        } catch {
          // It has ended by itself.
        }
      }
    }
  }

  /** Starts a command. @param shown where its output goes too */
  start(args: readonly string[], env: Record<string, string> = {}, input = "", shown?: Writable): Running {
    const child = spawn(this.#pulumi, [...args, "--non-interactive", "--color", "never"], {
      cwd: this.#folder,
      env: { ...this.#inherited, ...this.env, ...env },
      // Ctrl+C reaches it once, from here, and not from the terminal too: a second one would break it off.
      detached: true,
    });
    // Most commands read nothing, and may end before this is written.
    child.stdin.on("error", () => {}).end(input);
    if (shown) for (const stream of [child.stdout, child.stderr]) stream.pipe(shown, { end: false });
    let [out, error] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (error += text));
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on("error", reject).on("close", (code) => {
        this.transcript.push(out, error);
        resolve({ code: code ?? undefined, out, error });
      });
    });
    const running = { pid: child.pid!, ended };
    this.#running.add(running);
    // Whoever stops this stops the CLI, which then ends what it has begun and unlocks the state.
    const forward = () => child.kill("SIGINT");
    for (const signal of signals) process.on(signal, forward);
    const over = () => {
      this.#running.delete(running);
      for (const signal of signals) process.off(signal, forward);
    };
    ended.then(over, over);
    return running;
  }
}

/** The errors in a command's output: with --json they stand among the diagnostics, else on lines of their own. */
export function errorsIn(out: string): string {
  try {
    const { diagnostics = [] } = JSON.parse(out) as { diagnostics?: { severity: string; message: string }[] };
    return diagnostics
      .filter(({ severity }) => severity === "error")
      .map(({ message }) => `${message}\n`)
      .join("");
  } catch {
    // The summary: after the progress, before outputs and counts.
    const [, summary = out] = out.split("\nDiagnostics:\n");
    return summary.split(/^(?:Outputs|Resources):$/m)[0]!.replaceAll(/^ *warning: .*\n/gm, "");
  }
}

/** A resource's type as the CLI shows it: without the module's file where that has the type's own name, `gcp:storage:Bucket`. */
export const shown = (type: string): string =>
  type.replace(/\/([^:/]+):([^:]+)$/, (end, file: string, name: string) =>
    file === name[0]!.toLowerCase() + name.slice(1) ? `:${name}` : end,
  );
