import type { DeclaredResource } from "./program.ts";

/** Siblings of one type that are shown before the rest is only counted. */
const shown = 5;

/** The resources as a tree, long rows of the same type cut short. */
export function tree(resources: readonly DeclaredResource[]): string {
  const children = Map.groupBy(resources, ({ parent }) => parent ?? "");
  const lines: string[] = [];
  const walk = (parent: string, indent: string) => {
    const byType = [...Map.groupBy(children.get(parent) ?? [], ({ type }) => type)].sort(([a], [b]) =>
      a < b ? -1 : 1,
    );
    const rows = byType.flatMap(([type, siblings]) => [
      ...siblings.slice(0, siblings.length > shown + 1 ? shown : undefined),
      ...(siblings.length > shown + 1 ? [`… and ${siblings.length - shown} more of ${kind(type)}`] : []),
    ]);
    rows.forEach((row, index) => {
      const last = index === rows.length - 1;
      const text = typeof row === "string" ? row : `${row.name}  ${kind(row.type)}`;
      lines.push(`${indent}${parent === "" ? "" : last ? "└─ " : "├─ "}${text}`);
      if (typeof row !== "string") walk(row.urn, parent === "" ? indent : `${indent}${last ? "   " : "│  "}`);
    });
  };
  walk("", "");
  return lines.join("\n");
}

/** How many there are of each type, most first. */
export const counts = (resources: readonly DeclaredResource[]): [type: string, count: number][] =>
  [...Map.groupBy(resources, ({ type }) => type)]
    .map(([type, each]): [string, number] => [type, each.length])
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));

/** A type as a person says it: `gcp.storage.Bucket` for gcp:storage/bucket:Bucket. */
export const kind = (type: string): string => {
  const [pkg, module = "", name = ""] = type.split(":");
  const folder = module.split("/")[0] ?? "";
  return [pkg, folder === "index" ? "" : folder, name].filter(Boolean).join(".");
};
