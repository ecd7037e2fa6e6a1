import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { outputsOf, PYTHON, real, Sandbox } from "../../../support/sandbox.ts";
import { scriptSuite } from "../../../support/script-suite.ts";

const SCRIPT = new URL("../../../../systems/equidade/package-repository/version.sh", import.meta.url).pathname;
const PIN = new URL("../../../../systems/equidade/function-repository/pin.py", import.meta.url).pathname;
const CANARY = "ghs_canaryOfVersion";

/** What is accepted, and its canonical spelling in requirements.txt (PEP 440). */
const VERSIONS: Record<string, string> = {
  "v0.2.3": "0.2.3",
  "0.2.3": "0.2.3",
  "1.0": "1.0",
  "1.2.3.4": "1.2.3.4",
  "2024.01.05": "2024.1.5",
  "10.20.30": "10.20.30",
  "0.2.3rc1": "0.2.3rc1",
  "v0.2.3-rc.1": "0.2.3rc1",
  "1.0.0a2": "1.0.0a2",
  "1.0.0-alpha.2": "1.0.0a2",
  "1.0.0-beta.1": "1.0.0b1",
  "1.0.0-beta": "1.0.0b0",
  "1.0.0_pre_3": "1.0.0rc3",
  "1.0.0c4": "1.0.0rc4",
  "1.0.post1": "1.0.post1",
  "1.0-r2": "1.0.post2",
  "1.0.dev3": "1.0.dev3",
  "1.0a1.post2.dev3": "1.0a1.post2.dev3",
};
const REFUSED = [
  "",
  " ",
  "v",
  "1",
  "v1",
  "1.",
  ".1",
  "1..2",
  "latest",
  "main",
  "0.2.3 ",
  " 0.2.3",
  "0.2.3\n",
  "0.2.3\r",
  "vv0.2.3",
  "V0.2.3",
  "0.2.3; curl evil",
  "0.2.3;touch owned",
  "$(id)",
  "`id`",
  "$(touch owned)",
  "0.2.3'",
  '0.2.3"',
  "0.2.3|cat",
  "0.2.3&",
  "../../x",
  "0.2.3/../..",
  "0.2.3\n--index-url http://evil",
  "0.2.3\nversion=v9.9",
  "0.2.3%0A::error::x",
  "\n::set-output name=a::b",
  "0.2.*",
  ">=0.2",
  "==0.2.3",
  "0.2.3,<1",
  "0.2.3+local",
  "1!2.0",
  "0.2.3-rc.",
  "0.2.3-gamma.1",
  "٠.٢.٣",
  "0.2.3é",
  "1.0rc1rc2",
  "-1.0",
  "0.2.3 --pre",
  `1.${"0".repeat(198)}`,
];

describe("one rule of versions: pin.py, as version.sh,", () => {
  let box: Sandbox;
  let clone: string;
  before(() => {
    box = new Sandbox();
    ({ clone } = box.repository({ "main.py": "" }));
  });
  after(() => box.dispose());

  const run = (version: string) => {
    box.write("repository/requirements.txt", "equidade-data-package==0.0.1\n");
    box.write("output", "");
    return box.run(PYTHON, ["-S", PIN], {
      cwd: clone,
      env: {
        EVENT_NAME: "workflow_dispatch",
        INPUT_VERSION: version,
        PACKAGE: "equidade-data-package",
        SOURCE_REPO: "org/equidade-data-package",
        REPO_NAME: "f",
        COMMIT: "false",
      },
    });
  };

  for (const [version, canonical] of Object.entries(VERSIONS)) {
    it(`takes ${version} for ${canonical}`, async () => {
      const result = await run(version);
      assert.equal(result.code, 0, result.output);
      assert.equal(box.read("repository/requirements.txt"), `equidade-data-package==${canonical}\n`);
      assert.equal(outputsOf(box.read("output")).label, canonical.replaceAll(".", "_"));
    });
  }

  for (const version of REFUSED.filter(Boolean)) {
    it(`refuses ${JSON.stringify(version).slice(0, 60)}`, async () => {
      const result = await run(version);
      assert.equal(result.code, 1);
      assert.match(result.stdout, /^::error title=Not a version::found [ -~]*\n$/);
      assert.equal(box.read("repository/requirements.txt"), "equidade-data-package==0.0.1\n");
      assert.equal(box.read("output"), "");
    });
  }
});

