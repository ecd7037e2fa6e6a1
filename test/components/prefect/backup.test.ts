import assert from "node:assert/strict";
import { mkdirSync, readdirSync, utimesSync } from "node:fs";
import { commandPath } from "../../../cli/engine.ts";
import { type Env, real } from "../../support/sandbox.ts";
import { scriptSuite } from "../../support/script-suite.ts";
import { skip } from "../../support/skip.ts";

const SCRIPT = new URL("../../../components/prefect/backup.sh", import.meta.url).pathname;
const CANARY = "canaryOfBackup";
const DAY = 86_400;

/** Debian's busybox takes its own sleep and date before those on PATH. */
const stubbed = 'sleep() { exec "$BIN/sleep" "$@"; }; date() { exec "$BIN/date" "$@"; }; . "$0"';
const shells: Record<string, string[]> = { dash: [SCRIPT], busybox: ["sh", "-c", stubbed, SCRIPT] };

for (const [shell, args] of Object.entries(shells)) {
  describe(`backup.sh, run by ${shell},`, () => {
    const suite = scriptSuite();
    before(function () {
      if (!commandPath(shell)) skip.call(this, `there is no ${shell} on PATH`);
    });

    beforeEach(() => {
      mkdirSync(suite.box.path("backups"));
      // A clock that only moves while the script sleeps.
      suite.box.stub("date", 'read -r now <"$CLOCK"; TZ=UTC printf "%(${2#+})T\\n" "$now"');
      suite.box.stub("pg_dump", 'printf whole >"${2#--file=}"');
      suite.box.stub("pg_restore");
    });

    /** A stub's text that tells the script to end, once that has noted whom it waits for, and goes on for long. */
    const stop = `${real("sleep")} 1; kill $PPID; exec ${real("sleep")} 40`;

    /** Runs from a time on, until it has slept so often; what ends it is the last sleep's. */
    const run = async (now: string, sleeps: number, env: Env = {}, end = "kill -KILL $PPID") => {
      const { box } = suite;
      box.write("clock", `${Date.parse(`${now}Z`) / 1000}\n`);
      box.stub(
        "sleep",
        `mapfile -t slept <"$SLEPT"; echo "$1" >>"$SLEPT"; read -r now <"$CLOCK"; echo $((now + $1)) >"$CLOCK"
        ((\${#slept[@]} + 1 < ${sleeps})) || { ${end}; }`,
      );
      box.write("slept", "");
      const started = performance.now();
      const result = await box.run(shell, args, {
        env: {
          BIN: box.bin,
          CLOCK: box.path("clock"),
          SLEPT: box.path("slept"),
          PGDATABASE: "prefect",
          PGPASSWORD: CANARY,
          BACKUP_FOLDER: box.path("backups"),
          BACKUP_AT: "03:30",
          BACKUP_DAYS: "7",
          ...env,
        },
      });
      assert.ok(performance.now() - started < 30_000, "what it waits for ends with it");
      return { ...result, slept: box.read("slept").trim().split("\n").filter(Boolean).map(Number) };
    };

    /** A file as an earlier run left it, so many days ago. */
    const dump = (name: string, days: number) => {
      const path = suite.box.write(`backups/${name}`, "earlier");
      const time = Date.now() / 1000 - days * DAY;
      utimesSync(path, time, time);
    };
    const files = () => readdirSync(suite.box.path("backups")).sort();
    const dumpCalls = () => suite.box.calls("pg_dump").map(({ argv }) => argv);

    it("dumps at once where there is no dump, and every night from then on", async () => {
      const { slept, stdout, stderr } = await run("2026-03-14T12:00:00", 3);
      const dumped = ["20260314T120000Z", "20260315T033000Z", "20260316T033000Z"].map((time) => `prefect-${time}.dump`);
      assert.deepEqual(slept, [15.5 * 3600, DAY, DAY]);
      assert.deepEqual(files(), dumped);
      assert.deepEqual(
        dumpCalls(),
        dumped.map((name) => ["--format=custom", `--file=${suite.box.path("backups", name)}.part`]),
      );
      assert.deepEqual(
        suite.box.calls("pg_restore").map(({ argv }) => argv),
        dumped.map((name) => ["--file=/dev/null", `${suite.box.path("backups", name)}.part`]),
      );
      assert.equal(suite.box.read(`backups/${dumped[2]}`), "whole");
      assert.equal(stdout, dumped.map((name) => `dumped prefect into ${suite.box.path("backups", name)}\n`).join(""));
      assert.equal(stderr, "");
    });

    it("dumps at the start only where the last dump is older than a day", async () => {
      dump("prefect-a.dump", 0.95);
      await run("2026-03-14T12:00:00", 1);
      assert.deepEqual(dumpCalls(), []);
      dump("prefect-a.dump", 1.05);
      // Neither is one of these a dump of this database.
      dump("other-a.dump", 0);
      dump("prefect-b.dump.old", 0);
      await run("2026-03-14T12:00:00", 1);
      assert.equal(dumpCalls().length, 1);
    });

    for (const [at, now, seconds] of [
      ["03:30", "2026-03-14T03:29:59", 1],
      ["03:30", "2026-03-14T03:30:00", DAY],
      ["03:30", "2026-03-14T03:30:01", DAY - 1],
      ["00:00", "2026-03-14T23:59:59", 1],
      ["00:05", "2026-12-31T23:50:00", 900],
      ["23:59", "2026-03-14T00:00:00", DAY - 60],
      ["08:08", "2026-03-14T07:08:00", 3600],
      ["09:09", "2026-03-14T10:09:00", DAY - 3600],
      ["10:10", "2026-03-14T10:00:00", 600],
    ] as const) {
      it(`waits ${seconds} s for ${at} at ${now.slice(11)}`, async () => {
        dump("prefect-a.dump", 0);
        assert.deepEqual((await run(now, 1, { BACKUP_AT: at })).slept, [seconds]);
      });
    }

    it("tells of a dump that fails, leaves no half of it, and tries again", async () => {
      suite.box.stub("pg_dump", 'printf half >"${2#--file=}"; [[ -e "$TMPDIR/up" ]] || { >"$TMPDIR/up"; exit 1; }');
      const { slept, stdout, stderr } = await run("2026-03-14T03:00:00", 2, { BACKUP_RETRY: "90" });
      assert.equal(stderr, "could not dump prefect; trying again in 90 s\n");
      assert.deepEqual(slept, [90, 1710]);
      assert.deepEqual(files(), ["prefect-20260314T030130Z.dump"]);
      assert.equal(stdout, `dumped prefect into ${suite.box.path("backups/prefect-20260314T030130Z.dump")}\n`);
    });

    it("tries again after ten minutes where nothing else is said", async () => {
      suite.box.stub("pg_dump", "exit 1");
      assert.deepEqual((await run("2026-03-14T03:00:00", 3)).slept, [600, 600, 600]);
    });

    it("keeps no dump that cannot be read", async () => {
      suite.box.stub("pg_restore", "exit 1");
      dump("prefect-a.dump", 30);
      const { stdout, stderr } = await run("2026-03-14T03:00:00", 1);
      assert.deepEqual(files(), ["prefect-a.dump"]);
      assert.deepEqual([stdout, stderr], ["", "could not dump prefect; trying again in 600 s\n"]);
    });

    it("deletes old dumps of its own, after a dump that succeeded", async () => {
      for (const [name, days] of [
        ["a", 6.9],
        ["b", 7.1],
        ["c", 400],
      ] as const)
        dump(`prefect-${name}.dump`, days);
      dump("prefect-notes.txt", 400);
      dump("other-a.dump", 400);
      suite.box.stub("pg_dump", "exit 1");
      await run("2026-03-14T12:00:00", 1);
      assert.equal(files().length, 5);
      suite.box.stub("pg_dump", 'printf whole >"${2#--file=}"');
      await run("2026-03-14T12:00:00", 1);
      assert.deepEqual(files(), [
        "other-a.dump",
        "prefect-20260314T120000Z.dump",
        "prefect-a.dump",
        "prefect-notes.txt",
      ]);
    });

    it("deletes nothing for a dump that cannot be given its name", async () => {
      const taken = "backups/prefect-20260314T120000Z.dump";
      mkdirSync(suite.box.path(taken, "prefect-20260314T120000Z.dump.part"), { recursive: true });
      utimesSync(suite.box.path(taken), 0, 0);
      dump("prefect-a.dump", 30);
      const { slept, stdout, stderr } = await run("2026-03-14T12:00:00", 1);
      assert.deepEqual([slept, stdout], [[600], ""]);
      assert.match(stderr, /\ncould not dump prefect; trying again in 600 s\n$/);
      assert.deepEqual(files(), ["prefect-20260314T120000Z.dump", "prefect-a.dump"]);
    });

    it("never deletes the dump that it has just made, whatever its time", async () => {
      suite.box.stub("pg_dump", `printf whole >"\${2#--file=}"; ${real("touch")} -d @0 "\${2#--file=}"`);
      await run("2026-03-14T12:00:00", 1, { BACKUP_DAYS: "1" });
      assert.deepEqual(files(), ["prefect-20260314T120000Z.dump"]);
    });

    it("tells of old dumps that it cannot delete, and does not dump again for that", async () => {
      mkdirSync(suite.box.path("backups/prefect-a.dump"));
      utimesSync(suite.box.path("backups/prefect-a.dump"), 0, 0);
      const { slept, stderr } = await run("2026-03-14T12:00:00", 1);
      assert.equal(dumpCalls().length, 1);
      assert.deepEqual(slept, [15.5 * 3600]);
      assert.match(stderr, /could not delete the old dumps in \S+\/backups\n$/);
    });

    it("ends at once while it waits", async () => {
      const { code, slept } = await run("2026-03-14T12:00:00", 1, {}, stop);
      assert.deepEqual([code, slept], [0, [15.5 * 3600]]);
    });

    for (const tool of ["pg_dump", "pg_restore"]) {
      it(`ends at once in ${tool}, with nothing of the dump left`, async () => {
        suite.box.stub(tool, `[[ $1 == --list ]] || printf half >"\${2#--file=}"; ${stop}`);
        const { code, output } = await run("2026-03-14T12:00:00", 1);
        assert.deepEqual([code, output, files()], [0, "", []]);
      });
    }

    it("clears away what a killed start has left of its dump", async () => {
      dump("prefect-20260314T030000Z.dump.part", 0);
      dump("prefect-20260314T020000Z.dump", 0);
      await run("2026-03-14T12:00:00", 1);
      assert.deepEqual(files(), ["prefect-20260314T020000Z.dump"]);
    });

    it("shows the password to nobody", async () => {
      const { output } = await run("2026-03-14T12:00:00", 1);
      const called = ["pg_dump", "pg_restore", "sleep", "date"].flatMap((tool) => suite.box.calls(tool));
      assert.ok(called.length >= 5);
      assert.ok(suite.box.calls("pg_dump")[0]!.env.includes("PGPASSWORD"));
      assert.ok(!JSON.stringify(called).includes(CANARY) && !output.includes(CANARY));
      assert.deepEqual(suite.box.filesWith(CANARY), []);
    });
  });
}
