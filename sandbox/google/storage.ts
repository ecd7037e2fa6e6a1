/** Cloud Storage: buckets and objects. @see https://cloud.google.com/storage/docs/json_api */
import { createHash } from "node:crypto";
import type { Call, Drift, Handler, Reply } from "../stand-in/api.ts";
import { related } from "../stand-in/discovery.ts";
import { GoogleError, invalid } from "./errors.ts";
import type { Policy } from "./policies.ts";
import { newEtag, now, type Project, page, type Service, type World } from "./world.ts";

interface Lock {
  enabled?: boolean;
  lockedTime?: string;
}

interface BucketMetadata {
  name: string;
  projectNumber: string;
  location: string;
  storageClass?: string;
  metageneration: string;
  labels?: Record<string, string | null>;
  versioning?: { enabled?: boolean };
  iamConfiguration: {
    uniformBucketLevelAccess?: Lock;
    bucketPolicyOnly?: Lock;
    publicAccessPrevention?: string;
  };
  etag: string;
  timeCreated: string;
  updated: string;
}

interface ObjectMetadata {
  name: string;
  bucket: string;
  contentType?: string;
  generation: string;
  metageneration: string;
  md5Hash: string;
  crc32c: string;
  size: string;
  etag: string;
  metadata?: Record<string, string | null>;
}

interface StoredObject {
  metadata: ObjectMetadata;
  content: Buffer;
}

export interface Bucket {
  metadata: BucketMetadata;
  objects: Map<string, StoredObject>;
}

/** Google keeps what was deleted for a week, unless told otherwise. */
const softDelete = { retentionDurationSeconds: "604800" };

const multiRegions = ["US", "EU", "ASIA"];

export class Storage implements Service {
  readonly #world: World;
  /** Uploads that can be resumed, by ID: what is to become of them, and what has come of it. */
  readonly #uploads = new Map<string, { start: Call; chunks: Buffer[] }>();
  /** Generations are microseconds, and no two the same. */
  #lastGeneration = 0n;

  constructor(world: World) {
    this.#world = world;
  }

