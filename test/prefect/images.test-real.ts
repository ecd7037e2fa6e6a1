/** The images of test/prefect/images.ts, each started and asked: 60 s. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../sandbox/daemon.ts";
import { type Docker, startDocker } from "../../sandbox/docker/index.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { builtPath, makeImages } from "./images.ts";

describe("the images of Prefect's system", function () {
  this.timeout(300_000);
  let folder: string;
  let docker: Docker;
  const names = {
    prefect: "prefecthq/prefect:3.8.8-python3.12",
    postgres: `postgres:17.6-alpine@sha256:${"a".repeat(64)}`,
    redis: `redis:8.2.1-alpine@sha256:${"b".repeat(64)}`,
    traefik: `traefik:v3.7.13@sha256:${"c".repeat(64)}`,
  };

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "prefect-"));
    docker = await startedOrSkipped(this, () => {
      builtPath("debian.tar");
      return startDocker(join(folder, "engine"));
    });
    await makeImages(docker, names);
    if (!docker.own) this.skip();
  });
  afterEach(() => docker?.reset());
  after(async () => {
    await docker?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What a command prints, as a person at this engine would call it. @throws AssertionError when it fails */
  const run = (command: string, ...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(command, args, {
      encoding: "utf8",
      env: { ...process.env, DOCKER_HOST: docker.host },
    });
    assert.equal(status, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  };
  const answers = (...args: string[]) => until(args.join(" "), async () => run("docker", "exec", ...args), 60);

  it("have a PostgreSQL that makes its cluster as it is told, and asks for the password", async () => {
    const settings = ["POSTGRES_USER=flow", "POSTGRES_PASSWORD=it's secret", "POSTGRES_DB=runs"];
    const readOnly = ["--read-only", "--tmpfs=/tmp", "--tmpfs=/var/run/postgresql"];
    run(
      "docker",
      "run",
      "--detach",
      "--name=db",
      ...readOnly,
      ...settings.map((each) => `--env=${each}`),
      names.postgres,
    );
    // The server of the beginning listens to no port.
    await answers("db", "pg_isready", "--host=127.0.0.1", "--username=flow", "--dbname=runs");
    const { IPAddress: host } = JSON.parse(run("docker", "inspect", "db"))[0].NetworkSettings;
    const psql = (password: string) => [
      "exec",
      `--env=PGPASSWORD=${password}`,
      "db",
      "psql",
      `--host=${host}`,
      "--username=flow",
      "runs",
      "-Atc",
    ];
    assert.equal(
      run("docker", ...psql("it's secret"), "CREATE TABLE run (); SELECT current_user"),
      "CREATE TABLE\nflow\n",
    );
    assert.throws(() => run("docker", ...psql("its secret"), "SELECT 1"), /password authentication failed/);
    const dump = "pg_dump --username=flow --format=custom runs | pg_restore --list";
    assert.match(run("docker", "exec", "db", "sh", "-c", dump), /TABLE public run flow/);
    // It is stopped as the official one is, and kept in its volume.
    run("docker", "restart", "db");
    await answers("db", "pg_isready", "--host=127.0.0.1");
    assert.equal(run("docker", ...psql("it's secret"), "SELECT count(*) FROM run"), "0\n");
    assert.match(run("docker", "exec", "db", "sh", "-c", "ps -o user,args | grep '[c]heckpointer'"), /^postgres /);
  });

  it("have a Redis that is not root", async () => {
    run("docker", "run", "--detach", "--name=cache", names.redis, "--appendonly", "yes");
    await until("PING", async () => run("docker", "exec", "cache", "redis-cli", "ping") === "PONG\n");
    assert.match(run("docker", "exec", "cache", "ps", "-o", "user,args"), /redis +redis-server/);
  });

  it("have a Prefect whose worker installs its Docker without a network", () => {
    const prefect = ["run", "--rm", "--network=none", names.prefect];
    assert.equal(run("docker", ...prefect, "prefect", "--version"), "3.8.8\n");
    const worker = "pip install prefect-docker==0.7.4 prefect==3.8.8 && prefect worker start --help >/dev/null";
    const types = "from prefect_docker import DockerWorker; import prefect_redis; print(DockerWorker.type)";
    assert.match(run("docker", ...prefect, "bash", "-c", `${worker} && python -c '${types}'`), /\ndocker\n$/);
  });

  it("have a Prefect that serves", async () => {
    run("docker", "run", "--detach", "--name=api", names.prefect, "prefect", "server", "start", "--host=0.0.0.0");
    const ask = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:4200/api/health').read())";
    assert.equal(await answers("api", "python", "-c", ask), "b'true'\n");
  });

  it("have a Traefik", async () => {
    assert.match(run("docker", "run", "--rm", names.traefik, "version"), /Version: +3\.7\.\d+\n/);
    run("docker", "run", "--detach", "--name=door", names.traefik, "--ping=true");
    assert.match(await answers("door", "traefik", "healthcheck", "--ping"), /^OK/);
    assert.equal(run("docker", "exec", "door", "wget", "-qO-", "http://127.0.0.1:8080/ping"), "OK");
  });

  it("are run by Docker Compose", () => {
    const file = join(folder, "compose.yaml");
    const healthcheck = { test: ["CMD", "redis-cli", "ping"], interval: "1s" };
    writeFileSync(file, JSON.stringify({ name: "tiny", services: { cache: { image: names.redis, healthcheck } } }));
    const compose = (...args: string[]) => run(builtPath("bin/docker-compose"), "--file", file, ...args);
    assert.match(compose("config"), new RegExp(`image: ${names.redis}`));
    compose("up", "--detach", "--wait", "--quiet-pull");
    assert.match(compose("ps", "--format=json"), /"Health":"healthy"/);
    compose("down", "--volumes");
  });

  it("go with a server of certificates to try with", () => {
    const { stderr } = spawnSync(builtPath("bin/pebble"), ["-help"], { encoding: "utf8" });
    assert.match(stderr, /-strict/);
  });
});
