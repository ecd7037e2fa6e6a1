/** Handlers: secrets and variables for Actions. */
import { type Call, type Drift, Refusal } from "../stand-in/api.ts";
import { minimalRepository } from "./accounts.ts";
import { type Body, base, drift, type Handlers, notFound, page, type State } from "./state.ts";
import type { Item, Kind, Vault } from "./vault.ts";

/** Whose they are, by the word that GitHub's operations have for it. */
type Scope = "repo" | "environment" | "org";

export function actions(state: State): Handlers {
  return {
    ...inScope(state, "repo", (call) => state.repository(call).vault),
    ...inScope(state, "environment", (call) => state.environment(call).vault),
    ...inScope(state, "org", (call) => state.organization(call) && state.vault),
    ...selection(state, "secrets"),
    ...selection(state, "variables"),
  };
}

function inScope(state: State, scope: Scope, vaultOf: (call: Call) => Vault): Handlers {
  const get = (kind: Kind, call: Call) => itemOf(vaultOf(call), kind, call);
  const remove = (kind: Kind) => (call: Call) => {
    vaultOf(call)[kind].delete(get(kind, call).name);
    return {};
  };
  const access = (body: Pick<Body<"actions/create-or-update-org-secret">, "visibility" | "selected_repository_ids">) =>
    scope === "org" && body.visibility
      ? { visibility: body.visibility, selected: selectedIn(state, body.selected_repository_ids ?? []) }
      : { selected: new Set<number>() };
  const view = (item: Item, call: Call, kind: Kind) => ({
    name: item.name,
    ...(kind === "variables" && { value: item.value }),
    created_at: item.created_at,
    updated_at: item.updated_at,
    ...(item.visibility && { visibility: item.visibility }),
    ...(item.visibility === "selected" && {
      selected_repositories_url: `${base(call)}/orgs/${state.owner.login}/actions/${kind}/${item.name}/repositories`,
    }),
  });
  const list = (kind: Kind) => (call: Call) => {
    const all = [...vaultOf(call)[kind].values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return page(call, all, (some) => ({
      total_count: all.length,
      [kind]: some.map((item) => view(item, call, kind)),
    }));
  };
  return {
    [`actions/get-${scope}-public-key`]: (call) => {
      const { keyId, key } = vaultOf(call);
      return { body: { key_id: keyId, key } };
    },
    [`actions/list-${scope}-secrets`]: list("secrets"),
    [`actions/get-${scope}-secret`]: (call) => ({ body: view(get("secrets", call), call, "secrets") }),
    [`actions/create-or-update-${scope}-secret`]: (call) => {
      const vault = vaultOf(call);
      const name = named(call.params["secret_name"]!, "Secret");
      const body = call.body as Body<"actions/create-or-update-org-secret">;
      const old = vault.secrets.get(name);
      // An organisation's secret may change who reads it, and keep its value.
      if (!old && !body.encrypted_value)
        throw new Refusal(422, 'Invalid request.\n\n"encrypted_value" wasn\'t supplied.');
      const value = body.encrypted_value === undefined ? old!.value : vault.open(body.key_id, body.encrypted_value);
      const now = state.now();
      vault.secrets.set(name, { name, value, created_at: old?.created_at ?? now, updated_at: now, ...access(body) });
      return old ? {} : { status: 201, body: {} };
    },
    [`actions/delete-${scope}-secret`]: remove("secrets"),
    [`actions/list-${scope}-variables`]: list("variables"),
    [`actions/get-${scope}-variable`]: (call) => ({ body: view(get("variables", call), call, "variables") }),
    [`actions/create-${scope}-variable`]: (call) => {
      const { variables } = vaultOf(call);
      const body = call.body as Body<"actions/create-org-variable">;
      const name = named(body.name, "Variable");
      if (variables.has(name)) throw new Refusal(409, "Already exists - Variable already exists");
      const now = state.now();
      variables.set(name, { name, value: body.value, created_at: now, updated_at: now, ...access(body) });
      return { status: 201, body: {} };
    },
    [`actions/update-${scope}-variable`]: (call) => {
      const { variables } = vaultOf(call);
      const old = get("variables", call);
      const body = call.body as Body<"actions/update-org-variable">;
      const name = named(body.name ?? old.name, "Variable");
      if (name !== old.name && variables.has(name)) throw new Refusal(409, "Already exists - Variable already exists");
      variables.delete(old.name);
      variables.set(name, {
        ...old,
        name,
        value: body.value ?? old.value,
        updated_at: state.now(),
        ...(body.visibility && access({ ...body, visibility: body.visibility })),
      });
      return {};
    },
    [`actions/delete-${scope}-variable`]: remove("variables"),
  };
}

/** Which repositories may read an organisation's secret or variable. */
function selection(state: State, kind: Kind): Handlers {
  const name = kind === "secrets" ? "secret" : "variable";
  const selected = (call: Call): Item => {
    state.organization(call);
    const item = itemOf(state.vault, kind, call);
    if (item.visibility !== "selected") throw new Refusal(409, "Conflict");
    return item;
  };
  return {
    [`actions/list-selected-repos-for-org-${name}`]: (call) => {
      const all = [...selected(call).selected].map((id) => state.repositoryById(id)!);
      return page(call, all, (some) => ({
        total_count: all.length,
        repositories: some.map((repository) => minimalRepository(state, call, repository)),
      }));
    },
    [`actions/set-selected-repos-for-org-${name}`]: (call) => {
      const { selected_repository_ids: ids } = call.body as Body<"actions/set-selected-repos-for-org-secret">;
      selected(call).selected = selectedIn(state, ids);
      return {};
    },
    [`actions/add-selected-repo-to-org-${name}`]: (call) => {
      const [id] = selectedIn(state, [call.params["repository_id"]!]);
      selected(call).selected.add(id!);
      return {};
    },
    [`actions/remove-selected-repo-from-org-${name}`]: (call) => {
      selected(call).selected.delete(Number(call.params["repository_id"]));
      return {};
    },
  };
}

function itemOf(vault: Vault, kind: Kind, { params }: Call): Item {
  const name = kind === "secrets" ? params["secret_name"]! : params["name"]!;
  return vault[kind].get(name.toUpperCase()) ?? notFound();
}

function selectedIn(state: State, ids: readonly (number | string)[]): Set<number> {
  return new Set(ids.map((id) => state.repositoryById(Number(id))?.id ?? notFound()));
}

/** A name as GitHub keeps it. @throws Refusal 422 */
function named(name: string, what: "Secret" | "Variable"): string {
  if (/^GITHUB_/i.test(name)) throw new Refusal(422, `${what} names must not start with GITHUB_.`);
  if (!/^[a-z_][a-z0-9_]*$/i.test(name)) {
    throw new Refusal(
      422,
      `${what} names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_). ` +
        "Spaces are not allowed. Must start with a letter ([a-z], [A-Z]) or underscores (_).",
    );
  }
  return name.toUpperCase();
}

/** @param where whose they are, for the titles */
export function vaultDrifts(state: State, where: string, { secrets, variables }: Vault): Drift[] {
  const of = (item: Item, kind: string, apply: () => unknown, limits?: Pick<Drift, "unseen">) =>
    drift(kind, `${where} ${item.name}`, item.name, apply, limits);
  const touch = (item: Item, change: Partial<Item>) => () => Object.assign(item, change, { updated_at: state.now() });
  const readers = (item: Item, kind: "secret" | "variable") => [
    ...(item.visibility === "selected" && item.selected.size > 0
      ? [of(item, `${kind} for a repository less`, () => item.selected.delete([...item.selected][0]!))]
      : []),
    ...(item.visibility && item.visibility !== "all"
      ? [of(item, `${kind} open to all repositories`, touch(item, { visibility: "all", selected: new Set() }))]
      : []),
  ];
  return [
    ...[...secrets.values()].flatMap((item) => [
      of(item, "secret set anew", touch(item, { value: "set by somebody else" }), {
        unseen: "the provider writes the new time to the state's remoteUpdatedAt, and finds no difference in that",
      }),
      of(item, "secret deleted", () => secrets.delete(item.name)),
      ...readers(item, "secret"),
    ]),
    ...[...variables.values()].flatMap((item) => [
      of(item, "variable changed", touch(item, { value: `${item.value} by somebody else` })),
      of(item, "variable deleted", () => variables.delete(item.name)),
      ...readers(item, "variable"),
    ]),
  ];
}
