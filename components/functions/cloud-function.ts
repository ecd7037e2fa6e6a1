import * as gcp from "@pulumi/gcp";
import { ComponentResource, type ComponentResourceOptions, type Input, type Resource } from "@pulumi/pulumi";
import type { GrantTarget } from "../google/grant.ts";
import { RuntimeAccount } from "../google/runtime-account.ts";
import { type DeletionPolicy, keeps } from "../protection.ts";
import { mebibytes } from "../quantities.ts";

/** Where a function's code lies in Cloud Storage. */
export interface FunctionSource {
  bucket: Input<string>;
  object: Input<string>;
  /** What must stand before it can be built. @default nothing */
  ready?: readonly Resource[];
}

/** What reaches a function from outside. Words of `gcloud functions deploy --ingress-settings`. */
export type Ingress = "all" | "internal-only" | "internal-and-gclb";

/** Arguments of {@link CloudFunction}. */
export interface CloudFunctionArgs {
  /** ID of the project. */
  project: string;
  /** Region, such as `southamerica-east1`. */
  region: string;
  /** The function's name in Google Cloud. */
  functionName: string;
  /** Runtime ID, such as `python313`, to create it with. A later change is a deploy's. */
  runtime: string;
  /** Name of the code's function that answers, to create it with. A later change is a deploy's. @default "main" */
  entryPoint?: string;
  /** The code to create it with. A later change is a deploy's. */
  source: FunctionSource;
  /**
   * The account to run as, if others run as it too; it brings its own rights.
   * @default an account of its own, created with `roles` and access to `secrets`
   */
  account?: RuntimeAccount;
  /** Full name of the account that builds it: projects/PROJECT/serviceAccounts/EMAIL. @default Google's default */
  buildServiceAccount?: Input<string>;
  /** Roles of its own account, each on the narrowest resource that will do. @default none */
  roles?: readonly { role: string; on: GrantTarget }[];
  /** Environment variables. @default none */
  environment?: Readonly<Record<string, string>>;
  /** Environment variables whose values come from Secret Manager: variable to secret ID. @default none */
  secrets?: Readonly<Record<string, string>>;
  /** IAM principals that may call it. @default nobody */
  invokers?: readonly string[];
  /** Memory per instance in Mi or Gi. @default "256Mi" */
  memory?: string;
  /** CPUs per instance. @default Google's for that memory; 1 where `concurrency` is above 1 */
  cpu?: number;
  /** Time for one request in seconds, 1 to 3600. @default 60 */
  timeout?: number;
  /** Requests that one instance serves at a time, 1 to 1000. @default 1 */
  concurrency?: number;
  /** Instances kept warm. @default 0 */
  minInstances?: number;
  /** Instances at most. @default 100 */
  maxInstances?: number;
  /** What reaches it. @default "all": IAM decides who may call */
  ingress?: Ingress;
  /** Whether it can be deleted: the provider refuses it too, whatever the preview. @default "PREVENT" */
  deletionPolicy?: DeletionPolicy;
}

const ingressSettings: Record<Ingress, string> = {
  all: "ALLOW_ALL",
  "internal-only": "ALLOW_INTERNAL_ONLY",
  "internal-and-gclb": "ALLOW_INTERNAL_AND_GCLB",
};

/**
 * A Cloud Function of the second generation with a runtime account of its own.
 *
 * The program owns everything but the build: `buildConfig` is what the function is created with, and every later change
 * of source, runtime or entry point comes from a deploy. Google takes a build as a whole, so a change of one of its
 * settings from here would bring the first source back. Labels are the deploys', too.
 * @throws Error when two arguments contradict each other; the message names both
 * @example
 * new CloudFunction("orders", { project: "p", region: "us-east1", functionName: "orders", runtime: "python313", source })
 * @see https://cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions
 */
export class CloudFunction extends ComponentResource {
  /** The account it runs as. */
  readonly account: RuntimeAccount;
  /** The address it answers at, known beforehand. */
  readonly url: string;
  readonly function: gcp.cloudfunctionsv2.Function;

