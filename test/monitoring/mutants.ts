/** Rules that are a little wrong: a test that takes one of them for right tests nothing. */
import type { Alert } from "../../components/kubernetes/monitoring/alerts.ts";

export interface Mutant {
  /** What was changed. */
  what: string;
  rule: Alert;
}

const comparisons: Record<string, readonly string[]> = {
  ">": [">=", "<"],
  "<": ["<=", ">"],
  ">=": [">", "<="],
  "<=": ["<", ">="],
  "==": ["!="],
};

/** Every comparison, number, range and duration of a rule changed alone, and each label that it asks for left out. */
export function mutantsOf(rule: Alert): Mutant[] {
  const { expr } = rule;
  const changed = (pattern: RegExp, others: (found: string) => readonly string[]) =>
    [...expr.matchAll(pattern)].flatMap(({ 0: found, index }) =>
      others(found).map((other) => ({
        what: `${expr.slice(Math.max(0, index - 30), index)}[${found} -> ${other}]`,
        rule: { ...rule, expr: expr.slice(0, index) + other + expr.slice(index + found.length) },
      })),
    );
  return [
    ...changed(/ (>=|<=|==|<|>) /g, (found) => comparisons[found.trim()]!.map((other) => ` ${other} `)),
    // Not those of labels, ranges or names.
    ...changed(/(?<= )[0-9.]+(?=$| |\))/g, (found) => around(Number(found)).map(String)),
    // One that is said twice is said in one place.
    ...[...new Set(expr.match(/\[[0-9]+[mh]\]/g))].flatMap((range) =>
      [0.5, 2].map((times) => {
        const other = `[${minutes(range.slice(1)) * 60 * times}s]`;
        return { what: `${range} -> ${other}`, rule: { ...rule, expr: expr.replaceAll(range, other) } };
      }),
    ),
    ...withoutLabels(expr).map(({ what, expr }) => ({ what, rule: { ...rule, expr } })),
    ...(rule.for
      ? [minutes(rule.for) - 1, minutes(rule.for) + 1].map((other) => ({
          what: `for: ${rule.for} -> ${other}m`,
          rule: { ...rule, for: `${other}m` },
        }))
      : [{ what: "for: 1m", rule: { ...rule, for: "1m" } }]),
  ];
}

/** An expression without each label that it asks for. */
export const withoutLabels = (expr: string): { what: string; expr: string }[] =>
  [...new Set([...expr.matchAll(/[{,]((?!__name__)\w+=~?"[^"]*")/g)].map((found) => found[1]!))].map((matcher) => ({
    what: `without ${matcher}`,
    // A comma may stand before the end.
    expr: expr.replaceAll(`${matcher},`, "").replaceAll(matcher, ""),
  }));

const around = (value: number) =>
  value === 0 ? [1] : Number.isInteger(value) && value <= 20 ? [value - 1, value + 1] : [value * 0.9, value * 1.1];

const minutes = (duration: string) => Number.parseInt(duration, 10) * (/h\]?$/.test(duration) ? 60 : 1);
