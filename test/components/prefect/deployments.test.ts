import assert from "node:assert/strict";
import { parse } from "yaml";
import { type DeploymentsArgs, prefectYaml } from "../../../components/prefect/deployments.ts";

const environment = (name: string, volumes: string[] = []) => ({
  name,
  image: `ghcr.io/acme/flows:${name}-{{ $GITHUB_SHA }}@{{ $DIGEST }}`,
  version: `${name}-{{ $GITHUB_SHA }}`,
  env: { MODE: name },
  volumes,
  scheduled: name === "prod",
});

const args: DeploymentsArgs = {
  pool: "docker-pool",
  networks: ["prefect_flows"],
  environments: [environment("staging"), environment("prod", ["key:/run/key:ro"])],
  flows: [
    { name: "hourly", entrypoint: "a/flows.py:hourly", schedule: "0 * * * *", timezone: "UTC", concurrency: 3 },
    { name: "large", entrypoint: "b/flows.py:large", timezone: "UTC", concurrency: 1, memory: "2g" },
  ],
};

describe("prefect.yaml", () => {
  it("says what is the same in all deployments of an environment once, byte for byte", () => {
    assert.equal(
      prefectYaml(args, "Made by a program."),
      `# Made by a program.

definitions:
  job_variables:
    staging: &staging
      image: ghcr.io/acme/flows:staging-{{ $GITHUB_SHA }}@{{ $DIGEST }}
      auto_remove: true
      image_pull_policy: IfNotPresent
      networks:
        - prefect_flows
      env:
        MODE: staging
    prod: &prod
      image: ghcr.io/acme/flows:prod-{{ $GITHUB_SHA }}@{{ $DIGEST }}
      auto_remove: true
      image_pull_policy: IfNotPresent
      networks:
        - prefect_flows
      volumes:
        - key:/run/key:ro
      env:
        MODE: prod
build: []
push: []
pull: []
deployments:
  - name: hourly-staging
    entrypoint: a/flows.py:hourly
    version: staging-{{ $GITHUB_SHA }}
    tags:
      - staging
    concurrency_limit:
      limit: 3
      collision_strategy: ENQUEUE
    schedules:
      - cron: 0 * * * *
        timezone: UTC
        slug: schedule
        active: false
    work_pool:
      name: docker-pool
      work_queue_name: staging
      job_variables: *staging
  - name: hourly-prod
    entrypoint: a/flows.py:hourly
    version: prod-{{ $GITHUB_SHA }}
    tags:
      - prod
    concurrency_limit:
      limit: 3
      collision_strategy: ENQUEUE
    schedules:
      - cron: 0 * * * *
        timezone: UTC
        slug: schedule
        active: true
    work_pool:
      name: docker-pool
      work_queue_name: prod
      job_variables: *prod
  - name: large-staging
    entrypoint: b/flows.py:large
    version: staging-{{ $GITHUB_SHA }}
    tags:
      - staging
    concurrency_limit:
      limit: 1
      collision_strategy: ENQUEUE
    schedules: []
    work_pool:
      name: docker-pool
      work_queue_name: staging
      job_variables:
        <<: *staging
        mem_limit: 2g
  - name: large-prod
    entrypoint: b/flows.py:large
    version: prod-{{ $GITHUB_SHA }}
    tags:
      - prod
    concurrency_limit:
      limit: 1
      collision_strategy: ENQUEUE
    schedules: []
    work_pool:
      name: docker-pool
      work_queue_name: prod
      job_variables:
        <<: *prod
        mem_limit: 2g
`,
    );
  });

  it("gives a reader of YAML 1.1, as Prefect's is, whole job variables", () => {
    const { deployments } = parse(prefectYaml(args, ""), { version: "1.1" }) as {
      deployments: { work_pool: { job_variables: unknown } }[];
    };
    const prod = {
      image: "ghcr.io/acme/flows:prod-{{ $GITHUB_SHA }}@{{ $DIGEST }}",
      auto_remove: true,
      image_pull_policy: "IfNotPresent",
      networks: ["prefect_flows"],
      volumes: ["key:/run/key:ro"],
      env: { MODE: "prod" },
    };
    assert.deepEqual(deployments[1]!.work_pool.job_variables, prod);
    assert.deepEqual(deployments[3]!.work_pool.job_variables, { ...prod, mem_limit: "2g" });
  });

  it("keeps text text for such a reader", () => {
    const flow = { ...args.flows[0]!, timezone: "no" };
    const { deployments } = parse(prefectYaml({ ...args, flows: [flow] }, ""), { version: "1.1" }) as {
      deployments: { schedules: { timezone: unknown }[] }[];
    };
    assert.equal(deployments[0]!.schedules[0]!.timezone, "no");
  });
});
