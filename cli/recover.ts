/**
 * make recover STACK=prod: finishes an `up` that was cut off.
 *
 * An engine that dies, or an answer that never comes, can leave an object that exists and is not in the state. Google Cloud
 * refuses to create it again, however often `up` runs. This runs `up`, shows what is refused because it exists, asks, takes it
 * into the state with `pulumi import`, and goes on.
 * Exit 0: up; 1: `up` fails for another reason, or the answer was no; 2: the call is wrong.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { Engine, findPulumi, noEngine, root } from "./engine.ts";
import { type Ask, importIds } from "./recover/import-ids.ts";
import { type DeclaredResource, declare } from "./render/program.ts";
import { readStackFile, UsageError } from "./render/stack-file.ts";

/** A create that was refused because the object exists, and what `pulumi import` calls it. */
interface Refused {
  resource: DeclaredResource;
  id: string;
}

/** What the program declares, by URN. */
type Declared = Map<string, DeclaredResource>;

export interface Recovery {
  engine: Engine;
  stack: string;
  /** Where the stack's file is. */
  folder: string;
  /** Tells what is going on. @default the console */
  tell?: (line: string) => void;
  /** Whether objects that exist are to be taken into the state. */
  agree: (ids: string[]) => Promise<boolean>;
}

/**
 * Runs `up` until it succeeds, adopting what exists already.
 * @returns whether the stack is up
 */
export async function recover({ engine, stack, folder, tell = console.log, agree }: Recovery): Promise<boolean> {
  const stackFile = readStackFile(folder, stack);
  const { resources } = await declare(root, stack, stackFile);
  const declared: Declared = new Map(resources.map((resource) => [resource.urn, resource]));
  const ask = githubOf(engine, stack, stackFile.config);
  await edit(engine, stack, forgetPendingCreates);
  for (let adopted = new Set<string>(); ; ) {
    const { code, refusals, errors } = await up(engine, stack);
    await edit(engine, stack, (deployment) => numberPolicies(deployment, declared, ask));
    if (code === 0) return true;
    const found = refusals.map((urn) => declared.get(urn)).filter((resource) => resource !== undefined);
    const fresh = found.filter(({ urn }) => !adopted.has(urn));
    if (fresh.length === 0) {
      for (const error of errors) tell(error);
      return false;
    }
    const known: Refused[] = [];
    for (const resource of fresh) {
      const id = await importIds[resource.type]?.(resource.inputs, ask);
      if (id) known.push({ resource, id });
      tell(`exists: ${resource.name} (${id ?? "its ID is not known here; see `pulumi import`"})`);
    }
    if (known.length === 0 || !(await agree(known.map(({ id }) => id)))) return false;
    try {
      await adopt(engine, stack, known);
    } catch (error) {
      tell((error as Error).message);
      return false;
    }
    adopted = new Set([...adopted, ...known.map(({ resource }) => resource.urn)]);
    tell(`${known.length} taken into the state; going on`);
  }
}

/** What says that a create came too late. */
const exists = /already exist|already own it|must be unique/i;

/** One line of `pulumi up --json`. */
interface EngineEvent {
  diagnosticEvent?: { urn?: string; severity: string; message: string };
}

async function up(engine: Engine, stack: string) {
  // The rest goes on beside what is refused.
  const { code, out, error } = await engine.start([
    ...["up", "--stack", stack, "--yes", "--skip-preview", "--json", "--continue-on-error"],
  ]).ended;
  const events = out
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as EngineEvent);
  const errors = events.flatMap(({ diagnosticEvent }) =>
    diagnosticEvent?.severity === "error" ? diagnosticEvent : [],
  );
  const refusals = errors.flatMap(({ urn, message }) => (urn && exists.test(message) ? urn : []));
  return {
    code,
    refusals: [...new Set(refusals)],
    errors: [...errors.map(({ message }) => message.trim()), error.trim()],
  };
}

