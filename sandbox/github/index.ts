/** A stand-in of GitHub's REST API: one owner with repositories, and all that stacks keep in them. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { ErrorObject } from "ajv";
import type { OpenAPIV3 } from "openapi-types";
import {
  type Api,
  type Call,
  type Description,
  type Drift,
  type Handler,
  Refusal,
  type Reply,
} from "../stand-in/api.ts";
import { OpenApi } from "../stand-in/openapi.ts";
import { accounts } from "./accounts.ts";
import { actions, vaultDrifts } from "./actions.ts";
import { contentDrifts, contentSnapshot, contents } from "./contents.ts";
import { environmentDrifts, environmentSnapshot, environments } from "./environments.ts";
import { find, merge, pullDrifts, pullSnapshot, pulls } from "./pulls.ts";
import { rulesetDrifts, rulesetSnapshot, rulesets } from "./rulesets.ts";
import { type Account, type Handlers, heads, type Repository, State, ValidationFailed } from "./state.ts";
import type { Vault } from "./vault.ts";
import { webhookDrifts, webhookSnapshot, webhooks } from "./webhooks.ts";

export interface GitHubArgs {
  owner: Account;
  /** Names of the owner's repositories; each starts with a branch `main` that holds a README.md. */
  repositories: readonly string[];
  /** The only token that is let in. */
  token: string;
  /** Requests an hour. @default 15000, an organisation's in GitHub Enterprise Cloud */
  rateLimit?: number;
}

/** Where a secret is: in the organisation by default, in a repository, or in an environment of it. */
export interface Place {
  repository?: string;
  environment?: string;
}

export class GitHub implements Api {
  readonly name = "GitHub";
  readonly invalid = 422;
  readonly handlers: Record<string, Handler>;
  readonly descriptions: Description[];
  readonly #state: State;
  readonly #token: string;
  readonly #limit: number;
  readonly #openApi: OpenApi;
  #hour = 0;
  #used = 0;

