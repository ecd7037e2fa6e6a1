import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { root } from "../engine.ts";

/** What all figures share: where they were taken. */
export const machine = `${cpus().length} cores (${cpus()[0]!.model.trim()}), Node ${process.versions.node}`;

/** The middle one; of an even number, the higher of the two in the middle. */
export const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Writes one section of docs/benchmarks.md again and leaves the others as they are. @param heading as in the file, without ## */
export function writeSection(heading: string, text: string): void {
  const file = join(root, "docs/benchmarks.md");
  const [head, ...sections] = readFileSync(file, "utf8").split(/^(?=## )/m);
  const section = `## ${heading}\n\n${text.trim()}\n`;
  const index = sections.findIndex((each) => each.startsWith(`## ${heading}\n`));
  sections.splice(index < 0 ? sections.length : index, index < 0 ? 0 : 1, section);
  writeFileSync(file, `${head!.trim()}\n\n${sections.map((each) => each.trim()).join("\n\n")}\n`);
}

/** A stack's config with equidade alone: figures by number of functions are of functions. */
export const equidadeAlone = <Value>(config: Readonly<Record<string, Value>>): Record<string, Value> =>
  Object.fromEntries(
    Object.entries(config).filter(
      ([key]) => !/^(docker|kubernetes):/.test(key) && !/^esteira:(?!(equidade|ownerId|ownerType|secrets)$)/.test(key),
    ),
  );
