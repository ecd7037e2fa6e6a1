/** A deployer's kubeconfig with kubectl, at a real API server: 20 s. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rolloutRules, setImage, setImageRules } from "../../components/kubernetes/rollout/steps.ts";
import { until } from "../../sandbox/daemon.ts";
import { type Env, Sandbox } from "../support/sandbox.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { Delivery, kubectlPath } from "./delivery.ts";

describe("Deployer at a real API server", function () {
  this.timeout(180_000);
  let folder: string;
  let delivery: Delivery;
  let box: Sandbox;
  const namespace = "school-scheduler-homolog";
  const account = "school-scheduler-deployer";
  const sub = "repo:sua-org/school-scheduler:environment:homolog";
  const follower = { workload: "cronjob/generation", container: "main" } as const;
  const rules = [
    ...rolloutRules({
      deployment: "school-scheduler",
      health: { service: { name: "school-scheduler", port: "http" } },
      canary: { deployment: "school-scheduler-canary" },
      ready: ["statefulset/mysql"],
    }),
    ...setImageRules(follower),
  ];
  const kubeconfigs: Record<"github" | "token", string> = { github: "", token: "" };

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "deployer-"));
    delivery = await startedOrSkipped(this, () => Delivery.start(folder));
    for (const name of [namespace, "school-scheduler-prod", "lasting"]) {
      await delivery.kubernetes.client.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    }
    const { server } = delivery;
    const githubOidc = { audience: namespace, user: `github:${sub}` };
    kubeconfigs.github = await delivery.deployer({ account, namespace, rules, server, access: { githubOidc } });
    kubeconfigs.token = await delivery.deployer({ account, namespace: "lasting", rules, server, access: "token" });
  });
  beforeEach(() => {
    box = new Sandbox();
    symlinkSync(kubectlPath(), join(box.bin, "kubectl"));
    box.usePython();
  });
  afterEach(() => box.dispose());
  after(async () => {
    await delivery?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const kubectl = (kubeconfig: string, env: Env, ...args: string[]) => {
    const file = box.write("kubeconfig", kubeconfig);
    chmodSync(file, 0o600);
    return box.run("kubectl", args, { env: { ...env, KUBECONFIG: file, RETRY_SECONDS: "0.01" } });
  };

  /** What may be done, as a person asks: `VERB RESOURCE[/NAME][ in NAMESPACE]`. */
  const can = async (kubeconfig: string, env: Env, question: string): Promise<string> => {
    const [what, where] = question.split(" in ");
    const result = await kubectl(
      kubeconfig,
      env,
      "auth",
      "can-i",
      ...what!.split(" "),
      ...(where ? [`--namespace=${where}`] : []),
    );
    return result.stdout.trim();
  };

  const allowed = [
    "get deployments.apps/school-scheduler",
    "list deployments.apps/school-scheduler",
    "watch deployments.apps/school-scheduler",
    "patch deployments.apps/school-scheduler",
    "patch deployments.apps/school-scheduler-canary",
    "patch deployments.apps/school-scheduler-canary --subresource=scale",
    "list replicasets.apps",
    "list pods",
    "get services/http:school-scheduler:http --subresource=proxy",
    "get statefulsets.apps/mysql",
    "get cronjobs.batch/generation",
    "patch cronjobs.batch/generation",
  ];
  const refused = [
    "get secrets",
    "list secrets",
    "get configmaps",
    "create pods --subresource=exec",
    "get pods --subresource=log",
    "get pods --subresource=proxy",
    "delete pods",
    "create pods",
    "create deployments.apps",
    "delete deployments.apps/school-scheduler",
    "update deployments.apps/school-scheduler",
    "list deployments.apps",
    "get deployments.apps/other",
    "patch deployments.apps/other",
    "patch deployments.apps/school-scheduler --subresource=scale",
    "update deployments.apps/school-scheduler-canary --subresource=scale",
    "patch replicasets.apps",
    "get services/mysql --subresource=proxy",
    "get services/http:school-scheduler:other --subresource=proxy",
    "create services/http:school-scheduler:http --subresource=proxy",
    "patch statefulsets.apps/mysql",
    "patch cronjobs.batch/mysql-backup",
    "create jobs.batch",
    "create serviceaccounts --subresource=token",
    "create rolebindings.rbac.authorization.k8s.io",
    "escalate roles.rbac.authorization.k8s.io",
    "impersonate users",
    "get nodes",
    "list namespaces",
    "list pods in school-scheduler-prod",
    "patch deployments.apps/school-scheduler in school-scheduler-prod",
  ];

  for (const form of ["github", "token"] as const) {
    it(`may do what a rollout needs in its namespace, and nothing else, by a ${form} kubeconfig`, async () => {
      const env = form === "github" ? delivery.job({ sub }) : {};
      const answers: Record<string, string> = {};
      for (const each of [...allowed, ...refused]) answers[each] = await can(kubeconfigs[form], env, each);
      assert.deepEqual(
        answers,
        Object.fromEntries([...allowed.map((each) => [each, "yes"]), ...refused.map((each) => [each, "no"])]),
      );
    });
  }

  it("is GitHub's token of the job to the cluster, and asks for none in an argument", async () => {
    const { code, stdout } = await kubectl(
      kubeconfigs.github,
      delivery.job({ sub }),
      "auth",
      "whoami",
      "--output=name",
    );
    assert.equal(code, 0);
    const told = await kubectl(kubeconfigs.github, delivery.job({ sub }), "auth", "whoami", "--output=json");
    const { status } = JSON.parse(told.stdout) as { status: { userInfo: { username: string; groups: string[] } } };
    assert.deepEqual([status.userInfo.username, status.userInfo.groups], [`github:${sub}`, ["system:authenticated"]]);
    assert.ok(!stdout.includes("secret-of-job"));
  });

  describe("gives a follower the image,", () => {
    const image = "registry.invalid/shop:v2";
    const cronJob = (name: string) => ({
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata: { name, namespace },
      spec: {
        schedule: "0 0 1 1 *",
        jobTemplate: {
          spec: {
            template: {
              spec: { restartPolicy: "Never", containers: [{ name: "main", image: "registry.invalid/shop:v1" }] },
            },
          },
        },
      },
    });
    const imageOf = async (name: string) => {
      const path = `/apis/batch/v1/namespaces/${namespace}/cronjobs/${name}`;
      return /"image":"([^"]+)"/.exec(JSON.stringify(await delivery.kubernetes.client.get(path)))![1];
    };
    /** The step as a job runs it. */
    const step = (workload: `cronjob/${string}`, kubeconfig: string) => {
      const { env, run } = setImage({ ...follower, workload, namespace, image, kubeconfig });
      return box.bash(box.write("step.sh", run!), { ...(env as Env), ...delivery.job({ sub }), RETRY_SECONDS: "0.01" });
    };
    const base64 = (text: string) => Buffer.from(text).toString("base64");

    before(async () => {
      for (const name of ["generation", "other"]) await delivery.kubernetes.client.apply(cronJob(name));
    });

    it("and leaves nothing of the kubeconfig behind", async () => {
      const { code, stdout, stderr } = await step("cronjob/generation", base64(kubeconfigs.github));
      assert.equal(code, 0, stderr);
      assert.equal(await imageOf("generation"), image);
      assert.ok(!(stdout + stderr).includes("certificate-authority-data"));
    });

    it("but to nobody else", async () => {
      const { code, stderr } = await step("cronjob/other", base64(kubeconfigs.github));
      assert.notEqual(code, 0);
      assert.match(stderr, /cannot get resource "cronjobs"/);
      assert.equal(await imageOf("other"), "registry.invalid/shop:v1");
    });

    it("or says that its secret is no kubeconfig, and shows nothing of it", async () => {
      for (const kubeconfig of ["", "not*base64"]) {
        const { code, stdout, stderr } = await step("cronjob/generation", kubeconfig);
        assert.equal(code, 1);
        assert.match(stdout, /^::error title=No kubeconfig::/);
        assert.ok(!(stdout + stderr).includes("not*base64"));
      }
    });
  });

  const pods = ["get", "pods", "--output=name"];
  it("takes a new token where GitHub is only tired", async () => {
    const job = { sub, refusals: [500, 503] };
    assert.equal((await kubectl(kubeconfigs.github, delivery.job(job), ...pods)).code, 0);
  });

  const strangers: [what: string, env: () => Env, audience: string | undefined, words: RegExp][] = [
    [
      "another environment of the repository",
      () => delivery.job({ sub: sub.replace("homolog", "prod") }),
      undefined,
      /User "github:repo:sua-org\/school-scheduler:environment:prod" cannot list resource "pods"/,
    ],
    [
      "another repository",
      () => delivery.job({ sub: sub.replace("school-scheduler", "other") }),
      undefined,
      /cannot list resource "pods"/,
    ],
    [
      "a branch without an environment",
      () => delivery.job({ sub: "repo:sua-org/school-scheduler:ref:refs/heads/main" }),
      undefined,
      /cannot list resource "pods"/,
    ],
    [
      "a token for another audience",
      () => delivery.job({ sub }),
      "https://github.com/sua-org",
      /Unauthorized|must be logged in/,
    ],
    ["a token that has ended", () => delivery.job({ sub, lasts: -60 }), undefined, /Unauthorized|must be logged in/],
    [
      "a job whose endpoint refuses",
      () => delivery.job({ sub, refusals: [403, 403, 403, 403, 403, 403, 403, 403, 403, 403] }),
      undefined,
      /GitHub gave no token for the audience school-scheduler-homolog: status 403/,
    ],
    ["a job without the permission", () => ({}), undefined, /needs `permissions: id-token: write`/],
  ];
  for (const [what, env, audience, words] of strangers) {
    it(`is not ${what}`, async () => {
      const kubeconfig = audience
        ? kubeconfigs.github.replace(`value: ${namespace}`, `value: ${audience}`)
        : kubeconfigs.github;
      assert.equal(kubeconfig === kubeconfigs.github, !audience);
      const { code, stdout, stderr } = await kubectl(kubeconfig, env(), ...pods);
      assert.notEqual(code, 0);
      assert.equal(stdout, "");
      assert.match(stderr, words);
    });
  }

  it("has a token that ends with its Secret", async () => {
    assert.equal((await kubectl(kubeconfigs.token, {}, ...pods)).code, 0);
    const path = `/api/v1/namespaces/lasting/secrets/${account}-token`;
    await delivery.kubernetes.client.request("DELETE", path);
    // The API server keeps what it has found out for ten seconds.
    await until("a refusal", async () => {
      const { stderr } = await kubectl(kubeconfigs.token, {}, ...pods);
      return /Unauthorized|must be logged in/.test(stderr);
    });
  });
});
