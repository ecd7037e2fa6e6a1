/** What an `up` sends to a function after its repository has deployed: what is here, and never a build. */
import assert from "node:assert/strict";
import { type Config, configOf, type Sandbox } from "../../sandbox/sandbox.ts";
import { isWrite, type StandIn } from "../../sandbox/stand-in/server.ts";
import { sandboxOf, up } from "./support.ts";

const system = "esteira:equidade";

describe("A function that its repository has deployed", function () {
  this.timeout(600_000);
  const config = configOf("dev");
  const name = "projects/equidade-dev/locations/southamerica-east1/functions/cloud-function-1";
  let sandbox: Sandbox;
  let google: StandIn;

  before(async function () {
    sandbox = await sandboxOf.call(this, "dev", config);
    google = sandbox.parts.find(({ standIn }) => standIn?.api.name === "Google Cloud")!.standIn!;
    await up(sandbox);
  });
  after(() => sandbox?.close());

  /** A request as the deploy's gcloud makes it. */
  async function ask(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const headers = { authorization: `Bearer ${sandbox.engine.env["GOOGLE_OAUTH_ACCESS_TOKEN"]}` };
    const response = await fetch(`${google.url}/${path}`, { method, headers, body: JSON.stringify(body) });
    assert.ok(response.ok, await response.clone().text());
    return (await response.json()) as Record<string, unknown>;
  }

  const deployed = async () => {
    const { buildConfig, labels } = (await ask("GET", `v2/${name}`)) as {
      buildConfig: { runtime: string; source: { storageSource: { object: string } } };
      labels: Record<string, string>;
    };
    return { runtime: buildConfig.runtime, object: buildConfig.source.storageSource.object, commit: labels["commit"] };
  };

  /** The writes to functions while a stack is brought up with these settings for all of them. */
  async function writesWith(defaults: object, ...flags: string[]): Promise<string[]> {
    const equidade = config[system] as Config;
    await sandbox.configure({ ...config, [system]: { ...equidade, defaults } });
    const mark = google.log.length;
    await up(sandbox, ...flags);
    return google.log
      .slice(mark)
      .filter((each) => isWrite(each) && each.operation.includes(".functions."))
      .map(({ method, url }) => `${method} ${new URL(url, google.url).searchParams.get("updateMask")}`);
  }

  it("keeps its code when the runtime changes here", async () => {
    const bucket = "equidade-dev-equidade-first-source";
    await ask("POST", `upload/storage/v1/b/${bucket}/o?uploadType=media&name=own.zip`, {});
    await ask("PATCH", `v2/${name}?updateMask=buildConfig,labels`, {
      buildConfig: {
        runtime: "python312",
        entryPoint: "main",
        source: { storageSource: { bucket, object: "own.zip" } },
      },
      labels: { commit: "abc", "deployment-tool": "cli-gcloud" },
    });
    const own = { runtime: "python312", object: "own.zip", commit: "abc" };
    assert.deepEqual(await deployed(), own);
    assert.deepEqual(await writesWith({ runtime: "python313" }), []);
    assert.deepEqual(await writesWith({ runtime: "python313" }, "--refresh"), []);
    assert.deepEqual(await deployed(), own);
  });

  it("keeps its code when memory changes here", async () => {
    const patches = Array.from({ length: 3 }, () => "PATCH serviceConfig");
    assert.deepEqual(await writesWith({ runtime: "python313", memory: "512Mi" }, "--refresh"), patches);
    assert.deepEqual(await deployed(), { runtime: "python312", object: "own.zip", commit: "abc" });
  });
});
