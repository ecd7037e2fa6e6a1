/** What the stand-in of GitHub holds, and what its handlers share. */
import type { operations } from "@octokit/openapi-types";
import { type Call, type Drift, type Handler, Refusal, type Reply } from "../stand-in/api.ts";
import type { Environment } from "./environments.ts";
import { Git, type Person } from "./git.ts";
import type { Pull } from "./pulls.ts";
import type { Ruleset } from "./rulesets.ts";
import { Vault } from "./vault.ts";
import type { Webhook } from "./webhooks.ts";

export interface Account {
  login: string;
  id: number;
  type: "Organization" | "User";
}

/** The JSON body of an operation, as the description has it: only what fits the description reaches a handler. */
export type Body<Name extends keyof operations> = operations[Name] extends {
  requestBody?: { content: { "application/json": infer Json } };
}
  ? NonNullable<Json>
  : never;

export type Handlers = Record<string, Handler>;

/** A 422 with a list of what is wrong, in GitHub's form. */
export class ValidationFailed extends Refusal {
  readonly errors: unknown[];

  constructor(...errors: unknown[]) {
    super(422, "Validation Failed");
    this.errors = errors;
  }
}

export class Repository {
  readonly name: string;
  readonly id: number;
  readonly createdAt: string;
  readonly defaultBranch = "main";
  readonly git = new Git();
  readonly vault = new Vault();
  readonly environments = new Map<string, Environment>();
  readonly rulesets = new Map<number, Ruleset>();
  readonly webhooks = new Map<number, Webhook>();
  readonly pulls: Pull[] = [];

  constructor(name: string, id: number, createdAt: string) {
    this.name = name;
    this.id = id;
    this.createdAt = createdAt;
  }

  /** The names of its branches. */
  get branches(): string[] {
    return [...this.git.refs.keys()].filter((ref) => ref.startsWith(heads)).map((ref) => ref.slice(heads.length));
  }
}

export const heads = "refs/heads/";

export class State {
  readonly owner: Account;
  /** Whose token it is. */
  readonly user: Account;
  /** By name in lower case: GitHub's names are found however they are spelled. */
  readonly repositories = new Map<string, Repository>();
  /** The organisation's secrets and variables. */
  readonly vault = new Vault();
  #time = 0;
  #id = 1000;

  constructor(owner: Account) {
    this.owner = owner;
    this.user = owner.type === "User" ? owner : { login: "octocat", id: 583231, type: "User" };
  }

  /** GitHub's times are whole seconds. Here each is another one, so that a change shows in it. */
  now(): string {
    this.#time = Math.max(Math.floor(Date.now() / 1000), this.#time + 1);
    return new Date(this.#time * 1000).toISOString().replace(".000Z", "Z");
  }

  nextId(): number {
    return ++this.#id;
  }

  /** Adds a repository whose branch `main` holds a README.md. */
  add(name: string): void {
    const now = this.now();
    const repository = new Repository(name, this.nextId(), now);
    const { git, defaultBranch } = repository;
    const files = new Map([["README.md", git.write(Buffer.from(`# ${name}\n`))]]);
    const author = this.person(now);
    const { sha } = git.commit({ parents: [], files, author, committer: author, message: "Initial commit" });
    git.refs.set(heads + defaultBranch, sha);
    this.repositories.set(name.toLowerCase(), repository);
  }

  /** The signature of commits by the token's user. */
  person(date = this.now()): Person {
    const { login, id } = this.user;
    return { name: login, email: `${id}+${login}@users.noreply.github.com`, date };
  }

  /** The repository that a call is about. @throws Refusal 404 */
  repository({ params }: Call): Repository {
    const found = same(params["owner"]!, this.owner.login) && this.repositories.get(params["repo"]!.toLowerCase());
    return found || notFound();
  }

  repositoryById(id: number): Repository | undefined {
    return [...this.repositories.values()].find((repository) => repository.id === id);
  }

  /** The environment of its repository that a call is about. @throws Refusal 404 */
  environment(call: Call): Environment {
    return this.repository(call).environments.get(call.params["environment_name"]!.toLowerCase()) ?? notFound();
  }

  /** @throws Refusal 404 where a call is about another organisation */
  organization({ params }: Call): Account {
    return this.owner.type === "Organization" && same(params["org"]!, this.owner.login) ? this.owner : notFound();
  }
}

export const same = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase();

export const notFound = (): never => {
  throw new Refusal(404, "Not Found");
};

/** Where the API was asked, for the addresses in answers. */
export const base = ({ headers }: Call): string => `http://${headers.host}/api/v3`;

export const nodeId = (type: string, id: number): string => Buffer.from(`${type}${id}`).toString("base64");

/** @param where the object, for the title @param object its last name @param limits of the engine, where it has some */
export const drift = (
  kind: string,
  where: string,
  object: string,
  apply: () => unknown,
  limits: Pick<Drift, "unseen" | "unmended"> = {},
): Drift => ({ what: `${kind}: ${where}`, kind, object, ...limits, apply: () => void apply() });

/** A page of a list, with the links to the others. @param wrap what the answer makes of the page */
export function page<T>(call: Call, all: readonly T[], wrap: (some: T[]) => unknown = (some) => some): Reply {
  const size = Math.min(Number(call.query.get("per_page") ?? 30), 100);
  const number = Number(call.query.get("page") ?? 1);
  const link = (to: number, rel: string) => {
    const { pathname, searchParams } = new URL(call.url, base(call));
    searchParams.set("page", String(to));
    return `<${new URL(pathname, base(call))}?${searchParams}>; rel="${rel}"`;
  };
  const last = Math.max(1, Math.ceil(all.length / size));
  const links = [
    ...(number > 1 ? [link(number - 1, "prev"), link(1, "first")] : []),
    ...(number < last ? [link(number + 1, "next"), link(last, "last")] : []),
  ];
  return {
    ...(links.length > 0 && { headers: { link: links.join(", ") } }),
    body: wrap(all.slice((number - 1) * size, number * size)),
  };
}
