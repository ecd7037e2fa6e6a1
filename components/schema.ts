/**
 * How a config schema says what it expects: every type here carries one sentence, which a person reads in an
 * error and an editor shows from the JSON Schema.
 */
import leven from "leven";
import { z } from "zod";

/** Makes a type's error and its description out of one sentence. */
export const expected = (sentence: string) => ({ error: () => sentence, description: sentence });

/**
 * Text of a certain form.
 * @param form an anchored regular expression without flags, so that JSON Schema can carry it
 */
export const pattern = (form: RegExp, sentence: string) =>
  z
    .string({ error: () => sentence })
    .regex(form, { error: () => sentence })
    .describe(sentence);

/** Text of any form. YAML reads 8080 and true as something else. */
export const text = z.string({ error: () => "text; put it in quotes" });

/** One of a closed list; a near miss is answered with the nearest member. */
export const oneOf = <const T extends readonly [string, ...string[]]>(values: T, what: string) =>
  z
    .enum(values, {
      error: (issue) => {
        const close = typeof issue.input === "string" ? nearest(issue.input, values) : undefined;
        const list = values.length > 8 ? "" : ` (${values.join(", ")})`;
        return `${what}${list}${close ? `; did you mean "${close}"?` : ""}`;
      },
    })
    .describe(what);

/** A whole number within bounds, both included. */
export const whole = (min: number, max: number, what: string) => {
  const sentence = `${what}: a whole number from ${min} to ${max}`;
  const error = () => sentence;
  return z.int({ error }).min(min, { error }).max(max, { error }).describe(sentence);
};

/** The candidate that a mistyped word most likely meant, if one is close. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: { word: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = leven(word.toLowerCase(), candidate.toLowerCase());
    if (distance <= Math.max(2, candidate.length / 3) && (!best || distance < best.distance)) {
      best = { word: candidate, distance };
    }
  }
  return best?.word;
}
