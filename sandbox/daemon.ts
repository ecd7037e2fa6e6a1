/** What the real services of the sandbox share: the reason why one cannot start, and processes that end with this one. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { commandPath as onPath, root } from "../cli/engine.ts";

/** Why a part cannot start here, and what would mend it: one line. */
export class Missing extends Error {}

const built = join(root, ".tools/bin");

/** The path of a command: the machine's own, else the one that `make` builds. */
export const commandPath = (name: string): string | undefined => onPath(name) ?? onPath(name, [built]);

const givenPorts = new Set<number>();

/**
 * A port of 127.0.0.1 that nobody listens on now. It is below those that a kernel gives to connections: one of these may
 * be taken by anybody between this answer and the server's start.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (givenPorts.has(port)) continue;
    givenPorts.add(port);
    if (await isFree(port)) return port;
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server
      .once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(false) : reject(error)))
      .listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

export const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asks until the answer is true or defined. @throws Error after a time: with the last error, where asking failed */
export async function until<T>(what: string, ask: () => Promise<T | false | undefined>, seconds = 60): Promise<T> {
  const end = Date.now() + seconds * 1000;
  let last: unknown;
  while (Date.now() < end) {
    try {
      last = undefined;
      const answer = await ask();
      if (answer !== false && answer !== undefined) return answer;
    } catch (error) {
      if (error instanceof Died) throw error;
      last = error;
    }
    await sleep(100);
  }
  throw new Error(`${what}: not within ${seconds} s${last ? `: ${(last as Error).message}` : ""}`);
}

/** A server process that has ended by itself. */
export class Died extends Error {}

/**
 * A server process that ends with this one, however that ends: a shell beside it waits for the end of a pipe from here,
 * which no kill can prevent.
 */
export class Daemon {
  readonly name: string;
  readonly #shell: ChildProcess;
  readonly #log: string;
  readonly #ended: Promise<void>;
  #code: string | undefined;

  /** @param log a file for what it prints */
  constructor(name: string, command: string, args: string[], log: string, env: Record<string, string> = {}) {
    this.name = name;
    this.#log = log;
    const output = openSync(log, "a");
    this.#shell = spawn("sh", ["-c", guard, name, command, ...args], {
      stdio: ["pipe", output, output],
      env: { ...process.env, ...env },
      // Ctrl-C is for the tests, which then close what they started; the pipe ends what they leave.
      detached: true,
    });
    this.#ended = new Promise((resolve) => {
      this.#shell.on("exit", (code, signal) => {
        this.#code = String(code ?? signal);
        resolve();
      });
    });
  }

  /** @throws Error with the end of its log when it runs no more */
  check(): void {
    if (this.#code === undefined) return;
    const lines = readFileSync(this.#log, "utf8").trimEnd().split("\n").slice(-15).join("\n");
    throw new Died(`${this.name} ended with ${this.#code}, the end of its log:\n${lines}`);
  }

  /** Sends SIGTERM, and SIGKILL to what does not end of it. */
  async stop(): Promise<void> {
    this.#shell.stdin!.end();
    await this.#ended;
  }
}

// A shell gives what it starts in the background no standard input, so the pipe gets a number of its own.
const guard = `exec 3<&0
"$@" 3<&- &
daemon=$!
{ cat <&3 >/dev/null; kill "$daemon"; sleep 20; kill -9 "$daemon"; } 2>/dev/null &
guard=$!
wait "$daemon"
code=$?
kill "$guard" 2>/dev/null
exit "$code"`;
