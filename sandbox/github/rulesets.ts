/** Handlers: a repository's rulesets, and what they forbid. */
import { matchesGlob } from "node:path";
import { type Call, type Drift, Refusal } from "../stand-in/api.ts";
import {
  type Body,
  base,
  drift,
  type Handlers,
  heads,
  nodeId,
  notFound,
  page,
  type Repository,
  type State,
  ValidationFailed,
} from "./state.ts";

type Settings = Body<"repos/create-repo-ruleset">;

export interface Ruleset extends Required<Pick<Settings, "name" | "enforcement" | "bypass_actors" | "rules">> {
  id: number;
  target: NonNullable<Settings["target"]>;
  conditions?: Settings["conditions"];
  created_at: string;
  updated_at: string;
}

export function rulesets(state: State): Handlers {
  const one = (call: Call): Ruleset =>
    state.repository(call).rulesets.get(Number(call.params["ruleset_id"])) ?? notFound();
  const refuseTaken = (
    repository: Repository,
    { id, name, target }: Pick<Ruleset, "name" | "target"> & { id?: number },
  ) => {
    for (const other of repository.rulesets.values()) {
      if (other.id !== id && other.name === name && other.target === target) {
        throw new ValidationFailed("Name must be unique");
      }
    }
  };
  return {
    "repos/get-repo-rulesets": (call) => {
      const repository = state.repository(call);
      return page(call, [...repository.rulesets.values()], (some) =>
        // The list tells neither rules nor conditions.
        some.map((ruleset) => {
          const { rules: _, conditions, bypass_actors, ...short } = view(state, call, repository, ruleset);
          return short;
        }),
      );
    },
    "repos/get-repo-ruleset": (call) => ({ body: view(state, call, state.repository(call), one(call)) }),
    "repos/create-repo-ruleset": (call) => {
      const repository = state.repository(call);
      const body = call.body as Settings;
      const now = state.now();
      const ruleset: Ruleset = {
        id: state.nextId(),
        name: body.name,
        target: body.target ?? "branch",
        enforcement: body.enforcement,
        bypass_actors: withModes(body.bypass_actors),
        conditions: body.conditions,
        rules: body.rules ?? [],
        created_at: now,
        updated_at: now,
      };
      refuseTaken(repository, { ...ruleset });
      repository.rulesets.set(ruleset.id, ruleset);
      return { status: 201, body: view(state, call, repository, ruleset) };
    },
    "repos/update-repo-ruleset": (call) => {
      const repository = state.repository(call);
      const old = one(call);
      const body = call.body as Body<"repos/update-repo-ruleset">;
      const ruleset: Ruleset = {
        ...old,
        name: body.name ?? old.name,
        target: body.target ?? old.target,
        enforcement: body.enforcement ?? old.enforcement,
        bypass_actors: body.bypass_actors ? withModes(body.bypass_actors) : old.bypass_actors,
        conditions: body.conditions ?? old.conditions,
        rules: body.rules ?? old.rules,
        updated_at: state.now(),
      };
      refuseTaken(repository, ruleset);
      repository.rulesets.set(old.id, ruleset);
      return { body: view(state, call, repository, ruleset) };
    },
    "repos/delete-repo-ruleset": (call) => {
      state.repository(call).rulesets.delete(one(call).id);
      return {};
    },
  };
}

const withModes = (actors: Settings["bypass_actors"] = []) =>
  actors.map((actor) => ({ ...actor, bypass_mode: actor.bypass_mode ?? "always" }));

function view(state: State, call: Call, repository: Repository, ruleset: Ruleset) {
  const source = `${state.owner.login}/${repository.name}`;
  const { id, name, target, enforcement, bypass_actors, conditions, rules, created_at, updated_at } = ruleset;
  return {
    id,
    name,
    target,
    source_type: "Repository",
    source,
    enforcement,
    ...(conditions && { conditions }),
    rules,
    node_id: nodeId("RepositoryRuleset", id),
    created_at,
    updated_at,
    bypass_actors,
    current_user_can_bypass: bypasses(state, ruleset) ? "always" : "never",
    _links: {
      self: { href: `${base(call)}/repos/${source}/rulesets/${id}` },
      html: { href: `https://github.com/${source}/rules/${id}` },
    },
  };
}

/** The token's user owns the organisation; of a personal repository they are the administrator (role 5). */
const bypasses = (state: State, { bypass_actors }: Ruleset): boolean =>
  bypass_actors.some(
    ({ actor_type, actor_id, bypass_mode }) =>
      bypass_mode !== "pull_request" &&
      ((actor_type === "OrganizationAdmin" && state.owner.type === "Organization") ||
        (actor_type === "RepositoryRole" && actor_id === 5)),
  );

const violations = {
  creation: "Cannot create ref due to creations being restricted.",
  update: "Cannot update this protected ref.",
  deletion: "Cannot delete this protected ref.",
  pull_request: "Changes must be made through a pull request.",
};

/**
 * Holds a change of a ref against the rulesets in force.
 * @throws Refusal with the status that GitHub has for it there
 */
export function check(
  state: State,
  repository: Repository,
  ref: string,
  rules: (keyof typeof violations)[],
  status: 409 | 422,
): void {
  const target = ref.startsWith(heads) ? "branch" : "tag";
  for (const ruleset of repository.rulesets.values()) {
    if (ruleset.enforcement !== "active" || ruleset.target !== target || bypasses(state, ruleset)) continue;
    if (!concerns(repository, ruleset, ref)) continue;
    const broken = rules.filter((rule) => ruleset.rules.some(({ type }) => type === rule));
    if (broken.length === 0) continue;
    const list = broken.map((rule) => `${violations[rule]}\n\n`).join("");
    throw new Refusal(status, `Repository rule violations found\n\n${list}`);
  }
}

function concerns({ defaultBranch }: Repository, { conditions }: Ruleset, ref: string): boolean {
  const matches = (pattern: string) =>
    pattern === "~ALL" || (pattern === "~DEFAULT_BRANCH" ? ref === heads + defaultBranch : matchesGlob(ref, pattern));
  const { include = [], exclude = [] } = conditions?.ref_name ?? {};
  return include.some(matches) && !exclude.some(matches);
}

export const rulesetSnapshot = (repository: Repository) =>
  Object.fromEntries(
    [...repository.rulesets.values()].map(({ id: _, created_at, updated_at, ...settings }) => [
      `${settings.target} ${settings.name}`,
      settings,
    ]),
  );

export const rulesetDrifts = (state: State, repository: Repository): Drift[] =>
  [...repository.rulesets.values()].flatMap((ruleset) => {
    const { id, name, bypass_actors, rules } = ruleset;
    const where = `${repository.name} "${name}"`;
    const change = (kind: string, values: Partial<Ruleset>) =>
      drift(kind, where, name, () => Object.assign(ruleset, values, { updated_at: state.now() }));
    const writers = { actor_id: 4, actor_type: "RepositoryRole", bypass_mode: "always" } as const;
    return [
      drift("ruleset deleted", where, name, () => repository.rulesets.delete(id)),
      ...(ruleset.enforcement === "active" ? [change("ruleset disabled", { enforcement: "disabled" })] : []),
      ...(rules.length > 1 ? [change("ruleset with a rule less", { rules: rules.slice(1) })] : []),
      change("ruleset that writers may pass", { bypass_actors: [...bypass_actors, writers] }),
    ];
  });
