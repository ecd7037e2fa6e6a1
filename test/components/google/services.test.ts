import assert from "node:assert/strict";
import { ProjectServices } from "../../../components/google/services.ts";
import { declared } from "../../declared.ts";

describe("ProjectServices", () => {
  it("switches on each API, and leaves it on when the stack goes", async () => {
    const service = (name: string) => ({
      [`Service apis-${name}`]: { project: "my-project", service: `${name}.googleapis.com`, disableOnDestroy: false },
    });
    assert.deepEqual(
      await declared(() => new ProjectServices("apis", { project: "my-project", services: ["run", "storage"] })),
      {
        "ProjectServices apis": {},
        ...service("run"),
        ...service("storage"),
      },
    );
  });
});