/** Takes objects into the state, below the parents that the program gives them. */
async function adopt(engine: Engine, stack: string, refused: Refused[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "esteira-import-"));
  try {
    const file = join(folder, "import.json");
    // The engine writes down parents and versions; only the IDs are ours to say.
    await engine.run(["preview", "--stack", stack, "--import-file", file]);
    const list = JSON.parse(readFileSync(file, "utf8")) as { resources: { type: string; name: string; id: string }[] };
    list.resources = list.resources.flatMap((entry) => {
      const match = refused.find(({ resource: { type, name } }) => type === entry.type && name === entry.name);
      return match ? { ...entry, id: match.id } : [];
    });
    writeFileSync(file, JSON.stringify(list));
    await engine.run([
      ...["import", "--stack", stack, "--file", file, "--yes", "--skip-preview"],
      // The program decides what is protected; the code is there already.
      ...["--protect=false", "--generate-code=false"],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What `pulumi stack export` writes, as far as it is read here. */
interface Deployment {
  pending_operations?: { type: string }[];
  resources?: { urn: string; type: string; id?: string; outputs?: Record<string, unknown> }[];
}

/** Changes the state, where there is something to change. @param change whether it has changed something */
async function edit(engine: Engine, stack: string, change: (deployment: Deployment) => boolean | Promise<boolean>) {
  const state = JSON.parse(await engine.run(["stack", "export", "--stack", stack])) as { deployment: Deployment };
  if (await change(state.deployment)) {
    await engine.run(["stack", "import", "--stack", stack], {}, JSON.stringify(state));
  }
}

/** An engine that died leaves a note of what it was creating; `up` finds out anew what came of it. */
function forgetPendingCreates(deployment: Deployment): boolean {
  const { pending_operations: pending = [] } = deployment;
  deployment.pending_operations = pending.filter(({ type }) => type !== "creating");
  return deployment.pending_operations.length < pending.length;
}

const policyType = "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy";

/**
 * GitHub answers the second create of a deployment policy with a redirect, out of which the provider reads policy 0
 * (integrations/terraform-provider-github#3611): every refresh would lose it, and a destroy fail.
 */
async function numberPolicies({ resources = [] }: Deployment, declared: Declared, ask: Ask): Promise<boolean> {
  const lost = resources.filter(({ type, id }) => type === policyType && id?.endsWith(":0"));
  for (const resource of lost) {
    const id = await importIds[policyType]!(declared.get(resource.urn)!.inputs, ask);
    if (!id) throw new Error(`${resource.urn}: GitHub has no such deployment policy; delete it from the state`);
    Object.assign(resource, { id, outputs: { ...resource.outputs, id, policyId: Number(id.split(":").at(-1)) } });
  }
  return lost.length > 0;
}

/** GitHub's API with the provider's own settings. */
function githubOf(engine: Engine, stack: string, config: Record<string, string>): Ask {
  const base = config["github:baseUrl"] ? new URL("api/v3/", config["github:baseUrl"]) : "https://api.github.com/";
  return async (path) => {
    const token =
      config["github:token"] === undefined
        ? (engine.env["GITHUB_TOKEN"] ?? process.env["GITHUB_TOKEN"])
        : (await engine.run(["config", "get", "github:token", "--stack", stack])).trim();
    const url = new URL(path.replaceAll("{owner}", config["github:owner"] ?? ""), base);
    const response = await fetch(url, { headers: token ? { authorization: `Bearer ${token}` } : {} });
    if (!response.ok) throw new Error(`GET ${url}: ${response.status} ${response.statusText}`);
    return response.json();
  };
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { stack: { type: "string" }, yes: { type: "boolean", default: false } } });
  if (!values.stack) throw new UsageError("give --stack NAME");
  const pulumi = findPulumi();
  if (!pulumi) throw new UsageError(noEngine);
  const agree = async (ids: string[]) => {
    if (values.yes) return true;
    const terminal = createInterface(process.stdin, process.stdout);
    const answer = await terminal.question(
      `Take ${ids.length === 1 ? "it" : "these"} into the state of ${values.stack}? [y/N] `,
    );
    terminal.close();
    return /^y(es)?$/i.test(answer.trim());
  };
  return (await recover({ engine: new Engine(pulumi, root), stack: values.stack, folder: root, agree })) ? 0 : 1;
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(`esteira: ${(error as Error).message}`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
