import { stringify } from "yaml";
import type { Declaration, DeclaredResource } from "./program.ts";

/** Files by path below rendered/<stack>: an interface that others build on. */
export type Artefacts = Map<string, string>;

/** What a declaration looks like as files. The same declaration gives the same bytes. */
export function artefacts({ resources, outputs }: Declaration, owner: string): Artefacts {
  const files: Artefacts = new Map([
    ["resources.json", list(resources.map(asListed))],
    ["audit.json", json(outputs["audit"] ?? null)],
  ]);
  for (const resource of resources) {
    const file = deliveredFile(resource, owner) ?? manifest(resource);
    if (!file) continue;
    if (files.has(file.path)) throw new Error(`${resource.urn}: ${file.path} is declared twice`);
    files.set(file.path, file.text);
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** With what keeps it from being deleted or changed, and what of it is left to others; but not with its place in the order. */
const asListed = ({ options: { dependsOn: _, ...options }, ...resource }: DeclaredResource) => ({
  ...resource,
  ...options,
});

const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;

/** As {@link json}, one item after the other: the text of thousands at once would be the largest thing in memory. */
const list = (items: readonly unknown[]) =>
  items.length === 0
    ? "[]\n"
    : `[\n${items.map((item) => JSON.stringify([item], undefined, 2).slice(2, -2)).join(",\n")}\n]\n`;

const deliveredFile = ({ type, inputs }: DeclaredResource, owner: string) =>
  type === "github:index/repositoryFile:RepositoryFile"
    ? {
        path: `github/${owner}/${String(inputs["repository"])}/${String(inputs["file"])}`,
        text: String(inputs["content"]),
      }
    : undefined;

const manifest = ({ type, inputs }: DeclaredResource) => {
  if (!type.startsWith("kubernetes:") || typeof inputs["kind"] !== "string") return undefined;
  const { namespace = "_cluster", name } = (inputs["metadata"] ?? {}) as { namespace?: string; name?: string };
  return { path: `kubernetes/${namespace}/${inputs["kind"]}-${name}.yaml`, text: stringify(inputs, { lineWidth: 0 }) };
};
