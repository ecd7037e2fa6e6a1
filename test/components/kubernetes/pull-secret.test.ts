import assert from "node:assert/strict";
import { secret } from "@pulumi/pulumi";
import { dockerConfig, pullSecret } from "../../../components/kubernetes/pull-secret.ts";
import { declared } from "../../declared.ts";

describe("pullSecret", () => {
  const user = { host: "ghcr.io", user: "ana", token: secret("canary") };

  it("is a Secret of the type that nodes pull images by, and shows nothing", async () => {
    const resources = await declared(() => pullSecret("p", { ...user, namespace: "shop", secretName: "registry" }));
    assert.deepEqual(resources, {
      "Secret p": {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "registry", namespace: "shop" },
        type: "kubernetes.io/dockerconfigjson",
        stringData: "[secret]",
      },
    });
  });

  it("holds what docker would", async () => {
    const text = await (dockerConfig(user) as unknown as { promise(): Promise<string> }).promise();
    assert.deepEqual(JSON.parse(text), { auths: { "ghcr.io": { username: "ana", password: "canary" } } });
  });
});
