/** Which tags of python-api's image each environment takes, by the Image Updater's own rules: 1 s. */
import assert from "node:assert/strict";
import { type Environment, stacks } from "../../systems/python-api/config.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { declare, inputsOf } from "../systems/python-api/fixture.ts";
import { imageTags } from "./oracle.ts";

describe("the tags of python-api's image", () => {
  before(async function () {
    await startedOrSkipped(this, async () => imageTags([]));
  });

  const tags = [
    ...["v0.1.0-dev.2", "v0.1.0-dev.10", "v1.2.0-dev.1", "v1.1.9-dev.99"],
    ...["v1.2.0-rc.2", "v1.2.0-rc.11", "v1.10.0-rc.1", "v1.9.0-rc.3"],
    ...["v1.2.0", "v1.10.0", "v1.9.9"],
    // Nobody's.
    ...["latest", "main", "sha-0123abcd", "v1", "v1.2", "1.2.0", "v2.0.0-beta.1", "v2.0.0-rc", "v2.0.0-dev.1-x"],
    ...["v2.0.0+build", "xv3.0.0", "v3.0.0-rc.1.2", "V4.0.0", "v4.0.0-RC.1"],
  ];

  /** As the resource has it: what stands behind the image's colon, and the filter. */
  const askedBy = async (stack: Environment, changes: object = {}) => {
    const { spec } = inputsOf(await declare(changes, stack), "ImageUpdater") as {
      spec: {
        applicationRefs: [{ images: [{ imageName: string; commonUpdateSettings: { allowTags: string } }] }];
      };
    };
    const [{ imageName, commonUpdateSettings }] = spec.applicationRefs[0].images;
    return { constraint: imageName.split(":")[1] ?? "", allowTags: commonUpdateSettings.allowTags, tags };
  };

  it("are each environment's alone, the highest version last", async () => {
    const questions = [];
    // One run at a time, as the SDK wants it.
    for (const stack of stacks) questions.push(await askedBy(stack));
    const [dev, staging, prod] = imageTags(questions);
    assert.deepEqual(dev!.candidates, ["v0.1.0-dev.2", "v0.1.0-dev.10", "v1.1.9-dev.99", "v1.2.0-dev.1"]);
    assert.deepEqual(staging!.candidates, ["v1.2.0-rc.2", "v1.2.0-rc.11", "v1.9.0-rc.3", "v1.10.0-rc.1"]);
    assert.deepEqual(prod!.candidates, ["v1.2.0", "v1.9.9", "v1.10.0"]);
    assert.deepEqual([dev!.newest, staging!.newest, prod!.newest], ["v1.2.0-dev.1", "v1.10.0-rc.1", "v1.10.0"]);
  });

  it("of a pre-release are taken only by a constraint that asks for them", async () => {
    const [asked] = imageTags([await askedBy("dev")]);
    const [without] = imageTags([{ ...(await askedBy("dev")), constraint: "" }]);
    assert.equal(asked!.newest, "v1.2.0-dev.1");
    assert.deepEqual(without!.candidates, []);
  });

  it("can be held to a line of versions", async () => {
    const [held] = imageTags([await askedBy("prod", { tags: "^v1\\.9\\.[0-9]+$" })]);
    assert.deepEqual(held!.candidates, ["v1.9.9"]);
  });
});
