import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runtime } from "@pulumi/pulumi";
import type resourceProto from "@pulumi/pulumi/proto/resource_pb.js";
import type structProto from "google-protobuf/google/protobuf/struct_pb.js";
import { secretPlaceholder } from "../../config.ts";
import type { StackFile } from "./stack-file.ts";

/** One resource as the program declares it. */
export interface DeclaredResource {
  urn: string;
  type: string;
  name: string;
  /** The parent's URN; the stack itself has none. */
  parent?: string;
  /** Inputs: secrets as `[secret]`, what only a provider can know as `[computed]`. Keys are sorted. */
  inputs: Record<string, unknown>;
  /** How the engine is to treat it. */
  options: ResourceOptions;
}

/** Resource options as the engine gets them; those that are not set are left out. */
export interface ResourceOptions {
  /** URNs of what it waits for. */
  dependsOn?: string[];
  ignoreChanges?: string[];
  protect?: true;
  retainOnDelete?: true;
  /** Names of what the engine asks the program before it changes the resource. */
  beforeUpdate?: string[];
}

/** What a run of the program declares. */
export interface Declaration {
  /** Sorted by URN: the same whatever the order in which they came. */
  resources: DeclaredResource[];
  /** The stack's outputs. */
  outputs: Record<string, unknown>;
  /** Tokens of what was looked up in a service, each once. */
  lookedUp: string[];
}

/** What stands for a value that only exists once a provider has answered. */
export const computed = "[computed]";

/** The performance mark of the first resource below the stack. */
export const firstResource = "first resource";

/** What the program looks up in a service: offline the answer's fields are computed, as an input's would be. */
const lookups: Record<string, readonly string[]> = {
  "github:index/getOrganization:getOrganization": ["id"],
  "github:index/getRepository:getRepository": ["repoId"],
  "github:index/getUser:getUser": ["id"],
};

// The messages that the SDK exchanges with the engine's monitor. No public entry point exports them.
const require = createRequire(import.meta.url);
const proto = require("@pulumi/pulumi/proto/resource_pb.js") as typeof resourceProto;
const { Struct } = require("google-protobuf/google/protobuf/struct_pb.js") as typeof structProto;
const { getStore } = require("@pulumi/pulumi/runtime/state.js") as { getStore(): { callbacks: unknown } };
const { waitForRPCs } = require("@pulumi/pulumi/runtime/settings.js") as { waitForRPCs(): Promise<void> };

type Callback = (error: Error | undefined, response?: unknown) => void;

/**
 * Runs `index.ts` offline, with a stack's own config.
 * @throws what the program throws
 */
export const declare = (root: string, stack: string, stackFile: StackFile): Promise<Declaration> => {
  // A module runs once, so each run asks for it by a name of its own.
  const program = `${pathToFileURL(join(root, "index.ts")).href}?${stack}-${++runs}`;
  return observe(async () => ({ ...(await import(program)) }), stack, stackFile);
};

/**
 * Runs a program on the SDK's test runtime, as a preview: no CLI, account, network or secret is needed.
 *
 * The SDK's mocks know neither the whole chain of a resource's parents nor what is secret; so the messages
 * that declare resources are answered here, from the request itself, the way the engine's monitor does.
 * One run at a time: the SDK keeps its state for the whole process.
 * @param program declares resources and returns the stack's outputs
 * @throws what the program throws
 */
