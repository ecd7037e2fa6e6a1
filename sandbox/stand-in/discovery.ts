/** Descriptions out of Google's published API discovery documents. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Call, type Description, decoded } from "./api.ts";

/** Where `sandbox/google/apis.txt` is installed. */
export const documents = join(
  import.meta.dirname,
  "../../.tools/google-apis/googleapiclient/discovery_cache/documents",
);

/** JSON Schema as the documents have it, for parameters and bodies. */
interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  enum?: string[];
  pattern?: string;
  location?: "path" | "query";
  required?: boolean;
  items?: Schema;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
}

interface Method {
  id: string;
  httpMethod: string;
  /** A template: `v1/{+name}:getIamPolicy`. */
  path: string;
  parameters?: Record<string, Schema>;
  request?: { $ref: string };
  mediaUpload?: { protocols: { simple: { path: string } } };
  useMediaDownloadService?: boolean;
}

interface Resource {
  methods?: Record<string, Method>;
  resources?: Record<string, Resource>;
}

interface Document extends Resource {
  servicePath: string;
  parameters: Record<string, Schema>;
  schemas: Record<string, Schema>;
}

interface Route {
  method: Method;
  pattern: RegExp;
  names: string[];
}

const read = new Map<string, Document>();

/**
 * Describes one API.
 * @param api name and version: `iam.v1`
 * @param mount goes before the API's own paths, where several share a server: `/iam`
 * @throws Error where the documents are not installed
 */
export function discovery(api: string, mount = ""): Description {
  if (!read.has(api)) read.set(api, JSON.parse(readFileSync(join(documents, `${api}.json`), "utf8")) as Document);
  return new Discovery(read.get(api)!, mount);
}

class Discovery implements Description {
  readonly #document: Document;
  readonly #routes: Route[];
  readonly #methods = new Map<string, Method>();

  constructor(document: Document, mount: string) {
    this.#document = document;
    const methods = methodsOf(document);
    for (const method of methods) this.#methods.set(method.id, method);
    this.#routes = methods.flatMap((method) => {
      const upload = method.mediaUpload?.protocols.simple.path;
      const path = `${document.servicePath}${method.path}`;
      return [
        route(method, `${mount}/${path}`),
        // An upload that can be resumed goes on by another verb.
        ...(upload ? [method, { ...method, httpMethod: "PUT" }].map((each) => route(each, `${mount}${upload}`)) : []),
        ...(method.useMediaDownloadService ? [route(method, `${mount}/download/${path}`)] : []),
      ];
    });
  }

  match(httpMethod: string, path: string): Pick<Call, "operation" | "params"> | undefined {
    for (const { method, pattern, names } of this.#routes) {
      const found = method.httpMethod === httpMethod && pattern.exec(path);
      if (!found) continue;
      const params = Object.fromEntries(names.map((name, at) => [name, decoded(found[at + 1]!)]));
      return { operation: method.id, params };
    }
    return undefined;
  }

  problems(call: Call): string[] {
    const method = this.#methods.get(call.operation)!;
    const asked = Object.entries(method.parameters ?? {}).filter(([, { location }]) => location === "query");
    return [
      ...asked
        .filter(([name, { required }]) => required && !call.query.has(name))
        .map(([name]) => `Required parameter: ${name}`),
      ...this.#againstQuery(call.query, Object.fromEntries(asked)),
      ...this.#againstRequest(call, method),
    ];
  }

  #againstQuery(query: URLSearchParams, own: Record<string, Schema>): string[] {
    return [...query].flatMap(([name, value]) => {
      // What an upload that can be resumed is called, of which the documents say nothing.
      if (name === "upload_id") return [];
      // A system parameter may be spelt with a dollar. @see https://cloud.google.com/apis/docs/system-parameters
      const system = this.#document.parameters[name.replace(/^\$(?!\.)/, "")];
      if (system) return [];
      const schema = own[name] ?? own[camel(name)];
      if (schema) return this.#against(schema, fromText(schema, value), snake(name));
      return [
        `Invalid JSON payload received. Unknown name "${name}": Cannot bind query parameter. Field '${name}' could not be found in request message.`,
      ];
    });
  }

  #againstRequest(call: Call, { request, mediaUpload }: Method): string[] {
    let { body, bytes } = call;
    if (mediaUpload && call.query.has("uploadType")) {
      const type = call.query.get("uploadType");
      if (type === "media" || call.query.has("upload_id")) return [];
      if (type === "multipart") {
        const [metadata] = related(call);
        if (!metadata) return ["Multipart must have exactly two non-empty parts."];
        bytes = metadata;
        body = json(metadata);
      }
    }
    if (bytes.length === 0) return [];
    if (body === undefined) return ["Invalid JSON payload received. Unexpected token."];
    if (!request) return this.#against({ type: "object", properties: {} }, body, "");
    // A request message is the body's root; a resource is a field of one, named after its type.
    const root = request.$ref.endsWith("Request") ? "" : snake(request.$ref);
    return this.#against(request, body, root);
  }

  #against(schema: Schema, value: unknown, path: string): string[] {
    // Protocol buffers' JSON: null is the same as absent.
    if (value === null) return [];
    if (schema.$ref) return this.#against(this.#document.schemas[schema.$ref]!, value, path);
    const wrong = (type: string) => [`Invalid value at '${path}' (${type}), ${JSON.stringify(value)}`];
    if (schema.type === "array") {
      // One value stands for a list of it.
      return [value].flat().flatMap((item, at) => this.#against(schema.items!, item, `${path}[${at}]`));
    }
    if (schema.type === "object") {
      if (typeof value !== "object") return wrong("type.googleapis.com message");
      return Object.entries(value as object).flatMap(([name, inner]) => {
        const inside = schema.properties?.[name] ?? schema.additionalProperties;
        // A map's keys are data.
        const key = schema.additionalProperties ? name : snake(name);
        if (inside) return this.#against(inside, inner, path ? `${path}.${key}` : key);
        const at = path ? ` at '${path}'` : "";
        return [`Invalid JSON payload received. Unknown name "${name}"${at}: Cannot find field.`];
      });
    }
    const [type, fits] = scalar(schema);
    return fits(value) ? [] : wrong(type);
  }
}

