import assert from "node:assert/strict";
import { parse } from "yaml";
import { declare, filesOf, flows } from "./fixture.ts";

interface Deployment {
  name: string;
  version: string;
  schedules: object[];
  concurrency_limit: { limit: number };
  work_pool: { job_variables: Record<string, unknown> };
}

/** What prefect.yaml deploys, with its anchors and merges resolved as Prefect's parser does. */
const deployments = async (changes: object = {}) =>
  (
    parse(filesOf(await declare(changes))["prefect.yaml"]!, { version: "1.1", merge: true }) as {
      deployments: Deployment[];
    }
  ).deployments;

const named = (all: readonly Deployment[], name: string) => all.find((each) => each.name === name)!;

describe("arcgis' prefect.yaml", () => {
  it("deploys each of the document's six flows to staging and to prod, and says exactly this of each", async () => {
    const expected = (flows as string[]).flatMap((flow) =>
      ["staging", "prod"].map((mode) => {
        const tag = `${mode === "prod" ? "main" : "staging"}-{{ $GITHUB_SHA }}`;
        return {
          name: `${flow}-${mode}`,
          entrypoint: `pipelines/arcgis/${flow}/flows.py:${flow}_flow`,
          version: tag,
          tags: [mode],
          concurrency_limit: { limit: 1, collision_strategy: "ENQUEUE" },
          schedules: [],
          work_pool: {
            name: "docker-pool",
            work_queue_name: mode,
            job_variables: {
              image: `ghcr.io/sua-org/pipelines-arcgis:${tag}@{{ $IMAGE_DIGEST }}`,
              auto_remove: true,
              image_pull_policy: "IfNotPresent",
              networks: ["prefect_flows"],
              volumes: [`arcgis-${mode}-google:/run/google:ro`],
              env: { MODE: mode, RIO_ENV: mode, GOOGLE_APPLICATION_CREDENTIALS: "/run/google/key.json" },
            },
          },
        };
      }),
    );
    assert.deepEqual(await deployments(), expected);
  });

  it("switches a schedule on in prod, and in prod alone, in the time of São Paulo unless told otherwise", async () => {
    const all = await deployments({
      flows: [
        { name: "abordagem", schedule: "0 5 * * 1-5" },
        { name: "ruas", schedule: "30 6 * * *", timezone: "UTC" },
      ],
    });
    const schedule = (name: string) => named(all, name).schedules;
    const weekdays = { cron: "0 5 * * 1-5", timezone: "America/Sao_Paulo", slug: "schedule" };
    assert.deepEqual(schedule("abordagem-prod"), [{ ...weekdays, active: true }]);
    assert.deepEqual(schedule("abordagem-staging"), [{ ...weekdays, active: false }]);
    const daily = { cron: "30 6 * * *", timezone: "UTC", slug: "schedule" };
    assert.deepEqual(schedule("ruas-prod"), [{ ...daily, active: true }]);
  });

  it("bounds memory and runs at a time by the flow's own word, else by the defaults'", async () => {
    const all = await deployments({
      defaults: { memory: "512Mi", concurrency: 2 },
      flows: ["abordagem", { name: "ruas", memory: "2Gi", concurrency: 5 }],
    });
    const bounds = (name: string) => {
      const { concurrency_limit, work_pool } = named(all, name);
      return [concurrency_limit.limit, work_pool.job_variables["mem_limit"]];
    };
    for (const mode of ["staging", "prod"]) {
      assert.deepEqual(bounds(`abordagem-${mode}`), [2, "512m"]);
      assert.deepEqual(bounds(`ruas-${mode}`), [5, "2g"]);
      // What is merged in is all there.
      assert.equal(Object.keys(named(all, `ruas-${mode}`).work_pool.job_variables).length, 7);
    }
  });

  it("finds a flow where the file says that it is, and an image of another branch and repository by its name", async () => {
    const all = await deployments({
      branch: "release/v1",
      repository: "Other_Repo",
      package: "src",
      flows: ["ruas", { name: "b", entrypoint: "lib/b.py:main" }],
    });
    assert.deepEqual(
      all.map((each) => [each.name, (each as unknown as { entrypoint: string }).entrypoint]),
      [
        ["ruas-staging", "src/ruas/flows.py:ruas_flow"],
        ["ruas-prod", "src/ruas/flows.py:ruas_flow"],
        ["b-staging", "lib/b.py:main"],
        ["b-prod", "lib/b.py:main"],
      ],
    );
    assert.equal(
      named(all, "ruas-prod").work_pool.job_variables["image"],
      "ghcr.io/sua-org/other_repo:release-v1-{{ $GITHUB_SHA }}@{{ $IMAGE_DIGEST }}",
    );
    assert.equal(named(all, "ruas-prod").version, "release-v1-{{ $GITHUB_SHA }}");
  });
});
