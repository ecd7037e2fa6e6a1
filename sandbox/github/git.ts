/** A repository's objects, named by git's own hashes. */
import { createHash } from "node:crypto";

export interface Person {
  name: string;
  email: string;
  date: string;
}

export interface Commit {
  sha: string;
  tree: string;
  parents: readonly string[];
  /** Blobs by path. */
  files: ReadonlyMap<string, string>;
  author: Person;
  committer: Person;
  message: string;
}

export type Draft = Omit<Commit, "sha" | "tree">;

const sha = (type: string, content: Buffer): string =>
  createHash("sha1").update(`${type} ${content.length}\0`).update(content).digest("hex");

export class Git {
  readonly blobs = new Map<string, Buffer>();
  readonly commits = new Map<string, Commit>();
  /** Commits by the ref's whole name: `refs/heads/main`. */
  readonly refs = new Map<string, string>();

  write(content: Buffer): string {
    const name = sha("blob", content);
    this.blobs.set(name, content);
    return name;
  }

  commit(draft: Draft): Commit {
    const tree = treeOf(draft.files);
    const person = ({ name, email, date }: Person) => `${name} <${email}> ${Date.parse(date) / 1000} +0000`;
    const lines = [
      `tree ${tree}`,
      ...draft.parents.map((parent) => `parent ${parent}`),
      `author ${person(draft.author)}`,
      `committer ${person(draft.committer)}`,
      "",
      draft.message,
    ];
    const commit = { ...draft, tree, sha: sha("commit", Buffer.from(lines.join("\n"))) };
    this.commits.set(commit.sha, commit);
    return commit;
  }

  /** The commit that a branch, a tag, a whole ref or a hash stands for. */
  resolve(name: string): Commit | undefined {
    const of = (ref: string) => this.commits.get(this.refs.get(ref) ?? "");
    return of(`refs/heads/${name}`) ?? of(`refs/tags/${name}`) ?? of(name) ?? this.commits.get(name);
  }

  /** A commit and all before it, the newest first. */
  history(from: Commit): Commit[] {
    const seen = new Set([from]);
    for (const commit of seen) for (const parent of commit.parents) seen.add(this.commits.get(parent)!);
    return [...seen].sort((a, b) => Date.parse(b.committer.date) - Date.parse(a.committer.date));
  }

  /** What a commit changed, against its first parent. */
  changes(commit: Commit): { filename: string; status: "added" | "modified" | "removed"; sha: string }[] {
    const before = this.commits.get(commit.parents[0] ?? "")?.files ?? new Map<string, string>();
    const paths = new Set([...before.keys(), ...commit.files.keys()]);
    return [...paths].sort().flatMap((filename) => {
      const [old, now] = [before.get(filename), commit.files.get(filename)];
      if (old === now) return [];
      const status = old === undefined ? "added" : now === undefined ? "removed" : "modified";
      return [{ filename, status, sha: (now ?? old)! }];
    });
  }
}

/** The hash of a tree with all below it. */
function treeOf(files: ReadonlyMap<string, string>): string {
  const entries = new Map<string, string>();
  const folders = new Map<string, Map<string, string>>();
  for (const [path, blob] of files) {
    const slash = path.indexOf("/");
    if (slash < 0) entries.set(path, blob);
    else {
      const folder = path.slice(0, slash);
      if (!folders.has(folder)) folders.set(folder, new Map());
      folders.get(folder)!.set(path.slice(slash + 1), blob);
    }
  }
  // Git sorts a folder as if its name ended in a slash.
  const sorted = [
    ...[...entries].map(([name, hash]) => ({ key: name, mode: "100644", name, hash })),
    ...[...folders].map(([name, inside]) => ({ key: `${name}/`, mode: "40000", name, hash: treeOf(inside) })),
  ].sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  return sha(
    "tree",
    Buffer.concat(
      sorted.flatMap(({ mode, name, hash }) => [Buffer.from(`${mode} ${name}\0`), Buffer.from(hash, "hex")]),
    ),
  );
}
