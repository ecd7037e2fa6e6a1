/** What GitHub accepts as names: the vocabulary that config schemas are made of. */

import { z } from "zod";
import { expected, oneOf, pattern, whole } from "../schema.ts";
import { comes, comingSentence, cron, pauses } from "../time.ts";

/** The login of a user or an organisation. */
export const login = pattern(
  /^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}$/,
  "a GitHub login: at most 39 letters, digits or single hyphens",
);

/** A repository's name, without its owner. */
export const repositoryName = pattern(
  /^[A-Za-z0-9._-]{1,100}$/,
  "a repository's name without its owner: at most 100 letters, digits, '.', '_' or '-'",
);

/** A branch, as git allows it and a workflow's filter takes it literally. */
export const branchName = pattern(
  /^(?!.*(\.\.|\/\/|\/\.|\.lock$))[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}(?<![/.])$/,
  "a branch name, such as main",
);

/** A path of a repository's, from its root. */
export const repositoryPath = pattern(
  /^(?!.*(^|\/)\.\.?(\/|$))[A-Za-z0-9_][A-Za-z0-9_./-]*(?<!\/)$/,
  "a path of the repository, from its root, such as src/app",
);

/** A command that a workflow's step runs. */
export const command = pattern(
  /^(?!.*\$\{\{)[^\s](.*[^\s])?$/,
  "a command for bash, on one line, without expressions of GitHub's",
);

/** A repository's image in GitHub's registry, without a tag: GHCR takes no capitals. */
export const ghcrImage = (owner: string, repository: string): string => `ghcr.io/${owner}/${repository}`.toLowerCase();

const fiveMinutes = 5 * 60_000;

/** When GitHub starts a workflow by itself, in UTC. @see https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule */
export const schedule = cron
  .refine(comes, { ...expected(comingSentence), abort: true })
  .refine(
    (text) => pauses(text).shortest >= fiveMinutes,
    expected(
      "a schedule with five minutes at least between two starts, such as 7,37 * * * *: GitHub starts none oftener",
    ),
  );

/** Straight to the branch, or by a pull request. */
export const via = oneOf(["push", "pull-request"], "how files reach a repository");

const ids = (whose: string) =>
  z
    .array(whole(1, Number.MAX_SAFE_INTEGER, `a ${whose}'s numeric id`), expected(`a list of ${whose}s' numeric ids`))
    .default([]);

/**
 * Who approves a deployment. GitHub takes numeric ids, six reviewers at most.
 * `gh api users/LOGIN --jq .id` and `gh api orgs/ORG/teams/SLUG --jq .id` print them.
 */
export const reviewers = z
  .strictObject(
    {
      users: ids("user"),
      teams: ids("team"),
    },
    { error: () => "an object with `users` and `teams`, lists of numeric ids" },
  )
  .refine(
    ({ users, teams }) => users.length + teams.length >= 1 && users.length + teams.length <= 6,
    expected("1 to 6 reviewers, users and teams together"),
  )
  .describe("Who approves a deployment: numeric ids of users and teams, 6 at most");
