/**
 * make recover STACK=prod: finishes an `up` that was cut off.
 *
 * An engine that dies, or an answer that never comes, can leave an object that exists and is not in the state. Google Cloud
 * refuses to create it again, however often `up` runs. This shows what an `up` would do, asks, runs it, shows what is refused
 * because it exists, asks, takes it into the state with `pulumi import`, and goes on. Nothing is deleted or replaced by it, but for
 * a container that such an `up` has left: it holds nothing, and is made again.
 * Exit 0: up; 1: `up` fails for another reason, or the answer was no; 2: the call is wrong.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { Engine, errorsIn, findPulumi, noEngine, root, shown } from "./engine.ts";
import { importId, importIds, removals } from "./recover/import-ids.ts";
import { type Services, servicesOf } from "./recover/services.ts";
import { computed, type DeclaredResource, declare } from "./render/program.ts";
import { isUsage, readStackFile, UsageError } from "./render/stack-file.ts";

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
  /** Whether to go on, after what has been told. */
  agree: (question: string) => Promise<boolean>;
}

/**
 * Runs `up` until it succeeds, adopting what exists already.
 * @returns whether the stack is up
 */
export async function recover({ engine, stack, folder, tell = console.log, agree }: Recovery): Promise<boolean> {
  const stackFile = readStackFile(folder, stack);
  const { resources } = await declare(root, stack, stackFile);
  const declared: Declared = new Map(resources.map((resource) => [resource.urn, resource]));
  const services = servicesOf(engine, stack, stackFile.config);
  // One for each time: the next must not overwrite the state of before the first.
  const time = new Date().toISOString().replaceAll(":", "-");
  const backup = join(folder, `${stack}.${time}.before-recover.json`);
  const exported = await engine.run(["stack", "export", "--stack", stack]);
  writeFileSync(backup, exported, { mode: 0o600, flag: "wx" });
  tell(`The state as it was is in ${backup}.`);
  await edit(engine, stack, (deployment) => forgetPendingCreates(deployment, tell), exported);

  for (const tried = new Set<string>(); ; ) {
    if (!(await harmless(engine, stack, tell))) return false;
    if (!(await agree(`Run \`up\` of ${stack}?`))) return false;
    const { code, refusals, errors } = await up(engine, stack);
    for (const error of errors) tell(error);
    await edit(engine, stack, (deployment) => numberPolicies(deployment, declared, services));
    if (code === 0) {
      tell(`${stack} is up.`);
      return true;
    }
    const known: Refused[] = [];
    const inTheWay: DeclaredResource[] = [];
    const about = ({ type, name }: Diagnostics) =>
      resources.filter((resource) => shown(resource.type) === type && resource.name === name);
    for (const resource of refusals.flatMap(about).filter(({ urn }) => !tried.has(urn))) {
      tried.add(resource.urn);
      if (resource.type in removals) {
        inTheWay.push(resource);
        tell(`in the way: ${resource.name} (${resource.inputs["name"]})`);
        continue;
      }
      const found = await importId(resource, services);
      // A part that only a provider could tell.
      const id = found?.includes(computed) ? undefined : found;
      if (id) known.push({ resource, id });
      tell(`exists: ${resource.name} (${id ?? "its ID is not known here; see `pulumi import`"})`);
    }
    if (known.length + inTheWay.length === 0) {
      for (const refusal of refusals) tell(refusal.errors);
      return false;
    }
    try {
      if (inTheWay.length > 0) {
        if (!(await agree("Remove the containers in the way? What they keep is in volumes."))) return false;
        for (const { type, name, inputs } of inTheWay) await removals[type]!(name, inputs, services);
        tell(`${inTheWay.length} removed`);
      }
      if (known.length > 0) {
        if (!(await agree(`Take what exists into the state of ${stack}?`))) return false;
        await adopt(engine, stack, known);
        tell(`${known.length} taken into the state`);
      }
    } catch (error) {
      tell((error as Error).message);
      return false;
    }
  }
}

/**
 * Tells what an `up` would do.
 * @returns whether it would delete and replace nothing: an object that was adopted may be another than it seems
 */
async function harmless(engine: Engine, stack: string, tell: (line: string) => void): Promise<boolean> {
  const { steps = [] } = JSON.parse(await engine.run(["preview", "--stack", stack, "--json"])) as {
    steps?: { op: string; urn: string }[];
  };
  const doing = steps.filter(({ op }) => op !== "same" && op !== "read");
  const lost = doing.filter(({ op }) => /delete|replace|discard/.test(op));
  tell(`${doing.length} to create, change or delete`);
  for (const { op, urn } of lost) tell(`would ${op}: ${urn}`);
  if (lost.length > 0) tell("That is for a person to do: read `pulumi preview --diff`, and run `pulumi up`.");
  return lost.length === 0;
}

/** What says that a create came too late. */
const exists = /already exist|already own it|must be unique|already in use by container/i;

