/** A MariaDB of a test's own: Debian's server without its service, as the image of MySQL would have it after its first start. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandPath } from "../../cli/engine.ts";
import { Daemon, freePort, Missing, until } from "../../sandbox/daemon.ts";
import { real } from "../support/sandbox.ts";

export interface MariaDb {
  port: number;
  socket: string;
  /** What statements print as root or somebody else, one line a row. */
  sql(statements: string, database?: string, login?: [user: string, password: string]): string;
  /** Ends it without any warning, as a node that loses power. */
  kill(): void;
  /** Starts it again on what it has left. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** The words by which root is known, over the network too. */
export const rootPassword = "canaryOfRoot'\\\"";

/** @throws Missing where there is none */
export async function startMariaDb(): Promise<MariaDb> {
  const [server, install] = ["mariadbd", "mariadb-install-db"].map((name) => commandPath(name, [...path, "/usr/sbin"]));
  if (process.getuid!() !== 0 || !server || !install || !commandPath("mysqldump")) {
    throw new Missing("a MariaDB is started as root by Debian's packages mariadb-server-core and mariadb-client");
  }
  const folder = mkdtempSync(join(tmpdir(), "mariadb-"));
  const [data, tmp] = [join(folder, "data"), join(folder, "tmp")];
  for (const each of [data, tmp]) mkdirSync(each);
  // As root it will not run: it becomes a user who has to come by.
  chmodSync(folder, 0o755);
  execFileSync("chown", ["nobody:", data, tmp]);
  execFileSync(install, ["--no-defaults", "--user=nobody", `--datadir=${data}`, "--skip-test-db"], { stdio: "pipe" });
  const port = await freePort();
  const [socket, pid] = [join(tmp, "socket"), join(tmp, "pid")];
  const args = [
    ...["--no-defaults", "--user=nobody", `--datadir=${data}`, `--tmpdir=${tmp}`, `--socket=${socket}`],
    ...[`--pid-file=${pid}`, "--bind-address=127.0.0.1", `--port=${port}`, "--skip-name-resolve", "--skip-log-bin"],
    ...["--character-set-server=utf8mb4", "--max-allowed-packet=1G", "--innodb-flush-log-at-trx-commit=0"],
  ];
  let daemon: Daemon;
  const run = (input: string, more: string[], env = {}) =>
    execFileSync(real("mysql"), ["--no-defaults", "--batch", "--raw", "--skip-column-names", ...more], {
      input,
      encoding: "utf8",
      stdio: ["pipe", "pipe", "pipe"],
      maxBuffer: 2 ** 30,
      env: { ...process.env, ...env },
    });
  const sql = (statements: string, database = "", [user, password] = ["root", rootPassword]) =>
    run(
      statements,
      [
        "--host=127.0.0.1",
        `--port=${port}`,
        `--user=${user}`,
        "--default-character-set=utf8mb4",
        "--binary-mode",
        database,
      ],
      { MYSQL_PWD: password },
    );
  const start = async (ask: () => unknown = () => sql("DO 0")) => {
    daemon = new Daemon("mariadbd", server, args, join(folder, "log"));
    await until("MariaDB", async () => {
      daemon.check();
      ask();
      return true;
    });
  };
  await start(() => run("DO 0", [`--socket=${socket}`]));
  const password = `'${rootPassword.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
  // As the image has it.
  const everywhere = `CREATE USER root@'%' IDENTIFIED BY ${password}; GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION`;
  run(`${everywhere}; ALTER USER root@localhost IDENTIFIED BY ${password};`, [`--socket=${socket}`]);
  return {
    port,
    socket,
    sql,
    kill: () => process.kill(Number(readFileSync(pid, "utf8")), "SIGKILL"),
    start: async () => {
      await daemon.stop();
      await start();
    },
    close: async () => {
      await daemon.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const path = process.env["PATH"]!.split(":");
