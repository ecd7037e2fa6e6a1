/** A real Docker engine: the one that is named, or one that has its own data and its own network. */
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { commandPath, Daemon, Missing, until } from "../daemon.ts";
import type { Drift } from "../stand-in/api.ts";

export interface Docker {
  name: "Docker";
  /** As `docker:host` and DOCKER_HOST want it: `unix:///…/docker.sock`. */
  host: string;
  /** The engine's API: JSON to JSON. @throws Error with the engine's words */
  request<T>(method: string, path: string, body?: unknown): Promise<T>;
  /**
   * Makes an image that runs without any network: busybox with its commands, and some files.
   * @param name `orders:1`
   * @param command what its containers run: `["httpd", "-f", "-h", "/www"]`
   * @param files path in the image to content
   * @returns its id @throws Missing where there is no static busybox
   */
  image(name: string, command: string[], files?: Record<string, string>): Promise<string>;
  /** What it holds beyond what it started with and the images made here, sorted: `container web`, `volume data`. */
  objects(): Promise<string[]>;
  /** Each of them could be deleted behind somebody's back. */
  drifts(): Promise<Drift[]>;
  /** Deletes all of that. */
  reset(): Promise<void>;
  /** Ends its containers too, where it was started here. */
  close(): Promise<void>;
}

/**
 * Starts an engine below a folder. It ends with this process.
 *
 * It has a network namespace of its own: bridges and firewall rules are real and touch nothing of the machine's, what
 * containers publish is reached from within (`nsenter --net`, another container), and nothing is pulled.
 *
 * `SANDBOX_DOCKER_HOST` names another one instead, which is used as it is; the ordinary DOCKER_HOST never is.
 *
 * @throws Missing where there is neither
 */
export async function startDocker(folder: string): Promise<Docker> {
  const named = process.env["SANDBOX_DOCKER_HOST"];
  if (named) return await engineAt(named, async () => {});
  const commands = ["dockerd", "containerd", "iptables", "ip", "unshare"];
  const missing = commands.filter((name) => !commandPath(name));
  const mend = "Debian's packages docker.io, iproute2 and util-linux have it, or SANDBOX_DOCKER_HOST names an engine";
  if (missing.length > 0) throw new Missing(`there is no ${missing.join(", ")}: ${mend}`);
  if (process.getuid?.() !== 0) throw new Missing("dockerd needs root, or SANDBOX_DOCKER_HOST names an engine");

  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = (name: string) => join(folder, name);
  // The kernel's limit for the path of a socket is 107, and containerd's stands deeper.
  if (path("run/containerd/containerd.sock").length > 107) throw new Error(`a path too long for sockets: ${folder}`);
  // The machine's own settings are for the machine's own engine.
  writeFileSync(path("daemon.json"), "{}");
  const host = `unix://${path("docker.sock")}`;
  const args = [
    `--config-file=${path("daemon.json")}`,
    `--host=${host}`,
    `--data-root=${path("data")}`,
    `--exec-root=${path("run")}`,
    `--pidfile=${path("docker.pid")}`,
  ];
  const inside = ["--net", "--mount", "sh", "-c", 'ip link set lo up && exec "$@"', "dockerd", commandPath("dockerd")!];
  const daemon = new Daemon("dockerd", commandPath("unshare")!, [...inside, ...args], path("dockerd.log"));
  try {
    await until("dockerd", async () => {
      daemon.check();
      return (await send(host, "GET", "/_ping")) === "OK";
    });
    return await engineAt(host, () => daemon.stop());
  } catch (error) {
    await daemon.stop();
    throw error;
  }
}

