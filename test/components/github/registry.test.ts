import assert from "node:assert/strict";
import { buildPush, registryLogin, setupBuildx } from "../../../components/github/actions.ts";
import { buildAndPush, giveTag, logIn, look, setUpBuilder } from "../../../components/github/registry/steps.ts";
import { script } from "../../../components/github/workflow.ts";
import { type Env, outputsOf, PYTHON, type Result, Sandbox } from "../../support/sandbox.ts";
import { refusalOf } from "../../support/script-suite.ts";
import { type Answer, StubServer } from "../../support/stub-server.ts";
import { denied, NAME, type Place, RegistryStub, unauthorized } from "./registry-stub.ts";

const SCRIPT = new URL("../../../components/github/registry/image_tags.py", import.meta.url);
const A = "a".repeat(40);
const B = "b".repeat(40);
const FINAL = "v(\\d+)\\.(\\d+)\\.(\\d+)";

describe("image_tags.py", () => {
  let box: Sandbox;
  let registry: RegistryStub;

  before(async () => {
    registry = await RegistryStub.start();
  });
  after(() => registry.close());
  beforeEach(() => {
    box = new Sandbox();
    registry.reset("v1.0.0", "v1.0.0-rc.1", "v1.0.1-dev.4", `sha-${A}`);
  });
  afterEach(() => box.dispose());

  const run = async (env: Env): Promise<Result> => {
    box.write("output", "");
    box.write("summary", "");
    const result = await box.run(PYTHON, [SCRIPT.pathname], {
      env: {
        IMAGE: registry.image,
        REVISION: A,
        REGISTRY_USER: registry.user,
        REGISTRY_TOKEN: registry.secret,
        GITHUB_OUTPUT: box.path("output"),
        GITHUB_STEP_SUMMARY: box.path("summary"),
        RETRY_BASE_SECONDS: "0",
        ...env,
      },
    });
    const { user, secret, token } = registry;
    for (const each of [secret, token, Buffer.from(`${user}:${secret}`).toString("base64")]) {
      assert.ok(!result.output.includes(each), result.output);
      assert.deepEqual(box.filesWith(each), []);
    }
    return result;
  };
  const looks = (env: Env = {}) => run({ COMMAND: "look", TAG: "v1.0.0", ...env });
  const tags = (env: Env = {}) => run({ COMMAND: "tag", SOURCE: "v1.0.0-rc.1", TAG: "v1.0.0", ...env });
  const outputs = () => outputsOf(box.read("output"));
  const asked = (...expected: string[]) => assert.deepEqual(registry.asked, expected);
  const decides = async (result: Promise<Result>, expected: Record<string, string>) => {
    const { code, output } = await result;
    assert.equal(code, 0, output);
    assert.deepEqual(outputs(), expected);
    return output;
  };
  const toBuild = { action: "build", source: "", target: "", digest: "" };
  const done = (digest: string) => ({ action: "nothing", source: "", target: "", digest });
  const refuses = async (result: Promise<Result>, title: string, ...messages: RegExp[]) => {
    const message = refusalOf(await result, box, title);
    for (const each of messages) assert.match(message, each);
    assert.equal(box.read("summary"), `**${title}**: ${message.replaceAll("%25", "%")}\n`);
  };
  /** Answers in place of what the registry would say. */
  const answers = (route: string, ...all: Answer[]) => registry.server.on(`GET ${registry.path(route)}`, ...all);
  const tokenRoute = (actions: string) =>
    `GET /token?service=registry.example&scope=${encodeURIComponent(`repository:${NAME}:${actions}`)}`;

  describe("look", () => {
    it("finds that an image is to be built, and asks for no more than to pull", async () => {
      await decides(looks(), toBuild);
      assert.deepEqual(
        registry.server.requests.map(({ method, path }) => `${method} ${path}`),
        [`GET ${registry.path("manifests/v1.0.0")}`, tokenRoute("pull"), `GET ${registry.path("manifests/v1.0.0")}`],
      );
      assert.equal(box.read("summary"), "");
      const accepts = registry.server.requests[0]!.headers.accept!.split(", ");
      assert.deepEqual(accepts.sort(), [
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
      ]);
    });

    for (const place of ["index", "manifest", "label"] satisfies Place[]) {
      for (const platforms of [["amd64"], ["amd64", "arm64"]]) {
        it(`finds nothing to do where the ${place} of ${platforms.join(" and ")} tells of the same commit`, async () => {
          const digest = registry.add("v1.0.0", A, { place, platforms });
          const output = await decides(looks(), done(digest));
          assert.ok(output.includes(`:v1.0.0 is the image of ${A} already, ${digest}: nothing to publish\n`), output);
          assert.equal(
            box.read("summary"),
            `Nothing to publish: \`${registry.image}:v1.0.0\` is the image of \`${A}\` already (\`${digest}\`).\n`,
          );
          assert.equal(registry.blobs.requests.length, place === "label" ? platforms.length : 0);
        });

        it(`refuses where the ${place} of ${platforms.join(" and ")} tells of another commit`, async () => {
          const digest = registry.add("v1.0.0", B, { place, platforms });
          await refuses(
            looks(),
            "Tag is taken",
            new RegExp(`:v1\\.0\\.0 is there already, ${digest}, made of ${B}; this run is of ${A}\\.`),
            /never overwritten\. Publish this commit under the next number\./,
          );
        });
      }
    }

    it("believes the index before what it consists of, and a manifest before its config", async () => {
      registry.add("inner", B, { place: "label" });
      const inner = JSON.parse(registry.text("inner")!) as object;
      const digest = registry.addText(
        "v1.0.0",
        JSON.stringify({ ...inner, annotations: { "org.opencontainers.image.revision": A } }),
      );
      await decides(looks(), done(digest));
      asked("GET manifests/v1.0.0");
    });

    it("finds the commit of an image without an index", async () => {
      registry.add("index", A, { place: "label" });
      const [{ digest }] = (JSON.parse(registry.text("index")!) as { manifests: [{ digest: string }] }).manifests;
      registry.tags["v1.0.0"] = digest;
      await decides(looks(), done(digest));
    });

    it("refuses an image that tells of no commit, and one whose platforms are of several", async () => {
      registry.add("v1.0.0", A, { place: "nowhere" });
      await refuses(looks(), "Tag is taken", /made of no commit that it tells of \(it has no org\.opencontainers/);
      registry.add("v1.0.0", A, { place: "label", platforms: ["amd64", "arm64"], others: { arm64: B } });
      await refuses(looks(), "Tag is taken", new RegExp(`made of ${A} and ${B}; `));
      registry.addText("v1.0.0", JSON.stringify({ mediaType: "application/vnd.oci.image.index.v1+json" }));
      await refuses(looks(), "Tag is taken", /made of no commit/);
    });

    it("masks what a manifest says, and what it cannot print", async () => {
      const said = `${registry.secret}\n::error::%0Ax`;
      registry.addText("v1.0.0", JSON.stringify({ annotations: { "org.opencontainers.image.revision": said } }));
      await refuses(looks(), "Tag is taken", /made of \*\*\* ::error::%250Ax; /);
    });

    it("takes a tag that comes last for the proof that all was done, whatever the version would be by now", async () => {
      const digest = registry.add(`sha-${A}`, A);
      await decides(looks({ DONE_TAG: `sha-${A}`, TAG: "v2.0.0-dev.4" }), done(digest));
      asked(`GET manifests/sha-${A}`);
      assert.match(box.read("summary"), new RegExp(`:sha-${A}\` is the image of `));
    });

    it("finishes what was cut off before that tag", async () => {
      const digest = registry.add("v1.0.1-dev.4", A);
      const both = { TAG: "v1.0.1-dev.4", DONE_TAG: `sha-${A}` };
      await decides(looks(both), { action: "tag", source: "v1.0.1-dev.4", target: `sha-${A}`, digest });
    });

    it("has a build followed by that tag", () =>
      decides(looks({ TAG: "v1.0.1-dev.4", DONE_TAG: `sha-${A}` }), {
        action: "build",
        source: "v1.0.1-dev.4",
        target: `sha-${A}`,
        digest: "",
      }));

    it("promotes what is there, and refuses where it is not or is of another commit", async () => {
      const from = { SOURCE: "v1.0.0-rc.1" };
      const nothing = /v1\.0\.0-rc\.1 is not in the registry, so v1\.0\.0 cannot be the image that was tested as/;
      await refuses(looks(from), "Nothing to promote", nothing);
      registry.add("v1.0.0-rc.1", B);
      await refuses(looks(from), "Tag is taken", new RegExp(`:v1\\.0\\.0-rc\\.1 is there already, .*made of ${B}`));
      const digest = registry.add("v1.0.0-rc.1", A);
      await decides(looks(from), { action: "tag", source: "v1.0.0-rc.1", target: "v1.0.0", digest });
      registry.tags["v1.0.0"] = digest;
      await decides(looks(from), done(digest));
    });

    describe("among the tags of a series", () => {
      it("refuses a lower one, by number and not by letter", async () => {
        registry.add("v1.0.10", B);
        registry.add("v1.0.2", B);
        registry.expect("v1.0.9");
        await refuses(
          looks({ TAG: "v1.0.9", SERIES: FINAL }),
          "Not the highest version",
          /:v1\.0\.10 is published and higher than v1\.0\.9, so nothing that takes the highest would take v1\.0\.9\. Publish this commit under a number above v1\.0\.10$/,
        );
      });

      it("warns instead, where it is told to", async () => {
        registry.add("v1.0.10", B);
        registry.expect("v1.0.9");
        const output = await decides(looks({ TAG: "v1.0.9", SERIES: FINAL, IF_LOWER: "warn" }), toBuild);
        assert.match(output, /^::warning title=Not the highest version::.*:v1\.0\.10 is published and higher/m);
      });

      it("takes the highest one, and looks at no other series", async () => {
        for (const each of ["v0.9.9", "v1.0.0-rc.7", "v2.0.0-rc.1", "v3.0.0-dev.1", "9.9.9", "latest"])
          registry.add(each, B);
        await decides(looks({ SERIES: FINAL }), toBuild);
      });

      it("does not ask where the tag is there already, so that a run of long ago may come again", async () => {
        const digest = registry.add("v1.0.0", A);
        registry.add("v2.0.0", B);
        await decides(looks({ SERIES: FINAL }), done(digest));
        asked("GET manifests/v1.0.0");
      });

      it("reads every page of the list, on the registry's own host", async () => {
        const tags = (...all: string[]) => ({ body: { tags: all } });
        answers("tags/list?n=1000", {
          ...tags("v0.1.0"),
          headers: { link: `<${registry.path("tags/list?last=a&n=2")}>; rel="next"` },
        });
        answers("tags/list?last=a&n=2", {
          ...tags("v0.2.0"),
          headers: { link: '<https://evil.example/x?last=b&n=2>; rel="next"' },
        });
        answers("tags/list?last=b&n=2", tags("v7.0.0"));
        await refuses(looks({ SERIES: FINAL }), "Not the highest version", /:v7\.0\.0 is published/);
      });

      it("does not hold a tag against itself that the list still has", async () => {
        answers("tags/list?n=1000", { body: { tags: ["v1.0.0"] } });
        await decides(looks({ SERIES: FINAL }), toBuild);
      });

      it("finds none in an image that does not exist yet", () => decides(looks({ SERIES: FINAL }), toBuild));

      it("stands a list that says null", async () => {
        answers("tags/list?n=1000", { body: { tags: null } });
        await decides(looks({ SERIES: FINAL }), toBuild);
      });
    });

    describe("where it may not read", () => {
      const cases: [string, () => void][] = [
        ["no token is given", () => registry.server.on(tokenRoute("pull"), denied)],
        ["the manifest is denied", () => answers("manifests/v1.0.0", registry.challenge, denied)],
      ];
      for (const [what, script] of cases) {
        it(`${what}: says which right is missing`, async () => {
          script();
          await refuses(
            looks(),
            "Registry denies access",
            /: status 403 \(DENIED: requested access to the resource is denied\) when /,
            /`permissions: packages: read`.*Manage Actions access, Add repository, role Read$/,
          );
        });
        it(`${what}: takes it for absent where a later step looks again`, async () => {
          script();
          const output = await decides(looks({ IF_DENIED: "absent" }), toBuild);
          assert.match(output, /status 403.*A package that does not exist yet may answer so too/);
        });
        it(`${what}: but promotes nothing that it cannot see`, async () => {
          script();
          await refuses(looks({ IF_DENIED: "absent", SOURCE: "v1.0.0-rc.1" }), "Registry denies access");
        });
      }

      it("has what comes after the build as well", async () => {
        registry.server.on(tokenRoute("pull"), denied);
        await decides(looks({ IF_DENIED: "absent", TAG: "v1.0.1-dev.4", DONE_TAG: `sha-${A}` }), {
          action: "build",
          source: "v1.0.1-dev.4",
          target: `sha-${A}`,
          digest: "",
        });
      });
    });
  });

  describe("tag", () => {
    for (const platforms of [["amd64"], ["amd64", "arm64"]]) {
      it(`gives the whole index of ${platforms.join(" and ")} the tag, byte for byte`, async () => {
        const digest = registry.add("v1.0.0-rc.1", A, { platforms });
        await decides(tags(), { digest });
        assert.equal(registry.tags["v1.0.0"], digest);
        const [put, ...more] = registry.server.requests.filter(({ method }) => method === "PUT");
        assert.deepEqual(more, []);
        assert.equal(put!.body, registry.text("v1.0.0-rc.1"));
        assert.equal(put!.headers["content-type"], "application/vnd.oci.image.index.v1+json");
        assert.ok(registry.server.requests.some(({ path }) => `GET ${path}` === tokenRoute("pull,push")));
        asked(
          "GET manifests/v1.0.0-rc.1",
          "GET manifests/v1.0.0-rc.1",
          "GET manifests/v1.0.0",
          "PUT manifests/v1.0.0",
          "GET manifests/v1.0.0",
        );
      });
    }

    it("takes the media type of a manifest that does not say its own from the registry", async () => {
      const text = JSON.stringify({ annotations: { "org.opencontainers.image.revision": A }, layers: [] });
      const digest = registry.addText("v1.0.0-rc.1", text);
      const type = "application/vnd.oci.image.manifest.v1+json";
      answers("manifests/v1.0.0-rc.1", registry.challenge, {
        headers: { "content-type": `${type}; charset=utf-8` },
        body: text,
      });
      await decides(tags(), { digest });
      assert.equal(registry.server.requests.find(({ method }) => method === "PUT")!.headers["content-type"], type);
    });

    it("leaves a tag alone that is the same image", async () => {
      const digest = registry.add("v1.0.0-rc.1", A);
      registry.tags["v1.0.0"] = digest;
      await decides(tags(), { digest });
      assert.ok(registry.asked.every((each) => each.startsWith("GET ")));
    });

    for (const revision of [A, B]) {
      it(`never overwrites another image, be it of ${revision === A ? "the same" : "another"} commit`, async () => {
        registry.add("v1.0.0-rc.1", A);
        const digest = registry.add("v1.0.0", revision, { platforms: ["arm64"] });
        await refuses(
          tags(),
          "Tag is taken",
          new RegExp(`:v1\\.0\\.0 is ${digest} already, and v1\\.0\\.0-rc\\.1 is `),
        );
        assert.equal(registry.tags["v1.0.0"], digest);
        assert.ok(registry.asked.every((each) => each.startsWith("GET ")));
      });
    }

    it("gives no tag to an image that is not there or is of another commit", async () => {
      await refuses(tags(), "Nothing to tag", /v1\.0\.0-rc\.1 is not in the registry/);
      registry.add("v1.0.0-rc.1", B);
      await refuses(tags(), "Tag is taken");
      assert.equal(registry.tags["v1.0.0"], undefined);
    });

    it("says which right is missing to write", async () => {
      registry.add("v1.0.0-rc.1", A);
      const body = { errors: [{ code: "DENIED", message: "permission_denied: write_package" }] };
      registry.server.on(`PUT ${registry.path("manifests/v1.0.0")}`, { status: 403, body });
      await refuses(
        tags({ IF_DENIED: "absent" }),
        "Registry denies access",
        /status 403 \(DENIED: permission_denied: write_package\) when PUT manifests\/v1\.0\.0: /,
        /`permissions: packages: write`.*role Write$/,
      );
    });

    it("writes again what may have been lost with the connection, and stands that it was not", async () => {
      registry.add("v1.0.0-rc.1", A);
      const route = `PUT ${registry.path("manifests/v1.0.0")}`;
      registry.server.on(route, { drop: true }, { status: 502 }, { status: 201 });
      answers("manifests/v1.0.0", { status: 404 }, { body: registry.text("v1.0.0-rc.1") });
      await decides(tags(), { digest: registry.tags["v1.0.0-rc.1"]! });
      assert.equal(registry.server.requests.filter(({ method }) => method === "PUT").length, 3);
    });

    it("does not believe that a tag was written before it has seen it", async () => {
      registry.add("v1.0.0-rc.1", A);
      const route = `PUT ${registry.path("manifests/v1.0.0")}`;
      registry.server.on(route, { status: 201 });
      await refuses(tags(), "Not tagged", /:v1\.0\.0 was written but is not there; expected sha256:/);
      registry.server.on(route, { status: 404 });
      await refuses(tags(), "Not tagged");
    });
  });

  describe("the registry", () => {
    it("is asked again after 429, 5xx and a broken connection, and for as long as it says", async () => {
      const body = { errors: [{ code: "TOOMANYREQUESTS", message: "retry later" }] };
      answers(
        "manifests/v1.0.0",
        { status: 429, headers: { "retry-after": "1" }, body },
        { status: 503, headers: { "retry-after": new Date(Date.now() - 5000).toUTCString() }, body: "<html>" },
        { drop: true },
        { status: 404 },
      );
      const start = Date.now();
      const output = await decides(looks(), toBuild);
      assert.ok(Date.now() - start >= 1000);
      assert.match(output, /: status 429 \(TOOMANYREQUESTS: retry later\), at attempt 1; trying again in 1\.0 s/);
      assert.match(output, /: status 503, at attempt 2; trying again in 0\.0 s/);
      assert.match(output, /: RemoteDisconnected: .*, at attempt 3;/);
    });

    it("is not waited for as long as it says where that would hang the job", async () => {
      answers("manifests/v1.0.0", { status: 429, headers: { "retry-after": "3600" } }, { status: 404 });
      const output = await decides(looks({ RETRY_MOST_SECONDS: "0.1" }), toBuild);
      assert.match(output, /trying again in 0\.1 s/);
    });

    for (const answer of [
      { status: 429, headers: { "retry-after": "soon" } },
      { status: 500 },
      { drop: true },
    ] as Answer[]) {
      it(`is given up on after five attempts: ${JSON.stringify(answer)}`, async () => {
        answers("manifests/v1.0.0", answer);
        await refuses(looks(), "Registry not reached", /at each of 5 attempts.*run the failed jobs again later$/);
        assert.equal(registry.server.requests.length, 5);
      });
    }

    it("is not reached where nobody listens", async () => {
      const gone = await StubServer.start();
      const image = `${gone.url.replace("http://", "")}/x`;
      await gone.close();
      await refuses(looks({ IMAGE: image }), "Registry not reached", /URLError: .*Connection refused/);
    });

    it("is asked for a token again when the token has run out, once", async () => {
      const digest = registry.add("v1.0.0", A);
      answers("manifests/v1.0.0", registry.challenge, registry.challenge);
      await refuses(
        looks(),
        "Registry does not know the token",
        /: status 401 \(UNAUTHORIZED: authentication required\) when GET manifests\/v1\.0\.0: REGISTRY_TOKEN is not valid/,
      );
      assert.equal(registry.server.requests.filter(({ path }) => path.startsWith("/token")).length, 1);
      registry.reset();
      registry.add("v1.0.0-rc.1", A);
      registry.expect("v1.0.0");
      // The second time that it is asked, the first token is one of before.
      const route = "manifests/v1.0.0-rc.1";
      const found = { body: registry.text("v1.0.0-rc.1") };
      answers(route, registry.challenge, found, registry.challenge, found);
      await decides(tags(), { digest });
      assert.equal(registry.server.requests.filter(({ path }) => path.startsWith("/token")).length, 2);
    });

    it("says that it does not know the token", async () => {
      await refuses(
        looks({ REGISTRY_TOKEN: "ghs_other" }),
        "Registry does not know the token",
        /status 401 \(UNAUTHORIZED: authentication required\) when asking for a token: /,
      );
      await refuses(looks({ IF_DENIED: "absent", REGISTRY_TOKEN: "ghs_other" }), "Registry does not know the token");
      await refuses(looks({ REGISTRY_TOKEN: " " }), "No token", /^REGISTRY_TOKEN is empty/);
    });

    it("may call its token otherwise, take name and password themselves, or ask nothing at all", async () => {
      registry.server.on(tokenRoute("pull"), { body: { access_token: registry.token } });
      await decides(looks(), toBuild);
      answers("manifests/v1.0.0", { status: 401, headers: { "www-authenticate": "Basic realm=x" } }, { status: 404 });
      await decides(looks(), toBuild);
      const basic = `Basic ${Buffer.from(`${registry.user}:${registry.secret}`).toString("base64")}`;
      assert.equal(registry.server.requests.at(-1)!.headers.authorization, basic);
      answers("manifests/v1.0.0", { status: 404 });
      await decides(looks(), toBuild);
    });

    for (const challenge of [
      'Bearer realm="http://registry.example/token",service="x"',
      'Bearer realm="file:///etc/passwd"',
      "Bearer",
      'Negotiate realm="https://registry.example"',
    ]) {
      it(`gets no password by ${challenge}`, async () => {
        answers("manifests/v1.0.0", { status: 401, headers: { "www-authenticate": challenge } });
        await refuses(looks(), "Registry", /a way to log in that is not known/);
        assert.equal(registry.server.requests.length, 1);
      });
    }

    it("answers a token that is none", async () => {
      for (const answer of [{ body: "<html>" }, { body: {} }, { status: 404, body: unauthorized }, { body: [] }]) {
        registry.server.on(tokenRoute("pull"), answer);
        await refuses(looks(), "Registry", /\/token answers status \d+ without a token/);
      }
    });

    it("keeps its token to itself where it sends who wants a blob", async () => {
      const digest = registry.add("v1.0.0", A, { place: "label" });
      await decides(looks(), done(digest));
      assert.deepEqual(
        registry.blobs.requests.map(({ headers }) => headers.authorization),
        [undefined],
      );
    });

    it("is not followed to where there is no TLS, and not believed a blob that is another", async () => {
      registry.add("v1.0.0", A, { place: "label" });
      await looks();
      const path = registry.asked.find((each) => each.startsWith("GET blobs/"))!.slice("GET ".length);
      answers(path, { status: 307, headers: { location: "http://blobs.example/x" } });
      await refuses(looks(), "Registry", /blobs\/sha256:[0-9a-f]{64} answers status 307, as was not expected/);
      answers(path, { body: { config: { Labels: { "org.opencontainers.image.revision": A, more: "x" } } } });
      await refuses(looks(), "Tag is taken", /made of no commit that it tells of/);
      answers(path, { status: 404 });
      await refuses(looks(), "Tag is taken", /made of no commit that it tells of/);
    });

    it("is not believed a manifest that has not the digest that it tells of", async () => {
      registry.add("v1.0.0", A);
      const headers = { "docker-content-digest": `sha256:${"0".repeat(64)}` };
      answers("manifests/v1.0.0", registry.challenge, { headers, body: registry.text("v1.0.0") });
      await refuses(looks(), "Registry", /the manifest v1\.0\.0 has the digest sha256:[0-9a-f]{64}, not sha256:0{64}/);
      for (const body of ["<html>", "[]"]) {
        answers("manifests/v1.0.0", { body });
        await refuses(looks(), "Registry", /the manifest v1\.0\.0 is no JSON object/);
      }
    });

    it("is told of as it answers, where it answers as nobody expected", async () => {
      answers("manifests/v1.0.0", { status: 418, body: { errors: [{ code: "TEAPOT", message: "short\nand stout" }] } });
      await refuses(looks(), "Registry", /answers status 418 \(TEAPOT: short and stout\), as was not expected/);
      answers("manifests/v1.0.0", { body: "x".repeat((8 << 20) + 1) });
      await refuses(looks(), "Registry", /answers more than 8388608 bytes/);
    });
  });

  for (const image of [
    "ghcr.io/Sua-Org/api",
    "ghcr.io",
    "ghcr.io/",
    "ghcr.io/a/b:v1",
    "https://ghcr.io/a/b",
    "ghcr.io/a/../b",
    "",
  ]) {
    it(`refuses ${JSON.stringify(image)} as an image`, () =>
      refuses(looks({ IMAGE: image }), "Not an image", /expected host\/name in lower case, without a tag/));
  }
});

describe("The steps of a registry", () => {
  const run = script(import.meta.url, "../../../components/github/registry/image_tags.py");
  const values = {
    IMAGE: "ghcr.io/o/x",
    REVISION: "${{ github.sha }}",
    REGISTRY_USER: "${{ github.actor }}",
    REGISTRY_TOKEN: "${{ github.token }}",
  };

  it("look, by what is asked alone", () => {
    const plain = { name: "Look into the registry", id: "l", shell: "python", run };
    assert.deepEqual(look("l", { image: "ghcr.io/o/x", tag: "t" }), {
      ...plain,
      env: { COMMAND: "look", ...values, TAG: "t" },
    });
    const all = { source: "s", doneTag: "d", series: "r", deniedIsAbsent: true, revision: "c" };
    assert.deepEqual(look("l", { image: "ghcr.io/o/x", tag: "t", ...all }), {
      ...plain,
      env: {
        ...{ COMMAND: "look", ...values, REVISION: "c", TAG: "t", SOURCE: "s", DONE_TAG: "d" },
        ...{ SERIES: "r", IF_LOWER: "refuse", IF_DENIED: "absent" },
      },
    });
    const { env } = look("l", { image: "ghcr.io/o/x", tag: "t", series: "r", ifLower: "warn" });
    assert.deepEqual(env, { COMMAND: "look", ...values, TAG: "t", SERIES: "r", IF_LOWER: "warn" });
  });

  it("give a tag", () => {
    const args = { name: "Promote", image: "ghcr.io/o/x", source: "s", target: "t" };
    const step = {
      name: "Promote",
      id: "p",
      shell: "python",
      env: { COMMAND: "tag", ...values, SOURCE: "s", TAG: "t" },
    };
    assert.deepEqual(giveTag("p", args), { ...step, run });
    assert.deepEqual(giveTag("p", { ...args, if: "x" }), { ...step, if: "x", run });
  });

  it("build, with the commit written where it is looked for", () => {
    const cached = { "cache-from": "type=gha", "cache-to": "type=gha,mode=max", provenance: "mode=max", sbom: true };
    const plain = { name: "Build and push", id: "b", uses: buildPush.uses };
    assert.deepEqual(buildAndPush("b", { tags: "t" }), {
      ...plain,
      with: { context: ".", push: true, tags: "t", ...cached },
    });
    assert.deepEqual(buildAndPush("b", { tags: "t", if: "x", dockerfile: "D", revision: "c" }), {
      ...plain,
      if: "x",
      with: {
        ...{ context: ".", file: "D", push: true, tags: "t" },
        labels: "org.opencontainers.image.revision=c",
        annotations: "index,manifest:org.opencontainers.image.revision=c",
        ...cached,
      },
    });
  });

  it("log in, and set a builder up", () => {
    const login = { registry: "ghcr.io", username: "${{ github.actor }}", password: "${{ github.token }}" };
    assert.deepEqual(logIn(), { name: "Log in to GHCR", uses: registryLogin.uses, with: login });
    assert.deepEqual(logIn("x"), { name: "Log in to GHCR", if: "x", uses: registryLogin.uses, with: login });
    assert.deepEqual(setUpBuilder(), { name: "Set up Buildx", uses: setupBuildx.uses });
    assert.deepEqual(setUpBuilder("x"), { name: "Set up Buildx", if: "x", uses: setupBuildx.uses });
  });
});
