/** Handlers: the owner, the token's user, repositories as a whole. */
import type { Call } from "../stand-in/api.ts";
import {
  type Account,
  base,
  type Handlers,
  nodeId,
  notFound,
  page,
  type Repository,
  type State,
  same,
} from "./state.ts";

export function accounts(state: State): Handlers {
  const user = (call: Call): Account =>
    [state.owner, state.user].find(({ login }) => same(login, call.params["username"]!)) ?? notFound();
  const noKeys = (call: Call) => {
    user(call);
    return page(call, []);
  };
  const repositories = (call: Call) =>
    page(call, [...state.repositories.values()], (some) =>
      some.map((repository) => minimalRepository(state, call, repository)),
    );
  return {
    "orgs/get": (call) => ({ body: organization(state, call) }),
    "users/get-authenticated": (call) => ({ body: profile(state, call, state.user) }),
    "users/get-by-username": (call) => ({ body: profile(state, call, user(call)) }),
    "users/list-gpg-keys-for-user": noKeys,
    "users/list-public-keys-for-user": noKeys,
    "repos/get": (call) => ({ body: fullRepository(state, call, state.repository(call)) }),
    "repos/list-for-org": (call) => {
      state.organization(call);
      return repositories(call);
    },
    "repos/list-for-user": (call) => (same(user(call).login, state.owner.login) ? repositories(call) : page(call, [])),
  };
}

export const simpleUser = (call: Call, { login, id, type }: Account) => ({
  login,
  id,
  node_id: nodeId(type, id),
  avatar_url: `https://avatars.githubusercontent.com/u/${id}?v=4`,
  gravatar_id: "",
  url: `${base(call)}/users/${login}`,
  html_url: `https://github.com/${login}`,
  type,
  site_admin: false,
});

const profile = (state: State, call: Call, account: Account) => ({
  ...simpleUser(call, account),
  name: null,
  company: null,
  blog: "",
  location: null,
  email: null,
  bio: null,
  public_repos: account === state.owner ? state.repositories.size : 0,
  public_gists: 0,
  followers: 0,
  following: 0,
  created_at: since,
  updated_at: since,
});

function organization(state: State, call: Call) {
  const { login, id } = state.organization(call);
  return {
    login,
    id,
    node_id: nodeId("Organization", id),
    url: `${base(call)}/orgs/${login}`,
    repos_url: `${base(call)}/orgs/${login}/repos`,
    html_url: `https://github.com/${login}`,
    avatar_url: `https://avatars.githubusercontent.com/u/${id}?v=4`,
    description: null,
    name: login,
    public_repos: state.repositories.size,
    public_gists: 0,
    followers: 0,
    following: 0,
    has_organization_projects: true,
    has_repository_projects: true,
    created_at: since,
    updated_at: since,
    type: "Organization",
    plan: { name: "enterprise", space: 976562499, private_repos: 999999, filled_seats: 1, seats: 1 },
    default_repository_permission: "read",
    members_can_create_repositories: true,
    two_factor_requirement_enabled: false,
  };
}

const since = "2020-01-01T00:00:00Z";

export function minimalRepository(state: State, call: Call, { name, id, createdAt }: Repository) {
  const full = `${state.owner.login}/${name}`;
  return {
    id,
    node_id: nodeId("Repository", id),
    name,
    full_name: full,
    owner: simpleUser(call, state.owner),
    private: true,
    html_url: `https://github.com/${full}`,
    description: null,
    fork: false,
    url: `${base(call)}/repos/${full}`,
    archived: false,
    disabled: false,
    visibility: "private",
    created_at: createdAt,
    updated_at: createdAt,
    pushed_at: createdAt,
  };
}

function fullRepository(state: State, call: Call, repository: Repository) {
  const minimal = minimalRepository(state, call, repository);
  return {
    ...minimal,
    git_url: `git:github.com/${minimal.full_name}.git`,
    ssh_url: `git@github.com:${minimal.full_name}.git`,
    clone_url: `https://github.com/${minimal.full_name}.git`,
    svn_url: `https://github.com/${minimal.full_name}`,
    homepage: null,
    language: null,
    default_branch: repository.defaultBranch,
    open_issues_count: repository.pulls.filter(({ state }) => state === "open").length,
    topics: [],
    is_template: false,
    has_issues: true,
    has_projects: true,
    has_wiki: true,
    has_pages: false,
    has_downloads: true,
    has_discussions: false,
    license: null,
    allow_rebase_merge: true,
    allow_squash_merge: true,
    allow_merge_commit: true,
    allow_auto_merge: false,
    allow_update_branch: false,
    allow_forking: false,
    delete_branch_on_merge: false,
    web_commit_signoff_required: false,
    permissions: { admin: true, maintain: true, push: true, triage: true, pull: true },
  };
}
