/** A stand-in for Google Cloud: the services that the program's resources are made of, on one server. */
import type { Api, Description, Drift, Handler, Reply } from "../stand-in/api.ts";
import { camel, discovery } from "../stand-in/discovery.ts";
import { ArtifactRegistry } from "./artifact-registry.ts";
import { BigQuery } from "./bigquery.ts";
import { GoogleError } from "./errors.ts";
import { Functions } from "./functions.ts";
import { secrets, topics } from "./granted.ts";
import { Iam } from "./iam.ts";
import { authorize } from "./permissions.ts";
import { ResourceManager } from "./resource-manager.ts";
import { ServiceUsage } from "./service-usage.ts";
import { Storage } from "./storage.ts";
import { WorkloadIdentity } from "./workload-identity.ts";
import { type Project, type Service, World } from "./world.ts";

export type { Project } from "./world.ts";

/**
 * The APIs, by name and version, each with its own path on the server. Two have none: Storage's uploads start at
 * the root, and Google's client library for functions takes no path.
 */
const mounts: Record<string, string> = {
  "storage.v1": "",
  "cloudfunctions.v2": "",
  "run.v2": "/run",
  "iam.v1": "/iam",
  "cloudresourcemanager.v1": "/cloudresourcemanager",
  "serviceusage.v1": "/serviceusage",
  "secretmanager.v1": "/secretmanager",
  "bigquery.v2": "/bigquery",
  "pubsub.v1": "/pubsub",
  "artifactregistry.v1": "/artifactregistry",
};

/**
 * Settings with which Pulumi's provider talks to a stand-in. One call goes elsewhere: on its start the provider asks
 * openidconnect.googleapis.com who it is, for its log; it goes on where nobody answers. (`gcp:universeDomain` would
 * stop that, and change what a preview knows of an account.)
 */
export function endpoints(url: string): Record<string, string> {
  return {
    // It would look at an operation every ten seconds, and collect what it sends together for as long.
    "gcp:pollInterval": "100ms",
    "gcp:batching": JSON.stringify({ enableBatching: true, sendAfter: "200ms" }),
    "gcp:storageCustomEndpoint": `${url}/storage/v1/`,
    "gcp:cloudfunctions2CustomEndpoint": `${url}/v2/`,
    "gcp:cloudRunV2CustomEndpoint": `${url}/run/v2/`,
    // Workload identity, and service accounts too.
    "gcp:iamBetaCustomEndpoint": `${url}/iam/v1/`,
    "gcp:resourceManagerCustomEndpoint": `${url}/cloudresourcemanager/v1/`,
    "gcp:serviceUsageCustomEndpoint": `${url}/serviceusage/v1/`,
    "gcp:secretManagerCustomEndpoint": `${url}/secretmanager/v1/`,
    "gcp:bigQueryCustomEndpoint": `${url}/bigquery/bigquery/v2/`,
    "gcp:pubsubCustomEndpoint": `${url}/pubsub/v1/`,
    "gcp:artifactRegistryCustomEndpoint": `${url}/artifactregistry/v1/`,
  };
}

/**
 * Google Cloud with some projects.
 * @example await StandIn.start(new Google({ projects: [{ id: "my-project", number: "123456789012" }], token: "t" }))
 */
export class Google implements Api {
  readonly name = "Google Cloud";
  readonly descriptions: Description[] = Object.entries(mounts).map(([api, mount]) => discovery(api, mount));
  readonly handlers: Record<string, Handler>;
  readonly invalid = 400;
  readonly #world = new World();
  readonly #services: Record<string, Service>;

  /**
   * @param token the access token of whoever may do everything
   * @param tokens those of principals that may do in Cloud Storage what they are granted there, and nothing else: token to principal
   */
  constructor({ projects, token, tokens = {} }: Access) {
    const world = this.#world;
    this.#services = {
      projects: new ResourceManager(world),
      apis: new ServiceUsage(world),
      serviceAccounts: new Iam(world),
      workloadIdentity: new WorkloadIdentity(world),
      buckets: new Storage(world),
      functions: new Functions(world),
      datasets: new BigQuery(world),
      repositories: new ArtifactRegistry(world),
      secrets: secrets(world),
      topics: topics(world),
    };
    this.handlers = Object.fromEntries(
      Object.values(this.#services).flatMap(({ handlers }) =>
        Object.entries(handlers).map(([operation, handler]) => [operation, guarded(handler, world, { token, tokens })]),
      ),
    );
    this.expect(projects);
  }

  /** Makes projects known; one that is known already stays as it is. */
  expect(projects: readonly Project[]): void {
    for (const project of projects.filter(({ id }) => !this.#world.projects.has(id))) {
      this.#world.projects.set(project.id, project);
      for (const service of Object.values(this.#services)) service.expect?.(project);
    }
  }

  refusal(status: number, message: string): Reply {
    return new GoogleError(status, message).reply;
  }

  snapshot(): Record<string, unknown> {
    const services = Object.entries(this.#services).map(([name, service]) => [name, service.snapshot()]);
    // Plain data, and a copy.
    return JSON.parse(JSON.stringify({ ...Object.fromEntries(services), policies: this.#world.policies.snapshot() }));
  }

  drifts(): Drift[] {
    return [...Object.values(this.#services).flatMap((service) => service.drifts()), ...this.#world.policies.drifts()];
  }
}

interface Access {
  projects: readonly Project[];
  token: string;
  tokens?: Readonly<Record<string, string>>;
}

/** Lets in who has a token, and answers a refusal with all that it knows. */
function guarded(handler: Handler, world: World, { token, tokens = {} }: Omit<Access, "projects">): Handler {
  return (call) => {
    try {
      const given = /^Bearer (.+)$/.exec(call.headers.authorization ?? "")?.[1] ?? "";
      const principal = Object.hasOwn(tokens, given) ? tokens[given] : undefined;
      if (principal) authorize(world, principal, call);
      else if (given !== token) {
        throw new GoogleError(
          401,
          "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        );
      }
      return handler({
        ...call,
        query: new URLSearchParams([...call.query].map(([name, value]) => [camel(name), value])),
      });
    } catch (error) {
      if (error instanceof GoogleError) return error.reply;
      throw error;
    }
  };
}