  readonly handlers: Record<string, Handler> = {
    "storage.buckets.insert": ({ query, body }) => ({
      body: this.#createBucket(query.get("project")!, body as BucketMetadata),
    }),
    "storage.buckets.get": (call) => ({ body: this.#matching(call, this.#bucket(call)).metadata }),
    "storage.buckets.list": (call) => {
      const { number } = this.#world.project(call.query.get("project")!);
      const all = [...this.#world.buckets.values()]
        .map(({ metadata }) => metadata)
        .filter(
          ({ projectNumber, name }) => projectNumber === number && name.startsWith(call.query.get("prefix") ?? ""),
        );
      const [items, nextPageToken] = page(all, call, 1000, "maxResults");
      return { body: { kind: "storage#buckets", items, nextPageToken } };
    },
    "storage.buckets.patch": (call) => this.#changeBucket(call),
    "storage.buckets.update": (call) => this.#changeBucket(call),
    "storage.buckets.delete": (call) => {
      const bucket = this.#matching(call, this.#bucket(call));
      if (bucket.objects.size > 0) {
        throw new GoogleError(409, "The bucket you tried to delete is not empty.", { reason: "conflict" });
      }
      this.#deleteBucket(bucket);
      return { status: 204 };
    },
    "storage.buckets.getIamPolicy": (call) => {
      const resource = resourceOf(this.#bucket(call));
      return this.#policy(
        resource,
        this.#world.policies.get(resource, call.query.get("optionsRequestedPolicyVersion")),
      );
    },
    "storage.buckets.setIamPolicy": (call) => {
      const resource = resourceOf(this.#bucket(call));
      return this.#policy(resource, this.#world.policies.set(resource, call.body as Policy, preconditionFailed));
    },
    // Asked before a bucket is deleted.
    "storage.anywhereCaches.list": (call) => {
      this.#bucket(call);
      return { body: { kind: "storage#anywhereCaches", items: [] } };
    },
    "storage.objects.insert": (call) => this.#insert(call),
    "storage.objects.get": (call) => {
      const { metadata, content } = this.#matching(call, this.#object(call));
      if (call.query.get("alt") !== "media") return { body: located(metadata, call) };
      const headers = {
        "content-type": metadata.contentType ?? "application/octet-stream",
        "x-goog-hash": `crc32c=${metadata.crc32c},md5=${metadata.md5Hash}`,
        "x-goog-generation": metadata.generation,
        "x-goog-metageneration": metadata.metageneration,
      };
      return { headers, body: content };
    },
    "storage.objects.list": (call) => {
      const all = [...this.#bucket(call).objects.values()]
        .map(({ metadata }) => metadata)
        .filter(({ name }) => name.startsWith(call.query.get("prefix") ?? ""))
        .sort((one, other) => (one.name < other.name ? -1 : 1));
      const [items, nextPageToken] = page(all, call, 1000, "maxResults");
      return { body: { kind: "storage#objects", items: items.map((each) => located(each, call)), nextPageToken } };
    },
    "storage.objects.patch": (call) => this.#changeObject(call),
    "storage.objects.update": (call) => this.#changeObject(call),
    "storage.objects.delete": (call) => {
      const { metadata } = this.#matching(call, this.#object(call));
      this.#bucket(call).objects.delete(metadata.name);
      return { status: 204 };
    },
  };

  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#world.buckets.values()]
        .map(({ metadata, objects }): [string, object] => {
          const { name, projectNumber, location, storageClass, labels = {}, versioning, iamConfiguration } = metadata;
          const { publicAccessPrevention, uniformBucketLevelAccess } = iamConfiguration;
          const settings = {
            projectNumber,
            location,
            storageClass,
            labels,
            publicAccessPrevention,
            uniformBucketLevelAccess: uniformBucketLevelAccess?.enabled ?? false,
            versioning: versioning?.enabled ?? false,
          };
          const contents = [...objects.values()].map((each) => [
            each.metadata.name,
            {
              md5Hash: each.metadata.md5Hash,
              contentType: each.metadata.contentType,
              metadata: each.metadata.metadata,
            },
          ]);
          return [name, { ...settings, objects: Object.fromEntries(contents.sort()) }];
        })
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  }

  expect({ id, buckets = [] }: Project): void {
    for (const name of buckets) if (!this.#world.buckets.has(name)) this.#createBucket(id, { name } as BucketMetadata);
  }

  drifts(): Drift[] {
    const given = new Set([...this.#world.projects.values()].flatMap(({ buckets = [] }) => buckets));
    const own = [...this.#world.buckets.values()].filter(({ metadata }) => !given.has(metadata.name));
    return own.flatMap((bucket) => {
      const { metadata, objects } = bucket;
      const { iamConfiguration, labels, name } = metadata;
      return [
        {
          what: `bucket ${name}: public access prevention`,
          kind: "bucket opened or closed",
          object: name,
          apply: () => {
            const enforced = iamConfiguration.publicAccessPrevention === "enforced";
            iamConfiguration.publicAccessPrevention = enforced ? "inherited" : "enforced";
          },
        },
        // Where the program says nothing of it, the provider takes it as it is.
        ...(metadata.versioning
          ? [
              {
                what: `bucket ${name}: versioning`,
                kind: "versioning switched",
                object: name,
                apply: () => {
                  metadata.versioning = { enabled: !metadata.versioning?.enabled };
                },
              },
            ]
          : []),
        ...Object.keys(labels ?? {}).map((label) => ({
          what: `bucket ${name}: label ${label}`,
          kind: "label changed",
          object: name,
          apply: () => {
            labels![label] = "changed";
          },
        })),
        // One with objects in it nobody can delete.
        ...(objects.size > 0
          ? []
          : [
              {
                what: `bucket ${name}: deleted`,
                kind: "bucket deleted",
                object: name,
                apply: () => this.#deleteBucket(bucket),
              },
            ]),
        ...[...objects.values()].flatMap((each) => [
          {
            what: `object gs://${name}/${each.metadata.name}: content`,
            kind: "object overwritten",
            object: each.metadata.name,
            apply: () => {
              const content = Buffer.concat([each.content, Buffer.from("changed")]);
              objects.set(each.metadata.name, this.#stored(each.metadata, content));
            },
          },
          {
            what: `object gs://${name}/${each.metadata.name}: deleted`,
            kind: "object deleted",
            object: each.metadata.name,
            apply: () => {
              objects.delete(each.metadata.name);
            },
          },
        ]),
      ];
    });
  }

  #createBucket(projectName: string, wanted: BucketMetadata): BucketMetadata {
    const project = this.#world.project(projectName);
    const { name = "", location = "US", iamConfiguration = {} } = wanted;
    if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/.test(name) || /^goog|google/.test(name)) {
      throw new GoogleError(400, `Invalid bucket name: '${name}'`, { reason: "invalid" });
    }
    const existing = this.#world.buckets.get(name);
    if (existing) {
      const message =
        existing.metadata.projectNumber === project.number
          ? "Your previous request to create the named bucket succeeded and you already own it."
          : "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
      throw new GoogleError(409, message, { reason: "conflict" });
    }
    const time = now();
    const metadata = {
      kind: "storage#bucket",
      id: name,
      selfLink: `https://www.googleapis.com/storage/v1/b/${name}`,
      storageClass: "STANDARD",
      softDeletePolicy: { ...softDelete, effectiveTime: time },
      ...structuredClone(wanted),
      projectNumber: project.number,
      location: location.toUpperCase(),
      locationType: multiRegions.includes(location.toUpperCase()) ? "multi-region" : "region",
      iamConfiguration: configuration(iamConfiguration, time),
      generation: this.#generation(),
      metageneration: "1",
      timeCreated: time,
      updated: time,
      etag: newEtag(),
    };
    const bucket = { metadata, objects: new Map() };
    this.#world.buckets.set(name, bucket);
    const [owners, viewers] = [["projectEditor", "projectOwner"], ["projectViewer"]].map((types) =>
      types.map((type) => `${type}:${project.id}`),
    );
    this.#world.policies.create(resourceOf(bucket), [
      { role: "roles/storage.legacyBucketOwner", members: owners! },
      { role: "roles/storage.legacyBucketReader", members: viewers! },
      ...(metadata.iamConfiguration.uniformBucketLevelAccess?.enabled
        ? [
            { role: "roles/storage.legacyObjectOwner", members: owners! },
            { role: "roles/storage.legacyObjectReader", members: viewers! },
          ]
        : []),
    ]);
    return metadata;
  }

  #deleteBucket(bucket: Bucket): void {
    this.#world.buckets.delete(bucket.metadata.name);
    this.#world.policies.drop(resourceOf(bucket));
  }

  #changeBucket(call: Call): Reply {
    const bucket = this.#matching(call, this.#bucket(call));
    const { labels, iamConfiguration, ...wanted } = structuredClone(call.body) as Partial<BucketMetadata>;
    const { metadata } = bucket;
    Object.assign(metadata, withoutNulls({ ...metadata, ...wanted }), {
      ...(labels && { labels: withoutNulls({ ...metadata.labels, ...labels }) }),
      iamConfiguration: configuration({ ...metadata.iamConfiguration, ...iamConfiguration }, now()),
      name: metadata.name,
      location: metadata.location,
      metageneration: String(BigInt(metadata.metageneration) + 1n),
      updated: now(),
      etag: newEtag(),
    });
    for (const [key, value] of Object.entries(wanted)) if (value === null) delete metadata[key as keyof BucketMetadata];
    return { body: metadata };
  }

  #insert(call: Call): Reply {
    // In the form in which all queries come here.
    const id = call.query.get("uploadId");
    if (id) return this.#resume(id, call);
    const type = call.query.get("uploadType");
    if (type === "resumable") {
      const session = newEtag().replace(/[^a-z0-9]/gi, "");
      this.#uploads.set(session, { start: call, chunks: [] });
      const location = new URL(call.url, `http://${call.headers.host}`);
      location.searchParams.set("upload_id", session);
      return { status: 200, headers: { location: location.href }, body: Buffer.alloc(0) };
    }
    if (type !== "multipart" && type !== "media") {
      throw new GoogleError(501, `The stand-in takes no upload of type ${type}.`);
    }
    const [, content] = type === "multipart" ? related(call) : [undefined, call.bytes];
    const contentType = type === "media" ? call.headers["content-type"] : typeOfPart(call);
    return { body: located(this.#upload(call, content!, contentType), call) };
  }

  /** A part of an upload, or the question how far it has come. @see https://cloud.google.com/storage/docs/performing-resumable-uploads */
  #resume(id: string, call: Call): Reply {
    const upload = this.#uploads.get(id);
    if (!upload) throw new GoogleError(404, "No such upload.", { reason: "notFound" });
    const held = upload.chunks.reduce((sum, { length }) => sum + length, 0);
    const [, from, to, total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(call.headers["content-range"] ?? "") ?? [];
    if (from !== undefined && Number(from) !== held) {
      throw new GoogleError(400, `The upload holds ${held} bytes, and this goes on at ${from}.`, { reason: "invalid" });
    }
    const now = held + call.bytes.length;
    const isLast = total !== "*" && Number(total ?? now) === now;
    if (to !== undefined && !isLast && call.bytes.length % (256 * 1024) !== 0) {
      throw invalid("A part that is not the last one has to be a multiple of 256 KiB.");
    }
    upload.chunks.push(call.bytes);
    if (isLast) {
      this.#uploads.delete(id);
      const contentType = upload.start.headers["x-upload-content-type"] as string | undefined;
      return { body: located(this.#upload(upload.start, Buffer.concat(upload.chunks), contentType), call) };
    }
    const headers = now > 0 ? { range: `bytes=0-${now - 1}` } : undefined;
    // Some clients cannot see a 308.
    if (call.headers["x-guploader-no-308"]) {
      return { status: 200, headers: { ...headers, "x-http-status-code-override": "308" }, body: Buffer.alloc(0) };
    }
    return { status: 308, ...(headers && { headers }), body: Buffer.alloc(0) };
  }

  /** @param call the one that describes the object */
  #upload(call: Call, content: Buffer, type = "application/octet-stream"): ObjectMetadata {
    const bucket = this.#bucket(call);
    const wanted = describedBy(call);
    const { name } = wanted;
    if (!name) throw new GoogleError(400, "Required", { reason: "required" });
    const existing = bucket.objects.get(name);
    this.#matching(call, existing ?? { metadata: { generation: "0", metageneration: "0" } });
    const contentType = wanted.contentType ?? type;
    const stored = this.#stored({ ...wanted, name, bucket: bucket.metadata.name, contentType }, content);
    for (const [key, hash] of [
      ["md5Hash", wanted.md5Hash],
      ["crc32c", wanted.crc32c],
    ] as const) {
      if (hash && hash !== stored.metadata[key]) {
        throw invalid(`Provided ${key} "${hash}" doesn't match calculated ${key} "${stored.metadata[key]}".`);
      }
    }
    bucket.objects.set(name, stored);
    return stored.metadata;
  }

  #stored(wanted: Partial<ObjectMetadata> & { name: string; bucket: string }, content: Buffer): StoredObject {
    const generation = this.#generation();
    const time = now();
    const metadata = {
      storageClass: "STANDARD",
      ...wanted,
      kind: "storage#object",
      id: `${wanted.bucket}/${wanted.name}/${generation}`,
      selfLink: `https://www.googleapis.com/storage/v1/b/${wanted.bucket}/o/${encodeURIComponent(wanted.name)}`,
      generation,
      metageneration: "1",
      size: String(content.length),
      md5Hash: createHash("md5").update(content).digest("base64"),
      crc32c: crc32c(content),
      timeCreated: time,
      updated: time,
      etag: newEtag(),
    };
    return { metadata, content };
  }

  #changeObject(call: Call): Reply {
    const { metadata } = this.#matching(call, this.#object(call));
    const { metadata: custom, ...wanted } = structuredClone(call.body) as Partial<ObjectMetadata>;
    // What the content says stays.
    const { name, bucket, generation, md5Hash, crc32c: crc, size } = metadata;
    Object.assign(metadata, withoutNulls(wanted), {
      ...(custom && { metadata: withoutNulls({ ...(call.method === "PATCH" && metadata.metadata), ...custom }) }),
      ...{ name, bucket, generation, md5Hash, crc32c: crc, size },
      metageneration: String(BigInt(metadata.metageneration) + 1n),
      etag: newEtag(),
    });
    return { body: metadata };
  }

  #bucket({ params }: Call): Bucket {
    const found = this.#world.buckets.get(params["bucket"]!);
    if (!found) throw new GoogleError(404, "The specified bucket does not exist.", { reason: "notFound" });
    return found;
  }

  #object(call: Call): StoredObject {
    const { bucket, object } = call.params;
    const found = this.#bucket(call).objects.get(object!);
    const generation = call.query.get("generation");
    if (!found || (generation && generation !== found.metadata.generation)) {
      throw new GoogleError(404, `No such object: ${bucket}/${object}`, { reason: "notFound" });
    }
    return found;
  }

  /** Holds a request's preconditions against what there is. */
  #matching<T extends { metadata: { generation?: string; metageneration: string } }>({ query }: Call, target: T): T {
    const { generation, metageneration } = target.metadata;
    const fails = (name: string, value: string | undefined) => query.has(name) && query.get(name) !== value;
    if (fails("ifGenerationMatch", generation) || fails("ifMetagenerationMatch", metageneration)) {
      throw preconditionFailed();
    }
    return target;
  }

