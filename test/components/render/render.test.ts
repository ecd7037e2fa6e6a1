import assert from "node:assert/strict";
import { type Env, outputsOf, PYTHON, type Result, Sandbox } from "../../support/sandbox.ts";
import { type Answer, StubServer } from "../../support/stub-server.ts";

const PIPELINE = new URL("../../../components/render/pipeline/", import.meta.url).pathname;
const PNPM = new URL("../../../node_modules/pnpm/bin/pnpm.cjs", import.meta.url).pathname;

describe("a Render pipeline's modules", () => {
  let box: Sandbox;
  beforeEach(() => {
    box = new Sandbox();
  });
  afterEach(() => box.dispose());

  /** Runs a few lines of Python that import the modules. */
  const python = (code: string, env: Env = {}, input = ""): Promise<Result> =>
    box.run(PYTHON, ["-c", code], {
      env: { PYTHONPATH: PIPELINE, PYTHONDONTWRITEBYTECODE: "1", RETRY_BASE_SECONDS: "0", ...env },
      input,
    });
  const prints = async (code: string, env: Env = {}, input = ""): Promise<string> => {
    const { code: exit, stdout, stderr } = await python(code, env, input);
    assert.equal(exit, 0, stderr);
    return stdout.trimEnd();
  };

  describe("render.py: LOCK_FILE", () => {
    const found = (text: string) =>
      prints("import sys, render\nf = render.LOCK_FILE.search(sys.stdin.read())\nprint(f[0] if f else None)", {}, text);
    const lock = (version: string, dependencies: string) =>
      `lockfileVersion: '${version}'\nsettings:\n  autoInstallPeers: true\n  excludeLinksFromLockfile: false\nimporters:\n  .:\n    dependencies:\n${dependencies}`;
    const left = "      left:\n        specifier: link:./left\n        version: link:left\n";
    const right = "      right:\n        specifier: 1.0.0\n        version: 1.0.0\n";
    const manifest = { name: "x", version: "1.0.0", dependencies: { left: "link:./left" } };
    const more = { ...manifest, dependencies: { ...manifest.dependencies, right: "1.0.0" } };

    const cases: [string, object, string | undefined, string][] = [
      ["is absent", manifest, undefined, "ERR_PNPM_NO_LOCKFILE"],
      ["lacks what was added", more, lock("9.0", left), "ERR_PNPM_OUTDATED_LOCKFILE"],
      ["holds a conflict", manifest, `${lock("9.0", left)}<<<<<<< HEAD\n`, "ERR_PNPM_BROKEN_LOCKFILE"],
      ["is of another format", manifest, lock("99.0", left), "ERR_PNPM_LOCKFILE_BREAKING_CHANGE"],
      ["was merged badly", more, lock("9.0", left + right), "ERR_PNPM_LOCKFILE_MISSING_DEPENDENCY"],
      [
        "is of other settings",
        { ...manifest, pnpm: { overrides: { a: "1" } } },
        lock("9.0", left),
        "ERR_PNPM_LOCKFILE_CONFIG_MISMATCH",
      ],
    ];
    for (const [what, content, lockFile, expected] of cases) {
      it(`knows what pnpm says of one that ${what}`, async () => {
        box.write("repository/package.json", JSON.stringify(content));
        box.write("repository/left/package.json", '{"name": "left", "version": "1.0.0"}');
        if (lockFile) box.write("repository/pnpm-lock.yaml", lockFile);
        const args = [PNPM, "install", "--frozen-lockfile", "--offline", "--store-dir", box.path("store")];
        const { code, output } = await box.run(process.execPath, args, {
          cwd: box.path("repository"),
          env: { CI: "1" },
        });
        assert.equal(code, 1, output);
        assert.equal(await found(output), expected);
      });
    }

    for (const text of [
      'ERR_PNPM_TARBALL_INTEGRITY  Got unexpected checksum for "https://registry.npmjs.org/x"',
      "ERR_PNPM_META_FETCH_FAIL  GET https://registry.npmjs.org/x: request failed",
      "ERR_PNPM_PEER_DEP_ISSUES  Unmet peer dependencies",
      "Lockfile is up to date, resolution step is skipped",
    ])
      it(`is not about: ${text.slice(0, 30)}`, async () => assert.equal(await found(text), "None"));
  });

  describe("tell.py", () => {
    const odd = "a\r\nb\t%0A ::error::x ##[error]y ####[error]z é \u001b[31m s3cretCanary";

    it("says one line, in which nothing is a command and nothing hidden is shown", async () => {
      const code = "import sys, tell\ntell.hide('s3cretCanary', 'a-s3cretCanary', '', 'a')\n";
      const clean = "a b %0A ::error::x #[error]y #[error]z [31m ***";
      assert.equal(await prints(`${code}tell.say(sys.stdin.read())`, {}, odd), clean);
      assert.equal(await prints(`${code}tell.say(' :: ::error::' + sys.stdin.read())`, {}, odd), `error::${clean}`);
      assert.equal(await prints(`${code}tell.say('x a-s3cretCanary x')`), "x *** x");
      assert.equal(
        await prints(`${code}tell.annotate('error', 'Title', sys.stdin.read())`, {}, odd),
        `::error title=Title::${clean.replace("%", "%25")}`,
      );
      assert.equal(box.read("summary"), `**Title**: ${clean}\n\n`);
    });

    it("makes text from outside plain, so that it is no markup", async () => {
      const text = "<b>@all|x`y`[z](https://u)\n$(id)";
      const code = "import sys, tell\nprint(tell.plain(sys.stdin.read()), tell.plain(''), tell.plain(None), sep='\\n')";
      assert.equal(await prints(code, {}, text), "b all x y z https://u id\nunknown\nNone");
    });

    it("gives outputs, whose names have hyphens", async () => {
      await prints("import tell\ntell.output(action='x', run_id=7)");
      assert.deepEqual(outputsOf(box.read("output")), { action: "x", "run-id": "7" });
    });

    it("writes nothing where nobody reads it", () =>
      prints("import tell\ntell.summary('x')", { GITHUB_STEP_SUMMARY: undefined }));

    it("tells of a mistake in the program where it is, and not what it holds", async () => {
      const code = "import tell\ndef main():\n    raise KeyError('https://x/?key=leakCanary')\ntell.program(main)";
      const { code: exit, stdout, stderr } = await python(code);
      assert.deepEqual([exit, stderr], [1, ""]);
      assert.match(stdout, /^::error title=Mistake in the program::KeyError at tell\.py:\d+, <string>:3\n$/);
      assert.deepEqual(box.filesWith("leakCanary"), []);
    });
  });

  describe("web.py", () => {
    let server: StubServer;
    before(async () => {
      server = await StubServer.start();
    });
    after(() => server.close());
    beforeEach(() => server.reset());

    const ask = (method: string, path: string, url = server.url) =>
      prints(
        `import web
answer = web.asked("It", ${JSON.stringify(method)}, ${JSON.stringify(url + path)}, web.bearer("t0ken"), ${method === "POST" ? '{"a": 1}' : "None"})
print(answer.status, answer.why)`,
      );

    it("asks again for what can only be read", async () => {
      server.on("GET /x", { status: 500 }, { drop: true }, { status: 200 });
      assert.deepEqual((await ask("GET", "/x")).split("\n"), [
        "It: status 500, at attempt 1; trying again",
        "It: the connection broke off, at attempt 2; trying again",
        "200",
      ]);
    });

    it("asks again for what broke off in the middle, and not where the status says that something is done", async () => {
      const headers = { "content-length": "9", connection: "close" };
      server.on("GET /x", { headers, body: "{" }, { status: 200 });
      assert.deepEqual((await ask("GET", "/x")).split("\n"), [
        "It: the connection failed (IncompleteRead), at attempt 1; trying again",
        "200",
      ]);
      server.on("POST /x", { status: 201, headers, body: "{" });
      assert.equal(await ask("POST", "/x"), "201");
    });

    it("does not send twice what changes something and may have arrived", async () => {
      for (const answer of [{ status: 500 }, { drop: true }]) {
        server.reset();
        server.on("POST /x", answer);
        await ask("POST", "/x");
        assert.equal(server.requests.length, 1);
        assert.equal(server.requests[0]!.body, '{"a": 1}');
      }
    });

    it("sends it again where a limit turned it away, however the header is written", async () => {
      const limits: Answer[] = [
        { status: 429 },
        { status: 403, headers: { "Retry-After": "0" } },
        { status: 403, headers: { "retry-after": "0" } },
        { status: 403, body: { message: "You have exceeded a secondary Rate Limit" } },
      ];
      for (const answer of limits) {
        server.reset();
        server.on("POST /x", answer, { status: 201 });
        assert.match(await ask("POST", "/x"), /\n201$/);
      }
      server.on("POST /y", { status: 403 });
      assert.equal(await ask("POST", "/y"), "403");
    });

    it("follows no redirect, along which its headers would go", async () => {
      server.on("GET /x", { status: 302, headers: { location: `${server.url}/y` } });
      assert.equal(await ask("GET", "/x"), "302");
      assert.equal(server.requests.length, 1);
    });

    for (const url of [
      "",
      "leakCanary://x",
      "http://[leakCanary",
      "http://h/leak Canary",
      "http://leakCanaryé.invalid/ é",
    ])
      it(`has a reason and no exception for the address ${JSON.stringify(url)}, and does not show it`, async () => {
        const said = await ask("GET", "", url);
        assert.match(
          said,
          /\n0 (?:its address or a header has characters that cannot be sent|the connection failed \(URLError\))$/,
        );
        assert.doesNotMatch(said, /Canary/);
      });

    it("waits longer each time, as long as it is told, until a limit is over, and never very long", async () => {
      const code = `import time, web
waits = []
time.sleep = waits.append
def pause(attempt, limited=False, **headers):
    web.pause(attempt, web.Answer(0, {name.replace("_", "-"): value for name, value in headers.items()}, b""), limited)
for attempt in (1, 2, 3): pause(attempt)
pause(1, True)
pause(1, retry_after="7")
pause(9)
pause(1, x_ratelimit_remaining="0", x_ratelimit_reset=str(int(time.time()) + 30))
pause(1, x_ratelimit_remaining="5", x_ratelimit_reset=str(int(time.time()) + 30))
for odd in ("²", "soon", "-1"): pause(1, retry_after=odd)
print(*waits)`;
      const waits = (await prints(code, { RETRY_BASE_SECONDS: "1" })).split(" ").map(Number);
      const least = [1, 2, 4, 15, 7, 60, 25, 1, 1, 1, 1];
      const most = [2, 3, 5, 16, 8, 60, 31, 2, 2, 2, 2];
      assert.equal(waits.length, least.length);
      waits.forEach((wait, at) => {
        assert.ok(wait >= least[at]! && wait <= most[at]!, `${at}: ${wait}`);
      });
    });
  });
});
