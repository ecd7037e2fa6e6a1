import assert from "node:assert/strict";
import { type BreakGlass, breakGlassProblems, breakGlassWindow } from "../../../components/gitops/break-glass.ts";
import { mayStart, type SyncWindow } from "../../../components/gitops/sync-windows.ts";

const target = { name: "api", destination: { namespace: "api" } };
const officeHours: SyncWindow = { kind: "allow", schedule: "0 6 * * 1-5", duration: "12h", applications: ["api"] };
const glass = (until: string): BreakGlass => ({ who: "ana", why: "INC-42: it is down", until });
// A Saturday.
const now = new Date("2026-11-28T12:00:00Z");
const may = (windows: SyncWindow[], at: string, manual = true) =>
  mayStart(windows, target, new Date(at), manual).allowed;

describe("A broken glass", () => {
  it("opens from now to its end, over month, year and leap day, and not afterwards", () => {
    for (const until of ["2026-11-28T18:30Z", "2027-01-01T06:00Z", "2028-02-29T12:00Z", "2028-03-01T06:00Z"]) {
      const windows = [officeHours, breakGlassWindow(glass(until), "api")];
      const end = Date.parse(until);
      const at = (minutes: number) => new Date(end + minutes * 60_000).toISOString();
      assert.ok(may(windows, at(-1)) && may(windows, at(-12 * 60)) && may(windows, at(-24 * 60 + 1)), until);
      assert.equal(may(windows, at(0)), may([officeHours], at(0)), until);
      assert.equal(may(windows, at(1)), may([officeHours], at(1)), until);
    }
  });

  it("leaves what holds as it was when it is over and nobody has taken it out", () => {
    const over = breakGlassWindow(glass("2026-11-27T12:00Z"), "api");
    const byHand = { ...officeHours, manualSync: true };
    for (const windows of [[officeHours], [byHand], [officeHours, byHand]]) {
      for (const at of ["2026-11-28T12:00:00Z", "2026-12-01T12:00:00Z", "2026-12-01T22:00:00Z"]) {
        for (const manual of [false, true]) {
          assert.equal(may([...windows, over], at, manual), may(windows, at, manual), `${at} ${manual}`);
        }
      }
    }
  });

  it("is refused when it is over, too far ahead, or opens nothing", () => {
    const keys = (until: string, windows: SyncWindow[] = [officeHours]) =>
      breakGlassProblems(glass(until), windows, target, now).map(({ key }) => key);
    assert.deepEqual(keys("2026-11-28T18:00Z"), []);
    assert.deepEqual(keys("2026-11-29T12:00Z"), []);
    assert.deepEqual(keys("2026-11-29T12:01Z"), ["breakGlass.until"]);
    assert.deepEqual(keys("2026-11-28T12:00Z"), ["breakGlass.until"]);
    assert.deepEqual(keys("2026-11-28T18:00Z", []), ["breakGlass"]);
    const deny: SyncWindow = { kind: "deny", schedule: "0 0 * * 6", duration: "48h", applications: ["api"] };
    assert.deepEqual(keys("2026-11-28T18:00Z", [officeHours, deny]), ["breakGlass"]);
    assert.deepEqual(keys("2026-11-28T18:00Z", [officeHours, { ...deny, manualSync: true }]), ["breakGlass"]);
    assert.deepEqual(keys("2026-11-28T18:00Z", [officeHours, { ...deny, duration: "14h" }]), []);
    assert.deepEqual(keys("2026-11-28T18:00Z", [{ ...officeHours, schedule: "0 0 * * *", duration: "24h" }]), [
      "breakGlass",
    ]);
  });
});
