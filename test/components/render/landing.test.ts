import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { real } from "../../support/sandbox.ts";
import { StubServer } from "../../support/stub-server.ts";
import { HEAD, LATER, monitorSuite, NOW, STATUS } from "./monitor-suite.ts";

const BOT = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>";
/** What GitHub says of a push that its rules refuse. */
const PROTECTED: Record<string, string> = {
  GH006: [
    "error: GH006: Protected branch update failed for refs/heads/main.",
    'error: Required status check "test" is expected.',
  ].join("\n"),
  GH013: [
    "error: GH013: Repository rule violations found for refs/heads/main.",
    "Review all repository rules at https://github.com/sua-org/mining/rules?ref=refs%2Fheads%2Fmain",
    "",
    "- Changes must be made through a pull request.",
  ].join("\n"),
};

describe("landing.py", () => {
  const suite = monitorSuite();

  /** Of the commits of a branch, the newest first. */
  const log = (format: string, branch = "main") =>
    suite.box.git(suite.remote, "log", `--format=${format}`, branch).split("\n");
  const files = (revision: string) =>
    suite.box.git(suite.remote, "show", "--format=", "--name-only", revision).split("\n");
  /** Before each of the next pushes somebody else pushes first. */
  const others = (...pushes: [path: string, text: string][]) => {
    const [first, ...rest] = pushes;
    suite.git.beforePush =
      first &&
      (() => {
        suite.push(...first);
        others(...rest);
      });
  };
  /** Main's rules, in GitHub's words; other branches are free. */
  const protect = (words: string) =>
    suite.hook(
      "pre-receive",
      `while read -r _ _ ref; do [ "$ref" != refs/heads/main ] || { cat >&2 <<'END'\n${words}\nEND\nexit 1; }; done`,
    );

  describe("pushes", () => {
    it("one commit of the bot's, with the file and its folder alone, from a checkout of one commit", async () => {
      const output = await suite.passes();
      assert.match(output, /^docs\/PIPELINE\.md: pushed$/m);
      assert.deepEqual(log("%an <%ae> %cn <%ce>: %s"), [
        `${BOT} ${BOT}: docs: PIPELINE.md as of ${NOW} [skip render]`,
        "A Person <person@example.com> A Person <person@example.com>: First",
      ]);
      assert.deepEqual(files("main"), [STATUS]);
      assert.equal(suite.box.git(suite.checkout, "rev-parse", "--is-shallow-repository"), "true");
    });

    it("nothing where nothing but the time has changed, and leaves the checkout as it was", async () => {
      await suite.passes();
      const [was] = log("%H");
      const text = suite.status();
      assert.match(await suite.passes({ NOW: LATER }), /Nothing has changed but the time: no commit/);
      assert.deepEqual([log("%H")[0], suite.status(), suite.pushes()], [was, text, 1]);
      assert.equal(suite.box.git(suite.checkout, "status", "--porcelain"), "");
    });

    it("no other change of the checkout, staged or not", async () => {
      await suite.passes();
      suite.box.write("checkout/README.md", "staged\n");
      suite.box.write("checkout/new.txt", "staged\n");
      suite.box.git(suite.checkout, "add", "--all");
      suite.box.write("checkout/package.json", "not staged\n");
      suite.box.write("checkout/untracked.txt", "");
      suite.render.add();
      await suite.passes({ NOW: LATER });
      assert.deepEqual(files("main"), [STATUS]);
      assert.equal(log("%H").length, 3);
      assert.equal(
        suite.box.git(suite.checkout, "status", "--porcelain"),
        "M  README.md\nA  new.txt\n M package.json\n?? untracked.txt",
      );
    });

    it("with the token in the environment of git alone, in place of one that the checkout kept", async () => {
      suite.box.git(
        suite.checkout,
        "config",
        `http.${suite.git.url}/.extraheader`,
        "AUTHORIZATION: basic b2xkOm9uZQ==",
      );
      await suite.passes();
      const [push] = suite.box.calls("git").filter(({ argv }) => argv[0] === "push");
      assert.deepEqual(push!.argv, ["push", "--quiet", "origin", "HEAD:refs/heads/main"]);
      assert.ok(push!.env.includes("GIT_CONFIG_VALUE_1"));
    });
  });

  describe("when somebody has pushed in between", () => {
    it("keeps another file's change", async () => {
      others(["README.md", "theirs\n"]);
      assert.match(await suite.passes(), /^main has moved on, at attempt 1: written again on what has come$/m);
      assert.deepEqual(log("%s"), [`docs: PIPELINE.md as of ${NOW} [skip render]`, "Change README.md", "First"]);
      assert.equal(suite.box.git(suite.remote, "show", "main:README.md"), "theirs");
      assert.deepEqual(files("main"), [STATUS]);
    });

    it("writes the very same file again, over theirs and after it", async () => {
      others([STATUS, "theirs\n"]);
      await suite.passes();
      assert.deepEqual(log("%s"), [`docs: PIPELINE.md as of ${NOW} [skip render]`, `Change ${STATUS}`, "First"]);
      assert.match(suite.status(), /^# Pipeline status\n/);
      assert.equal(suite.box.git(suite.remote, "show", `main~1:${STATUS}`), "theirs");
    });

    it("has nothing to add where they have written the same", async () => {
      await suite.passes();
      const text = suite.status();
      suite.box.git(suite.remote, "update-ref", "refs/heads/main", "main~1");
      suite.box.git(suite.checkout, "reset", "--quiet", "--hard", "HEAD~1");
      others([STATUS, text]);
      assert.match(await suite.passes({ NOW: LATER }), /no commit/);
      assert.deepEqual(log("%s"), [`Change ${STATUS}`, "First"]);
    });

    it("tries four times more", async () => {
      others(...["1", "2", "3", "4"].map((each): [string, string] => ["README.md", each]));
      await suite.passes();
      assert.equal(suite.pushes(), 5);
      assert.deepEqual(log("%s").slice(1), [...Array<string>(4).fill("Change README.md"), "First"]);
    });

    it("gives up then, and says so in words by which the recovery knows it", async () => {
      others(...["1", "2", "3", "4", "5"].map((each): [string, string] => ["README.md", each]));
      const words = await suite.fails("Not pushed");
      assert.match(words, /main moved on before each of 5 pushes: .*! \[rejected\] HEAD -> main \(fetch first\)/);
      assert.equal(suite.pushes(), 5);
      assert.equal(log("%s").length, 6);
    });

    it("knows that from GitHub too, which sees it last", async () => {
      suite.push("README.md", "theirs\n");
      const [theirs] = log("%H");
      suite.box.git(suite.remote, "update-ref", "refs/heads/main", "main~1");
      suite.hook("update", `[ -e moved ] || { touch moved; git update-ref refs/heads/main ${theirs}; }`);
      assert.match(await suite.passes(), /main has moved on, at attempt 1/);
      assert.equal(log("%s").length, 3);
      assert.equal(log("%H")[1], theirs);
    });
  });

  describe("when git's server is away", () => {
    it("pushes once it is back", async () => {
      suite.git.away = 2;
      assert.match(await suite.passes(), /git push: .*503, at attempt 2; trying again/);
      assert.equal(log("%s").length, 2);
    });

    it("fetches once it is back", async () => {
      others(["README.md", "theirs\n"]);
      const [seen, words] = [suite.box.path("seen"), "fatal: unable to access: Could not resolve host: github.com"];
      suite.box.stub(
        "git",
        `[ "$1" != fetch ] || [ -e ${seen} ] || { >${seen}; echo '${words}' >&2; exit 128; }\nexec ${real("git")} "$@"`,
      );
      assert.match(await suite.passes(), /git fetch: .*Could not resolve host: github.com, at attempt 1; trying again/);
      assert.equal(log("%s").length, 3);
    });

    it("does not push twice what arrived though its answer was lost", async () => {
      suite.git.losing = 1;
      assert.match(await suite.passes(), /^docs\/PIPELINE\.md: pushed$/m);
      assert.equal(log("%s").length, 2);
    });

    it("waits for one that is silent, and not without an end", async () => {
      const silent = await StubServer.start();
      try {
        silent.on("GET /sua-org/mining/info/refs?service=git-receive-pack", { delayMs: 60_000 });
        suite.box.git(suite.checkout, "remote", "set-url", "origin", `${silent.url}/sua-org/mining`);
        assert.match(await suite.fails("Not pushed", { GIT_HTTP_LOW_SPEED_TIME: "1" }), /main: .*too slow/);
        assert.equal(suite.pushes(), 4);
      } finally {
        await silent.close();
      }
    });

    it("has an end to its waiting by itself", async () => {
      const seen = suite.box.path("seen");
      suite.box.stub(
        "git",
        `echo "$GIT_HTTP_LOW_SPEED_LIMIT $GIT_HTTP_LOW_SPEED_TIME" >${seen}; exec ${real("git")} "$@"`,
      );
      await suite.passes();
      assert.equal(suite.box.read("seen"), "1 60\n");
    });

    it("gives up at last, with git's words and none of a permission", async () => {
      suite.git.away = 100;
      const words = await suite.fails("Not pushed");
      assert.match(words, /main: .*503/);
      assert.doesNotMatch(words, /permissions/);
      assert.equal(suite.pushes(), 4);
    });
  });

  it("says which permission is missing where it may not push", async () => {
    const denying = await StubServer.start();
    try {
      denying.on("GET /sua-org/mining/info/refs?service=git-receive-pack", {
        status: 403,
        headers: { "content-type": "text/plain" },
        body: "Permission to sua-org/mining.git denied to github-actions[bot].\n",
      });
      suite.box.git(suite.checkout, "remote", "set-url", "origin", `${denying.url}/sua-org/mining`);
      assert.match(
        await suite.fails("Not pushed"),
        /main: remote: Permission to sua-org\/mining\.git denied to github-actions\[bot\]\..*403\. The job needs `permissions: contents: write`$/,
      );
      assert.equal(denying.requests.length, 1);
    } finally {
      await denying.close();
    }
  });

  it("says what a hook of their own has said, and tries no more", async () => {
    suite.hook("pre-receive", "echo 'not on a Sunday' >&2; exit 1");
    assert.match(await suite.fails("Not pushed"), /main: remote: not on a Sunday .*pre-receive hook declined/);
    assert.equal(suite.pushes(), 1);
  });

  for (const [rule, words] of Object.entries(PROTECTED)) {
    describe(`where the branch is protected (${rule})`, () => {
      beforeEach(() => protect(words));

      it("proposes one pull request, and pushes nothing to the branch", async () => {
        assert.match(await suite.passes(), /^docs\/PIPELINE\.md: proposed$/m);
        assert.deepEqual(suite.repository.pulls, [
          {
            number: 1,
            title: `Status of the pipeline in ${STATUS}`,
            head: HEAD,
            base: "main",
            body: "Written by the monitor; kept up to date until it is merged.",
            state: "open",
            html_url: "https://github.example/sua-org/mining/pull/1",
          },
        ]);
        assert.deepEqual(log("%s"), ["First"]);
        assert.deepEqual(log("%s", HEAD), [`docs: PIPELINE.md as of ${NOW} [skip render]`, "First"]);
        assert.deepEqual(files(HEAD), [STATUS]);
      });
    });
  }

  describe("of a pull request", () => {
    /** As each run has it: a checkout of the branch as it stands. */
    const anew = () => {
      suite.box.git(suite.checkout, "fetch", "--quiet", "--depth=1", suite.remote, "main");
      suite.box.git(suite.checkout, "reset", "--quiet", "--hard", "FETCH_HEAD");
    };
    const proposed = async () => {
      protect(PROTECTED["GH006"]!);
      await suite.passes();
      anew();
    };

    it("leaves one alone that has the same status", async () => {
      await proposed();
      const [was] = log("%H", HEAD);
      assert.match(await suite.passes({ NOW: LATER }), /pull\/1 has it already\n.*PIPELINE\.md: waiting$/m);
      assert.equal(log("%H", HEAD)[0], was);
      assert.equal(suite.repository.pulls.length, 1);
      assert.equal(suite.pushes(), 3, "main twice, and its own branch once");
    });

    it("updates it where the status is another, on what the branch is now", async () => {
      await proposed();
      suite.render.add();
      suite.box.git(suite.remote, "update-ref", "refs/heads/main", commitOn("README.md", "theirs\n"));
      anew();
      await suite.passes({ NOW: LATER });
      assert.equal(suite.repository.pulls.length, 1);
      assert.deepEqual(log("%s", HEAD), [
        `docs: PIPELINE.md as of ${LATER} [skip render]`,
        "Change README.md",
        "First",
      ]);
      assert.match(suite.status(HEAD), /`live`/);
    });

    for (const end of ["merged", "closed"]) {
      it(`opens another once it was ${end}`, async () => {
        await proposed();
        suite.repository.pulls[0]!.state = "closed";
        if (end === "merged") suite.box.git(suite.remote, "update-ref", "refs/heads/main", HEAD);
        anew();
        suite.render.add();
        await suite.passes({ NOW: LATER });
        assert.deepEqual(
          suite.repository.pulls.map(({ state }) => state),
          ["closed", "open"],
        );
        assert.match(suite.status(HEAD), /`live`/);
      });
    }

    it("opens none once it was merged and all is as it was", async () => {
      await proposed();
      suite.repository.pulls[0]!.state = "closed";
      suite.box.git(suite.remote, "update-ref", "refs/heads/main", HEAD);
      anew();
      assert.match(await suite.passes({ NOW: LATER }), /no commit/);
      assert.equal(suite.repository.pulls.length, 1);
    });

    it("says which setting keeps workflows from opening one", async () => {
      suite.api.intercept = async (call, answer) =>
        call.operation === "pulls/create"
          ? suite.repository.refusal(403, "GitHub Actions is not permitted to create or approve pull requests.")
          : answer();
      protect(PROTECTED["GH013"]!);
      assert.match(
        await suite.fails("No pull request"),
        /status 403 to POST pulls: GitHub Actions is not permitted .*\(Settings, Actions, General, Allow GitHub Actions to create/,
      );
    });

    it("does not blame a setting where GitHub has trouble, and makes none twice", async () => {
      protect(PROTECTED["GH006"]!);
      let lost = 1;
      suite.api.intercept = async (call, answer) => {
        const reply = answer();
        return call.operation === "pulls/create" && lost-- > 0 ? undefined : reply;
      };
      assert.match(await suite.passes(), /Proposed: https:\/\/github\.example\/sua-org\/mining\/pull\/1$/m);
      assert.equal(suite.repository.pulls.length, 1);
      suite.repository.pulls.length = 0;
      anew();
      suite.api.intercept = async (call, answer) =>
        call.operation === "pulls/create" ? suite.repository.refusal(422, "Validation Failed") : answer();
      const words = await suite.fails("No pull request");
      assert.match(
        words,
        /status 422 .*Validation Failed\. The branch pipeline\/status may be there: the next run tries/,
      );
    });

    it("says what keeps its branch from being pushed", async () => {
      suite.hook("pre-receive", `cat >&2 <<'END'\n${PROTECTED["GH006"]}\nEND\nexit 1`);
      assert.match(await suite.fails("Not pushed"), /pipeline\/status: .*GH006/);
      assert.deepEqual(suite.repository.pulls, []);
    });

    /** A commit on main that was let through by its rules. @returns its hash */
    const commitOn = (path: string, text: string) => {
      const { box, other } = suite;
      writeFileSync(`${other}/${path}`, text);
      box.git(other, "commit", "--quiet", "--all", "--message", `Change ${path}`);
      box.git(other, "push", "--quiet", "origin", "HEAD:theirs");
      return box.git(other, "rev-parse", "HEAD");
    };
  });

  it("leaves nothing of itself in the checkout", async () => {
    await suite.passes();
    assert.equal(existsSync(suite.box.path("checkout/.git/FETCH_HEAD")), false);
    assert.equal(suite.box.git(suite.checkout, "config", "--list", "--local").includes("extraheader"), false);
  });
});
