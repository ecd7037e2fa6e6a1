/** What the services of one Google Cloud share: projects, policies, operations, and who may be asked for whom. */
import { randomBytes } from "node:crypto";
import type { Call, Drift, Handler } from "../stand-in/api.ts";
import { camel } from "../stand-in/discovery.ts";
import { GoogleError, invalid } from "./errors.ts";
import type { Account } from "./iam.ts";
import { Operations } from "./operations.ts";
import { Policies } from "./policies.ts";
import type { Bucket } from "./storage.ts";
import type { Pool } from "./workload-identity.ts";

/** A project, and what is in it beforehand: things that a program may refer to without creating them. */
export interface Project {
  id: string;
  number: string;
  /** IDs of its secrets. @default every secret that is asked for exists */
  secrets?: readonly string[];
  /** IDs of its datasets. @default every dataset that is asked for exists, unless it was deleted */
  datasets?: readonly string[];
  /** Names of its Pub/Sub topics. @default every topic that is asked for exists */
  topics?: readonly string[];
  /** IDs of service accounts, the part before the at sign. @default none */
  accounts?: readonly string[];
  /** Names of Cloud Storage buckets. @default none */
  buckets?: readonly string[];
  /** APIs that are on: `run.googleapis.com`. @default none */
  services?: readonly string[];
}

/** One API of Google's: its part of the handlers, the snapshot and the drifts. */
export interface Service {
  /** By method ID of the discovery document. */
  handlers: Record<string, Handler>;
  snapshot(): unknown;
  drifts(): Drift[];
  /** A project that becomes known. */
  expect?(project: Project): void;
}

export class World {
  readonly projects = new Map<string, Project>();
  readonly policies = new Policies(this);
  readonly operations = new Operations();
  /** By e-mail. */
  readonly accounts = new Map<string, Account>();
  /** By name, with the project's number. */
  readonly pools = new Map<string, Pool>();
  /** By name. */
  readonly buckets = new Map<string, Bucket>();

  /** The project of an ID, a number, or a resource's full name. */
  project(name: string): Project {
    const id = /^(?:projects\/)?([^/]+)/.exec(name)![1]!;
    const found = this.projects.get(id) ?? [...this.projects.values()].find(({ number }) => number === id);
    // Whether there is none or one of somebody else is not told.
    if (!found) throw new GoogleError(403, `Permission denied on resource project ${id}.`);
    return found;
  }

  /** A full name with the project's ID in it, whichever way it was asked. */
  byId(name: string): string {
    return name.replace(/^projects\/[^/]+/, `projects/${this.project(name).id}`);
  }

  /** A full name with the project's number in it. */
  byNumber(name: string): string {
    return name.replace(/^projects\/[^/]+/, `projects/${this.project(name).number}`);
  }

  /** Created accounts, those that came with a project, and those that Google itself keeps in every project. */
  hasAccount(email: string): boolean {
    if (this.accounts.has(email)) return true;
    return [...this.projects.values()].some(
      ({ id, number }) =>
        [`${id}@appspot.gserviceaccount.com`, `${number}@cloudbuild.gserviceaccount.com`].includes(email) ||
        new RegExp(`^(service-)?${number}(-compute)?@([a-z0-9-]+\\.iam|developer)\\.gserviceaccount\\.com$`).test(
          email,
        ),
    );
  }
}

/** The last segment of a resource's name. */
export const lastOf = (name: string): string => name.slice(name.lastIndexOf("/") + 1);

/** An ID of digits, the first not 0. */
export const digits = (count: number): string => `1${Array.from(randomBytes(count - 1), (byte) => byte % 10).join("")}`;

export const hex = (count: number): string => randomBytes(count / 2).toString("hex");

export const now = (): string => new Date().toISOString();

/** An etag of something that was just written. */
export const newEtag = (): string => randomBytes(8).toString("base64");

/** One page of a list, and the token of the next. */
export function page<T>(items: T[], { query }: Call, most = 1000, sizeKey = "pageSize"): [T[], nextPageToken?: string] {
  const from = Number(Buffer.from(query.get("pageToken") ?? "", "base64").toString() || 0);
  if (!Number.isInteger(from)) throw invalid("Invalid page token.");
  const to = from + Math.min(Number(query.get(sizeKey)) || most, most);
  const rest = to < items.length ? Buffer.from(`${to}`).toString("base64") : undefined;
  return [items.slice(from, to), rest];
}

/**
 * Changes what an update mask names to what the body has; all that the body has without a mask.
 * @see https://google.aip.dev/134
 */
export function patch<T extends object>(held: T, wanted: object, mask: string | null | undefined): T {
  const changed = structuredClone(held) as Record<string, unknown>;
  // Masks may be spelt either way.
  for (const path of mask ? mask.split(",").map(camel) : Object.keys(wanted)) {
    const names = path.trim().split(".");
    const last = names.pop()!;
    const inside = (at: Record<string, unknown>, name: string) => (at[name] ??= {}) as Record<string, unknown>;
    const value = names.reduce<Record<string, unknown> | undefined>(
      (at, name) => at?.[name] as Record<string, unknown> | undefined,
      wanted as Record<string, unknown>,
    )?.[last];
    const target = names.reduce(inside, changed);
    if (value === undefined || value === null) delete target[last];
    else target[last] = value;
  }
  return changed as T;
}
