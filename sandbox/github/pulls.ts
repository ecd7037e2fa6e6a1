/** Handlers: pull requests. */
import { type Call, type Drift, Refusal } from "../stand-in/api.ts";
import { minimalRepository, simpleUser } from "./accounts.ts";
import { commitOn } from "./contents.ts";
import type { Commit, Git } from "./git.ts";
import {
  type Body,
  base,
  drift,
  type Handlers,
  heads,
  nodeId,
  notFound,
  page,
  type Repository,
  type State,
  same,
  ValidationFailed,
} from "./state.ts";

export interface Pull {
  id: number;
  number: number;
  state: "open" | "closed";
  title: string;
  body: string | null;
  draft: boolean;
  /** Branches, and the commits that they had when the pull request was last pushed to. */
  head: { ref: string; sha: string };
  base: { ref: string; sha: string };
  created_at: string;
  updated_at: string;
  closed_at: string | null;
  merged_at: string | null;
  merge_commit_sha: string | null;
}

export function pulls(state: State): Handlers {
  const one = (call: Call): Pull => find(state.repository(call), Number(call.params["pull_number"]));
  return {
    "pulls/list": (call) => {
      const repository = state.repository(call);
      const { query } = call;
      const wanted = query.get("state") ?? "open";
      const all = repository.pulls
        .filter((pull) => wanted === "all" || pull.state === wanted)
        .filter(({ head }) => !query.has("head") || query.get("head") === `${state.owner.login}:${head.ref}`)
        .filter((pull) => !query.has("base") || query.get("base") === pull.base.ref)
        .reverse();
      return page(call, all, (some) => some.map((pull) => view(state, call, repository, pull)));
    },
    "pulls/get": (call) => ({ body: view(state, call, state.repository(call), one(call)) }),
    "pulls/create": (call) => {
      const repository = state.repository(call);
      const { git } = repository;
      const body = call.body as Body<"pulls/create">;
      // `owner:branch` names the branch of a fork, or of the repository itself.
      const [ref, owner] = body.head.split(":").reverse() as [string, string | undefined];
      if (!body.title) throw new ValidationFailed({ resource: "PullRequest", code: "missing_field", field: "title" });
      const invalid = (field: string): never => {
        throw new ValidationFailed({ resource: "PullRequest", field, code: "invalid" });
      };
      const to = git.refs.get(heads + body.base) ?? invalid("base");
      const from = (owner === undefined || same(owner, state.owner.login)) && git.refs.get(heads + ref);
      if (!from) return invalid("head");
      if (
        repository.pulls.some((pull) => pull.state === "open" && pull.head.ref === ref && pull.base.ref === body.base)
      ) {
        throw custom(`A pull request already exists for ${state.owner.login}:${ref}.`);
      }
      if (commitsBetween(git, to, from).length === 0) throw custom(`No commits between ${body.base} and ${ref}`);
      const now = state.now();
      const pull: Pull = {
        id: state.nextId(),
        number: repository.pulls.length + 1,
        state: "open",
        title: body.title,
        body: body.body ?? null,
        draft: body.draft ?? false,
        head: { ref, sha: from },
        base: { ref: body.base, sha: to },
        created_at: now,
        updated_at: now,
        closed_at: null,
        merged_at: null,
        merge_commit_sha: null,
      };
      repository.pulls.push(pull);
      return { status: 201, body: view(state, call, repository, pull) };
    },
    "pulls/update": (call) => {
      const repository = state.repository(call);
      const pull = one(call);
      const body = (call.body ?? {}) as Body<"pulls/update">;
      if (body.base !== undefined && body.base !== pull.base.ref) {
        const sha = repository.git.refs.get(heads + body.base);
        if (!sha) throw new ValidationFailed({ resource: "PullRequest", field: "base", code: "invalid" });
        pull.base = { ref: body.base, sha };
      }
      if (body.state && body.state !== pull.state) {
        if (pull.merged_at) throw custom("A merged pull request cannot be reopened.");
        if (body.state === "open" && !repository.git.refs.has(heads + pull.head.ref)) {
          throw custom(`The ${pull.head.ref} branch was deleted.`);
        }
        pull.state = body.state;
        pull.closed_at = body.state === "closed" ? state.now() : null;
      }
      pull.title = body.title ?? pull.title;
      pull.body = body.body ?? pull.body;
      pull.updated_at = state.now();
      return { body: view(state, call, repository, pull) };
    },
    "pulls/merge": (call) => {
      const sha = merge(state, state.repository(call), one(call));
      return { body: { sha, merged: true, message: "Pull Request successfully merged" } };
    },
  };
}

export const find = ({ pulls }: Repository, number: number): Pull =>
  pulls.find((pull) => pull.number === number) ?? notFound();

const custom = (message: string) => new ValidationFailed({ resource: "PullRequest", code: "custom", message });

/** Commits of `from` that are not in `to`. */
function commitsBetween(git: Git, to: string, from: string): Commit[] {
  const there = new Set(git.history(git.commits.get(to)!));
  return git.history(git.commits.get(from)!).filter((commit) => !there.has(commit));
}

