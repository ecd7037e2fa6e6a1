/** Node and pnpm in a job: keys of a config, and the steps that come of them. */
import { pattern } from "../schema.ts";
import { setupNode } from "./actions.ts";
import type { Findings, Step } from "./workflow.ts";

/** A version of Node, its newest where only the first number is told. */
export const nodeVersion = pattern(/^[1-9][0-9]*(\.[0-9]+){0,2}$/, 'a version of Node in quotes, such as "22"');

/** A version of pnpm, its newest where only the first number is told. */
export const pnpmVersion = pattern(/^[1-9][0-9]*(\.[0-9]+){0,2}$/, 'a version of pnpm in quotes, such as "10"');

/** @param condition the step's `if` */
export const setUpNode = (version: string, condition?: string): Step => ({
  name: "Set up Node.js",
  ...(condition !== undefined && { if: condition }),
  uses: setupNode.uses,
  // What is cached by one run is what the next one builds on, whoever put it there.
  with: { "node-version": version, "package-manager-cache": false },
});

const installPnpm = 'npm install --global "pnpm@$PNPM"';

/** A package manager cannot come out of a lock file that it reads itself. */
export const pnpmFindings: Findings = { [installPnpm]: "adhoc-packages" };

/** After {@link setUpNode}. @param condition the step's `if` */
export const setUpPnpm = (version: string, condition?: string): Step => ({
  name: "Set up pnpm",
  ...(condition !== undefined && { if: condition }),
  env: { PNPM: version },
  run: installPnpm,
});
