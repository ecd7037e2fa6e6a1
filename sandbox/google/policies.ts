/** IAM policies: read, modify, write. @see https://cloud.google.com/iam/docs/policies */
import { createHash } from "node:crypto";
import type { Drift } from "../stand-in/api.ts";
import { GoogleError, invalid } from "./errors.ts";
import { newEtag, type World } from "./world.ts";

export interface Condition {
  title?: string;
  description?: string;
  expression?: string;
}

export interface Binding {
  role: string;
  members: string[];
  condition?: Condition;
}

export interface Policy {
  version?: number;
  etag?: string;
  bindings?: Binding[];
  auditConfigs?: unknown[];
}

/** The etag of a policy that nobody ever set. */
const unset = "ACAB";

/** The policies of all resources, by the resource's name. */
export class Policies {
  readonly #world: World;
  readonly #held = new Map<string, Policy>();
  /** Grants that Google gave itself, which no program removes. */
  readonly #initial = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  /** What Google itself grants on a new resource. */
  create(resource: string, bindings: Binding[]): void {
    this.#held.set(resource, { version: 1, etag: newEtag(), bindings: merged(bindings) });
    for (const { role, members } of bindings) {
      for (const member of members) this.#initial.add(`${resource} ${role} ${member}`);
    }
  }

  drop(resource: string): void {
    this.#held.delete(resource);
  }

  /**
   * A policy as it is told to whom asks for a version: below 3 a conditional grant has its condition in its role's
   * name, so that nobody takes it for one without.
   */
  get(resource: string, version: string | number | null | undefined): Policy {
    const policy = this.#held.get(resource) ?? { etag: unset };
    if (policy.version !== 3 || Number(version) === 3) return structuredClone(policy);
    const bindings = policy.bindings!.map(({ role, members, condition }) => ({
      role: condition ? `${role}_withcond_${digest(condition)}` : role,
      members,
    }));
    return { ...policy, version: 1, bindings };
  }

  /** @param stale what is thrown where somebody else was faster, given both etags */
  set(
    resource: string,
    { etag, version, bindings = [], auditConfigs }: Policy,
    stale: (asked: string, current: string) => GoogleError = concurrent,
  ): Policy {
    const current = this.#held.get(resource);
    if (etag && etag !== (current?.etag ?? unset)) throw stale(etag, current?.etag ?? unset);
    const conditional = bindings.some(({ condition }) => condition);
    if (conditional && version !== 3) {
      throw invalid("Policies with conditional role bindings must specify version 3.");
    }
    const checked = merged(
      bindings.map(({ role, members = [], condition }) => ({
        role: this.#role(role),
        members: members.map((member) => this.#member(member)),
        ...(condition && { condition: this.#condition(condition) }),
      })),
    );
    const policy: Policy = {
      version: conditional ? 3 : 1,
      etag: newEtag(),
      ...(checked.length > 0 && { bindings: checked }),
      ...(auditConfigs?.length && { auditConfigs }),
    };
    this.#held.set(resource, policy);
    return structuredClone(policy);
  }

  /** Whether a member has a role here, conditions aside. */
  grants(resource: string, role: string, member: string): boolean {
    return !!this.#held.get(resource)?.bindings?.some((each) => each.role === role && each.members.includes(member));
  }

  /** An account's grants outlive it, marked, and do not come back with an account of the same name. */
  markDeleted(email: string, uniqueId: string): void {
    for (const policy of this.#held.values()) {
      for (const binding of policy.bindings ?? []) {
        const at = binding.members.indexOf(`serviceAccount:${email}`);
        if (at < 0) continue;
        binding.members[at] = `deleted:serviceAccount:${email}?uid=${uniqueId}`;
        policy.etag = newEtag();
      }
    }
  }

  /** Without grants to whom no longer exists: they mean nothing. */
  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#held]
        .map(([resource, { bindings = [] }]): [string, Binding[]] => [
          resource,
          bindings
            .map((binding) => ({ ...binding, members: binding.members.filter((each) => !/^deleted:/.test(each)) }))
            .filter(({ members }) => members.length > 0),
        ])
        .filter(([, bindings]) => bindings.length > 0)
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  }

  drifts(): Drift[] {
    return [...this.#held].flatMap(([resource, policy]) =>
      (policy.bindings ?? []).flatMap(({ role, members, condition }) =>
        members
          .filter((member) => !/^deleted:/.test(member) && !this.#initial.has(`${resource} ${role} ${member}`))
          .map((member) => ({
            what: `IAM policy of ${resource}: ${member} loses ${role}`,
            kind: "grant removed",
            object: member,
            apply: () => {
              const bindings = policy.bindings!.map((each) =>
                each.role === role && digest(each.condition) === digest(condition)
                  ? { ...each, members: each.members.filter((other) => other !== member) }
                  : each,
              );
              policy.bindings = merged(bindings);
              policy.etag = newEtag();
            },
          })),
      ),
    );
  }

  #role(role: string): string {
    if (!/^(roles|(projects|organizations)\/[^/]+\/roles)\/[\w.]+$/.test(role ?? "")) {
      throw invalid(`Role (${role}) does not exist in the resource's hierarchy.`);
    }
    return role;
  }

  #condition(condition: Condition): Condition {
    if (!condition.expression) throw invalid("The condition's expression must not be empty.");
    return condition;
  }

  /** Whether it is the pool that Google Kubernetes Engine keeps in a project. */
  #isOfClusters(pool: string): boolean {
    const [, number, id] = /^projects\/(\d+)\/.*\/([^/]+)\.svc\.id\.goog$/.exec(pool) ?? [];
    return !!id && this.#world.projects.get(id)?.number === number;
  }

