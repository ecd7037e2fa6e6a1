/** Git repositories on 127.0.0.1, over HTTP as a forge serves them. */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";

export interface Login {
  username: string;
  password: string;
}

export interface Repository {
  url: string;
  /** Commits files on `main` and publishes that; null deletes one. Returns the commit's SHA. */
  commit(files: Record<string, string | null>, message?: string): string;
  /** What a branch has in a file now: also what somebody else has pushed. */
  read(path: string, branch?: string): string;
}

export interface GitServer {
  /** Makes an empty repository. @param login whom alone it is for @default everybody, to read and to push */
  repository(name: string, login?: Login): Repository;
  close(): Promise<void>;
}

export async function startGitServer(folder: string): Promise<GitServer> {
  const logins = new Map<string, Login>();
  const server = createServer((request, response) => answer(folder, logins, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    repository: (name, login) => {
      const bare = join(folder, `${name}.git`);
      const work = join(folder, "work", name);
      git(".", "init", "--quiet", "--bare", "--initial-branch=main", bare);
      git(bare, "config", "http.receivepack", "true");
      git(".", "clone", "--quiet", bare, work);
      if (login) logins.set(`${name}.git`, login);
      return {
        url: `http://127.0.0.1:${port}/${name}.git`,
        commit: (files, message = "A change") => {
          // Somebody else may have pushed.
          if (git(bare, "branch", "--list", "main")) git(work, "pull", "--quiet", "--rebase", "origin", "main");
          for (const [path, text] of Object.entries(files)) {
            const file = join(work, path);
            if (text === null) rmSync(file);
            else {
              mkdirSync(dirname(file), { recursive: true });
              writeFileSync(file, text);
            }
          }
          git(work, "add", "--all");
          git(work, "commit", "--quiet", "--message", message);
          git(work, "push", "--quiet", "origin", "HEAD:main");
          return git(work, "rev-parse", "HEAD");
        },
        read: (path, branch = "main") => git(bare, "show", `${branch}:${path}`),
      };
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const environment = () => ({
  PATH: process.env["PATH"]!,
  // Nothing of the machine's own settings.
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
  GIT_AUTHOR_NAME: "Test",
  GIT_AUTHOR_EMAIL: "test@example.org",
  GIT_COMMITTER_NAME: "Test",
  GIT_COMMITTER_EMAIL: "test@example.org",
});

/** @throws Error where it fails */
function git(folder: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync("git", ["-C", folder, ...args], {
    encoding: "utf8",
    env: environment(),
  });
  if (status !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`);
  return stdout.trim();
}

/** By git's own program for web servers, which speaks CGI. */
function answer(folder: string, logins: Map<string, Login>, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url!, "http://127.0.0.1");
  const login = logins.get(pathname.split("/")[1]!);
  const expected = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
  if (expected && request.headers.authorization !== expected) {
    response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
    return;
  }
  const cgi = spawn("git", ["http-backend"], {
    env: {
      ...environment(),
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: "1",
      REQUEST_METHOD: request.method!,
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: `${request.headers["content-encoding"] ?? ""}`,
      GIT_PROTOCOL: `${request.headers["git-protocol"] ?? ""}`,
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  request.pipe(cgi.stdin);
  // It does not always read to the end.
  cgi.stdin.on("error", () => {});
  const chunks: Buffer[] = [];
  cgi.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  cgi.on("close", () => {
    const output = Buffer.concat(chunks);
    const end = output.indexOf("\r\n\r\n");
    const headers = Object.fromEntries(
      output
        .subarray(0, Math.max(end, 0))
        .toString()
        .split("\r\n")
        .filter(Boolean)
        .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
    );
    const { status, ...others } = headers;
    response.writeHead(end < 0 ? 500 : Number.parseInt(status ?? "200", 10), others).end(output.subarray(end + 4));
  });
}