async function engineAt(host: string, stop: () => Promise<void>): Promise<Docker> {
  const json = async <T>(method: string, path: string, body?: unknown) => {
    const text = await send(host, method, path, body === undefined ? undefined : JSON.stringify(body));
    return (text ? JSON.parse(text) : undefined) as T;
  };
  const found = async (): Promise<Found[]> => {
    const of = async <T>(path: string, pick: (answer: T) => Found[]) => pick(await json<T>("GET", path));
    const lists = await Promise.all([
      of<{ Id: string; Names: string[] }[]>("/containers/json?all=1", (all) =>
        all.map(({ Id, Names }) => ({
          kind: "container",
          name: Names[0]!.slice(1),
          path: `/containers/${Id}?force=1&v=1`,
        })),
      ),
      of<{ Id: string; Name: string }[]>("/networks", (all) =>
        all.map(({ Id, Name }) => ({ kind: "network", name: Name, path: `/networks/${Id}` })),
      ),
      of<{ Volumes: { Name: string }[] | null }>("/volumes", ({ Volumes }) =>
        (Volumes ?? []).map(({ Name }) => ({ kind: "volume", name: Name, path: `/volumes/${Name}` })),
      ),
      of<{ Id: string; RepoTags: string[] | null }[]>("/images/json", (all) =>
        all.flatMap(({ Id, RepoTags }) =>
          tagsOf(Id, RepoTags).map((name) => ({ kind: "image", name, path: `/images/${name}?force=1` })),
        ),
      ),
    ]);
    return lists.flat();
  };
  const nameOf = ({ kind, name }: Found) => `${kind} ${name}`;
  const first = new Set((await found()).map(nameOf));
  const added = async () => (await found()).filter((each) => !first.has(nameOf(each)));
  const reset = async () => {
    // In this order: containers hold the others.
    for (const { path } of await added()) await send(host, "DELETE", path);
  };
  return {
    name: "Docker",
    host,
    request: json,
    image: async (name, command, files = {}) => {
      const id = await importImage(host, name, command, files);
      first.add(`image ${name}`);
      return id;
    },
    objects: async () => (await added()).map(nameOf).sort(),
    drifts: async () =>
      (await added()).map((each) => ({
        what: `${nameOf(each)}: deleted`,
        kind: `${each.kind}: deleted`,
        object: each.name,
        apply: async () => {
          await send(host, "DELETE", each.path);
        },
      })),
    reset,
    close: async () => {
      // Else the engine waits for containers that do not listen to SIGTERM.
      for (const { kind, path } of await added()) if (kind === "container") await send(host, "DELETE", path);
      await stop();
    },
  };
}

/** An image without a name goes by its id; older engines call that `<none>:<none>`. */
const tagsOf = (id: string, tags: string[] | null) => {
  const names = (tags ?? []).filter((tag) => !tag.startsWith("<none>"));
  return names.length > 0 ? names : [id];
};

interface Found {
  kind: string;
  name: string;
  /** Of its deletion. */
  path: string;
}

/** One request to an engine. @throws Error with the engine's words */
function send(host: string, method: string, path: string, body?: string | Readable): Promise<string> {
  const { protocol, hostname, port, pathname } = new URL(host);
  const where = protocol === "unix:" ? { socketPath: pathname } : { host: hostname, port };
  const type = typeof body === "string" ? "application/json" : "application/x-tar";
  return new Promise((resolve, reject) => {
    const headers = { host: "docker", ...(body !== undefined && { "content-type": type }) };
    const sent = httpRequest({ ...where, method, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("error", reject).on("end", () => {
        if (response.statusCode! < 400) resolve(text);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text.trim()}`));
      });
    });
    sent.on("error", reject);
    if (typeof body === "object") body.pipe(sent);
    else sent.end(body);
  });
}

async function importImage(host: string, name: string, command: string[], files: Record<string, string>) {
  const busybox = ["/bin/busybox", commandPath("busybox")].find((path) => path && existsSync(path) && isStatic(path));
  if (!busybox) throw new Missing("there is no static busybox for images: Debian's package busybox-static has it");
  const folder = mkdtempSync(join(process.env["TMPDIR"] ?? "/tmp", "image-"));
  try {
    mkdirSync(join(folder, "bin"));
    mkdirSync(join(folder, "tmp"), { mode: 0o1777 });
    cpSync(busybox, join(folder, "bin/busybox"), { dereference: true });
    for (const applet of spawnSync(busybox, ["--list"], { encoding: "utf8" }).stdout.trim().split("\n")) {
      if (applet !== "busybox") symlinkSync("busybox", join(folder, "bin", applet));
    }
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    const [repo, tag = "latest"] = name.split(":");
    const changes = [`CMD ${JSON.stringify(command)}`, "ENV PATH=/bin"];
    const query = new URLSearchParams([
      ["fromSrc", "-"],
      ["repo", repo!],
      ["tag", tag],
      ...changes.map((line) => ["changes", line]),
    ]);
    const tar = spawn("tar", ["--create", "--owner=0", "--group=0", "--directory", folder, "."]);
    const lines = (await send(host, "POST", `/images/create?${query}`, tar.stdout)).trim().split("\n");
    const { status, error } = JSON.parse(lines.at(-1)!) as { status?: string; error?: string };
    if (!status) throw new Error(`${name}: ${error}`);
    return status;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether a program needs no loader, which an image of one file does not have. */
const isStatic = (path: string) => !readFileSync(path).subarray(0, 4096).includes("/ld-");
