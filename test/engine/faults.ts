/**
 * What goes wrong on the way: the engine dies, services fail. Whatever it is, running `up` again brings the stack to
 * where an undisturbed one is, with nothing twice and nothing lost.
 */
import assert from "node:assert/strict";
import { root } from "../../cli/engine.ts";
import { recover } from "../../cli/recover.ts";
import { stacksIn } from "../../cli/render/stack-file.ts";
import { configOf, type Sandbox } from "../../sandbox/sandbox.ts";
import { type Fault, failNext, faults } from "../../sandbox/stand-in/faults.ts";
import type { StandIn } from "../../sandbox/stand-in/server.ts";
import { assertSecretsKept, assertUnderstood, held, sandboxOf, up } from "./support.ts";

const kills = 10;

/** Stacks with a system in them. */
const stacks = stacksIn(root).filter((stack) =>
  Object.values(configOf(stack)).some((value) => typeof value === "object"),
);

for (const stack of stacks) {
  describe(`${stack}, disturbed`, function () {
    this.timeout(1_800_000);
    let undisturbed: Record<string, unknown>;
    let writes: number;

    before(async function () {
      await inSandbox.call(this, stack, async (sandbox) => {
        await up(sandbox);
        undisturbed = await held(sandbox);
        writes = standInsOf(sandbox)
          .flatMap(({ log }) => log)
          .filter(changes).length;
      });
    });

    it(`converges when the engine is killed at ${kills} moments of an up`, async function () {
      await inSandbox.call(this, stack, async (sandbox) => {
        const killed = killEvery(Math.floor(writes / (kills + 1)), sandbox);
        await converges(sandbox);
        assert.equal(killed(), kills);
      });
    });

    for (const [fault, what] of Object.entries(faults) as [Fault, string][]) {
      it(`converges when each kind of call meets ${what}`, async function () {
        await inSandbox.call(this, stack, async (sandbox) => {
          const standIns = standInsOf(sandbox);
          const hits = standIns.map((standIn) => failNext(standIn, fault));
          await converges(sandbox);
          for (const [index, { log }] of standIns.entries()) {
            assert.deepEqual(hits[index]!.toSorted(), [...new Set(log.map(({ operation }) => operation))].sort());
          }
        });
      });
    }

    /** Runs `up`, again and again, as a person would, and holds what came of it against the undisturbed stack. */
    async function converges(sandbox: Sandbox): Promise<void> {
      const { engine, folder } = sandbox;
      const said: string[] = [];
      await again(async () => {
        // A killed engine's lock is still there.
        await engine.run(["cancel", "--yes"]);
        const tell = (line: string) => said.push(line);
        const done = await recover({ engine, stack, folder, tell, agree: async () => true });
        assert.ok(done, said.join("\n"));
      });
      assert.deepEqual(await held(sandbox), undisturbed);
      await again(() => engine.run(["preview", "--refresh", "--expect-no-changes"]));
      assertUnderstood(sandbox);
      assertSecretsKept(sandbox);
    }
  });
}

/** Tries until it succeeds, as a person would. @throws what the 30th try throws */
async function again(attempt: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (tries === 30) throw error;
    }
  }
}

/** A stack of its own for one test. */
async function inSandbox(this: Mocha.Context, stack: string, test: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  const sandbox = await sandboxOf.call(this, stack);
  try {
    await test(sandbox);
  } finally {
    await sandbox.close();
  }
}

/**
 * Kills the engine again and again in the midst of a change: before the service has seen it, or after, when nobody
 * learns of it.
 * @param count changes from one kill to the next @returns how often it was killed
 */
function killEvery(count: number, sandbox: Sandbox): () => number {
  let killed = 0;
  let seen = 0;
  for (const standIn of standInsOf(sandbox)) {
    standIn.intercept = async (call, answer) => {
      if (!changes(call) || killed === kills || ++seen % count !== 0) return answer();
      killed += 1;
      if (killed % 2 === 0) answer();
      sandbox.engine.kill();
      return undefined;
    };
  }
  return () => killed;
}

const changes = ({ method }: { method: string }) => method !== "GET";
const standInsOf = ({ parts }: Sandbox): StandIn[] => parts.flatMap(({ standIn }) => standIn ?? []);
