/** A published OpenAPI description: finds a request's operation in it, and holds the request against it. */
import { Ajv, type AnySchemaObject, type ErrorObject } from "ajv";
import type { OpenAPIV3 } from "openapi-types";
import { type Call, type Description, decoded } from "./api.ts";

/** What one operation takes. */
interface Operation {
  parameters: OpenAPIV3.ParameterObject[];
  /** The schema of its JSON body. */
  body?: AnySchemaObject;
  bodyRequired: boolean;
}

interface Route {
  method: string;
  path: RegExp;
  /** The path's parameters, as they follow one another. */
  names: string[];
  operation: string;
}

export interface OpenApiOptions {
  /** Operations whose requests are checked. The others are known only, so that they are told from what is not there. */
  operations: readonly string[];
  /** The service's own words for what is wrong. @default Ajv's */
  wording?(error: ErrorObject, where: "body" | "parameters"): string;
}

/**
 * A description out of an OpenAPI 3.0 document.
 *
 * Of the document only the chosen operations' requests are kept, and the components that they reach.
 */
export class OpenApi implements Description {
  readonly #routes: Route[];
  readonly #operations: Map<string, Operation>;
  readonly #documentation = new Map<string, string>();
  readonly #options: OpenApiOptions;
  // What stands in a path or a query is text: a number there is one that can be read as one.
  readonly #ajv = {
    body: new Ajv({ strict: false, validateFormats: false, verbose: true }),
    parameters: new Ajv({ strict: false, validateFormats: false, verbose: true, coerceTypes: "array" }),
  };

  constructor(document: OpenAPIV3.Document, options: OpenApiOptions) {
    this.#options = options;
    this.#routes = routesOf(document)
      .sort(literalFirst)
      .map(({ template: _, ...route }) => route);
    this.#operations = new Map();
    for (const { operation, path } of operationsOf(document)) {
      const name = operation.operationId!;
      if (operation.externalDocs) this.#documentation.set(name, operation.externalDocs.url);
      if (!options.operations.includes(name)) continue;
      const requestBody = operation.requestBody && resolve(document, operation.requestBody);
      this.#operations.set(name, {
        parameters: [...(path.parameters ?? []), ...(operation.parameters ?? [])].map((each) =>
          resolve(document, each),
        ),
        body: requestBody?.content["application/json"]?.schema,
        bodyRequired: requestBody?.required ?? false,
      });
    }
    const unknown = options.operations.filter((name) => !this.#operations.has(name));
    if (unknown.length > 0) throw new Error(`The description has no operation ${unknown.join(", ")}`);
    const operations = Object.fromEntries(
      [...this.#operations].map(([name, { parameters, body }]) => [
        name,
        { body: body ?? {}, parameters: objectOf(parameters) },
      ]),
    );
    const root = { operations, components: reached(document, operations) };
    this.#ajv.body.addSchema(root, "description");
    this.#ajv.parameters.addSchema(root, "description");
  }

  /** Where the service documents an operation. */
  documentation(operation: string): string | undefined {
    return this.#documentation.get(operation);
  }

  match(method: string, path: string): Pick<Call, "operation" | "params"> | undefined {
    for (const route of this.#routes) {
      const found = route.method === method ? route.path.exec(path) : null;
      if (!found) continue;
      const values = found.slice(1).map(decoded);
      return {
        operation: route.operation,
        params: Object.fromEntries(route.names.map((name, index) => [name, values[index]!])),
      };
    }
    return undefined;
  }

  problems({ operation, params, query, body }: Call): string[] {
    const { bodyRequired, body: schema } = this.#operations.get(operation)!;
    const problems = this.#check("parameters", operation, { path: { ...params }, query: Object.fromEntries(query) });
    if (!schema || (body === undefined && !bodyRequired)) return problems;
    return [...problems, ...this.#check("body", operation, body)];
  }

  #check(where: "body" | "parameters", operation: string, value: unknown): string[] {
    const pointer = operation.replaceAll("~", "~0").replaceAll("/", "~1");
    const validate = this.#ajv[where].getSchema(`description#/operations/${pointer}/${where}`)!;
    if (validate(value)) return [];
    // The outermost error comes last: before it stand those of alternatives that did not fit.
    const error = validate.errors!.at(-1)!;
    return [this.#options.wording?.(error, where) ?? `${where}${error.instancePath} ${error.message}`];
  }
}

const methods = ["get", "put", "post", "delete", "patch", "head", "options"] as const;

function* operationsOf(document: OpenAPIV3.Document) {
  for (const [template, path] of Object.entries(document.paths)) {
    for (const method of methods) {
      const operation = path?.[method];
      if (operation?.operationId) yield { template, method, path: path!, operation };
    }
  }
}

function routesOf(document: OpenAPIV3.Document): (Route & { template: string })[] {
  return [...operationsOf(document)].map(({ template, method, path, operation }) => {
    const parameters = [...(path.parameters ?? []), ...(operation.parameters ?? [])].map((each) =>
      resolve(document, each),
    );
    // A parameter that holds slashes, a file's path: GitHub's document marks it, OpenAPI 3.0 has no word for it.
    const many = new Set(parameters.filter((each) => "x-multi-segment" in each).map(({ name }) => name));
    const names: string[] = [];
    const pattern = template
      .split(/\{([^}]+)\}/)
      .map((part, index) => {
        if (index % 2 === 0) return RegExp.escape(part);
        names.push(part);
        return many.has(part) ? "(.*)" : "([^/]+)";
      })
      .join("");
    return {
      template,
      method: method.toUpperCase(),
      path: new RegExp(`^${pattern}$`),
      names,
      operation: operation.operationId!,
    };
  });
}

/** `/secrets/public-key` is asked before `/secrets/{name}`, and `/branches/{branch}/rename` before `/branches/{branch}`. */
function literalFirst(one: { template: string }, other: { template: string }): number {
  // At the first difference the literal, or what goes on: as if a parameter, and the end after it, came last of all.
  const [a, b] = [one, other].map(({ template }) => `${template.replaceAll("{", "\uffff")}\uffff`);
  return a! < b! ? -1 : 1;
}

/** What a reference stands for. */
function resolve<T extends object>(document: OpenAPIV3.Document, value: T | OpenAPIV3.ReferenceObject): T {
  if (!("$ref" in value)) return value;
  const [, , kind, name] = value.$ref.split("/") as [string, string, keyof OpenAPIV3.ComponentsObject, string];
  return resolve(document, document.components![kind]![name] as T);
}

function objectOf(parameters: OpenAPIV3.ParameterObject[]): AnySchemaObject {
  const of = (place: string) => {
    const those = parameters.filter((parameter) => parameter.in === place);
    return {
      type: "object",
      properties: Object.fromEntries(those.map(({ name, schema }) => [name, schema ?? {}])),
      required: those.filter(({ required }) => required).map(({ name }) => name),
    };
  };
  return { type: "object", properties: { path: of("path"), query: of("query") } };
}

/** The components that a piece of the document refers to, and those that they refer to. */
function reached(document: OpenAPIV3.Document, piece: unknown): Record<string, Record<string, unknown>> {
  const components: Record<string, Record<string, unknown>> = {};
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const { $ref } = value as { $ref?: unknown };
    if (typeof $ref === "string") {
      const [, , kind, name] = $ref.split("/") as [string, string, keyof OpenAPIV3.ComponentsObject, string];
      components[kind] ??= {};
      if (name in components[kind]) return;
      const component = document.components![kind]![name];
      components[kind][name] = component;
      visit(component);
    } else for (const each of Object.values(value)) visit(each);
  };
  visit(piece);
  return components;
}
