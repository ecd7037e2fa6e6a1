/** Rule sets that more than one kind of repository wants. */
import type { RulesetArgs } from "./repository-delivery.ts";

/** A version that was released stays what it was: its tag is neither moved nor deleted. */
export const releasedVersions: Readonly<Record<string, RulesetArgs>> = {
  "released versions": {
    target: "tag",
    conditions: { refName: { includes: ["refs/tags/v*"], excludes: [] } },
    rules: { deletion: true, update: true, nonFastForward: true },
  },
};
