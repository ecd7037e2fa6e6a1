/** What a stand-in is made of: a published description of an API, and handlers for the operations that are asked. */
import type { IncomingHttpHeaders } from "node:http";

/** One request, as a handler sees it. */
export interface Call {
  /** The operation's name in the published description: `repos/get-content`, `storage.buckets.insert`. */
  operation: string;
  method: string;
  /** Path and query, as asked. */
  url: string;
  /** The path's parameters, decoded. */
  params: Record<string, string>;
  query: URLSearchParams;
  headers: IncomingHttpHeaders;
  /** The body as JSON; undefined where there is none or it is something else. */
  body: unknown;
  bytes: Buffer;
}

export interface Reply {
  /** @default 200 with a body, 204 without */
  status?: number;
  headers?: Record<string, string>;
  /** Bytes as they are, anything else as JSON. */
  body?: unknown;
}

export type Handler = (call: Call) => Reply;

/** A published description: which operation a request is, and what it says against one. */
export interface Description {
  match(method: string, path: string): Pick<Call, "operation" | "params"> | undefined;
  /** What is wrong with a request by the description; empty when all is well. */
  problems(call: Call): string[];
}

/** Something that can be changed behind the engine's back. */
export interface Drift {
  /** What is changed, for a test's title: `repository file acme/api/README.md: content`. */
  what: string;
  /** The kind of change, of whatever object: `file edited`. */
  kind: string;
  /** The name by which the engine's output can be searched: the object's own last name. */
  object: string;
  /** Why the provider does not see it, where it does not: the change is real, and nobody mends it. */
  unseen?: string;
  /** Why an `up` cannot mend it, where it cannot: the engine sees it, and the service refuses. */
  unmended?: string;
  apply(): unknown;
}

/** A service with its state. */
export interface Api {
  name: string;
  descriptions: Description[];
  /** By operation. */
  handlers: Record<string, Handler>;
  /** The status of a request that breaks the description. */
  invalid: number;
  /** An error in the service's own form. */
  refusal(status: number, message: string): Reply;
  /** All that it holds, as plain data without times and counters: two states that mean the same are equal. */
  snapshot(): Record<string, unknown>;
  /** Every change behind the engine's back that it can make to what it holds now. */
  drifts(): Drift[];
}

/** A handler's refusal: answered in the service's own form. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A part of a path as text; half an escape is text like any other. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
