import assert from "node:assert/strict";
import { chmodSync, readFileSync } from "node:fs";
import { type Env, PYTHON, type Result, real, Sandbox } from "../../../support/sandbox.ts";

const SCRIPT = new URL("../../../../systems/equidade/package-repository/release.sh", import.meta.url);
const PYPROJECT =
  '[build-system]\nrequires = ["setuptools"]\n\n[project]\nname = "equidade-data-package"\nversion = "0.2.2" # here\ndependencies = [\n  "x",\n]\n\n[tool.other]\nversion = "7"\n';
const INIT = '"""Data."""\r\n__version__ = \'0.2.2\'\r\nX = "0.2.2"\r\n';
const FLAGS = ["--version", "0.2.3", "--type", "minor", "--yes"];
const DONE =
  "✓ Tests passed\n✓ Package built\n✓ Changes committed\n✓ Tag created\n✓ Pushed to remote\n✓ GitHub release created\n";
const BUILT = ["dist/equidade_data_package-0.2.3-py3-none-any.whl", "dist/equidade_data_package-0.2.3.tar.gz"];
/** Answers each prompt on a terminal when it appears. */
const TERMINAL = `
import json, os, pty, sys
steps, seen = json.loads(sys.argv[1]), b""
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    sys.stdout.buffer.write(data)
    seen += data
    if steps and seen.endswith(steps[0][0].encode()):
        os.write(fd, steps.pop(0)[1].encode() + b"\\n")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

describe("release.sh", () => {
  let box: Sandbox;
  let at: { remote: string; clone: string };

  const start = (files: Record<string, string> = {}) => {
    box?.dispose();
    box = new Sandbox();
    at = box.repository({
      ".gitignore": "dist/\n",
      "pyproject.toml": PYPROJECT,
      "equidade_data_package/__init__.py": INIT,
      "scripts/release.sh": readFileSync(SCRIPT),
      ...files,
    });
    chmodSync(`${at.clone}/scripts/release.sh`, 0o755);
    box.git(at.clone, "config", "core.fileMode", "false");
    tools();
  };
  /** gh and python, each step of which can be made to do something else. */
  const tools = ({ tests = "", build = `mkdir -p dist; touch ${BUILT.join(" ")}`, create = "", auth = "" } = {}) => {
    box.stub("gh", `case "$*" in 'auth status') ${auth || ":"} ;; release*) ${create || ":"} ;; *) exit 9 ;; esac`);
    box.stub(
      "python",
      `
case "$*" in
  '-m pytest --version' | '-m build --version') ;;
  '-m pytest tests/') ${tests || ":"} ;;
  '-m build') ${build} ;;
  -\\ *) exec '${PYTHON}' -S "$@" ;;
  *) exit 9 ;;
