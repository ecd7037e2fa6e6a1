import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { type Env, real } from "../../support/sandbox.ts";
import { scriptSuite } from "../../support/script-suite.ts";

const SCRIPT = new URL("../../../components/prefect/worker.sh", import.meta.url).pathname;
// Long enough that base64 would break the line.
const CANARY = `canaryOfWorker-${"x".repeat(80)}`;
const registry = { REGISTRY: "registry.example.com", REGISTRY_USER: "puller", REGISTRY_TOKEN: CANARY };
const install = [
  ...["install", "--quiet", "--disable-pip-version-check", "--root-user-action", "ignore"],
  ...["prefect-docker==0.6.6", "prefect==3.4.1"],
];
const start = [
  ...["worker", "start", "--pool", "My pool", "--type", "docker", "--name", "prefect-worker", "--with-healthcheck"],
];

describe("worker.sh", () => {
  const suite = scriptSuite();
  beforeEach(() => {
    suite.box.stub("pip");
    suite.box.stub("prefect", 'echo "worker $$"; exit 7');
  });

  const run = (env: Env = {}) =>
    suite.box.run("bash", [SCRIPT], {
      env: { POOL: "My pool", PREFECT_VERSION: "3.4.1", PREFECT_DOCKER_VERSION: "0.6.6", ...env },
    });
  const argvs = (tool: string) => suite.box.calls(tool).map(({ argv }) => argv);
  const configFile = "home/.docker/config.json";

  it("installs exactly what is pinned and becomes the worker", async () => {
    const result = await suite.box.run("bash", ["-c", `echo "script $$"; exec bash "$0"`, SCRIPT], {
      env: { POOL: "My pool", PREFECT_VERSION: "3.4.1", PREFECT_DOCKER_VERSION: "0.6.6" },
    });
    assert.deepEqual(argvs("pip"), [install]);
    assert.deepEqual(argvs("prefect"), [start]);
    // The same process, which a signal to the container reaches, and its exit code.
    const [, script, worker] = /^script (\d+)\nworker (\d+)\n$/.exec(result.output) ?? [];
    assert.ok(script);
    assert.deepEqual([worker, result.code], [script, 7]);
  });

  it("installs once: a restart needs no index", async () => {
    await run();
    suite.box.stub("pip", "exit 1");
    assert.equal((await run()).code, 7);
    assert.deepEqual([argvs("pip").length, argvs("prefect").length], [1, 2]);
  });

  for (const pin of ["PREFECT_VERSION", "PREFECT_DOCKER_VERSION"]) {
    it(`installs again for another ${pin}`, async () => {
      await run();
      await run({ [pin]: "9.9.9" });
      assert.deepEqual(argvs("pip")[1]?.slice(5), [
        `prefect-docker==${pin === "PREFECT_VERSION" ? "0.6.6" : "9.9.9"}`,
        `prefect==${pin === "PREFECT_VERSION" ? "9.9.9" : "3.4.1"}`,
      ]);
    });
  }

  it("starts no worker where the packages cannot be installed, and tries again at the next start", async () => {
    suite.box.stub("pip", "echo no index >&2; exit 3");
    for (let starts = 1; starts <= 2; starts += 1) {
      const result = await run();
      assert.deepEqual([result.code, result.output], [3, "no index\n"]);
      assert.deepEqual([argvs("pip").length, argvs("prefect")], [starts, []]);
    }
    suite.box.stub("pip");
    assert.equal((await run()).code, 7);
    assert.deepEqual(argvs("prefect"), [start]);
  });

  it("logs in to a registry by a file that only its own user reads", async () => {
    assert.equal((await run(registry)).code, 7);
    const auth = Buffer.from(`puller:${CANARY}`).toString("base64");
    assert.equal(suite.box.read(configFile), `{"auths": {"registry.example.com": {"auth": "${auth}"}}}\n`);
    assert.equal(statSync(suite.box.path(configFile)).mode & 0o777, 0o600);
    // Another token at the next start.
    await run({ ...registry, REGISTRY_TOKEN: "t" });
    assert.match(suite.box.read(configFile), /"cHVsbGVyOnQ="/);
  });

  for (const [what, env] of [
    ["without a token", {}],
    ["with an empty token", { ...registry, REGISTRY_TOKEN: "" }],
  ] as const) {
    it(`logs in nowhere ${what}`, async () => {
      assert.equal((await run(env)).code, 7);
      assert.equal(suite.box.read(configFile), "");
    });
  }

  it("shows the token to nobody", async () => {
    for (const tool of ["base64", "mkdir", "cat"]) suite.box.stub(tool, `exec ${real(tool)} "$@"`);
    for (const tool of ["pip", "prefect"]) suite.box.stub(tool, "export -p");
    const { output } = await run(registry);
    for (const tool of ["pip", "prefect"]) assert.ok(!suite.box.calls(tool)[0]!.env.includes("REGISTRY_TOKEN"), tool);
    assert.match(output, /POOL="My pool"/);
    const auth = Buffer.from(`puller:${CANARY}`).toString("base64");
    const called = ["base64", "mkdir", "cat", "pip", "prefect"].flatMap((tool) => argvs(tool));
    assert.equal(called.length, 5);
    for (const secret of [CANARY, auth]) assert.ok(!(output + JSON.stringify(called)).includes(secret));
    assert.deepEqual(suite.box.filesWith(CANARY), []);
  });
});
