/** Projects and who may do what in them. @see https://cloud.google.com/resource-manager/reference/rest/v1/projects */
import type { Handler } from "../stand-in/api.ts";
import { GoogleError } from "./errors.ts";
import type { Policy } from "./policies.ts";
import { now, type Project, type Service, type World } from "./world.ts";

export class ResourceManager implements Service {
  readonly #world: World;
  readonly #created = now();

  constructor(world: World) {
    this.#world = world;
  }

  readonly handlers: Record<string, Handler> = {
    "cloudresourcemanager.projects.get": ({ params }) => {
      const { id, number } = this.#project(params["projectId"]!);
      const createTime = this.#created;
      return { body: { projectNumber: number, projectId: id, lifecycleState: "ACTIVE", name: id, createTime } };
    },
    "cloudresourcemanager.projects.getIamPolicy": ({ params, body }) => {
      const { options } = (body ?? {}) as { options?: { requestedPolicyVersion?: number } };
      const { id } = this.#project(params["resource"]!);
      return { body: this.#world.policies.get(`projects/${id}`, options?.requestedPolicyVersion) };
    },
    "cloudresourcemanager.projects.setIamPolicy": ({ params, body }) => {
      const { policy = {}, updateMask = "bindings,etag" } = body as { policy?: Policy; updateMask?: string };
      const resource = `projects/${this.#project(params["resource"]!).id}`;
      const { auditConfigs } = this.#world.policies.get(resource, 3);
      const wanted = updateMask.includes("auditConfigs") ? policy : { ...policy, auditConfigs };
      return { body: this.#world.policies.set(resource, wanted) };
    },
  };

  expect({ id }: Project): void {
    this.#world.policies.create(`projects/${id}`, [{ role: "roles/owner", members: ["user:owner@example.com"] }]);
  }

  snapshot(): unknown {
    return [...this.#world.projects.values()].map(({ id, number }) => ({ id, number }));
  }

  drifts() {
    return [];
  }

  #project(name: string): Project {
    try {
      return this.#world.project(name);
    } catch {
      throw new GoogleError(403, "The caller does not have permission");
    }
  }
}
