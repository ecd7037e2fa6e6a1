/** That the oracles say what one can count by hand: 5 s. */
import assert from "node:assert/strict";
import { startedOrSkipped } from "../support/skip.ts";
import { imageTags, type SyncWindowsQuestion, syncWindows } from "./oracle.ts";

describe("the oracle of sync windows", () => {
  before(async function () {
    await startedOrSkipped(this, async () => syncWindows([]));
  });

  const window = (fields: object) => ({ kind: "allow", duration: "12h", applications: ["*"], ...fields });
  const at = (from: string, count = 1, stepSeconds = 1) => ({ from, count, stepSeconds });
  const one = (windows: object[], at: SyncWindowsQuestion["at"], app = { name: "shop" }) =>
    syncWindows([{ windows, app, at }])[0]!;

  it("closes a window at the instant it begins, and opens it a second later", () => {
    const windows = [window({ schedule: "0 6 * * 1-5" })];
    // A Monday.
    const { auto, manual } = one(windows, at("2026-11-23T05:59:59Z", 3));
    assert.deepEqual([auto, manual], ["001", "001"]);
    assert.equal(one(windows, at("2026-11-23T17:59:58Z", 4)).auto, "1100");
    assert.equal(one(windows, at("2026-11-22T12:00:00Z")).auto, "0");
  });

  it("takes a schedule that never comes for a window that is always active", () => {
    const windows = [window({ schedule: "0 0 30 2 *", duration: "1m" })];
    const [answer] = syncWindows([
      { windows, app: { name: "shop" }, at: at("2026-01-01T00:00:00Z", 52, 604800), active: true },
    ]);
    assert.deepEqual([answer!.auto, answer!.active], ["1".repeat(52), ["1".repeat(52)]]);
    assert.equal(one([{ ...windows[0], kind: "deny" }], at("2026-06-01T00:00:00Z")).manual, "0");
  });

  it("takes a time zone that it does not know for UTC", () => {
    const unknown = one([window({ schedule: "0 6 * * *", timeZone: "Mars/Base" })], at("2026-06-01T06:00:00Z", 2));
    assert.deepEqual([unknown.auto, unknown.validate], ["01", [""]]);
    assert.equal(one([window({ schedule: "0 6 * * *" })], at("2026-06-01T06:00:00Z", 2)).auto, "01");
  });

  it("goes by the time zone's clock, which leaps in spring and autumn", () => {
    const windows = [window({ schedule: "0 6 * * *", timeZone: "Europe/Lisbon" })];
    assert.equal(one(windows, at("2026-01-15T06:00:00Z", 2)).auto, "01");
    assert.equal(one(windows, at("2026-07-15T05:00:00Z", 2)).auto, "01");
    // Lisbon's clocks leap from 01:00 to 02:00 on this Sunday: a window that began before is an hour short, and ends as by the new offset.
    const night = [window({ schedule: "0 22 * * 6", duration: "6h", timeZone: "Europe/Lisbon" })];
    const { auto } = one(night, at("2026-03-28T22:00:00Z", 8 * 60, 60));
    assert.deepEqual([auto.indexOf("1"), auto.lastIndexOf("1")], [1, 5 * 60 - 1]);
    // São Paulo has had no summer time since 2019: 06:00 is 09:00 UTC in December too.
    const brazil = [window({ schedule: "0 6 * * *", timeZone: "America/Sao_Paulo" })];
    assert.equal(one(brazil, at("2026-12-15T09:00:00Z", 2)).auto, "01");
  });

  it("knows an application's windows, and lets a manual one through where each of them does", () => {
    const windows = [
      window({ schedule: "0 6 * * *", applications: ["shop-*"], duration: "1h" }),
      window({ schedule: "0 8 * * *", namespaces: ["shop"], applications: undefined, duration: "1h" }),
      { kind: "deny", schedule: "0 8 * * *", duration: "1h", clusters: ["in-cluster"], manualSync: true },
    ];
    const ask = (app: SyncWindowsQuestion["app"], from: string) => {
      const { auto, manual, matches } = syncWindows([{ windows, app, at: at(from) }])[0]!;
      return [auto, manual, matches];
    };
    assert.deepEqual(ask({ name: "shop-api" }, "2026-06-01T06:30:00Z"), ["1", "1", [0]]);
    assert.deepEqual(ask({ name: "shop-api", namespace: "shop" }, "2026-06-01T06:30:00Z"), ["1", "1", [0, 1]]);
    assert.deepEqual(ask({ name: "shop-api", namespace: "shop" }, "2026-06-01T07:30:00Z"), ["0", "0", [0, 1]]);
    // A deny that is active wins over an allow, but for a manual one where it says so.
    const app = { name: "shop-api", namespace: "shop", clusterName: "in-cluster" };
    assert.deepEqual(ask(app, "2026-06-01T08:30:00Z"), ["0", "1", [0, 1, 2]]);
    assert.deepEqual(ask({ name: "other" }, "2026-06-01T08:30:00Z"), ["1", "1", []]);
  });

  it("says why a window is refused, and that nothing is allowed by one that cannot be read", () => {
    const windows = [
      window({ kind: "permit", schedule: "0 6 * * *" }),
      window({ schedule: "0 6 * *" }),
      window({ schedule: "0 6 * * *", duration: "1d" }),
    ];
    const { validate, error, auto } = one(windows, at("2026-06-01T06:30:00Z"));
    assert.deepEqual(validate, [
      "kind 'permit' mismatch: can only be allow or deny",
      "cannot parse schedule '0 6 * *': expected exactly 5 fields, found 4: [0 6 * *]",
      `cannot parse duration '1d': time: unknown unit "d" in duration "1d"`,
    ]);
    assert.equal(
      error,
      "invalid sync windows: cannot parse schedule '0 6 * *': expected exactly 5 fields, found 4: [0 6 * *]",
    );
    assert.equal(auto, "");
  });

  it("does a week of minutes in a second or two", () => {
    const windows = [
      window({ schedule: "0 6 * * 1-5", timeZone: "America/Sao_Paulo" }),
      { kind: "deny", schedule: "0 12 * * *", duration: "30m", applications: ["*"], timeZone: "Europe/Lisbon" },
    ];
    const { auto } = one(windows, at("2026-11-23T00:00:00Z", 7 * 24 * 60, 60));
    // Five days of twelve hours but for the minute they begin, and of those half an hour but for its first minute.
    assert.equal(auto.replaceAll("0", "").length, 5 * (12 * 60 - 1 - 29));
  });
});

