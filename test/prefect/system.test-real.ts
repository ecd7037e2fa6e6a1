/**
 * The arcgis host for real: the compose file that is delivered, on a Docker engine, with certificates from an ACME server;
 * the flows' deployments by the script of the delivered workflow; runs in containers of their own, whatever is killed. 6 min.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse, stringify } from "yaml";
import { prefectHost } from "../../components/prefect/host.ts";
import { images } from "../../components/prefect/images.ts";
import { until } from "../../sandbox/daemon.ts";
import { type Docker, startDocker } from "../../sandbox/docker/index.ts";
import { resolve, schema } from "../../systems/arcgis/config.ts";
import { credentials, credentialsVolume } from "../../systems/arcgis/names.ts";
import { deliveredFiles } from "../../systems/arcgis/repository/files.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { builtPath, makeImages } from "./images.ts";

const domain = "flows.prefect.test";
const authString = "prefect:a-password";
const flows = ["abordagem", "equipamentos"];
const modes = ["staging", "prod"] as const;
const shas = { good: "1".repeat(40), broken: "2".repeat(40) };

/** What the stacks of prod and staging would deliver to the repository. */
const project = prefectHost({
  domain,
  acme: { email: "ops@example.org", server: "https://pebble:14000/dir" },
  pool: "docker-pool",
  backup: { at: "06:00", days: 14 },
});
const repository = Object.fromEntries(
  modes
    .map((mode) =>
      resolve(
        schema.parse({
          project: `arcgis-${mode}`,
          region: "southamerica-east1",
          endpoint: `https://arcgis.example.org/${mode}`,
          ...(mode === "prod"
            ? { prefect: { domain, acmeEmail: "ops@example.org" }, defaults: { schedule: "0 5 * * *" }, flows }
            : { prefect: { stack: "prod" } }),
        }),
        mode,
      ),
    )
    .flatMap((config) => deliveredFiles(config, "sua-org", config.host && project))
    .map(({ path, text }) => [path, text]),
);

