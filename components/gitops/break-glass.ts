/** A way through closed windows in an emergency: with a name, a reason and an end. */
import { z } from "zod";
import { found, type Problem, pattern } from "../schema.ts";
import { instant } from "../time.ts";
import { nextChance, type SyncWindow, type Target, timeline } from "./sync-windows.ts";

/** How long it is open at most. */
const hours = 24;
const length = hours * 3_600_000;

/**
 * The key `breakGlass` of a config schema.
 * @example { who: "ana@example.org", why: "INC-42: checkout answers 500", until: "2026-11-28T07:00Z" }
 */
export const breakGlass = z
  .strictObject(
    {
      who: pattern(/^\S[^\n]{0,60}\S$/, "who answers for it: a name or an address, 2 to 62 characters"),
      why: pattern(/^\S[^\n]{6,118}\S$/, "why it cannot wait, with the incident's number: 8 to 120 characters"),
      until: instant,
    },
    { error: () => "an object with `who`, `why` and `until`" },
  )
  .describe(`Lets a sync start outside the windows, for at most ${hours} hours`);

/** What the glass was broken for. */
export type BreakGlass = z.output<typeof breakGlass>;

/** The window: it has a schedule and no date, so it opens a day before its end, which is before now, and is refused afterwards. */
export function breakGlassWindow({ who, why, until }: BreakGlass, application: string): SyncWindow {
  const opens = new Date(Date.parse(until) - length);
  return {
    kind: "allow",
    schedule: `${opens.getUTCMinutes()} ${opens.getUTCHours()} ${opens.getUTCDate()} ${opens.getUTCMonth() + 1} *`,
    duration: `${hours}h`,
    timeZone: "UTC",
    applications: [application],
    // Once it is over it must not hold a sync by hand that the others let pass.
    manualSync: true,
    syncOverrun: true,
    description: `Break-glass until ${until}, ${who}: ${why}`,
  };
}

/** What is wrong with it now, beside these windows. */
export function breakGlassProblems(
  glass: BreakGlass,
  windows: readonly SyncWindow[],
  target: Target,
  now: Date,
): Problem[] {
  const key = "breakGlass.until";
  const { until } = glass;
  const [end, latest] = [new Date(until), new Date(now.getTime() + length)];
  if (!windows.some(({ kind }) => kind === "allow")) {
    const mend = "expected nothing: without one every time is open that no deny window closes, and that it cannot open";
    return [{ key: "breakGlass", message: `found without an allow window; ${mend}` }];
  }
  if (end <= now) {
    return [{ key, message: `${found(until)}, which is over; take breakGlass out, or say a new end and why` }];
  }
  if (end > latest) {
    const most = `${latest.toISOString().slice(0, 16)}Z`;
    return [{ key, message: `${found(until)}; expected at most ${hours} hours from now: ${most}` }];
  }
  const all = [...windows, breakGlassWindow(glass, target.name)];
  const closed = [...timeline(windows, target, now, end, true)].filter(({ allowed }) => !allowed);
  if (closed.some(({ from, to }) => nextChance(all, target, from, true, to))) return [];
  const deny = closed.map(({ by }) => by).find((by) => by?.kind === "deny");
  const why = deny
    ? `the deny window "${deny.schedule}" (${deny.duration}) stands over it; expected that window with manualSync: true, or out of the list`
    : "no time till then is closed to a sync by hand; expected nothing";
  return [{ key: "breakGlass", message: `would open nothing: ${why}` }];
}
