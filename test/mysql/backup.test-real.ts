/** Backups and their way back: a real server, its own programs, a real rclone, and the sandbox's Cloud Storage with its roles. Two minutes. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { rcloneSettings } from "../../components/kubernetes/mysql/backups.ts";
import { MySql } from "../../components/kubernetes/mysql/mysql.ts";
import { commandPath, freePort, Missing, until } from "../../sandbox/daemon.ts";
import { Google } from "../../sandbox/google/index.ts";
import { StandIn } from "../../sandbox/stand-in/server.ts";
import { declared } from "../declared.ts";
import { type Env, type Result, real, Sandbox } from "../support/sandbox.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { type MariaDb, rootPassword, startMariaDb } from "./mariadb.ts";

const script = (name: string) => new URL(`../../components/kubernetes/mysql/${name}`, import.meta.url).pathname;
const fixture = readFileSync(new URL("./fixture.sql", import.meta.url), "utf8");

const bucket = "shop-backups";
const pool = "projects/123456789012/locations/global/workloadIdentityPools/my-project.svc.id.goog";
const account = (name: string) => `principal://iam.googleapis.com/${pool}/subject/ns/shop/sa/${name}`;
const owner = "owner-token";
/** By the access token that a pod's metadata server gives. */
const tokens = { "backup-token": account("mysql-backup"), "restore-token": account("mysql-restore") };
const backupPassword = "canaryOfBackup'\\\"$(x)";
const database = "shop_1";

