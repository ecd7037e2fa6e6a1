/**
 * A container registry on loopback that behaves as GHCR does: it asks for a token, knows manifests by tag and digest,
 * takes new ones, and has its blobs on another host.
 */
import { createHash } from "node:crypto";
import { type Answer, type Recorded, StubServer } from "../../support/stub-server.ts";

export const NAME = "sua-org/python-api-base";
const KEY = "org.opencontainers.image.revision";
const INDEX = "application/vnd.oci.image.index.v1+json";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** Where an image says of which commit it is. */
export type Place = "index" | "manifest" | "label" | "nowhere";

export const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
const error = (code: string, message: string) => ({ errors: [{ code, message }] });
export const denied: Answer = { status: 403, body: error("DENIED", "requested access to the resource is denied") };
export const unauthorized = error("UNAUTHORIZED", "authentication required");

export class RegistryStub {
  readonly server: StubServer;
  /** Where the registry sends who wants a blob. */
  readonly blobs: StubServer;
  /** Digest by tag. */
  tags: Record<string, string> = {};
  /** What the registry gives a job for the job's token; a token with another name is one of before. */
  token = "registry-canary-1";
  /** Pairs of user and token that it knows. */
  user = "spacejao";
  secret = "ghs_canaryOfTheRegistry";
  #manifests = new Map<string, string>();

  private constructor(server: StubServer, blobs: StubServer) {
    this.server = server;
    this.blobs = blobs;
  }

  static async start(): Promise<RegistryStub> {
    return new RegistryStub(await StubServer.start(), await StubServer.start());
  }

  async close(): Promise<void> {
    await Promise.all([this.server.close(), this.blobs.close()]);
  }

  get image(): string {
    return `${this.server.url.replace("http://", "")}/${NAME}`;
  }

