/** Artifact Registry's repositories. @see https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories */
import type { Drift, Handler, Reply } from "../stand-in/api.ts";
import { alreadyExists, invalid, notFound } from "./errors.ts";
import type { Policy } from "./policies.ts";
import { lastOf, now, page, patch, type Service, type World } from "./world.ts";

interface Repository {
  name: string;
  format?: string;
  mode?: string;
  description?: string;
  labels?: Record<string, string>;
  createTime?: string;
  updateTime?: string;
}

export class ArtifactRegistry implements Service {
  readonly #world: World;
  readonly #held = new Map<string, Repository>();

  constructor(world: World) {
    this.#world = world;
  }

  readonly handlers: Record<string, Handler> = {
    "artifactregistry.projects.locations.repositories.create": ({ params, query, body }) => {
      const id = query.get("repositoryId") ?? "";
      if (!/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(id)) throw invalid(`Invalid repository ID: ${id}`);
      const name = `${this.#world.byId(params["parent"]!)}/repositories/${id}`;
      if (this.#held.has(name)) throw alreadyExists("the repository already exists");
      if (!(body as Repository).format) throw invalid("the repository's format must be set");
      const time = now();
      const created: Repository = {
        mode: "STANDARD_REPOSITORY",
        ...(body as Repository),
        name,
        createTime: time,
        updateTime: time,
      };
      this.#held.set(name, created);
      return this.#started(name, {
        "@type": "type.googleapis.com/google.devtools.artifactregistry.v1.Repository",
        ...created,
      });
    },
    "artifactregistry.projects.locations.repositories.get": ({ params }) => ({ body: this.#find(params["name"]!) }),
    "artifactregistry.projects.locations.repositories.list": (call) => {
      const parent = `${this.#world.byId(call.params["parent"]!)}/repositories/`;
      const all = [...this.#held.values()].filter(({ name }) => name.startsWith(parent));
      const [repositories, nextPageToken] = page(all, call);
      return { body: { repositories, nextPageToken } };
    },
    "artifactregistry.projects.locations.repositories.patch": ({ params, query, body }) => {
      const { name, format, createTime, ...held } = this.#find(params["name"]!);
      const changed = {
        ...patch(held, body as object, query.get("updateMask")),
        name,
        format,
        createTime,
        updateTime: now(),
      };
      this.#held.set(name, changed);
      return { body: changed };
    },
    "artifactregistry.projects.locations.repositories.delete": ({ params }) => {
      const { name } = this.#find(params["name"]!);
      this.#delete(name);
      return this.#started(name, { "@type": "type.googleapis.com/google.protobuf.Empty" });
    },
    "artifactregistry.projects.locations.repositories.getIamPolicy": ({ params, query }) => ({
      body: this.#world.policies.get(this.#find(params["resource"]!).name, query.get("options.requestedPolicyVersion")),
    }),
    "artifactregistry.projects.locations.repositories.setIamPolicy": ({ params, body }) => ({
      body: this.#world.policies.set(this.#find(params["resource"]!).name, (body as { policy?: Policy }).policy ?? {}),
    }),
    "artifactregistry.projects.locations.operations.get": ({ params }) => ({
      body: this.#world.operations.get(this.#world.byId(params["name"]!)),
    }),
  };

  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#held.values()]
        .map(({ name, createTime, updateTime, ...rest }): [string, object] => [name, rest])
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  }

  drifts(): Drift[] {
    return [...this.#held.values()].flatMap((held) => [
      {
        what: `repository ${lastOf(held.name)}: description`,
        kind: "description changed",
        object: lastOf(held.name),
        apply: () => {
          held.description = `${held.description ?? ""} (changed)`;
        },
      },
      {
        what: `repository ${lastOf(held.name)}: deleted`,
        kind: "registry deleted",
        object: lastOf(held.name),
        apply: () => this.#delete(held.name),
      },
    ]);
  }

  #find(asked: string): Repository {
    const found = this.#held.get(this.#world.byId(asked));
    if (!found) throw notFound("Requested entity was not found.");
    return found;
  }

  #delete(name: string): void {
    this.#held.delete(name);
    this.#world.policies.drop(name);
  }

  #started(name: string, response: object): Reply {
    const parent = name.replace(/\/repositories\/.*/, "");
    return { body: this.#world.operations.start(parent, name, { response }) };
  }
}
