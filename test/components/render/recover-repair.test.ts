import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { type Env, real } from "../../support/sandbox.ts";
import { CANARY, HEAD, job, OUTDATED, packages, recoverSuite } from "./recover-suite.ts";
import { SERVICE } from "./render-stub.ts";
import type { Run } from "./repository-stub.ts";

const LOCK = "pnpm-lock.yaml";
const OLD = packages({ left: ["^1.0.0", "1.0.0"] });
const NEW = packages({ left: ["^1.0.0", "1.0.0"], right: ["^2.0.0", "2.3.0"] });
/** What has no version that it could keep. */
const NEWEST = packages({ left: ["^1.0.0", "1.5.0"], right: ["^2.0.0", "2.3.0"] });

describe("recover.py: repairs", () => {
  const suite = recoverSuite();
  let remote: string;

  /** A repository with these files, and a run of its commit that has failed. */
  const repository = (files: Record<string, string>, lines = [OUTDATED]): Run => {
    const made = suite.box.repository({ "README.md": "Mining\n", ...files });
    ({ remote, clone: suite.cwd } = made);
    return run({ jobs: [job(lines)] });
  };
  const run = (more: Partial<Run> = {}): Run =>
    suite.github.run({ file: "deploy.yaml", head_sha: suite.box.git(suite.cwd, "rev-parse", "HEAD"), ...more });
  const outgrown = (lock = OLD.lock) => repository({ "package.json": NEW.manifest, [LOCK]: lock });
  const at = (revision: string, path: string) => `${suite.box.git(remote, "show", `${revision}:${path}`)}\n`;
  const log = (revision = "main") => suite.box.git(remote, "log", "--format=%an <%ae> %s", revision).split("\n");
  const state = (expected: Partial<Record<"dispatched" | "rerun", unknown[]>> = {}) => {
    const { dispatched, rerun } = suite.github;
    assert.deepEqual({ dispatched, rerun }, { dispatched: [], rerun: [], ...expected });
  };
  const repairs = async (failed: Run, env: Env = {}) => {
    const { action, code, output } = await suite.recover(failed, env);
    assert.equal(code, 0, output);
    assert.deepEqual(suite.github.issues, []);
    return { action, output };
  };
  /** The one issue, whose text holds these words. */
  const told = (...words: RegExp[]) => {
    const { issues } = suite.github;
    assert.equal(issues.length, 1, JSON.stringify(issues));
    assert.deepEqual(issues[0]!.comments, []);
    for (const each of words) assert.match(issues[0]!.body, each);
    return issues[0]!;
  };
  /** Somebody pushes these files to main, once, while pnpm works. */
  const meanwhile = (files: Record<string, string>) => {
    const other = suite.box.path("other");
    suite.box.git(suite.box.dir, "clone", "--quiet", remote, other);
    for (const [path, text] of Object.entries(files)) suite.box.write(`other/${path}`, text);
    suite.box.git(other, "add", "--all");
    suite.box.git(other, "commit", "--quiet", "--message", "In between");
    suite.usePnpm(`[ -e ${other}/pushed ] || { >${other}/pushed; ${real("git")} -C ${other} push --quiet; }`);
  };
  /** The rules of a protected branch, in GitHub's words. */
  const protect = (words = "error: GH006: Protected branch update failed for refs/heads/main.") => {
    const hook = suite.box.write(
      "repository.git/hooks/pre-receive",
      `#!/bin/sh\nwhile read -r _ _ ref; do [ "$ref" != refs/heads/main ] || { echo "${words}"; exit 1; }; done\n`,
    );
    chmodSync(hook, 0o755);
  };

  describe("the lock file", () => {
    const conflict = OLD.lock.replace(
      "        version: 1.0.0\n",
      "<<<<<<< HEAD\n        version: 1.0.0\n=======\n        version: 1.5.0\n>>>>>>> feature\n",
    );
    const lost = NEW.lock
      .replace(/ {2}right@2\.3\.0:\n.*\n\n/, "")
      .replace(" right@2.3.0: {}\n", "")
      .replace(/\n\n $/, "\n");
    for (const [what, lock, expected] of [
      ["that package.json has outgrown", OLD.lock, NEW],
      ["with the marks of a conflict", conflict, NEW],
      ["that lost a package when a conflict was resolved", lost, NEW],
      ["that is no YAML", "a: [1\n  b: }{", NEWEST],
      ["that is empty", "", NEWEST],
      ["of another version of its format", OLD.lock.replace("'9.0'", "'99.0'"), NEWEST],
    ] as const)
      it(what, async () => {
        const { action, output } = await repairs(outgrown(lock));
        assert.equal(action, "rebuild");
        assert.equal(at("main", LOCK), expected.lock);
        assert.equal(suite.box.git(suite.cwd, "status", "--porcelain"), "");
        assert.deepEqual(log(), [
          "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com> ci: rebuild pnpm-lock.yaml",
          "A Person <person@example.com> First",
        ]);
        assert.equal(
          suite.box.git(remote, "log", "-1", "--format=%(trailers)", "main"),
          "Pipeline-Recovery: https://github.example/sua-org/mining/actions/runs/9000",
        );
        state({ dispatched: ["deploy.yaml main"] });
        assert.match(output, /^::notice title=Repaired::Pushed a new pnpm-lock\.yaml; started deploy\.yaml$/m);
        assert.deepEqual(
          suite.box.calls("pnpm").map(({ argv }) => argv.join(" ")),
          ["install --lockfile-only --no-frozen-lockfile --fix-lockfile --ignore-scripts"],
        );
      });

    it("that is not there at all", async () => {
      await repairs(repository({ "package.json": NEW.manifest }, [" ERR_PNPM_NO_LOCKFILE  Cannot install"]));
      assert.equal(at("main", LOCK), NEWEST.lock);
      state({ dispatched: ["deploy.yaml main"] });
    });

    it("fits for the very pnpm that refused it, and the run of the repair is not repaired again", async () => {
      const failed = outgrown();
      const frozen = ["install", "--lockfile-only", "--frozen-lockfile", "--ignore-scripts"];
      const env = { npm_config_registry: suite.registry.url };
      const before = await suite.box.run("pnpm", frozen, { cwd: suite.cwd, env });
      assert.match(before.output, /ERR_PNPM_OUTDATED_LOCKFILE/);
      await repairs(failed);
      assert.equal((await suite.box.run("pnpm", frozen, { cwd: suite.cwd, env })).code, 0);
      const message = suite.box.git(remote, "log", "-1", "--format=%B", "main");
      const { action } = await suite.recover(run({ message, jobs: [job([OUTDATED])] }));
      assert.equal(action, "tell");
      told(/A lock file that was made anew is refused again/);
      assert.equal(log().length, 2);
      state({ dispatched: ["deploy.yaml main"] });
    });

    it("runs no script of the project or of a package", async () => {
      const names = ["preinstall", "install", "postinstall", "prepare", "pnpm:devPreinstall"];
      const scripts = Object.fromEntries(names.map((name) => [name, "touch owned"]));
      const manifest = JSON.stringify({ ...(JSON.parse(NEW.manifest) as object), scripts });
      await repairs(repository({ "package.json": manifest, [LOCK]: OLD.lock }));
      assert.equal(suite.box.git(suite.cwd, "status", "--porcelain", "--ignored"), "");
      assert.deepEqual(
        suite.registry.requests.map(({ path }) => path).filter((path) => path.endsWith(".tgz")),
        [],
      );
    });

    it("shows pnpm no secret, whatever its name", async () => {
      const canary = { NPM_PASSWORD: "x", DEPLOY_KEY: "x", CLIENT_SECRET: "x", SSH_AUTH_SOCK: "x", github_token: "x" };
      await repairs(outgrown(), { ...canary, HARMLESS: "x" });
      const [call] = suite.box.calls("pnpm");
      assert.deepEqual(
        call!.env.filter((name) => name in canary || /TOKEN|RENDER|HOOK/.test(name)),
        [],
      );
      assert.ok(call!.env.includes("HARMLESS"));
    });

    it("where another file came in between", async () => {
      const failed = outgrown();
      meanwhile({ "README.md": "More\n" });
      await repairs(failed);
      assert.deepEqual([at("main", LOCK), at("main", "README.md")], [NEW.lock, "More\n"]);
      assert.equal(log().length, 3);
      state({ dispatched: ["deploy.yaml main"] });
    });

    it("where package.json came in between: it fits the new one", async () => {
      const failed = outgrown();
      const wanted = packages({ left: ["1.5.0", "1.5.0"], right: ["^2.0.0", "2.3.0"] });
      meanwhile({ "package.json": wanted.manifest });
      await repairs(failed);
      assert.deepEqual([at("main", LOCK), at("main", "package.json")], [wanted.lock, wanted.manifest]);
      state({ dispatched: ["deploy.yaml main"] });
    });

    it("where the lock file itself came in between: pnpm goes on from that, and nothing conflicts", async () => {
      const failed = outgrown();
      meanwhile({ [LOCK]: packages({ left: ["^1.0.0", "1.5.0"] }).lock });
      await repairs(failed);
      assert.equal(at("main", LOCK), NEWEST.lock, "the version that came in between is kept");
      assert.equal(log().length, 3);
      state({ dispatched: ["deploy.yaml main"] });
    });

    it("which somebody repaired in between: nothing is pushed, and nothing told", async () => {
      const failed = outgrown();
      meanwhile({ [LOCK]: NEW.lock });
      // The push of who repaired it has started its deploy.
      suite.github.run({ file: "deploy.yaml", run_number: 1, status: "queued", conclusion: null });
      const { output } = await repairs(failed);
      assert.match(output, /title=Repaired::pnpm-lock\.yaml fits on main: somebody has repaired it since run 100$/m);
      assert.deepEqual(
        log().map((line) => line.split("> ")[1]),
        ["In between", "First"],
      );
      state();
    });

    it("which somebody repaired before the checkout, in package.json", async () => {
      const failed = outgrown();
      suite.box.write("repository/package.json", OLD.manifest);
      suite.box.git(suite.cwd, "commit", "--quiet", "--all", "--message", "Back");
      suite.box.git(suite.cwd, "push", "--quiet");
      suite.github.run({ file: "deploy.yaml", run_number: 1, status: "queued", conclusion: null });
      assert.match((await repairs(failed)).output, /somebody has repaired it since/);
      assert.equal(log().length, 2);
      state();
    });

    it("that pnpm makes just as it is: an issue, though another file came since", async () => {
      const failed = repository({ "package.json": NEW.manifest, [LOCK]: NEW.lock });
      suite.box.git(suite.cwd, "commit", "--quiet", "--allow-empty", "--message", "Status");
      suite.box.git(suite.cwd, "push", "--quiet");
      const { code, output } = await suite.recover(failed);
      assert.equal(code, 1, output);
      assert.match(
        output,
        /^::error title=Not repaired::pnpm makes the same pnpm-lock\.yaml again: .*packageManager$/m,
      );
      told(/failed of the lock file \(ERR_PNPM_OUTDATED_LOCKFILE\).*pnpm makes the same pnpm-lock\.yaml again/);
      assert.equal(log().length, 2);
      state();
    });

    for (const [status, code] of [
      [404, "ERR_PNPM_FETCH_404"],
      [503, "ERR_PNPM_FETCH_503"],
    ] as const)
      it(`that pnpm cannot make, for ${status}: an issue, and what is locked stays`, async () => {
        suite.registry.on("GET /nonesuch", { status, body: CANARY });
        const { manifest } = packages({ left: ["^1.0.0", ""], nonesuch: ["1.0.0", ""] });
        const { code: exit, output } = await suite.recover(repository({ "package.json": manifest, [LOCK]: OLD.lock }));
        assert.equal(exit, 1, output);
        const words = `pnpm cannot make pnpm-lock\\.yaml \\(${code}\\): a person has to look at package\\.json`;
        assert.match(output, new RegExp(`^::error title=Not repaired::${words}$`, "m"));
        told(new RegExp(words));
        assert.equal(log().length, 1);
        state();
      });

    it("is told of once where GitHub has trouble, whatever number it gives that", async () => {
      const failed = outgrown();
      for (const id of ["2E5C:3A10", "B07:F1C2"]) {
        protect(`Internal Server Error. Request ID ${id}`);
        suite.box.git(suite.cwd, "reset", "--quiet", "--hard", "origin/main");
        const { code, output } = await suite.recover(failed);
        assert.equal(code, 1, output);
        assert.match(output, new RegExp(`^::error title=Not pushed::main: .*Request ID ${id}`, "m"));
      }
      told(/Internal Server Error/);
    });

    it("without pnpm", async () => {
      const failed = outgrown();
      const { code, output } = await suite.recover(failed, { PATH: "/usr/bin:/bin" });
      assert.equal(code, 1, output);
      assert.match(output, /^::error title=Not repaired::pnpm cannot be started \(No such file or directory\)/m);
      told(/pnpm cannot be started/);
    });

    it("is not made without a permission: says which, and that no deploy has started", async () => {
      const failed = outgrown();
      suite.github.forbidden.add("actions/create-workflow-dispatch");
      const { code, output } = await suite.recover(failed);
      assert.equal(code, 1, output);
      assert.match(
        output,
        /^::error title=Not permitted::.*workflows\/deploy\.yaml\/dispatches.*`permissions: actions: write/m,
      );
      told(/GitHub answers status 403/);
      assert.equal(log().length, 2);
      // What was pushed and not started is started by the next look.
      suite.github.forbidden.clear();
      const next = await suite.recover(failed);
      assert.equal(next.code, 0, next.output);
      assert.match(next.output, /fits on main by now, and was not deployed; started deploy\.yaml$/m);
      assert.equal(log().length, 2);
      assert.deepEqual(suite.github.dispatched, ["deploy.yaml main"]);
    });
  });

  describe("the lock file of a protected branch", () => {
    for (const words of [
      "error: GH006: Protected branch update failed for refs/heads/main.",
      "error: GH013: Repository rule violations found for refs/heads/main.",
    ])
      it(words, async () => {
        const failed = outgrown();
        protect(words);
        const { output } = await repairs(failed);
        assert.match(
          output,
          /^::notice title=Repaired::main is protected: a pull request from pipeline\/lock-file has/m,
        );
        assert.equal(log().length, 1, "no push past the rules");
        assert.equal(at(HEAD, LOCK), NEW.lock);
        assert.equal(log(HEAD).length, 2);
        state();
        assert.equal(suite.github.pulls.length, 1);
        const { title, head, base, body } = suite.github.pulls[0]!;
        assert.deepEqual([title, head, base], ["ci: rebuild pnpm-lock.yaml", HEAD, "main"]);
        assert.match(body, /^deploy\.yaml, \[run 100\]\(https:\/\/github\.example.*\), failed of its lock file\./);
        assert.match(body, /GitHub starts its checks once somebody with write access has approved them\.$/);

        // The next failure of the same: in a checkout of its own, as it would be.
        suite.box.git(suite.cwd, "reset", "--quiet", "--hard", "origin/main");
        const tip = suite.box.git(remote, "rev-parse", HEAD);
        const again = await repairs(run({ jobs: [job([OUTDATED])] }));
        assert.equal(again.action, "rebuild");
        assert.equal(suite.github.pulls.length, 1);
        assert.equal(suite.box.git(remote, "rev-parse", HEAD), tip);
        state();
      });

    it("cannot be proposed: an issue says how it could", async () => {
      const failed = outgrown();
      protect();
      suite.github.forbidden.add("pulls/create");
      const { code, output } = await suite.recover(failed);
      assert.equal(code, 1, output);
      assert.match(output, /^::error title=No pull request::.*status 403.*Allow GitHub Actions to create/m);
      told(/Allow GitHub Actions to create and approve pull requests/);
      state();
    });
  });

  describe("a run that is worth another attempt", () => {
    const reset = ["npm error code ECONNRESET"];

    it("goes on, and nothing else happens", async () => {
      const failed = repository({}, reset);
      const { action, output } = await repairs(failed);
      assert.equal(action, "rerun");
      assert.match(output, /^::notice title=Repaired::Run 100 of deploy\.yaml goes on, at attempt 2$/m);
      assert.equal(log().length, 1);
      state({ rerun: [failed.id] });
    });

    it("without the permission: says which, in the run and in an issue, or where that is refused too, in the run", async () => {
      const failed = repository({}, reset);
      suite.github.forbidden.add("actions/re-run-workflow-failed-jobs");
      const { code, output } = await suite.recover(failed);
      assert.equal(code, 1, output);
      assert.match(output, /^::error title=Not permitted::.*rerun-failed-jobs.*`permissions: actions: write/m);
      told(/It failed of something that passes.*GitHub answers status 403/);
      suite.github.forbidden.add("issues/list-for-repo");
      const both = await suite.recover(failed);
      assert.equal(both.code, 1);
      assert.match(both.output, /^::warning title=No issue::.*status 403/m);
      assert.match(both.output, /^::error title=Not permitted::.*rerun-failed-jobs/m);
    });

    it("is told of once, though it happens ten times", async () => {
      repository({});
      for (let time = 0; time < 10; time += 1) {
        const result = await suite.recover(run({ run_attempt: 3, jobs: [job(reset)] }));
        assert.deepEqual([result.action, result.code], ["tell", 0], result.output);
      }
      const issue = told(
        /It failed in each of 3 attempts of something that passes/,
        /<!-- pipeline: workflow deploy\.yaml on main -->/,
      );
      assert.deepEqual([issue.title, issue.labels], ["deploy.yaml has failed, and was not repaired", ["pipeline"]]);
      assert.match(
        issue.body,
        /^\[run 101, attempt 3\]\(https:\/\/github\.example.*\) of `deploy\.yaml` at `[0-9a-f]{7}`/,
      );
      state();
      const other = await suite.recover(run({ jobs: [job(["1 failed"])] }));
      assert.equal(other.code, 0, other.output);
      assert.equal(issue.comments.length, 1, "another cause is news");
    });
  });

  describe("what a person has to mend", () => {
    it("is told of in an issue, which the monitor closes", async () => {
      const failed = repository({}, ["1 failed, 500 timeout"]);
      const { action, code, output } = await suite.recover(failed);
      assert.deepEqual([action, code], ["tell", 0], output);
      told(/was not repaired\.\n\nNothing that a program can repair; failed: build: Install\.\n/);
      assert.equal(log().length, 1);
      state();
      run({ conclusion: "success" });
      const monitored = await suite.start("monitor.py", {
        STATUS_FILE: "docs/PIPELINE.md",
        STATUS_HEAD: "pipeline/status",
      });
      assert.equal(monitored.code, 0, monitored.output);
      assert.equal(suite.github.issues[0]!.state, "closed");
    });

    it("is a deploy that failed: the monitor's own issue, and it opens no second one", async () => {
      const said = "dep-d1 of aaaaaaa: update_failed, the new version did not start";
      suite.render.add({ id: "dep-d1", status: "update_failed" });
      for (const line of [`[deploy-failed] ${said}`, "[deploy-timeout] dep-d1 is still update_in_progress"]) {
        const failed = line.startsWith("[deploy-failed]")
          ? repository({}, [`##[error]${line}`])
          : run({ jobs: [job([`##[error]${line}`])] });
        const { action, code, output } = await suite.recover(failed);
        assert.deepEqual([action, code], ["tell", 0], output);
      }
      const monitored = await suite.start("monitor.py", {
        STATUS_FILE: "docs/PIPELINE.md",
        STATUS_HEAD: "pipeline/status",
      });
      assert.equal(monitored.code, 0, monitored.output);
      const issue = told(new RegExp(`<!-- pipeline: service ${SERVICE} -->`), /`dep-d1`.*`update_failed`/);
      assert.equal(issue.title, "mining: the deploy to Render failed");
      state();
    });

    it("is a deploy of which Render says nothing (any more): the workflow's issue", async () => {
      const line = "##[error][deploy-failed] dep-d1 of aaaaaaa: update_failed, it did not start";
      const failed = repository({}, [line]);
      for (const RENDER_API_KEY of ["", suite.render.apiKey]) {
        const { code, output } = await suite.recover(failed, { RENDER_API_KEY });
        assert.equal(code, 0, output);
      }
      told(/<!-- pipeline: workflow deploy\.yaml on main -->/, /Render's deploy failed; failed: build: Install/);
    });

    it("cannot be told without the permission: says which", async () => {
      const failed = repository({}, ["1 failed"]);
      suite.github.forbidden.add("issues/create");
      const { code, output } = await suite.recover(failed);
      assert.equal(code, 1);
      assert.match(output, /^::error title=Not permitted::.*POST.*issues.*status 403|status 403.*issues: write/m);
      assert.equal(output.match(/^::error/gm)?.length, 1);
    });
  });

  it("does nothing without a diagnosis", async () => {
    repository({});
    const early = await suite.repair();
    assert.match(early.output, /^::error title=Nothing to repair::there is no diagnosis: COMMAND=diagnose comes first/);
    assert.equal(early.code, 1);
  });
});
