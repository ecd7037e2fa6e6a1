import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { type Env, outputsOf, PYTHON, real, Sandbox } from "../../../support/sandbox.ts";
import { StubServer } from "../../../support/stub-server.ts";

const SCRIPT = new URL("../../../../systems/equidade/function-repository/pin.py", import.meta.url).pathname;
const CANARY = "ghs_canaryOfPin";
const P = "equidade-data-package";
const PAYLOAD = {
  package: P,
  version: "v0.2.3",
  triggered_by: "spacejao",
  source_repo: `org/${P}`,
  repo_name: "cloud-function-1",
};
const dispatch = (payload: unknown = PAYLOAD): Env => ({
  EVENT_NAME: "repository_dispatch",
  CLIENT_PAYLOAD: JSON.stringify(payload),
});

let box: Sandbox;
let at: { remote: string; clone: string };

const run = (env: Env) =>
  box.run(PYTHON, ["-S", SCRIPT], {
    // -S: the standard library is all it needs
    cwd: at.clone,
    env: {
      PACKAGE: P,
      SOURCE_REPO: `org/${P}`,
      REPO_NAME: "cloud-function-1",
      BRANCH: "main",
      COMMIT: "false",
      INPUT_VERSION: "",
      CLIENT_PAYLOAD: "null",
      GITHUB_TOKEN: CANARY,
      GITHUB_SERVER_URL: "https://github.com",
      GITHUB_ACTOR: "someone",
      ...env,
    },
  });
const requirements = () => readFileSync(`${at.clone}/requirements.txt`, "latin1");
const outputs = () => outputsOf(box.read("output"));