  /** A member as it is kept: e-mails in lower case, of accounts and pools that exist. */
  #member(member: string): string {
    if (/^(allUsers|allAuthenticatedUsers)$|^(deleted:|project(Owner|Editor|Viewer):)/.test(member)) return member;
    const pool =
      /^principal(?:Set)?:\/\/iam\.googleapis\.com\/(projects\/\d+\/locations\/global\/workloadIdentityPools\/[^/]+)\//;
    const name = pool.exec(member)?.[1];
    if (name && !this.#world.pools.has(name) && !this.#isOfClusters(name)) {
      throw invalid(
        `Identity Pool does not exist (${name}). Please check that you specified a valid resource name as returned in the \`name\` attribute in the configuration API.`,
      );
    }
    if (/^principal(Set)?:\/\//.test(member)) return member;
    const [, type, id] = /^(user|group|domain|serviceAccount):(.+)$/.exec(member) ?? [];
    if (!type || !id) {
      throw invalid(`The member ${member} is of an unknown type. Please set a valid type prefix for the member.`);
    }
    const email = id.toLowerCase();
    if (type === "serviceAccount" && !email.includes(".svc.id.goog[") && !this.#world.hasAccount(email)) {
      throw invalid(`Service account ${email} does not exist.`);
    }
    return `${type}:${email}`;
  }
}

const concurrent = (asked: string, current: string) =>
  new GoogleError(
    409,
    `There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff. The request's ETag '${asked}' did not match the current policy's ETag '${current}'.`,
  );

const digest = (condition: Condition | undefined): string =>
  condition
    ? createHash("sha1")
        .update(JSON.stringify([condition.title, condition.description, condition.expression]))
        .digest("hex")
        .slice(0, 20)
    : "";

/** One binding a role and condition, in one order, without doubles and without empty ones. */
function merged(bindings: Binding[]): Binding[] {
  const byKey = new Map<string, Binding>();
  for (const { role, members, condition } of bindings) {
    const key = `${role} ${digest(condition)}`;
    const all = [...(byKey.get(key)?.members ?? []), ...members];
    byKey.set(key, { role, members: [...new Set(all)].sort(), ...(condition && { condition }) });
  }
  return [...byKey]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, binding]) => binding)
    .filter(({ members }) => members.length > 0);
}
