/** The Docker of the sandbox: 10 s. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startedOrSkipped } from "../../../test/support/skip.ts";
import { until } from "../../daemon.ts";
import { type Docker, startDocker } from "../../docker/index.ts";

describe("the sandbox's Docker", function () {
  this.timeout(120_000);
  let folder: string;
  let docker: Docker;

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "docker-"));
    docker = await startedOrSkipped(this, async () => {
      const started = await startDocker(folder);
      await started.image("orders:1", ["httpd", "-f", "-p", "8080", "-h", "/www"], {
        "/www/index.html": "from orders",
      });
      return started;
    });
  });
  after(async () => {
    await docker?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Creates a container and starts it. */
  const run = async (name: string, Cmd: string[] | undefined, HostConfig: object) => {
    const { Id } = await docker.request<{ Id: string }>("POST", `/containers/create?name=${name}`, {
      Image: "orders:1",
      Cmd,
      HostConfig,
    });
    await docker.request("POST", `/containers/${Id}/start`);
  };

  it("begins empty, its own images apart", async () => {
    assert.deepEqual(await docker.objects(), []);
  });

  it("runs containers that reach one another by name and keep what is in a volume", async () => {
    await docker.request("POST", "/networks/create", { Name: "shop", CheckDuplicate: true });
    await docker.request("POST", "/volumes/create", { Name: "data" });
    await run("orders", undefined, { NetworkMode: "shop" });
    const command = "until wget -q -O /data/answer http://orders:8080/; do sleep 0.1; done";
    await run("client", ["sh", "-c", command], { NetworkMode: "shop", Mounts: [volume] });
    const codeOf = async (name: string) =>
      (await docker.request<{ StatusCode: number }>("POST", `/containers/${name}/wait`)).StatusCode;
    assert.equal(await codeOf("client"), 0);
    await run("reader", ["grep", "-qx", "from orders", "/data/answer"], { Mounts: [volume] });
    assert.equal(await codeOf("reader"), 0);
    const names = ["container client", "container orders", "container reader", "network shop", "volume data"];
    assert.deepEqual(await docker.objects(), names);
  });

  it("starts again what ends, where that is wanted", async () => {
    await run("fragile", ["sh", "-c", "sleep 0.2; exit 1"], { RestartPolicy: { Name: "always" } });
    await until("a restart", async () => {
      const { RestartCount } = await docker.request<{ RestartCount: number }>("GET", "/containers/fragile/json");
      return RestartCount > 0;
    });
  });

  it("refuses a name that is taken, in the engine's words", async () => {
    await assert.rejects(run("orders", undefined, {}), /409 .*The container name .*\/orders.* is already in use/);
  });

  it("is empty again after a reset", async () => {
    await docker.reset();
    assert.deepEqual(await docker.objects(), []);
  });
});

const volume = { Type: "volume", Source: "data", Target: "/data" };
