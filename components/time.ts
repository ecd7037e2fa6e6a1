/** What schedules are written with: the vocabulary that config schemas are made of. */
import { Cron } from "croner";
import { z } from "zod";
import { expected, pattern } from "./schema.ts";

const cronSentence = "a schedule in cron's five fields, such as 0 5 * * 1-5";

/** A schedule in cron's five fields. */
export const cron = z
  .string({ error: () => cronSentence })
  .regex(/^([0-9*,/-]|[A-Za-z]{3})+( +([0-9*,/-]|[A-Za-z]{3})+){4}$/, { error: () => cronSentence, abort: true })
  .refine(
    (text) => {
      try {
        new Cron(text, { mode: "5-part", paused: true });
        return true;
      } catch {
        return false;
      }
    },
    { ...expected(cronSentence), abort: true },
  )
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

/** Whether a schedule comes at all. */
export const comes = (schedule: string): boolean => nextStart(schedule, Date.UTC(2024, 0)) !== undefined;

/** What is expected of one that does not. */
export const comingSentence = "a schedule that comes, which 0 0 30 2 * never does";

const goCronSentence =
  "a schedule in cron's five fields which Kubernetes and Argo CD read likewise: Sunday is 0, and the first day of a range; every step is above 1; * in no list";

/** A schedule that Go's cron library, which Kubernetes and Argo CD have, reads as others do, and that comes. */
export const goCron = cron
  .refine((text) => {
    const [, , , , dayOfWeek = ""] = text.split(/ +/);
    return !/(^|[-,])0*7(?![0-9])|-sun/i.test(dayOfWeek) && !/\/0*1(?![0-9])|\*,|,\*/.test(text);
  }, expected(goCronSentence))
  .refine(comes, expected(comingSentence));

const day = 24 * 3_600_000;

/** After which a schedule begins again: one that names neither days nor months after a week, any other after the leap years. */
const cycleOf = (schedule: string): number => (/^\S+ +\S+ +\* +\* /.test(schedule) ? 7 * day : 4 * 366 * day);

/** The shortest and the longest time from one start of a schedule to the next, in milliseconds, on the clock of UTC. @param schedule one that comes */
export function pauses(schedule: string): { shortest: number; longest: number } {
  const first = nextStart(schedule, Date.UTC(2024, 0))!;
  const cycle = cycleOf(schedule);
  let [start, shortest, longest] = [first, Number.POSITIVE_INFINITY, 0];
  // One that comes often shows all that it has within some thousand starts.
  for (let starts = 0; starts < 3000 && start - first < cycle; starts++) {
    const next = nextStart(schedule, start)!;
    shortest = Math.min(shortest, next - start);
    longest = Math.max(longest, next - start);
    start = next;
  }
  return { shortest, longest };
}

const timeZoneSentence = "a time zone of the IANA database, such as America/Sao_Paulo";

/** Zones of the database whose names have no slash, and no other meaning to ICU. */
const short = [
  "CET",
  "CST6CDT",
  "EET",
  "EST",
  "EST5EDT",
  "GMT",
  "HST",
  "MET",
  "MST",
  "MST7MDT",
  "PST8PDT",
  "UTC",
  "WET",
];

/** Names of the database as it spells them. Intl takes any capitals, and ICU's own names such as PST, which to others are none. */
const spelled =
  /^(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Brazil|Canada|Chile|Etc|Europe|Indian|Mexico|Pacific|US)(\/([A-Z][A-Za-z]*|au|es|of)([_-]([A-Z][A-Za-z]*|au|es|of))*([+-]?[0-9]{1,2})?)+$/;

/** The name of a time zone. */
export const timeZone = z
  .string({ error: () => timeZoneSentence })
  .refine((name) => {
    if (!short.includes(name) && !spelled.test(name)) return false;
    try {
      return Boolean(new Intl.DateTimeFormat("en", { timeZone: name }));
    } catch {
      return false;
    }
  }, expected(timeZoneSentence))
  .describe(timeZoneSentence);

/** A time of the day. */
export const timeOfDay = pattern(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'a time of the day in quotes, such as "06:00"');

const instantSentence = 'a time in UTC, to the minute and in quotes, such as "2026-11-28T07:00Z"';

/** Whether a text in ISO 8601 names a day that there is: 30 February is another one to JavaScript. */
export const isDay = (text: string): boolean => {
  const day = text.slice(0, "2026-11-28".length);
  const time = new Date(`${day}T00:00Z`);
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(day);
};

/** A point in time. */
export const instant = z
  .string({ error: () => instantSentence })
  .regex(/^20[0-9]{2}-[01][0-9]-[0-3][0-9]T([01][0-9]|2[0-3]):[0-5][0-9](:00)?Z$/, {
    error: () => instantSentence,
    abort: true,
  })
  .refine((text) => isDay(text) && !Number.isNaN(Date.parse(text)), expected(instantSentence))
  .describe(instantSentence);