describe("pin.py: requirements.txt", () => {
  before(() => {
    box = new Sandbox();
    at = box.repository({ "main.py": "" });
  });
  after(() => box.dispose());

  const H = `--hash=sha256:${"0".repeat(64)}`;
  /** What the case is, the file before, the file after; bytes as latin-1. */
  const cases: [string, string, string][] = [
    ["an exact version", `${P}==0.2.2\n`, `${P}==0.2.3\n`],
    ["a newer version (rollback)", `${P}==9.9\n`, `${P}==0.2.3\n`],
    ["no version", `${P}\n`, `${P}==0.2.3\n`],
    ["a range", `${P}>=0.1,<0.3\n`, `${P}==0.2.3\n`],
    ["a compatible release", `${P}~=0.2.0\n`, `${P}==0.2.3\n`],
    ["an arbitrary equality", `${P}===0.2.2\n`, `${P}==0.2.3\n`],
    ["a wildcard", `${P}==0.2.*\n`, `${P}==0.2.3\n`],
    ["spaces around the operator", `${P} == 0.2.2\n`, `${P}==0.2.3\n`],
    ["a version in parentheses", `${P} (>=0.1)\n`, `${P}==0.2.3\n`],
    ["a direct reference", `${P} @ git+https://github.com/org/${P}@v0.2.2\n`, `${P}==0.2.3\n`],
    ["a direct reference without spaces", `${P}@https://h/x.whl#sha256=aa\n`, `${P}==0.2.3\n`],
    [
      "a direct reference with marker and comment",
      `${P} @ git+https://h/x.git@v1 ; python_version > "3" # why\n`,
      `${P}==0.2.3 ; python_version > "3" # why\n`,
    ],
    ["a reference with #egg=", `git+https://h/org/x.git@v0.2.2#egg=${P}\n`, `${P}==0.2.3\n`],
    ["a reference with #egg= and extras", `git+ssh://git@h/x.git#egg=${P}[bq]&subdirectory=y\n`, `${P}[bq]==0.2.3\n`],
    ["an extra", `${P}[bq]>=0.2\n`, `${P}[bq]==0.2.3\n`],
    ["extras with spaces", `${P}[bq, gcs] ==0.2\n`, `${P}[bq, gcs]==0.2.3\n`],
    ["a marker", `${P}>=0.1; python_version < "3.12"\n`, `${P}==0.2.3; python_version < "3.12"\n`],
    ["a marker without a version", `${P};python_version<"3.12"\n`, `${P}==0.2.3;python_version<"3.12"\n`],
    ["a comment behind it", `${P}==0.2.2  # the data package\n`, `${P}==0.2.3  # the data package\n`],
    [
      "extra, marker and comment",
      `${P}[bq]~=0.2 ; os_name == "posix"  # x\n`,
      `${P}[bq]==0.2.3 ; os_name == "posix"  # x\n`,
    ],
    ["an option of its own", `${P}==0.2.2 --config-settings="a=b" # x\n`, `${P}==0.2.3 --config-settings="a=b" # x\n`],
    ["another spelling of the name", "Equidade_Data.Package==0.2.2\n", `${P}==0.2.3\n`],
    ["runs of separators in the name", "EQUIDADE--data__package\n", `${P}==0.2.3\n`],
    ["an indented entry", `  ${P}==0.2.2\n`, `  ${P}==0.2.3\n`],
    ["a hash", `${P}==0.2.2 ${H}\n`, `${P}==0.2.3\n`],
    [
      "hashes on continued lines",
      `a==1\n${P}==0.2.2 \\\n    ${H} \\\n    ${H}\n    # via x\nb==2\n`,
      `a==1\n${P}==0.2.3\n    # via x\nb==2\n`,
    ],
    [
      "a comment that ends the continued lines",
      `${P}==0.2.2 \\\n    ${H} \\\n    # via x\nb==2\n`,
      `${P}==0.2.3     # via x\nb==2\n`,
    ],
    ["a continuation without hashes", `${P} \\\n  >=0.1, \\\n  <0.3\nb==2\n`, `${P}==0.2.3\nb==2\n`],
    ["a continuation with CRLF", `${P}==0.2.2 \\\r\n  ${H}\r\nb==2\r\n`, `${P}==0.2.3\r\nb==2\r\n`],
    ["no final newline", `a==1\n${P}==0.2.2`, `a==1\n${P}==0.2.3`],
    ["CRLF", `a==1\r\n${P}==0.2.2\r\nb==2\r\n`, `a==1\r\n${P}==0.2.3\r\nb==2\r\n`],
    ["mixed line ends", `a==1\r\n${P}==0.2.2\nb==2\r\n`, `a==1\r\n${P}==0.2.3\nb==2\r\n`],
    ["a byte order mark", `\xef\xbb\xbf${P}==0.2.2\n`, `\xef\xbb\xbf${P}==0.2.3\n`],
    ["UTF-16", `\xff\xfe${[...`${P}\n`].join("\0")}\0`, `\xff\xfe${[...`${P}==0.2.3\n`].join("\0")}\0`],
    ["bytes that are no UTF-8", `# \xe9\xff\n${P}==0.2.2\n`, `# \xe9\xff\n${P}==0.2.3\n`],
    ["a duplicate", `${P}==0.2.1\na==1\n${P}==0.2.2\n`, `${P}==0.2.3\na==1\n`],
    ["a duplicate as the last line", `${P}==0.2.1\n${P}`, `${P}==0.2.3\n`],
    ["duplicates with different extras", `${P}==0.2.1\n${P}[bq]\n`, `${P}[bq]==0.2.3\n`],
    ["the same marker twice", `${P}; os_name=='nt'\n${P}>1 ; os_name == "nt"\n`, `${P}==0.2.3; os_name=='nt'\n`],
    [
      "different markers",
      `${P}<1; python_version<"3.9"\n${P}>1; python_version>="3.9"\n`,
      `${P}==0.2.3; python_version<"3.9"\n${P}==0.2.3; python_version>="3.9"\n`,
    ],
    ["not there", "a==1\n", `a==1\n${P}==0.2.3\n`],
    ["not there, no final newline", "a==1", `a==1\n${P}==0.2.3\n`],
    ["not there, CRLF", "a==1\r\nb==2", `a==1\r\nb==2\r\n${P}==0.2.3\r\n`],
    ["an empty file", "", `${P}==0.2.3\n`],
    ["only a byte order mark", "\xef\xbb\xbf", `\xef\xbb\xbf${P}==0.2.3\n`],
    [
      "names it is a part of",
      `${P}-extra==1\nmy-${P}==1\n${P}2==1\n`,
      `${P}-extra==1\nmy-${P}==1\n${P}2==1\n${P}==0.2.3\n`,
    ],
    ["a path of its name", `./${P}\n${P}/sub\n`, `./${P}\n${P}/sub\n${P}==0.2.3\n`],
    ["a line commented out", `# ${P}==0.1\n#${P}\n`, `# ${P}==0.1\n#${P}\n${P}==0.2.3\n`],
    ["a comment with a backslash before it", `# a \\\n${P}==0.1\n`, `# a \\\n${P}==0.2.3\n`],
    [
      "options of pip",
      `--index-url https://h/${P}\n-r ${P}.txt\n-e ${P}\n-c c.txt\n${P}\n`,
      `--index-url https://h/${P}\n-r ${P}.txt\n-e ${P}\n-c c.txt\n${P}==0.2.3\n`,
    ],
    ["a package whose comment names it", `a==1 # needs ${P}==0.1\n`, `a==1 # needs ${P}==0.1\n${P}==0.2.3\n`],
    ["another package continued over lines", `a==1 \\\n  ${H}\n${P}==1\n`, `a==1 \\\n  ${H}\n${P}==0.2.3\n`],
    ["blank lines and odd spacing elsewhere", `\n\n a == 1 \n\t\n${P}\n\n`, `\n\n a == 1 \n\t\n${P}==0.2.3\n\n`],
    ["a form feed elsewhere", `a==1\f\n${P}\n`, `a==1\f\n${P}==0.2.3\n`],
  ];
  for (const [what, old, expected] of cases) {
    it(what, async () => {
      box.write("repository/requirements.txt", Buffer.from(old, "latin1"));
      const first = await run(dispatch());
      assert.equal(first.code, 0, first.output);
      assert.equal(requirements(), expected);
      const second = await run(dispatch());
      assert.equal(second.code, 0, second.output);
      assert.equal(requirements(), expected, "pinning again changes nothing");
      assert.ok(!second.stdout.includes(": pinned"), "and says nothing of a change");
    });
  }

  it("creates a file that is missing", async () => {
    box.git(at.clone, "clean", "-fdxq");
    assert.equal((await run(dispatch())).code, 0);
    assert.equal(requirements(), `${P}==0.2.3\n`);
  });

  it("warns when other packages have hashes, for pip will then refuse one without", async () => {
    box.write("repository/requirements.txt", `a==1 \\\n  ${H}\n`);
    assert.match((await run(dispatch())).stdout, /^::warning title=Hashes::/m);
  });

  it("takes another file from REQUIREMENTS", async () => {
    box.git(at.clone, "clean", "-fdxq");
    box.write("repository/prod.txt", `${P}\n`);
    assert.equal((await run({ ...dispatch(), REQUIREMENTS: "prod.txt" })).code, 0);
    assert.equal(box.read("repository/prod.txt"), `${P}==0.2.3\n`);
    assert.ok(!existsSync(`${at.clone}/requirements.txt`));
  });
});

