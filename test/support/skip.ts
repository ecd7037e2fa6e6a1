import { Missing } from "../../sandbox/daemon.ts";

/**
 * For a `before` hook: skips the suite and says why.
 * @throws Error where nothing may be skipped: with NOTHING_SKIPPED in the environment
 */
export function skip(this: Mocha.Context, reason: string): never {
  if (process.env["NOTHING_SKIPPED"]) throw new Error(`NOT RUN: ${reason}`);
  console.log(`  NOT RUN: ${reason}`);
  return this.skip();
}

/** For a `before` hook: what is started, or the suite skipped with the reason why it cannot start here. */
export async function startedOrSkipped<T>(context: Mocha.Context, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    return skip.call(context, error.message);
  }
}
