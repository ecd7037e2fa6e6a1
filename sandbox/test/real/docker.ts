/** The Docker of the sandbox: 20 s. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startedOrSkipped } from "../../../test/support/skip.ts";
import { until } from "../../daemon.ts";
import { type Docker, startDocker } from "../../docker/index.ts";
import { standIns } from "../../docker/stand-in-images.ts";

describe("the sandbox's Docker", function () {
  this.timeout(120_000);
  let folder: string;
  let docker: Docker;
  const untouched = machine();

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

  it("is the engine that a container finds at /var/run/docker.sock, and the machine finds nothing there", async function () {
    if (!docker.own) this.skip();
    const socket = { Type: "bind", Source: "/var/run/docker.sock", Target: "/engine.sock" };
    await run("worker", ["sleep", "60"], { Mounts: [socket] });
    const { State } = await docker.request<{ State: { Pid: number } }>("GET", "/containers/worker/json");
    const found = await answerOf(`/proc/${State.Pid}/root/engine.sock`, "/info");
    assert.equal(JSON.parse(found).ID, (await docker.request<{ ID: string }>("GET", "/info")).ID);
    assert.deepEqual(machine(), untouched);
  });

  it("is empty again after a reset", async () => {
    await docker.reset();
    assert.deepEqual(await docker.objects(), []);
  });
});

describe("the images of the sandbox's Docker", function () {
  this.timeout(120_000);
  let folder: string;
  let docker: Docker;
  const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
  const other = `sha256:${"f".repeat(64)}`;

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "docker-"));
    docker = await startedOrSkipped(this, () => startDocker(folder));
    if (!docker.own) this.skip();
  });
  after(async () => {
    await docker?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const inspect = (name: string) =>
    docker.request<{ Id: string; RepoTags: string[]; RepoDigests: string[] }>("GET", `/images/${name}/json`);

  it("are found by a name with a digest, as if they had been pulled by it", async () => {
    const names = [
      `shop/orders:1.2-alpine@${digest}`,
      `docker.io/library/ledger:7@${digest}`,
      `localhost:5000/shop/door@${digest}`,
      `shop/orders:1.2-alpine@${other}`,
      "shop/orders:1.2-alpine",
    ];
    const ids = await docker.images(names.map((name) => ({ name, command: ["true"] })));
    assert.equal(new Set(ids).size, names.length);
    const found = await Promise.all(names.map(inspect));
    assert.deepEqual(
      found.map(({ Id, RepoTags, RepoDigests }) => [Id, RepoTags, RepoDigests]),
      [
        [ids[0], [], [`shop/orders@${digest}`]],
        [ids[1], [], [`ledger@${digest}`]],
        [ids[2], [], [`localhost:5000/shop/door@${digest}`]],
        [ids[3], [], [`shop/orders@${other}`]],
        [ids[4], ["shop/orders:1.2-alpine"], []],
      ],
    );
    const listed = await docker.request<{ Id: string; RepoDigests: string[] | null }[]>("GET", "/images/json");
    assert.deepEqual(listed.find(({ Id }) => Id === ids[0])!.RepoDigests, [`shop/orders@${digest}`]);
    for (const [at, name] of [`ledger:7@${digest}`, `ledger@${digest}`, names[0]!].entries()) {
      const { Id } = await docker.request<{ Id: string }>("POST", `/containers/create?name=c${at}`, { Image: name });
      const { Image } = await docker.request<{ Image: string }>("GET", `/containers/${Id}/json`);
      assert.equal(Image, ids[[1, 1, 0][at]!]);
    }
    assert.deepEqual(await docker.objects(), ["container c0", "container c1", "container c2"]);
    await docker.reset();
    assert.equal((await inspect(names[0]!)).Id, ids[0]);
  });

  it("begin with another one's files, and its environment", async () => {
    const files = { "/bin/say": "#!/bin/sh\necho $WORD $OTHER $PWD $@\n" };
    await docker.images([
      { name: "base:1", command: ["false"], env: { WORD: "one two" }, files },
      {
        name: "made:1",
        from: "base:1",
        entrypoint: ["say"],
        env: { OTHER: "$three" },
        workdir: "/srv",
        files: { "/a": "" },
        volumes: ["/data"],
        stopSignal: "SIGINT",
      },
    ]);
    assert.deepEqual(await ended("said", { Image: "made:1", Cmd: ["-c"] }), [0, "one two $three /srv -c\r\n"]);
    const { Config, Mounts } = await docker.request<{
      Config: { StopSignal: string };
      Mounts: { Destination: string }[];
    }>("GET", "/containers/said/json");
    assert.equal(Config.StopSignal, "SIGINT");
    assert.deepEqual(
      Mounts.map(({ Destination }) => Destination),
      ["/data"],
    );
    // A volume without a name goes with its container.
    await docker.reset();
    assert.deepEqual(await docker.objects(), []);
  });

  it("are refused by a name that is none", async () => {
    const image = { name: "orders@sha256:12", command: [] };
    await assert.rejects(
      docker.images([image]),
      /^Error: orders@sha256:12 is no name of an image: write repository:tag/,
    );
  });

  it("stand in for declared ones: start, are healthy, end", async () => {
    const type = "docker:index/container:Container";
    const [image, name] = [`shop/flow:3@${digest}`, "x"];
    const text = `set -e; test "$(flow state)" = 'ready' && curl -f http://localhost/`;
    const command = ["flow", "migrate", "--to", "it's last"];
    await docker.images(
      standIns([
        { type: "docker:index/remoteImage:RemoteImage", name, inputs: { name: image } },
        { type, name, inputs: { image, command, mustRun: false } },
        {
          type,
          name,
          inputs: {
            image,
            entrypoints: ["bash", "-c"],
            command: ["pip install flow && exec flow worker"],
            healthcheck: { tests: ["CMD-SHELL", text] },
            user: "flow:flow",
          },
        },
        { type, name, inputs: { image, healthcheck: { tests: ["CMD", "flow", "ping"] } } },
      ]),
    );
    assert.deepEqual(await ended("migrate", { Image: image, Cmd: command }), [0, ""]);
    const Healthcheck = (Test: string[]) => ({ Test, Interval: 200_000_000, Retries: 1 });
    await start("worker", {
      Image: image,
      Entrypoint: ["bash", "-c"],
      Cmd: ["pip install flow && exec flow worker"],
      User: "flow:flow",
      Healthcheck: Healthcheck(["CMD-SHELL", text]),
      HostConfig: { ReadonlyRootfs: true, CapDrop: ["ALL"] },
    });
    await start("server", { Image: image, Healthcheck: Healthcheck(["CMD", "flow", "ping"]) });
    // A test that nobody declared is one.
    await start("ill", { Image: image, Healthcheck: Healthcheck(["CMD-SHELL", "exit 1"]) });
    const healthOf = async (container: string) =>
      (await docker.request<{ State: { Health: { Status: string } } }>("GET", `/containers/${container}/json`)).State
        .Health.Status;
    for (const [container, health] of Object.entries({ worker: "healthy", server: "healthy", ill: "unhealthy" })) {
      await until(`${container} ${health}`, async () => (await healthOf(container)) === health, 20);
      const begun = Date.now();
      await docker.request("POST", `/containers/${container}/stop?t=30`);
      assert.ok(Date.now() - begun < 10_000, `${container} did not end at SIGTERM`);
      assert.deepEqual(await ended(container), [0, ""]);
    }
    await docker.reset();
  });

  async function start(name: string, config: object) {
    const { Id } = await docker.request<{ Id: string }>("POST", `/containers/create?name=${name}`, config);
    await docker.request("POST", `/containers/${Id}/start`);
  }

  /** The exit code of a container, and what it has printed. */
  async function ended(name: string, config?: object): Promise<[code: number, printed: string]> {
    if (config) await start(name, { ...config, Tty: true });
    const { StatusCode } = await docker.request<{ StatusCode: number }>("POST", `/containers/${name}/wait`);
    return [StatusCode, await answerOf(new URL(docker.host).pathname, `/containers/${name}/logs?stdout=1&stderr=1`)];
  }
});

/** What an engine answers at a socket, as it is: not all that it says is JSON. */
const answerOf = (socketPath: string, path: string) =>
  new Promise<string>((resolve, reject) => {
    get({ socketPath, path }, async (response) => {
      resolve((await response.setEncoding("utf8").toArray()).join(""));
    }).on("error", reject);
  });

/** What an engine could leave in the machine's own file system. */
function machine() {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return {
    mounts: mounts.filter((line) => /^\S+ (\/var)?\/run /.test(line)),
    socket: existsSync("/var/run/docker.sock"),
  };
}

const volume = { Type: "volume", Source: "data", Target: "/data" };
