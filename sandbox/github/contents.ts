/** Handlers: files, commits, branches and other refs. */
import { type Call, type Drift, Refusal } from "../stand-in/api.ts";
import { simpleUser } from "./accounts.ts";
import type { Commit, Git, Person } from "./git.ts";
import { branchGone, branchRenamed } from "./pulls.ts";
import { check } from "./rulesets.ts";
import {
  type Account,
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
} from "./state.ts";

export function contents(state: State): Handlers {
  return {
    "repos/get-content": (call) => {
      const repository = state.repository(call);
      const { git } = repository;
      if (git.refs.size === 0) throw new Refusal(404, "This repository is empty.");
      const ref = call.query.get("ref") || repository.defaultBranch;
      const commit = git.resolve(ref);
      if (!commit) throw new Refusal(404, `No commit found for the ref ${ref}`);
      const path = call.params["path"]!.replace(/^\/+|\/+$/g, "");
      const blob = commit.files.get(path);
      if (blob) return { body: fileView(state, call, repository, path, blob, ref, true) };
      const inside = entriesOf(commit, path);
      if (inside.length === 0) notFound();
      return {
        body: inside.map(({ path, blob }) =>
          blob
            ? fileView(state, call, repository, path, blob, ref, false)
            : {
                type: "dir",
                name: path.split("/").at(-1),
                path,
                size: 0,
                ...addresses(state, call, repository, path, ref),
              },
        ),
      };
    },

    "repos/create-or-update-file-contents": (call) => {
      const repository = state.repository(call);
      const path = call.params["path"]!;
      const body = call.body as Body<"repos/create-or-update-file-contents">;
      if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(body.content)) throw new Refusal(422, "content is not valid Base64");
      const content = Buffer.from(body.content, "base64");
      const branch = body.branch ?? repository.defaultBranch;
      const head = headOf(repository, branch, "PUT");
      const old = head?.files.get(path);
      // A hash for a file that is not there is no mistake to GitHub.
      if (old) matches(path, old, body.sha);
      check(state, repository, heads + branch, ["pull_request", "update"], 409);
      const blob = repository.git.write(content);
      const commit = commitOn(state, repository, branch, {
        files: new Map([...(head?.files ?? []), [path, blob]]),
        message: body.message,
        author: body.author ?? body.committer,
        committer: body.committer ?? body.author,
      });
      return {
        status: old ? 200 : 201,
        body: {
          content: fileView(state, call, repository, path, blob, branch, false),
          commit: commitView(state, call, repository, commit),
        },
      };
    },

    "repos/delete-file": (call) => {
      const repository = state.repository(call);
      const path = call.params["path"]!;
      const body = call.body as Body<"repos/delete-file">;
      const branch = body.branch ?? repository.defaultBranch;
      const head = headOf(repository, branch, "DELETE");
      matches(path, head?.files.get(path) ?? notFound(), body.sha);
      check(state, repository, heads + branch, ["pull_request", "update"], 409);
      const files = new Map(head!.files);
      files.delete(path);
      const { message, author, committer } = body;
      const commit = commitOn(state, repository, branch, { files, message, author, committer });
      return { body: { content: null, commit: commitView(state, call, repository, commit) } };
    },

    "repos/get-commit": (call) => {
      const repository = state.repository(call);
      const ref = call.params["ref"]!;
      const commit = repository.git.resolve(ref);
      if (!commit) throw new Refusal(422, `No commit found for SHA: ${ref}`);
      return { body: { ...commitOutside(state, call, repository, commit), files: repository.git.changes(commit) } };
    },

    "repos/list-commits": (call) => {
      const repository = state.repository(call);
      const { git } = repository;
      if (git.refs.size === 0) throw new Refusal(409, "Git Repository is empty.");
      const path = call.query.get("path");
      const from = git.resolve(call.query.get("sha") ?? repository.defaultBranch) ?? notFound();
      const touches = (commit: Commit) =>
        git.changes(commit).some(({ filename }) => filename === path || filename.startsWith(`${path}/`));
      const commits = git.history(from).filter((commit) => !path || touches(commit));
      return page(call, commits, (some) => some.map((commit) => commitOutside(state, call, repository, commit)));
    },

    "repos/list-branches": (call) => {
      const repository = state.repository(call);
      return page(call, repository.branches.sort(), (some) =>
        some.map((name) => {
          const sha = repository.git.refs.get(heads + name)!;
          return { name, commit: { sha, url: `${at(state, call, repository)}/commits/${sha}` }, protected: false };
        }),
      );
    },

    "repos/get-branch": (call) => {
      const repository = state.repository(call);
      return { body: branchView(state, call, repository, call.params["branch"]!) };
    },

    "repos/rename-branch": (call) => {
      const repository = state.repository(call);
      const { refs } = repository.git;
      const from = call.params["branch"]!;
      const { new_name: to } = call.body as Body<"repos/rename-branch">;
      const sha = refs.get(heads + from) ?? notFound();
      if (refs.has(heads + to)) throw new Refusal(422, "New branch already exists");
      if (from === repository.defaultBranch) throw new Refusal(403, "The stand-in does not rename the default branch");
      check(state, repository, heads + from, ["deletion"], 422);
      check(state, repository, heads + to, ["creation"], 422);
      refs.delete(heads + from);
      refs.set(heads + to, sha);
      branchRenamed(state, repository, from, to);
      return { status: 201, body: branchView(state, call, repository, to) };
    },

    "git/get-ref": (call) => {
      const repository = state.repository(call);
      const { refs } = repository.git;
      if (refs.size === 0) throw new Refusal(409, "Git Repository is empty.");
      const ref = `refs/${call.params["ref"]!}`;
      return { body: refView(state, call, repository, ref, refs.get(ref) ?? notFound()) };
    },

    "git/create-ref": (call) => {
      const repository = state.repository(call);
      const { git } = repository;
      const { ref, sha } = call.body as Body<"git/create-ref">;
      if (!/^refs\/[^/]+\/.+/.test(ref)) {
        throw new Refusal(422, "Reference name must start with 'refs/' and contain at least two slashes.");
      }
      if (git.refs.has(ref)) throw new Refusal(422, "Reference already exists");
      if (!git.commits.has(sha)) throw new Refusal(422, "Object does not exist");
      check(state, repository, ref, ["creation"], 422);
      git.refs.set(ref, sha);
      return { status: 201, body: refView(state, call, repository, ref, sha) };
    },

    "git/delete-ref": (call) => {
      const repository = state.repository(call);
      const ref = `refs/${call.params["ref"]!}`;
      if (!repository.git.refs.has(ref)) throw new Refusal(422, "Reference does not exist");
      if (ref === heads + repository.defaultBranch) throw new Refusal(422, "Cannot delete the default branch");
      check(state, repository, ref, ["deletion"], 422);
      deleteRef(state, repository, ref);
      return {};
    },
  };
}

