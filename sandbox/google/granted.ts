/** Secrets and topics: this program creates none, it only grants on them. */
import type { Handler } from "../stand-in/api.ts";
import { notFound } from "./errors.ts";
import type { Policy } from "./policies.ts";
import { lastOf, now, type Project, type Service, type World } from "./world.ts";

/** Resources of one kind, which a project has or is taken to have. */
export class Granted implements Service {
  readonly handlers: Record<string, Handler>;
  readonly #world: World;
  readonly #existing: (project: Project) => readonly string[] | undefined;

  /**
   * @param method what its methods start with: `pubsub.projects.topics`
   * @param key the path's parameter of `get`
   * @param existing the names in a project; undefined means any
   * @param describe what `get` answers
   */
  constructor(
    world: World,
    method: string,
    key: string,
    existing: (project: Project) => readonly string[] | undefined,
    describe: (name: string, project: Project) => object,
  ) {
    this.#world = world;
    this.#existing = existing;
    this.handlers = {
      [`${method}.get`]: ({ params }) => {
        const name = this.#find(params[key]!);
        return { body: describe(name, world.project(name)) };
      },
      [`${method}.getIamPolicy`]: ({ params, query }) => ({
        body: world.policies.get(this.#find(params["resource"]!), query.get("options.requestedPolicyVersion")),
      }),
      [`${method}.setIamPolicy`]: ({ params, body }) => ({
        body: world.policies.set(this.#find(params["resource"]!), (body as { policy?: Policy }).policy ?? {}),
      }),
    };
  }

  snapshot(): unknown {
    return {};
  }

  drifts() {
    return [];
  }

  #find(asked: string): string {
    const name = this.#world.byId(asked);
    const names = this.#existing(this.#world.project(name));
    if (names && !names.includes(lastOf(name))) throw notFound(`Resource not found (resource=${lastOf(name)}).`);
    return name;
  }
}

export const secrets = (world: World) =>
  new Granted(
    world,
    "secretmanager.projects.secrets",
    "name",
    (project) => project.secrets,
    (name, { number }) => ({
      name: name.replace(/^projects\/[^/]+/, `projects/${number}`),
      replication: { automatic: {} },
      createTime: now(),
    }),
  );

export const topics = (world: World) =>
  new Granted(
    world,
    "pubsub.projects.topics",
    "topic",
    (project) => project.topics,
    (name) => ({ name }),
  );