/** The two parts of a multipart upload: metadata and content; empty where it is none. */
export function related({ headers, bytes }: Pick<Call, "headers" | "bytes">): [] | [metadata: Buffer, content: Buffer] {
  const boundary = /boundary="?([^";]+)"?/.exec(headers["content-type"] ?? "")?.[1];
  if (!boundary) return [];
  const parts: Buffer[] = [];
  const mark = Buffer.from(`--${boundary}`);
  for (let from = bytes.indexOf(mark); from >= 0; ) {
    const to = bytes.indexOf(mark, from + mark.length);
    if (to < 0) break;
    const part = bytes.subarray(from + mark.length, to);
    const head = part.indexOf("\r\n\r\n");
    if (head >= 0) parts.push(part.subarray(head + 4, part.length - 2));
    from = to;
  }
  return parts.length === 2 ? [parts[0]!, parts[1]!] : [];
}

function methodsOf({ methods = {}, resources = {} }: Resource): Method[] {
  return [...Object.values(methods), ...Object.values(resources).flatMap(methodsOf)];
}

/** A template as a pattern: `{+name}` takes what its parameter's own pattern says, `{bucket}` one segment. */
function route(method: Method, template: string): Route {
  const names: string[] = [];
  const pattern = template.split(/(\{\+?\w+\})/).map((piece) => {
    const name = /^\{\+?(\w+)\}$/.exec(piece)?.[1];
    if (!name) return piece.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
    names.push(name);
    // A colon starts a verb: it belongs to no name, and neither does a verb that nobody knows.
    const own = method.parameters?.[name]?.pattern?.replace(/^\^|\$$/g, "").replaceAll("[^/]+", "[^/:]+");
    return `(${own ?? "[^/]+"})`;
  });
  // A slash at the end makes no difference: the provider lists `b/{bucket}/anywhereCaches/`.
  return { method, pattern: new RegExp(`^${pattern.join("")}/?$`), names };
}

/** The name of a protocol buffers type, and what its JSON may be: 64-bit numbers are text, enums may be numbers. */
function scalar({ type, format, enum: values }: Schema): [type: string, fits: (value: unknown) => boolean] {
  const isInteger = (value: unknown) => Number.isInteger(typeof value === "string" && value ? Number(value) : value);
  switch (type) {
    case "any":
      return ["any", () => true];
    case "boolean":
      return ["TYPE_BOOL", (value) => typeof value === "boolean"];
    case "integer":
      return [format === "uint32" ? "TYPE_UINT32" : "TYPE_INT32", isInteger];
    case "number":
      return ["TYPE_DOUBLE", (value) => typeof value === "number"];
  }
  if (values) return ["TYPE_ENUM", (value) => Number.isInteger(value) || values.includes(value as string)];
  const isText = (matches: (text: string) => boolean) => (value: unknown) =>
    typeof value === "string" && matches(value);
  switch (format) {
    case "int64":
    case "uint64":
      return ["TYPE_INT64", isInteger];
    case "byte":
      return ["TYPE_BYTES", isText((text) => /^[\w+/-]*=*$/.test(text))];
    case "google-duration":
      return ["type.googleapis.com/google.protobuf.Duration", isText((text) => /^-?\d+(\.\d{1,9})?s$/.test(text))];
    case "date-time":
    case "google-datetime":
      return ["type.googleapis.com/google.protobuf.Timestamp", isText((text) => !Number.isNaN(Date.parse(text)))];
    default:
      return ["TYPE_STRING", isText(() => true)];
  }
}

/** A query's value as its schema would have it in JSON, where it can be. */
function fromText({ type }: Schema, text: string): unknown {
  if (type === "boolean" && /^(true|false)$/.test(text)) return text === "true";
  return type === "number" && text ? Number(text) : text;
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** A parameter may be spelt as in the protocol buffer: `repository_id` for `repositoryId`. */
export const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** A field's name as Google's messages tell it. */
const snake = (name: string) => name.replace(/(?<!^)([A-Z])/g, "_$1").toLowerCase();