  constructor(name: string, args: CloudFunctionArgs, opts?: ComponentResourceOptions) {
    super("esteira:functions:CloudFunction", name, {}, opts);
    refuseContradictions(name, args);
    const { project, region, functionName, concurrency = 1 } = args;
    const protect = keeps(args.deletionPolicy);

    this.account =
      args.account ??
      new RuntimeAccount(
        `${name}-runtime`,
        {
          id: functionName,
          displayName: `${functionName} (runtime)`,
          project,
          roles: args.roles,
          secrets: Object.values(args.secrets ?? {}),
        },
        { parent: this },
      );

    this.function = new gcp.cloudfunctionsv2.Function(
      `${name}-function`,
      {
        name: functionName,
        project,
        location: region,
        buildConfig: {
          runtime: args.runtime,
          entryPoint: args.entryPoint ?? "main",
          serviceAccount: args.buildServiceAccount,
          source: { storageSource: { bucket: args.source.bucket, object: args.source.object } },
        },
        serviceConfig: {
          serviceAccountEmail: this.account.email,
          availableMemory: args.memory ?? "256Mi",
          availableCpu: (args.cpu ?? (concurrency > 1 ? 1 : undefined))?.toString(),
          timeoutSeconds: args.timeout ?? 60,
          maxInstanceRequestConcurrency: concurrency,
          minInstanceCount: args.minInstances ?? 0,
          maxInstanceCount: args.maxInstances ?? 100,
          ingressSettings: ingressSettings[args.ingress ?? "all"],
          allTrafficOnLatestRevision: true,
          environmentVariables: args.environment,
          secretEnvironmentVariables: Object.entries(args.secrets ?? {}).map(([key, secret]) => ({
            key,
            secret,
            projectId: project,
            version: "latest",
          })),
        },
        deletionPolicy: protect ? "PREVENT" : "DELETE",
      },
      {
        parent: this,
        // Not the whole component: its account is made while the build's is.
        dependsOn: [...this.account.ready, ...(args.source.ready ?? [])],
        ignoreChanges: ["buildConfig"],
        // So a preview says it, before what depends on the function is gone.
        protect,
      },
    );

    for (const member of args.invokers ?? []) {
      new gcp.cloudrunv2.ServiceIamMember(
        `${name}-invoker-${member}`,
        { project, location: region, name: this.function.name, role: "roles/run.invoker", member },
        { parent: this },
      );
    }
    this.url = `https://${region}-${project}.cloudfunctions.net/${functionName}`;
    this.registerOutputs({ url: this.url, serviceAccount: this.account.email });
  }
}

/** Two settings of a function that contradict each other. */
export interface Contradiction {
  /** The first of the two keys. */
  key: string;
  /** What it is set to. */
  value: unknown;
  /** Names the second. */
  message: string;
}

/** What {@link CloudFunction} refuses, for whoever can tell it where the settings were written. */
export function contradictions(args: Partial<CloudFunctionArgs>): Contradiction[] {
  const {
    concurrency = 1,
    cpu,
    minInstances = 0,
    maxInstances = 100,
    memory = "256Mi",
    environment = {},
    secrets = {},
  } = args;
  const twice = Object.keys(environment).filter((variable) => variable in secrets);
  const rules: [found: boolean, key: string, value: unknown, message: string][] = [
    [
      concurrency > 1 && cpu !== undefined && cpu < 1,
      "concurrency",
      concurrency,
      `contradicts cpu ${cpu}: more than one request at a time needs a whole CPU`,
    ],
    [minInstances > maxInstances, "minInstances", minInstances, `contradicts maxInstances ${maxInstances}`],
    [
      cpu !== undefined && cpu >= 4 && mebibytes(memory) < 2048,
      "cpu",
      cpu,
      `contradicts memory ${memory}: 4 CPUs and more need 2Gi at least`,
    ],
    [
      args.account !== undefined && (args.roles?.length ?? 0) > 0,
      "roles",
      args.roles,
      `contradicts account ${args.account?.email}: it has its own rights`,
    ],
    ...twice.map((variable): (typeof rules)[number] => [
      true,
      `environment.${variable}`,
      environment[variable],
      `contradicts secrets.${variable}: a variable has one source`,
    ]),
  ];
  return rules.filter(([found]) => found).map(([, key, value, message]) => ({ key, value, message }));
}

function refuseContradictions(name: string, args: CloudFunctionArgs): void {
  const [first] = contradictions(args);
  if (first) throw new Error(`CloudFunction ${name}: ${first.key} ${JSON.stringify(first.value)} ${first.message}`);
}
