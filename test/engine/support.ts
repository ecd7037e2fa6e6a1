/** What the engine's tests share: the CLI, previews as data, a stack in its sandbox. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findPulumi, noEngine } from "../../cli/engine.ts";
import { computed, type DeclaredResource } from "../../cli/render/program.ts";
import { secretPlaceholder } from "../../cli/render/stack-file.ts";
import { type Config, type Sandbox, startSandbox } from "../../sandbox/sandbox.ts";

let pulumi: string | undefined;

/** For a `before` hook: skips the suite, and says so, where there is no CLI. */
export function requireEngine(this: Mocha.Context): string {
  pulumi ??= findPulumi();
  if (!pulumi) skip.call(this, noEngine);
  return pulumi!;
}

function skip(this: Mocha.Context, reason: string): never {
  console.log(`  NOT RUN: ${reason}`);
  return this.skip();
}

/** A stack in its sandbox; where a part of it cannot start the suite is skipped, with the reason. */
export async function sandboxOf(this: Mocha.Context, stack: string, config?: Config): Promise<Sandbox> {
  const sandbox = await startSandbox(requireEngine.call(this), stack, config);
  if (sandbox.missing.length > 0) {
    await sandbox.close();
    skip.call(this, `${stack}: ${sandbox.missing.join("; ")}`);
  }
  return sandbox;
}

/** One resource of a preview. */
export interface Step {
  op: string;
  urn: string;
  newState?: { inputs?: Record<string, unknown>; id?: string };
  oldState?: { inputs?: Record<string, unknown>; id?: string };
}

/** What an `up` would do, without the providers. */
export async function preview({ engine }: Sandbox, ...flags: string[]): Promise<Step[]> {
  const { steps } = JSON.parse(await engine.run(["preview", "--json", ...flags])) as { steps: Step[] };
  return steps.filter(({ urn }) => !urn.includes("::pulumi:providers:"));
}

export const up = ({ engine }: Sandbox, ...flags: string[]) => engine.run(["up", "--yes", "--skip-preview", ...flags]);

/** What the sandbox' services hold, by service; secrets, which differ from sandbox to sandbox, by their names. */
export async function held({ parts, canaries }: Sandbox): Promise<Record<string, unknown>> {
  const all = await Promise.all(parts.map(async (part) => [part.name, await part.held()]));
  let text = JSON.stringify(Object.fromEntries(all));
  for (const [name, value] of canaries) text = text.replaceAll(value, `the secret ${name}`);
  return JSON.parse(text) as Record<string, unknown>;
}

/** The stand-ins knew everything that they were asked, and it was as the services' descriptions have it. */
export function assertUnderstood({ parts }: Sandbox): void {
  for (const { name, standIn } of parts) assert.deepEqual(standIn?.problems ?? [], [], name);
}

/** Fails when a value that nobody may see stands in a text. */
export function assertNoCanary({ canaries }: Sandbox, where: string, text: string): void {
  for (const [name, value] of canaries) {
    for (const form of [value, Buffer.from(value).toString("base64").replace(/=+$/, "")]) {
      assert.ok(!text.includes(form), `${where} shows ${name}`);
    }
  }
}

/** Every file below a folder. */
export const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** No state, config, log or output of the sandbox shows a secret. */
export function assertSecretsKept(sandbox: Sandbox): void {
  for (const file of filesBelow(sandbox.folder)) assertNoCanary(sandbox, file, readFileSync(file, "utf8"));
  for (const text of sandbox.engine.transcript) assertNoCanary(sandbox, "what the CLI prints", text);
  for (const { name, standIn } of sandbox.parts) {
    assertNoCanary(sandbox, `the log of ${name}`, JSON.stringify(standIn?.log ?? []));
  }
  assertNoCanary(sandbox, "the render", JSON.stringify(sandbox.declaration));
}

/** The engine's resources and the render's: the same, with the same inputs, and the same secrets marked. */
export function assertAgree(rendered: DeclaredResource[], previewed: Step[]): void {
  assert.deepEqual(
    previewed.map(({ urn }) => urn).sort(),
    rendered.map(({ urn }) => urn),
  );
  const inputs = new Map(previewed.map(({ urn, newState }) => [urn, newState?.inputs ?? {}]));
  for (const { urn, inputs: mine } of rendered) assert.deepEqual(restrict(inputs.get(urn)!, mine), mine, urn);
}

/** What the engine says, cut to what the program gave: the provider adds defaults, and knows what was looked up. */
function restrict(theirs: unknown, mine: unknown): unknown {
  if (mine === computed) return computed;
  // The engine's JSON shows every secret so, which is also how the render shows it.
  if (mine === secretPlaceholder) return theirs;
  if (Array.isArray(mine) && Array.isArray(theirs)) return theirs.map((each, index) => restrict(each, mine[index]));
  if (typeof mine === "object" && mine !== null && typeof theirs === "object" && theirs !== null) {
    if ("__pulumiArchive" in mine) return mine;
    return Object.fromEntries(
      Object.entries(mine).map(([key, each]) => [key, restrict((theirs as Record<string, unknown>)[key], each)]),
    );
  }
  return theirs;
}