describe("the oracle of image tags", () => {
  before(async function () {
    await startedOrSkipped(this, async () => imageTags([]));
  });

  it("takes the newest that the constraint and the expression take", () => {
    const tags = ["1.2.0", "v1.10.0", "1.9.9", "2.0.0-rc.1", "latest", "1.10.0", "main-1a2b3c4"];
    const ask = (constraint: string, allowTags: string) => imageTags([{ constraint, allowTags, tags }])[0]!;
    assert.deepEqual(ask("", ""), { candidates: ["1.2.0", "1.9.9", "1.10.0", "v1.10.0"], newest: "v1.10.0" });
    assert.deepEqual(ask("^1", "regexp:^[0-9.]+$"), { candidates: ["1.2.0", "1.9.9", "1.10.0"], newest: "1.10.0" });
    assert.equal(ask("^2.0.0-0", "any").newest, "2.0.0-rc.1");
    assert.deepEqual(ask("~3", "").candidates, []);
    // An expression without anchors takes a part of a tag.
    assert.equal(ask(">=0-0", "regexp:rc").newest, "2.0.0-rc.1");
    assert.deepEqual(ask("", "regexp:(").candidates, []);
    assert.deepEqual(ask("newest", ""), { candidates: [], error: "improper constraint: newest" });
  });
});