  #policy(resource: string, policy: Policy): Reply {
    return { body: { kind: "storage#policy", resourceId: resource, ...policy } };
  }

  #generation(): string {
    const time = BigInt(Date.now()) * 1000n;
    this.#lastGeneration = time > this.#lastGeneration ? time : this.#lastGeneration + 1n;
    return String(this.#lastGeneration);
  }
}

const preconditionFailed = () =>
  new GoogleError(412, "At least one of the pre-conditions you specified did not hold.", { reason: "conditionNotMet" });

/** An object as an upload describes it; its name may stand in the query. */
export function describedBy(call: Call): Partial<ObjectMetadata> {
  const type = call.query.get("uploadType");
  const description = type === "multipart" ? related(call)[0] : type === "resumable" ? call.bytes : undefined;
  const wanted = JSON.parse(description?.toString() || "{}") as Partial<ObjectMetadata>;
  const name = wanted.name ?? call.query.get("name");
  return { ...wanted, ...(name && { name }) };
}

/** With the address from which its content is had, as whoever asks has it: clients take it as it is. */
const located = (metadata: ObjectMetadata, { headers }: Call) => ({
  ...metadata,
  mediaLink: `http://${headers.host}/download/storage/v1/b/${metadata.bucket}/o/${encodeURIComponent(metadata.name)}?generation=${metadata.generation}&alt=media`,
});

