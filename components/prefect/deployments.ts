/** A repository's prefect.yaml: what `prefect deploy` registers. @see https://docs.prefect.io/v3/how-to-guides/deployments/prefect-yaml */
import { Document, isMap, type YAMLMap } from "yaml";

/** An environment that flows are deployed to. */
export interface FlowEnvironment {
  /** Ends each deployment's name, and names its work queue. */
  name: string;
  /** Reference of the image; `{{ $NAME }}` stands for a variable of the deploying shell. */
  image: string;
  /** What tells one deploy from the next; templates as in `image`. */
  version: string;
  /** Variables of the flow's container. */
  env: Readonly<Record<string, string>>;
  /** Volumes of the flow's container, as `NAME:/path:ro`. */
  volumes: readonly string[];
  /** Whether schedules run by themselves; else they are there, switched off. */
  scheduled: boolean;
}

/** A flow. */
export interface FlowSettings {
  name: string;
  /** `path/to/file.py:function`. */
  entrypoint: string;
  /** When it runs, as cron has it. @default only when it is asked for */
  schedule?: string;
  /** Time zone of the schedule. */
  timezone: string;
  /** Runs at a time; more wait. */
  concurrency: number;
  /** Memory of its container at most: `2g`. @default no limit */
  memory?: string;
}

/** What a prefect.yaml is made of. */
export interface DeploymentsArgs {
  /** The work pool whose worker starts the containers. */
  pool: string;
  /** The networks that containers join. */
  networks: readonly string[];
  environments: readonly FlowEnvironment[];
  flows: readonly FlowSettings[];
}

/** The name of a flow's deployment in an environment. */
export const deploymentName = (flow: string, environment: string): string => `${flow}-${environment}`;

export function prefectYaml({ pool, networks, environments, flows }: DeploymentsArgs, header: string): string {
  const jobVariables = ({ image, env, volumes }: FlowEnvironment) => ({
    image,
    // Else every container that has ended stays on the host.
    auto_remove: true,
    image_pull_policy: "IfNotPresent",
    networks,
    ...(volumes.length > 0 && { volumes }),
    env,
  });
  const document = new Document(
    {
      definitions: { job_variables: Object.fromEntries(environments.map((each) => [each.name, jobVariables(each)])) },
      // The code is in the image: nothing is built, pushed or pulled here.
      build: [],
      push: [],
      pull: [],
      deployments: flows.flatMap(({ name, entrypoint, schedule, timezone, concurrency, memory }) =>
        environments.map((environment) => ({
          name: deploymentName(name, environment.name),
          entrypoint,
          version: environment.version,
          tags: [environment.name],
          concurrency_limit: { limit: concurrency, collision_strategy: "ENQUEUE" },
          schedules: schedule ? [{ cron: schedule, timezone, slug: "schedule", active: environment.scheduled }] : [],
          work_pool: {
            name: pool,
            work_queue_name: environment.name,
            job_variables: memory ? { "<<": environment.name, mem_limit: memory } : environment.name,
          },
        })),
      ),
    },
    { aliasDuplicateObjects: false, compat: "yaml-1.1", merge: true },
  );
  document.commentBefore = header.replace(/^/gm, " ");
  for (const { name } of environments) {
    document.createAlias(document.getIn(["definitions", "job_variables", name], true) as YAMLMap, name);
  }
  const deployments = document.get("deployments") as { items: YAMLMap[] };
  for (const deployment of deployments.items) {
    const workPool = deployment.get("work_pool") as YAMLMap;
    const variables = workPool.get("job_variables", true);
    const aliasOf = (name: unknown) =>
      document.createAlias(document.getIn(["definitions", "job_variables", String(name)], true) as YAMLMap);
    if (isMap(variables)) variables.set("<<", aliasOf(variables.get("<<")));
    else workPool.set("job_variables", aliasOf(workPool.get("job_variables")));
  }
  return document.toString({ lineWidth: 0 });
}