export async function observe(
  program: () => Promise<Record<string, unknown>>,
  stack: string,
  { config, secretKeys }: Pick<StackFile, "config" | "secretKeys"> = { config: {}, secretKeys: [] },
): Promise<Declaration> {
  const resources = new Map<string, DeclaredResource>();
  const lookedUp = new Set<string>();
  let outputs: Record<string, unknown> = {};
  await runtime.setMocks(
    { newResource: () => ({ id: undefined, state: {} }), call: () => ({}) },
    "esteira",
    stack,
    true,
    // What a backend without organisations calls it.
    "organization",
  );
  runtime.setAllConfig(config, secretKeys);
  // Where the engine would call hooks: a server, for which there is no caller here.
  getStore().callbacks = {
    registerResourceHook: async () => {},
    awaitStackRegistrations: async () => {},
    shutdown() {},
  };

  Object.assign(runtime.getMonitor() as object, {
    registerResource(request: resourceProto.RegisterResourceRequest, callback: Callback) {
      const identity = identityOf(request, stack);
      const { urn, type, name } = identity;
      if (resources.has(urn)) return callback(new Error(`two resources have the type ${type} and the name "${name}"`));
      if (resources.size === 1) performance.mark(firstResource);
      const inputs = readable(request.getObject()?.toJavaScript() ?? {}) as Record<string, unknown>;
      resources.set(urn, { ...identity, inputs, options: optionsOf(request) });
      const response = new proto.RegisterResourceResponse();
      response.setUrn(urn);
      response.setObject(request.getObject());
      callback(undefined, response);
    },
    readResource(request: resourceProto.ReadResourceRequest, callback: Callback) {
      const identity = identityOf(request, stack);
      const given = request.getProperties()?.toJavaScript() ?? {};
      resources.set(identity.urn, {
        ...identity,
        inputs: readable(given) as Record<string, unknown>,
        options: {},
      });
      lookedUp.add(identity.type);
      const response = new proto.ReadResourceResponse();
      response.setUrn(identity.urn);
      // What is read is a stack's outputs: nothing else is read so far.
      response.setProperties(Struct.fromJavaScript({ ...given, outputs: runtime.unknownValue }));
      callback(undefined, response);
    },
    registerResourceOutputs(request: resourceProto.RegisterResourceOutputsRequest, callback: Callback) {
      if (resources.get(request.getUrn())?.type === rootType) {
        outputs = readable(request.getOutputs()?.toJavaScript() ?? {}) as Record<string, unknown>;
      }
      callback(undefined, {});
    },
    invoke(request: resourceProto.ResourceInvokeRequest, callback: Callback) {
      lookedUp.add(request.getTok());
      const fields = lookups[request.getTok()];
      if (!fields) {
        return callback(
          new Error(`${request.getTok()} has no offline answer: name its fields in cli/render/program.ts`),
        );
      }
      const response = new proto.ResourceInvokeResponse();
      response.setReturn(
        Struct.fromJavaScript(Object.fromEntries(fields.map((field) => [field, runtime.unknownValue]))),
      );
      callback(undefined, response);
    },
  });

  let failure: { reason: unknown } | undefined;
  const onFailure = (reason: unknown) => (failure ??= { reason });
  process.on("unhandledRejection", onFailure);
  // The SDK keeps a stack trace with every promise and resource: half of the time. Whoever wants them raises the limit.
  const { prepareStackTrace, stackTraceLimit } = Error;
  if (stackTraceLimit <= defaultStackTraceLimit) {
    Error.stackTraceLimit = 0;
    Error.prepareStackTrace = (error) => `${error.name}: ${error.message}`;
  }
  try {
    await runtime.runInPulumiStack(program);
    await waitForRPCs();
  } finally {
    // A rejection that nobody handles is told a turn later; the SDK's own copies of a failure come here too.
    await new Promise(setImmediate);
    process.off("unhandledRejection", onFailure);
    Object.assign(Error, { prepareStackTrace, stackTraceLimit });
  }
  if (failure) throw failure.reason;
  return {
    resources: [...resources.values()].sort((a, b) => (a.urn < b.urn ? -1 : 1)),
    outputs,
    lookedUp: [...lookedUp].sort(),
  };
}

/** Node's own; `node --stack-trace-limit=50` asks for traces. */
export const defaultStackTraceLimit = 10;

const rootType = "pulumi:pulumi:Stack";

let runs = 0;

const optionsOf = (request: resourceProto.RegisterResourceRequest): ResourceOptions => {
  const [dependsOn, ignoreChanges] = [request.getDependenciesList(), request.getIgnorechangesList()];
  const beforeUpdate = request.getHooks()?.getBeforeUpdateList() ?? [];
  return {
    ...(dependsOn.length > 0 && { dependsOn }),
    ...(ignoreChanges.length > 0 && { ignoreChanges }),
    ...(request.getProtect() && { protect: true }),
    ...(request.getRetainondelete() && { retainOnDelete: true }),
    ...(beforeUpdate.length > 0 && { beforeUpdate }),
  };
};

/** What a resource is called. */
const identityOf = (
  request: resourceProto.RegisterResourceRequest | resourceProto.ReadResourceRequest,
  stack: string,
): Pick<DeclaredResource, "urn" | "type" | "name" | "parent"> => {
  const [type, name, parent] = [request.getType(), request.getName(), request.getParent()];
  const urn = `urn:pulumi:${stack}::esteira::${[...parentTypes(parent), type].join("$")}::${name}`;
  return { urn, type, name, ...(parent && { parent }) };
};

/** The types above a resource. The stack is everybody's parent and left out, as in every URN. */
const parentTypes = (parent: string): string[] => {
  const type = parent.split("::")[2];
  return type === undefined || type === rootType ? [] : [type];
};

/** A property as a person reads it, out of the form in which it travels. */
function readable(value: unknown): unknown {
  if (value === runtime.unknownValue) return computed;
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  const object = value as Record<string, unknown>;
  switch (object[runtime.specialSigKey]) {
    case runtime.specialSecretSig:
      return secretPlaceholder;
    case runtime.specialResourceSig:
      return object["urn"];
  }
  return Object.fromEntries(
    Object.keys(object)
      .filter((key) => key !== runtime.specialSigKey)
      .sort()
      .map((key) => [key, readable(object[key])]),
  );
}
