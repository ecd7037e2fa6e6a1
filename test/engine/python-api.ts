/** What an operator does to python-api with the engine: another token, a broken glass. */
import assert from "node:assert/strict";
import { type Config, configOf, type Sandbox } from "../../sandbox/sandbox.ts";
import { preview, type Step, sandboxOf, up } from "./support.ts";

const system = "esteira:python-api";

describe("python-api", function () {
  this.timeout(600_000);
  const config: Config = Object.fromEntries(
    Object.entries(configOf("prod")).filter(([key]) => !/^esteira:(equidade|arcgis)$|^docker:/.test(key)),
  );
  let sandbox: Sandbox;

  before(async function () {
    sandbox = await sandboxOf.call(this, "prod", config);
    await up(sandbox);
  });
  after(() => sandbox?.close());

  it("takes another token without touching the application that uses it", async () => {
    await sandbox.engine.run(
      ["config", "set", "--stack", "prod", "--secret", "--path", "esteira:secrets.python-api.GIT_TOKEN"],
      {},
      "another-token",
    );
    const steps = await preview(sandbox);
    assert.deepEqual(changed(steps), ["python-api-gitops-repository"]);
    await up(sandbox);
    await sandbox.engine.run(["preview", "--expect-no-changes"]);
  });

  it("breaks the glass by one change, of the project, and takes it back by another", async () => {
    const until = `${new Date(Date.now() + 3 * 3_600_000).toISOString().slice(0, 16)}Z`;
    const breakGlass = { who: "ana@example.org", why: "INC-42: it is down", until };
    const broken = { ...config, [system]: { ...(config[system] as object), breakGlass } };
    for (const each of [broken, config]) {
      await sandbox.configure(each);
      assert.deepEqual(changed(await preview(sandbox)), ["python-api-gitops-project"]);
      await up(sandbox);
      await sandbox.engine.run(["preview", "--expect-no-changes"]);
    }
  });
});

/** Names of what is not left as it is. */
const changed = (steps: readonly Step[]): string[] => [
  ...new Set(steps.filter(({ op }) => op !== "same").map(({ urn }) => urn.split("::").at(-1)!)),
];
