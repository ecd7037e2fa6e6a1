import assert from "node:assert/strict";
import { cores, cpu, mebibytes, memory, sumOfBytes, sumOfCores, volumeSize } from "../../components/quantities.ts";

describe("amounts", () => {
  const takes = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown) =>
    schema.safeParse(value).success;

  it("are taken in Kubernetes' units alone", () => {
    for (const each of ["250m", "2", "0.5", 1, 0.25]) assert.ok(takes(cpu, each), String(each));
    for (const each of ["", "0", "0m", "two", "1 core", "250M", "-1", "1e3", 0, -1, null]) {
      assert.ok(!takes(cpu, each), String(each));
    }
    for (const each of ["256Mi", "1Gi"]) assert.ok(takes(memory, each), each);
    for (const each of ["256", "256MB", "1 Gi", "0Mi", "1G", "1Ti", "lots", 256]) {
      assert.ok(!takes(memory, each), String(each));
    }
    for (const each of ["500Mi", "20Gi", "1Ti"]) assert.ok(takes(volumeSize, each), each);
    for (const each of ["20GB", "20", "0Gi", "1Pi", "-1Gi"]) assert.ok(!takes(volumeSize, each), each);
  });

  it("are numbers", () => {
    assert.deepEqual(["250m", "2", "0.5"].map(cores), [0.25, 2, 0.5]);
    assert.deepEqual(["256Mi", "3Gi", "1Ti"].map(mebibytes), [256, 3072, 1_048_576]);
  });

  it("are added up", () => {
    assert.equal(sumOfCores(["100m", "2", "0.5", "1m"]), "2601m");
    assert.equal(sumOfBytes(["256Mi", "2Gi"]), "2304Mi");
  });
});
