import assert from "node:assert/strict";
import { type BucketArgs, createBucket } from "../../../components/google/bucket.ts";
import { declared, optionsOf } from "../../declared.ts";

describe("createBucket", () => {
  const args = { name: "acme-files", project: "my-project", location: "us-east1" };
  const make =
    (changes: Partial<BucketArgs> = {}) =>
    () =>
      createBucket("b", { ...args, ...changes });

  it("is never public, leaves access to its roles, and has what else it is told", async () => {
    const versioning = { enabled: false };
    assert.deepEqual(await declared(make({ versioning })), {
      "Bucket b": {
        ...args,
        versioning,
        uniformBucketLevelAccess: true,
        publicAccessPrevention: "enforced",
        forceDestroy: false,
      },
    });
  });

  it("is kept with what is in it, unless it may go", async () => {
    const fate = async (deletionPolicy?: BucketArgs["deletionPolicy"]) => [
      (await optionsOf(make({ deletionPolicy })))["b"]!.protect,
      (await declared(make({ deletionPolicy })))["Bucket b"]!["forceDestroy"],
    ];
    assert.deepEqual(await fate(), [true, false]);
    assert.deepEqual(await fate("PREVENT"), [true, false]);
    assert.deepEqual(await fate("DELETE"), [undefined, true]);
  });
});