  constructor({ owner, repositories, token, rateLimit = 15_000 }: GitHubArgs) {
    this.#state = new State(owner);
    this.#token = token;
    this.#limit = rateLimit;
    this.expect(repositories);
    const subjects = [accounts, contents, actions, environments, rulesets, pulls, webhooks];
    const handlers: Handlers = Object.assign({}, ...subjects.map((subject) => subject(this.#state)));
    this.#openApi = describe(Object.keys(handlers));
    this.handlers = Object.fromEntries(
      Object.entries(handlers).map(([name, handler]) => [name, (call) => this.#answer(call, handler)]),
    );
    this.descriptions = [
      {
        match: (method, path) => this.#openApi.match(method, this.#named(path)),
        problems: (call) => this.#problems(call),
      },
    ];
  }

  /** Makes repositories known; one that is known already stays as it is. */
  expect(repositories: readonly string[]): void {
    for (const name of repositories) if (!this.#state.repositories.has(name.toLowerCase())) this.#state.add(name);
  }

  refusal(status: number, message: string): Reply {
    // By this address clients know that they went too fast, and wait.
    const limits = "/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits";
    const documentation_url = `https://docs.github.com/rest${status === 429 ? limits : ""}`;
    return { status, headers: this.#rate(), body: { message, documentation_url, status: String(status) } };
  }

  /** The plain value of a secret, which the API tells nobody. @throws Error when there is none */
  secretValue(name: string, place: Place = {}): string {
    const item = this.#vault(place).secrets.get(name.toUpperCase());
    if (!item) throw new Error(`There is no secret ${name} in ${JSON.stringify(place)}`);
    return item.value;
  }

  /** Merges a pull request, as somebody who reviewed it does. @returns the merge commit's hash */
  merge(repository: string, number: number): string {
    const found = this.#repository(repository);
    return merge(this.#state, found, find(found, number));
  }

  /** Makes a repository one without any commit. */
  empty(repository: string): void {
    const { git } = this.#repository(repository);
    for (const ref of [...git.refs.keys()]) git.refs.delete(ref);
  }

  snapshot(): Record<string, unknown> {
    const nameOf = (id: number) => this.#state.repositoryById(id)!.name;
    const vault = (inside: Vault) => inside.snapshot(nameOf);
    return {
      owner: this.#state.owner.login,
      ...vault(this.#state.vault),
      repositories: Object.fromEntries(
        [...this.#state.repositories.values()].map((repository) => [
          repository.name,
          {
            branches: contentSnapshot(repository),
            tags: [...repository.git.refs.keys()].filter((ref) => !ref.startsWith(heads)).sort(),
            ...vault(repository.vault),
            environments: environmentSnapshot(repository, vault),
            rulesets: rulesetSnapshot(repository),
            pulls: pullSnapshot(repository),
            webhooks: webhookSnapshot(repository),
          },
        ]),
      ),
    };
  }

  drifts(): Drift[] {
    const state = this.#state;
    return [
      ...vaultDrifts(state, state.owner.login, state.vault),
      ...[...state.repositories.values()].flatMap((repository) => [
        ...contentDrifts(state, repository),
        ...vaultDrifts(state, repository.name, repository.vault),
        ...[...repository.environments.values()].flatMap(({ name, vault }) =>
          vaultDrifts(state, `${repository.name}/${name}`, vault),
        ),
        ...environmentDrifts(state, repository),
        ...rulesetDrifts(state, repository),
        ...pullDrifts(state, repository),
        ...webhookDrifts(state, repository),
      ]),
    ];
  }

  #repository(name: string): Repository {
    const found = this.#state.repositories.get(name.toLowerCase());
    if (!found) throw new Error(`There is no repository ${name}`);
    return found;
  }

  #vault({ repository, environment }: Place): Vault {
    if (repository === undefined) return this.#state.vault;
    const found = this.#repository(repository);
    if (environment === undefined) return found.vault;
    const inside = found.environments.get(environment.toLowerCase());
    if (!inside) throw new Error(`There is no environment ${environment} in ${repository}`);
    return inside.vault;
  }

  /**
   * A path as the description has it: without the prefix of a server of one's own, a repository by its name where it
   * is asked by its id, and the root folder's contents with the slash that clients leave out.
   */
  #named(path: string): string {
    return path
      .replace(/^\/api\/v3(?=\/)/, "")
      .replace(/^\/repositories\/(\d+)(?=\/|$)/, (asked, id) => {
        const repository = this.#state.repositoryById(Number(id));
        return repository ? `/repos/${this.#state.owner.login}/${repository.name}` : asked;
      })
      .replace(/\/contents$/, "$&/");
  }

  #problems(call: Call): string[] {
    // Who is not let in learns nothing of the request, and what is no JSON is refused as that.
    if (!this.#letIn(call) || isBroken(call)) return [];
    const problems = this.#openApi.problems(call);
    return problems.length > 0 ? [`Invalid request.\n\n${problems.join("\n")}`] : [];
  }

  #letIn({ headers }: Call): boolean {
    return headers.authorization?.replace(/^(bearer|token) /i, "") === this.#token;
  }

  #answer(call: Call, handler: Handler): Reply {
    try {
      if (!this.#letIn(call)) {
        throw new Refusal(401, call.headers.authorization ? "Bad credentials" : "Requires authentication");
      }
      this.#count();
      if (this.#used > this.#limit) {
        throw new Refusal(403, `API rate limit exceeded for user ID ${this.#state.user.id}.`);
      }
      if (isBroken(call)) throw new Refusal(400, "Problems parsing JSON");
      const reply = handler(call);
      // By a tag a client asks whether what it has is still so. GitHub has one for every answer with a body.
      const etag = reply.body === undefined ? undefined : tagOf(reply.body);
      const headers = { ...this.#rate(), ...(etag && { etag }), ...reply.headers };
      return etag && call.method === "GET" && call.headers["if-none-match"] === etag
        ? { status: 304, headers }
        : { ...reply, headers };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const reply = this.refusal(error.status, error.message);
      const url = this.#openApi.documentation(call.operation);
      Object.assign(reply.body as object, {
        ...(url && { documentation_url: url }),
        ...(error instanceof ValidationFailed && { errors: error.errors }),
      });
      return reply;
    }
  }

  #count(): void {
    const hour = Math.floor(Date.now() / 3_600_000);
    this.#used = hour === this.#hour ? this.#used + 1 : 1;
    this.#hour = hour;
  }

  /** Headers that say how many requests are left in the hour. */
  #rate(): Record<string, string> {
    return {
      "x-ratelimit-limit": String(this.#limit),
      "x-ratelimit-remaining": String(Math.max(0, this.#limit - this.#used)),
      "x-ratelimit-used": String(this.#used),
      "x-ratelimit-reset": String((this.#hour + 1) * 3600),
      "x-ratelimit-resource": "core",
    };
  }
}

const isBroken = ({ bytes, body }: Call): boolean => bytes.length > 0 && body === undefined;

const tagOf = (body: unknown): string => `W/"${createHash("sha256").update(JSON.stringify(body)).digest("hex")}"`;

let described: OpenApi | undefined;

/** GitHub's own description, read once. */
function describe(operations: string[]): OpenApi {
  if (described) return described;
  const file = createRequire(import.meta.url).resolve("@octokit/openapi/generated/api.github.com.json");
  const document = JSON.parse(readFileSync(file, "utf8")) as OpenAPIV3.Document;
  amend(document);
  described = new OpenApi(document, { operations, wording });
  return described;
}

/** Where GitHub takes more than it says. */
function amend(document: OpenAPIV3.Document): void {
  const { requestBody } = document.paths["/repos/{owner}/{repo}/environments/{environment_name}"]!.put!;
  const { schema } = (requestBody as OpenAPIV3.RequestBodyObject).content["application/json"]!;
  (schema as OpenAPIV3.SchemaObject).properties!["can_admins_bypass"] = { type: "boolean", nullable: true };
}

/** GitHub's words for what is wrong with a request. */
function wording({ keyword, params, instancePath, message, data }: ErrorObject): string {
  const place = instancePath.split("/").slice(1).join("/properties/");
  const at = place ? `For 'properties/${place}', ` : "";
  if (keyword === "required") return `${at}"${params["missingProperty"]}" wasn't supplied.`;
  if (keyword === "additionalProperties") return `${at}"${params["additionalProperty"]}" is not a permitted key.`;
  const value = data === null || data === undefined ? "nil" : JSON.stringify(data);
  if (keyword === "type")
    return `${at}${value} is not ${/^[aeio]/.test(params["type"]) ? "an" : "a"} ${params["type"]}.`;
  if (keyword === "enum") return `${at}${value} is not a member of ${JSON.stringify(params["allowedValues"])}.`;
  if (keyword === "oneOf" || keyword === "anyOf") return `${at}No subschema in "${keyword}" matched.`;
  return `${at}${message}.`;
}