function deleteRef(state: State, repository: Repository, ref: string): void {
  repository.git.refs.delete(ref);
  if (ref.startsWith(heads)) branchGone(state, repository, ref.slice(heads.length));
}

/** @throws Refusal 422 without a hash, 409 when it is of something else */
function matches(path: string, blob: string, sha: string | undefined): void {
  if (sha === undefined) throw new Refusal(422, 'Invalid request.\n\n"sha" wasn\'t supplied.');
  if (sha !== blob) throw new Refusal(409, `${path} does not match ${sha}`);
}

/** The last commit of a branch; none yet in an empty repository. */
function headOf({ git, defaultBranch }: Repository, branch: string, method: "PUT" | "DELETE"): Commit | undefined {
  const sha = git.refs.get(heads + branch);
  if (sha !== undefined) return git.commits.get(sha);
  if (method === "PUT" && git.refs.size === 0 && branch === defaultBranch) return undefined;
  throw new Refusal(404, `Branch ${branch} not found`);
}

type NewCommit = Pick<Commit, "files" | "message"> & {
  author?: Partial<Person>;
  committer?: Partial<Person>;
  /** Of a merge. */
  parents?: string[];
};

/** Adds a commit to a branch. */
export function commitOn(state: State, { git }: Repository, branch: string, draft: NewCommit): Commit {
  const head = git.refs.get(heads + branch);
  const person = state.person();
  const commit = git.commit({
    files: draft.files,
    message: draft.message,
    parents: draft.parents ?? (head ? [head] : []),
    author: { ...person, ...draft.author },
    committer: { ...person, ...draft.committer },
  });
  git.refs.set(heads + branch, commit.sha);
  return commit;
}

/** What stands directly in a folder: files, and folders without a blob. */
function entriesOf({ files }: Commit, folder: string): { path: string; blob: string | undefined }[] {
  const prefix = folder === "" ? "" : `${folder}/`;
  const entries = new Map<string, string | undefined>();
  for (const [path, blob] of files) {
    if (!path.startsWith(prefix)) continue;
    const [name, ...deeper] = path.slice(prefix.length).split("/");
    entries.set(prefix + name, deeper.length > 0 ? undefined : blob);
  }
  return [...entries].map(([path, blob]) => ({ path, blob })).sort((a, b) => (a.path < b.path ? -1 : 1));
}

const at = (state: State, call: Call, { name }: Repository) => `${base(call)}/repos/${state.owner.login}/${name}`;

function addresses(state: State, call: Call, repository: Repository, path: string, ref: string) {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return {
    url: `${at(state, call, repository)}/contents/${encoded}?ref=${encodeURIComponent(ref)}`,
    html_url: `https://github.com/${state.owner.login}/${repository.name}/blob/${ref}/${encoded}`,
  };
}

