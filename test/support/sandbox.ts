/** A throw-away directory in which a delivered program runs for real, with recording stubs before the real tools. */
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export type Env = Record<string, string | undefined>;

export interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
  /** Both, as a log shows them. */
  output: string;
}

export interface Call {
  argv: string[];
  /** Names only: values may be secret. */
  env: string[];
  cwd: string;
}

/** The interpreter itself: a version manager's shim would cost more than the programs under test. */
export const PYTHON = execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim();

/** The path of a tool outside of any sandbox. */
export function real(tool: string): string {
  return execFileSync("bash", ["-c", 'type -P "$1"', "-", tool], { encoding: "utf8" }).trim();
}

/** The newest of the lines name=value in a file of step outputs. */
export function outputsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split("\n")
      .filter(Boolean)
      .map((line) => [line.split("=", 1)[0], line.slice(line.indexOf("=") + 1)]),
  );
}

export class Sandbox {
  readonly dir = mkdtempSync(join(tmpdir(), "sandbox-"));
  readonly bin = this.#make("bin");
  readonly log = this.#make("log");
  readonly home = this.#make("home");
  /** What every program gets, and nothing of this process' own environment besides. */
  readonly env: Env = {
    PATH: `${this.bin}:/usr/local/bin:/usr/bin:/bin`,
    HOME: this.home,
    TMPDIR: this.#make("tmp"),
    LANG: "C.UTF-8",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TEMPLATE_DIR: "",
    GIT_AUTHOR_NAME: "A Person",
    GIT_AUTHOR_EMAIL: "person@example.com",
    GIT_COMMITTER_NAME: "A Person",
    GIT_COMMITTER_EMAIL: "person@example.com",
    GITHUB_OUTPUT: join(this.dir, "output"),
    GITHUB_STEP_SUMMARY: join(this.dir, "summary"),
  };

  #make(name: string): string {
    const path = join(this.dir, name);
    mkdirSync(path);
    return path;
  }

  path(...parts: string[]): string {
    return resolve(this.dir, ...parts);
  }

  write(name: string, content: string | Uint8Array): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  read(name: string): string {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), "utf8") : "";
  }

  /** A command on PATH that logs how it was called, then runs this bash text. */
  stub(name: string, body = ""): void {
    const path = join(this.bin, name);
    // Builtins only: fast, and no stub is called by a stub.
    const record = `printf '%s\\0' "$PWD" "$(compgen -e)" "$#" "$@" >>'${join(this.log, name)}'`;
    writeFileSync(path, `#!/bin/bash\n${record}\n${body}\n`);
    chmodSync(path, 0o755);
  }

  calls(name: string): Call[] {
    const fields = this.read(`log/${name}`).split("\0").slice(0, -1);
    const calls: Call[] = [];
    while (fields.length > 0) {
      const [cwd = "", env = "", count = "0"] = fields.splice(0, 3);
      calls.push({ cwd, env: env.split("\n"), argv: fields.splice(0, Number(count)) });
    }
    return calls;
  }

  /** Python as `python` and `python3`, the versions the programs find. */
  usePython(): void {
    for (const name of ["python", "python3"]) {
      writeFileSync(join(this.bin, name), `#!/bin/sh\nexec '${PYTHON}' "$@"\n`);
      chmodSync(join(this.bin, name), 0o755);
    }
  }

  async run(
    command: string,
    args: string[],
    options: { env?: Env; cwd?: string; input?: string } = {},
  ): Promise<Result> {
    const child = spawn(command, args, {
      cwd: options.cwd ?? this.dir,
      env: { ...this.env, ...options.env } as NodeJS.ProcessEnv,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const result: Result = { code: null, stdout: "", stderr: "", output: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        result[stream] += text;
        result.output += text;
      });
    }
    child.stdin.on("error", () => {}); // a program that reads nothing
    child.stdin.end(options.input ?? "");
    result.code = await new Promise((done, failed) => child.on("error", failed).on("close", done));
    return result;
  }

  /** A program of a `run:` block, as a runner on Linux starts it. */
  bash(script: string, env: Env, cwd?: string): Promise<Result> {
    return this.run("bash", ["--noprofile", "--norc", "-e", "-o", "pipefail", script], { env, cwd });
  }

  /** git, whose failure is the test's failure. */
  git(cwd: string, ...args: string[]): string {
    return execFileSync("git", args, {
      cwd,
      env: this.env as NodeJS.ProcessEnv,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  }

  /** A bare repository with these files on main, and a clone of it: their paths. */
  repository(files: Record<string, string | Uint8Array>, name = "repository"): { remote: string; clone: string } {
    const remote = this.path(`${name}.git`);
    const clone = this.path(name);
    this.git(this.dir, "init", "--quiet", "--bare", "--initial-branch=main", remote);
    this.git(this.dir, "init", "--quiet", "--initial-branch=main", clone);
    this.git(clone, "remote", "add", "origin", remote);
    for (const [path, content] of Object.entries(files)) this.write(join(name, path), content);
    this.git(clone, "add", "--all");
    this.git(clone, "commit", "--quiet", "--allow-empty", "--message", "First");
    this.git(clone, "push", "--quiet", "--set-upstream", "origin", "main");
    return { remote, clone };
  }

  /** Every file below a directory of the sandbox that holds this text: where a secret was left. */
  filesWith(text: string, below = "."): string[] {
    const found: string[] = [];
    for (const entry of readdirSync(this.path(below), { recursive: true, encoding: "utf8" })) {
      const path = this.path(below, entry);
      if (statSync(path, { throwIfNoEntry: false })?.isFile() && readFileSync(path).includes(text))
        found.push(join(below, entry));
    }
    return found;
  }

  dispose(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
