import assert from "node:assert/strict";
import type { ResourceHookArgs } from "@pulumi/pulumi";
import { fixedKey, fixedText, refuseOther } from "../../../../components/kubernetes/mysql/fixed.ts";

describe("What a StatefulSet is made with", () => {
  const resource: ResourceHookArgs = { urn: "urn", id: "shop/mysql", name: "db-set", type: "StatefulSet" };
  const inputs = (fixed: Record<string, string> | undefined) => ({
    metadata: { name: "mysql", ...(fixed && { annotations: { [fixedKey]: fixedText(fixed) } }) },
  });
  const ask = (was: Record<string, string> | undefined, wanted: Record<string, string>) =>
    refuseOther("Take it back.")({ ...resource, oldInputs: inputs(was), newInputs: inputs(wanted) });

  it("may stay, whatever else changes, or be told for the first time", () => {
    ask({ size: "10Gi", class: "fast" }, { class: "fast", size: "10Gi" });
    ask(undefined, { size: "10Gi" });
  });

  it("is refused otherwise, with each thing that differs and what to do", () => {
    assert.throws(
      () => ask({ size: "10Gi", class: "fast", name: "a" }, { size: "20Gi", class: "slow", name: "a" }),
      new Error(
        "db-set keeps what it was made with: size is 10Gi and cannot become 20Gi; class is fast and cannot become slow. Nothing has been touched. Take it back.",
      ),
    );
  });
});