function fileView(
  state: State,
  call: Call,
  repository: Repository,
  path: string,
  sha: string,
  ref: string,
  content: boolean,
) {
  const bytes = repository.git.blobs.get(sha)!;
  const links = addresses(state, call, repository, path, ref);
  const git = `${at(state, call, repository)}/git/blobs/${sha}`;
  return {
    name: path.split("/").at(-1),
    path,
    sha,
    size: bytes.length,
    ...links,
    git_url: git,
    download_url: `${links.html_url}?raw=true`,
    type: "file",
    ...(content && { content: bytes.toString("base64").replace(/.{1,60}/g, "$&\n"), encoding: "base64" }),
    _links: { self: links.url, git, html: links.html_url },
  };
}

/** A commit as git knows it. */
const commitView = (state: State, call: Call, repository: Repository, commit: Commit) => ({
  sha: commit.sha,
  node_id: nodeId("Commit", repository.id),
  url: `${at(state, call, repository)}/git/commits/${commit.sha}`,
  html_url: `https://github.com/${state.owner.login}/${repository.name}/commit/${commit.sha}`,
  author: commit.author,
  committer: commit.committer,
  message: commit.message,
  tree: { sha: commit.tree, url: `${at(state, call, repository)}/git/trees/${commit.tree}` },
  parents: commit.parents.map((sha) => ({ sha, url: `${at(state, call, repository)}/git/commits/${sha}` })),
  verification: { verified: false, reason: "unsigned", signature: null, payload: null, verified_at: null },
});

/** A commit as GitHub shows it: git's inside. */
function commitOutside(state: State, call: Call, repository: Repository, commit: Commit) {
  const { sha, node_id, html_url, parents, ...inside } = commitView(state, call, repository, commit);
  const user: Account = state.user;
  return {
    sha,
    node_id,
    html_url,
    url: `${at(state, call, repository)}/commits/${sha}`,
    commit: { ...inside, comment_count: 0 },
    author: simpleUser(call, user),
    committer: simpleUser(call, user),
    parents,
  };
}

function branchView(state: State, call: Call, repository: Repository, name: string) {
  const sha = repository.git.refs.get(heads + name);
  if (!sha) throw new Refusal(404, "Branch not found");
  return {
    name,
    commit: commitOutside(state, call, repository, repository.git.commits.get(sha)!),
    _links: {
      self: `${at(state, call, repository)}/branches/${name}`,
      html: `https://github.com/${state.owner.login}/${repository.name}/tree/${name}`,
    },
    protected: false,
  };
}

const refView = (state: State, call: Call, repository: Repository, ref: string, sha: string) => ({
  ref,
  node_id: Buffer.from(`Ref${repository.id}:${ref}`).toString("base64"),
  url: `${at(state, call, repository)}/git/${ref}`,
  object: { sha, type: "commit", url: `${at(state, call, repository)}/git/commits/${sha}` },
});

/** Branches with their files. What a commit before said is history. */
export const contentSnapshot = ({ git, branches }: Repository) =>
  Object.fromEntries(
    branches.map((branch) => [
      branch,
      Object.fromEntries(
        [...git.resolve(branch)!.files].map(([path, blob]) => [path, git.blobs.get(blob)!.toString()]),
      ),
    ]),
  );

export function contentDrifts(state: State, repository: Repository): Drift[] {
  const { git, name, branches, defaultBranch } = repository;
  return branches.flatMap((branch) => {
    const head = git.resolve(branch)!;
    // Only what was delivered to the branch: what was there before is nobody's.
    const before = branch === defaultBranch ? firstOf(git, head) : git.resolve(defaultBranch);
    const delivered = [...head.files].filter(([path, blob]) => before?.files.get(path) !== blob);
    return [
      ...delivered.flatMap(([path, blob]) => {
        const where = `${name}/${path} on ${branch}`;
        const change = (message: string, edit: (files: Map<string, string>) => unknown) => () => {
          const files = new Map(git.resolve(branch)!.files);
          edit(files);
          commitOn(state, repository, branch, { files, message });
        };
        const edited = Buffer.concat([git.blobs.get(blob)!, Buffer.from("# edited by hand\n")]);
        return [
          drift(
            "file edited",
            where,
            path,
            change(`Edit ${path}`, (files) => files.set(path, git.write(edited))),
          ),
          drift(
            "file deleted",
            where,
            path,
            change(`Delete ${path}`, (files) => files.delete(path)),
          ),
        ];
      }),
      ...(branch === defaultBranch
        ? []
        : [
            drift(
              "branch deleted",
              `${name} ${branch}`,
              branch,
              () => deleteRef(state, repository, heads + branch),
              repository.pulls.some((pull) => pull.state === "open" && pull.head.ref === branch)
                ? { unmended: "the branch comes back, and its pull request stays closed" }
                : {},
            ),
          ]),
    ];
  });
}

const firstOf = (git: Git, head: Commit): Commit | undefined =>
  git.history(head).find(({ parents }) => parents.length === 0);
