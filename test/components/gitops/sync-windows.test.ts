import assert from "node:assert/strict";
import {
  matching,
  mayStart,
  milliseconds,
  nextChance,
  type SyncWindow,
  timeline,
} from "../../../components/gitops/sync-windows.ts";

// That all of it is Argo CD's own opinion is shown by test/argo-cd/windows.test-real.ts.

const target = { name: "api-prod", destination: { namespace: "api", server: "https://kubernetes.default.svc" } };
const window = (changes: Partial<SyncWindow> = {}): SyncWindow => ({
  kind: "allow",
  schedule: "0 6 * * 1-5",
  duration: "12h",
  applications: ["api-prod"],
  ...changes,
});
const allowed = (windows: SyncWindow[], at: string, manual = false) =>
  mayStart(windows, target, new Date(at), manual).allowed;
const next = (windows: SyncWindow[], at: string, manual = false) =>
  nextChance(windows, target, new Date(at), manual)?.toISOString();

describe("sync windows", () => {
  it("let every sync start where no window holds", () => {
    const at = new Date("2026-11-22T03:00:00Z");
    assert.deepEqual(mayStart([], target, at, false), { allowed: true, by: null });
    assert.deepEqual(mayStart([window({ applications: ["other"] })], target, at, false), { allowed: true, by: null });
    // A deny that is not open says nothing of other times.
    assert.deepEqual(mayStart([window({ kind: "deny" })], target, at, false), { allowed: true, by: null });
  });

  it("are closed in the second in which they open, and in the one in which they close", () => {
    const windows = [window()];
    // A Monday.
    assert.equal(allowed(windows, "2026-11-23T06:00:00Z"), false);
    assert.equal(allowed(windows, "2026-11-23T06:00:01Z"), true);
    assert.equal(allowed(windows, "2026-11-23T17:59:59Z"), true);
    assert.equal(allowed(windows, "2026-11-23T18:00:00Z"), false);
    assert.equal(allowed(windows, "2026-11-22T12:00:00Z"), false);
  });

  it("name the window that decides", () => {
    const [allow, deny] = [window(), window({ kind: "deny", schedule: "0 12 * * *", duration: "1h" })];
    const by = (at: string, manual = false) => mayStart([allow, deny], target, new Date(at), manual).by;
    assert.equal(by("2026-11-23T12:30:00Z"), deny);
    assert.equal(by("2026-11-23T11:30:00Z"), allow);
    assert.equal(by("2026-11-23T05:00:00Z"), allow);
    const passing = { ...deny, manualSync: true };
    assert.deepEqual(mayStart([passing, deny], target, new Date("2026-11-23T12:30:00Z"), true), {
      allowed: false,
      by: deny,
    });
  });

  it("pass a sync by hand only where each window that holds it lets it pass", () => {
    const at = "2026-11-22T12:00:00Z";
    const closed = window({ manualSync: true });
    assert.equal(allowed([closed], at), false);
    assert.equal(allowed([closed], at, true), true);
    assert.equal(allowed([closed, window()], at, true), false);
    const deny = window({ kind: "deny", schedule: "0 0 * * 0", duration: "24h" });
    assert.equal(allowed([{ ...deny, manualSync: true }], at, true), true);
    assert.equal(allowed([{ ...deny, manualSync: true }, deny], at, true), false);
    assert.equal(allowed([{ ...deny, manualSync: true }, window()], at, true), true);
  });

  it("find the next chance to the second, over a weekend, a deny and a change of the clocks", () => {
    assert.equal(next([window()], "2026-11-20T18:00:00Z"), "2026-11-23T06:00:01.000Z");
    assert.equal(next([window()], "2026-11-23T09:30:00Z"), "2026-11-23T09:30:00.000Z");
    const deny = window({ kind: "deny", schedule: "0 5 * * 1", duration: "4h" });
    assert.equal(next([window(), deny], "2026-11-20T18:00:00Z"), "2026-11-23T09:00:00.000Z");
    // In Berlin it is 06:00 at 04:00 UTC in summer, an hour later after the night of 25 October.
    const berlin = [window({ schedule: "0 6 * * *", duration: "1h", timeZone: "Europe/Berlin" })];
    assert.equal(next(berlin, "2026-10-24T06:00:00Z"), "2026-10-25T05:00:01.000Z");
    assert.equal(next(berlin, "2026-10-23T06:00:00Z"), "2026-10-24T04:00:01.000Z");
  });

  it("find no chance where a deny covers every allow", () => {
    assert.equal(
      next([window(), window({ kind: "deny", duration: "13h", schedule: "0 6 * * *" })], "2026-11-22T00:00:00Z"),
      undefined,
    );
    // Without an end to the search this would go on for hours.
    assert.equal(
      next([window({ kind: "deny", schedule: "* * * * *", duration: "1h" })], "2026-11-22T00:00:00Z"),
      undefined,
    );
  });

  it("leap over a long deny, however often others open within it", () => {
    const often = window({ schedule: "*/2 * * * *", duration: "1m" });
    const freeze = window({ kind: "deny", schedule: "0 0 20 12 *", duration: "336h" });
    assert.equal(next([often, freeze], "2026-12-20T12:00:00Z"), "2027-01-03T00:00:01.000Z");
  });

  it("may be asked for more than the second that lies between two of them", () => {
    const days = [window({ kind: "deny", schedule: "0 0 * * *", duration: "24h" })];
    const from = new Date("2026-11-22T12:00:00Z");
    assert.equal(nextChance(days, target, from, false)?.toISOString(), "2026-11-23T00:00:00.000Z");
    assert.equal(nextChance(days, target, from, false, new Date("2026-12-22T00:00:00Z"), 30_000), undefined);
    assert.equal(
      nextChance([window()], target, from, false, undefined, 30_000)?.toISOString(),
      "2026-11-23T06:00:01.000Z",
    );
  });

  it("are told as stretches without gaps", () => {
    const [from, to] = [new Date("2026-11-23T00:00:00Z"), new Date("2026-11-24T00:00:00Z")];
    const stretches = [...timeline([window()], target, from, to, false)];
    assert.deepEqual(
      stretches.map(({ from, to, allowed }) => `${from.toISOString()} ${to.toISOString()} ${allowed}`),
      [
        "2026-11-23T00:00:00.000Z 2026-11-23T06:00:01.000Z false",
        "2026-11-23T06:00:01.000Z 2026-11-23T18:00:00.000Z true",
        "2026-11-23T18:00:00.000Z 2026-11-24T00:00:00.000Z false",
      ],
    );
  });

  it("hold for whom their lists name: one of them, or with andOperator all", () => {
    const holds = (changes: Partial<SyncWindow>) =>
      matching([{ ...window(), applications: undefined, ...changes } as SyncWindow], target).length === 1;
    assert.equal(holds({}), false);
    assert.equal(holds({ applications: ["api-*"] }), true);
    assert.equal(holds({ applications: ["api"] }), false);
    assert.equal(holds({ applications: ["a.i-prod"] }), false);
    assert.equal(holds({ namespaces: ["ap?"] }), true);
    assert.equal(holds({ clusters: ["https://*"] }), true);
    assert.equal(holds({ applications: ["nope"], namespaces: ["api"] }), true);
    assert.equal(holds({ applications: ["nope"], namespaces: ["api"], andOperator: true }), false);
    assert.equal(holds({ applications: ["*"], namespaces: ["api"], andOperator: true }), true);
    assert.equal(holds({ andOperator: true }), false);
  });

  it("take durations in whole hours and minutes, and nothing else", () => {
    assert.equal(milliseconds("12h"), 12 * 3_600_000);
    assert.equal(milliseconds("1h30m"), 90 * 60_000);
    assert.equal(milliseconds("5m"), 5 * 60_000);
    for (const wrong of ["", "1d", "0h", "90s", "1.5h", "h"]) {
      assert.throws(() => milliseconds(wrong), new RegExp(`"${wrong}" is no duration; expected whole hours`));
    }
  });
});
