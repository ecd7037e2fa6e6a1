/**
 * When Argo CD lets a sync start: its own evaluation of sync windows, said again, so that a person can ask it beforehand.
 * A test asks Argo CD's own code beside it.
 * @see https://argo-cd.readthedocs.io/en/stable/user-guide/sync_windows/
 */
import { nextStart } from "../time.ts";

/** A sync window, as an AppProject has it. */
export interface SyncWindow {
  kind: "allow" | "deny";
  /** When it opens, in cron's five fields. */
  schedule: string;
  /** How long it stays open, in whole hours and minutes: `12h`, `1h30m`. */
  duration: string;
  /** Time zone of the schedule. @default "UTC" */
  timeZone?: string;
  /** Names of applications, with `*` and `?`. */
  applications?: string[];
  /** Namespaces that applications go to, likewise. */
  namespaces?: string[];
  /** Names or addresses of clusters that they go to, likewise. */
  clusters?: string[];
  /** Whether all the lists that are given must match. @default one is enough */
  andOperator?: boolean;
  /** Whether a sync by hand passes all the same. @default false */
  manualSync?: boolean;
  /** Whether a sync that started while it could is finished when the time is over. Else it is held, half done. @default false */
  syncOverrun?: boolean;
  /** What it is for, at most 255 characters. */
  description?: string;
}

/** What a window is matched with. */
export interface Target {
  /** The Application's name. */
  name: string;
  /** Where it goes. */
  destination: { namespace: string; server?: string; name?: string };
}

/** Whether a sync may start. */
export interface Verdict {
  allowed: boolean;
  /** The window that decides; null where none matches, and then every sync may start. */
  by: SyncWindow | null;
}

/**
 * Whether Argo CD lets a sync start.
 * @param windows a project's windows @param manual whether a person starts it
 * @example mayStart(windows, { name: "api", destination: { namespace: "api" } }, new Date(), true).allowed
 */
export const mayStart = (windows: readonly SyncWindow[], target: Target, at: Date, manual: boolean): Verdict =>
  decide(matching(windows, target), at.getTime(), manual);

/**
 * The next time at which a sync may start, to the second: `at` itself if it may now.
 * @param until where the search ends; by default after a year and a day, and anyway after ten thousand closed stretches
 * @param atLeast how long it may, in milliseconds; Argo CD leaves a second open between windows that follow each other. @default any time
 * @returns undefined if there is none till then
 */
export function nextChance(
  windows: readonly SyncWindow[],
  target: Target,
  at: Date,
  manual: boolean,
  until = new Date(at.getTime() + 366 * day),
  atLeast = 0,
): Date | undefined {
  const those = matching(windows, target);
  let since: number | undefined;
  for (let now = at.getTime(), closed = 0; now < until.getTime() && closed < 10_000; ) {
    const { allowed, by } = decide(those, now, manual);
    // An open deny window decides alone until it closes; else any may be the next to change the answer.
    const deciding = !allowed && by?.kind === "deny" ? [by] : those;
    const next = Math.min(until.getTime(), ...deciding.map((window) => nextChange(window, now)));
    if (!allowed) {
      since = undefined;
      closed++;
    } else {
      since ??= now;
      if (next - since >= atLeast) return new Date(since);
    }
    now = next;
  }
  return undefined;
}

/** A stretch of time in which the answer stays the same. */
export interface Stretch extends Verdict {
  from: Date;
  to: Date;
}

/** The answers over some time, each with its stretch. */
export function* timeline(
  windows: readonly SyncWindow[],
  target: Target,
  from: Date,
  to: Date,
  manual: boolean,
): Generator<Stretch> {
  const those = matching(windows, target);
  for (let at = from.getTime(); at < to.getTime(); ) {
    const next = Math.min(to.getTime(), ...those.map((window) => nextChange(window, at)));
    yield { from: new Date(at), to: new Date(next), ...decide(those, at, manual) };
    at = next;
  }
}

