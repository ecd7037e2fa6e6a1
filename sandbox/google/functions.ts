/** Cloud Functions of the second generation, and the Cloud Run service that each is. @see https://cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions */
import { randomUUID } from "node:crypto";
import type { Drift, Handler, Reply } from "../stand-in/api.ts";
import { alreadyExists, GoogleError, invalid, notFound } from "./errors.ts";
import type { Outcome } from "./operations.ts";
import type { Policy } from "./policies.ts";
import { hex, lastOf, newEtag, now, page, patch, type Service, type World } from "./world.ts";

interface SecretVariable {
  key?: string;
  projectId?: string;
  secret?: string;
  version?: string;
}

interface ServiceConfig {
  service?: string;
  serviceAccountEmail?: string;
  availableMemory?: string;
  availableCpu?: string;
  timeoutSeconds?: number;
  maxInstanceRequestConcurrency?: number;
  maxInstanceCount?: number;
  ingressSettings?: string;
  environmentVariables?: Record<string, string>;
  secretEnvironmentVariables?: SecretVariable[];
  revision?: string;
  uri?: string;
}

interface BuildConfig {
  runtime?: string;
  entryPoint?: string;
  serviceAccount?: string;
  source?: { storageSource?: { bucket?: string; object?: string; generation?: string }; repoSource?: object };
}

interface CloudFunction {
  name: string;
  buildConfig?: BuildConfig;
  serviceConfig?: ServiceConfig;
  labels?: Record<string, string>;
  description?: string;
  state?: string;
  stateMessages?: { severity: string; type: string; message: string }[];
  environment?: string;
  url?: string;
  createTime?: string;
  updateTime?: string;
}

/** What only the service itself sets. */
const ownFields = ["state", "stateMessages", "environment", "url", "createTime", "updateTime"] as const;

/** Families of runtimes, each with a version. @see https://cloud.google.com/functions/docs/runtime-support */
const runtimes = /^(nodejs\d{2}|python3\d{1,2}|go1\d{2}|java\d{2}|ruby\d{2}|php\d{2}|dotnet\d{1,2})$/;

/** CPUs that come with an amount of memory in MiB. @see https://cloud.google.com/functions/docs/configuring/memory */
const cpus: [mebibytes: number, cpu: string][] = [
  [128, "0.0833"],
  [256, "0.1666"],
  [512, "0.3333"],
  [1024, "0.5833"],
  [2048, "1"],
  [8192, "2"],
  [16384, "4"],
  [32768, "8"],
];

/** Codes of google.rpc.Code, which an operation's error has in place of an HTTP status. */
const [rpcInvalidArgument, rpcFailedPrecondition] = [3, 9];

export class Functions implements Service {
  readonly #world: World;
  readonly #held = new Map<string, CloudFunction>();

  constructor(world: World) {
    this.#world = world;
  }