describe("the arcgis host", function () {
  this.timeout(600_000);
  let folder: string;
  let docker: Docker;

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "host-"));
    docker = await startedOrSkipped(this, () => {
      builtPath("debian.tar");
      return startDocker(join(folder, "engine"));
    });
    if (!docker.own) return this.skip();
    await makeImages(docker, images);
    const broken = { "pipelines/arcgis/equipamentos/flows.py": "import a_package_that_is_not_there\n" };
    await docker.images([...modes.map((mode) => codeImage(mode, shas.good)), codeImage("prod", shas.broken, broken)]);
    lay();
  });
  afterEach(function () {
    if (this.currentTest?.state !== "failed" || !docker) return;
    console.log(run("docker", "ps", "--all", "--format", "{{.Names}}: {{.Status}}"));
    for (const name of run("docker", "ps", "--all", "--quiet").split("\n").filter(Boolean)) {
      const { stdout, stderr } = spawnSync("docker", ["logs", "--tail=12", name], {
        encoding: "utf8",
        env: environment(),
      });
      console.log(`${name}:\n${stdout}${stderr}`);
    }
  });
  after(async () => {
    await docker?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** An image of the repository's code, as the workflow would build, name and push it. */
  const codeImage = (mode: (typeof modes)[number], sha: string, files: Record<string, string> = {}) => ({
    name: `ghcr.io/sua-org/pipelines-arcgis:${mode === "prod" ? "main" : mode}-${sha}@${digestOf(mode, sha)}`,
    from: images.prefect,
    workdir: "/app",
    files: Object.fromEntries(
      Object.entries({
        ...repository,
        ...Object.fromEntries(flows.map((flow) => [`pipelines/arcgis/${flow}/flows.py`, flowPy(flow)])),
        ...files,
      }).map(([path, text]) => [`/app/${path}`, text]),
    ),
  });
  const digestOf = (mode: string, sha: string) =>
    `sha256:${createHash("sha256").update(`${mode} ${sha}`).digest("hex")}`;
  const flowPy = (flow: string) =>
    readFileSync(join(import.meta.dirname, "repository/flows.py"), "utf8").replaceAll("NAME", flow);

  /** Beside the delivered compose file: an ACME server, and who trusts it. */
  function lay() {
    const write = (path: string, text: string) => {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    };
    for (const [path, text] of Object.entries(repository)) write(path, text);
    cpSync(builtPath("bin/pebble"), join(folder, "acme/pebble"));
    const subject = ["-subj", "/CN=pebble", "-addext", "subjectAltName=DNS:pebble"];
    const files = ["-keyout", join(folder, "acme/key.pem"), "-out", join(folder, "acme/cert.pem")];
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...files);
    const pebble = {
      listenAddress: "0.0.0.0:14000",
      managementListenAddress: "0.0.0.0:15000",
      certificate: "/acme/cert.pem",
      privateKey: "/acme/key.pem",
      httpPort: 80,
      tlsPort: 443,
    };
    write("acme/pebble.json", JSON.stringify({ pebble }));
    const acme = { type: "bind", source: join(folder, "acme"), target: "/acme", read_only: true };
    const beside = {
      services: {
        pebble: {
          image: images.prefect,
          entrypoint: ["/acme/pebble", "-config", "/acme/pebble.json"],
          environment: { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0" },
          volumes: [acme],
          networks: ["front"],
        },
        traefik: {
          environment: { LEGO_CA_CERTIFICATES: "/acme/cert.pem" },
          volumes: [acme],
          networks: { front: { aliases: [domain] } },
          depends_on: { pebble: { condition: "service_started" } },
        },
      },
    };
    write("beside.yaml", stringify(beside));
    write(
      "prefect/.env",
      `POSTGRES_PASSWORD=pg-password\nREDIS_PASSWORD=redis-password\nPREFECT_AUTH_STRING=${authString}\n`,
    );
  }

  const environment = () => ({ ...process.env, DOCKER_HOST: docker.host });
  /** A command, as a person would call it. @returns what it prints @throws AssertionError when it fails */
  const run = (command: string, ...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env: environment(), cwd: folder });
    assert.equal(status, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  };
  const compose = (...args: string[]) =>
    run(
      builtPath("bin/docker-compose"),
      ...["--file", "prefect/compose.yml", "--file", "beside.yaml", "--project-directory", join(folder, "prefect")],
      ...args,
    );
  const inspect = (container: string) =>
    (
      JSON.parse(run("docker", "inspect", container)) as [
        { State: { Pid: number; Health?: { Status: string } }; RestartCount: number },
      ]
    )[0];
  const healthy = (container: string) =>
    until(`${container} healthy`, async () => inspect(container).State.Health?.Status === "healthy", 240);
  /** Python within a network, outside of the containers: what anybody there could do. */
  const python = (
    text: string,
    {
      env = {},
      args = [],
      image = images.prefect,
    }: { env?: Record<string, string>; args?: string[]; image?: string } = {},
  ) =>
    spawnSync(
      "docker",
      [
        ...["run", "--rm", "--interactive", "--network=prefect_front", "--entrypoint=python"],
        ...[`--volume=${join(folder, "acme")}:/acme:ro`, "--env=SSL_CERT_FILE=/acme/roots.pem"],
        ...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`),
        ...args,
        image,
        "-",
      ],
      { encoding: "utf8", env: environment(), input: text },
    );
  const printed = (...args: Parameters<typeof python>): string => {
    const { status, stdout, stderr } = python(...args);
    assert.equal(status, 0, stdout + stderr);
    return stdout.trim();
  };
  /** The API as a client outside has it. */
  const client = {
    PREFECT_API_URL: `https://${domain}/api`,
    PREFECT_API_AUTH_STRING: authString,
    PREFECT_API_SSL_CERT_FILE: "/acme/roots.pem",
  };
  const ask = (text: string) => JSON.parse(printed(`${askPy}\n${text}`, { env: client })) as unknown;
  const askPy = `
import asyncio, json, os, sys
from prefect.client.orchestration import get_client
client = get_client(sync_client=True)
client.__enter__()
def show(value): print(json.dumps(value, default=str))
`;

  it("comes up by its compose file", async () => {
    compose("up", "--detach", "--quiet-pull");
    for (const [name, { healthcheck }] of Object.entries(project.services))
      if (healthcheck) await healthy(`prefect-${name}-1`);
    const { State } = JSON.parse(run("docker", "inspect", "prefect-prefect-migrate-1"))[0] as {
      State: { Status: string; ExitCode: number };
    };
    assert.deepEqual([State.Status, State.ExitCode], ["exited", 0]);
    const ps = compose("ps", "--format", "json")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { Service: string; Publishers: { PublishedPort: number }[] | null });
    const published = ps.flatMap(({ Service, Publishers }) =>
      (Publishers ?? [])
        .filter(({ PublishedPort }) => PublishedPort)
        .map(({ PublishedPort }) => `${Service} ${PublishedPort}`),
    );
    assert.deepEqual([...new Set(published)].sort(), ["traefik 443", "traefik 80"]);
  });

  it("gets a certificate by ACME, redirects plain HTTP, shows no dashboard and nobody the API", async () => {
    const root = printed(
      "import ssl, urllib.request as r; print(r.urlopen('https://pebble:15000/roots/0', context=ssl._create_unverified_context()).read().decode())",
    );
    writeFileSync(join(folder, "acme/roots.pem"), root);
    const status = (url: string, headers: object = {}) =>
      printed(`
import json, urllib.request as r, urllib.error
class Stay(r.HTTPRedirectHandler):
    def redirect_request(self, *args): return None
try:
    answer = r.build_opener(Stay).open(r.Request(${JSON.stringify(url)}, headers=${JSON.stringify(headers)}), timeout=10)
    print(answer.status, answer.read(80).decode())
except urllib.error.HTTPError as error:
    print(error.code, error.headers.get("location", ""))
`);
    await until("a certificate", async () => status(`https://${domain}/api/health`) === "200 true", 90);
    assert.equal(status(`http://${domain}/api/health`), `301 https://${domain}/api/health`);
    assert.match(status(`https://${domain}/api/admin/version`), /^401/);
    const basic = Buffer.from(authString).toString("base64");
    assert.equal(status(`https://${domain}/api/admin/version`, { authorization: `Basic ${basic}` }), '200 "3.8.8"');
    assert.match(status(`https://${domain}/`), /^200 <!doctype html>/i);
    // Prefect's own page answers there; traefik's dashboard would show its name.
    assert.doesNotMatch(status(`https://${domain}/dashboard/`), /Traefik/i);
    assert.match(
      status(`https://other.prefect.test/api/health`.replace("other.prefect.test", domain), {
        host: "other.example.org",
      }),
      /^404/,
    );
  });

  it("passes WebSockets, and asks there for the auth string too", () => {
    const connect = (auth: string) =>
      printed(
        `
import asyncio, json, ssl, websockets
async def main():
    context = ssl.create_default_context(cafile="/acme/roots.pem")
    async with websockets.connect("wss://${domain}/api/events/out", ssl=context, subprotocols=["prefect"]) as socket:
        await socket.send(json.dumps({"type": "auth", "token": ${JSON.stringify(auth)}}))
        try:
            print(json.loads(await asyncio.wait_for(socket.recv(), 10))["type"])
        except websockets.ConnectionClosed as closed:
            print("closed", closed.rcvd.code)
asyncio.run(main())
`,
      );
    assert.equal(connect(authString), "auth_success");
    assert.match(connect("prefect:wrong"), /^closed /);
  });

  it("has the pool, of type docker, with its worker online", async () => {
    const pool = () => ask("p = client.read_work_pool('docker-pool'); show([p.type, p.status])") as [string, string];
    await until("the pool", async () => pool()[1] === "READY", 120);
    assert.deepEqual(pool(), ["docker", "READY"]);
  });

  it("has a dump of its database that can be restored", () => {
    const [dump] = run("docker", "exec", "prefect-backup-1", "find", "/backups", "-name", "*.dump").trim().split("\n");
    assert.match(run("docker", "exec", "prefect-backup-1", "pg_restore", "--list", dump!), /TABLE public flow_run /);
  });

  /** The step of the delivered workflow, as the runner would run it in the job's container. */
  const deploy = (mode: (typeof modes)[number], sha: string, env: Record<string, string> = {}, args: string[] = []) => {
    const { jobs } = parse(repository[".github/workflows/ci_cd.yml"]!) as {
      jobs: Record<string, { steps: { run: string; env: object; "working-directory": string }[] }>;
    };
    const [step, ...others] = jobs["deploy-flows"]!.steps;
    assert.deepEqual(others, []);
    const { name: image } = codeImage(mode, sha);
    const given = { MODE: mode, RIO_ENV: mode, IMAGE: image, IMAGE_DIGEST: digestOf(mode, sha), ...client, ...env };
    const told = Object.keys(step!.env);
    assert.deepEqual(told, ["MODE", "RIO_ENV", "IMAGE", "IMAGE_DIGEST", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"]);
    // What every step has, and what somebody who has set Prefect Cloud's key has.
    const runner = { GITHUB_SHA: sha, PREFECT_API_KEY: "pnu_x", WAIT_SECONDS: "60" };
    const where = [`--workdir=${step!["working-directory"]}`, ...args];
    return python(step!.run, { env: { ...given, ...runner }, image, args: where });
  };
  const deployed = () =>
    ask(
      "show(sorted([d.name, d.job_variables['image'], d.job_variables['env']['MODE'], d.work_queue_name, d.schedules[0].active, d.global_concurrency_limit.limit] for d in client.read_deployments()))",
    );
  const expected = modes
    .flatMap((mode) =>
      flows.map((flow) => [`${flow}-${mode}`, codeImage(mode, shas.good).name, mode, mode, mode === "prod", 1]),
    )
    .sort();

  it("is given each environment's deployments, and no others', by the workflow's own script", () => {
    for (const [index, mode] of modes.entries()) {
      const { status, stdout, stderr } = deploy(mode, shas.good);
      assert.equal(status, 0, stdout + stderr);
      assert.match(stdout, new RegExp(`2 deployments of ${mode} run ghcr.io/sua-org/pipelines-arcgis:`));
      assert.equal((deployed() as unknown[]).length, (index + 1) * 2);
    }
    assert.deepEqual(deployed(), expected);
  });

  it("keeps what it has when a flow cannot be loaded, and says which", () => {
    const { status, stdout } = deploy("prod", shas.broken);
    assert.equal(status, 1, stdout);
    assert.match(
      stdout,
      /::error title=Not deployed::.*the server still has what it had:%0Apipelines\/arcgis\/equipamentos\/flows\.py:equipamentos_flow: /,
    );
    assert.deepEqual(deployed(), expected);
  });

  it("refuses a deploy with another auth string, and says what to do", () => {
    const { status, stdout } = deploy("prod", shas.good, { PREFECT_API_AUTH_STRING: "prefect:old" });
    assert.equal(status, 1);
    assert.match(stdout, /The server refuses the secret PREFECT_API_KEY: `pulumi up --stack prod` renews it/);
  });

  it("forgets a schedule that the file has no more", () => {
    const schedules = () =>
      ask("show({d.name: [s.slug for s in d.schedules] for d in client.read_deployments() if 'prod' in d.tags})");
    const both = { "abordagem-prod": ["schedule"], "equipamentos-prod": ["schedule"] };
    assert.deepEqual(schedules(), both);
    const file = parse(repository["prefect.yaml"]!, { merge: true }) as {
      deployments: { name: string; schedules: unknown[] }[];
    };
    file.deployments.find(({ name }) => name === "equipamentos-prod")!.schedules = [];
    writeFileSync(join(folder, "less.yaml"), stringify(file));
    const mount = [`--volume=${join(folder, "less.yaml")}:/app/prefect.yaml:ro`];
    const { status, stdout, stderr } = deploy("prod", shas.good, {}, mount);
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /equipamentos-prod: the schedule cron='0 5 \* \* \*'.* is no longer in prefect\.yaml/);
    assert.deepEqual(schedules(), { ...both, "equipamentos-prod": [] });
    assert.equal(deploy("prod", shas.good).status, 0);
    assert.deepEqual(deployed(), expected);
  });

  const start = (deployment: string, seconds = 0) =>
    ask(
      `d = client.read_deployment_by_name("${deployment}"); show(client.create_flow_run_from_deployment(d.id, parameters={"seconds": ${seconds}}).id)`,
    ) as string;
  const stateOf = (id: string) => ask(`show(client.read_flow_run("${id}").state.type.value)`) as string;
  const ended = async (id: string, seconds: number) => {
    await until(
      `the end of ${id}`,
      async () => ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"].includes(stateOf(id)),
      seconds,
    );
    return stateOf(id);
  };
  const logsOf = (id: string) =>
    ask(`
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
with_id = LogFilter(flow_run_id=LogFilterFlowRunId(any_=["${id}"]))
show([line.message for line in client.read_logs(with_id)])`) as string[];

  it("runs each environment's flow in a container of its own, with its MODE, settings and key, and keeps the logs", async () => {
    for (const mode of modes) {
      const files = `--volume=${credentialsVolume(mode)}:/files`;
      run(
        "docker",
        "run",
        "--rm",
        files,
        images.prefect,
        "sh",
        "-c",
        `echo key-of-${mode} >/files/${credentials.file}`,
      );
    }
    const ids = modes.map((mode) => start(`abordagem/abordagem-${mode}`));
    for (const [index, id] of ids.entries()) {
      const mode = modes[index]!;
      assert.equal(await ended(id, 180), "COMPLETED", logsOf(id).join("\n"));
      const [said] = logsOf(id).filter((line) => line.startsWith("MODE="));
      assert.equal(said, `MODE=${mode} RIO_ENV=${mode} project=arcgis-${mode} key=key-of-${mode}`);
    }
    // Nothing of theirs stays on the host.
    const left = () =>
      run("docker", "ps", "--all", "--format", "{{.Image}}")
        .split("\n")
        .filter((image) => image.startsWith("ghcr.io/"));
    await until("the containers gone", async () => left().length === 0, 30);
  });

  it("brings a run to its end though the worker, Redis and the API are killed in its midst", async () => {
    const id = start("equipamentos/equipamentos-prod", 45);
    await until("the run", async () => stateOf(id) === "RUNNING", 120);
    const killed = ["prefect-prefect-worker-1", "prefect-redis-1", "prefect-prefect-api-1"];
    // As a kernel out of memory would: an engine that is asked to kill keeps them down.
    for (const container of killed) process.kill(inspect(container).State.Pid, "SIGKILL");
    for (const container of killed) {
      await until(`${container} again`, async () => inspect(container).RestartCount > 0, 60);
      await healthy(container);
    }
    assert.equal(await ended(id, 240), "COMPLETED");
    assert.ok(logsOf(id).includes("done after 45 s"));
    assert.equal(await ended(start("abordagem/abordagem-prod"), 240), "COMPLETED");
  });

  it("has no password in a command, an argument or a log", () => {
    const secrets = ["pg-password", "redis-password", "a-password"];
    const logs = Object.keys(project.services).map((name) => {
      const { stdout, stderr } = spawnSync("docker", ["logs", `prefect-${name}-1`], {
        encoding: "utf8",
        env: environment(),
      });
      return stdout + stderr;
    });
    const processes = spawnSync("ps", ["-A", "-o", "args"], { encoding: "utf8" }).stdout;
    for (const secret of secrets) assert.ok(![...logs, processes].some((text) => text.includes(secret)), secret);
  });
});
