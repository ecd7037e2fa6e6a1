import assert from "node:assert/strict";
import { fieldsOf } from "../../../components/gitops/git-credentials.ts";

describe("git credentials", () => {
  it("are fields as Argo CD names them: of a GitHub App", () => {
    assert.deepEqual(fieldsOf({ app: 12, installation: 34, privateKey: "pem" }), {
      githubAppID: "12",
      githubAppInstallationID: "34",
      githubAppPrivateKey: "pem",
    });
  });

  it("and of a token, beside which GitHub takes any name", () => {
    assert.deepEqual(fieldsOf({ token: "t" }), { username: "x-access-token", password: "t" });
  });
});
