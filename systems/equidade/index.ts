import { readFileSync } from "node:fs";
import * as github from "@pulumi/github";
import { ComponentResource, type ComponentResourceOptions, type Output, type Resource } from "@pulumi/pulumi";
import { fileFact } from "../../audit/facts.ts";
import type { SystemFacts } from "../../audit/schema.ts";
import { CloudFunction } from "../../components/functions/cloud-function.ts";
import { Deployer, type DeployerAuth } from "../../components/functions/deployer.ts";
import { FunctionBuild } from "../../components/functions/function-build.ts";
import { RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import { SharedSettings } from "../../components/github/shared-settings.ts";
import { actionsOf, renderWorkflow, type Workflow } from "../../components/github/workflow.ts";
import type { ServiceAccount } from "../../components/google/account.ts";
import type { GrantTarget } from "../../components/google/grant.ts";
import { ProjectServices } from "../../components/google/services.ts";
import type { GithubConfig, Secrets } from "../../config.ts";
import type { EquidadeConfig, FunctionConfig } from "./config.ts";
import { deploy } from "./function-repository/deploy.ts";
import { keySecret, workflowPath } from "./names.ts";
import { triggerDeploys } from "./package-repository/trigger-deploys.ts";

/** The APIs that functions of the second generation and keyless deploys call. */
const services = [
  "artifactregistry",
  "cloudbuild",
  "cloudfunctions",
  "cloudresourcemanager",
  "iam",
  "iamcredentials",
  "run",
  "secretmanager",
  "storage",
  "sts",
];

/** Arguments of {@link Equidade}. */
export interface EquidadeArgs {
  config: EquidadeConfig;
  /** The secrets that `secretsOf(config)` names. */
  secrets: Secrets;
  github: GithubConfig;
}

/**
 * equidade: a release of one Python package fans out to many Cloud Functions.
 *
 * The package's repository tells every function's repository of a release; each pins the package, deploys its
 * function and verifies it. This declares both ends, the functions, and the account that deploys them.
 */
export class Equidade extends ComponentResource {
  /** What the audit says of it. */
  readonly facts: SystemFacts;

  constructor(name: string, args: EquidadeArgs, opts?: ComponentResourceOptions) {
    super("esteira:systems:Equidade", name, {}, opts);
    const { config, github: hub } = args;
    const { project, region } = config;
    const parent = { parent: this };
    const files: SystemFacts["files"] = [];
    const deliver = (repository: string, path: string, workflow: Workflow, source: string) => {
      const text = renderWorkflow(workflow, `systems/equidade/${source}`);
      files.push(
        fileFact({
          repository: `${hub.owner}/${repository}`,
          branch: config.branch,
          path,
          text,
          actions: actionsOf(workflow),
        }),
      );
      return { [path]: text };
    };

    const apis = new ProjectServices(`${name}-apis`, { project, services }, parent);
    const inProject = { parent: this, dependsOn: [apis] };
    const build = new FunctionBuild(
      `${name}-build`,
      {
        project,
        location: region,
        bucketName: `${project}-${name}-first-source`,
        entryPoints: config.functions.map((fn) => fn.entryPoint),
      },
      inProject,
    );
    const functions = config.functions.map((fn) => ({
      fn,
      resource: new CloudFunction(
        `${name}-${fn.name}`,
        { ...functionArgs(fn, config), source: build.source, buildServiceAccount: build.account.name },
        {
          parent: this,
          dependsOn: [apis, build],
        },
      ),
    }));
    const runtimeAccounts = functions.map(({ fn, resource }) => ({ key: fn.name, account: resource.account }));
    const deployer = new Deployer(
      `${name}-deployer`,
      {
        project,
        actAs: [{ key: "build", account: build.account }, ...unique(runtimeAccounts)],
        auth: this.auth(config, hub),
      },
      inProject,
    );

    const before: Resource[] = [];
    if (deployer.key) {
      before.push(
        new SharedSettings(
          `${name}-key`,
          {
            ...hub,
            repositories: config.functions.map((fn) => fn.repository),
            secrets: { [keySecret(config)]: deployer.key },
          },
          parent,
        ),
      );
    }
    const release = config.release === "final" ? releaseFiles() : {};
    new RepositoryDelivery(
      `${name}-package`,
      {
        repository: config.packageRepository,
        branch: config.branch,
        via: config.via,
        environments: {
          [config.environment]: {
            reviewers: config.reviewers,
            // A release runs on its tag, a start by hand on the branch; no other ref gets at the secret.
            branches: [config.branch],
            tags: config.release === "by-hand" ? [] : ["v*"],
            secrets: args.secrets,
          },
        },
        rulesets: config.release === "final" ? { "released versions": releasedVersions } : {},
        files: {
          ...deliver(
            config.packageRepository,
            workflowPath("trigger-deploys", config),
            triggerDeploys(config, hub.owner),
            "package-repository/trigger-deploys.ts",
          ),
          ...release,
        },
      },
      parent,
    );
    for (const [path, text] of Object.entries(release)) {
      files.push(
        fileFact({ repository: `${hub.owner}/${config.packageRepository}`, branch: config.branch, path, text }),
      );
    }
    for (const { fn, resource } of functions) {
      const target = {
        deployer: deployer.account.email,
        workloadIdentityProvider: deployer.workloadIdentityProvider,
        url: resource.url,
      };
      new RepositoryDelivery(
        `${name}-${fn.name}`,
        {
          repository: fn.repository,
          branch: config.branch,
          via: config.via,
          headBranch: config.via === "pull-request" ? `esteira/${name}-${config.environment}` : undefined,
          files: deliver(
            fn.repository,
            workflowPath("deploy", config),
            deploy(fn, config, hub.owner, target),
            "function-repository/deploy.ts",
          ),
        },
        // Once the workflow is there it may run: by then there must be a function, and the right to deploy it.
        { parent: this, dependsOn: [resource, ...deployer.readyFor(resource.account), ...before] },
      );
    }

    this.facts = {
      projects: [project],
      endpoints: functions.map(({ fn, resource }) => ({ name: fn.name, url: resource.url })),
      serviceAccounts: [
        {
          email: deployer.account.email,
          purpose: "deploys from GitHub",
          roles: deployerRoles(project, build.account, runtimeAccounts),
        },
        {
          email: build.account.email,
          purpose: "builds functions",
          roles: build.roles.map((role) => ({ role, on: `project ${project}` })),
        },
        ...functions.map(({ fn, resource }) => ({
          email: resource.account.email,
          purpose: `runs ${fn.name}`,
          roles: functionRoles(fn, config),
        })),
      ],
      secrets: [
        ...Object.keys(args.secrets).map((secret) => ({
          name: secret,
          destination: `${hub.owner}/${config.packageRepository} environment ${config.environment}`,
          origin: "stack config" as const,
        })),
        ...(deployer.key
          ? [
              {
                name: keySecret(config),
                destination: `${hub.owner}: the functions' repositories`,
                origin: "made by the program" as const,
              },
            ]
          : []),
      ],
      files,
      environments: [{ repository: `${hub.owner}/${config.packageRepository}`, name: config.environment }],
    };
    this.registerOutputs();
  }

  private auth(config: EquidadeConfig, hub: GithubConfig): DeployerAuth {
    if (config.auth === "key") return { kind: "key" };
    return {
      kind: "keyless",
      projectNumber: config.projectNumber,
      owner: hub.owner,
      ownerId: ownerId(hub, this),
      repositories: config.functions.map((fn) => fn.repository),
      branch: config.release === "by-hand" ? undefined : config.branch,
    };
  }
}

const ownerId = (hub: GithubConfig, parent: ComponentResource): Output<string> =>
  hub.ownerType === "organization"
    ? github.getOrganizationOutput({ name: hub.owner, summaryOnly: true }, { parent }).id
    : github.getUserOutput({ username: hub.owner }, { parent }).id;

const releaseFiles = (): Record<string, string> => ({
  "scripts/release.sh": readFileSync(new URL("./package-repository/release.sh", import.meta.url), "utf8"),
});

/** A rollback goes to an old version: so a version that was released stays what it was. */
const releasedVersions = {
  target: "tag",
  conditions: { refName: { includes: ["refs/tags/v*"], excludes: [] } },
  rules: { deletion: true, update: true, nonFastForward: true },
};

/** Two functions may share an account; who deploys them needs the right once. */
const unique = (accounts: readonly { key: string; account: ServiceAccount }[]) =>
  [...new Map([...accounts].reverse().map((each) => [each.account.email, each])).values()].reverse();

function functionArgs(fn: FunctionConfig, config: EquidadeConfig) {
  const { name: functionName, repository: _, secrets = {}, roles = [], ...settings } = fn;
  return {
    ...settings,
    functionName,
    project: config.project,
    region: config.region,
    deletionPolicy: config.deletionPolicy,
    secrets: Object.fromEntries(Object.entries(secrets).map(([variable, secret]) => [variable, { secret }])),
    roles: roles.map(({ role, ...on }) => ({ role, on: target(on, config.project) })),
  };
}

const target = (on: Omit<NonNullable<FunctionConfig["roles"]>[number], "role">, project: string): GrantTarget => {
  if (on.bucket) return { bucket: on.bucket };
  if (on.dataset) return { dataset: on.dataset, project };
  if (on.secret) return { secret: on.secret, project };
  if (on.topic) return { topic: on.topic, project };
  return { project };
};

const functionRoles = (fn: FunctionConfig, config: EquidadeConfig) => [
  ...(fn.roles ?? []).map(({ role, ...on }) => {
    const [kind, name] = Object.entries(on).find(([, value]) => value !== undefined)!;
    return { role, on: kind === "project" ? `project ${config.project}` : `${kind} ${String(name)}` };
  }),
  ...Object.values(fn.secrets ?? {}).map((secret) => ({
    role: "roles/secretmanager.secretAccessor",
    on: `secret ${secret}`,
  })),
];

const deployerRoles = (project: string, build: ServiceAccount, runtime: readonly { account: ServiceAccount }[]) => [
  { role: "roles/cloudfunctions.developer", on: `project ${project}` },
  ...[...new Set([build.email, ...runtime.map(({ account }) => account.email)])].map((email) => ({
    role: "roles/iam.serviceAccountUser",
    on: `service account ${email}`,
  })),
];
