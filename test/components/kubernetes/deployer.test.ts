import assert from "node:assert/strict";
import { parse } from "yaml";
import { Deployer, type DeployerArgs } from "../../../components/kubernetes/deployer.ts";
import { declared, optionsOf } from "../../declared.ts";
import { answerWith, wordsOf } from "../answers.ts";

const rules = [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }];
const certificateAuthority = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const args = {
  account: "shop-deployer",
  namespace: "shop-prod",
  rules,
  server: "https://k8s.example.com",
  certificateAuthority,
  partOf: "shop",
};
const user = "github:repo:sua-org/shop:environment:prod";
const github: DeployerArgs = { ...args, access: { githubOidc: { audience: "shop-prod", user } } };
const token: DeployerArgs = { ...args, access: "token" };

const metadata = {
  name: "shop-deployer",
  namespace: "shop-prod",
  labels: {
    "app.kubernetes.io/name": "shop-deployer",
    "app.kubernetes.io/component": "deployer",
    "app.kubernetes.io/part-of": "shop",
    "app.kubernetes.io/managed-by": "pulumi",
  },
};
const rbac = (subject: unknown) => ({
  "Deployer d": {},
  "Role d-role": { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata, rules },
  "RoleBinding d-binding": {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata,
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "shop-deployer" },
    subjects: [subject],
  },
});

describe("Deployer", () => {
  /** What it hands on, with an answer of the cluster about the token's Secret. */
  const made = async (with_: DeployerArgs, data?: Record<string, string>) => {
    let deployer: Deployer | undefined;
    await declared(() => {
      if (data) answerWith({ "Secret d-token": { data } });
      deployer = new Deployer("d", with_);
    });
    const output = deployer!.kubeconfig as unknown as { isSecret: Promise<boolean>; promise(): Promise<string> };
    return { deployer: deployer!, secret: await output.isSecret, text: (await output.promise()) as string | undefined };
  };
  const userIn = (text: string) =>
    (parse(Buffer.from(text, "base64").toString()) as { users: { user: Record<string, unknown> }[] }).users[0]!.user;

  it("binds GitHub's token of one environment to one Role, and makes nobody", async () => {
    assert.deepEqual(
      await declared(() => new Deployer("d", github)),
      rbac({ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: user }),
    );
    const { deployer, secret, text } = await made(github);
    assert.deepEqual([deployer.subject, deployer.lasting, secret], [`User ${user}`, false, true]);
    assert.deepEqual(Object.keys(userIn(text!)), ["exec"]);
  });

  it("makes a service account with a token that lasts where it is told to", async () => {
    assert.deepEqual(await declared(() => new Deployer("d", token)), {
      ...rbac({ kind: "ServiceAccount", name: "shop-deployer", namespace: "shop-prod" }),
      "ServiceAccount d-account": {
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata,
        automountServiceAccountToken: false,
      },
      "Secret d-token": {
        apiVersion: "v1",
        kind: "Secret",
        metadata: {
          ...metadata,
          name: "shop-deployer-token",
          annotations: { "kubernetes.io/service-account.name": "shop-deployer" },
        },
        type: "kubernetes.io/service-account-token",
      },
    });
    const { deployer, secret, text } = await made(token, { token: Buffer.from("canary").toString("base64") });
    assert.deepEqual([deployer.subject, deployer.lasting], ["ServiceAccount shop-prod/shop-deployer", true]);
    assert.equal(secret, true);
    assert.deepEqual(userIn(text!), { token: "canary" });
  });

  it("has no kubeconfig before the cluster has made the token", async () => {
    assert.equal((await made(token)).text, undefined);
    const error = await made(token, {}).catch((error: Error) => error);
    assert.match(wordsOf(error as Error), /shop-prod\/shop-deployer-token has no token: pulumi up --refresh/);
  });

  it("asks for a token of an account that is there, and binds a Role that is there", async () => {
    const options = await optionsOf(() => new Deployer("d", token));
    assert.deepEqual(options["d-token"], { dependsOn: ["d-account"] });
    assert.deepEqual(options["d-binding"], { dependsOn: ["d-role"] });
  });
});
