import { createHash } from "node:crypto";
import type { types } from "@pulumi/github";
import * as github from "@pulumi/github";
import {
  all,
  ComponentResource,
  type ComponentResourceOptions,
  type CustomResourceOptions,
  type Input,
  interpolate,
  type Resource,
  type Unwrap,
} from "@pulumi/pulumi";

/** A deployment environment of a repository. */
export interface EnvironmentArgs {
  /** Numeric ids of who approves a deployment, 6 at most; nobody approves one that they started. @default nobody has to */
  reviewers?: { users: readonly number[]; teams: readonly number[] };
  /** Branches that may deploy, as patterns. @default any, if `tags` is not given either */
  branches?: readonly string[];
  /** Tags that may deploy, as patterns. @default any, if `branches` is not given either */
  tags?: readonly string[];
  /** Secrets that only this environment's jobs can read. @default none */
  secrets?: Readonly<Record<string, Input<string>>>;
  /** Variables that only this environment's jobs can read. @default none */
  variables?: Readonly<Record<string, Input<string>>>;
}

/** A webhook of a repository: what GitHub tells, and whom. */
export interface WebhookArgs {
  /** Where it is told, by https. */
  url: string;
  /** Names of events, such as push. @see https://docs.github.com/webhooks/webhook-events-and-payloads */
  events: readonly string[];
  /** By which the receiver knows GitHub. */
  secret: Input<string>;
}

/** A rule set of a repository, which nobody may bypass. */
export interface RulesetArgs {
  target: "branch" | "tag";
  /** Refs as GitHub has them, such as ~DEFAULT_BRANCH or refs/tags/v*. */
  conditions: { refName: { includes: string[]; excludes: string[] } };
  rules: Unwrap<types.input.RepositoryRulesetRules>;
}

/** Who may deploy to an environment, from where, and who has to approve: as an audit tells it. */
export interface EnvironmentRules {
  name: string;
  /** Numeric ids of who approves; null: nobody has to. */
  reviewers: { users: readonly number[]; teams: readonly number[] } | null;
  /** Whether one may approve the deployment that one started. */
  selfReview: boolean;
  /** Whether the repository's administrators may deploy without all that. */
  adminsBypass: boolean;
  /** Patterns of the refs that may deploy, such as refs/heads/main; null: any. */
  refs: string[] | null;
}

/** Arguments of {@link RepositoryDelivery}. */
export interface RepositoryDeliveryArgs {
  /** The repository's name, without its owner, who is the provider's. It exists already. */
  repository: string;
  /** The branch that files are for. @default "main" */
  branch?: string;
  /**
   * How files arrive: `push` commits each straight to the branch; `pull-request` commits them to a branch of
   * their own and opens a pull request, for a branch that is protected. A change of this deletes what the
   * other way delivered, unless it is taken out of the state before. @default "push"
   */
  via?: "push" | "pull-request";
  /** Name of the branch that a pull request comes from, before the content's digest. @default "esteira/" and the component's name */
  headBranch?: string;
  /** Files by path: their whole content. @default none */
  files?: Readonly<Record<string, Input<string>>>;
  /** Secrets that every workflow of the repository can read. @default none */
  secrets?: Readonly<Record<string, Input<string>>>;
  /** Environments by name. @default none */
  environments?: Readonly<Record<string, EnvironmentArgs>>;
  /** Webhooks by what they are called here. @default none */
  webhooks?: Readonly<Record<string, WebhookArgs>>;
  /** Rule sets by name, all enforced. @default none */
  rulesets?: Readonly<Record<string, RulesetArgs>>;
}

/**
 * What the program delivers to one existing repository: files, secrets, environments, webhooks, rule sets.
 *
 * Each file is a commit, and two commits at a time on one branch meet a 409: so files follow one another. What a
 * workflow needs stands before the workflow arrives: files come last.
 * @throws Error when two arguments contradict each other; the message names both
 * @example
 * new RepositoryDelivery("api", { repository: "api", files: { ".github/workflows/ci.yml": text } })
 * @see https://docs.github.com/rest/repos/contents
 */
export class RepositoryDelivery extends ComponentResource {
  /** The repository's name, without its owner. */
  readonly repository: string;
  /** Its environments, as an audit tells them. */
  readonly environments: EnvironmentRules[] = [];
  /** Its webhooks and rule sets, by name. */
  readonly webhooks: Readonly<Record<string, WebhookArgs>>;
  readonly rulesets: Readonly<Record<string, RulesetArgs>>;

  constructor(name: string, args: RepositoryDeliveryArgs, opts?: ComponentResourceOptions) {
    super("esteira:github:RepositoryDelivery", name, {}, opts);
    refuseContradictions(name, args);
    const { repository, environments = {}, webhooks = {}, rulesets = {} } = args;
    this.repository = repository;
    this.webhooks = webhooks;
    this.rulesets = rulesets;
    const parent = { parent: this };
    const before: Resource[] = [];

    for (const [secretName, value] of Object.entries(args.secrets ?? {})) {
      before.push(new github.ActionsSecret(`${name}-${secretName}`, { repository, secretName, value }, parent));
    }
    for (const [environment, environmentArgs] of Object.entries(environments)) {
      const rules = rulesOf(environment, environmentArgs);
      this.environments.push(rules);
      before.push(...this.environment(`${name}-${environment}`, repository, rules, environmentArgs));
    }
    for (const [webhook, { url, events, secret }] of Object.entries(webhooks)) {
      new github.RepositoryWebhook(
        `${name}-${webhook}-webhook`,
        { repository, events: [...events], configuration: { url, contentType: "json", secret } },
        parent,
      );
    }
    this.files(name, args, before);
    for (const [ruleset, ruleArgs] of Object.entries(rulesets)) {
      new github.RepositoryRuleset(
        `${name}-${ruleset}`,
        { ...ruleArgs, repository, name: ruleset, enforcement: "active" },
        parent,
      );
    }
    this.registerOutputs();
  }

