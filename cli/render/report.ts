import type { DeclaredResource } from "./program.ts";

/** Siblings of one type that are shown before the rest is only counted. */
const shown = 6;

/**
 * The components as a tree, each with how many resources of which type it declares itself. Long rows of the same
 * type are cut short.
 */
export function tree(resources: readonly DeclaredResource[]): string {
  const children = Map.groupBy(resources, ({ parent }) => parent ?? "");
  const lines: [text: string, counts: string][] = [];
  const walk = (resource: DeclaredResource, lead: string, indent: string) => {
    const below = children.get(resource.urn) ?? [];
    const [inner, leaves] = [
      below.filter(({ urn }) => children.has(urn)),
      below.filter(({ urn }) => !children.has(urn)),
    ];
    lines.push([`${lead}${resource.name}`, [typeWord(resource.type), summary(leaves)].filter(Boolean).join(": ")]);
    const rows = [...Map.groupBy(inner.sort(byName), ({ type }) => type).values()].flatMap((siblings) =>
      siblings.length > shown
        ? [
            ...siblings.slice(0, shown - 1),
            `… and ${siblings.length - shown + 1} more of ${typeWord(siblings[0]!.type)}`,
          ]
        : siblings,
    );
    rows.forEach((row, index) => {
      const [branch, next] = index === rows.length - 1 ? ["└─ ", "   "] : ["├─ ", "│  "];
      if (typeof row === "string") lines.push([`${indent}${branch}${row}`, ""]);
      else walk(row, `${indent}${branch}`, `${indent}${next}`);
    });
  };
  for (const root of children.get("") ?? []) walk(root, "", "");
  const width = Math.max(...lines.map(([text]) => text.length));
  return lines.map(([text, counts]) => `${text.padEnd(width)}  ${counts}`.trimEnd()).join("\n");
}

const byName = (a: DeclaredResource, b: DeclaredResource) => a.name.localeCompare(b.name, "en", { numeric: true });

const summary = (leaves: readonly DeclaredResource[]): string =>
  [...Map.groupBy(leaves, ({ type }) => typeWord(type))]
    .map(([word, each]) => (each.length === 1 ? word : `${each.length} ${word}`))
    .join(", ");

/** How many there are of each type, most first. */
export const counts = (resources: readonly DeclaredResource[]): [type: string, count: number][] =>
  [...Map.groupBy(resources, ({ type }) => type)]
    .map(([type, each]): [string, number] => [type, each.length])
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));

/** How many there are from each provider, components apart. */
export const providers = (resources: readonly DeclaredResource[]): string =>
  [...Map.groupBy(resources, ({ type }) => type.split(":")[0]!)]
    .filter(([pkg]) => pkg !== "esteira" && pkg !== "pulumi")
    .map(([pkg, each]) => `${each.length} ${pkg}`)
    .sort()
    .join(", ");

/** The last word of a type: `Bucket` for gcp:storage/bucket:Bucket. */
const typeWord = (type: string): string => type.split(":").at(-1)!;
