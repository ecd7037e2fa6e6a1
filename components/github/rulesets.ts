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

/** Of GitHub Actions: nobody else can say that a check passed. */
const githubActions = 15368;

/**
 * The default branch is neither deleted nor rewritten; with `approvals`, what gets there is a pull request that so many people have
 * approved, and whose checks passed on top of the branch.
 * @param name the branch's, by which the rule set is called
 */
export const defaultBranch = (
  name: string,
  pullRequests?: { approvals: number; checks: readonly string[] },
): Readonly<Record<string, RulesetArgs>> => ({
  [name]: {
    target: "branch",
    conditions: { refName: { includes: ["~DEFAULT_BRANCH"], excludes: [] } },
    rules: {
      deletion: true,
      nonFastForward: true,
      ...(pullRequests && {
        pullRequest: {
          requiredApprovingReviewCount: pullRequests.approvals,
          dismissStaleReviewsOnPush: true,
          requireLastPushApproval: pullRequests.approvals > 0,
        },
        requiredStatusChecks: {
          strictRequiredStatusChecksPolicy: true,
          requiredChecks: pullRequests.checks.map((context) => ({ context, integrationId: githubActions })),
        },
      }),
    },
  },
});
