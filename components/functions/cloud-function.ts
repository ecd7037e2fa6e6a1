import * as gcp from "@pulumi/gcp";
import { ComponentResource, type ComponentResourceOptions, type Input } from "@pulumi/pulumi";
import { accountNamed, createAccount, type ServiceAccount } from "../google/account.ts";
import { type GrantTarget, grant } from "../google/grant.ts";
import { mebibytes } from "../google/names.ts";

/** Where a function's code lies in Cloud Storage. */
export interface FunctionSource {
  bucket: Input<string>;
  object: Input<string>;
}

/** What reaches a function from outside. Words of `gcloud functions deploy --ingress-settings`. */
export type Ingress = "all" | "internal-only" | "internal-and-gclb";

/** What Google does when the resource is to be deleted. */
export type DeletionPolicy = "DELETE" | "PREVENT" | "ABANDON";

/** Arguments of {@link CloudFunction}. */
export interface CloudFunctionArgs {
  /** ID of the project. */
  project: string;
  /** Region, such as `southamerica-east1`. */
  region: string;
  /** The function's name in Google Cloud. */
  functionName: string;
  /** Runtime ID, such as `python313`. */
  runtime: string;
  /** Name of the code's function that answers. @default "main" */
  entryPoint?: string;
  /** The code it is created with. Later code is the repository's affair: a change is not put back. */
  source: FunctionSource;
  /** E-mail of an existing account to run as. @default an account of its own, created here */
  serviceAccount?: string;
  /** Full name of the account that builds it: projects/PROJECT/serviceAccounts/EMAIL. @default Google's default */
  buildServiceAccount?: Input<string>;
  /** Roles of the runtime account, each on the narrowest resource that will do. @default none */
  roles?: readonly { role: string; on: GrantTarget }[];
  /** Environment variables. @default none */
  environment?: Readonly<Record<string, string>>;
  /** Environment variables whose values come from Secret Manager: variable to secret. @default none */
  secrets?: Readonly<Record<string, { secret: string; version?: string }>>;
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
  /** Whether it can be deleted. @default "DELETE" */
  deletionPolicy?: DeletionPolicy;
  /** Labels beside those that deploys add. @default none */
  labels?: Readonly<Record<string, string>>;
}

const ingressSettings: Record<Ingress, string> = {
  all: "ALLOW_ALL",
  "internal-only": "ALLOW_INTERNAL_ONLY",
  "internal-and-gclb": "ALLOW_INTERNAL_AND_GCLB",
};

/**
 * A Cloud Function of the second generation with a runtime account of its own.
 *
 * The program owns everything but the code: source and build settings may change behind it, the way
 * `gcloud functions deploy` changes them, and labels that it did not set stay.
 * @throws Error when two arguments contradict each other; the message names both
 * @example
 * new CloudFunction("orders", { project: "p", region: "us-east1", functionName: "orders", runtime: "python313", source })
 * @see https://cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions
 */
export class CloudFunction extends ComponentResource {
  /** The account it runs as. */
  readonly account: ServiceAccount;
  /** The address it answers at, known beforehand. */
  readonly url: string;
  readonly function: gcp.cloudfunctionsv2.Function;

  constructor(name: string, args: CloudFunctionArgs, opts?: ComponentResourceOptions) {
    super("esteira:functions:CloudFunction", name, {}, opts);
    refuseContradictions(name, args);
    const { project, region, functionName, concurrency = 1 } = args;

    this.account = args.serviceAccount
      ? accountNamed(args.serviceAccount)
      : createAccount(
          `${name}-account`,
          { id: functionName, project, displayName: `${functionName} (runtime)` },
          { parent: this },
        );
    // Names come known beforehand, so the order has to be said: a member must exist before it is granted anything.
    const after = this.account.resource ? [this.account.resource] : [];
    const needed = Object.entries(args.secrets ?? {}).map(([variable, { secret }]) =>
      grant(
        `${name}-secret-${variable}`,
        this.account.member,
        "roles/secretmanager.secretAccessor",
        { secret, project },
        {
          parent: this,
          dependsOn: after,
        },
      ),
    );
    for (const { role, on } of args.roles ?? []) {
      needed.push(
        grant(`${name}-${grantName(role, on)}`, this.account.member, role, on, { parent: this, dependsOn: after }),
      );
    }

    this.function = new gcp.cloudfunctionsv2.Function(
      `${name}-function`,
      {
        name: functionName,
        project,
        location: region,
        labels: args.labels,
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
          secretEnvironmentVariables: Object.entries(args.secrets ?? {}).map(([key, { secret, version }]) => ({
            key,
            secret,
            projectId: project,
            version: version ?? "latest",
          })),
        },
        deletionPolicy: args.deletionPolicy ?? "DELETE",
      },
      {
        parent: this,
        dependsOn: [...after, ...needed],
        ignoreChanges: ["buildConfig.source", "buildConfig.environmentVariables"],
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

const grantName = (role: string, on: GrantTarget) => {
  const [kind, target] = Object.entries(on)[0] as [string, Input<string>];
  return `${role.split("/").at(-1)}-${kind}-${typeof target === "string" ? target : ""}`;
};

function refuseContradictions(name: string, args: CloudFunctionArgs): void {
  const {
    concurrency = 1,
    cpu,
    minInstances = 0,
    maxInstances = 100,
    memory = "256Mi",
    environment = {},
    secrets = {},
  } = args;
  const refuse = (what: string) => {
    throw new Error(`CloudFunction ${name}: ${what}`);
  };
  if (concurrency > 1 && cpu !== undefined && cpu < 1) {
    refuse(`concurrency ${concurrency} contradicts cpu ${cpu}: more than one request at a time needs a whole CPU`);
  }
  if (minInstances > maxInstances) refuse(`minInstances ${minInstances} contradicts maxInstances ${maxInstances}`);
  if (cpu !== undefined && cpu >= 4 && mebibytes(memory) < 2048) {
    refuse(`cpu ${cpu} contradicts memory ${memory}: 4 CPUs and more need 2Gi at least`);
  }
  const both = Object.keys(environment).find((variable) => variable in secrets);
  if (both) refuse(`environment.${both} contradicts secrets.${both}: a variable has one source`);
}