/** The windows that hold for an application. */
export const matching = (windows: readonly SyncWindow[], { name, destination }: Target): SyncWindow[] =>
  windows.filter(({ applications, namespaces, clusters, andOperator }) => {
    const answers = [
      anyOf(applications, [name]),
      anyOf(clusters, [destination.name, destination.server]),
      anyOf(namespaces, [destination.namespace]),
    ].filter((answer) => answer !== undefined);
    return andOperator ? answers.length > 0 && answers.every(Boolean) : answers.some(Boolean);
  });

const anyOf = (patterns: readonly string[] | undefined, values: readonly (string | undefined)[]) =>
  patterns && patterns.length > 0
    ? patterns.some((pattern) => values.some((value) => value !== undefined && glob(pattern).test(value)))
    : undefined;

const glob = (pattern: string) =>
  new RegExp(`^${RegExp.escape(pattern).replaceAll("\\*", ".*").replaceAll("\\?", ".")}$`, "s");

/** The order in which Argo CD looks: an open deny, an open allow, a closed allow. */
function decide(windows: readonly SyncWindow[], at: number, manual: boolean): Verdict {
  const open = windows.filter((window) => isOpen(window, at));
  const passes = (those: readonly SyncWindow[]): Verdict => {
    const holding = manual ? those.find(({ manualSync }) => !manualSync) : those[0];
    return holding ? { allowed: false, by: holding } : { allowed: true, by: those[0]! };
  };
  const denies = open.filter(({ kind }) => kind === "deny");
  if (denies.length > 0) return passes(denies);
  const allow = open.find(({ kind }) => kind === "allow");
  if (allow) return { allowed: true, by: allow };
  const closed = windows.filter(({ kind }) => kind === "allow");
  return closed.length > 0 ? passes(closed) : { allowed: true, by: null };
}

/**
 * Whether a window is open. Argo CD reckons with the clock on the wall as it stands now in the window's zone, and takes
 * neither the second in which a window opens nor the one in which it closes.
 */
function isOpen(window: SyncWindow, at: number): boolean {
  const wall = at + offset(window.timeZone, at);
  return firstStart(window, wall) < wall;
}

/** The first start whose stretch is not over yet. */
const firstStart = ({ schedule, duration }: SyncWindow, wall: number) =>
  // A schedule that never comes is always on, as Argo CD sees it.
  nextStart(schedule, wall - milliseconds(duration)) ?? Number.NEGATIVE_INFINITY;

/** When the answer of a window may be another one, to the second. */
function nextChange(window: SyncWindow, at: number): number {
  const before = offset(window.timeZone, at);
  const wall = at + before;
  const start = firstStart(window, wall);
  if (start === Number.NEGATIVE_INFINITY) return Number.POSITIVE_INFINITY;
  const change = (start < wall ? start + milliseconds(window.duration) : start + second) - before;
  if (offset(window.timeZone, change) === before) return change;
  // The clocks change on the way there: that is where to look again.
  let [same, other] = [at, change];
  while (other - same > second) {
    const middle = Math.floor((same + other) / 2 / second) * second;
    if (offset(window.timeZone, middle) === before) same = middle;
    else other = middle;
  }
  return other;
}

const second = 1000;
const day = 24 * 3600 * second;

/** A duration's length. @throws Error where it is none */
export function milliseconds(duration: string): number {
  const [, hours = 0, minutes = 0] = /^(?:([0-9]+)h)?(?:([0-9]+)m)?$/.exec(duration) ?? [];
  const length = (Number(hours) * 60 + Number(minutes)) * 60 * second;
  if (!length) throw new Error(`"${duration}" is no duration; expected whole hours and minutes, such as 1h30m`);
  return length;
}

/** How far a zone's clocks are ahead of UTC. */
function offset(timeZone = "UTC", at: number): number {
  if (timeZone === "UTC") return 0;
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat("en", { timeZone, timeZoneName: "longOffset" });
    formats.set(timeZone, format);
  }
  const name = format.formatToParts(at).find(({ type }) => type === "timeZoneName")!.value;
  const [, sign, hours, minutes] = /^GMT(?:([+-])(\d\d):(\d\d))?/.exec(name) ?? [];
  return sign ? (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60 * second : 0;
}

const formats = new Map<string, Intl.DateTimeFormat>();