export const resourceOf = ({ metadata }: { metadata: { name: string } }) => `projects/_/buckets/${metadata.name}`;

/** Uniform access has two names, of which the older one is still told. */
function configuration(wanted: BucketMetadata["iamConfiguration"], time: string): BucketMetadata["iamConfiguration"] {
  const enabled = (wanted.uniformBucketLevelAccess ?? wanted.bucketPolicyOnly)?.enabled ?? false;
  const lockedTime = new Date(Date.parse(time) + 90 * 24 * 3600 * 1000).toISOString();
  const lock = enabled ? { enabled, lockedTime } : { enabled };
  return {
    publicAccessPrevention: wanted.publicAccessPrevention ?? "inherited",
    uniformBucketLevelAccess: lock,
    bucketPolicyOnly: { ...lock },
  };
}

function withoutNulls<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null)) as T;
}

/** The type that the second part of a multipart upload has. */
const typeOfPart = ({ bytes }: Call) =>
  [...bytes.toString("latin1").matchAll(/^content-type: *(.+?)\r$/gim)][1]?.[1] ?? "application/octet-stream";

/** Castagnoli's polynomial, which zlib does not have. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

function crc32c(content: Buffer): string {
  let value = 0xffffffff;
  for (const byte of content) value = (value >>> 8) ^ table[(value ^ byte) & 0xff]!;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((value ^ 0xffffffff) >>> 0);
  return bytes.toString("base64");
}