/** While it is open, its head is the branch's. */
function follow(state: State, { git }: Repository, pull: Pull): void {
  const sha = git.refs.get(heads + pull.head.ref);
  if (pull.state !== "open" || !sha || sha === pull.head.sha) return;
  pull.head.sha = sha;
  pull.base.sha = git.refs.get(heads + pull.base.ref) ?? pull.base.sha;
  pull.updated_at = state.now();
}

/** A branch was deleted: pull requests from it or to it are closed. */
export function branchGone(state: State, { pulls }: Repository, branch: string): void {
  for (const pull of pulls) {
    if (pull.state === "open" && (pull.head.ref === branch || pull.base.ref === branch)) close(state, pull);
  }
}

/** A branch has another name: pull requests to it go there, those from it are closed. */
export function branchRenamed(state: State, repository: Repository, from: string, to: string): void {
  for (const pull of repository.pulls) {
    if (pull.state === "open" && pull.base.ref === from) pull.base.ref = to;
  }
  branchGone(state, repository, from);
}

function close(state: State, pull: Pull): void {
  pull.state = "closed";
  pull.updated_at = pull.closed_at = state.now();
}

/**
 * Merges a pull request by a merge commit, whose hash it returns.
 * @throws Refusal 405 when it is not open, or a file was changed on both sides
 */
export function merge(state: State, repository: Repository, pull: Pull): string {
  const { git } = repository;
  follow(state, repository, pull);
  if (pull.state !== "open") throw new Refusal(405, "Pull Request is not mergeable");
  const ours = git.resolve(heads + pull.base.ref)!;
  const theirs = git.commits.get(pull.head.sha)!;
  const shared = new Set(git.history(ours));
  const before = git.history(theirs).find((commit) => shared.has(commit))?.files ?? new Map<string, string>();
  const files = new Map(ours.files);
  for (const path of new Set([...before.keys(), ...theirs.files.keys()])) {
    const [old, mine, new_] = [before, ours.files, theirs.files].map((side) => side.get(path));
    if (old === new_ || mine === new_) continue;
    if (mine !== old) throw new Refusal(405, "Pull Request is not mergeable");
    if (new_ === undefined) files.delete(path);
    else files.set(path, new_);
  }
  const { sha } = commitOn(state, repository, pull.base.ref, {
    files,
    parents: [ours.sha, theirs.sha],
    message: `Merge pull request #${pull.number} from ${state.owner.login}/${pull.head.ref}\n\n${pull.title}`,
  });
  close(state, pull);
  pull.merged_at = pull.closed_at;
  pull.merge_commit_sha = sha;
  return sha;
}

function view(state: State, call: Call, repository: Repository, pull: Pull) {
  follow(state, repository, pull);
  const { id, number, head, base: to, ...plain } = pull;
  const path = `${state.owner.login}/${repository.name}`;
  const side = ({ ref, sha }: Pull["head"]) => ({
    label: `${state.owner.login}:${ref}`,
    ref,
    sha,
    user: simpleUser(call, state.owner),
    repo: minimalRepository(state, call, repository),
  });
  const commits = commitsBetween(repository.git, to.sha, head.sha);
  return {
    id,
    node_id: nodeId("PullRequest", id),
    number,
    url: `${base(call)}/repos/${path}/pulls/${number}`,
    html_url: `https://github.com/${path}/pull/${number}`,
    ...plain,
    locked: false,
    user: simpleUser(call, state.user),
    labels: [],
    assignees: [],
    requested_reviewers: [],
    requested_teams: [],
    milestone: null,
    head: side(head),
    base: side(to),
    author_association: "OWNER",
    auto_merge: null,
    merged: pull.merged_at !== null,
    merged_by: pull.merged_at ? simpleUser(call, state.user) : null,
    // Nobody can be let into a branch of the repository itself who is not in it.
    maintainer_can_modify: false,
    commits: commits.length,
    changed_files: new Set(commits.flatMap((commit) => repository.git.changes(commit).map(({ filename }) => filename)))
      .size,
    comments: 0,
    review_comments: 0,
  };
}

/** Those that are open. The others are history, as commits are. */
export const pullSnapshot = ({ pulls }: Repository) =>
  pulls
    .filter(({ state }) => state === "open")
    .map(({ title, body, draft, head, base }) => ({ title, body, draft, head: head.ref, base: base.ref }));

export const pullDrifts = (state: State, repository: Repository): Drift[] =>
  repository.pulls
    .filter((pull) => pull.state === "open")
    .flatMap((pull) => {
      const where = `${repository.name}#${pull.number}`;
      const change = (kind: string, values: Partial<Pull>) =>
        drift(kind, where, pull.head.ref, () => Object.assign(pull, values, { updated_at: state.now() }));
      return [
        change("pull request with another title", { title: `${pull.title}, by somebody else` }),
        change("pull request with another text", { body: "Edited by somebody else" }),
        drift("pull request closed", where, pull.head.ref, () => close(state, pull), {
          unseen: "whether it is open is an output of the provider, and no input",
        }),
      ];
    });