describe("version.sh", () => {
  const suite = scriptSuite();

  const run = (requested: string | undefined, more: Record<string, string> = {}) =>
    suite.box.bash(SCRIPT, {
      REQUESTED: requested,
      GITHUB_REPOSITORY: "org/equidade-data-package",
      GITHUB_API_URL: suite.github.url,
      GITHUB_TOKEN: CANARY,
      ...more,
    });

  describe("accepts a version and writes it as the tag of a release", () => {
    for (const version of Object.keys(VERSIONS)) {
      it(version, async () => {
        const tag = `v${version.replace(/^v/, "")}`;
        const result = await run(tag);
        assert.equal(result.code, 0, result.output);
        assert.equal(suite.box.read("output"), `version=${tag}\n`);
        assert.deepEqual(suite.github.requests, []);
      });
    }
  });

  it("refuses a release whose tag has no v: no environment would let it deploy", async () => {
    const result = await run("0.2.3");
    assert.equal(result.code, 1);
    assert.match(
      result.stdout,
      /^::error title=Not a tag for a release::the release's tag is 0\.2\.3, expected v0\.2\.3/,
    );
    assert.equal(suite.box.read("output"), "");
  });

  describe("refuses everything else, before any output", () => {
    for (const text of [...REFUSED, undefined]) {
      it(JSON.stringify(text)?.slice(0, 60) ?? "not set", async () => {
        const result = await run(text, { CHECK_RELEASE: "true" });
        assert.equal(result.code, 1);
        assert.match(
          result.stdout,
          /^::error title=Not a version::found [ -~]*, expected a version such as v0\.2\.3[^\n]*\n$/,
        );
        assert.ok(result.stdout.length < 400, "what was found is cut short");
        assert.ok(!/%0[aAdD]/.test(result.stdout), "no escape of a workflow command is taken over");
        assert.equal(suite.box.read("output"), "");
        assert.deepEqual(suite.github.requests, []);
        assert.ok(!existsSync(suite.box.path("owned")), "nothing of it was run");
      });
    }
  });

  describe("with CHECK_RELEASE=true", () => {
    const route = "GET /repos/org/equidade-data-package/releases/tags/v0.2.3";
    const check = { CHECK_RELEASE: "true" };

    it("asks for the release once and accepts one that exists", async () => {
      suite.github.on(route, { body: { tag_name: "v0.2.3" } });
      const result = await run("0.2.3", check);
      assert.equal(result.code, 0, result.output);
      assert.deepEqual(outputsOf(suite.box.read("output")), { version: "v0.2.3" });
      assert.equal(suite.github.requests.length, 1);
      assert.equal(suite.github.requests[0]?.headers.authorization, `Bearer ${CANARY}`);
    });

    it("fails before any dispatch, and does not ask again, when there is no such release", async () => {
      suite.github.on(route, { status: 404, body: { message: "Not Found" } });
      const result = await run("v0.2.3", check);
      assert.equal(result.code, 1);
      assert.match(result.stdout, /^::error title=No such release::v0\.2\.3 is not a published release/);
      assert.equal(suite.box.read("output"), "");
      assert.equal(suite.github.requests.length, 1);
    });

    it("asks again after a 503", async () => {
      suite.github.on(route, { status: 503 }, { body: {} });
      assert.equal((await run("v0.2.3", check)).code, 0);
      assert.equal(suite.github.requests.length, 2);
    });

    it("asks again after a broken connection", async () => {
      suite.github.on(route, { drop: true }, { body: {} });
      assert.equal((await run("v0.2.3", check)).code, 0);
      assert.equal(suite.github.requests.length, 2);
    });

    it("fails when GitHub refuses the token", async () => {
      suite.github.on(route, { status: 401 });
      const result = await run("v0.2.3", check);
      assert.equal(result.code, 1);
      assert.match(result.stdout, /::error title=Release not checked::GitHub answered 401/);
      assert.equal(suite.box.read("output"), "");
    });

    it("shows the token to nobody", async () => {
      suite.box.stub("curl", `exec ${real("curl")} "$@"`);
      suite.github.on(route, { body: {} });
      const result = await run("v0.2.3", check);
      assert.equal(result.code, 0);
      assert.equal(suite.box.calls("curl").length, 1);
      assert.equal(suite.github.requests[0]?.headers.authorization, `Bearer ${CANARY}`);
      assert.ok(!result.output.includes(CANARY));
      assert.deepEqual(suite.box.filesWith(CANARY), []);
    });
  });
});
