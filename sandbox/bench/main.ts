/** make bench-engine: measures the real engine in the sandbox and writes its part of docs/benchmarks.md. */
import { cpSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { equidadeAlone, machine, median, writeSection } from "../../cli/bench/section.ts";
import { Engine, findPulumi, noEngine, root } from "../../cli/engine.ts";
import { stacksIn } from "../../cli/render/stack-file.ts";
import { callsTo } from "../parts.ts";
import { type Config, configOf, type Sandbox, startSandbox } from "../sandbox.ts";
import { isWrite } from "../stand-in/server.ts";
import { type Cost, cost } from "./measure.ts";

/** Functions in prod, and how often its preview is measured. */
const sizes: [functions: number, runs: number][] = [
  [10, 5],
  [100, 3],
  [1000, 1],
];

const pulumi = findPulumi() ?? missing();

function missing(): never {
  console.error(`bench: ${noEngine}`);
  process.exit(3);
}

/** One stack's way from nothing to nothing. */
async function lifecycle(stack: string): Promise<string> {
  const sandbox = await startSandbox(pulumi, stack);
  try {
    const cells: string[] = [];
    for (const args of [["up", "--yes", "--skip-preview"], ["preview"], ["refresh", "--yes"]]) {
      const begun = performance.now();
      const { seconds } = await cost(() => sandbox.engine.start(args));
      const made = callsTo(sandbox.parts).filter(({ at }) => at >= begun);
      const writes = made.filter(isWrite);
      cells.push(`${seconds.toFixed(1)} s`, `${made.length}`, `${writes.length}`);
    }
    console.log(`${stack} measured`);
    return `| ${[stack, sandbox.declaration.resources.length, ...cells].join(" | ")} |`;
  } finally {
    await sandbox.close();
  }
}

/** The preview of prod's equidade with so many functions, beside a raw loop of the same resources; by turns, so that both meet the same machine. */
async function comparison(functions: number, runs: number): Promise<string> {
  const config = configOf("prod");
  const equidade = config["esteira:equidade"] as Config;
  const names = Array.from({ length: functions }, (_, index) => `cloud-function-${index + 1}`);
  const sandbox = await startSandbox(pulumi, "prod", {
    ...equidadeAlone(config),
    "esteira:equidade": { ...equidade, functions: names },
  });
  try {
    const raw = rawLoop(sandbox);
    const [ours, theirs]: [Cost[], Cost[]] = [[], []];
    for (let run = 0; run < runs; run++) {
      ours.push(await cost(() => sandbox.engine.start(["preview"])));
      theirs.push(await cost(() => raw.start(["preview"])));
    }
    const of = (costs: Cost[], key: keyof Cost) => median(costs.map((each) => each[key]));
    const ratio = (key: keyof Cost) => (of(ours, key) / of(theirs, key)).toFixed(2);
    const show = (costs: Cost[]) => `${of(costs, "seconds").toFixed(1)} s | ${of(costs, "memory").toFixed(0)} MiB`;
    console.log(`${functions} functions measured`);
    const resources = sandbox.declaration.resources.length;
    return `| ${[functions, resources, show(ours), show(theirs), ratio("seconds"), ratio("memory")].join(" | ")} |`;
  } finally {
    await sandbox.close();
  }
}

/** The same resources, settings and secrets without the design, in a folder of its own below the sandbox's. */
function rawLoop({ folder, engine, declaration }: Sandbox): Engine {
  const own = mkdtempSync(join(folder, "raw-"));
  const main = join(import.meta.dirname, "raw-loop.ts");
  // As Pulumi starts any program: what ours has in cli/start.mjs is part of the design.
  const runtime = { name: "nodejs", options: { typescript: false } };
  writeFileSync(join(own, "Pulumi.yaml"), stringify({ name: "esteira", main, runtime }));
  cpSync(join(folder, "Pulumi.prod.yaml"), join(own, "Pulumi.prod.yaml"));
  const rendered = join(own, "resources.json");
  writeFileSync(rendered, JSON.stringify(declaration.resources));
  return new Engine(pulumi, own, { ...engine.env, RENDERED: rendered });
}

const version = (await new Engine(pulumi, root).run(["version"])).trim();
const stacks: string[] = [];
for (const stack of stacksIn(root)) stacks.push(await lifecycle(stack));
const comparisons: string[] = [];
for (const [functions, runs] of sizes) comparisons.push(await comparison(functions, runs));

writeSection(
  "The real engine",
  `Written by \`make bench-engine\`: Pulumi ${version} and the real providers in the sandbox, whose services answer at once.
${machine}.

Each stack once, from nothing. Calls are those to GitHub and Google Cloud; writes are calls that change something. What takes the time
of an \`up\` is the providers' own waiting: 10 s after each service account, 3 s after each grant, one grant of a policy at a time.

| stack | resources | up | calls | writes | preview | calls | writes | refresh | calls | writes |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${stacks.join("\n")}

\`pulumi preview\` of prod's equidade alone with as many functions as the row says, beside a raw loop of the same resources, one
constructor after the other without components. Medians of ${sizes.map(([functions, runs]) => `${runs} (${functions} functions)`).join(", ")}, taken by turns;
memory is that of all processes together, providers included.

| functions | resources | preview | memory | raw loop | memory | time, ratio | memory, ratio |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${comparisons.join("\n")}

- Goal: a preview takes at most 1.15 times as long as the raw loop's.
`,
);