  private environment(name: string, repository: string, rules: EnvironmentRules, args: EnvironmentArgs): Resource[] {
    const { name: environment, reviewers, selfReview, adminsBypass, refs } = rules;
    const patterns = [
      ...(args.branches ?? []).map((branchPattern) => ({ key: branchPattern, policy: { branchPattern } })),
      ...(args.tags ?? []).map((tagPattern) => ({ key: `tag-${tagPattern}`, policy: { tagPattern } })),
    ];
    const resource = new github.RepositoryEnvironment(
      name,
      {
        repository,
        environment,
        reviewers: reviewers ? [{ users: [...reviewers.users], teams: [...reviewers.teams] }] : undefined,
        preventSelfReview: !selfReview,
        canAdminsBypass: adminsBypass,
        deploymentBranchPolicy: refs ? { protectedBranches: false, customBranchPolicies: true } : undefined,
      },
      { parent: this },
    );
    // The environment's name is an input, so the order has to be said.
    const inside = { parent: this, dependsOn: [resource] };
    return [
      resource,
      ...patterns.map(
        ({ key, policy }) =>
          new github.RepositoryEnvironmentDeploymentPolicy(
            `${name}-${key}`,
            { repository, environment, ...policy },
            inside,
          ),
      ),
      ...Object.entries(args.secrets ?? {}).map(
        ([secretName, value]) =>
          new github.ActionsEnvironmentSecret(
            `${name}-${secretName}`,
            { repository, environment, secretName, value },
            inside,
          ),
      ),
      ...Object.entries(args.variables ?? {}).map(
        ([variableName, value]) =>
          new github.ActionsEnvironmentVariable(
            `${name}-${variableName}`,
            { repository, environment, variableName, value },
            inside,
          ),
      ),
    ];
  }

  private files(name: string, args: RepositoryDeliveryArgs, before: Resource[]): void {
    const { repository, branch: base = "main", via = "push", headBranch = `esteira/${name}` } = args;
    const files = Object.entries(args.files ?? {});
    const parent = { parent: this };
    if (files.length === 0) return;

    if (via === "push") {
      this.commit(name, repository, base, files, before, parent);
      return;
    }
    // Other content goes to another branch, made from the base as it is then: so a pull request that was merged or
    // squashed stands in nobody's way. The old branch goes, or the same content again would find it where it was;
    // its files go with it, and what was merged stays.
    const content = all(files.map(([, text]) => text)).apply(digest);
    const head = interpolate`${headBranch}-${content}`;
    const branch = new github.Branch(
      `${name}-branch`,
      { repository, branch: head, sourceBranch: base },
      { ...parent, dependsOn: before },
    );
    new github.RepositoryPullRequest(
      `${name}-pull-request`,
      {
        baseRepository: repository,
        baseRef: base,
        headRef: head,
        title: "Deliver the pipeline's files",
        body: files.map(([file]) => `- \`${file}\``).join("\n"),
      },
      {
        parent: this,
        dependsOn: this.commit(name, repository, branch.branch, files, [branch], { ...parent, retainOnDelete: true }),
      },
    );
  }

  /** Each file after the other, the first after `before`. */
  private commit(
    name: string,
    repository: string,
    branch: Input<string>,
    files: readonly [string, Input<string>][],
    before: Resource[],
    opts: CustomResourceOptions,
  ): Resource[] {
    let dependsOn = before;
    for (const [file, content] of files) {
      dependsOn = [
        new github.RepositoryFile(
          `${name}-${file}`,
          { repository, branch, file, content, commitMessage: `Deliver ${file}`, overwriteOnCreate: true },
          { ...opts, dependsOn },
        ),
      ];
    }
    return dependsOn;
  }
}

/** What is not said follows from whether somebody has to approve. */
function rulesOf(name: string, args: EnvironmentArgs): EnvironmentRules {
  const { reviewers, branches = [], tags = [] } = args;
  const refs = [...branches.map((each) => `refs/heads/${each}`), ...tags.map((each) => `refs/tags/${each}`)];
  return {
    name,
    reviewers: reviewers ?? null,
    selfReview: reviewers === undefined,
    // GitHub lets administrators pass by default; who approves is then no rule.
    adminsBypass: reviewers === undefined,
    refs: refs.length > 0 ? refs : null,
  };
}

const digest = (contents: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(contents)).digest("hex").slice(0, 12);

function refuseContradictions(name: string, args: RepositoryDeliveryArgs): void {
  const { branch = "main", via = "push", headBranch } = args;
  const refuse = (what: string) => {
    throw new Error(`RepositoryDelivery ${name}: ${what}`);
  };
  if (headBranch !== undefined && via === "push")
    refuse(`headBranch "${headBranch}" contradicts via "push": only a pull request has one`);
  if (headBranch === branch)
    refuse(`headBranch "${headBranch}" contradicts branch "${branch}": a pull request needs two`);
}
