/** One function more, and one less: what the engine then does, and what it sends. */
import assert from "node:assert/strict";
import type { DeclaredResource } from "../../cli/render/program.ts";
import { type Config, configOf, type Sandbox } from "../../sandbox/sandbox.ts";
import { isWrite } from "../../sandbox/stand-in/server.ts";
import { held, preview, type Step, sandboxOf, up } from "./support.ts";

const system = "esteira:equidade";
const added = "cloud-function-10";

describe("One function", function () {
  this.timeout(600_000);
  const config = configOf("dev");
  const equidade = config[system] as { functions: string[] };
  const [first, ...rest] = equidade.functions;
  // Between the others, so that whatever goes by position would move.
  const more: Config = { ...config, [system]: { ...equidade, functions: [first, added, ...rest] } };
  let sandbox: Sandbox;
  let without: Record<string, unknown>;
  /** Names of what the function adds. */
  let created: string[];
  let fewResources: DeclaredResource[];

  before(async function () {
    sandbox = await sandboxOf.call(this, "dev", more);
    await sandbox.configure(config);
    await up(sandbox);
    without = await held(sandbox);
    fewResources = sandbox.declaration.resources;
  });
  after(() => sandbox?.close());

  it("more creates what bears its name and changes the two lists that name it", async () => {
    await sandbox.configure(more);
    const steps = await preview(sandbox);
    const known = new Set(fewResources.map(({ urn }) => urn));
    const fresh = sandbox.declaration.resources.filter(({ urn }) => !known.has(urn));
    created = fresh.map(({ name }) => name).sort();
    assert.ok(created.length > 0 && created.every((name) => name.includes(added)));
    assert.deepEqual(did(steps, "create"), created);
    assert.deepEqual(did(steps, "update"), lists);
    assert.deepEqual(others(steps), []);
    const writes = await gitHubWrites(() => up(sandbox));
    assert.deepEqual(writes, ["repos/create-or-update-file-contents", "repos/create-or-update-file-contents"]);
    await sandbox.engine.run(["preview", "--expect-no-changes"]);
  });

  it("less deletes just that, and the others are as they were", async () => {
    await sandbox.configure(config);
    const steps = await preview(sandbox);
    assert.deepEqual(did(steps, "delete"), created);
    assert.deepEqual(did(steps, "update"), lists);
    assert.deepEqual(others(steps, "delete"), []);
    await up(sandbox);
    assert.deepEqual(await held(sandbox), without);
  });

  /** Whose workflows may act as the deployer, and to whom the package sends its releases. */
  const lists = ["equidade-deployer-federated", "equidade-package-.github/workflows/trigger-deploys-dev.yml"];

  const did = (steps: Step[], op: string) =>
    steps
      .filter((step) => step.op === op)
      .map(({ urn }) => urn.slice(urn.lastIndexOf("::") + 2))
      .sort();

  const others = (steps: Step[], ...ops: string[]) =>
    steps.filter(({ op }) => !["same", "create", "update", ...ops].includes(op)).map(({ op, urn }) => `${op} ${urn}`);

  /** The operations that changed something at GitHub meanwhile. */
  async function gitHubWrites(action: () => Promise<unknown>): Promise<string[]> {
    const { log } = sandbox.parts.find(({ name }) => name === "GitHub")!.standIn!;
    const mark = log.length;
    await action();
    return log
      .slice(mark)
      .filter(isWrite)
      .map(({ operation }) => operation)
      .sort();
  }
});