  readonly handlers: Record<string, Handler> = {
    "cloudfunctions.projects.locations.functions.create": ({ params, query, body }) => {
      const parent = this.#world.byId(params["parent"]!);
      const id = query.get("functionId") ?? lastOf((body as CloudFunction).name ?? "");
      if (!/^[a-z]([a-z0-9_-]{0,61}[a-z0-9])?$/.test(id)) throw invalid(`Invalid function name: ${id}`);
      const name = `${parent}/functions/${id}`;
      if (this.#held.has(name)) throw alreadyExists(`Resource '${name}' already exists`);
      const { labels, description, buildConfig, serviceConfig } = body as CloudFunction;
      const wanted = { name, labels, description, buildConfig, serviceConfig };
      return this.#deploy(wanted, "CREATE_FUNCTION", true);
    },
    "cloudfunctions.projects.locations.functions.get": ({ params }) => ({
      body: this.#told(this.#find(params["name"]!)),
    }),
    "cloudfunctions.projects.locations.functions.list": (call) => {
      const parent = this.#world.byId(call.params["parent"]!).replace("/locations/-", "/locations/[^/]+");
      const all = [...this.#held.values()].filter(({ name }) => new RegExp(`^${parent}/functions/`).test(name));
      const [functions, nextPageToken] = page(all, call);
      return { body: { functions: functions.map((each) => this.#told(each)), nextPageToken } };
    },
    "cloudfunctions.projects.locations.functions.patch": ({ params, query, body }) => {
      const current = this.#free(this.#find(params["name"]!));
      const mask =
        query.get("updateMask") ||
        Object.keys(body as object)
          .filter((key) => key !== "name")
          .join(",");
      const changed = patch(current, body as object, mask);
      for (const key of ownFields) Object.assign(changed, { [key]: current[key] });
      return this.#deploy({ ...changed, name: current.name }, "UPDATE_FUNCTION", /build_?config/i.test(mask));
    },
    "cloudfunctions.projects.locations.functions.delete": ({ params }) => {
      const { name } = this.#free(this.#find(params["name"]!));
      this.#delete(name);
      return this.#started(name, "DELETE_FUNCTION", {
        response: { "@type": "type.googleapis.com/google.protobuf.Empty" },
      });
    },
    "cloudfunctions.projects.locations.operations.get": ({ params }) => ({
      body: this.#world.operations.get(this.#world.byId(params["name"]!)),
    }),
    "run.projects.locations.services.get": (call) => {
      const { serviceConfig, createTime, updateTime } = this.#service(call.params["name"]!);
      const { service, uri, ingressSettings, serviceAccountEmail, revision } = serviceConfig!;
      return {
        body: {
          name: service,
          labels: { "goog-managed-by": "cloudfunctions" },
          createTime,
          updateTime,
          uri,
          ingress: `INGRESS_TRAFFIC_${ingressSettings?.replace("ALLOW_", "")}`,
          template: { serviceAccount: serviceAccountEmail, revision },
          etag: newEtag(),
        },
      };
    },
    "run.projects.locations.services.getIamPolicy": ({ params, query }) => ({
      body: this.#world.policies.get(
        this.#service(params["resource"]!).serviceConfig!.service!,
        query.get("options.requestedPolicyVersion"),
      ),
    }),
    "run.projects.locations.services.setIamPolicy": ({ params, body }) => ({
      body: this.#world.policies.set(
        this.#service(params["resource"]!).serviceConfig!.service!,
        (body as { policy?: Policy }).policy ?? {},
      ),
    }),
  };

  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#held.values()]
        .map(({ name, createTime, updateTime, url, serviceConfig, buildConfig, ...rest }): [string, object] => {
          const { revision, uri, service, ...config } = serviceConfig!;
          const { runtime, entryPoint, serviceAccount, source } = buildConfig!;
          const { bucket, object } = source?.storageSource ?? {};
          return [
            name,
            { ...rest, serviceConfig: config, buildConfig: { runtime, entryPoint, serviceAccount, bucket, object } },
          ];
        })
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  }

