/** Handlers: deployment environments and their branch policies. */
import { type Call, type Drift, Refusal } from "../stand-in/api.ts";
import { simpleUser } from "./accounts.ts";
import { type Body, base, drift, type Handlers, nodeId, notFound, page, type Repository, type State } from "./state.ts";
import { Vault } from "./vault.ts";

type Settings = NonNullable<Body<"repos/create-or-update-environment">>;

export interface Environment {
  name: string;
  id: number;
  created_at: string;
  updated_at: string;
  wait_timer: number;
  prevent_self_review: boolean;
  reviewers: { type: "User" | "Team"; id: number }[];
  can_admins_bypass: boolean;
  deployment_branch_policy: Settings["deployment_branch_policy"];
  policies: Policy[];
  vault: Vault;
}

interface Policy {
  id: number;
  name: string;
  type: "branch" | "tag";
}

export function environments(state: State): Handlers {
  /** The environment, where patterns say what may deploy to it. @throws Refusal 404 */
  const custom = (call: Call): Environment => {
    const environment = state.environment(call);
    return environment.deployment_branch_policy?.custom_branch_policies ? environment : notFound();
  };
  const policy = (call: Call): Policy =>
    state.environment(call).policies.find(({ id }) => id === Number(call.params["branch_policy_id"])) ?? notFound();
  return {
    "repos/get-all-environments": (call) => {
      const repository = state.repository(call);
      const all = [...repository.environments.values()];
      return page(call, all, (some) => ({
        total_count: all.length,
        environments: some.map((environment) => view(state, call, repository, environment)),
      }));
    },
    "repos/get-environment": (call) => ({
      body: view(state, call, state.repository(call), state.environment(call)),
    }),
    "repos/create-or-update-environment": (call) => {
      const repository = state.repository(call);
      const name = call.params["environment_name"]!;
      // GitHub takes `can_admins_bypass`, and its description has it in the answer only.
      const body = (call.body ?? {}) as Settings & { can_admins_bypass?: boolean | null };
      const branches = body.deployment_branch_policy ?? null;
      if (branches && branches.protected_branches === branches.custom_branch_policies) {
        throw new Refusal(422, "protected_branches and custom_branch_policies cannot have the same value");
      }
      const reviewers = (body.reviewers ?? []) as Environment["reviewers"];
      if (reviewers.length > 6) throw new Refusal(422, "An environment can have no more than 6 reviewers");
      const now = state.now();
      const old = repository.environments.get(name.toLowerCase());
      const environment: Environment = {
        ...(old ?? { name, id: state.nextId(), created_at: now, policies: [], vault: new Vault() }),
        updated_at: now,
        // What a request does not say is as in a new environment.
        wait_timer: body.wait_timer ?? 0,
        prevent_self_review: body.prevent_self_review ?? false,
        reviewers,
        can_admins_bypass: body.can_admins_bypass ?? true,
        deployment_branch_policy: branches,
      };
      if (!branches?.custom_branch_policies) environment.policies = [];
      repository.environments.set(name.toLowerCase(), environment);
      return { body: view(state, call, repository, environment) };
    },
    "repos/delete-an-environment": (call) => {
      state.repository(call).environments.delete(state.environment(call).name.toLowerCase());
      return {};
    },
    "repos/list-deployment-branch-policies": (call) => {
      const { policies } = state.environment(call);
      return page(call, policies, (some) => ({ total_count: policies.length, branch_policies: some.map(policyView) }));
    },
    "repos/get-deployment-branch-policy": (call) => ({ body: policyView(policy(call)) }),
    "repos/create-deployment-branch-policy": (call) => {
      const { policies } = custom(call);
      const body = call.body as Body<"repos/create-deployment-branch-policy">;
      const type = body.type ?? "branch";
      // A redirect to the list, which clients follow: what they then read has no id.
      // https://github.com/integrations/terraform-provider-github/issues/3611
      if (policies.some((each) => each.name === body.name && each.type === type)) {
        return {
          status: 303,
          headers: { location: new URL(call.url, base(call)).href },
          body: { message: "See Other" },
        };
      }
      const added: Policy = { id: state.nextId(), name: body.name, type };
      policies.push(added);
      return { body: policyView(added) };
    },
    "repos/update-deployment-branch-policy": (call) => {
      const found = policy(call);
      found.name = (call.body as Body<"repos/update-deployment-branch-policy">).name;
      return { body: policyView(found) };
    },
    "repos/delete-deployment-branch-policy": (call) => {
      const found = policy(call);
      const environment = state.environment(call);
      environment.policies = environment.policies.filter((each) => each !== found);
      return {};
    },
  };
}

