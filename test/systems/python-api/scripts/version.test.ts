import assert from "node:assert/strict";
import { type Env, outputsOf, PYTHON, type Result, real, Sandbox } from "../../../support/sandbox.ts";
import { refusalOf } from "../../../support/script-suite.ts";
import { StubServer } from "../../../support/stub-server.ts";

const SCRIPT = new URL("../../../../systems/python-api/repository/version.py", import.meta.url).pathname;
const VALUES = "deployments/helm/api/values-staging.yaml";
const CANARY = "ghs_canaryOfVersion";

describe("version.py", () => {
  let box: Sandbox;
  let at: { remote: string; clone: string };

  const git = (...args: string[]) => box.git(at.clone, ...args);
  /** A commit on what is checked out, pushed. */
  const commit = (message: string, files: Record<string, string> = {}) => {
    for (const [path, content] of Object.entries(files)) box.write(`repository/${path}`, content);
    git("add", "--all");
    git("commit", "--quiet", "--allow-empty", "--message", message);
    git("push", "--quiet", "origin", "HEAD");
    return git("rev-parse", "HEAD");
  };
  const tag = (name: string, at_ = "HEAD", ...annotated: string[]) => {
    git("tag", ...annotated, name, at_);
    git("push", "--quiet", "origin", `refs/tags/${name}`);
  };
  const annotate = (...messages: string[]) => ["--annotate", ...messages.flatMap((each) => ["-m", each])];
  /** What the Image Updater commits. */
  const staged = (version: string, path = VALUES) =>
    commit(`Update ${version}`, { [path]: `image:\n  repository: ghcr.io/x/y\n  tag: ${version}\n` });

  beforeEach(() => {
    box = new Sandbox();
    at = box.repository({ "main.py": "" });
  });
  afterEach(() => box.dispose());

  const run = (env: Env, cwd = at.clone): Promise<Result> => {
    box.write("output", "");
    box.write("summary", "");
    return box.run(PYTHON, [SCRIPT], {
      cwd,
      env: {
        BRANCH: "main",
        STAGING_VALUES: VALUES,
        GITHUB_TOKEN: CANARY,
        GITHUB_OUTPUT: box.path("output"),
        GITHUB_STEP_SUMMARY: box.path("summary"),
        ...env,
      },
    });
  };
  const head = () => git("rev-parse", "HEAD");
  const dev = (COMMIT = head(), cwd?: string) => run({ ENVIRONMENT: "dev", COMMIT }, cwd);
  const rc = (TAG: string, COMMIT = git("rev-parse", `${TAG}^{commit}`)) =>
    run({ ENVIRONMENT: "staging", COMMIT, TAG });
  const final = (TAG: string, COMMIT = git("rev-parse", `${TAG}^{commit}`)) =>
    run({ ENVIRONMENT: "prod", COMMIT, TAG });

  const outputs = () => outputsOf(box.read("output"));
  const succeeds = async (result: Promise<Result>, version: string, source = "", hotfix = "") => {
    const { code, output } = await result;
    assert.equal(code, 0, output);
    assert.deepEqual(outputs(), { version, source, hotfix });
  };
  /** Refused by one annotation, whose text and commands the summary has too, and without an output. */
  const refuses = async (result: Promise<Result>, title: string, ...messages: RegExp[]) => {
    const text = refusalOf(await result, box, title);
    const message = text.replaceAll("%0A", "\n").replaceAll("%25", "%");
    for (const each of messages) assert.match(message, each);
    const summary = box.read("summary");
    assert.ok(summary.startsWith(`**${title}**: ${message.split("\n")[0]}`), summary);
    for (const line of message.split("\n").slice(1)) assert.ok(summary.includes(line), summary);
    return message;
  };

  describe("for dev", () => {
    const version = async (COMMIT = head()) => {
      const { code, output } = await dev(COMMIT);
      assert.equal(code, 0, output);
      return outputs()["version"]!;
    };

    it("begins with v0.1.0 where nothing is tagged", async () => {
      await succeeds(dev(), "v0.1.0-dev.1");
      commit("Second");
      await succeeds(dev(), "v0.1.0-dev.2");
    });

    for (const [tags, base] of [
      [["v1.2.3"], "v1.2.4"],
      [["v1.9.0", "v1.10.0", "v1.2.9"], "v1.10.1"],
      [["v1.2.0-rc.1"], "v1.2.0"],
      [["v0.0.1-rc.1"], "v0.0.1"],
      [["v1.1.0", "v1.2.0-rc.9", "v1.2.0-rc.10"], "v1.2.0"],
      [["v1.2.0-rc.1", "v1.2.0"], "v1.2.1"],
      [["v1.2.0", "v1.1.0-rc.3"], "v1.2.1"],
      [["v2.0.0-rc.1", "v10.0.0-rc.1", "v1.5.0"], "v10.0.0"],
      [
        ["v1.2.03", "1.3.0", "v1.4", "v1.5.0-beta.1", "v1.6.0-rc", "v1.7.0-rc.01", "v1.8.0+x", "v1.9.0-dev.3"],
        "v0.1.0",
      ],
      [["v9999999999.0.0", "release-v3.0.0", "v3.0.0-hotfix"], "v0.1.0"],
    ] as const) {
      it(`after ${tags.join(", ")} comes ${base}`, async () => {
        for (const each of tags) tag(each);
        commit("Next");
        await succeeds(dev(), `${base}-dev.2`);
      });
    }

    it("counts a tag on the commit itself, lightweight or annotated, and none on later ones", async () => {
      tag("v1.0.0");
      const first = head();
      await succeeds(dev(), "v1.0.1-dev.1");
      commit("Second");
      tag("v1.1.0", "HEAD", ...annotate("Release"));
      await succeeds(dev(), "v1.1.1-dev.2");
      await succeeds(dev(first), "v1.0.1-dev.1");
    });

    it("counts the branch's own commits, but takes tags from what was merged", async () => {
      git("checkout", "--quiet", "-b", "side");
      commit("Side 1");
      commit("Side 2");
      tag("v2.0.0-rc.1");
      git("checkout", "--quiet", "main");
      commit("Second");
      await succeeds(dev(), "v0.1.0-dev.2");
      git("merge", "--quiet", "--no-ff", "-m", "Merge", "side");
      git("push", "--quiet");
      await succeeds(dev(), "v2.0.0-dev.3");
    });

    it("does not fall when a hotfix is released during the candidates of the next version", async () => {
      tag("v1.0.0");
      for (const each of ["2", "3", "4"]) commit(each);
      tag("v1.2.0-rc.1");
      commit("5");
      await succeeds(dev(), "v1.2.0-dev.5");
      tag("v1.0.1", "HEAD", ...annotate("Hotfix", "Hotfix: it burns"));
      commit("6");
      await succeeds(dev(), "v1.2.0-dev.6");
    });

    it("is the same wherever it is asked, whatever is checked out, and however often", async () => {
      const asked = head();
      commit("Second");
      tag("v3.0.0");
      git("checkout", "--quiet", "-b", "other");
      commit("Elsewhere");
      const clone = box.path("other clone");
      box.git(box.dir, "clone", "--quiet", at.remote, clone);
      for (const cwd of [at.clone, clone, at.clone]) await succeeds(dev(asked, cwd), "v0.1.0-dev.1");
    });

    it("does not publish a commit that is no longer on the branch", async () => {
      const old = commit("Overwritten");
      git("commit", "--quiet", "--amend", "--allow-empty", "--message", "Other");
      git("push", "--quiet", "--force", "origin", "main");
      await refuses(dev(old), "Not on the branch", new RegExp(`^${old} is no longer on main`));
    });

    /** mulberry32 */
    const random = (seed: number) => () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    /** The order of semver, for versions of this form. */
    const lower = (one: string, other: string) => {
      const [a, b] = [one, other].map((each) => each.match(/\d+/g)!.map(Number));
      for (const [index, left] of a!.entries()) if (left !== b![index]) return left < b![index]!;
      return false;
    };

    for (let seed = 1; seed <= 8; seed++) {
      it(`is higher for a later commit, whatever was tagged, merged or tagged later (history ${seed})`, async () => {
        const next = random(seed);
        const below = (limit: number) => Math.floor(next() * limit);
        // The remote is the clone itself: nothing is pushed.
        git("remote", "set-url", "origin", at.clone);
        const all = [head()];
        const main = [head()];
        const then = [await version()];
        const told: string[] = [];
        const empty = () => git("commit", "--quiet", "--allow-empty", "--message", `Commit ${all.length}`);
        const tagSome = () => {
          const name = `v${below(2)}.${below(3)}.${below(3)}${next() < 0.6 ? `-rc.${below(3)}` : ""}`;
          if (git("tag", "--list", name)) return;
          git("tag", name, all[below(all.length)]!);
          told.push(`${name} on ${git("rev-parse", `${name}^{commit}`)}`);
        };
        while (main.length < 9) {
          if (next() < 0.5) tagSome();
          if (next() < 0.35) {
            git("checkout", "--quiet", "-B", "side", all[below(all.length)]!);
            empty();
            all.push(head());
            if (next() < 0.5) tagSome();
            git("checkout", "--quiet", "main");
            git("merge", "--quiet", "--no-ff", "--message", "Merge", "side");
          } else empty();
          git("update-ref", "refs/remotes/origin/main", "HEAD");
          all.push(head());
          main.push(head());
          then.push(await version());
          if (next() < 0.4) tagSome();
        }
        const now: string[] = [];
        for (const each of main) now.push(await version(each));
        for (const versions of [then, now]) {
          for (let index = 1; index < versions.length; index++) {
            assert.ok(
              lower(versions[index - 1]!, versions[index]!),
              `${versions.join(" ")}\n${told.join("\n")}\n${git("log", "--graph", "--format=%H", "main")}`,
            );
          }
        }
      });
    }
  });

  describe("refuses a clone that would be counted wrong:", () => {
    const clone = (...args: string[]) => {
      box.git(box.dir, "clone", "--quiet", ...args, `file://${at.remote}`, box.path("ci"));
      return box.path("ci");
    };
    beforeEach(() => {
      commit("Second");
      tag("v1.0.0");
      commit("Third");
    });

    it("a shallow one", async () => {
      const cwd = clone("--depth", "1");
      await refuses(dev(head(), cwd), "Incomplete clone", /is shallow.*actions\/checkout needs `fetch-depth: 0`/);
    });
    it("one without tags", async () => {
      const cwd = clone("--no-tags");
      await refuses(dev(head(), cwd), "Incomplete clone", /The remote has tags that this clone has not.*: v1\.0\.0\./);
    });
    it("one that lacks some of the tags", async () => {
      const cwd = clone();
      tag("v1.1.0-rc.1");
      for (const each of [1, 2, 3, 4, 5, 6]) tag(`v1.2.${each}`);
      await refuses(dev(head(), cwd), "Incomplete clone", /: v1\.1\.0-rc\.1, v1\.2\.1, .*v1\.2\.4 and others\./);
    });
    it("one where a checkout has replaced an annotated tag by its commit", async () => {
      tag("v1.1.0", "HEAD", ...annotate("Hotfix", "Hotfix: it burns"));
      git("update-ref", "refs/tags/v1.1.0", head());
      await refuses(final("v1.1.0"), "Incomplete clone", /or has otherwise: v1\.1\.0\./);
    });
    it("one without the branch", async () => {
      const cwd = clone();
      box.git(cwd, "update-ref", "-d", "refs/remotes/origin/main");
      await refuses(dev(head(), cwd), "Incomplete clone", /has no origin\/main/);
    });
    it("and takes one that lacks tags which are no versions", async () => {
      const cwd = clone();
      tag("nightly");
      tag("v2");
      await succeeds(dev(head(), cwd), "v1.0.1-dev.3");
      assert.equal((await dev(head(), cwd)).code, 0);
    });
  });

  describe("for staging", () => {
    it("is the tag", async () => {
      tag("v1.2.0-rc.1");
      await succeeds(rc("v1.2.0-rc.1"), "v1.2.0-rc.1");
      tag("v1.2.0-rc.0", "HEAD", ...annotate("Candidate"));
      await succeeds(rc("v1.2.0-rc.0"), "v1.2.0-rc.0");
    });

    it("takes a commit that has since been built upon", async () => {
      tag("v1.2.0-rc.1");
      commit("Later");
      await succeeds(rc("v1.2.0-rc.1"), "v1.2.0-rc.1");
    });

    for (const name of [
      ...["v01.2.0-rc.1", "v1.02.0-rc.1", "v1.2.00-rc.1", "v1.2.0-rc.01", "v1.2.0", "v1.2-rc.1", "1.2.0-rc.1"],
      ...[
        "v1.2.0-rc1",
        "v1.2.0-rc.1.1",
        "v1.2.0-rc.",
        "v1.2.0-dev.1",
        "v1.2.0-rc.1234567890",
        "v٠.١.٢-rc.1",
        "v1٢.0.0-rc.1",
        "",
      ],
      ...["v1.2.0-rc.1\nversion=v9.9.9", "v1.2.0-rc.1\n", "$(touch PWNED)", "%0A::error::x"],
    ]) {
      it(`refuses ${JSON.stringify(name)}`, () =>
        refuses(rc(name, head()), "Not a version", /is not of the form vX\.Y\.Z-rc\.N: numbers have no leading zero/));
    }

    it("refuses a commit that is not on the branch, and says how to mend it", async () => {
      git("checkout", "--quiet", "-b", "side");
      commit("Not merged");
      tag("v1.2.0-rc.1");
      await refuses(
        rc("v1.2.0-rc.1"),
        "Tag outside the branch",
        new RegExp(`^v1\\.2\\.0-rc\\.1 is on the commit ${head()}, which is not on main\\.`),
        /the repository's rule set forbids it/,
        /^git push origin :refs\/tags\/v1\.2\.0-rc\.1$/m,
        /^git fetch --tags origin && git tag --force v1\.2\.0-rc\.1 origin\/main && git push origin v1\.2\.0-rc\.1$/m,
      );
    });

    it("publishes neither a tag that was moved since nor one that was removed", async () => {
      const old = head();
      commit("Second");
      tag("v1.2.0-rc.1");
      await refuses(
        rc("v1.2.0-rc.1", old),
        "Tag was moved",
        new RegExp(`is on ${head()} now, and this run is of ${old}`),
      );
      await refuses(rc("v1.2.0-rc.2", head()), "No such tag");
    });
  });

  describe("for prod", () => {
    it("is promoted from the highest candidate on the same commit that staging has run", async () => {
      for (const each of [1, 2, 9, 10, 11]) tag(`v1.2.0-rc.${each}`);
      staged("v1.2.0-rc.2");
      staged("v1.2.0-rc.10");
      staged("v1.2.0-rc.9");
      tag("v1.2.0", "v1.2.0-rc.1");
      await succeeds(final("v1.2.0"), "v1.2.0", "v1.2.0-rc.10");
    });

    it("counts a candidate that was replaced since", async () => {
      tag("v1.2.0-rc.1");
      staged("v1.2.0-rc.1");
      commit("Another");
      tag("v1.3.0-rc.1");
      staged("v1.3.0-rc.1");
      tag("v1.2.0", "v1.2.0-rc.1");
      await succeeds(final("v1.2.0"), "v1.2.0", "v1.2.0-rc.1");
      git("rm", "--quiet", VALUES);
      commit("Moved");
      await succeeds(final("v1.2.0"), "v1.2.0", "v1.2.0-rc.1");
    });

    it("prefers what was tested to a hotfix, and asks the tag itself, annotated or not", async () => {
      tag("v1.2.0-rc.1", "HEAD", ...annotate("Candidate"));
      staged("v1.2.0-rc.1");
      tag("v1.2.0", "v1.2.0-rc.1^{commit}", ...annotate("Release", "Hotfix: why not"));
      await succeeds(final("v1.2.0"), "v1.2.0", "v1.2.0-rc.1");
    });

    it("counts a commit that came by a merge", async () => {
      tag("v1.2.0-rc.1");
      git("checkout", "--quiet", "-b", "image-updater");
      staged("v1.2.0-rc.1");
      git("checkout", "--quiet", "main");
      commit("Meanwhile");
      git("merge", "--quiet", "--no-ff", "-m", "Merge", "image-updater");
      git("push", "--quiet");
      tag("v1.2.0", "v1.2.0-rc.1");
      await succeeds(final("v1.2.0"), "v1.2.0", "v1.2.0-rc.1");
    });

    describe("takes, as what staging runs,", () => {
      for (const [what, text] of [
        ["a block", "replicas: 2\nimage:\n  repository: x\n  tag: v1.2.0-rc.1\nenv: {}\n"],
        ["double quotes", 'image:\n    repository: "x"\n    tag: "v1.2.0-rc.1"\n'],
        ["single quotes and a comment", "image: # set by Image Updater\n\n  # here\n  tag: 'v1.2.0-rc.1' # now\n"],
        ["one line", "image: {repository: x, tag: v1.2.0-rc.1}\n"],
        ["one line with quotes", 'image: { tag: "v1.2.0-rc.1", repository: "x" }\n'],
        ["a key with a dot", 'image.tag: "v1.2.0-rc.1"\n'],
        ["keys in quotes, line ends of Windows", '"image":\r\n  "tag": v1.2.0-rc.1\r\n'],
        ["an old value in a comment beside it", "image:\n  tag: v1.2.0-rc.1 # was v1.2.0-rc.0\n"],
      ] as const) {
        it(what, async () => {
          tag("v1.2.0-rc.1");
          commit("Staged", { [VALUES]: text });
          tag("v1.2.0", "v1.2.0-rc.1");
          await succeeds(final("v1.2.0"), "v1.2.0", "v1.2.0-rc.1");
        });
      }

      it("a tag that stood in a comment before", async () => {
        tag("v1.2.0-rc.1");
        commit("Announced", { [VALUES]: "image:\n  # next: v1.2.0-rc.1\n  tag: v1.1.0-rc.1\n" });
        commit("Staged", { [VALUES]: "image:\n  tag: v1.2.0-rc.1\n" });
        tag("v1.2.0", "v1.2.0-rc.1");
        await succeeds(final("v1.2.0"), "v1.2.0", "v1.2.0-rc.1");
      });
    });

    const refusal = async (...messages: RegExp[]) => {
      tag("v1.2.0", "v1.2.0-rc.1^{commit}");
      return refuses(
        final("v1.2.0"),
        "Not tested in staging",
        /^v1\.2\.0 is refused: v1\.2\.0-rc\.1 is on the same commit [0-9a-f]{40}, but no commit on main made it image\.tag in deployments\/helm\/api\/values-staging\.yaml/,
        /^git log -p origin\/main -- deployments\/helm\/api\/values-staging\.yaml$/m,
        /^git tag -a v1\.2\.1 -m 'Hotfix release' -m 'Hotfix: why it cannot wait' [0-9a-f]{40}$/m,
        ...messages,
      );
    };

    describe("refuses a candidate that stands only", () => {
      for (const [what, text, path] of [
        ["nowhere", "image:\n  tag: v1.1.0-rc.1\n"],
        ["in a comment", "image:\n  tag: v1.1.0-rc.1 # not yet v1.2.0-rc.1\n  # tag: v1.2.0-rc.1\n"],
        ["in another file", "image:\n  tag: v1.2.0-rc.1\n", "deployments/helm/api/values-dev.yaml"],
        ["in a file of another folder", "image:\n  tag: v1.2.0-rc.1\n", "values-staging.yaml"],
        ["in the tag of another image", "sidecar:\n  image:\n    tag: v1.2.0-rc.1\nimage:\n  tag: v1.1.0-rc.1\n"],
        ["below image.tag's neighbour", "image:\n  old:\n    tag: v1.2.0-rc.1\n  tag: v1.1.0-rc.1\n"],
        ["in another key of image", "image:\n  tag: v1.1.0-rc.1\n  previousTag: v1.2.0-rc.1\n"],
        ["in a tag at the top", "tag: v1.2.0-rc.1\nimage:\n  repository: x\n"],
        ["in a text", "notes: |\n  image:\n    tag: v1.2.0-rc.1\n"],
        ["as the beginning of another", "image:\n  tag: v1.2.0-rc.10\n"],
        ["as the end of another", "image:\n  tag: xv1.2.0-rc.1\n"],
        ["by dots that are other characters", "image:\n  tag: v1x2x0-rcx1\n"],
      ] as const) {
        it(what, async () => {
          tag("v1.2.0-rc.1");
          commit("Staged", { [path ?? VALUES]: text });
          await refusal();
        });
      }

      it("on a branch that is not main, be it merged without the change", async () => {
        tag("v1.2.0-rc.1");
        git("checkout", "--quiet", "-b", "side");
        staged("v1.2.0-rc.1");
        git("revert", "--no-edit", "HEAD");
        git("checkout", "--quiet", "main");
        git("merge", "--quiet", "--no-ff", "-m", "Merge", "side");
        git("push", "--quiet", "origin", "main");
        await refusal();
      });
    });

    it("refuses a commit whose candidates are on another, and says which was tested", async () => {
      for (const each of [1, 2, 3]) tag(`v1.2.0-rc.${each}`);
      const tested = head();
      staged("v1.2.0-rc.2");
      tag("v1.2.0");
      await refuses(
        final("v1.2.0"),
        "Not what was tested",
        new RegExp(`it is on the commit ${head()}, and v1\\.2\\.0-rc\\.2, which staging has run, is on ${tested}\\.`),
        /^git push origin :refs\/tags\/v1\.2\.0$/m,
        /^git tag --force v1\.2\.0 v1\.2\.0-rc\.2\^\{commit\} && git push origin v1\.2\.0$/m,
      );
      // The command, as it is told.
      git("tag", "--force", "v1.2.0", "v1.2.0-rc.2^{commit}");
      git("push", "--quiet", "--force", "origin", "v1.2.0");
      await succeeds(final("v1.2.0"), "v1.2.0", "v1.2.0-rc.2");
    });

    it("refuses a version without a candidate, and says which tag to push", async () => {
      tag("v1.1.0-rc.1");
      staged("v1.1.0-rc.1");
      tag("v1.2.0", "v1.1.0-rc.1");
      const sha = git("rev-parse", "v1.2.0");
      await refuses(
        final("v1.2.0"),
        "Not tested in staging",
        new RegExp(`no tag v1\\.2\\.0-rc\\.N is on its commit ${sha} \\(there is none anywhere\\)`),
        new RegExp(`^git tag v1\\.2\\.0-rc\\.1 ${sha} && git push origin v1\\.2\\.0-rc\\.1$`, "m"),
      );
      tag("v1.2.0-rc.9");
      await refuses(
        final("v1.2.0"),
        "Not tested in staging",
        /\(the candidates of that version are v1\.2\.0-rc\.9\)/,
        new RegExp(`^git tag v1\\.2\\.0-rc\\.10 ${sha} && git push origin v1\\.2\\.0-rc\\.10$`, "m"),
      );
    });

    describe("takes without a candidate what an annotated tag calls a hotfix:", () => {
      for (const [what, messages, reason] of [
        ["in a trailer", ["Release", "Hotfix: logins fail since 14:00"], "logins fail since 14:00"],
        ["among others", ["Release", "Text.\n\nmore", "hotfix: it burns\nSigned-off-by: A <a@b>"], "it burns"],
        ["folded", ["Release", "Hotfix: it\n burns"], "it burns"],
        ["twice", ["Release", "Hotfix: one\nHotfix:\nHotfix: two"], "one; two"],
        ["with a line of its own", ["Release", "Hotfix: a%b ::error::\u001b é"], "a%b ::error::"],
      ] as const) {
        it(what, async () => {
          tag("v1.1.1", "HEAD", ...annotate(...messages));
          await succeeds(final("v1.1.1"), "v1.1.1", "", reason);
        });
      }

      it("signed", async () => {
        // What `git tag -s` writes.
        const text = `object ${head()}\ntype commit\ntag v1.1.1\ntagger A Person <person@example.com> 1700000000 +0000\n\nRelease\n\nHotfix: it burns\n-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n`;
        const { stdout } = await box.run("git", ["mktag"], { cwd: at.clone, input: text });
        git("update-ref", "refs/tags/v1.1.1", stdout.trim());
        git("push", "--quiet", "origin", "refs/tags/v1.1.1");
        await succeeds(final("v1.1.1"), "v1.1.1", "", "it burns");
      });
    });

    describe("takes for no hotfix", () => {
      for (const [what, messages] of [
        ["an empty reason", ["Release", "Hotfix:"]],
        ["a reason of blanks", ["Release", "Hotfix:    "]],
        ["a subject", ["Hotfix: it burns"]],
        ["a sentence in the text", ["Release", "Hotfix: it burns", "And then some text."]],
        ["another key", ["Release", "Not-Hotfix: it burns\nHotfixes: many"]],
      ] as const) {
        it(what, async () => {
          tag("v1.1.1", "HEAD", ...annotate(...messages));
          await refuses(final("v1.1.1"), "Not tested in staging");
        });
      }

      it("a lightweight tag, whatever the commit's message says", async () => {
        commit("Fix\n\nHotfix: it burns");
        tag("v1.1.1");
        await refuses(final("v1.1.1"), "Not tested in staging");
      });
    });

    it("refuses a commit that is not on the branch, hotfix or tested", async () => {
      git("checkout", "--quiet", "-b", "hotfix/x");
      commit("Not merged");
      tag("v1.1.1", "HEAD", ...annotate("Release", "Hotfix: it burns"));
      tag("v1.2.0-rc.1");
      git("checkout", "--quiet", "main");
      staged("v1.2.0-rc.1");
      tag("v1.2.0", "v1.2.0-rc.1");
      await refuses(final("v1.1.1"), "Tag outside the branch", /Merge it by a pull request/);
      await refuses(final("v1.2.0"), "Tag outside the branch");
    });

    for (const name of ["v01.2.0", "v1.2.0-rc.1", "v1.2", "v1.2.0+build", "v1.2.0-dev.1"]) {
      it(`refuses ${name}`, () => refuses(final(name, head()), "Not a version", /is not of the form vX\.Y\.Z:/));
    }
  });

  it("asks git with the token, shows it to its own server alone, and leaves it nowhere", async () => {
    const github = await StubServer.start();
    try {
      const path = "GET /org/r.git/info/refs?service=git-upload-pack";
      github.on(path, { status: 401, headers: { "www-authenticate": 'Basic realm="GitHub"' } }, { status: 403 });
      git("remote", "set-url", "origin", `${github.url}/org/r.git`);
      box.stub("git", `exec ${real("git")} "$@"`);
      const result = await run({ ENVIRONMENT: "dev", COMMIT: head(), GITHUB_SERVER_URL: github.url });
      assert.equal(result.code, 1);
      assert.match(result.stdout, /^::error title=git failed::git ls-remote failed with exit code 128/m);
      const basic = `Basic ${Buffer.from(`x-access-token:${CANARY}`).toString("base64")}`;
      assert.deepEqual(
        github.requests.map(({ headers }) => headers.authorization),
        [undefined, basic],
      );
      github.requests.length = 0;
      github.on(path, { status: 401, headers: { "www-authenticate": 'Basic realm="GitHub"' } });
      await run({ ENVIRONMENT: "dev", COMMIT: head(), GITHUB_SERVER_URL: "https://github.com" });
      assert.ok(github.requests.length > 0);
      assert.ok(github.requests.every(({ headers }) => headers.authorization === undefined));
      assert.ok(!result.output.includes(CANARY));
      assert.deepEqual(box.filesWith(CANARY), []);
    } finally {
      await github.close();
    }
  });
});
