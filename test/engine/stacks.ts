/**
 * Every stack, from nothing to nothing, by the real engine and providers against the sandbox: what `up` makes is
 * what the render says, stays as it is, is looked after, and goes again. Knows no system: a new one is covered
 * as soon as a stack's file names it.
 */
import assert from "node:assert/strict";
import { readStackFile } from "../../cli/render/stack-file.ts";
import { stackFileSchema } from "../../config.ts";
import { callsTo } from "../../sandbox/parts.ts";
import type { Config, Sandbox } from "../../sandbox/sandbox.ts";
import { isWrite } from "../../sandbox/stand-in/server.ts";
import { cases } from "./cases.ts";
import {
  assertAgree,
  assertRenderKeepsSecrets,
  assertSecretsKept,
  assertStateEmpty,
  assertUnderstood,
  changeBehind,
  held,
  nextRound,
  preview,
  sandboxOf,
  up,
} from "./support.ts";

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
      const state = await sandbox.engine.run(["stack", "export"]);
      for (const { path, given } of readStackFile(sandbox.folder, stack).needs) {
        if (!given) continue;
        // GitHub keeps it sealed; the stand-in has opened the box. The state has it encrypted.
        assert.ok(JSON.stringify(made).includes(`the secret ${path}`), path);
        assert.match(state, /"ciphertext": ?"v1:/);
      }
      await sandbox.engine.run(["preview", "--expect-no-changes"]);
      assertUnderstood(sandbox);
    });

    it("has not drifted when it is read again", async () => {
      await sandbox.engine.run(["refresh", "--yes", "--expect-no-changes"]);
    });

    it("finds each change made behind its back, and mends it", async function () {
      if (sandbox.declaration.resources.length === 1) return this.skip();
      const done = new Set<string>();
      for (let round = await nextRound(sandbox, done); round.length > 0; round = await nextRound(sandbox, done)) {
        await changeBehind(sandbox, round);
        await up(sandbox, "--refresh");
        assert.deepEqual(await held(sandbox), made);
      }
      await sandbox.engine.run(["preview", "--refresh", "--expect-no-changes"]);
      // What a service does not let come back is found, and stays lost.
      await changeBehind(sandbox, await nextRound(sandbox, done, true));
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
      if (sandbox.declaration.resources.some(({ options }) => options.protect)) {
        await sandbox.configure(deletable(config));
        await up(sandbox);
      }
      // Some of it has gone already, and providers do not forgive that unless they look.
      await sandbox.engine.run(["destroy", "--yes", "--skip-preview", "--refresh"]);
      await assertStateEmpty(sandbox);
      assert.deepEqual(await held(sandbox), withKept(untouched, sandbox));
      assertUnderstood(sandbox);
    });

    it("shows no secret: not in the state, an output, a log or the render", async () => {
      assertSecretsKept(sandbox);
      await assertRenderKeepsSecrets(sandbox);
    });
  });
}

/** The config with which everything may go: of each system that has something to keep. */
function deletable(config: Config): Config {
  type Schema = { properties?: Record<string, Schema> };
  const keys = (stackFileSchema() as Schema).properties?.["config"]?.properties ?? {};
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      key,
      keys[key]?.properties?.["deletionPolicy"] ? { ...(value as object), deletionPolicy: "DELETE" } : value,
    ]),
  );
}

/** What was there before, and what the program leaves on purpose: APIs that others may use by now. */
function withKept(before: Record<string, unknown>, { declaration }: Sandbox): Record<string, unknown> {
  const after = structuredClone(before) as { "Google Cloud"?: { apis: Record<string, string[]> } };
  for (const { type, inputs } of declaration.resources) {
    if (type !== "gcp:projects/service:Service" || inputs["disableOnDestroy"] !== false) continue;
    after["Google Cloud"]!.apis[String(inputs["project"])]!.push(String(inputs["service"]));
  }
  for (const apis of Object.values(after["Google Cloud"]?.apis ?? {})) apis.sort();
  return after;
}

/** Calls that change something. */
const writes = ({ parts }: Sandbox) => callsTo(parts).filter(isWrite).length;
