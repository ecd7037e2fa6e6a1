import assert from "node:assert/strict";
import { SharedSettings } from "../../../components/github/shared-settings.ts";
import { declared } from "../../declared.ts";

const declare = (ownerType: "organization" | "user") =>
  declared(
    () =>
      new SharedSettings("ci", {
        owner: "acme",
        ownerType,
        repositories: ["a", "b"],
        secrets: { KEY: "k" },
      }),
  );

describe("SharedSettings", () => {
  it("of an organisation: one write a value, for the selected repositories only", async () => {
    const selected = { visibility: "selected", selectedRepositoryIds: ["[computed]", "[computed]"] };
    assert.deepEqual(await declare("organization"), {
      "SharedSettings ci": {},
      "ActionsOrganizationSecret ci-KEY": { secretName: "KEY", value: "[secret]", ...selected },
    });
  });

  it("of a user, who has nothing to share: one write a value and repository", async () => {
    const secret = (repository: string) => ({
      [`ActionsSecret ci-${repository}-KEY`]: { repository, secretName: "KEY", value: "[secret]" },
    });
    assert.deepEqual(await declare("user"), { "SharedSettings ci": {}, ...secret("a"), ...secret("b") });
  });
});
