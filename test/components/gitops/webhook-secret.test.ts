import assert from "node:assert/strict";
import { WebhookSecret } from "../../../components/gitops/webhook-secret.ts";
import { answerWith } from "../../components/answers.ts";
import { declared } from "../../declared.ts";

describe("WebhookSecret", () => {
  const args = { secretName: "argocd-secret", namespace: "argocd", key: "webhook.github.secret" };

  it("adds one made-up value to a Secret that is there, and owns nothing else of it", async () => {
    const { "WebhookSecret w": _, ...resources } = await declared(() => new WebhookSecret("w", args));
    assert.deepEqual(resources, {
      "RandomPassword w-value": { length: 40, special: false },
      "SecretPatch w-patch": {
        apiVersion: "v1",
        kind: "Secret",
        metadata: {
          name: "argocd-secret",
          namespace: "argocd",
          annotations: { "pulumi.com/patchFieldManager": "esteira-w" },
        },
        data: "[secret]",
      },
    });
  });

  it("hands the value on to the side that calls, as a secret", async () => {
    let made: WebhookSecret | undefined;
    await declared(() => {
      answerWith({ "RandomPassword w-value": { result: "canary" } });
      made = new WebhookSecret("w", args);
    });
    const value = made!.value as unknown as { isSecret: Promise<boolean>; promise(): Promise<string> };
    assert.equal(await value.isSecret, true);
    assert.equal(await value.promise(), "canary");
  });
});
