/** Who owns what of school-scheduler's Deployments: image and pods are the workflow's and the load's, after the first `up`. */
import assert from "node:assert/strict";
import { Client } from "../../sandbox/kubernetes/client.ts";
import { type Config, configOf, type Sandbox } from "../../sandbox/sandbox.ts";
import { preview, type Step, sandboxOf, up } from "./support.ts";

const system = "esteira:school-scheduler";

describe("A version that the workflow has rolled out", function () {
  this.timeout(600_000);
  const config = configOf("preprod");
  const settings = config[system] as Config;
  const inNamespace = (group: string) => `/apis/${group}/v1/namespaces/school-scheduler-preprod`;
  const deployment = `${inNamespace("apps")}/deployments/school-scheduler`;
  const canary = `${deployment}-canary`;
  const job = `${inNamespace("batch")}/cronjobs/school-scheduler-generation`;
  const version = "ghcr.io/sua-org/school_scheduler:preprod-1";
  let sandbox: Sandbox;
  let client: Client;

  before(async function () {
    sandbox = await sandboxOf.call(this, "preprod", config);
    client = new Client(sandbox.parts.find(({ name }) => name === "Kubernetes")!.address);
    await up(sandbox);
    const merge = "application/strategic-merge-patch+json";
    const patch = (path: string, manager: string, body: object) =>
      client.request("PATCH", `${path}?fieldManager=${manager}`, body, merge);
    const template = (name: string) => ({ spec: { containers: [{ name, image: version }] } });
    // As `kubectl set image` and `kubectl scale` do it.
    for (const path of [deployment, canary]) {
      await patch(path, "kubectl-set", { spec: { template: template("school-scheduler") } });
    }
    const jobTemplate = { spec: { template: template("school-scheduler-generation") } };
    await patch(job, "kubectl-set", { spec: { jobTemplate } });
    await patch(`${deployment}/scale`, "autoscaler", { spec: { replicas: 5 } });
    await patch(`${canary}/scale`, "kubectl", { spec: { replicas: 1 } });
  });
  after(() => sandbox?.close());

  const texts = async () =>
    Promise.all([deployment, canary, job].map(async (path) => JSON.stringify(await client.get(path))));

  async function stays(): Promise<void> {
    const found = await texts();
    assert.deepEqual(
      found.map((text) => /"image":"([^"]+)"/.exec(text)![1]),
      [version, version, version],
    );
    assert.deepEqual(
      found.slice(0, 2).map((text) => /"spec":{"replicas":(\d+)/.exec(text)?.[1]),
      ["5", "1"],
    );
  }

  it("stays, and so do its pods, when nothing changes here, refreshed or not", async () => {
    for (const flags of [[], ["--refresh"]]) {
      await up(sandbox, ...flags);
      await stays();
    }
  });

  it("stays when memory and environment change here, and those change", async () => {
    for (const [memory, ...flags] of [["1280Mi"], ["1536Mi", "--refresh"]] as [string, ...string[]][]) {
      await sandbox.configure({ ...config, [system]: { ...settings, application: { memory }, env: { MODE: memory } } });
      if (flags.length === 0) {
        assert.deepEqual(
          changed(await preview(sandbox)),
          ["application-canary", "application-deployment", "generation-job", "space-quota"].map(
            (each) => `school-scheduler-${each}`,
          ),
        );
      }
      await up(sandbox, ...flags);
      await stays();
      for (const text of (await texts()).slice(0, 2)) {
        assert.ok(text.includes(`"memory":"${memory}"`) && text.includes(`"name":"MODE","value":"${memory}"`), text);
      }
    }
  });
});

const changed = (steps: readonly Step[]): string[] =>
  [...new Set(steps.filter(({ op }) => op !== "same").map(({ urn }) => urn.split("::").at(-1)!))].sort();