describe("Backups of a database", function () {
  this.timeout(300_000);
  let server: MariaDb;
  let google: StandIn;
  let metadata: Record<"backup" | "restore", Server>;
  let box: Sandbox;

  before(async function () {
    server = await startedOrSkipped(this, async () => {
      if (!commandPath("rclone")) throw new Missing("there is no rclone: `make test-mysql` builds it");
      return startMariaDb();
    });
    google = await StandIn.start(
      new Google({ projects: [{ id: "my-project", number: "123456789012" }], token: owner, tokens }),
    );
    const made = { name: bucket, iamConfiguration: { uniformBucketLevelAccess: { enabled: true } } };
    await asOwner("POST", "/storage/v1/b?project=my-project", JSON.stringify(made));
    const policy = await asOwner("GET", `/storage/v1/b/${bucket}/iam`);
    const bindings = [
      { role: "roles/storage.objectCreator", members: [account("mysql-backup")] },
      { role: "roles/storage.objectViewer", members: [account("mysql-restore")] },
    ];
    await asOwner("PUT", `/storage/v1/b/${bucket}/iam`, JSON.stringify({ ...policy, bindings }));
    metadata = { backup: await metadataServer("backup-token"), restore: await metadataServer("restore-token") };
    // As the image does before it runs the script.
    server.sql(`CREATE DATABASE ${database}; CREATE DATABASE shopx1; CREATE TABLE shopx1.theirs (id INT)`);
    box = new Sandbox();
    const { code, output } = await box.run("bash", [script("users.sh")], {
      env: {
        MYSQL_ROOT_PASSWORD: rootPassword,
        MYSQL_DATABASE: database,
        MYSQL_SOCKET: server.socket,
        BACKUP_USER: "backup",
        BACKUP_PASSWORD: backupPassword,
      },
    });
    box.dispose();
    assert.deepEqual([code, output], [0, ""]);
  });
  after(async () => {
    await server?.close();
    await google?.close();
    for (const each of Object.values(metadata ?? {})) each.close();
  });

  beforeEach(async () => {
    box = new Sandbox();
    // The very programs, and what they were called with.
    for (const tool of ["mysqldump", "mysql", "rclone", "gzip"]) {
      box.stub(tool, `echo $$ >>"$HOME/${tool}"; exec ${tool === "rclone" ? commandPath("rclone") : real(tool)} "$@"`);
    }
    google.intercept = undefined;
    for (const name of await objects()) await asOwner("DELETE", pathOf(name));
    google.log.length = 0;
    server.sql(`DROP DATABASE IF EXISTS ${database}; CREATE DATABASE ${database}`);
    server.sql(fixture, database);
    // No editor keeps such an end of a line.
    server.sql("CREATE FUNCTION two_lines() RETURNS VARCHAR(9) DETERMINISTIC RETURN 'a\r\nb'", database);
  });
  afterEach(() => {
    const everything = JSON.stringify(["mysqldump", "mysql", "rclone", "gzip"].map((tool) => box.calls(tool)));
    assert.ok(!/canary/.test(everything), "a password in an argument");
    assert.deepEqual(box.filesWith("canary"), []);
    assert.deepEqual(readdirSync(box.env["TMPDIR"]!), []);
    assert.deepEqual(google.problems, []);
    box.dispose();
  });

  const ask = (
    method: string,
    path: string,
    { token = owner, body }: { token?: string; body?: string | Uint8Array<ArrayBuffer> } = {},
  ) => {
    // Kept open, a connection would be closed by whichever side a statement does not hold up.
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", connection: "close" };
    return fetch(`${google.url}${path}`, { method, headers, ...(body !== undefined && { body }) });
  };
  const asOwner = async (
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
  ): Promise<Record<string, unknown>> => {
    const response = await ask(method, path, { ...(body !== undefined && { body }) });
    const text = await response.text();
    assert.ok(response.ok, text);
    return text ? (JSON.parse(text) as Record<string, unknown>) : {};
  };
  const pathOf = (name: string) => `/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`;
  const objects = async () => {
    const { items = [] } = (await asOwner("GET", `/storage/v1/b/${bucket}/o`)) as { items?: { name: string }[] };
    return items.map(({ name }) => name);
  };
  const put = (name: string, content: string | Buffer) => {
    const path = `/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`;
    return asOwner("POST", path, new Uint8Array(Buffer.from(content)));
  };

  const run = async (who: "backup" | "restore", env: Env = {}): Promise<Result> => {
    const login = who === "backup" ? ["backup", backupPassword] : ["root", rootPassword];
    const result = await box.run("bash", [script(`${who}.sh`)], {
      env: {
        MYSQL_HOST: "127.0.0.1",
        MYSQL_PORT: `${server.port}`,
        MYSQL_DATABASE: database,
        MYSQL_USER: login[0],
        MYSQL_PWD: login[1],
        REMOTE: `:gcs:${bucket}`,
        ...Object.fromEntries(rcloneSettings.map(({ name, value = "" }) => [name, value])),
        RCLONE_GCS_ENDPOINT: `${google.url}/storage/v1/`,
        GCE_METADATA_HOST: `127.0.0.1:${(metadata[who].address() as AddressInfo).port}`,
        ...env,
      },
    });
    assert.ok(!/canary/.test(result.output), "a password in the output");
    return result;
  };
  const backUp = async () => {
    const result = await run("backup");
    assert.equal(result.code, 0, result.output);
    const [, name] = /^backed up shop_1 into (\S+)\n$/.exec(result.stdout) ?? [];
    return name!;
  };

  /** All that a database is: what it is made of, and a sum of each table's rows. */
  const contents = () => {
    const ask = (columns: string, table: string, schema: string, order: string) =>
      server.sql(
        `SELECT ${columns} FROM information_schema.${table} WHERE ${schema} = '${database}' ORDER BY ${order}`,
      );
    const tables = server
      .sql(
        `SELECT table_name FROM information_schema.tables WHERE table_schema = '${database}' AND table_type = 'BASE TABLE'`,
      )
      .trim()
      .split("\n")
      .filter(Boolean)
      .map((name) => `\`${name.replaceAll("`", "``")}\``);
    return {
      tables: Object.fromEntries(
        tables.map((name) => [name, server.sql(`SHOW CREATE TABLE ${name}; CHECKSUM TABLE ${name}`, database)]),
      ),
      views: ask("table_name, view_definition, definer, security_type", "views", "table_schema", "1"),
      routines: ask(
        "routine_name, routine_type, dtd_identifier, routine_definition, definer, sql_mode, sql_data_access",
        "routines",
        "routine_schema",
        "1",
      ),
      triggers: ask(
        "trigger_name, event_manipulation, action_timing, action_statement, definer, sql_mode",
        "triggers",
        "trigger_schema",
        "1",
      ),
      events: ask(
        "event_name, definer, event_definition, interval_value, interval_field, starts, status, on_completion, event_comment",
        "events",
        "event_schema",
        "1",
      ),
    };
  };

  it("bring back every table, view, routine, trigger and event, byte by byte", async () => {
    const before = contents();
    assert.equal(Object.keys(before.tables).length, 8);
    for (const [kind, text] of Object.entries(before)) assert.ok(Object.keys(text).length > 0, kind);
    const name = await backUp();
    assert.match(name, /^shop_1\/\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ\.sql\.gz$/);
    assert.deepEqual(await objects(), [name, `${name}.sha256`]);
    server.sql(`DROP DATABASE ${database}; CREATE DATABASE ${database}`);
    const { code, output, stdout } = await run("restore");
    assert.equal(code, 0, output);
    assert.deepEqual(contents(), before);
    const [first, second, ...rows] = stdout.trim().split("\n");
    assert.deepEqual([first, second], [`reading ${name} to its end first`, `restored ${name} into ${database}:`]);
    const counts = {
      accounts: 4,
      "a `strange` näme; --": 1,
      bytes: 259,
      changes: 0,
      children: 2,
      nothing: 0,
      texts: 4,
      times: 3,
    };
    assert.deepEqual(
      rows.sort(),
      Object.entries(counts)
        .map(([table, count]) => `${table}: ${count} rows`)
        .sort(),
    );
    assert.equal(
      server.sql("CALL move(100, 101, 1); SELECT total(); SELECT COUNT(*) FROM changes", database),
      "4000\n2\n",
    );
  });

  it("are of one moment, while others write", async () => {
    const move = "CALL move(100 + FLOOR(RAND() * 4), 100 + FLOOR(RAND() * 4), 1 + FLOOR(RAND() * 9));\n";
    // Between the accounts, which come first, and where the moves are noted.
    server.sql(
      "DELETE FROM bytes; INSERT INTO bytes (id, content) SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_5000",
      database,
    );
    const last = () => Number(server.sql("SELECT COALESCE(MAX(id), 0) FROM changes", database));
    const more = (than: number) => until("more writes", async () => last() > than);
    let enough = false;
    const writers = Array.from({ length: 3 }, async () => {
      const args = ["--host=127.0.0.1", `--port=${server.port}`, "--user=root", "--force", database];
      while (!enough) await box.run(real("mysql"), args, { input: move.repeat(100), env: { MYSQL_PWD: rootPassword } });
    });
    await more(0);
    const before = last();
    await backUp();
    const during = last();
    await more(during);
    enough = true;
    await Promise.all(writers);
    const { code, output } = await run("restore", { CONFIRM: database });
    assert.equal(code, 0, output);
    assert.ok(before <= last() && last() < during, `${before}, ${last()}, ${during}`);
    assert.equal(server.sql("SELECT total()", database), "4000\n");
    // Each move is there with both of its halves.
    assert.equal(server.sql("SELECT SUM(difference), COUNT(*) % 2 FROM changes WHERE account > 0", database), "0\t0\n");
    assert.equal(
      server.sql(
        "SELECT COUNT(*) FROM accounts a WHERE balance <> 1000 + (SELECT COALESCE(SUM(difference), 0) FROM changes WHERE account = a.id)",
        database,
      ),
      "0\n",
    );
  });

  it("have no checksum where the server dies, and are not restored", async () => {
    server.sql("INSERT INTO bytes (id, content) SELECT 1000 + seq, RANDOM_BYTES(1000) FROM seq_1_to_60000", database);
    const dumping = run("backup");
    // A part of it has arrived.
    await until("an upload", async () => google.log.some(isPart));
    server.kill();
    const { code, stderr } = await dumping;
    await server.start();
    assert.equal(code, 1, stderr);
    assert.match(stderr, /mysqldump: Error 2013: Lost connection to (MySQL )?server/);
    assert.match(
      stderr,
      /\nNOT BACKED UP: the dump of shop_1 or its upload failed\. What has been written of (shop_1\/\S+) has no checksum, so nothing restores it\.\n$/,
    );
    const left = await objects();
    assert.deepEqual(
      left.filter((name) => name.endsWith(".sha256")),
      [],
    );
    assert.equal((await run("restore", { CONFIRM: database })).code, 1);
    for (const BACKUP of left) {
      const refused = await run("restore", { CONFIRM: database, BACKUP });
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /NOT RESTORED: shop_1\/\S+ has no checksum beside it/);
    }
    assert.equal(server.sql("SELECT total()", database), "4000\n");
  });

  it("have no checksum where the dump ends too early without an error", async () => {
    box.stub("mysqldump", `${real("mysqldump")} "$@" | head --lines=-1`);
    const { code, stderr } = await run("backup");
    assert.equal(code, 1);
    assert.match(stderr, /^NOT BACKED UP: the dump of shop_1 does not end as a whole one does/);
    assert.deepEqual(
      (await objects()).filter((name) => name.endsWith(".sha256")),
      [],
    );
  });

  for (const [what, answer] of [
    ["is refused", async () => ({ status: 403, body: { error: { code: 403, message: "no" } } })],
    ["breaks for good", async () => undefined],
  ] as const) {
    it(`fail where the upload ${what}`, async () => {
      google.intercept = async (call, answered) => (isPart(call) ? answer() : answered());
      server.sql("INSERT INTO bytes (id, content) SELECT 1000 + seq, RANDOM_BYTES(1000) FROM seq_1_to_1000", database);
      const { code, stderr } = await run("backup", {
        RCLONE_RETRIES: "1",
        RCLONE_LOW_LEVEL_RETRIES: "1",
        RCLONE_TIMEOUT: "5s",
      });
      google.intercept = undefined;
      assert.equal(code, 1);
      assert.match(stderr, /NOT BACKED UP: the dump of shop_1 or its upload failed/);
      assert.deepEqual(await objects(), []);
    });
  }

  it("survive an upload that is refused once", async () => {
    let broken = 0;
    google.intercept = async (call, answered) =>
      isPart(call) && broken++ === 0 ? { status: 503, body: {} } : answered();
    server.sql("INSERT INTO bytes (id, content) SELECT 1000 + seq, RANDOM_BYTES(1000) FROM seq_1_to_20000", database);
    const before = contents();
    await backUp();
    assert.ok(broken > 1);
    assert.equal((await run("restore", { CONFIRM: database })).code, 0);
    assert.deepEqual(contents(), before);
  });

  it("are never written over", async () => {
    box.stub("date", "echo 2026-11-22T03-00-00Z");
    const name = await backUp();
    const { md5Hash } = await asOwner("GET", pathOf(name));
    const { code, stderr } = await run("backup");
    assert.equal(code, 1);
    assert.match(stderr, /does not have storage\.objects\.delete access/);
    assert.equal((await asOwner("GET", pathOf(name)))["md5Hash"], md5Hash);
  });

  it("are made by who can neither read, list nor delete them, and restored by who can only read", async () => {
    const name = await backUp();
    const path = `/storage/v1/b/${bucket}/o`;
    const object = pathOf(name);
    const asked = [
      ["GET", path],
      ["GET", object],
      ["DELETE", object],
      ["GET", `/storage/v1/b/${bucket}`],
    ] as const;
    const statuses = async (token: string) =>
      Promise.all(asked.map(async ([method, where]) => (await ask(method, where, { token })).status));
    assert.deepEqual(await statuses("backup-token"), [403, 403, 403, 403]);
    assert.deepEqual(await statuses("restore-token"), [200, 200, 403, 403]);
  });

  it("are refused with a wrong password, which is not told", async () => {
    const wrong = { MYSQL_PWD: "canaryOfNobody" };
    const dumped = await run("backup", wrong);
    assert.equal(dumped.code, 1);
    assert.match(dumped.stderr, /Access denied for user 'backup'@'127\.0\.0\.1' \(using password: YES\)/);
    assert.deepEqual(
      (await objects()).filter((name) => name.endsWith(".sha256")),
      [],
    );
    // What it is called is a second.
    await sleep(1000);
    await backUp();
    const restored = await run("restore", wrong);
    assert.equal(restored.code, 1);
    assert.match(
      restored.stderr,
      /Access denied for user 'root'.*\nNOT RESTORED: the database shop_1 could not be asked what it holds\n$/s,
    );
  });

  it("are restored over tables only when that is confirmed by the database's name, and replace them all", async () => {
    const before = contents();
    await backUp();
    server.sql("CREATE TABLE later (id INT); DELETE FROM times", database);
    const changed = contents();
    for (const CONFIRM of ["", "yes", "shop"]) {
      const { code, stderr } = await run("restore", { CONFIRM });
      assert.equal(code, 1);
      assert.equal(
        stderr,
        "NOT RESTORED: the database shop_1 holds 11 tables, which would be gone; CONFIRM=shop_1 lets them go\n",
      );
    }
    assert.deepEqual(contents(), changed);
    assert.equal((await run("restore", { CONFIRM: database })).code, 0);
    assert.deepEqual(contents(), before);
  });

  it("are taken by name, and else the newest whole one", async () => {
    box.stub("date", "echo $NOW");
    box.env["NOW"] = "2026-11-22T03-00-00Z";
    const old = await backUp();
    server.sql("DELETE FROM texts", database);
    box.env["NOW"] = "2026-11-23T03-00-00Z";
    await backUp();
    // Neither whole, nor of this database.
    await put("shop_1/2026-11-24T03-00-00Z.sql.gz", "half");
    await put("shop/2026-11-25T03-00-00Z.sql.gz.sha256", "x");
    assert.equal((await run("restore", { CONFIRM: database })).code, 0);
    assert.equal(server.sql("SELECT COUNT(*) FROM texts", database), "0\n");
    assert.equal((await run("restore", { CONFIRM: database, BACKUP: old })).code, 0);
    assert.equal(server.sql("SELECT COUNT(*) FROM texts", database), "4\n");
  });

  it("are not restored when a byte is another one, or there is none at all", async () => {
    const none = await run("restore", { CONFIRM: database });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /^NOT RESTORED: there is no whole backup of shop_1 in :gcs:shop-backups\n$/);
    const name = await backUp();
    const before = contents();
    await put(name, gzipSync("DROP TABLE accounts;\n-- Dump completed\n"));
    const { code, stderr } = await run("restore", { CONFIRM: database });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^NOT RESTORED: \S+ is not what was backed up: its SHA-256 is [0-9a-f]{64} and not [0-9a-f]{64}; BACKUP names another one\n$/,
    );
    await put(`${name}.sha256`, "");
    assert.match((await run("restore", { CONFIRM: database })).stderr, /has no checksum beside it that could be read/);
    assert.deepEqual(contents(), before);
  });

  it("take no more memory or disk for 200 MB than for nothing", async () => {
    server.sql("CREATE TABLE large (id INT PRIMARY KEY, content BLOB); DELETE FROM bytes WHERE id = 256", database);
    server.sql("INSERT INTO large SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_200000", database);
    const before = contents();
    const started = performance.now();
    let [name, dumped] = ["", 0];
    const peaks = await watched(async () => {
      name = await backUp();
      dumped = performance.now();
      const restored = await run("restore", { CONFIRM: database });
      assert.equal(restored.code, 0, restored.output);
    });
    const seconds = [dumped - started, performance.now() - dumped].map((each) => (each / 1000).toFixed(1));
    const { size } = await asOwner("GET", pathOf(name));
    console.log(
      `      ${seconds[0]} s there, ${seconds[1]} s back; ${Number(size) >> 20} MiB stored; most memory in MiB: ${JSON.stringify(peaks)}`,
    );
    assert.deepEqual(contents(), before);
    for (const [tool, most] of Object.entries({ mysqldump: 50, mysql: 50, rclone: 150, gzip: 10 })) {
      assert.ok(peaks[tool]! > 0 && peaks[tool]! < most, `${tool}: ${peaks[tool]} MiB`);
    }
    assert.ok(peaks["disk"]! < 1, `${peaks["disk"]} MiB on disk`);
  });

  it("are made by a user who can read this database, and do nothing else", () => {
    const as = (statement: string) => {
      try {
        return server.sql(statement, database, ["backup", backupPassword]);
      } catch (error) {
        return /ERROR (\d+)/.exec((error as { stderr: string }).stderr)?.[1];
      }
    };
    assert.deepEqual(
      server
        .sql("SHOW GRANTS FOR backup")
        .replace(/IDENTIFIED BY PASSWORD \S+/, "...")
        .trim()
        .split("\n"),
      [
        "GRANT USAGE ON *.* TO `backup`@`%` ...",
        "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON `shop\\_1`.* TO `backup`@`%`",
        "GRANT SELECT ON `mysql`.`proc` TO `backup`@`%`",
      ],
    );
    assert.equal(as("SELECT COUNT(*) FROM accounts"), "4\n");
    const denied = ["1142", "1044", "1227", "1370", "1045"];
    for (const statement of [
      "INSERT INTO texts VALUES (9, 'x', 'x')",
      "DELETE FROM texts",
      "CREATE TABLE mine (id INT)",
      "DROP TABLE texts",
      "CALL move(100, 101, 1)",
      "SELECT * FROM mysql.user",
      "SELECT * FROM mysql.global_priv",
      "SELECT * FROM shopx1.theirs",
      "CREATE DATABASE mine",
      "CREATE USER mine",
      "SELECT 1 INTO OUTFILE '/tmp/x'",
      "SET GLOBAL max_connections = 1",
      "FLUSH TABLES",
    ]) {
      assert.ok(denied.includes(as(statement)!), `${statement}: ${as(statement)}`);
    }
  });

  describe("a database's own probes", () => {
    let probes: Record<"startupProbe" | "readinessProbe" | "livenessProbe", { exec: { command: string[] } }>;
    before(async () => {
      const all = await declared(() => {
        const size = { cpu: "1", memory: "1Gi" };
        const where = { namespace: "shop", partOf: "shop", image: "mysql", storage: { size: "1Gi" }, clients: [] };
        new MySql("db", { ...where, database, user: "backup", size, deletionPolicy: "DELETE" });
      });
      const set = all["StatefulSet db-set"] as { spec: { template: { spec: { containers: [typeof probes] } } } };
      probes = set.spec.template.spec.containers[0];
    });
    const codes = async (env: Env = {}) => {
      const known = { MYSQL_USER: "backup", MYSQL_PASSWORD: backupPassword, MYSQL_DATABASE: database };
      const tell = async ({ exec: { command } }: { exec: { command: string[] } }) => {
        const options = { env: { ...known, MYSQL_TCP_PORT: `${server.port}`, ...env } };
        return (await box.run(command[0]!, command.slice(1), options)).code;
      };
      return [await tell(probes.startupProbe), await tell(probes.livenessProbe), await tell(probes.readinessProbe)];
    };

    it("find it started, alive and ready", async () => assert.deepEqual(await codes(), [0, 0, 0]));
    it("do not end it for a password that somebody has changed, or a database that is gone", async () => {
      assert.deepEqual(await codes({ MYSQL_PASSWORD: "canaryOfNobody" }), [0, 0, 1]);
      assert.deepEqual(await codes({ MYSQL_DATABASE: "nothing" }), [0, 0, 1]);
    });
    it("find nobody where nobody is", async () => {
      assert.deepEqual(await codes({ MYSQL_TCP_PORT: `${await freePort()}` }), [1, 1, 1]);
    });
  });

  /** The most memory that one of each program took meanwhile, and the most on disk, in MiB. */
  async function watched(action: () => Promise<void>): Promise<Record<string, number>> {
    const peaks: Record<string, number> = { disk: 0 };
    const look = () => {
      for (const tool of ["mysqldump", "mysql", "rclone", "gzip"]) {
        for (const pid of box.read(`home/${tool}`).trim().split("\n").filter(Boolean)) {
          try {
            const kibi = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
            peaks[tool] = Math.max(peaks[tool] ?? 0, Math.round(kibi / 1024));
          } catch {
            // It has ended.
          }
        }
      }
      const files = readdirSync(box.dir, { recursive: true, encoding: "utf8" }).map((name) => join(box.dir, name));
      peaks["disk"] = Math.max(peaks["disk"]!, files.reduce((sum, file) => sum + sizeOf(file), 0) / 2 ** 20);
    };
    const timer = setInterval(look, 50);
    try {
      await action();
    } finally {
      clearInterval(timer);
    }
    return peaks;
  }
});

/** Whether something of an object is sent. */
const isPart = ({ url }: { url: string }) => /[?&]upload_id=|uploadType=multipart/.test(url);

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Who a pod is at Google, as the server beside it tells. */
async function metadataServer(token: string): Promise<Server> {
  const server = createServer((request, response) => {
    const known = request.headers["metadata-flavor"] === "Google";
    const path = new URL(request.url!, "http://any").pathname;
    const body = path.endsWith("/token")
      ? JSON.stringify({ access_token: token, expires_in: 3600, token_type: "Bearer" })
      : "";
    response
      .writeHead(known ? 200 : 403, { "metadata-flavor": "Google", "content-type": "application/json" })
      .end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