/** What one resource, or the stack, has to say at the end of an `up`. */
interface Diagnostics {
  /** The resource's type as the CLI shows it. */
  type: string;
  name: string;
  errors: string;
}

/**
 * Runs `up`, the rest of it beside what is refused.
 *
 * Not with --json: its stream has the SDK's debug messages, which hold the values of secrets.
 */
async function up(engine: Engine, stack: string) {
  const { code, out, error } = await engine.start([
    ...["up", "--stack", stack, "--yes", "--skip-preview", "--continue-on-error", "--suppress-outputs"],
  ]).ended;
  const diagnostics = errorsIn(out)
    .split(/^(?= {2}\S+ \(.+\):$)/m)
    .flatMap((block): Diagnostics[] => {
      const [, type, name] = /^ {2}(\S+) \((.+)\):$/m.exec(block) ?? [];
      const errors = block.split("\n").slice(1).join("\n").trim();
      return type && name && errors ? [{ type, name, errors }] : [];
    });
  const refusals = diagnostics.filter(({ errors }) => exists.test(errors));
  const others = diagnostics.filter((each) => !refusals.includes(each)).map(({ errors }) => errors);
  return { code, refusals, errors: error.trim() ? [...others, error.trim()] : others };
}

/** Takes objects into the state, below the parents that the program gives them. */
async function adopt(engine: Engine, stack: string, refused: Refused[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "esteira-import-"));
  try {
    const file = join(folder, "import.json");
    // The engine writes down parents and versions; only the IDs are ours to say.
    await engine.run(["preview", "--stack", stack, "--import-file", file]);
    const list = JSON.parse(readFileSync(file, "utf8")) as {
      nameTable: Record<string, string>;
      resources: { type: string; name: string; id: string; parent?: string }[];
    };
    list.resources = list.resources.flatMap((entry) => {
      const match = refused.find(
        ({ resource: { type, name, parent } }) =>
          type === entry.type && name === entry.name && (!entry.parent || parent === list.nameTable[entry.parent]),
      );
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
  pending_operations?: { type: string; resource: { urn: string } }[];
  resources?: { urn: string; type: string; id?: string; outputs?: Record<string, unknown> }[];
}

/** Changes the state, where there is something to change. @param change whether it has changed something */
async function edit(
  engine: Engine,
  stack: string,
  change: (deployment: Deployment) => boolean | Promise<boolean>,
  exported?: string,
) {
  const text = exported ?? (await engine.run(["stack", "export", "--stack", stack]));
  const state = JSON.parse(text) as { deployment: Deployment };
  if (await change(state.deployment)) {
    await engine.run(["stack", "import", "--stack", stack], {}, JSON.stringify(state));
  }
}

/** An engine that died leaves a note of what it was creating; `up` finds out anew what came of it. */
function forgetPendingCreates(deployment: Deployment, tell: (line: string) => void): boolean {
  const { pending_operations: pending = [] } = deployment;
  for (const { type, resource } of pending) if (type === "creating") tell(`was being created: ${resource.urn}`);
  deployment.pending_operations = pending.filter(({ type }) => type !== "creating");
  return deployment.pending_operations.length < pending.length;
}

const policyType = "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy";

/**
 * GitHub answers the second create of a deployment policy with a redirect, out of which the provider reads policy 0
 * (integrations/terraform-provider-github#3611): every refresh would lose it, and a destroy fail.
 */
async function numberPolicies(
  { resources = [] }: Deployment,
  declared: Declared,
  services: Services,
): Promise<boolean> {
  const lost = resources.filter(({ type, id }) => type === policyType && id?.endsWith(":0"));
  for (const resource of lost) {
    const inputs = declared.get(resource.urn)?.inputs;
    const id = inputs && (await importIds[policyType]!(inputs, services));
    if (!id) throw new Error(`${resource.urn}: GitHub has no such deployment policy; delete it from the state`);
    Object.assign(resource, { id, outputs: { ...resource.outputs, id, policyId: Number(id.split(":").at(-1)) } });
  }
  return lost.length > 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { stack: { type: "string" }, yes: { type: "boolean", default: false } } });
  if (!values.stack) throw new UsageError("give --stack NAME");
  const pulumi = findPulumi();
  if (!pulumi) throw new UsageError(noEngine);
  const agree = async (question: string) => {
    if (values.yes) return true;
    const terminal = createInterface(process.stdin, process.stdout);
    // The end of the input is a no.
    const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
    const answer = await Promise.race([terminal.question(`${question} [y/N] `), closed]);
    terminal.close();
    const yes = /^y(es)?$/i.test(answer.trim());
    if (!yes) console.log("Nothing was done.");
    return yes;
  };
  return (await recover({ engine: new Engine(pulumi, root), stack: values.stack, folder: root, agree })) ? 0 : 1;
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(`esteira: ${(error as Error).message}`);
    process.exitCode = isUsage(error) ? 2 : 1;
  }
}
