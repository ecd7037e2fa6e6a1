/**
 * A program without a design: the resources of a render, one constructor after the other. What `pulumi preview` takes
 * for it is what the engine, the SDK and the providers take; the rest is ours.
 */
import { readFileSync } from "node:fs";
import * as gcp from "@pulumi/gcp";
import * as github from "@pulumi/github";
import { asset } from "@pulumi/pulumi";

type Constructors = { [name: string]: (new (name: string, inputs: object) => unknown) & Constructors };
const packages = { gcp, github } as unknown as Constructors;

interface Rendered {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

const rendered = JSON.parse(readFileSync(process.env["RENDERED"]!, "utf8")) as Rendered[];
for (const { type, name, inputs } of rendered) {
  const [pkg, path, kind] = type.split(":") as [string, string, string];
  // Components are the design; the raw loop has none.
  const constructors = packages[pkg];
  if (!constructors) continue;
  const module = path.split("/")[0]!;
  const Resource = (module === "index" ? constructors : constructors[module])![kind]!;
  new Resource(name, plain(inputs) as object);
}

/** An input as a program gives it: the render shows an archive by its texts. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  if ("__pulumiArchive" in value)
    return new asset.AssetArchive(plain((value as unknown as { assets: object }).assets) as asset.AssetMap);
  if ("__pulumiAsset" in value) return new asset.StringAsset((value as unknown as { text: string }).text);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}
