/** What rollout.py refuses before it asks a cluster anything; the rest is test/kubernetes/rollout.test-real.ts. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { type Env, PYTHON } from "../../../support/sandbox.ts";
import { refusalOf, scriptSuite } from "../../../support/script-suite.ts";

const SCRIPT = new URL("../../../../components/kubernetes/rollout/rollout.py", import.meta.url).pathname;
const CANARY = "canaryOfTheKubeconfig";

describe("rollout.py", () => {
  const suite = scriptSuite();

  const refusal = async (title: string, env: Env): Promise<string> => {
    const { box } = suite;
    mkdirSync(box.path("runner"));
    const result = await box.run(PYTHON, [SCRIPT], {
      env: {
        COMMAND: "deploy",
        NAMESPACE: "shop-prod",
        DEPLOYMENT: "shop",
        CONTAINER: "web",
        IMAGE: "registry.invalid/shop:v2",
        HEALTH_URL: "https://shop.invalid/health",
        KUBECONFIG_BASE64: Buffer.from(CANARY).toString("base64"),
        RUNNER_TEMP: box.path("runner"),
        PATH: box.bin,
        ...env,
      },
    });
    assert.equal(box.read("output"), "result=failed\n");
    box.write("output", "");
    const text = refusalOf(result, box, title);
    assert.match(box.read("summary"), new RegExp(`^### ${title}: `));
    assert.deepEqual(readdirSync(box.path("runner")), []);
    assert.deepEqual(box.filesWith(CANARY), []);
    return text;
  };

  for (const name of ["NAMESPACE", "DEPLOYMENT", "CONTAINER", "IMAGE", "HEALTH_URL", "COMMAND"]) {
    it(`wants ${name}`, async () => {
      assert.match(await refusal("Not deployed", { [name]: " " }), new RegExp(`^${name} is empty or not set`));
    });
  }
  for (const value of ["ten", "-1", "nan", "inf"]) {
    it(`takes ${value} for no number of seconds`, async () => {
      const text = await refusal("Not deployed", { WATCH_SECONDS: value });
      assert.equal(text, `WATCH_SECONDS is '${value}': expected a number, 0 or more`);
    });
  }
  for (const value of ["/health", "{}", "[1]"]) {
    it(`takes ${value} for no list`, async () => {
      const text = await refusal("Not deployed", { SMOKE_PATHS: value });
      assert.equal(text, 'SMOKE_PATHS is no JSON list of texts, such as ["/health"]');
    });
  }
  it("takes nothing but https for the health of what is public", async () => {
    const text = await refusal("Not deployed", { HEALTH_URL: "http://shop.invalid/health" });
    assert.equal(text, "HEALTH_URL is http://shop.invalid/health: expected a URL with https");
  });
  it("says that there is no kubectl", async () => {
    assert.match(await refusal("No kubectl", {}), /^There is no kubectl on PATH/);
  });
  it("says that there is no kubeconfig", async () => {
    suite.box.stub("kubectl");
    assert.match(await refusal("No kubeconfig", { KUBECONFIG_BASE64: "" }), /^KUBECONFIG_BASE64 is empty: `pulumi up`/);
  });
  for (const value of [`no base64 of ${CANARY}`, Buffer.from([0xff, 0xfe]).toString("base64")]) {
    it(`shows nothing of a kubeconfig that is no text in base64: ${value.slice(0, 4)}`, async () => {
      suite.box.stub("kubectl");
      const text = await refusal("No kubeconfig", { KUBECONFIG_BASE64: value });
      assert.equal(text, "KUBECONFIG_BASE64 is no text in base64: `pulumi up` writes it again");
    });
  }
  it("shows nothing of what kubectl says of a file that it cannot read, which no one else can either", async () => {
    suite.box.stub("kubectl", `stat -c %a "$KUBECONFIG" >"$TMPDIR/mode"; cat "$KUBECONFIG" >&2; exit 1`);
    const text = await refusal("No kubeconfig", { PATH: suite.box.env["PATH"] });
    assert.match(text, /^The kubeconfig cannot be read.* is not shown: `pulumi up` writes it again$/);
    assert.equal(suite.box.read("tmp/mode"), "600\n");
    assert.ok(!suite.box.calls("kubectl")[0]!.env.includes("KUBECONFIG_BASE64"));
  });
});