  drifts(): Drift[] {
    return [...this.#held.values()].flatMap((held) => [
      {
        what: `function ${lastOf(held.name)}: memory`,
        kind: "memory changed",
        object: lastOf(held.name),
        apply: () => {
          const config = held.serviceConfig!;
          config.availableMemory = config.availableMemory === "2Gi" ? "4Gi" : "2Gi";
        },
      },
      {
        what: `function ${lastOf(held.name)}: ingress`,
        kind: "ingress changed",
        object: lastOf(held.name),
        apply: () => {
          const config = held.serviceConfig!;
          config.ingressSettings = config.ingressSettings === "ALLOW_ALL" ? "ALLOW_INTERNAL_ONLY" : "ALLOW_ALL";
        },
      },
      {
        what: `function ${lastOf(held.name)}: deleted`,
        kind: "function deleted",
        object: lastOf(held.name),
        apply: () => this.#delete(held.name),
      },
    ]);
  }

  /** Builds where that is asked, then rolls out. What Google checks before is a 400, what Cloud Run finds ends the operation. */
  #deploy(wanted: CloudFunction, verb: string, builds: boolean): Reply {
    const { name } = wanted;
    const [, project, , location, , id] = name.split("/") as string[];
    const { number } = this.#world.project(project!);
    const serviceConfig = this.#withDefaults(wanted.serviceConfig ?? {}, number);
    this.#checkAccount(serviceConfig.serviceAccountEmail!);
    if (builds) this.#checkBuild(wanted.buildConfig ?? {});
    // Cloud Run knows no underscores.
    const service = id!.replaceAll("_", "-");
    serviceConfig.service = `projects/${project}/locations/${location}/services/${service}`;
    serviceConfig.uri = wanted.serviceConfig?.uri ?? `https://${service}-${hex(10)}-${hex(2)}.a.run.app`;
    const revision = Number(/-(\d{5})-/.exec(this.#held.get(name)?.serviceConfig?.revision ?? "")?.[1] ?? 0) + 1;
    serviceConfig.revision = `${service}-${String(revision).padStart(5, "0")}-${hex(4).slice(0, 3)}`;

    const problem = this.#problemOfRevision(serviceConfig);
    const held: CloudFunction = {
      ...wanted,
      buildConfig: builds ? this.#built(wanted.buildConfig!, number, location!) : wanted.buildConfig,
      serviceConfig,
      state: problem ? "FAILED" : "ACTIVE",
      ...(problem && {
        stateMessages: [{ severity: "ERROR", type: "CloudRunServiceNotFound", message: problem.message }],
      }),
      environment: "GEN_2",
      url: `https://${location}-${project}.cloudfunctions.net/${id}`,
      createTime: wanted.createTime ?? now(),
      updateTime: now(),
    };
    if (!problem) delete held.stateMessages;
    this.#held.set(name, held);
    const response = { "@type": "type.googleapis.com/google.cloud.functions.v2.Function", ...held };
    return this.#started(name, verb, problem ? { error: problem } : { response });
  }

  #withDefaults(config: ServiceConfig, number: string): ServiceConfig {
    const { availableMemory = "256M" } = config;
    return {
      serviceAccountEmail: `${number}-compute@developer.gserviceaccount.com`,
      timeoutSeconds: 60,
      maxInstanceCount: 100,
      maxInstanceRequestConcurrency: 1,
      ingressSettings: "ALLOW_ALL",
      availableCpu: cpus.find(([mebibytes]) => mebibytesOf(availableMemory) <= mebibytes)?.[1] ?? "8",
      ...structuredClone(config),
      availableMemory,
      environmentVariables: { ...config.environmentVariables, LOG_EXECUTION_ID: "true" },
    };
  }

  #checkAccount(email: string): void {
    if (!this.#world.hasAccount(email)) throw invalid(`Invalid function service account requested: ${email}.`);
  }

  #checkBuild({ runtime, entryPoint, serviceAccount, source }: BuildConfig): void {
    if (!runtime || !runtimes.test(runtime)) throw invalid(`Runtime "${runtime ?? ""}" is not supported on GCF Gen2.`);
    if (!entryPoint) throw invalid("The request must specify buildConfig.entryPoint.");
    if (serviceAccount) this.#checkAccount(lastOf(serviceAccount));
    const { bucket = "", object = "" } = source?.storageSource ?? {};
    if (source?.repoSource) return;
    if (!this.#world.buckets.get(bucket)?.objects.has(object)) {
      throw invalid(`Function source does not exist: gs://${bucket}/${object}`);
    }
  }

  #built(config: BuildConfig, number: string, location: string): object {
    const { bucket, object } = config.source?.storageSource ?? {};
    const generation = this.#world.buckets.get(bucket ?? "")?.objects.get(object ?? "")?.metadata.generation;
    const storageSource = { ...config.source?.storageSource, ...(generation && { generation }) };
    return {
      automaticUpdatePolicy: {},
      dockerRegistry: "ARTIFACT_REGISTRY",
      dockerRepository: `projects/${number}/locations/${location}/repositories/gcf-artifacts`,
      serviceAccount: `projects/${this.#world.project(number).id}/serviceAccounts/${number}-compute@developer.gserviceaccount.com`,
      ...structuredClone(config),
      source: config.source?.repoSource ? config.source : { storageSource },
      sourceProvenance: { resolvedStorageSource: storageSource },
      build: `projects/${number}/locations/${location}/builds/${randomUUID()}`,
    };
  }

  /** What Cloud Run finds when it starts a revision. */
  #problemOfRevision(config: ServiceConfig): Outcome["error"] {
    const { maxInstanceRequestConcurrency = 1, availableCpu, serviceAccountEmail } = config;
    if (maxInstanceRequestConcurrency > 1 && Number(availableCpu) < 1) {
      return {
        code: rpcInvalidArgument,
        message: `Could not create or update Cloud Run service ${lastOf(config.service!)}, spec.template.spec.containers.resources.limits.cpu: Invalid value specified for cpu. Total cpu < 1 is not supported with concurrency > 1.`,
      };
    }
    for (const { projectId = "", secret = "", version = "latest" } of config.secretEnvironmentVariables ?? []) {
      const project = this.#world.project(projectId || config.service!);
      const name = `projects/${project.id}/secrets/${secret}`;
      const role = "roles/secretmanager.secretAccessor";
      const member = `serviceAccount:${serviceAccountEmail}`;
      const { policies } = this.#world;
      if (policies.grants(name, role, member) || policies.grants(`projects/${project.id}`, role, member)) continue;
      return {
        code: rpcFailedPrecondition,
        message: `Could not create or update Cloud Run service ${lastOf(config.service!)}, spec.template.spec.containers[0].env: Permission denied on secret: projects/${project.number}/secrets/${secret}/versions/${version} for Revision service account ${serviceAccountEmail}. The service account used must be granted the 'Secret Manager Secret Accessor' role (${role}) at the secret, project or higher level.`,
      };
    }
    return undefined;
  }

  #find(name: string): CloudFunction {
    const found = this.#held.get(this.#world.byId(name));
    if (!found) throw notFound(`Resource '${name}' was not found`);
    return found;
  }

  #free(found: CloudFunction): CloudFunction {
    if (this.#world.operations.isRunning(found.name)) {
      throw new GoogleError(409, "unable to queue the operation", { name: "ABORTED" });
    }
    return found;
  }

  #told(held: CloudFunction): CloudFunction {
    return this.#world.operations.isRunning(held.name) ? { ...held, state: "DEPLOYING" } : held;
  }

  #delete(name: string): void {
    this.#world.policies.drop(this.#held.get(name)!.serviceConfig!.service!);
    this.#held.delete(name);
  }

  #service(name: string): CloudFunction {
    const asked = this.#world.byId(name);
    const found = [...this.#held.values()].find(({ serviceConfig }) => serviceConfig!.service === asked);
    const [, project, , location, , service] = asked.split("/");
    if (!found) {
      throw notFound(
        `Resource '${service}' of kind 'SERVICE' in region '${location}' in project '${project}' does not exist.`,
      );
    }
    return found;
  }

  #started(name: string, verb: string, outcome: Outcome): Reply {
    const metadata = {
      "@type": "type.googleapis.com/google.cloud.functions.v2.OperationMetadata",
      createTime: now(),
      target: name,
      verb: verb.slice(0, verb.indexOf("_")).toLowerCase(),
      apiVersion: "v2",
      operationType: verb,
    };
    return { body: this.#world.operations.start(name.replace(/\/functions\/.*/, ""), name, outcome, metadata) };
  }
}

/** Kubernetes' units; a bare number is bytes. */
function mebibytesOf(amount: string): number {
  const [, number, unit = ""] = /^([\d.]+)([kMG]i?)?$/.exec(amount) ?? [];
  if (!number) throw invalid(`Invalid value for availableMemory: ${amount}`);
  const bytes = { "": 1, k: 1e3, M: 1e6, G: 1e9, Mi: 2 ** 20, Gi: 2 ** 30, ki: 2 ** 10 }[unit]!;
  return (Number(number) * bytes) / 2 ** 20;
}