const policyView = (policy: Policy) => ({ ...policy, node_id: nodeId("DeploymentBranchPolicy", policy.id) });

function view(state: State, call: Call, repository: Repository, environment: Environment) {
  const { id, name, wait_timer, reviewers, prevent_self_review, deployment_branch_policy } = environment;
  const rule = (type: string, offset: number, more: object) => ({
    id: id * 10 + offset,
    node_id: nodeId("GateRule", id * 10 + offset),
    type,
    ...more,
  });
  const path = `${state.owner.login}/${repository.name}`;
  return {
    id,
    node_id: nodeId("Environment", id),
    name,
    url: `${base(call)}/repos/${path}/environments/${encodeURIComponent(name)}`,
    html_url: `https://github.com/${path}/deployments/activity_log?environments_filter=${encodeURIComponent(name)}`,
    created_at: environment.created_at,
    updated_at: environment.updated_at,
    can_admins_bypass: environment.can_admins_bypass,
    protection_rules: [
      ...(wait_timer > 0 ? [rule("wait_timer", 1, { wait_timer })] : []),
      ...(reviewers.length > 0
        ? [
            rule("required_reviewers", 2, {
              prevent_self_review,
              reviewers: reviewers.map((reviewer) => ({ type: reviewer.type, reviewer: person(call, reviewer) })),
            }),
          ]
        : []),
      ...(deployment_branch_policy ? [rule("branch_policy", 3, {})] : []),
    ],
    deployment_branch_policy,
  };
}

/** Whoever has the id: the stand-in knows no other people. */
const person = (call: Call, { type, id }: Environment["reviewers"][number]) =>
  type === "User"
    ? simpleUser(call, { login: `user-${id}`, id, type })
    : { id, node_id: nodeId("Team", id), name: `team-${id}`, slug: `team-${id}` };

/** @param vault what an environment's vault holds, without times */
export const environmentSnapshot = ({ environments }: Repository, vault: (vault: Vault) => object) =>
  Object.fromEntries(
    [...environments.values()].map(({ id: _, created_at, updated_at, policies, vault: inside, ...settings }) => [
      settings.name,
      { ...settings, policies: policies.map(({ type, name }) => `${type} ${name}`).sort(), ...vault(inside) },
    ]),
  );

export const environmentDrifts = (state: State, repository: Repository): Drift[] =>
  [...repository.environments.values()].flatMap((environment) => {
    const { name } = environment;
    const where = `${repository.name}/${name}`;
    const change = (kind: string, values: Partial<Environment>, limits?: Pick<Drift, "unseen">) =>
      drift(kind, where, name, () => Object.assign(environment, values, { updated_at: state.now() }), limits);
    return [
      drift("environment deleted", where, name, () => repository.environments.delete(name.toLowerCase())),
      change("environment's wait timer changed", { wait_timer: environment.wait_timer + 5 }),
      change("administrators' right to pass turned over", { can_admins_bypass: !environment.can_admins_bypass }),
      ...(environment.reviewers.length > 0
        ? [
            change("others review", { reviewers: [{ type: "User", id: 1 }] }),
            change(
              "nobody reviews",
              { reviewers: [] },
              { unseen: "the provider reads reviewers only where there are any" },
            ),
          ]
        : []),
      ...(environment.deployment_branch_policy
        ? [change("any branch may deploy", { deployment_branch_policy: null, policies: [] })]
        : []),
      ...environment.policies.flatMap((policy) => {
        const pattern = `${where} ${policy.type} ${policy.name}`;
        return [
          drift("deployment policy deleted", pattern, policy.name, () => {
            environment.policies = environment.policies.filter((each) => each !== policy);
          }),
          drift("deployment policy widened", pattern, policy.name, () => Object.assign(policy, { name: "*" })),
        ];
      }),
    ];
  });
