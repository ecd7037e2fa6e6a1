import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runtime } from "@pulumi/pulumi";
import { secretPlaceholder, type StackFile } from "./stack-file.ts";

/** One resource as the program declares it. */
export interface DeclaredResource {
  urn: string;
  type: string;
  name: string;
  /** The parent's URN; the stack itself has none. */
  parent?: string;
  /** Inputs: secrets as `[secret]`, what only a provider can know as `[computed]`. Keys are sorted. */
  inputs: Record<string, unknown>;
}

/** What a run of the program declares. */
export interface Declaration {
  /** Sorted by URN: the same whatever the order in which they came. */
  resources: DeclaredResource[];
  /** The stack's outputs. */
  outputs: Record<string, unknown>;
}

/** What stands for a value that only exists once a provider has answered. */
export const computed = "[computed]";

/** What the program looks up in a service: offline the answer's fields are computed, as an input's would be. */
const lookups: Record<string, readonly string[]> = {
  "github:index/getOrganization:getOrganization": ["id"],
  "github:index/getRepository:getRepository": ["repoId"],
  "github:index/getUser:getUser": ["id"],
};

// The messages that the SDK sends to the engine's monitor. No public entry point exports them.
const require = createRequire(import.meta.url);
const proto = require("@pulumi/pulumi/proto/resource_pb.js");
const { Struct } = require("google-protobuf/google/protobuf/struct_pb.js");
const { waitForRPCs } = require("@pulumi/pulumi/runtime/settings.js") as { waitForRPCs(): Promise<void> };

type Callback = (error: Error | undefined, response?: unknown) => void;

/**
 * Runs `index.ts` on the SDK's test runtime, as a preview: no CLI, account, network or secret is needed.
 *
 * The SDK's mocks know neither the whole chain of a resource's parents nor what is secret; so the one message
 * that declares a resource is answered here, from the request itself, the way the engine's monitor does.
 * @throws what the program throws
 */
export async function declare(root: string, stack: string, { config, secretKeys }: StackFile): Promise<Declaration> {
  const resources = new Map<string, DeclaredResource>();
  let outputs: Record<string, unknown> = {};
  await runtime.setMocks({ newResource: () => ({ id: undefined, state: {} }), call: () => ({}) }, "esteira", stack, true);
  runtime.setAllConfig(config, secretKeys);

  const monitor = runtime.getMonitor() as unknown as Record<string, unknown>;
  monitor["registerResource"] = (request: any, callback: Callback) => {
    const parent: string = request.getParent();
    const [type, name]: [string, string] = [request.getType(), request.getName()];
    const urn = `urn:pulumi:${stack}::esteira::${[...parentTypes(parent), type].join("$")}::${name}`;
    if (resources.has(urn)) return callback(new Error(`two resources have the name "${name}" and the type ${type}`));
    resources.set(urn, {
      urn,
      type,
      name,
      ...(parent && { parent }),
      inputs: readable(request.getObject()?.toJavaScript() ?? {}) as Record<string, unknown>,
    });
    const response = new proto.RegisterResourceResponse();
    response.setUrn(urn);
    response.setObject(request.getObject());
    callback(undefined, response);
  };
  monitor["registerResourceOutputs"] = (request: any, callback: Callback) => {
    if (resources.get(request.getUrn())?.type === "pulumi:pulumi:Stack") {
      outputs = readable(request.getOutputs()?.toJavaScript() ?? {}) as Record<string, unknown>;
    }
    callback(undefined, {});
  };
  monitor["invoke"] = (request: any, callback: Callback) => {
    const token: string = request.getTok();
    const fields = lookups[token];
    if (!fields) return callback(new Error(`${token} has no offline answer: name its fields in cli/render/program.ts`));
    const response = new proto.ResourceInvokeResponse();
    response.setReturn(Struct.fromJavaScript(Object.fromEntries(fields.map((field) => [field, runtime.unknownValue]))));
    callback(undefined, response);
  };

  // A module runs once, so each run asks for it by a name of its own.
  const program = `${pathToFileURL(join(root, "index.ts")).href}?${stack}-${++runs}`;
  let failure: unknown;
  const onFailure = (reason: unknown) => (failure ??= reason);
  process.on("unhandledRejection", onFailure);
  try {
    await runtime.runInPulumiStack(async () => ({ ...(await import(program)) }));
    await waitForRPCs();
    await new Promise(setImmediate);
  } finally {
    process.off("unhandledRejection", onFailure);
  }
  if (failure) throw failure;
  return { resources: [...resources.values()].sort((a, b) => (a.urn < b.urn ? -1 : 1)), outputs };
}

let runs = 0;

/** The types above a resource. The stack is everybody's parent and left out, as in every URN. */
const parentTypes = (parent: string): string[] => {
  const type = parent.split("::")[2];
  return type === undefined || type === "pulumi:pulumi:Stack" ? [] : [type];
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
