/** A client for objects of any kind, by what the API says of its kinds. */
import { type RequestOptions, request } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { sleep } from "../daemon.ts";

/** Any object. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; [key: string]: unknown };
  [key: string]: unknown;
}

/** What the API says of a kind. */
export interface Resource {
  /** `v1`, `apps/v1` */
  apiVersion: string;
  /** Its name in paths: `deployments`. */
  name: string;
  kind: string;
  namespaced: boolean;
  verbs: string[];
}

/** An answer that is no success: the API's own words. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The cluster does not serve such objects. */
export class UnknownKind extends Error {}

export class Client {
  readonly #config = new KubeConfig();
  #options: Promise<RequestOptions> | undefined;

  /** @param kubeconfig a path */
  constructor(kubeconfig: string) {
    this.#config.loadFromFile(kubeconfig);
  }

  /** Sends JSON and gets JSON; comes again when it is asked to. @throws Refused */
  async request<T>(method: string, path: string, body?: unknown, type = "application/json"): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#send<T>(method, path, body, type);
      } catch (error) {
        // As the storage of a new kind says of itself: "storage is (re)initializing".
        if (!(error instanceof Refused && error.status === 429 && attempt < 30)) throw error;
        await sleep(500);
      }
    }
  }

  async #send<T>(method: string, path: string, body: unknown, type: string): Promise<T> {
    const options = await (this.#options ??= this.#authenticated());
    const headers = {
      ...options.headers,
      accept: "application/json",
      ...(body !== undefined && { "content-type": type }),
    };
    const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const url = new URL(`${this.#config.getCurrentCluster()!.server.replace(/\/$/, "")}${path}`);
      const sent = request(url, { ...options, method, headers }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
        response.on("error", reject).on("end", () => resolve({ status: response.statusCode!, text }));
      });
      sent.setTimeout(30_000, () => sent.destroy(new Error(`${method} ${path}: no answer`)));
      sent.on("error", reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
    if (status < 300) return (text.startsWith("{") ? JSON.parse(text) : text) as T;
    throw new Refused(status, text.startsWith("{") ? (JSON.parse(text) as { message: string }).message : text);
  }

  /** As {@link request}, undefined for what is not there. */
  async get<T = KubernetesObject>(path: string): Promise<T | undefined> {
    try {
      return await this.request<T>("GET", path);
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Every kind that can be listed, in the version that the API prefers. */
  async resources(): Promise<Resource[]> {
    const { groups } = await this.request<{ groups: { preferredVersion: { groupVersion: string } }[] }>("GET", "/apis");
    const versions = ["v1", ...groups.map(({ preferredVersion }) => preferredVersion.groupVersion)];
    const found = (await Promise.all(versions.map((version) => this.#resourcesOf(version)))).flat();
    return found.filter(({ name, verbs }) => !name.includes("/") && verbs.includes("list") && verbs.includes("delete"));
  }

  /** An object's own path. @throws UnknownKind */
  async pathOf({ apiVersion, kind, metadata: { name, namespace } }: KubernetesObject): Promise<string> {
    const resource = (await this.#resourcesOf(apiVersion)).find(
      (each) => each.kind === kind && !each.name.includes("/"),
    );
    if (!resource) throw new UnknownKind(`the cluster knows no ${kind} in ${apiVersion}`);
    return `${pathOf(resource, namespace)}/${name}`;
  }

  /** Creates it, or sets the fields that it names. */
  async apply(object: KubernetesObject): Promise<KubernetesObject> {
    const path = `${await this.pathOf(object)}?fieldManager=sandbox&force=true`;
    // JSON is YAML.
    return this.request("PATCH", path, object, "application/apply-patch+yaml");
  }

  /** All objects of a kind, in all namespaces. */
  async list(resource: Resource): Promise<KubernetesObject[]> {
    const { items } = await this.request<{ items: KubernetesObject[] }>("GET", pathOf(resource));
    return items.map((item) => ({ ...item, apiVersion: resource.apiVersion, kind: resource.kind }));
  }

  async #resourcesOf(apiVersion: string): Promise<Resource[]> {
    const path = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const list = await this.get<{ resources: Omit<Resource, "apiVersion">[] }>(path);
    return (list?.resources ?? []).map((resource) => ({ ...resource, apiVersion }));
  }

  async #authenticated(): Promise<RequestOptions> {
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    return options;
  }
}

/** Where a kind's objects are: of one namespace, or all. */
function pathOf({ apiVersion, name, namespaced }: Resource, namespace?: string): string {
  const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespaced && namespace ? `${root}/namespaces/${namespace}/${name}` : `${root}/${name}`;
}
