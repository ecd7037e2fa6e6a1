/** That what is said of sync windows is what Argo CD does: its own functions, asked beside ours. */
import assert from "node:assert/strict";
import { syncWindow } from "../../components/gitops/names.ts";
import { matching, mayStart, nextChance, type SyncWindow, type Target } from "../../components/gitops/sync-windows.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { type SyncWindowsQuestion, syncWindows } from "./oracle.ts";

const target: Target = {
  name: "api-prod",
  destination: { namespace: "api", server: "https://kubernetes.default.svc", name: "in-cluster" },
};
/** An Application goes to a server or to a cluster by its name, not to both. */
const { name: _, ...byServer } = target.destination;
const [{ server: __, ...byName }] = [target.destination];

interface Case {
  windows: SyncWindow[];
  target: Target;
  at: SyncWindowsQuestion["at"];
}

/** Asks both, and compares every instant. */
function compare(cases: readonly Case[]): void {
  const answers = syncWindows(
    cases.map(({ windows, target: { name, destination }, at }) => ({
      windows,
      app: { name, namespace: destination.namespace, server: destination.server, clusterName: destination.name },
      at,
    })),
  );
  for (const [index, { windows, target, at }] of cases.entries()) {
    const { auto, manual, matches, error } = answers[index]!;
    const seen = JSON.stringify(windows);
    assert.equal(error, undefined, seen);
    assert.deepEqual(
      matching(windows, target),
      matches.map((each) => windows[each]),
      seen,
    );
    const instants = Array.from({ length: at.count }, (_, step) => Date.parse(at.from) + step * at.stepSeconds * 1000);
    for (const [byHand, theirs] of [
      [false, auto],
      [true, manual],
    ] as const) {
      const ours = instants.map((time) => Number(mayStart(windows, target, new Date(time), byHand).allowed)).join("");
      if (ours === theirs) continue;
      const step = [...ours].findIndex((digit, each) => digit !== theirs[each]);
      const time = new Date(instants[step]!).toISOString();
      assert.fail(`${byHand ? "by hand" : "by itself"} at ${time}: Argo CD says ${theirs[step]} of ${seen}`);
    }
    // The next chance is the first of Argo CD's, at this step's distance.
    if (at.stepSeconds === 1) {
      const first = auto.indexOf("1");
      const until = new Date(Date.parse(at.from) + at.count * 1000);
      const chance = nextChance(windows, target, new Date(at.from), false, until);
      assert.equal(chance?.toISOString(), first < 0 ? undefined : new Date(instants[first]!).toISOString(), seen);
    }
  }
}

const minutes = (from: string, count = 7 * 24 * 60) => ({ from, stepSeconds: 60, count });
const seconds = (from: string, count: number) => ({ from, stepSeconds: 1, count });

const officeHours: SyncWindow = {
  kind: "allow",
  schedule: "0 6 * * 1-5",
  duration: "12h",
  applications: ["api-prod"],
};
const night = (fields: Partial<SyncWindow>): SyncWindow => ({
  kind: "deny",
  schedule: "30 1 * * *",
  duration: "2h",
  applications: ["*"],
  ...fields,
});

