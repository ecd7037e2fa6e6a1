/** What the engine's tests share: the CLI, previews as data, a stack in its sandbox. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runtime } from "@pulumi/pulumi";
import { stringify } from "yaml";
import { findPulumi, noEngine, root } from "../../cli/engine.ts";
import { artefacts } from "../../cli/render/artefacts.ts";
import { computed, type DeclaredResource, declare } from "../../cli/render/program.ts";
import { readStackFile } from "../../cli/render/stack-file.ts";
import { secretPlaceholder } from "../../config.ts";
import type { Part } from "../../sandbox/parts.ts";
import { type Config, engineIn, type Sandbox, startSandbox } from "../../sandbox/sandbox.ts";
import type { Drift } from "../../sandbox/stand-in/api.ts";
import { filesBelow } from "../support/files.ts";
import { skip } from "../support/skip.ts";

/** What a test needs of a sandbox, be it of a stack or of another program. */
export type Laid = Pick<Sandbox, "folder" | "engine" | "parts" | "canaries"> & Partial<Pick<Sandbox, "declaration">>;

let pulumi: string | undefined;

/** For a `before` hook: skips the suite, and says so, where there is no CLI. */
export function requireEngine(this: Mocha.Context): string {
  pulumi ??= findPulumi();
  if (!pulumi) skip.call(this, noEngine);
  return pulumi!;
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

/**
 * A program of `programs/` as a project of its own, for one part. The folder is beside the part's, not around it: what that keeps may
 * hold secrets.
 */
export function lay(pulumi: string, name: string, part: Part, folder: string): Laid {
  mkdirSync(folder);
  const options = { typescript: false, packagemanager: "npm", nodeargs: `--import ${join(root, "cli/start.mjs")}` };
  const main = join(import.meta.dirname, "programs", `${name}.ts`);
  const project = { name: "parts", main, runtime: { name: "nodejs", options } };
  writeFileSync(join(folder, "Pulumi.yaml"), stringify(project));
  writeFileSync(join(folder, "Pulumi.test.yaml"), stringify({ config: part.config }));
  const engine = engineIn(folder, pulumi, "test", [part]);
  return { folder, engine, parts: [part], canaries: new Map() };
}

/** One resource of a preview. */
export interface Step {
  op: string;
  urn: string;
  newState?: { inputs?: Record<string, unknown>; id?: string };
  oldState?: { inputs?: Record<string, unknown>; id?: string };
}

/** What an `up` would do, without the providers. */
export async function preview({ engine }: Laid, ...flags: string[]): Promise<Step[]> {
  const { steps } = JSON.parse(await engine.run(["preview", "--json", ...flags])) as { steps: Step[] };
  return steps.filter(({ urn }) => !urn.includes("::pulumi:providers:"));
}

export const up = ({ engine }: Laid, ...flags: string[]) => engine.run(["up", "--yes", "--skip-preview", ...flags]);

/** What the sandbox' services hold, by service; secrets, which differ from sandbox to sandbox, by their names. */
export async function held(laid: Laid): Promise<Record<string, unknown>> {
  await learnPasswords(laid);
  const { parts, canaries } = laid;
  const all = await Promise.all(parts.map(async (part) => [part.name, await part.held()]));
  let text = JSON.stringify(Object.fromEntries(all));
  for (const [name, value] of canaries) text = text.replaceAll(value, `the secret ${name}`);
  // A service account's key is another one each time.
  const reviver = (_: string, value: unknown) =>
    typeof value === "string" && value.includes("PRIVATE KEY") ? "a private key" : value;
  return JSON.parse(text, reviver) as Record<string, unknown>;
}

/** The passwords that the program has made are nobody's to see either, by the names of their resources. */
async function learnPasswords({ engine, canaries }: Laid): Promise<void> {
  const before = engine.transcript.length;
  const { deployment } = JSON.parse(await engine.run(["stack", "export", "--show-secrets"])) as {
    deployment: { resources?: { urn: string; type: string; outputs: { result?: { plaintext: string } } }[] };
  };
  // This once they are shown on purpose.
  engine.transcript.splice(before);
  for (const { urn, type, outputs } of deployment.resources ?? []) {
    if (type !== "random:index/randomPassword:RandomPassword" || !outputs.result) continue;
    canaries.set(urn.slice(urn.lastIndexOf("::") + 2), JSON.parse(outputs.result.plaintext) as string);
  }
}

/** The state holds nothing any more. */
export async function assertStateEmpty({ engine }: Laid): Promise<void> {
  const { deployment } = JSON.parse(await engine.run(["stack", "export"])) as { deployment: { resources?: unknown[] } };
  assert.deepEqual(deployment.resources ?? [], []);
}

/** The stand-ins knew everything that they were asked, and it was as the services' descriptions have it. */
export function assertUnderstood({ parts }: Laid): void {
  for (const { name, standIn } of parts) assert.deepEqual(standIn?.problems ?? [], [], name);
}

/** Fails when a value that nobody may see stands in a text, as it is or within something in base64. */
function assertNoCanary({ canaries }: Laid, where: string, text: string): void {
  for (const [name, value] of [...canaries, ["a private key", "PRIVATE KEY-----"]] as const) {
    for (const form of [value, ...inBase64(value)]) assert.ok(!text.includes(form), `${where} shows ${name}`);
  }
}

/** How a text looks in base64, wherever in a longer one it starts: without the letters that its neighbours have a part in. */
const inBase64 = (value: string) =>
  [0, 1, 2].map((offset) => {
    const text = Buffer.from("-".repeat(offset) + value)
      .toString("base64")
      .replace(/=+$/, "");
    return text.slice(offset === 0 ? 0 : offset + 1, (offset + value.length) % 3 === 0 ? undefined : -1);
  });

/**
 * Changes to make at once: one of each kind that is still to come, and no two of one object.
 * @param done the kinds that have been, to which these are added
 * @param lost whether `up` is allowed not to mend them
 */
export async function nextRound({ parts }: Laid, done: Set<string>, lost = false): Promise<Drift[]> {
  const drifts = (await Promise.all(parts.map((part) => part.drifts()))).flat();
  const round = new Map<string, Drift>();
  for (const drift of drifts.filter(({ unseen, unmended }) => !unseen && (unmended !== undefined) === lost)) {
    if (done.has(drift.kind) || round.has(drift.object)) continue;
    // What lists an account that is gone is refused whatever else is mended of it: that goes by itself.
    const alone = drift.kind === "account deleted";
    if (alone && round.size > 0) continue;
    done.add(drift.kind);
    round.set(drift.object, drift);
    if (alone) break;
  }
  return [...round.values()];
}

/** Changes objects without the engine, and looks for each of them in what it would then do. @returns the URNs that it would change */
export async function changeBehind(sandbox: Laid, drifts: Drift[]): Promise<Set<string>> {
  for (const drift of drifts) await drift.apply();
  const steps = await preview(sandbox, "--refresh");
  const changed = new Set(steps.filter(({ op }) => op !== "same" && op !== "refresh").map(({ urn }) => urn));
  for (const { what, object } of drifts) {
    // What has gone is named by the step that looked for it, and not by the one that creates it again.
    const about = steps.filter((step) => JSON.stringify(step).includes(object));
    assert.ok(
      about.some(({ urn }) => changed.has(urn)),
      what,
    );
  }
  return changed;
}

/** No state, config, log or output of the sandbox shows a secret. */
export function assertSecretsKept(sandbox: Laid): void {
  // What the parts write for themselves is theirs.
  const theirs = ["kubernetes", "docker"].map((part) => join(sandbox.folder, part, "/"));
  const own = filesBelow(sandbox.folder).filter((file) => !theirs.some((folder) => file.startsWith(folder)));
  for (const file of own) assertNoCanary(sandbox, file, readFileSync(file, "utf8"));
  for (const text of sandbox.engine.transcript) assertNoCanary(sandbox, "what the CLI prints", text);
  for (const { name, standIn } of sandbox.parts) {
    assertNoCanary(sandbox, `the log of ${name}`, JSON.stringify(standIn?.log ?? []));
  }
  assertNoCanary(sandbox, "the render", JSON.stringify(sandbox.declaration ?? {}));
}

/** The render is given the secrets' values, as a stack's file in clear text would, and shows none of them. */
export async function assertRenderKeepsSecrets(sandbox: Sandbox): Promise<void> {
  const { folder, stack, canaries } = sandbox;
  const stackFile = readStackFile(folder, stack);
  const secrets: Record<string, Record<string, string>> = {};
  for (const { path } of stackFile.needs) {
    const [system, name] = path.split(".") as [string, string];
    (secrets[system] ??= {})[name] = canaries.get(path)!;
  }
  if (stackFile.needs.length > 0) stackFile.config["esteira:secrets"] = JSON.stringify(secrets);
  const declaration = await declare(root, stack, { ...stackFile, secretKeys: ["esteira:secrets"] });
  for (const [path, text] of artefacts(declaration, stackFile.config["github:owner"] ?? "")) {
    assertNoCanary(sandbox, path, text);
  }
}

/** The engine's resources and the render's: the same, with the same inputs, and the same secrets marked. */
export function assertAgree(rendered: DeclaredResource[], previewed: Step[]): void {
  assert.deepEqual(
    previewed.map(({ urn }) => urn).sort(),
    rendered.map(({ urn }) => urn),
  );
  const inputs = new Map(previewed.map(({ urn, newState }) => [urn, newState?.inputs ?? {}]));
  for (const { urn, type, inputs: declared } of rendered) {
    // The provider's too: what is not known yet it leaves as it is.
    const turn = turned[type] ?? ((same: Inputs) => same);
    const mine = turn(declared);
    assert.deepEqual(given(turn(inputs.get(urn)!), mine), mine, urn);
  }
}

type Inputs = Record<string, unknown>;

/** A Secret's text is data to the provider, and all of it secret. */
const asData = ({ data, stringData = data, ...inputs }: Inputs): Inputs => ({
  ...inputs,
  ...(stringData !== undefined && { data: stringData }),
});

/** By type: inputs as the provider turns them before the engine shows them. */
const turned: Record<string, (inputs: Inputs) => Inputs> = {
  // Which plugin it is, the engine says.
  "pulumi:providers:kubernetes": ({ __internal, version, ...inputs }) => inputs,
  // An URL may hold a token, so it is a secret to the provider.
  "github:index/repositoryWebhook:RepositoryWebhook": ({ configuration, ...inputs }) => ({
    ...inputs,
    configuration: { ...(configuration as object), url: secretPlaceholder },
  }),
  "kubernetes:core/v1:Secret": asData,
  "kubernetes:core/v1:SecretPatch": asData,
};

/** What the program gave of what the engine says: without the provider's defaults, and as unknown as it is to the render. */
function given(theirs: unknown, mine: unknown): unknown {
  // What was looked up, the engine knows.
  if (mine === computed) return computed;
  // Providers make a whole list secret for one secret in it.
  if (theirs === secretPlaceholder && JSON.stringify(mine ?? null).includes(JSON.stringify(secretPlaceholder)))
    return mine;
  if (Array.isArray(theirs))
    return theirs.map((each, index) => given(each, Array.isArray(mine) ? mine[index] : undefined));
  if (typeof theirs !== "object" || theirs === null) return theirs;
  const own = mine as Record<string, unknown> | undefined;
  const { __defaults: defaults = [], ...values } = theirs as Record<string, unknown> & { __defaults?: string[] };
  const { [runtime.specialSigKey]: kind, assets, text } = values;
  if (kind === runtime.specialAssetSig) return { __pulumiAsset: true, text };
  if (kind === runtime.specialArchiveSig) return { __pulumiArchive: true, assets: given(assets, own?.["assets"]) };
  return Object.fromEntries(
    Object.entries(values)
      .filter(([key]) => !defaults.includes(key))
      .map(([key, value]) => [key, given(value, own?.[key])]),
  );
}
