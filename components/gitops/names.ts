/** What Argo CD and its Image Updater take, and what they only seem to take: the vocabulary that config schemas are made of. */
import { z } from "zod";
import { oneOf, pattern, trueOrFalse } from "../schema.ts";
import { goCron, timeZone } from "../time.ts";
import type { SyncWindow } from "./sync-windows.ts";

/** How long a window stays open. Go, in which it is read, has no days. */
const duration = pattern(
  /^(?=.)([1-9][0-9]{0,3}h)?([1-9][0-9]{0,3}m)?$/,
  "a duration in whole hours and minutes, such as 12h or 1h30m; a day is 24h",
);

const glob = pattern(/^[A-Za-z0-9*?][A-Za-z0-9*?.:/_-]*$/, "a name, in which * and ? may stand for others");
const globs = z.array(glob, { error: () => "a list of names" }).min(1, { error: () => "at least one name" });

/**
 * A sync window in a stack's file.
 * @example { kind: "allow", schedule: "0 6 * * 1-5", duration: "12h" }
 */
export const syncWindow = z.strictObject(
  {
    kind: oneOf(["allow", "deny"], "what the window does to syncs"),
    // Argo CD takes a schedule that never comes for one that is always on.
    schedule: goCron.describe("When it opens, in cron's five fields"),
    duration: duration.describe("How long it stays open, in whole hours and minutes, such as 12h"),
    timeZone: timeZone.default("UTC").describe("Time zone of the schedule; UTC by default"),
    applications: globs.optional().describe("Applications that it holds for; the stack's own by default"),
    namespaces: globs.optional().describe("Namespaces whose applications it holds for"),
    clusters: globs.optional().describe("Names or addresses of clusters whose applications it holds for"),
    andOperator: trueOrFalse.optional().describe("Whether all of these lists must match; one is enough by default"),
    manualSync: trueOrFalse.optional().describe("Whether a sync by hand passes all the same"),
    syncOverrun: trueOrFalse
      .default(true)
      .describe("Whether a sync that started in time is finished; with false it is held half done till the next time"),
    description: pattern(/^[^\n]{1,255}$/, "what the window is for: one line, at most 255 characters").optional(),
  } satisfies Record<keyof SyncWindow, z.ZodType>,
  { error: () => "an object with `kind`, `schedule` and `duration`" },
);

/** A number of a version, in the few words that mean the same to Go and JavaScript. */
const digits = "(([0-9]|\\[[0-9](-[0-9])?\\])([+]|\\{[0-9]{1,2}(,[0-9]{0,2})?\\})?)+";

/**
 * The tags of an image that an environment takes: a regular expression, read by the Image Updater. It says whole versions, so
 * never `latest`, and whether they are pre-releases stands at its end.
 */
export const tagPattern = pattern(
  new RegExp(`^\\^v${digits}\\\\\\.${digits}\\\\\\.${digits}(-[a-z]+\\\\\\.${digits})?\\$$`),
  "a regular expression from ^v to $ for versions alone, so never latest: three numbers as digits or [0-9]+ with \\\\. between, then nothing or the like of -rc\\\\.[0-9]+",
);

/** What a tag pattern says of pre-releases: `-rc`, or nothing. */
export const preReleaseOf = (tags: string): string => /-[a-z]+(?=\\\.)/.exec(tags)?.[0] ?? "";

/** A tag that is not taken though its pattern is. */
export const ignoredTag = pattern(
  /^[A-Za-z0-9_][A-Za-z0-9_.*?-]{0,127}$/,
  "a tag, in which * and ? may stand for others",
);
