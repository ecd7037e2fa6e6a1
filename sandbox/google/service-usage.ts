/** Which APIs a project has switched on. @see https://cloud.google.com/service-usage/docs/reference/rest/v1/services */
import { readdirSync } from "node:fs";
import type { Drift, Handler, Reply } from "../stand-in/api.ts";
import { documents } from "../stand-in/discovery.ts";
import { failedPrecondition, GoogleError, invalid } from "./errors.ts";
import { lastOf, type Project, page, type Service, type World } from "./world.ts";

/** A request enables this many at most. */
const mostInBatch = 20;

export class ServiceUsage implements Service {
  readonly #world: World;
  /** By project's ID; whether each API is on. */
  readonly #states = new Map<string, Map<string, boolean>>();
  /** Names of all APIs that Google publishes a description of. */
  readonly #published = new Set(readdirSync(documents).map((file) => file.slice(0, file.indexOf("."))));

  constructor(world: World) {
    this.#world = world;
  }

  readonly handlers: Record<string, Handler> = {
    "serviceusage.services.list": (call) => {
      const project = this.#world.project(call.params["parent"]!);
      const filter = /^state:(ENABLED|DISABLED)$/.exec(call.query.get("filter") ?? "")?.[1];
      if (call.query.get("filter") && !filter) throw invalid(`Invalid filter: ${call.query.get("filter")}`);
      const all = [...this.#states.get(project.id)!.keys()]
        .map((service) => this.#describe(project, service))
        .filter(({ state }) => !filter || state === filter);
      const [services, nextPageToken] = page(all, call, 200);
      return { body: { services, nextPageToken } };
    },
    "serviceusage.services.get": ({ params }) => {
      const [project, service] = this.#named(params["name"]!);
      return { body: this.#describe(project, service) };
    },
    "serviceusage.services.enable": ({ params }) => {
      const [project, service] = this.#named(params["name"]!);
      return this.#enable(project, [service], (enabled) => ({ service: enabled[0] }));
    },
    "serviceusage.services.batchEnable": ({ params, body }) => {
      const { serviceIds = [] } = body as { serviceIds?: string[] };
      if (serviceIds.length === 0) throw invalid("At least one service must be specified.");
      if (serviceIds.length > mostInBatch) throw invalid(`A batch enables ${mostInBatch} services at most.`);
      return this.#enable(this.#world.project(params["parent"]!), serviceIds, (services) => ({ services }));
    },
    "serviceusage.services.disable": ({ params }) => {
      const [project, service] = this.#named(params["name"]!);
      const states = this.#states.get(project.id)!;
      if (!states.get(service)) {
        throw failedPrecondition(`Service ${service} is not enabled for consumer ${project.number}.`);
      }
      states.set(service, false);
      const response = { service: this.#describe(project, service) };
      return { body: this.#world.operations.start("", `projects/${project.number}`, { response }) };
    },
    "serviceusage.operations.get": ({ params }) => ({ body: this.#world.operations.get(params["name"]!) }),
  };

  expect({ id, services = [] }: Project): void {
    this.#states.set(id, new Map(services.map((service) => [service, true])));
  }

  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#states].map(([id, states]) => [id, [...states].flatMap(([name, on]) => (on ? [name] : [])).sort()]),
    );
  }

  drifts(): Drift[] {
    return [...this.#states].flatMap(([id, states]) =>
      [...states]
        .filter(([name, on]) => on && !this.#world.projects.get(id)!.services?.includes(name))
        .map(([name]) => ({
          what: `API ${name} of project ${id}: off`,
          kind: "API switched off",
          object: name,
          apply: () => {
            states.set(name, false);
          },
        })),
    );
  }

  #enable(project: Project, services: string[], responseOf: (enabled: object[]) => object): Reply {
    const unknown = services.filter((service) => !this.#published.has(service.replace(/\.googleapis\.com$/, "")));
    if (unknown.length > 0) {
      throw new GoogleError(403, `Not found or permission denied for service(s): ${unknown.join(", ")}.`);
    }
    for (const service of services) this.#states.get(project.id)!.set(service, true);
    const response = responseOf(services.map((service) => this.#describe(project, service)));
    return { body: this.#world.operations.start("", `projects/${project.number}`, { response }) };
  }

  #describe({ id, number }: Project, service: string) {
    return {
      name: `projects/${number}/services/${service}`,
      config: { name: service },
      state: this.#states.get(id)!.get(service) ? "ENABLED" : "DISABLED",
      parent: `projects/${number}`,
    };
  }

  #named(name: string): [Project, string] {
    return [this.#world.project(name), lastOf(name)];
  }
}