  /** Forgets everything, and knows no more than that these tags could be asked for. */
  reset(...tags: string[]): void {
    for (const each of [this.server, this.blobs]) each.reset();
    this.tags = {};
    this.token = "registry-canary-1";
    this.#manifests.clear();
    for (const actions of ["pull", "pull,push"]) {
      const scope = encodeURIComponent(`repository:${NAME}:${actions}`);
      this.server.on(`GET /token?service=registry.example&scope=${scope}`, this.#answer(this.#newToken));
    }
    this.server.on(`GET ${this.path("tags/list?n=1000")}`, this.#asked(this.#list));
    this.expect(...tags);
  }

  path = (rest: string) => `/v2/${NAME}/${rest}`;

  /** Lets these tags or digests be asked for and be written. */
  expect(...references: string[]): void {
    for (const each of references) {
      this.server.on(
        `GET ${this.path(`manifests/${each}`)}`,
        this.#asked(() => this.#get(each)),
      );
      this.server.on(
        `PUT ${this.path(`manifests/${each}`)}`,
        this.#asked((request) => this.#put(each, request)),
      );
    }
  }

  /** An image as buildx pushes it: an index of one manifest a platform, and one that says how each came about. */
  add(
    tag: string,
    revision: string,
    { place = "index" as Place, platforms = ["amd64"], others = {} as Record<string, string> } = {},
  ): string {
    const manifests = platforms.flatMap((architecture) => {
      const own = others[architecture] ?? revision;
      const config = this.#blob({
        architecture,
        config: { Labels: { other: "x", ...(place === "label" && { [KEY]: own }) } },
      });
      const digest = this.#manifest({
        schemaVersion: 2,
        mediaType: MANIFEST,
        config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
        layers: [],
        ...(place === "manifest" && { annotations: { [KEY]: own } }),
      });
      const attestation = this.#manifest({
        mediaType: MANIFEST,
        config: this.#blob({ of: digest }),
        annotations: { [KEY]: "of an attestation" },
      });
      return [
        { mediaType: MANIFEST, digest, size: 1, platform: { architecture, os: "linux" } },
        {
          mediaType: MANIFEST,
          digest: attestation,
          size: 1,
          annotations: { "vnd.docker.reference.digest": digest, "vnd.docker.reference.type": "attestation-manifest" },
          platform: { architecture: "unknown", os: "unknown" },
        },
      ];
    });
    const digest = this.#manifest({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests,
      ...(place === "index" && { annotations: { [KEY]: revision } }),
    });
    this.tags[tag] = digest;
    this.expect(tag);
    return digest;
  }

  /** A manifest as it is, under a tag. */
  addText(tag: string, text: string): string {
    const digest = digestOf(text);
    this.#manifests.set(digest, text);
    this.tags[tag] = digest;
    this.expect(tag, digest);
    return digest;
  }

  text = (tag: string) => this.#manifests.get(this.tags[tag] ?? "");

  /** What was asked, as "GET manifests/v1", without asking for tokens and what was asked without one. */
  get asked(): string[] {
    return this.server.requests
      .filter(({ path, headers }) => path.startsWith("/v2/") && headers.authorization)
      .map(({ method, path }) => `${method} ${path.slice(this.path("").length)}`);
  }

  #manifest(content: object): string {
    const text = JSON.stringify(content);
    const digest = digestOf(text);
    this.#manifests.set(digest, text);
    this.expect(digest);
    return digest;
  }

  #blob(content: object): { digest: string; size: number } {
    const text = JSON.stringify(content);
    const digest = digestOf(text);
    const signed = `/${digest}?sig=signed`;
    this.blobs.on(`GET ${signed}`, { body: text });
    this.server.on(
      `GET ${this.path(`blobs/${digest}`)}`,
      this.#asked(() => ({ status: 307, headers: { location: `${this.blobs.url}${signed}` } })),
    );
    return { digest, size: text.length };
  }

  #get(reference: string): Answer {
    const digest = reference.includes(":") ? reference : this.tags[reference];
    const text = this.#manifests.get(digest ?? "");
    if (!digest || text === undefined) return { status: 404, body: error("MANIFEST_UNKNOWN", "manifest unknown") };
    const { mediaType = MANIFEST } = JSON.parse(text) as { mediaType?: string };
    return { headers: { "content-type": mediaType, "docker-content-digest": digest }, body: text };
  }

  #put(reference: string, { body }: Recorded): Answer {
    const digest = digestOf(body);
    this.#manifests.set(digest, body);
    this.expect(digest);
    this.tags[reference] = digest;
    return { status: 201, headers: { "docker-content-digest": digest } };
  }

  #list = (): Answer =>
    Object.keys(this.tags).length === 0
      ? { status: 404, body: error("NAME_UNKNOWN", "repository name not known to registry") }
      : { body: { name: NAME, tags: Object.keys(this.tags).sort() } };

  #newToken = ({ headers }: Recorded): Answer => {
    const basic = `Basic ${Buffer.from(`${this.user}:${this.secret}`).toString("base64")}`;
    return headers.authorization === basic ? { body: { token: this.token } } : { status: 401, body: unauthorized };
  };

  /** What is answered to who has the token; who has none is told where to get one. */
  #asked(answer: (request: Recorded) => Answer): Answer {
    return this.#answer((request) =>
      request.headers.authorization === `Bearer ${this.token}` ? answer(request) : this.challenge,
    );
  }

  get challenge(): Answer {
    const words = `realm="${this.server.url}/token",service="registry.example",scope="repository:${NAME}:pull"`;
    return { status: 401, headers: { "www-authenticate": `Bearer ${words}` }, body: unauthorized };
  }

  /** An answer that is made up when it is given, to the newest request. */
  #answer(make: (request: Recorded) => Answer): Answer {
    const made = () => make(this.server.requests.at(-1)!);
    return {
      get status() {
        return made().status;
      },
      get headers() {
        return made().headers;
      },
      get body() {
        return made().body;
      },
    };
  }
}
