import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answer, find, week } from "../../cli/windows.ts";
import type { SyncWindow } from "../../components/gitops/sync-windows.ts";
import { declare } from "../systems/python-api/fixture.ts";

const officeHours: SyncWindow = {
  kind: "allow",
  schedule: "0 6 * * 1-5",
  duration: "12h",
  timeZone: "UTC",
  applications: ["python-api-base-prod"],
  syncOverrun: true,
};
const asked = (...windows: SyncWindow[]) => ({
  target: { name: "python-api-base-prod", destination: { namespace: "n", server: "s" } },
  windows,
});

describe("What is said of sync windows", () => {
  it("is whether, by which window and when next", () => {
    const at = (time: string, manual = false) => answer(asked(officeHours), new Date(time), manual);
    assert.deepEqual(at("2026-11-23T06:00:00Z"), { allowed: false, by: officeHours, next: "2026-11-23T06:00:01Z" });
    assert.deepEqual(at("2026-11-23T06:00:01Z"), { allowed: true, by: officeHours, next: "2026-11-23T06:00:01Z" });
    assert.deepEqual(at("2026-11-20T18:00:00Z", true), {
      allowed: false,
      by: officeHours,
      next: "2026-11-23T06:00:01Z",
    });
    const deny: SyncWindow = { ...officeHours, kind: "deny", schedule: "* * * * *" };
    assert.deepEqual(answer(asked(deny), new Date("2026-11-23T12:00:00Z"), false), {
      allowed: false,
      by: deny,
      next: null,
    });
  });

  it("is read out of what a stack declares", async () => {
    const { resources } = await declare();
    const { target, windows } = find(resources, "prod");
    assert.deepEqual(target, {
      name: "python-api-base-prod",
      destination: { namespace: "python-api-prod", server: "https://kubernetes.default.svc" },
    });
    assert.deepEqual(windows, [officeHours]);
    assert.deepEqual(find(resources, "prod", "python-api-base-prod"), { target, windows });
    assert.deepEqual(find((await declare({}, "dev")).resources, "dev").windows, []);
  });

  it("asks for the name where there are several applications, and knows a near miss", async () => {
    const { resources } = await declare();
    const two = [...resources, ...(await declare({}, "dev")).resources];
    assert.throws(() => find(two, "prod"), /^Error: give --app: python-api-base-prod, python-api-base-dev$/);
    assert.throws(() => find(resources, "prod", "python-api-base-prd"), /did you mean python-api-base-prod\?/);
    assert.throws(() => find([], "homolog"), /homolog declares no Application of Argo CD's/);
  });

  it("is drawn as a week, in which a sync by hand may have times of its own", () => {
    const lunch: SyncWindow = {
      ...officeHours,
      kind: "deny",
      schedule: "0 12 * * 3",
      duration: "45m",
      manualSync: true,
    };
    const lines = week(asked({ ...officeHours, duration: "3h" }, lunch), new Date("2026-11-26T09:00:00Z")).split("\n");
    assert.deepEqual(lines.slice(0, 8), [
      "             00    03    06    09    12    15    18    21  UTC",
      "Mon, 23 Nov  ············██████······························",
      "Tue, 24 Nov  ············██████······························",
      "Wed, 25 Nov  ············██████······▒▪······················",
      "Thu, 26 Nov  ············██████······························",
      "Fri, 27 Nov  ············██████······························",
      "Sat, 28 Nov  ················································",
      "Sun, 29 Nov  ················································",
    ]);
  });

  describe("by the command", () => {
    const root = join(import.meta.dirname, "../..");
    let folder: string;
    before(() => {
      folder = mkdtempSync(join(tmpdir(), "windows-"));
      const copied = ["package.json", "Pulumi.yaml", "Pulumi.prod.yaml", "config.ts", "index.ts"];
      for (const each of [...copied, "audit", "cli", "components", "systems"]) {
        cpSync(join(root, each), join(folder, each), { recursive: true });
      }
      symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    });
    after(() => rmSync(folder, { recursive: true }));

    const windows = (...args: string[]) => {
      const command = ["--import", "./cli/start.mjs", "cli/windows.ts", ...args];
      const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: folder, encoding: "utf8" });
      return { status, stdout, stderr };
    };

    it("exits with 0 where a sync may start and with 1 where not, as JSON or as a picture", () => {
      const open = windows("--stack", "prod", "--at", "2026-11-23T12:00:00Z", "--json");
      assert.equal(open.status, 0, open.stderr);
      const { allowed, by, next } = JSON.parse(open.stdout) as Record<string, unknown>;
      assert.deepEqual([allowed, (by as SyncWindow).schedule, next], [true, "0 6 * * 1-5", "2026-11-23T12:00:00Z"]);
      const closed = windows("--stack", "prod", "--at", "2026-11-21T09:00:00-03:00", "--manual");
      assert.equal(closed.status, 1, closed.stderr);
      assert.match(
        closed.stdout,
        /^A sync by hand of python-api-base-prod may not start at 2026-11-21T12:00:00Z: allow "0 6 \* \* 1-5" for 12h UTC\nThe next chance is 2026-11-23T06:00:01Z\n\n +00 /,
      );
    });

    it("exits with 2 where the call is wrong: stack, application, time, option", () => {
      const cases: [RegExp, ...string[]][] = [
        [/give --stack NAME/],
        [/there is no Pulumi\.prd\.yaml; did you mean --stack prod\?/, "--stack", "prd"],
        [/prod declares no Application "x"; it declares python-api-base-prod/, "--stack", "prod", "--app", "x"],
        [/--at is "2026-11-23T12:00"; expected a time with its zone/, "--stack", "prod", "--at", "2026-11-23T12:00"],
        [/--at is "2026-02-30T12:00Z"; expected/, "--stack", "prod", "--at", "2026-02-30T12:00Z"],
        [/Unknown option '--when'/, "--stack", "prod", "--when", "now"],
      ];
      for (const [message, ...args] of cases) {
        const { status, stderr } = windows(...args);
        assert.equal(status, 2, stderr);
        assert.match(stderr, message);
      }
    });

    it("exits with 2, and so does the render, where a broken glass is over", () => {
      const file = join(folder, "Pulumi.prod.yaml");
      const text = readFileSync(file, "utf8");
      writeFileSync(
        file,
        text.replace(
          "  esteira:python-api:\n",
          '  esteira:python-api:\n    breakGlass: { who: ana, why: "INC-42: down", until: "2026-01-02T03:04Z" }\n',
        ),
      );
      try {
        const { status, stderr } = windows("--stack", "prod");
        assert.equal(status, 2);
        assert.match(stderr, /esteira:python-api\.breakGlass\.until: found "2026-01-02T03:04Z", which is over/);
        const render = [
          "--import",
          "./cli/start.mjs",
          "cli/render.ts",
          "--stack",
          "prod",
          "--out",
          join(folder, "out"),
        ];
        assert.equal(spawnSync(process.execPath, render, { cwd: folder }).status, 2);
      } finally {
        writeFileSync(file, text);
      }
    });
  });
});
