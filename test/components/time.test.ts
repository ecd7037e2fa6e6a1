import assert from "node:assert/strict";
import { goCron, pauses } from "../../components/time.ts";

const days = (schedule: string) => pauses(schedule).longest / (24 * 3_600_000);

describe("a schedule", () => {
  it("has a longest pause from one start to the next", () => {
    assert.equal(days("0 3 * * *"), 1);
    assert.equal(days("*/15 * * * *"), 1 / 96);
    // Over a weekend.
    assert.equal(days("0 3 * * 1-5"), 3);
    assert.equal(days("0 3 1 * *"), 31);
    assert.equal(days("0 0 29 2 *"), 4 * 365 + 1);
    // Two thousand starts by day, and then none for the night.
    assert.equal(days("* 8-17 * * *"), (14 * 60 + 1) / (24 * 60));
  });

  it("has a shortest pause from one start to the next", () => {
    const minutes = (schedule: string) => pauses(schedule).shortest / 60_000;
    for (const [schedule, expected] of [
      ["*/5 * * * *", 5],
      ["7,37 * * * *", 30],
      // Over the full hour.
      ["*/7 * * * *", 4],
      ["0 3 * * 1,3", 2 * 24 * 60],
      ["58,59 23 31 12 *", 1],
      // Once in the leap years that are looked at.
      ["0 0 29 2 *", 1461 * 24 * 60],
    ] as const) {
      assert.equal(minutes(schedule), expected, schedule);
    }
  });

  it("is one that Kubernetes reads likewise, and that comes", () => {
    const takes = (text: string) => goCron.safeParse(text).success;
    for (const text of ["0 3 * * *", "0 5 * * 1-5", "*/15 * * * *", "0 5 * * MON"]) assert.ok(takes(text), text);
    for (const text of ["0 3 * * 7", "0 3 * * 5-7", "0 0 30 2 *", "0 3 * *", "@daily"]) assert.ok(!takes(text), text);
  });
});
