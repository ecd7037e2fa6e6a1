/** Images that stand in for those of declared containers: they start, are healthy and end, and do nothing else. */
import { basename, isAbsolute, join } from "node:path";
import { computed, type DeclaredResource } from "../../cli/render/program.ts";
import { secretPlaceholder } from "../../config.ts";
import type { Image } from "./index.ts";

/** What is read of a declared resource. */
export type Declared = Pick<DeclaredResource, "type" | "name" | "inputs">;

/**
 * The stand-ins for each declared image. In them
 *
 * - what a container is started by waits, and ends at once when it is told to; where it must not keep running it succeeds at once,
 * - what a health check calls succeeds: a shell's text is not run, but must be one,
 * - a shell is one for everything else, and the rest of busybox is there.
 *
 * @throws Error where that cannot be told apart: the same call is to wait and to end
 */
export function standIns(resources: readonly Declared[]): Image[] {
  const containers = resources.filter(({ type }) => type === "docker:index/container:Container");
  const images = resources.filter(({ type }) => type === "docker:index/remoteImage:RemoteImage");
  const references = [...images.map(({ inputs }) => inputs["name"] as string), ...containers.map(referenceOf)];
  return [...new Set(references.filter((each) => each !== undefined))].sort().map((name) => {
    const own = containers.filter((each) => referenceOf(each) === name);
    return { name, entrypoint: [entrypoint], files: { ...accountsOf(own), ...scriptsOf(name, own) } };
  });
}

const entrypoint = "/stand-in";

/** Unless it is the id of an image that is declared, too. */
function referenceOf({ inputs }: Declared): string | undefined {
  return isKnown(inputs["image"]) ? (inputs["image"] as string) : undefined;
}

const isKnown = (value: unknown) => value !== computed && value !== secretPlaceholder;

/** What a call of a program does. */
type Way = "waits" | "ends" | "checks";

/** Calls by program and pattern of their arguments. */
type Calls = Map<string, Map<string, Way>>;

function scriptsOf(image: string, containers: readonly Declared[]): Record<string, string> {
  const calls: Calls = new Map([[entrypoint, new Map()]]);
  const add = (program: string, args: unknown, way: Way) => {
    const path = isAbsolute(program) ? program : join("/bin", program);
    const pattern = patternOf(args);
    const known = calls.get(path) ?? new Map<string, Way>();
    if ((known.get(pattern) ?? way) !== way) {
      throw new Error(
        `the stand-in of ${image} cannot tell when ${program} ${pattern} ${known.get(pattern)} and when it ${way}`,
      );
    }
    calls.set(path, known.set(pattern, way));
  };
  for (const { inputs } of containers) {
    const way = inputs["mustRun"] === false ? "ends" : "waits";
    const [program, ...args] = (inputs["entrypoints"] ?? [entrypoint]) as string[];
    const command = inputs["command"] ?? [];
    add(program!, Array.isArray(command) ? [...args, ...command] : command, way);
    const tests = ((inputs["healthcheck"] as { tests?: string[] } | undefined)?.tests ?? []) as string[];
    if (tests[0] === "CMD") add(tests[1]!, tests.slice(2), "checks");
    if (tests[0] === "CMD-SHELL") add("sh", ["-c", tests[1]], "checks");
  }
  return Object.fromEntries([...calls].map(([path, known]) => [path, scriptOf(path, known)]));
}

/** A shell's pattern of arguments that are joined by spaces; what only an `up` knows is anything. */
function patternOf(args: unknown): string {
  if (!Array.isArray(args)) return "*";
  const quoted = (arg: string) => (isKnown(arg) ? `'${arg.replaceAll("'", `'\\''`)}'` : "*");
  return args.map(quoted).join("' '") || "''";
}

function scriptOf(path: string, calls: ReadonlyMap<string, Way>): string {
  const isShell = shells.has(basename(path));
  const does: Record<Way, string> = {
    waits: "",
    ends: "exit 0",
    checks: isShell ? 'exec /bin/busybox sh -n "$@"' : "exit 0",
  };
  const rest = path === entrypoint ? does.waits : isShell ? 'exec /bin/busybox sh "$@"' : does.ends;
  // What is wholly known first.
  const cases = [...calls].sort(([a], [b]) => Number(a.includes("*")) - Number(b.includes("*")));
  return [
    "#!/bin/busybox sh",
    'case "$*" in',
    ...cases.map(([pattern, way]) => `${pattern}) ${does[way]} ;;`),
    `*) ${rest} ;;`,
    "esac",
    "trap 'exit 0' TERM INT QUIT HUP",
    "while :; do",
    "  /bin/busybox sleep 3600 &",
    "  wait $!",
    "done",
    "",
  ].join("\n");
}

const shells = new Set(["sh", "ash", "bash", "dash"]);

/** The users and groups that containers name, which an engine looks up in the image. */
function accountsOf(containers: readonly Declared[]): Record<string, string> {
  const inputsOf = (key: string) => containers.flatMap(({ inputs }) => (inputs[key] ?? []) as string | string[]);
  const users = inputsOf("user").map((each) => each.split(":"));
  const names = (all: (string | undefined)[]) => [
    ...new Set(all.filter((each): each is string => each !== undefined && !/^(\d+|root)$/.test(each))),
  ];
  const lines = (all: string[], line: (name: string, id: number) => string) =>
    all.map((name, at) => `${line(name, 1000 + at)}\n`).join("");
  return {
    "/etc/passwd": `root:x:0:0::/:/bin/sh\n${lines(names(users.map(([name]) => name)), (name, id) => `${name}:x:${id}:${id}::/:/bin/sh`)}`,
    "/etc/group": `root:x:0:\n${lines(names([...users.flat(), ...inputsOf("groupAdds")]), (name, id) => `${name}:x:${id}:`)}`,
  };
}