describe("sync windows, beside Argo CD's own evaluation", () => {
  before(async function () {
    await startedOrSkipped(this, async () => syncWindows([]));
  });

  it("agree for every minute of a week, and for each second around an opening and a closing", () => {
    const windows = [officeHours];
    compare([
      { windows, target, at: minutes("2026-11-23T00:00:00Z") },
      { windows, target, at: seconds("2026-11-23T05:59:00Z", 120) },
      { windows, target, at: seconds("2026-11-23T17:59:00Z", 120) },
      { windows: [], target, at: minutes("2026-11-23T00:00:00Z", 60) },
    ]);
  });

  it("agree where allow and deny overlap, with manualSync on each of them", () => {
    const cases = [false, true].flatMap((onAllow) =>
      [false, true].flatMap((onDeny) =>
        [false, true].map((onOther): Case => {
          const windows: SyncWindow[] = [
            { ...officeHours, manualSync: onAllow },
            night({ schedule: "0 12 * * 3", duration: "1h30m", manualSync: onDeny }),
            night({ schedule: "0 13 * * 3", manualSync: onOther }),
            { ...officeHours, schedule: "0 22 * * 6", duration: "1h", manualSync: onOther },
          ];
          return { windows, target, at: minutes("2026-11-23T00:00:00Z") };
        }),
      ),
    );
    compare(cases);
  });

  it("agree while clocks change, in both directions and on both halves of the earth", () => {
    const zones: [string, string][] = [
      ["Europe/Berlin", "2026-03-28T12:00:00Z"],
      ["Europe/Berlin", "2026-10-24T12:00:00Z"],
      ["America/New_York", "2026-03-07T12:00:00Z"],
      ["America/New_York", "2026-10-31T12:00:00Z"],
      ["Australia/Lord_Howe", "2026-04-04T06:00:00Z"],
      ["America/Santiago", "2026-09-05T12:00:00Z"],
      ["America/Sao_Paulo", "2026-11-22T12:00:00Z"],
      ["Asia/Kathmandu", "2026-11-22T12:00:00Z"],
    ];
    for (const [timeZone, from] of zones) {
      const windows = [
        night({ kind: "allow", timeZone }),
        night({ schedule: "0 3 * * *", duration: "45m", timeZone }),
        night({ schedule: "0 22 * * 6", duration: "8h", kind: "allow", timeZone }),
      ];
      compare([
        { windows, target, at: minutes(from, 36 * 60) },
        { windows: [windows[0]!], target, at: seconds(from, 18 * 3600) },
      ]);
    }
  });

  it("agree on whose window it is: by name, namespace, cluster, all of them or one", () => {
    const lists: Pick<SyncWindow, "applications" | "namespaces" | "clusters">[] = [
      {},
      { applications: ["api-*"] },
      { applications: ["api-pro"] },
      { applications: ["other", "a?i-prod"] },
      { namespaces: ["api"] },
      { namespaces: ["ap"], applications: ["*"] },
      { clusters: ["https://*"] },
      { clusters: ["in-cluster"] },
      { clusters: ["*"], namespaces: ["nope"] },
      { clusters: ["https://kubernetes.default.svc"], namespaces: ["a*"], applications: ["*-prod"] },
    ];
    const cases = lists.flatMap((selectors) =>
      [false, true].flatMap((andOperator) =>
        [byServer, byName].map((destination): Case => {
          const { applications: _, ...window } = officeHours;
          const windows = [{ ...window, ...selectors, andOperator }];
          return { windows, target: { name: "api-prod", destination }, at: minutes("2026-11-23T05:00:00Z", 120) };
        }),
      ),
    );
    compare(cases);
  });

  it("agree on schedules and durations of all kinds that a stack's file may have", () => {
    const random = mulberry(20261122);
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
    const field = (min: number, max: number): string => {
      const number = () => min + Math.floor(random() * (max - min + 1));
      const range = () => [number(), number()].sort((a, b) => a - b).join("-");
      return pick([
        () => "*",
        () => "*",
        () => `${number()}`,
        range,
        () => `${range()}/${2 + Math.floor(random() * 4)}`,
        () => `*/${2 + Math.floor(random() * 4)}`,
        () => [number(), number(), range()].join(","),
      ])();
    };
    const fields = () =>
      [
        field(0, 59),
        field(0, 23),
        pick(["*", field(1, 31)]),
        pick(["*", "*", field(1, 12), "JAN-nov"]),
        pick(["*", field(0, 6), "MON-FRI", "sat,sun"]),
      ].join(" ");
    const taken: Case[] = [];
    const refused: string[] = [];
    while (taken.length < 150) {
      const window = {
        kind: pick(["allow", "deny"]),
        schedule: fields(),
        duration: pick(["1m", "20m", "1h", "1h30m", "12h", "24h", "36h", "168h"]),
        timeZone: pick(["UTC", "America/Sao_Paulo", "Asia/Tokyo"]),
        applications: ["*"],
      };
      const { success, data } = syncWindow.safeParse(window);
      if (!success) refused.push(window.schedule);
      else {
        const from = new Date(Date.UTC(2024, 0) + Math.floor(random() * 4 * 365 * 24 * 60) * 60_000).toISOString();
        taken.push({ windows: [data], target, at: minutes(from, 24 * 60) });
      }
    }
    compare(taken);
    assert.ok(refused.length < taken.length / 2, `${refused.length} of ${taken.length + refused.length} refused`);
  });

  it("takes just the time zones that are the same to Argo CD, which takes any other for UTC", () => {
    const window = { ...officeHours, schedule: "0 6 * * *", duration: "1h" };
    const zones = Intl.supportedValuesOf("timeZone");
    // Of a day past: of days to come the two may have other editions of the database.
    const cases = [...zones, "US/Pacific", "Etc/GMT+3", "EST5EDT", "America/Port-au-Prince"].map((timeZone) => {
      const { data } = syncWindow.safeParse({ ...window, timeZone });
      assert.ok(data, timeZone);
      return { windows: [data], target, at: { from: "2023-01-16T00:00:30Z", stepSeconds: 900, count: 96 } };
    });
    compare(cases);
    for (const timeZone of ["PST", "IST", "BST", "JST", "SystemV/PST8", "US/pacific", "Asia/kolkata", "Local", "utc"]) {
      assert.equal(syncWindow.safeParse({ ...window, timeZone }).success, false, timeZone);
    }
  });

  it("takes no schedule that Argo CD refuses, or would read as something else", () => {
    const schedules = [
      "0 0 * * 7",
      "0 0 * * 5-7",
      "0 0 * * 07",
      "0 0 * * 5-07",
      "0 0 * * FRI-SUN",
      "0 0 * * SAT-SUN",
      "0 0 */1 * 1",
      "0 0 *,5 * 1",
      "0 0 30 2 *",
      "@daily",
      "0 0 * *",
      "0 0 * * * *",
      "0 0 L * *",
      "0 0 * * 1#2",
      "CRON_TZ=UTC 0 0 * * *",
      "*-5 * * * *",
      "1,,2 * * * *",
      "0 24 * * *",
      "60 0 * * *",
      "0 0 * * FRI-MON",
    ];
    const base = { kind: "allow", duration: "1h", applications: ["*"] };
    for (const schedule of schedules)
      assert.equal(syncWindow.safeParse({ ...base, schedule }).success, false, schedule);
    for (const duration of ["1d", "0h", "", "12", "-1h", "1h-30m", "1.5h", "90s", "h"]) {
      const window = { ...base, schedule: "0 6 * * *", duration };
      assert.equal(syncWindow.safeParse(window).success, false, duration);
    }
  });
});

/** Numbers that are the same at each run. */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
