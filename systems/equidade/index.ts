import { ComponentResource, type ComponentResourceOptions, type Resource } from "@pulumi/pulumi";
import type { SystemFacts } from "../../audit/schema.ts";
import { CloudFunction } from "../../components/functions/cloud-function.ts";
import { Deployer } from "../../components/functions/deployer.ts";
import { FunctionBuild } from "../../components/functions/function-build.ts";
import {
  arrival,
  type DeliveredFile,
  filesOf,
  programFile,
  workflowFile,
} from "../../components/github/delivered-file.ts";
import { ownerIdOf } from "../../components/github/owner.ts";
import { RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import { SharedSettings } from "../../components/github/shared-settings.ts";
import { script } from "../../components/github/workflow.ts";
import type { GrantTarget } from "../../components/google/grant.ts";
import { RuntimeAccount } from "../../components/google/runtime-account.ts";
import { ProjectServices } from "../../components/google/services.ts";
import type { EquidadeArgs, EquidadeConfig, FunctionConfig } from "./config.ts";
import { factsOf, type GoogleSide, type Placed } from "./facts.ts";
import { deploy } from "./function-repository/deploy.ts";
import { keySecret, workflowPath } from "./names.ts";
import { triggerDeploys } from "./package-repository/trigger-deploys.ts";
import { rulesets, trust } from "./rules.ts";

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
    const google = this.google(name, args);
    const { files, delivery } = this.packageRepository(name, args);
    this.facts = factsOf(args, google, [...files, ...this.functionRepositories(name, args, google)], delivery);
    this.registerOutputs();
  }

  /** The functions, what builds them, and the account that deploys them. */
  private google(name: string, { config, github: hub }: EquidadeArgs): GoogleSide {
    const { project, region } = config;
    const apis = new ProjectServices(`${name}-apis`, { project, services }, { parent: this });
    const build = new FunctionBuild(
      `${name}-build`,
      {
        project,
        location: region,
        bucketName: `${project}-${name}-first-source`,
        entryPoints: config.functions.map((fn) => fn.entryPoint),
      },
      { parent: this, dependsOn: [apis] },
    );
    const adopted = this.adoptedAccounts(name, config, apis);
    const functions = config.functions.map((fn) => {
      const account = fn.serviceAccount === undefined ? undefined : adopted.get(fn.serviceAccount);
      const args = {
        ...functionArgs(fn, config),
        ...(account && { account, roles: undefined }),
        source: build.source,
        buildServiceAccount: build.account.fullName,
      };
      const resource = new CloudFunction(`${name}-${fn.name}`, args, { parent: this, dependsOn: [apis] });
      return { fn, resource };
    });
    const deployer = new Deployer(
      `${name}-deployer`,
      {
        project,
        actAs: [build.account, ...functions.map(({ resource }) => resource.account)],
        auth:
          config.auth === "key"
            ? { kind: "key" }
            : {
                kind: "keyless",
                ...hub,
                ...trust(config),
                projectNumber: config.projectNumber,
                ownerId: ownerIdOf(hub, this),
              },
      },
      { parent: this, dependsOn: [apis] },
    );
    return { build, functions, deployer };
  }

  private functionRepositories(
    name: string,
    { config, github: hub }: EquidadeArgs,
    { build, functions, deployer }: GoogleSide,
  ): Placed[] {
    const before: Resource[] = [];
    if (deployer.key) {
      const { repositories } = trust(config);
      const secrets = { [keySecret(config)]: deployer.key };
      before.push(new SharedSettings(`${name}-key`, { ...hub, repositories, secrets }, { parent: this }));
    }
    return functions.map(({ fn, resource }) => {
      const { repository } = fn;
      const target = {
        deployer: deployer.account.email,
        builder: build.account.fullName,
        workloadIdentityProvider: deployer.workloadIdentityProvider,
        url: resource.url,
      };
      const file = workflowFile(
        workflowPath("deploy", config),
        deploy(fn, config, hub.owner, target),
        "systems/equidade/function-repository/deploy.ts",
      );
      new RepositoryDelivery(
        `${name}-${fn.name}`,
        { repository, ...arrival(name, config.environment, config), files: filesOf([file]) },
        // Once the workflow is there it may run: by then there must be a function, and the right to deploy it.
        { parent: this, dependsOn: [resource, ...deployer.readyFor(resource.account), ...before] },
      );
      return { repository, ...file };
    });
  }

  /** Accounts that exist already, each once: several functions may run as one. */
  private adoptedAccounts(name: string, config: EquidadeConfig, apis: Resource): Map<string, RuntimeAccount> {
    const adopting = config.functions.filter((fn) => fn.serviceAccount !== undefined);
    return new Map(
      [...Map.groupBy(adopting, (fn) => fn.serviceAccount!)].map(([email, sharing]) => {
        const settings = sharing.map((fn) => functionArgs(fn, config));
        const rights = {
          roles: settings.flatMap(({ roles }) => roles),
          secrets: settings.flatMap(({ secrets }) => Object.values(secrets)),
        };
        const { project } = config;
        return [
          email,
          new RuntimeAccount(`${name}-${email}`, { email, project, ...rights }, { parent: this, dependsOn: [apis] }),
        ];
      }),
    );
  }

  private packageRepository(name: string, { config, github: hub, secrets }: EquidadeArgs) {
    const repository = config.packageRepository;
    const files: DeliveredFile[] = [
      workflowFile(
        workflowPath("trigger-deploys", config),
        triggerDeploys(config, hub.owner),
        "systems/equidade/package-repository/trigger-deploys.ts",
      ),
      // Stands once in a repository, so it is prod's.
      ...(config.release === "final"
        ? [
            programFile(
              "scripts/release.sh",
              script(import.meta.url, "./package-repository/release.sh"),
              "systems/equidade/package-repository/release.sh",
            ),
          ]
        : []),
    ];
    const delivery = new RepositoryDelivery(
      `${name}-package`,
      {
        repository,
        ...arrival(name, config.environment, config),
        environments: {
          [config.environment]: {
            reviewers: config.reviewers,
            // A release runs on its tag, a start by hand on the branch; no other ref gets at the secret.
            branches: [config.branch],
            tags: config.release === "by-hand" ? [] : ["v*"],
            secrets,
          },
        },
        rulesets: rulesets(config),
        files: filesOf(files),
      },
      { parent: this },
    );
    return { files: files.map((file) => ({ repository, ...file })), delivery };
  }
}

function functionArgs(fn: FunctionConfig, config: EquidadeConfig) {
  const { name: functionName, repository: _, serviceAccount: __, secrets, roles = [], ...settings } = fn;
  return {
    ...settings,
    functionName,
    project: config.project,
    region: config.region,
    secrets: secrets ?? {},
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
