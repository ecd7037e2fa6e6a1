/**
 * Every stack, from nothing to nothing, by the real engine and providers against the sandbox: what `up` makes is
 * what the render says, stays as it is, is looked after, and goes again. Knows no system: a new one is covered
 * as soon as a stack's file names it.
 */
import assert from "node:assert/strict";
import { root } from "../../cli/engine.ts";
import { stacksIn } from "../../cli/render/stack-file.ts";
import { type Config, configOf, type Sandbox } from "../../sandbox/sandbox.ts";
import type { Drift } from "../../sandbox/stand-in/api.ts";
import { assertAgree, assertSecretsKept, assertUnderstood, held, preview, sandboxOf, up } from "./support.ts";

/** Stacks as they are, and what their files could say too. */
const cases: Record<string, { stack: string; config: Config }> = Object.fromEntries(
  stacksIn(root).map((stack) => [stack, { stack, config: configOf(stack) }]),
);

/** What equidade's files could say instead. */
const equidade: Record<string, object> = {
  "a key instead of federation": { auth: "key", projectNumber: undefined },
  "an app, pull requests and reviewers": {
    triggerApp: "Iv23liabcdefgh",
    via: "pull-request",
    reviewers: { users: [1] },
  },
  "a function in the object form": {
    functions: [
      {
        name: "f",
        memory: "1Gi",
        concurrency: 8,
        invokers: ["allUsers"],
        secrets: { A: "s" },
        environment: { B: "b" },
        roles: [
          { role: "roles/bigquery.dataViewer", dataset: "d" },
          { role: "roles/storage.objectViewer", bucket: "b" },
          { role: "roles/pubsub.publisher", topic: "t" },
        ],
      },
    ],
  },
};
for (const [name, changes] of Object.entries(equidade)) {
  const config = configOf("prod");
  const system = { ...(config["esteira:equidade"] as object), ...changes };
  cases[`prod with ${name}`] = { stack: "prod", config: { ...config, "esteira:equidade": system } };
}

for (const [name, { stack, config }] of Object.entries(cases)) {
  describe(name, function () {
    this.timeout(600_000);
    let sandbox: Sandbox;
    let untouched: Record<string, unknown>;
    let made: Record<string, unknown>;

    before(async function () {
      sandbox = await sandboxOf.call(this, stack, config);
      untouched = await held(sandbox);
    });
    after(() => sandbox?.close());

    it("is previewed as it is rendered: the same URNs, inputs and secrets", async () => {
      assertAgree(sandbox.declaration.resources, await preview(sandbox));
    });

    it("comes up, and a second preview has no change", async () => {
      await up(sandbox);
      made = await held(sandbox);
      await sandbox.engine.run(["preview", "--expect-no-changes"]);
      assertUnderstood(sandbox);
    });

    it("has not drifted when it is read again", async () => {
      await sandbox.engine.run(["refresh", "--yes", "--expect-no-changes"]);
    });

    it("finds each change made behind its back, and mends it", async function () {
      if (sandbox.declaration.resources.length === 1) return this.skip();
      const drifts = (await Promise.all(sandbox.parts.map((part) => part.drifts())))
        .flat()
        .filter((each) => !each.unseen);
      const rounds = roundsOf(drifts.filter((each) => !each.unmended));
      for (const round of rounds) {
        await changeBehind(sandbox, round);
        await up(sandbox, "--refresh");
        assert.deepEqual(await held(sandbox), made);
      }
      await sandbox.engine.run(["preview", "--refresh", "--expect-no-changes"]);
      // What a service does not let come back is found, and stays lost.
      for (const round of roundsOf(drifts.filter((each) => each.unmended))) await changeBehind(sandbox, round);
      assertUnderstood(sandbox);
    });

    it("is not destroyed while something in it is protected", async function () {
      const kept = sandbox.declaration.resources.filter(({ options }) => options.protect);
      if (kept.length === 0) return this.skip();
      const calls = writes(sandbox);
      await assert.rejects(
        sandbox.engine.run(["destroy", "--yes"]),
        new RegExp(`protect[^]*${kept[0]!.name}|${kept[0]!.name}[^]*protect`),
      );
      assert.equal(writes(sandbox), calls);
    });

    it("leaves nothing once it may be destroyed", async () => {
      await sandbox.engine.run(["state", "unprotect", "--all", "--yes"]);
      await sandbox.engine.run(["destroy", "--yes", "--skip-preview"]);
      const { deployment } = JSON.parse(await sandbox.engine.run(["stack", "export"])) as {
        deployment: { resources?: unknown[] };
      };
      assert.deepEqual(deployment.resources ?? [], []);
      assert.deepEqual(await held(sandbox), untouched);
      assertUnderstood(sandbox);
    });

    it("shows no secret: not in the state, an output, a log or the render", () => assertSecretsKept(sandbox));
  });
}

/** Changes objects without the engine, and looks for each of them in what it would then do. */
async function changeBehind(sandbox: Sandbox, drifts: Drift[]): Promise<void> {
  for (const drift of drifts) await drift.apply();
  const steps = await preview(sandbox, "--refresh");
  const changed = steps.filter(({ op }) => op !== "same" && op !== "refresh").map((step) => JSON.stringify(step));
  for (const { what, object } of drifts)
    assert.ok(
      changed.some((step) => step.includes(object)),
      what,
    );
}

/** Calls that change something. */
const writes = ({ parts }: Sandbox) =>
  parts.flatMap(({ standIn }) => standIn?.log ?? []).filter(({ method }) => method !== "GET").length;

/** One change of a kind is enough, and one object can only be changed one way at a time. */
function roundsOf(drifts: Drift[]): Drift[][] {
  const kinds = new Set<string>();
  const rounds: Map<string, Drift>[] = [];
  for (const drift of drifts) {
    if (kinds.has(drift.kind)) continue;
    kinds.add(drift.kind);
    const free = rounds.find((round) => !round.has(drift.object));
    if (free) free.set(drift.object, drift);
    else rounds.push(new Map([[drift.object, drift]]));
  }
  return rounds.map((round) => [...round.values()]);
}
