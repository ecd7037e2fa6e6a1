/**
 * npm run windows -- --stack prod [--app NAME] [--at TIME] [--manual] [--json]
 * Answers whether a sync of an Application may start at a time, by which window, and when the next chance is; and draws the week.
 * Reads what the stack's file declares, offline. Exit 0: it may; 1: it may not; 2: the call or the config is wrong.
 */
import { parseArgs } from "node:util";
import type { ApplicationSpec, AppProjectSpec } from "../components/gitops/kinds.ts";
import {
  mayStart,
  nextChance,
  type Stretch,
  type SyncWindow,
  type Target,
  timeline,
} from "../components/gitops/sync-windows.ts";
import { nearest } from "../components/schema.ts";
import { isDay } from "../components/time.ts";
import { ConfigError } from "../config.ts";
import { root } from "./engine.ts";
import { type DeclaredResource, declare } from "./render/program.ts";
import { isUsage, readStackFile, UsageError } from "./render/stack-file.ts";

/** What is answered, as --json prints it. */
export interface Answer {
  /** Whether a sync may start. */
  allowed: boolean;
  /** The window that decides, as it is declared; null where none holds for the application. */
  by: SyncWindow | null;
  /** When the next sync may start, to the second and in UTC: the asked time itself where it may, null if none may within a year. */
  next: string | null;
}

/** An Application that a stack declares, and the windows of its project. */
interface Asked {
  target: Target;
  windows: SyncWindow[];
}

/** Asks about one application. @param manual whether a person starts the sync */
export function answer({ target, windows }: Asked, at: Date, manual: boolean): Answer {
  const next = nextChance(windows, target, at, manual);
  return { ...mayStart(windows, target, at, manual), next: next ? inSeconds(next) : null };
}

const inSeconds = (time: Date) => time.toISOString().replace(/\.\d+Z$/, "Z");

/** The one Application of a stack that is meant. @throws UsageError where that is not clear */
export function find(resources: readonly DeclaredResource[], stack: string, app?: string): Asked {
  const ofKind = (kind: string) =>
    resources.filter(({ type }) => type.startsWith("kubernetes:argoproj.io/") && type.endsWith(`:${kind}`));
  const nameOf = ({ inputs }: DeclaredResource) => (inputs["metadata"] as { name: string }).name;
  const applications = ofKind("Application");
  const names = applications.map(nameOf);
  const wanted = app ?? (names.length === 1 ? names[0]! : undefined);
  if (wanted === undefined) {
    throw new UsageError(
      names.length === 0 ? `${stack} declares no Application of Argo CD's` : `give --app: ${names.join(", ")}`,
    );
  }
  const application = applications.find((each) => nameOf(each) === wanted);
  if (!application) {
    const close = nearest(wanted, names);
    throw new UsageError(
      `${stack} declares no Application "${wanted}"; ${close ? `did you mean ${close}?` : `it declares ${names.join(", ") || "none"}`}`,
    );
  }
  const { destination, project } = application.inputs["spec"] as ApplicationSpec;
  const declared = ofKind("AppProject").find((each) => nameOf(each) === project);
  const { syncWindows = [] } = (declared?.inputs["spec"] ?? {}) as AppProjectSpec;
  return {
    target: { name: wanted, destination: destination as Target["destination"] },
    windows: syncWindows as SyncWindow[],
  };
}

/** @throws UsageError where it is no time, or one without a zone */
function timeOf(text: string): Date {
  const time = new Date(text);
  if (!/T.*(Z|[+-]\d\d:\d\d)$/.test(text) || Number.isNaN(time.getTime()) || !isDay(text)) {
    throw new UsageError(
      `--at is "${text}"; expected a time with its zone, such as 2026-11-28T07:00Z or 2026-11-28T04:00-03:00`,
    );
  }
  return time;
}

/** What a window is, in a few words. */
const words = ({ kind, schedule, duration, timeZone = "UTC", description }: SyncWindow) =>
  `${kind} "${schedule}" for ${duration} ${timeZone}${description ? ` (${description})` : ""}`;

const minute = 60_000;
const [cell, day] = [30 * minute, 24 * 60 * minute];

/** The week from a Monday on, in UTC: a row each day, a character each half hour. */
export function week({ target, windows }: Asked, at: Date): string {
  const midnight = Math.floor(at.getTime() / day) * day;
  const monday = midnight - ((new Date(midnight).getUTCDay() + 6) % 7) * day;
  const end = new Date(monday + 7 * day);
  const stretches = (manual: boolean) => [...timeline(windows, target, new Date(monday), end, manual)];
  const [anyone, byHand] = [stretches(false), stretches(true)];
  const rows = Array.from({ length: 7 }, (_, index) => {
    const from = monday + index * day;
    const cells = Array.from({ length: day / cell }, (_, number) => {
      const [start, stop] = [from + number * cell, from + (number + 1) * cell];
      const [open, hand] = [share(anyone, start, stop), share(byHand, start, stop)];
      // The second in which a window opens is closed, which no one can see at this size.
      if (open > 0.99) return "█";
      if (hand > 0.99) return "▒";
      return open > 0 || hand > 0 ? "▪" : "·";
    });
    return `${new Date(from).toUTCString().slice(0, 11)}  ${cells.join("")}`;
  });
  const hours = Array.from({ length: 8 }, (_, index) =>
    String(index * 3)
      .padStart(2, "0")
      .padEnd(6),
  ).join("");
  return [
    `${" ".repeat(13)}${hours.trimEnd()}  UTC`,
    ...rows,
    "█ any sync may start   ▒ by hand only   ▪ for a part of the half hour   · none",
  ].join("\n");
}

/** How much of a time a sync may start. */
const share = (stretches: readonly Stretch[], start: number, stop: number): number =>
  stretches
    .filter(({ allowed }) => allowed)
    .map(({ from, to }) => Math.max(0, Math.min(stop, to.getTime()) - Math.max(start, from.getTime())))
    .reduce((sum, length) => sum + length, 0) /
  (stop - start);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      stack: { type: "string" },
      app: { type: "string" },
      at: { type: "string" },
      manual: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const { stack, manual } = values;
  if (stack === undefined) throw new UsageError("give --stack NAME");
  const at = values.at === undefined ? new Date() : timeOf(values.at);
  const { resources } = await declare(root, stack, readStackFile(root, stack));
  const asked = find(resources, stack, values.app);
  const found = answer(asked, at, manual);
  if (values.json) console.log(JSON.stringify(found));
  else {
    const sync = `${manual ? "A sync by hand" : "An automatic sync"} of ${asked.target.name}`;
    const by = found.by ? `: ${words(found.by)}` : ": no window holds for it";
    console.log(`${sync} ${found.allowed ? "may" : "may not"} start at ${inSeconds(at)}${by}`);
    if (!found.allowed) {
      console.log(found.next ? `The next chance is ${found.next}` : "There is no chance within a year");
    }
    console.log(`\n${week(asked, at)}`);
  }
  return found.allowed ? 0 : 1;
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    const expected = isUsage(error) || error instanceof ConfigError;
    console.error(`esteira: ${expected ? (error as Error).message : (error as Error).stack}`);
    // Never 1, which says that no sync may start.
    process.exitCode = 2;
  }
}
