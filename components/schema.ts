/**
 * How a config schema says what it expects: every type here carries one sentence, which a person reads in an
 * error and an editor shows from the JSON Schema.
 */
import leven from "leven";
import { z } from "zod";

/** What a type or a refinement says where it does not hold; a type says it of its checks as well. */
export const expected = (sentence: string) => ({ error: () => sentence });

/**
 * Text of a certain form.
 * @param form an anchored regular expression without flags, so that JSON Schema can carry it
 */
export const pattern = (form: RegExp, sentence: string) => z.string(expected(sentence)).regex(form).describe(sentence);

/** Text of any form. YAML reads 8080 and true as something else. */
export const text = z.string({ error: () => "text; put it in quotes" });

/** Yes or no, as YAML has it. */
export const trueOrFalse = z.boolean({ error: () => "true or false" });

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
  return z.int(expected(sentence)).min(min).max(max).describe(sentence);
};

/** A secret that a person gives. */
export interface SecretSchema {
  /** What it is for, and what it must be able to do. */
  purpose: string;
  /** Whether all goes on without it, though less is done. @default it is needed */
  optional?: boolean;
  /** What its text must look like; no problem repeats it. @default any text */
  schema?: z.ZodType<string>;
  /** Text of that form, with KEY where the secret is in it. */
  example?: string;
}

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

/** One thing wrong with a value. */
export interface Problem {
  /** Where it is, such as `esteira:equidade.functions[2].memory`. */
  key: string;
  /** What was found, what is expected and, where it can be said, the mend. */
  message: string;
}

/**
 * Parses a value, or tells everything that the schema finds wrong with it.
 * @param root the value's own key
 * @param hide whether the value is secret: then no problem repeats what was found
 * @returns `data` only where there is no problem
 */
export function parse<Schema extends z.core.$ZodType>(
  schema: Schema,
  root: string,
  value: unknown,
  hide = false,
): { data?: z.output<Schema>; problems: Problem[] } {
  const result = z.safeParse(schema, value);
  const explain = (issue: z.core.$ZodIssue): Problem[] => {
    if (issue.code === "invalid_union" && issue.errors.length > 0) {
      // The branch meant is the one that takes this type of value, of several objects the one that knows most of its keys.
      const unknown = (issues: readonly z.core.$ZodIssue[]) =>
        issues.flatMap((inner) => (inner.code === "unrecognized_keys" && inner.path.length === 0 ? inner.keys : []));
      const [branch] = issue.errors
        .filter((issues) =>
          issues.some(({ code, path }) => (code !== "invalid_type" && code !== "invalid_value") || path.length > 0),
        )
        .sort((a, b) => unknown(a).length - unknown(b).length || a.length - b.length);
      if (branch) return branch.flatMap((inner) => explain({ ...inner, path: [...issue.path, ...inner.path] }));
    }
    const key = `${root}${issue.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("")}`;
    const at = issue.path.reduce<unknown>(
      (inner, part) => (inner as Record<PropertyKey, unknown> | undefined)?.[part],
      value,
    );
    if (issue.code === "unrecognized_keys") {
      const present = Object.keys(at as object);
      const taken = present.filter((each) => !issue.keys.includes(each));
      const forms = formsAt(schema, issue.path);
      const known = forms.find((form) => present.every((each) => form.includes(each) === taken.includes(each))) ?? [];
      return issue.keys.map((unknown) => ({
        key: `${key}.${unknown}`,
        message: forms.some((form) => form.includes(unknown))
          ? `found beside ${taken.join(", ")}; expected one or the other`
          : unknownKey(unknown, known),
      }));
    }
    if (issue.code === "invalid_key")
      return [{ key, message: `expected ${issue.issues[0]?.message ?? issue.message}` }];
    // Two keys may contradict each other, and neither alone be wrong; the value may be a default's.
    if (issue.code === "custom" && issue.params && "contradicting" in issue.params) {
      return [{ key, message: `${found(issue.params["contradicting"])}, which ${issue.message}` }];
    }
    const comment =
      at === null && wantsText(issue) ? ": it is empty, or begins with #, which is a comment unless in quotes" : "";
    return [{ key, message: `${hide ? "not valid" : found(at)}${comment}; expected ${issue.message}` }];
  };
  return result.success ? { data: result.data, problems: [] } : { problems: result.error.issues.flatMap(explain) };
}

/** What was found, as a problem's message says it. */
export const found = (value: unknown): string => (value === undefined ? "missing" : `found ${JSON.stringify(value)}`);

/** Whether a text would have done: then a null is likely one that YAML took for a comment. */
const wantsText = (issue: z.core.$ZodIssue): boolean =>
  (issue.code === "invalid_type" && issue.expected === "string") ||
  (issue.code === "invalid_value" && issue.values.some((value) => typeof value === "string")) ||
  (issue.code === "invalid_union" && issue.errors.flat().some(wantsText));

/** What a problem's message says of a key that nobody knows. @param prefix what all of them begin with, and `key` without */
export const unknownKey = (key: string, known: readonly string[], prefix = ""): string => {
  const close = nearest(key, known);
  return close
    ? `unknown key; did you mean "${prefix}${close}"?`
    : `unknown key; known are ${known.map((each) => prefix + each).join(", ") || "none"}`;
};

/** The keys of each form that an object may have at a path of a schema. */
function formsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[][] {
  const at = unwrap(path.reduce<z.core.$ZodType | undefined>((outer, part) => inner(unwrap(outer), part), schema));
  const forms = (at instanceof z.ZodUnion ? at.options : [at]).filter((form) => form instanceof z.ZodObject);
  return forms.map(({ shape }) => Object.keys(shape));
}

const unwrap = (schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined =>
  schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault
    ? unwrap(schema.unwrap())
    : schema;

const objectForm = (schema: z.core.$ZodType | undefined): z.ZodObject | undefined =>
  schema instanceof z.ZodUnion
    ? (schema.options.find((option) => option instanceof z.ZodObject) as z.ZodObject | undefined)
    : schema instanceof z.ZodObject
      ? schema
      : undefined;

const inner = (schema: z.core.$ZodType | undefined, part: PropertyKey): z.core.$ZodType | undefined => {
  if (schema instanceof z.ZodArray) return schema.element;
  if (schema instanceof z.ZodRecord) return schema.valueType as z.core.$ZodType;
  return (objectForm(schema)?.shape as Record<PropertyKey, z.core.$ZodType> | undefined)?.[part];
};
