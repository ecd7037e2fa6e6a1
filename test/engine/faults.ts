/**
 * What goes wrong on the way: the engine dies, services fail. Whatever it is, running `up` again brings the stack to
 * where an undisturbed one is, with nothing twice and nothing lost.
 */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { recover } from "../../cli/recover.ts";
import { callsTo } from "../../sandbox/parts.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import { type Fault, failNext, faults } from "../../sandbox/stand-in/faults.ts";
import { isWrite, type StandIn } from "../../sandbox/stand-in/server.ts";
import { cases } from "./cases.ts";
import { assertSecretsKept, assertUnderstood, held, sandboxOf, up } from "./support.ts";

const kills = 10;

/** Faults that leave something behind, of which the engine does not know. */
const leaving: Fault[] = ["lost-answer"];

/** These do where they hit a look at an operation under way: the provider gives up, and forgets what is being made. */
const mayLeave: Fault[] = [...leaving, "conflict", "drop"];

for (const [name, { stack, config }] of Object.entries(cases)) {
  const isEmpty = !Object.values(config).some((value) => typeof value === "object");
  if (isEmpty) continue;
  // What is done to every stack is not done again to each thing that its file could say too, but for what leaves something.
  const chosen = (Object.keys(faults) as Fault[]).filter((fault) => name === stack || leaving.includes(fault));

  describe(`${name}, disturbed`, function () {
    this.timeout(1_800_000);
    let undisturbed: Record<string, unknown>;
    let writes: number;

    before(async function () {
      await inSandbox.call(this, async (sandbox) => {
        await up(sandbox);
        undisturbed = await heldOnce(sandbox);
        writes = callsTo(sandbox.parts).filter(isWrite).length;
      });
    });

    it(`converges when the engine is killed at ${kills} moments of an up`, async function () {
      await inSandbox.call(this, async (sandbox) => {
        const killed = killEvery(Math.floor(writes / (kills + 1)), sandbox);
        await converges(sandbox, recovered);
        assert.equal(killed(), kills);
      });
    });

    for (const fault of chosen) {
      it(`converges when each kind of call meets ${faults[fault]}`, async function () {
        await inSandbox.call(this, async (sandbox) => {
          const standIns = standInsOf(sandbox);
          const hits = standIns.map((standIn) => failNext(standIn, fault));
          await converges(sandbox, mayLeave.includes(fault) ? recovered : up);
          for (const [index, { log }] of standIns.entries()) {
            assert.deepEqual(hits[index]!.toSorted(), [...new Set(log.map(({ operation }) => operation))].sort());
          }
        });
      });
    }

    /** A stack of its own for one test. */
    async function inSandbox(this: Mocha.Context, test: (sandbox: Sandbox) => Promise<void>): Promise<void> {
      const sandbox = await sandboxOf.call(this, stack, config);
      try {
        await test(sandbox);
      } finally {
        await sandbox.close();
      }
    }

    /** Brings it up, again and again, as a person would, and holds what came of it against the undisturbed stack. */
    async function converges(sandbox: Sandbox, bring: (sandbox: Sandbox) => Promise<unknown>): Promise<void> {
      await again(() => bring(sandbox));
      assert.deepEqual(await heldOnce(sandbox), undisturbed);
      await again(() => sandbox.engine.run(["preview", "--refresh", "--expect-no-changes"]));
      assertUnderstood(sandbox);
      assertSecretsKept(sandbox);
    }
  });
}

/** `make recover`, by somebody who agrees to all of it. @throws Error with what it has told when that is not enough */
async function recovered({ engine, stack, folder }: Sandbox): Promise<void> {
  restoreState(join(folder, `.pulumi/stacks/esteira/${stack}.json`));
  // A killed engine's lock is still there.
  await engine.run(["cancel", "--yes"]);
  const said: string[] = [];
  const tell = (line: string) => said.push(line);
  const done = await recover({ engine, stack, folder, tell, agree: async () => true });
  engine.transcript.push(...said);
  assert.ok(done, said.join("\n"));
}

/** What docs/sandbox.md says of an engine that was killed as it wrote the state into a folder. */
function restoreState(file: string): void {
  const isEmpty = (path: string) => existsSync(path) && statSync(path).size === 0;
  if (isEmpty(`${file}.attrs`)) rmSync(`${file}.attrs`);
  if (isEmpty(file)) copyFileSync(`${file}.bak`, file);
}

/** What is held, with one key of a service account for as many: one whose answer was lost stays, and nothing can tell. */
async function heldOnce(sandbox: Sandbox): Promise<Record<string, unknown>> {
  const one = (key: string, value: unknown) => (key === "keys" && typeof value === "number" ? value > 0 : value);
  return JSON.parse(JSON.stringify(await held(sandbox), one)) as Record<string, unknown>;
}

/** Tries until it succeeds, as a person would. @throws what the 20th try throws */
async function again(attempt: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (tries === 20) throw error;
    }
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
      if (!isWrite(call) || killed === kills || ++seen % count !== 0) return answer();
      killed += 1;
      if (killed % 2 === 0) answer();
      sandbox.engine.kill();
      return undefined;
    };
  }
  return () => killed;
}

const standInsOf = ({ parts }: Sandbox): StandIn[] => parts.flatMap(({ standIn }) => standIn ?? []);