esac`,
    );
  };
  beforeEach(() => start());
  after(() => box.dispose());

  const run = (args: string[], env: Env = {}) => box.run("scripts/release.sh", args, { cwd: at.clone, env });
  const file = (name: string) => readFileSync(`${at.clone}/${name}`, "utf8");
  const steps = () =>
    box
      .calls("python")
      .map(({ argv }) => argv.join(" "))
      .filter((call) => /^-m (pytest tests|build$)/.test(call));
  const created = () =>
    box
      .calls("gh")
      .map(({ argv }) => argv)
      .filter(([what]) => what === "release");
  const snapshot = () => [
    box.git(at.clone, "rev-parse", "HEAD"),
    box.git(at.clone, "tag"),
    box.git(at.clone, "status", "--porcelain"),
    box.git(at.remote, "for-each-ref"),
    file("pyproject.toml"),
    file("equidade_data_package/__init__.py"),
  ];

  describe("by flags", () => {
    it("does every step, in order, and says so as documented", async () => {
      const result = await run(FLAGS);
      assert.equal(result.code, 0, result.output);
      assert.equal(result.output, `ℹ Current version: 0.2.2\n${DONE}`);
      assert.deepEqual(steps(), ["-m pytest tests/", "-m build"]);
      assert.equal(box.git(at.remote, "log", "-1", "--format=%s", "main"), "Release v0.2.3");
      assert.equal(box.git(at.remote, "cat-file", "-t", "v0.2.3"), "tag", "an annotated tag");
      assert.equal(box.git(at.remote, "rev-parse", "v0.2.3^{commit}"), box.git(at.remote, "rev-parse", "main"));
      assert.deepEqual(created(), [
        ["release", "create", "v0.2.3", "--title", "v0.2.3", "--generate-notes", "--verify-tag", ...BUILT],
      ]);
      assert.equal(box.git(at.clone, "status", "--porcelain"), "");
    });

    it("changes the version and not one other byte", async () => {
      await run(FLAGS);
      assert.equal(file("pyproject.toml"), PYPROJECT.replace('version = "0.2.2" # here', 'version = "0.2.3" # here'));
      assert.equal(
        file("equidade_data_package/__init__.py"),
        INIT.replace("__version__ = '0.2.2'", "__version__ = '0.2.3'"),
      );
      assert.equal(
        box.git(at.remote, "diff", "--name-only", "main~1", "main"),
        "equidade_data_package/__init__.py\npyproject.toml",
      );
    });

    it("pushes branch and tag in one atomic push", async () => {
      box.stub("git", `exec ${real("git")} "$@"`);
      await run(FLAGS);
      assert.deepEqual(
        box
          .calls("git")
          .map(({ argv }) => argv)
          .filter(([verb]) => verb === "push"),
        [["push", "--atomic", "origin", "HEAD:main", "refs/tags/v0.2.3"]],
      );
    });

    it("takes v0.2.3 for 0.2.3", async () => {
      assert.equal((await run(["--version", "v0.2.3", "--type", "patch", "--yes"])).code, 0);
      assert.match(file("pyproject.toml"), /^version = "0\.2\.3"/m);
    });

    it("marks a pre-release", async () => {
      const result = await run(["--version", "0.3.0rc1", "--type", "pre-release", "--yes"]);
      assert.equal(result.code, 0, result.output);
      assert.ok(created()[0]?.includes("--prerelease"));
    });

    it("does not upload an older build that lies in dist/", async () => {
      box.write("repository/dist/equidade_data_package-0.2.2.tar.gz", "old");
      await run(FLAGS);
      assert.deepEqual(
        created()[0]?.filter((arg) => arg.startsWith("dist/")),
        BUILT,
      );
    });

    it("--dry-run changes nothing and says what it would do", async () => {
      const before = snapshot();
      const result = await run(["--version", "0.2.3", "--type", "minor", "--dry-run"]);
      assert.equal(result.code, 0, result.output);
      assert.match(result.stdout, /git push --atomic origin HEAD:main refs\/tags\/v0\.2\.3/);
      assert.deepEqual(snapshot(), before);
      assert.deepEqual([steps(), created()], [[], []]);
    });

    it("--help", async () => {
      const result = await run(["--help"]);
      assert.equal(result.code, 0);
      assert.match(result.stdout, /^Usage: scripts\/release\.sh/);
    });

    for (const [args, missing] of [
      [[], "--version --type --yes"],
      [["--version", "0.2.3"], "--type --yes"],
      [FLAGS.slice(0, 4), "--yes"],
    ] as const) {
      it(`without a terminal and with ${args.join(" ") || "nothing"}: ${missing} is missing`, async () => {
        const result = await run([...args]);
        assert.equal(result.code, 2);
        assert.match(result.stderr, new RegExp(`are missing: ${missing}\\n`));
      });
    }

    for (const args of [["--versoin", "1"], ["--version"], ["0.2.3"]]) {
      it(`refuses ${args.join(" ")}`, async () => assert.equal((await run(args)).code, 2));
    }
  });

  describe("where the version is written", () => {
    const layouts: [string, Record<string, string>, string, RegExp][] = [
      [
        "poetry",
        { "pyproject.toml": "[tool.poetry]\nname = \"equidade-data-package\"\nversion = '0.2.2'\n" },
        "pyproject.toml",
        /^version = '0\.2\.3'$/m,
      ],
      [
        "setup.cfg",
        {
          "pyproject.toml": "[build-system]\nrequires = []\n",
          "setup.cfg": "[metadata]\nname = equidade-data-package\nversion = 0.2.2\n",
        },
        "setup.cfg",
        /^version = 0\.2\.3$/m,
      ],
      [
        "setup.py",
        {
          "pyproject.toml": "",
          "setup.py": 'setup(name="equidade-data-package", version="0.2.2", python_version="3")\n',
        },
        "setup.py",
        /, version="0\.2\.3", python_version="3"\)/,
      ],
      [
        "a dynamic version",
        { "pyproject.toml": '[project]\nname = "equidade-data-package"\ndynamic = ["version"]\n' },
        "equidade_data_package/__init__.py",
        /^__version__ = '0\.2\.3'\r$/m,
      ],
    ];
    for (const [what, files, name, expected] of layouts) {
      it(what, async () => {
        start(files);
        const result = await run(FLAGS);
        assert.equal(result.code, 0, result.output);
        assert.match(file(name), expected);
        assert.match(file("equidade_data_package/__init__.py"), /0\.2\.3/);
      });
    }
  });

  describe("refuses, changing nothing, when", () => {
    const refuse = async (message: RegExp, args = FLAGS) => {
      const before = snapshot();
      const result = await run(args);
      assert.equal(result.code, 1, result.output);
      assert.match(result.stderr, /^✗ Not released, nothing was changed:\n/);
      assert.match(result.stderr, message);
      assert.deepEqual(snapshot(), before);
      assert.deepEqual([steps(), created()], [[], []]);
      return result;
    };
    const version = (text: string, type = "minor") => ["--version", text, "--type", type, "--yes"];

    it("the work tree is not clean", async () => {
      box.write("repository/new.py", "");
      await refuse(/work tree is not clean/);
    });
    it("another branch is checked out", async () => {
      box.git(at.clone, "checkout", "-q", "-b", "x");
      await refuse(/not on the branch main/);
    });
    it("the tag is here", async () => {
      box.git(at.clone, "tag", "v0.2.3");
      await refuse(/the tag v0\.2\.3 is here already/);
    });
    it("the tag is on the remote", async () => {
      box.git(at.remote, "tag", "v0.2.3", "main");
      await refuse(/the tag v0\.2\.3 is on the remote already/);
    });
    it("gh is not signed in", async () => {
      tools({ auth: "exit 1" });
      await refuse(/gh auth login/);
    });
    it("the release type is unknown", () => refuse(/no such release type: huge/, version("0.2.3", "huge")));
    it("the version is no version", () => refuse(/not a version: '0\.2\.3; id'/, version("0.2.3; id")));
    it("the branch is behind the remote", async () => {
      box.git(box.dir, "clone", "-q", at.remote, box.path("other"));
      box.git(box.path("other"), "commit", "-q", "--allow-empty", "-m", "Other");
      box.git(box.path("other"), "push", "-q");
      await refuse(/behind origin\/main: git pull first/);
    });
    for (const [text, type] of [
      ["0.3.0rc1", "minor"],
      ["0.3.0.dev1", "major"],
      ["0.2.3", "pre-release"],
    ] as const) {
      it(`${text} is called ${type}`, () =>
        refuse(new RegExp(`version ${text} is .*a pre-release, but the release type is ${type}`), version(text, type)));
    }
    for (const [text, type] of [
      ["0.2.2", "patch"],
      ["0.2.1", "patch"],
      ["0.2", "minor"],
      ["0.2.2rc9", "pre-release"],
      ["0.2.2.0", "patch"],
      ["0.2.2.dev1", "pre-release"],
    ] as const) {
      it(`${text} is not newer than 0.2.2`, () =>
        refuse(new RegExp(`version ${text} is not newer than the current 0\\.2\\.2`), version(text, type)));
    }
    it("several things are wrong: all are told together", async () => {
      tools({ auth: "exit 1" });
      box.write("repository/new.py", "");
      const { stderr } = await refuse(/not clean[\s\S]*gh auth login[\s\S]*not newer/, version("0.2.1"));
      assert.equal(stderr.split("\n").filter((line) => line.startsWith("  - ")).length, 3);
    });
    it("it is not started in the root of the repository", async () => {
      const result = await box.run("../scripts/release.sh", FLAGS, { cwd: `${at.clone}/equidade_data_package` });
      assert.equal(result.code, 1);
      assert.match(result.stderr, /not in the root directory of the git repository/);
    });
  });

  it("orders versions as PEP 440 does", async () => {
    const ordered = [
      "0.2.2.post1.dev1",
      "0.2.2.post1",
      "0.3.dev1",
      "0.3a1.dev1",
      "0.3a1",
      "0.3-alpha.2",
      "0.3b1",
      "0.3rc1",
      "0.3",
      "0.3.0.post1",
      "0.10",
      "1.0",
    ];
    for (let index = 1; index < ordered.length; index++) {
      const [older = "", newer = ""] = ordered.slice(index - 1);
      box.write("repository/pyproject.toml", PYPROJECT.replace("0.2.2", older));
      const type = /dev|a|b|rc/.test(newer) ? "pre-release" : "minor";
      const { stderr } = await run(["--version", newer, "--type", type, "--dry-run"]);
      assert.ok(!stderr.includes("is not newer") && !stderr.includes("pre-release"), `${older} < ${newer}: ${stderr}`);
    }
  });

  describe("loses nothing when", () => {
    const lost = async (message: RegExp): Promise<Result> => {
      const before = snapshot();
      const result = await run(FLAGS);
      assert.notEqual(result.code, 0);
      assert.match(result.stderr, message);
      assert.match(result.stderr, /Nothing was released\. The version files are as they were/);
      assert.deepEqual(snapshot(), before);
      assert.deepEqual(created(), []);
      return result;
    };

    it("the tests fail, whose output it shows", async () => {
      tools({ tests: 'echo "1 failed"; exit 1' });
      const { stdout } = await lost(/1 failed\n✗ Tests failed/);
      assert.ok(!stdout.includes("✓"));
    });
    it("the build fails", async () => {
      tools({ build: "exit 1" });
      await lost(/✗ Build failed/);
    });
    it("the build makes nothing", async () => {
      tools({ build: ":" });
      await lost(/Build failed: it put nothing in dist/);
    });
    it("the commit is refused by a hook", async () => {
      chmodSync(box.write("repository/.git/hooks/pre-commit", "#!/bin/sh\necho style; exit 1\n"), 0o755);
      await lost(/style\n✗ Commit failed/);
    });
    it("the push is refused: commit and tag are removed again", async () => {
      chmodSync(box.write("repository.git/hooks/update", "#!/bin/sh\necho GH006 >&2; exit 1\n"), 0o755);
      await lost(/GH006[\s\S]*✗ Push failed[\s\S]*the commit and the tag v0\.2\.3 were removed again/);
    });
    it("somebody else pushed during the tests: their commit stays and nothing of this release is there", async () => {
      tools({
        tests: `git clone -q ${at.remote} ${box.path("other")} && cd ${box.path("other")} && git commit -q --allow-empty -m Other && git push -q`,
      });
      const before = snapshot();
      const result = await run(FLAGS);
      assert.equal(result.code, 1);
      assert.match(result.stderr, /Push failed/);
      assert.equal(box.git(at.remote, "log", "-1", "--format=%s", "main"), "Other");
      assert.equal(box.git(at.remote, "tag"), "");
      assert.deepEqual(
        snapshot().filter((_, index) => index !== 3),
        before.filter((_, index) => index !== 3),
      );
    });
    it("it is interrupted", async () => {
      tools({ tests: "kill -INT $PPID" });
      await lost(/Nothing was released/);
    });
  });

  it("keeps local commits that were not pushed when the push fails", async () => {
    box.write("repository/more.py", "");
    box.git(at.clone, "add", ".");
    box.git(at.clone, "commit", "-q", "-m", "Mine");
    chmodSync(box.write("repository.git/hooks/update", "#!/bin/sh\nexit 1\n"), 0o755);
    const result = await run(FLAGS);
    assert.equal(result.code, 1);
    assert.match(result.stdout, /1 local commit\(s\) not yet on origin\/main will be pushed too/);
    assert.equal(box.git(at.clone, "log", "-1", "--format=%s"), "Mine");
    assert.equal(box.git(at.clone, "status", "--porcelain"), "");
  });

  it("believes the remote, not the connection: a push whose answer was lost has arrived", async () => {
    box.stub("git", `[[ $1 != push ]] && exec ${real("git")} "$@"; ${real("git")} "$@"; exit 128`);
    const result = await run(FLAGS);
    assert.equal(result.code, 0, result.output);
    assert.equal(created().length, 1);
    assert.equal(box.git(at.remote, "tag"), "v0.2.3");
  });

  it("when only the GitHub release fails: keeps what is pushed and says the command that finishes", async () => {
    tools({ create: "echo HTTP 502; exit 1" });
    const result = await run(FLAGS);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /HTTP 502\n✗ GitHub release failed\n/);
    const command = result.stderr.trimEnd().split("\n").at(-1)?.trim() ?? "";
    assert.equal(command, `gh release create v0.2.3 --title v0.2.3 --generate-notes --verify-tag ${BUILT.join(" ")}`);
    assert.equal(box.git(at.remote, "tag"), "v0.2.3");
    assert.equal(box.git(at.clone, "log", "-1", "--format=%s"), "Release v0.2.3");
  });

  describe("on a terminal", () => {
    const MENU = "  1 patch\n  2 minor\n  3 major\n  4 pre-release\n";
    const talk = (answers: [string, string][], args: string[] = [], env: Env = { NO_COLOR: "1" }) =>
      box.run(PYTHON, ["-c", TERMINAL, JSON.stringify(answers), "scripts/release.sh", ...args], {
        cwd: at.clone,
        env: { TERM: "xterm", ...env },
      });
    /** What is to be seen in the end: a line that is written again replaces the one before. */
    const screen = (text: string) => text.replaceAll("\r\n", "\n").replaceAll(/[^\n]*\n\x1b\[1A\r\x1b\[K/g, "");
    const ANSWERS: [string, string][] = [
      ["Enter new version: ", "0.2.3"],
      ["Select release type: ", "2"],
      ["Continue? ", "y"],
    ];

    it("is the dialogue of the documentation", async () => {
      const result = await talk(ANSWERS);
      assert.equal(result.code, 0, result.output);
      assert.equal(
        screen(result.stdout),
        `ℹ Current version: 0.2.2\nEnter new version: 0.2.3\n${MENU}Select release type: 2 (minor)\nContinue? y\n\n${DONE}`,
      );
      assert.equal(box.git(at.remote, "tag"), "v0.2.3");
    });

    it("asks only for what no flag says", async () => {
      const result = await talk([["Continue? ", "yes"]], ["--version", "0.2.3", "--type", "minor"]);
      assert.equal(result.code, 0, result.output);
      assert.equal(screen(result.stdout), `ℹ Current version: 0.2.2\nContinue? yes\n\n${DONE}`);
    });

    it("changes nothing when it is not to continue", async () => {
      const before = snapshot();
      const result = await talk([...ANSWERS.slice(0, 2), ["Continue? ", ""]]);
      assert.equal(result.code, 1);
      assert.match(result.stdout, /Not released, nothing was changed/);
      assert.deepEqual(snapshot(), before);
      assert.deepEqual(steps(), []);
    });

    it("asks nothing when it could not release anyway", async () => {
      box.write("repository/new.py", "");
      const result = await talk(ANSWERS);
      assert.equal(result.code, 1);
      assert.ok(!result.stdout.includes("Enter new version"));
    });

    it("has colours, which NO_COLOR takes away", async () => {
      assert.ok((await talk(ANSWERS, [], {})).stdout.includes("\x1b[32m✓\x1b[0m Tests passed"));
      start();
      assert.ok(!(await talk(ANSWERS)).stdout.includes("\x1b[3"));
    });
  });
});
