import assert from "node:assert/strict";
import { accountId, accountNamed } from "../../../components/google/account.ts";

describe("accountId", () => {
  it("keeps a name that fits", () => assert.equal(accountId("cloud-function-1"), "cloud-function-1"));

  it("fits Google's 6 to 30 characters whatever the name, and two long names never meet", () => {
    const names = [
      "a",
      "short",
      "x".repeat(31),
      `${"x".repeat(22)}--tail-of-it`,
      `${"y".repeat(40)}-1`,
      `${"y".repeat(40)}-2`,
    ];
    const ids = names.map(accountId);
    for (const id of ids) assert.match(id, /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/);
    assert.equal(new Set(ids).size, names.length);
  });
});

describe("accountNamed", () => {
  it("finds the project in the address", () => {
    assert.deepEqual(accountNamed("runner@my-project.iam.gserviceaccount.com"), {
      email: "runner@my-project.iam.gserviceaccount.com",
      fullName: "projects/my-project/serviceAccounts/runner@my-project.iam.gserviceaccount.com",
      member: "serviceAccount:runner@my-project.iam.gserviceaccount.com",
    });
  });

  it("leaves the project to Google where the address does not tell it", () => {
    assert.equal(
      accountNamed("123-compute@developer.gserviceaccount.com").fullName,
      "projects/-/serviceAccounts/123-compute@developer.gserviceaccount.com",
    );
  });
});