describe("pin.py: what it was asked for", () => {
  const OLD = `${P}==0.2.2\n`;
  before(() => {
    box = new Sandbox();
    at = box.repository({ "requirements.txt": OLD });
  });
  after(() => box.dispose());
  beforeEach(() => {
    box.git(at.clone, "reset", "--quiet", "--hard");
    box.write("output", "");
  });

  const { version: _, ...without } = PAYLOAD;
  const refused: [string, unknown, RegExp[]][] = [
    ["a missing key", without, [/client_payload has no version$/]],
    ["an extra key", { ...PAYLOAD, more: 1 }, [/a key that is not known: 'more'$/]],
    [
      "another package",
      { ...PAYLOAD, package: "evil" },
      [/client_payload\.package is 'evil', expected equidade-data-package$/],
    ],
    ["another source", { ...PAYLOAD, source_repo: `evil/${P}` }, [/client_payload\.source_repo is 'evil/]],
    [
      "another repository",
      { ...PAYLOAD, repo_name: "cloud-function-2" },
      [/client_payload\.repo_name is 'cloud-function-2', expected cloud-function-1$/],
    ],
    [
      "a sender that is no login",
      { ...PAYLOAD, triggered_by: "a b" },
      [/client_payload\.triggered_by is 'a b', expected a GitHub login$/],
    ],
    [
      "values that are no text",
      { ...PAYLOAD, version: 1, repo_name: null, package: [P] },
      [/package is \[/, /version is 1/, /repo_name is None/],
    ],
    [
      "all of it at once",
      { package: "x", version: "1", more: 1 },
      [/has no triggered_by/, /has no source_repo/, /has no repo_name/, /not known/, /package is/, /version is/],
    ],
    ["a text instead of an object", "v0.2.3", [/is not a JSON object$/]],
    ["nothing", null, [/is not a JSON object$/]],
    ...[
      "0.2.3; curl evil",
      "$(id)",
      "0.2.3\n--index-url http://evil",
      "../../x",
      "",
      "x".repeat(200),
      "0.2.3%0A::error::y",
    ].map((version): [string, unknown, RegExp[]] => [
      `the version ${JSON.stringify(version).slice(0, 40)}`,
      { ...PAYLOAD, version },
      [/client_payload\.version is /],
    ]),
  ];
  for (const [what, payload, messages] of refused) {
    it(`refuses ${what} before anything is touched`, async () => {
      const result = await run({ ...dispatch(payload), COMMIT: "true" });
      assert.equal(result.code, 1);
      const lines = result.output.trimEnd().split("\n");
      assert.equal(lines.length, messages.length, result.output);
      lines.forEach((line, index) => {
        assert.match(line, /^::error title=Bad payload::[ -~]*$/);
        assert.match(line, messages[index] ?? /never/);
        assert.ok(line.length < 200 && !/%0A/i.test(line));
      });
      assert.equal(requirements(), OLD);
      assert.equal(box.read("output"), "");
      assert.equal(box.git(at.remote, "rev-list", "--count", "main"), "1");
    });
  }

  it("refuses a payload that is not JSON", async () => {
    assert.match(
      (await run({ EVENT_NAME: "repository_dispatch", CLIENT_PAYLOAD: "{" })).stdout,
      /^::error title=Bad payload::client_payload is not a JSON object\n$/,
    );
  });

  it("compares repositories as GitHub does, without regard to case", async () => {
    assert.equal((await run(dispatch({ ...PAYLOAD, source_repo: `ORG/${P}`, repo_name: "Cloud-Function-1" }))).code, 0);
  });

  for (const login of ["a", "dependabot[bot]", "github-actions[bot]", "some-one_corp"]) {
    it(`accepts ${login} as who triggered it`, async () =>
      assert.equal((await run(dispatch({ ...PAYLOAD, triggered_by: login }))).code, 0));
  }

  it("refuses an event it does not know", async () => {
    const result = await run({ EVENT_NAME: "pull_request" });
    assert.equal(result.code, 1);
    assert.match(result.stdout, /^::error title=Unknown event::/);
  });

  it("workflow_dispatch: pins the version that was typed", async () => {
    assert.equal((await run({ EVENT_NAME: "workflow_dispatch", INPUT_VERSION: "v0.1.0-rc.2" })).code, 0);
    assert.equal(requirements(), `${P}==0.1.0rc2\n`);
    assert.deepEqual(outputs(), {
      version: "0.1.0rc2",
      label: "0_1_0rc2",
      sha: box.git(at.clone, "rev-parse", "HEAD"),
    });
  });

  for (const EVENT_NAME of ["workflow_dispatch", "push"]) {
    it(`${EVENT_NAME} without a version: deploys what is pinned and changes nothing`, async () => {
      assert.equal((await run({ EVENT_NAME, COMMIT: "true" })).code, 0);
      assert.equal(requirements(), OLD);
      assert.deepEqual(outputs(), { version: "0.2.2", label: "0_2_2", sha: box.git(at.clone, "rev-parse", "HEAD") });
    });
  }

  it("push: ignores a payload and a typed version", async () => {
    assert.equal((await run({ EVENT_NAME: "push", CLIENT_PAYLOAD: '{"version":"9"}', INPUT_VERSION: "9.9" })).code, 0);
    assert.equal(outputs().version, "0.2.2");
  });

  const read: [string, string, string][] = [
    [`${P}==0.2.2+Build.5\n`.toLowerCase(), "0.2.2+build.5", "0_2_2-build_5"],
    [`${P}>=0.2.2\n`, "", ""],
    [`${P}==0.2.*\n`, "", ""],
    [`${P}==0.2.2,!=0.2.1\n`, "", ""],
    [`${P} @ git+https://h/x@v0.2.2\n`, "", ""],
    [`${P}==1.0; os_name=="nt"\n${P}==2.0; os_name!="nt"\n`, "", ""],
    [`${P}==1.0; os_name=="nt"\n${P}==1.0; os_name!="nt"\n`, "1.0", "1_0"],
    ["other==1.0\n", "", ""],
  ];
  for (const [text, version, label] of read) {
    it(`push: ${JSON.stringify(text)} is ${version ? `version ${version}` : "no exact version"}`, async () => {
      box.write("repository/requirements.txt", text);
      assert.equal((await run({ EVENT_NAME: "push" })).code, 0);
      assert.equal(outputs().version, version);
      assert.equal(outputs().label, label);
    });
  }
});

describe("pin.py: commit and push", () => {
  const OLD = `a==1\n${P}==0.2.2\n`;
  beforeEach(() => {
    box = new Sandbox();
    at = box.repository({ "requirements.txt": OLD, "main.py": "" });
  });
  afterEach(() => box.dispose());

  const commit = (): Env => ({ ...dispatch(), COMMIT: "true" });
  const head = () => box.git(at.remote, "rev-parse", "main");
  const log = (format: string) => box.git(at.remote, "log", "-1", `--format=${format}`, "main");
  /** Before each of the first `times` pushes of the program another person's push arrives. */
  const race = (times: number, file = "other.txt") => {
    box.git(box.dir, "clone", "--quiet", at.remote, box.path("rival"));
    box.stub(
      "git",
      `
if [[ " $* " == *' push '* ]] && (( $(wc -l < ${box.path("pushes")} 2>/dev/null || echo 0) < ${times} )); then
  echo >>${box.path("pushes")}
  ( cd ${box.path("rival")} && ${real("git")} pull --quiet --rebase && echo "rival==$(wc -l < ${box.path("pushes")})" >>${file} &&
    ${real("git")} add . && ${real("git")} commit --quiet -m Rival && ${real("git")} push --quiet ) >&2
fi
exec ${real("git")} "$@"`,
    );
  };

  it("is one commit of one file by the bot, naming who asked for it", async () => {
    const result = await run(commit());
    assert.equal(result.code, 0, result.output);
    assert.equal(box.git(at.remote, "show", "main:requirements.txt"), `a==1\n${P}==0.2.3`);
    assert.equal(
      log("%an <%ae>|%cn <%ce>")
        .split("|")
        .every((who) => who === "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>"),
      true,
    );
    assert.equal(log("%s"), `Pin ${P}==0.2.3`);
    assert.equal(log("%b"), `Triggered-by: spacejao\nSource: org/${P}`);
    assert.equal(box.git(at.remote, "diff", "--name-only", "main~1", "main"), "requirements.txt");
    assert.deepEqual(outputs(), { version: "0.2.3", label: "0_2_3", sha: head() });
  });

  it("creates and commits a file that is missing", async () => {
    box.git(at.clone, "rm", "--quiet", "requirements.txt");
    box.git(at.clone, "commit", "--quiet", "-m", "None");
    box.git(at.clone, "push", "--quiet");
    assert.equal((await run(commit())).code, 0);
    assert.equal(box.git(at.remote, "show", "main:requirements.txt"), `${P}==0.2.3`);
  });

  it("makes no commit when the version is pinned already, and that is success", async () => {
    await run(commit());
    const before = head();
    const result = await run(commit());
    assert.equal(result.code, 0, result.output);
    assert.equal(head(), before);
    assert.equal(outputs().sha, before);
  });

  it("COMMIT=false: pins in the work tree only", async () => {
    const before = head();
    assert.equal((await run({ ...commit(), COMMIT: "false" })).code, 0);
    assert.equal(requirements(), `a==1\n${P}==0.2.3\n`);
    assert.equal(box.git(at.clone, "status", "--porcelain"), "M requirements.txt");
    assert.equal(head(), before);
    assert.equal(outputs().sha, before);
  });

  for (const times of [1, 2]) {
    it(`a push by somebody else in between, ${times} times: pins on top of it and loses nothing`, async () => {
      race(times);
      const result = await run(commit());
      assert.equal(result.code, 0, result.output);
      assert.equal(box.calls("git").filter(({ argv }) => argv.includes("push")).length, times + 1);
      assert.equal(
        box.git(at.remote, "log", "--format=%s", "main"),
        [`Pin ${P}==0.2.3`, ...Array(times).fill("Rival"), "First"].join("\n"),
      );
      assert.equal(box.git(at.remote, "show", "main:other.txt").split("\n").length, times);
      assert.equal(outputs().sha, head());
    });
  }

  it("a push by somebody else to the same file: both changes are there", async () => {
    race(1, "requirements.txt");
    const result = await run(commit());
    assert.equal(result.code, 0, result.output);
    assert.equal(box.git(at.remote, "show", "main:requirements.txt"), `a==1\n${P}==0.2.3\nrival==1`);
  });

  it("gives up after five refused pushes, without an output", async () => {
    race(9);
    const result = await run(commit());
    assert.equal(result.code, 1);
    assert.match(result.stdout, /^::error title=Push failed::main refused the pin 5 times/m);
    assert.equal(box.calls("git").filter(({ argv }) => argv.includes("push")).length, 5);
    assert.equal(box.git(at.remote, "log", "--format=%s", "main").includes("Pin"), false);
    assert.equal(box.read("output"), "");
  });

  for (const words of [
    "error: GH006: Protected branch update failed for refs/heads/main.",
    "error: GH013: Repository rule violations found",
  ]) {
    it(`a protected branch (${words.slice(7, 12)}) is told once, with what to mend`, async () => {
      box.write("repository.git/hooks/update", `#!/bin/sh\necho '${words}' >&2\nexit 1\n`);
      await box.run("chmod", ["+x", box.path("repository.git/hooks/update")]);
      box.stub("git", `exec ${real("git")} "$@"`);
      const result = await run(commit());
      assert.equal(result.code, 1);
      assert.match(
        result.stdout,
        /^::error title=Protected branch::main is protected and refuses the pin\. Let GitHub Actions bypass its rule/m,
      );
      assert.equal(box.calls("git").filter(({ argv }) => argv.includes("push")).length, 1);
    });
  }

  it("a line of git cannot be a workflow command", async () => {
    box.write("repository.git/hooks/update", "#!/bin/sh\nexit 1\n");
    box.stub("git", `[[ " $* " == *' push '* ]] && { echo '::error::GH006' >&2; exit 1; }\nexec ${real("git")} "$@"`);
    const { stdout } = await run(commit());
    assert.deepEqual(
      stdout
        .split("\n")
        .filter((line) => line.startsWith("::"))
        .map((line) => line.slice(0, 30)),
      ["::error title=Protected branch"],
    );
  });

  it("gives the token to the server it belongs to, and shows it to nobody else", async () => {
    const github = await StubServer.start();
    try {
      const ask = { status: 401, headers: { "www-authenticate": 'Basic realm="GitHub"' } };
      github.on("GET /org/f.git/info/refs?service=git-receive-pack", ask, { status: 403, body: "no" });
      box.git(at.clone, "remote", "set-url", "origin", `${github.url}/org/f.git`);
      box.stub("git", `exec ${real("git")} "$@"`);
      const result = await run({ ...commit(), GITHUB_SERVER_URL: github.url });
      assert.equal(result.code, 1);
      assert.match(
        result.stdout,
        /^::error title=Push refused::the token may not push to main: the workflow needs permissions: contents: write$/m,
      );
      const basic = `Basic ${Buffer.from(`x-access-token:${CANARY}`).toString("base64")}`;
      assert.deepEqual(
        github.requests.map(({ headers }) => headers.authorization),
        [undefined, basic],
      );

      github.requests.length = 0;
      box.git(at.clone, "reset", "--quiet", "--hard", "HEAD~1");
      github.on("GET /org/f.git/info/refs?service=git-receive-pack", ask);
      await run({ ...commit(), GITHUB_SERVER_URL: "https://github.com" });
      assert.ok(
        github.requests.length > 0 && github.requests.every(({ headers }) => headers.authorization === undefined),
        "another server gets no token",
      );
      assert.ok(!result.output.includes(CANARY));
      assert.deepEqual(box.filesWith(CANARY), []);
    } finally {
      await github.close();
    }
  });
});
