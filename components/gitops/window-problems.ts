import type { Problem } from "../schema.ts";
import { matching, nextChance, type SyncWindow, type Target } from "./sync-windows.ts";

const halfAMinute = 30_000;

/**
 * What is wrong with a project's windows for its one application, though with none by itself: Argo CD would take them without a word.
 * @param manual whether all its syncs are started by hand
 */
export function windowProblems(windows: readonly SyncWindow[], target: Target, manual: boolean, now: Date): Problem[] {
  const { name, destination } = target;
  const problems = windows.flatMap((window, index): Problem[] =>
    matching([window], target).length > 0
      ? []
      : [
          {
            key: `windows[${index}]`,
            message: `matches no application; expected one that matches ${name} to ${destination.namespace} at ${destination.server ?? destination.name}`,
          },
        ],
  );
  if (problems.length > 0 || nextChance(windows, target, now, manual, undefined, halfAMinute)) return problems;
  const hand = manual ? " by hand" : "";
  return [
    {
      key: "windows",
      message: `leave no time at all for a sync${hand} within a year; expected an allow window that no deny window covers`,
    },
  ];
}
