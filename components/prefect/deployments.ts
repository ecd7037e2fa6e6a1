/** A repository's prefect.yaml: what `prefect deploy` registers. @see https://docs.prefect.io/v3/how-to-guides/deployments/prefect-yaml */
import { Alias, Document, type YAMLMap } from "yaml";

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

/**
 * The text of a prefect.yaml: one deployment a flow and environment, named `FLOW-ENVIRONMENT`. What an environment's
 * deployments have in common stands once, under an anchor of its name.
 * @param header lines of the comment at its top
 */
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
          name: `${name}-${environment.name}`,
          entrypoint,
          version: environment.version,
          tags: [environment.name],
          concurrency_limit: { limit: concurrency, collision_strategy: "ENQUEUE" },
          schedules: schedule ? [{ cron: schedule, timezone, slug: "schedule", active: environment.scheduled }] : [],
          work_pool: {
            name: pool,
            work_queue_name: environment.name,
            job_variables: memory
              ? { "<<": new Alias(environment.name), mem_limit: memory }
              : new Alias(environment.name),
          },
        })),
      ),
    },
    { aliasDuplicateObjects: false, compat: "yaml-1.1", merge: true },
  );
  document.commentBefore = header.replace(/^/gm, " ");
  for (const { name } of environments) {
    (document.getIn(["definitions", "job_variables", name]) as YAMLMap).anchor = name;
  }
  return document.toString({ lineWidth: 0 });
}
