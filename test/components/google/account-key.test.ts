import assert from "node:assert/strict";
import { type Output, runtime } from "@pulumi/pulumi";
import { createAccount } from "../../../components/google/account.ts";
import { createKey } from "../../../components/google/account-key.ts";
import { declared, optionsOf } from "../../declared.ts";

const account = () => createAccount("a", { id: "reader", project: "my-project", displayName: "Reader" });
const fullName = "projects/my-project/serviceAccounts/reader@my-project.iam.gserviceaccount.com";

describe("createKey", () => {
  it("asks Google for a key of the account, with the options that it is given", async () => {
    const { "Key k": key } = await declared(() => createKey("k", account()));
    assert.deepEqual(key, { serviceAccountId: fullName });
    const options = await optionsOf(() => {
      const made = account();
      createKey("k", made, { dependsOn: [made.resource!] });
    });
    assert.deepEqual(options["k"], { dependsOn: ["a"] });
  });

  it("hands on the text within Google's base64, as a secret even where the provider would not say so", async () => {
    const json = JSON.stringify({ type: "service_account", name: "São Paulo" });
    const privateKey = Buffer.from(json).toString("base64");
    await runtime.setMocks({
      newResource: ({ name, inputs }) => ({ id: name, state: { ...(inputs as object), privateKey } }),
      call: () => ({}),
    });
    const { json: output } = createKey("k", account());
    const { isSecret, promise } = output as Output<string> & { isSecret: Promise<boolean>; promise(): Promise<string> };
    assert.equal(await promise(), json);
    assert.equal(await isSecret, true);
  });
});
