import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { kubeconfig } from "../../../components/kubernetes/kubeconfig.ts";

const certificateAuthority = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const place = { server: "https://k8s.example.com:6443", certificateAuthority, namespace: "shop-prod" };

describe("kubeconfig", () => {
  const around = (user: unknown) => ({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "shop-prod",
        cluster: {
          server: "https://k8s.example.com:6443",
          "certificate-authority-data": Buffer.from(certificateAuthority).toString("base64"),
        },
      },
    ],
    users: [{ name: "shop-prod", user }],
    contexts: [{ name: "shop-prod", context: { cluster: "shop-prod", user: "shop-prod", namespace: "shop-prod" } }],
    "current-context": "shop-prod",
  });

  it("holds a token, or the program that asks GitHub for one", () => {
    assert.deepEqual(parse(kubeconfig({ ...place, user: { token: "t" } })), around({ token: "t" }));
    const program = readFileSync("components/kubernetes/github_token.py", "utf8");
    assert.deepEqual(
      parse(kubeconfig({ ...place, user: { githubOidc: { audience: "shop" } } })),
      around({
        exec: {
          apiVersion: "client.authentication.k8s.io/v1",
          command: "python3",
          args: ["-c", program],
          env: [{ name: "AUDIENCE", value: "shop" }],
          interactiveMode: "Never",
          provideClusterInfo: false,
        },
      }),
    );
  });

  it("refuses a server without TLS and a certificate that is none", () => {
    const user = { token: "t" };
    assert.throws(() => kubeconfig({ ...place, server: "http://k8s.example.com", user }), /expected one with https$/);
    assert.throws(() => kubeconfig({ ...place, certificateAuthority: "TUlJQg==", user }), /not in PEM/);
  });
});
