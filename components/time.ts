/** What schedules are written with: the vocabulary that config schemas are made of. */
import { Cron } from "croner";
import { z } from "zod";
import { expected, pattern } from "./schema.ts";

const cronSentence = "a schedule in cron's five fields, such as 0 5 * * 1-5";

/** A schedule in cron's five fields. */
export const cron = z
  .string({ error: () => cronSentence })
  .regex(/^([0-9*,/-]|[A-Za-z]{3})+( +([0-9*,/-]|[A-Za-z]{3})+){4}$/, { error: () => cronSentence, abort: true })
  .refine((text) => {
    try {
      new Cron(text, { mode: "5-part", paused: true });
      return true;
    } catch {
      return false;
    }
  }, expected(cronSentence))
  .describe(cronSentence);

/**
 * When a schedule comes next, strictly after a time, on the clock of UTC.
 * @param after milliseconds since 1970
 * @returns undefined if it never comes
 */
export function nextStart(schedule: string, after: number): number | undefined {
  let clock = clocks.get(schedule);
  if (!clock) {
    clock = new Cron(schedule, { mode: "5-part", timezone: "UTC", paused: true });
    clocks.set(schedule, clock);
  }
  return clock.nextRun(new Date(after))?.getTime();
}

const clocks = new Map<string, Cron>();

const timeZoneSentence = "a time zone of the IANA database, such as America/Sao_Paulo";

/** The name of a time zone. */
export const timeZone = z
  .string({ error: () => timeZoneSentence })
  .refine((name) => {
    try {
      const { timeZone: found } = new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions();
      // Others take no other capitals than the database's, and no offset, which knows no change of the clocks.
      return /^[A-Z]/.test(name) && (found === name || found.toLowerCase() !== name.toLowerCase());
    } catch {
      return false;
    }
  }, expected(timeZoneSentence))
  .describe(timeZoneSentence);

/** A time of the day. */
export const timeOfDay = pattern(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'a time of the day in quotes, such as "06:00"');

const instantSentence = 'a time in UTC, to the minute and in quotes, such as "2026-11-28T07:00Z"';

/** A point in time. */
export const instant = z
  .string({ error: () => instantSentence })
  .regex(/^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9](:00)?Z$/, {
    error: () => instantSentence,
    abort: true,
  })
  // 30 February is another day to JavaScript.
  .refine((text) => {
    const time = new Date(text);
    return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(text.slice(0, 16));
  }, expected(instantSentence))
  .describe(instantSentence);
