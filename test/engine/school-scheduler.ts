/** Who owns the image of school-scheduler's Deployment: its workflow, after the first `up`. */
import assert from "node:assert/strict";
import { Client } from "../../sandbox/kubernetes/client.ts";
import { type Config, configOf, type Sandbox } from "../../sandbox/sandbox.ts";
import { preview, type Step, sandboxOf, up } from "./support.ts";

const system = "esteira:school-scheduler";

describe("A version that the workflow has rolled out", function () {
  this.timeout(600_000);
  const config = configOf("homolog");
  const settings = config[system] as Config;
  const namespace = "/apis/apps/v1/namespaces/school-scheduler-homolog";
  const jobs = "/apis/batch/v1/namespaces/school-scheduler-homolog/cronjobs/school-scheduler-generation";
  const version = "ghcr.io/sua-org/school_scheduler:homolog-1";
  let sandbox: Sandbox;
  let client: Client;

  before(async function () {
    sandbox = await sandboxOf.call(this, "homolog", config);
    client = new Client(sandbox.parts.find(({ name }) => name === "Kubernetes")!.address);
    await up(sandbox);
  });
  after(() => sandbox?.close());

  /** As `kubectl set image` does it. */
  async function setImage(path: string, container: string, template: (spec: object) => object): Promise<void> {
    const spec = template({ spec: { containers: [{ name: container, image: version }] } });
    const query = "fieldManager=kubectl-set";
    await client.request("PATCH", `${path}?${query}`, { spec }, "application/strategic-merge-patch+json");
  }

  const images = async () => {
    const deployment = JSON.stringify(await client.get(`${namespace}/deployments/school-scheduler`));
    const job = JSON.stringify(await client.get(jobs));
    return [deployment, job].map((text) => /"image":"([^"]+)"/.exec(text)![1]);
  };

  it("stays when nothing changes here, refreshed or not", async () => {
    await setImage(`${namespace}/deployments/school-scheduler`, "school-scheduler", (template) => ({ template }));
    await setImage(jobs, "school-scheduler-generation", (template) => ({ jobTemplate: { spec: { template } } }));
    assert.deepEqual(await images(), [version, version]);
    await up(sandbox);
    assert.deepEqual(await images(), [version, version]);
    await up(sandbox, "--refresh");
    assert.deepEqual(await images(), [version, version]);
  });

  it("stays when memory and environment change here, and those change", async () => {
    for (const flags of [[], ["--refresh"]]) {
      const memory = flags.length > 0 ? "768Mi" : "640Mi";
      await sandbox.configure({ ...config, [system]: { ...settings, application: { memory }, env: { MODE: memory } } });
      const steps = await preview(sandbox, ...flags);
      console.log(changed(steps));
      await up(sandbox, ...flags);
      assert.deepEqual(await images(), [version, version]);
      const text = JSON.stringify(await client.get(`${namespace}/deployments/school-scheduler`));
      assert.ok(text.includes(`"memory":"${memory}"`) && text.includes(`"name":"MODE","value":"${memory}"`), text);
    }
  });
});

const changed = (steps: readonly Step[]): string[] => [
  ...new Set(steps.filter(({ op }) => op !== "same").map(({ urn }) => urn.split("::").at(-1)!)),
];
