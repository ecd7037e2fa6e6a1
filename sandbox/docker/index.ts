/** A real Docker engine: the one that is named, or one that has its own data and its own network. */
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { request as httpRequest } from "node:http";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { commandPath, Daemon, Died, Missing, until } from "../daemon.ts";
import type { Drift } from "../stand-in/api.ts";

export interface Docker {
  name: "Docker";
  /** As `docker:host` and DOCKER_HOST want it: `unix:///…/docker.sock`. */
  host: string;
  /** The engine's API: JSON to JSON. @throws Error with the engine's words */
  request<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** Whether it was started here, and is not one that somebody else has: that one pulls what its containers need. */
  own: boolean;
  /**
   * Makes images without any network, in their order.
   *
   * One whose name has a digest is found by that name, as if it had been pulled by it; its content is not what the digest
   * says. Give all of those at once, before anything runs: the engine is started again for them.
   *
   * @returns their ids, in the same order
   * @throws Missing where there is no static busybox
   * @throws Error for a digest in an engine that was not started here: only a registry gives it one
   */
  images(images: readonly Image[]): Promise<string[]>;
  /** Makes one of busybox, a command and some files. @returns its id @throws as `images` does */
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

/** An image to be made: busybox with its commands and some files, unless it says where else its files are from. */
export interface Image {
  /** `orders:1`, `registry.example:5000/orders:1@sha256:…` */
  name: string;
  /** What its containers run, where they do not say it themselves: `["httpd", "-f", "-h", "/www"]`. */
  command?: string[];
  /** What runs instead, with the command as its arguments. */
  entrypoint?: string[];
  env?: Record<string, string>;
  /** @default / */
  workdir?: string;
  /** Each is a volume of its own where a container mounts none there. */
  volumes?: string[];
  /** Only with `from`. @default SIGTERM */
  stopSignal?: string;
  /** Path in the image to content. What begins with `#!` can be run. */
  files?: Record<string, string>;
  /** Path of a tar with all its files, in place of busybox's and `files`. */
  tar?: string;
  /** Name or id of an image to begin with, in place of busybox. Its command and entrypoint are not taken over. */
  from?: string;
}

/**
 * Starts an engine below a folder. It ends with this process.
 *
 * It has a network namespace of its own: bridges and firewall rules are real and touch nothing of the machine's, what
 * containers publish is reached from within (`nsenter --net`, another container), and nothing is pulled. Its /var/run is
 * its own, too: a container that mounts /var/run/docker.sock gets this engine.
 *
 * `SANDBOX_DOCKER_HOST` names another one instead, which is used as it is; the ordinary DOCKER_HOST never is.
 *
 * @throws Missing where there is neither
 */
export async function startDocker(folder: string): Promise<Docker> {
  const named = process.env["SANDBOX_DOCKER_HOST"];
  if (named) return await engineAt(named);
  const commands = ["dockerd", "containerd", "iptables", "ip", "unshare"];
  const missing = commands.filter((name) => !commandPath(name));
  const mend = "Debian's packages docker.io, iproute2 and util-linux have it, or SANDBOX_DOCKER_HOST names an engine";
  if (missing.length > 0) throw new Missing(`there is no ${missing.join(", ")}: ${mend}`);
  if (process.getuid?.() !== 0) throw new Missing("dockerd needs root, or SANDBOX_DOCKER_HOST names an engine");

  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = (name: string) => join(folder, name);
  // The kernel's limit for the path of a socket is 107, and containerd's stands deeper.
  if (path("run/containerd/containerd.sock").length > 107) throw new Error(`a path too long for sockets: ${folder}`);
  if (`${realpathSync(folder)}/`.startsWith(`${realpathSync("/var/run")}/`)) {
    throw new Error(`${folder} is below /var/run, of which the engine has one of its own: give it another folder`);
  }
  // The machine's own settings are for the machine's own engine.
  writeFileSync(path("daemon.json"), "{}");
  const host = `unix://${path("docker.sock")}`;
  const args = [
    `--config-file=${path("daemon.json")}`,
    `--host=${host}`,
    "--host=unix:///var/run/docker.sock",
    `--data-root=${path("data")}`,
    `--exec-root=${path("run")}`,
    `--pidfile=${path("docker.pid")}`,
  ];
  const inside = ["--net", "--mount", "--propagation=private", "sh", "-c", enter, "dockerd", commandPath("dockerd")!];
  const start = async () => {
    const daemon = new Daemon("dockerd", commandPath("unshare")!, [...inside, ...args], path("dockerd.log"));
    try {
      await until("dockerd", async () => {
        daemon.check();
        return (await send(host, "GET", "/_ping")) === "OK";
      });
      return daemon;
    } catch (error) {
      await daemon.stop();
      throw error;
    }
  };
  let daemon = await start().catch((error: unknown) => {
    // A container of somebody's, say, where nobody may mount or make networks.
    throw error instanceof Died ? new Missing(`no dockerd starts here: ${error.message}`) : error;
  });
  const own: Own = {
    data: path("data"),
    stop: () => daemon.stop(),
    restart: async (between) => {
      await daemon.stop();
      between();
      daemon = await start();
    },
  };
  try {
    return await engineAt(host, own);
  } catch (error) {
    await own.stop();
    throw error;
  }
}

/** What dockerd is started by, in namespaces of its own. A mount of the machine's /run would be everybody's. */
const enter = 'ip link set lo up && mount -t tmpfs -o mode=755 tmpfs "$(readlink -f /var/run)" && exec "$@"';

/** What can be done with an engine that was started here. */
interface Own {
  /** Where it keeps everything. */
  data: string;
  stop(): Promise<void>;
  /** Stops it, does something and starts it again. */
  restart(between: () => void): Promise<void>;
}

async function engineAt(host: string, own?: Own): Promise<Docker> {
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
      of<Listed[]>("/images/json", (all) =>
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
    for (const { path } of await added()) {
      await send(host, "DELETE", path).catch((error: Error) => {
        // A container takes its volumes without a name along.
        if (!error.message.includes(": 404 ")) throw error;
      });
    }
  };
  const images = async (wanted: readonly Image[]) => {
    const digests = wanted.filter(({ name }) => parse(name).digest);
    if (digests.length > 0 && !own) {
      throw new Error(`${digests[0]!.name}: nobody but a registry gives an image a digest; pull it in ${host}`);
    }
    const ids: string[] = [];
    for (const image of wanted) ids.push(await (image.from ? commit(host, image) : importImage(host, image)));
    if (digests.length > 0) {
      const { Driver } = await json<{ Driver: string }>("GET", "/info");
      const file = join(own!.data, "image", Driver, "repositories.json");
      await own!.restart(() => writeDigests(file, new Map(wanted.map(({ name }, at) => [name, ids[at]!]))));
    }
    for (const [at, { name }] of wanted.entries()) {
      const { Id } = await json<{ Id: string }>("GET", `/images/${name}/json`);
      if (Id !== ids[at]) throw new Error(`${name} was made as ${ids[at]}, but the engine finds ${Id}`);
    }
    for (const { Id, RepoTags } of await json<Listed[]>("GET", "/images/json")) {
      if (ids.includes(Id)) for (const name of tagsOf(Id, RepoTags)) first.add(`image ${name}`);
    }
    return ids;
  };
  return {
    name: "Docker",
    host,
    own: own !== undefined,
    request: json,
    images,
    image: async (name, command, files = {}) => (await images([{ name, command, files }]))[0]!,
    objects: async () => (await added()).map(nameOf).sort(),
    drifts: async () =>
      (await added()).map((each) => ({
        what: `${nameOf(each)}: deleted`,
        kind: `${each.kind}: deleted`,
        object: each.name,
        apply: async () => {
          // What is in use is not deleted.
          if (each.kind === "network" || each.kind === "volume") {
            const filters = JSON.stringify({ [each.kind]: [each.name] });
            const users = await json<{ Id: string }[]>("GET", `/containers/json?all=1&filters=${filters}`);
            for (const { Id } of users) await send(host, "DELETE", `/containers/${Id}?force=1`);
          }
          await send(host, "DELETE", each.path);
        },
      })),
    reset,
    close: async () => {
      // Else the engine waits for containers that do not listen to SIGTERM.
      for (const { kind, path } of await added()) if (kind === "container") await send(host, "DELETE", path);
      await own?.stop();
    },
  };
}

/** An image without a name goes by its id; older engines call that `<none>:<none>`. */
const tagsOf = (id: string, tags: string[] | null) => {
  const names = (tags ?? []).filter((tag) => !tag.startsWith("<none>"));
  return names.length > 0 ? names : [id];
};

/** An image, as the engine lists it. */
interface Listed {
  Id: string;
  RepoTags: string[] | null;
}

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

/** The parts of an image's name. One with a digest is made under a tag of its own: other images may have its tag. */
function parse(name: string): { repo: string; tag: string; digest?: string } {
  const match = /^(?<repo>[^@]+?)(?::(?<tag>[^:/@]+))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/.exec(name);
  if (!match)
    throw new Error(`${name} is no name of an image: write repository:tag or repository:tag@sha256:<64 hex digits>`);
  const { repo, tag = "latest", digest } = match.groups!;
  return { repo: repo!, tag: digest?.slice("sha256:".length) ?? tag, digest };
}

/**
 * Gives images the digests of their names in an engine's list of names, and takes away the tags under which they were made:
 * what is pulled by its digest has none.
 * @param file the list @param ids by name
 */
function writeDigests(file: string, ids: ReadonlyMap<string, string>) {
  const list = JSON.parse(readFileSync(file, "utf8")) as { Repositories: Record<string, Record<string, string>> };
  for (const [name, id] of ids) {
    const { tag, digest } = parse(name);
    if (!digest) continue;
    // The engine writes a name in a way of its own: without docker.io/library/.
    const [repo, names] = Object.entries(list.Repositories).find(([repo, names]) => names[`${repo}:${tag}`] === id)!;
    delete names[`${repo}:${tag}`];
    names[`${repo}@${digest}`] = id;
  }
  writeFileSync(file, JSON.stringify(list));
}

const changesOf = ({ command, entrypoint, env = {}, workdir, volumes }: Image): string[] => [
  ...(entrypoint ? [`ENTRYPOINT ${JSON.stringify(entrypoint)}`] : []),
  ...(command ? [`CMD ${JSON.stringify(command)}`] : []),
  ...Object.entries(env).map(([name, value]) => `ENV ${name}=${JSON.stringify(value).replaceAll("$", "\\$")}`),
  ...(workdir ? [`WORKDIR ${workdir}`] : []),
  ...(volumes ? [`VOLUME ${JSON.stringify(volumes)}`] : []),
];

async function importImage(host: string, image: Image): Promise<string> {
  const { repo, tag } = parse(image.name);
  const folder = mkdtempSync(join(process.env["TMPDIR"] ?? "/tmp", "image-"));
  try {
    if (!image.tar) layBusybox(folder);
    layFiles(folder, image.files);
    const env = image.tar ? image.env : { PATH: "/bin", ...image.env };
    const query = new URLSearchParams([
      ["fromSrc", "-"],
      ["repo", repo],
      ["tag", tag],
      ...changesOf({ ...image, env }).map((line) => ["changes", line]),
    ]);
    const files = image.tar ? createReadStream(image.tar) : tarOf(folder);
    const lines = (await send(host, "POST", `/images/create?${query}`, files)).trim().split("\n");
    const { status, error } = JSON.parse(lines.at(-1)!) as { status?: string; error?: string };
    if (!status) throw new Error(`${image.name}: ${error}`);
    return status;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An image of another one's files and some more. */
async function commit(host: string, image: Image): Promise<string> {
  const { repo, tag } = parse(image.name);
  const folder = mkdtempSync(join(process.env["TMPDIR"] ?? "/tmp", "image-"));
  // It never runs.
  const body = JSON.stringify({ Image: image.from, Entrypoint: [], Cmd: ["/none"], StopSignal: image.stopSignal });
  const { Id } = JSON.parse(await send(host, "POST", "/containers/create", body)) as { Id: string };
  try {
    layFiles(folder, image.files);
    await send(host, "PUT", `/containers/${Id}/archive?path=/`, tarOf(folder));
    const changes = changesOf({ entrypoint: [], command: [], ...image }).join("\n");
    const query = new URLSearchParams({ container: Id, repo, tag, changes });
    return (JSON.parse(await send(host, "POST", `/commit?${query}`)) as { Id: string }).Id;
  } finally {
    await send(host, "DELETE", `/containers/${Id}`);
    rmSync(folder, { recursive: true });
  }
}

function layBusybox(folder: string) {
  const busybox = ["/bin/busybox", commandPath("busybox")].find((path) => path && existsSync(path) && isStatic(path));
  if (!busybox) throw new Missing("there is no static busybox for images: Debian's package busybox-static has it");
  mkdirSync(join(folder, "bin"));
  mkdirSync(join(folder, "tmp"));
  chmodSync(join(folder, "tmp"), 0o1777);
  cpSync(busybox, join(folder, "bin/busybox"), { dereference: true });
  for (const applet of spawnSync(busybox, ["--list"], { encoding: "utf8" }).stdout.trim().split("\n")) {
    if (applet !== "busybox") symlinkSync("busybox", join(folder, "bin", applet));
  }
}

function layFiles(folder: string, files: Record<string, string> = {}) {
  chmodSync(folder, 0o755);
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    // Else a link to busybox is followed.
    rmSync(path, { force: true });
    writeFileSync(path, content);
    if (content.startsWith("#!")) chmodSync(path, 0o755);
  }
}

const tarOf = (folder: string) =>
  spawn("tar", ["--create", "--owner=0", "--group=0", "--directory", folder, "."]).stdout;

/** Whether a program needs no loader, which an image of one file does not have. */
const isStatic = (path: string) => !readFileSync(path).subarray(0, 4096).includes("/ld-");
