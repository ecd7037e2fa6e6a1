/** An application in a namespace of its own, and the workflow's step that rolls it out. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import type { Step } from "../../components/github/workflow.ts";
import type { PolicyRule } from "../../components/kubernetes/deployer.ts";
import { type DeployArgs, deploy, rollback, rolloutRules } from "../../components/kubernetes/rollout/steps.ts";
import { freePort, until } from "../../sandbox/daemon.ts";
import type { Client, KubernetesObject } from "../../sandbox/kubernetes/client.ts";
import { type Env, outputsOf, PYTHON, Sandbox } from "../support/sandbox.ts";
import { type Delivery, Gate, kubectlPath } from "./delivery.ts";

/** What an application answers: a status, where to go instead, or nothing for ever. */
export type Answer = number | { to: string } | "hangs";

export const old = "registry.invalid/shop:v1";
export const image = "registry.invalid/shop:v2";
export const name = "shop";
export const canary = "shop-canary";

interface Metadata {
  name: string;
  uid: string;
  generation: number;
  annotations?: Record<string, string>;
}
interface Pod {
  metadata: Metadata;
  spec: { containers: { image: string }[] };
  status: { containerStatuses?: { name: string; restartCount: number }[] };
}
export interface Deployment {
  metadata: Metadata;
  spec: { replicas: number; template: { spec: { containers: { image: string }[] } } };
  status: {
    availableReplicas?: number;
    replicas?: number;
    updatedReplicas?: number;
    observedGeneration?: number;
    conditions?: { reason: string }[];
  };
}
interface ReplicaSet {
  metadata: Metadata;
  spec: { template: { spec: { containers: { image: string }[] } } };
}

/** What a test asks for that is not as usual. */
export interface Options {
  health?: "url" | "proxy";
  canary?: DeployArgs["canary"];
  ready?: DeployArgs["ready"];
  smokePaths?: DeployArgs["smokePaths"];
  /** All that the deployer may do, out of what it should. */
  rules?(rules: PolicyRule[]): PolicyRule[];
  /** More of the Deployment's spec. */
  spec?: Record<string, unknown>;
  /** Whether the API server is reached by a gate. */
  gate?: boolean;
  /** Seconds that a token lasts. */
  lasts?: number;
  /** A token that lasts instead. */
  access?: "token";
}

export class Shop {
  readonly box = new Sandbox();
  /** What it answers by path; the canary's own Service has a "canary" before it. */
  answer: (path: string) => Answer = () => 200;
  /** Paths in the order in which they were asked. */
  readonly asked: string[] = [];
  gate!: Gate;
  kubeconfig = "";
  readonly namespace: string;
  readonly job = { sub: "", lasts: 300, refusals: [] as number[], asked: 0 };
  readonly #delivery: Delivery;
  readonly #options: Options;
  readonly #servers: Server[] = [];
  #url = "";

  private constructor(delivery: Delivery, namespace: string, options: Options) {
    this.#delivery = delivery;
    this.namespace = namespace;
    this.#options = options;
    this.job.sub = `repo:sua-org/${namespace}:environment:homolog`;
    this.job.lasts = options.lasts ?? 300;
    symlinkSync(kubectlPath(), join(this.box.bin, "kubectl"));
    this.box.usePython();
    mkdirSync(this.box.path("runner"));
  }

  static async open(delivery: Delivery, namespace: string, options: Options): Promise<Shop> {
    const shop = new Shop(delivery, namespace, options);
    await shop.client.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    const own = await shop.#serve("");
    shop.#url = `http://127.0.0.1:${own}/health`;
    await shop.client.apply(service(namespace, name, { "app.kubernetes.io/name": name }, own));
    await shop.client.apply(deployment(namespace, name, 2, options.spec));
    if (options.canary) {
      const port = await shop.#serve("canary");
      await shop.client.apply(service(namespace, canary, { track: canary }, port));
      await shop.client.apply(deployment(namespace, canary, 0));
    }
    for (const each of options.ready ?? []) await shop.client.apply(statefulSet(namespace, each.split("/")[1]!));
    let { server } = delivery;
    if (options.gate) ({ gate: shop.gate, url: server } = await Gate.before(server));
    const place = { deployment: name, ...shop.#place() };
    const rules = (options.rules ?? ((all) => all))(rolloutRules(place));
    const githubOidc = { audience: "school-scheduler-homolog", user: `github:${shop.job.sub}` };
    const access = options.access ?? { githubOidc };
    shop.kubeconfig = await delivery.deployer({ account: "d", namespace, rules, server, access });
    await until(`${namespace} runs`, async () => {
      const { status } = await shop.deployment();
      return status.availableReplicas === 2 || options.spec !== undefined;
    });
    return shop;
  }

  get client(): Client {
    return this.#delivery.kubernetes.client;
  }

  path(resource: string): string {
    const root = /^(pods|services|secrets)/.test(resource) ? "/api/v1" : "/apis/apps/v1";
    return `${root}/namespaces/${this.namespace}/${resource}`;
  }

  deployment(which = name): Promise<Deployment> {
    return this.client.request("GET", this.path(`deployments/${which}`));
  }

  patch(resource: string, body: unknown): Promise<unknown> {
    return this.client.request("PATCH", this.path(resource), body, "application/strategic-merge-patch+json");
  }

  /** Gives it an image, as another person would. */
  setImage(to: string, which = name): Promise<unknown> {
    return this.patch(`deployments/${which}`, {
      spec: { template: { spec: { containers: [{ name, image: to }] } } },
    });
  }

  /** Until all its pods are of the image. */
  async runs(which: string, pods = 2): Promise<void> {
    await until(`${which} runs`, async () => {
      const { metadata, spec, status } = await this.deployment();
      const seen = status.observedGeneration === metadata.generation;
      const done = status.updatedReplicas === pods && status.replicas === pods && status.availableReplicas === pods;
      return seen && done && spec.template.spec.containers[0]!.image === which;
    });
  }

  async pods(of: string): Promise<Pod[]> {
    const { items } = await this.client.request<{ items: Pod[] }>("GET", this.path("pods"));
    return items.filter(({ spec }) => spec.containers[0]!.image === of);
  }

  /** Says of the pods of an image what a kubelet would. */
  async setStatus(of: string, container: Record<string, unknown>, ready = true): Promise<void> {
    const conditions = ["Ready", "ContainersReady"].map((type) => ({ type, status: ready ? "True" : "False" }));
    for (const { metadata } of await this.pods(of)) {
      const status = {
        conditions,
        containerStatuses: [{ name, image: of, imageID: "", ready, restartCount: 0, ...container }],
      };
      await this.patch(`pods/${metadata.name}/status`, { status });
    }
  }

  /** Image, revision and ReplicaSet of what it runs. */
  async now(): Promise<{ image: string; revision: string; set: string }> {
    const { spec, metadata } = await this.deployment();
    const { items } = await this.client.request<{ items: ReplicaSet[] }>("GET", this.path("replicasets"));
    const revision = metadata.annotations!["deployment.kubernetes.io/revision"]!;
    const sets = items.filter(
      (each) =>
        each.metadata.annotations?.["deployment.kubernetes.io/revision"] === revision &&
        each.metadata.name.startsWith(`${name}-`) &&
        !each.metadata.name.startsWith(`${canary}-`),
    );
    return { image: spec.template.spec.containers[0]!.image, revision, set: sets[0]!.metadata.name };
  }

  /** The step as the workflow has it, run. */
  deploy(env: Env = {}): Run {
    const { smokePaths = [], canary: its } = this.#options;
    return this.#run(
      deploy("rollout", {
        ...this.#step(),
        ...this.#place(),
        smokePaths,
        canary: its && { seconds: 1, ...its },
        seconds: { rollout: 60, smoke: 1, watch: 2, probe: 0.2, unavailable: 1, blind: 2, rollback: 60 },
      }),
      { SETTLE_SECONDS: "2", PROBE_TIMEOUT_SECONDS: "0.5", ...env },
    );
  }

  rollback(previousRevision: string, env: Env = {}): Run {
    return this.#run(rollback({ ...this.#step(), previousRevision }), {
      PROBE_SECONDS: "0.2",
      BLIND_SECONDS: "2",
      ROLLBACK_SECONDS: "60",
      ...env,
    });
  }

  #step() {
    const kubeconfig = Buffer.from(this.kubeconfig).toString("base64");
    return { namespace: this.namespace, deployment: name, container: name, image, kubeconfig };
  }

  #place(): Pick<DeployArgs, "health" | "canary" | "ready"> {
    const { health = "url", canary, ready = [] } = this.#options;
    return {
      health: health === "url" ? { url: this.#url } : { service: { name, port: "http" } },
      canary,
      ready,
    };
  }

  #run({ run, env }: Step, more: Env): Run {
    const program = this.box.write("step.py", run!);
    return new Run(this.box, [program], {
      ...(env as Env),
      RUNNER_TEMP: this.box.path("runner"),
      RETRY_SECONDS: "0.01",
      ...this.#delivery.job(this.job),
      ...more,
    });
  }

  async #serve(prefix: string): Promise<number> {
    const port = await freePort();
    const server = createServer(({ url }, response) => {
      const path = `${prefix}${url}`;
      this.asked.push(path);
      const answer = this.answer(path);
      if (answer === "hangs") return;
      if (typeof answer === "number") response.writeHead(answer).end();
      else response.writeHead(302, { location: answer.to }).end();
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return port;
  }

  close(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
    this.gate?.close();
    this.box.dispose();
  }
}

/** One run of the step. */
export class Run {
  output = "";
  /** How long it took, in seconds. */
  took = 0;
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #box: Sandbox;

  constructor(box: Sandbox, args: string[], env: Env) {
    this.#box = box;
    for (const each of ["output", "summary"]) box.write(each, "");
    const started = Date.now();
    this.#child = spawn(PYTHON, args, {
      cwd: box.dir,
      env: { ...box.env, ...env } as NodeJS.ProcessEnv,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
    this.ended = new Promise((resolve, reject) =>
      this.#child.on("error", reject).on("close", (code) => {
        this.took = (Date.now() - started) / 1000;
        resolve(code);
      }),
    );
  }

  /** Waits until it prints this. @throws Error where it ends without */
  async says(words: RegExp): Promise<void> {
    let over = false;
    void this.ended.then(() => (over = true));
    await until(`${words} printed`, async () => {
      if (over && !words.test(this.output)) throw new Error(`it never printed ${words}:\n${this.output}`);
      return words.test(this.output);
    });
  }

  signal(which: NodeJS.Signals): void {
    this.#child.kill(which);
  }

  /** Its one annotation: level, title and text. */
  get annotation(): string {
    const lines = this.output.split("\n").filter((line) => /^::(error|warning|notice) /.test(line));
    if (lines.length !== 1) throw new Error(`${lines.length} annotations in:\n${this.output}`);
    return lines[0]!.replaceAll("%0A", "\n").replaceAll("%25", "%");
  }

  get summary(): string {
    return this.#box.read("summary");
  }

  get outputs(): Record<string, string> {
    return outputsOf(this.#box.read("output"));
  }
}

const metadata = (namespace: string, called: string) => ({ name: called, namespace, labels: labels(called) });
const labels = (called: string) => ({ "app.kubernetes.io/name": name, track: called });

const template = (called: string) => ({
  metadata: { labels: labels(called) },
  spec: { containers: [{ name, image: old }], terminationGracePeriodSeconds: 1 },
});

const deployment = (
  namespace: string,
  called: string,
  replicas: number,
  spec: Record<string, unknown> = {},
): KubernetesObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: metadata(namespace, called),
  spec: { replicas, selector: { matchLabels: labels(called) }, template: template(called), ...spec },
});

const statefulSet = (namespace: string, called: string): KubernetesObject => ({
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: metadata(namespace, called),
  spec: {
    replicas: 1,
    serviceName: called,
    selector: { matchLabels: { track: called } },
    template: template(called),
  },
});

const service = (
  namespace: string,
  called: string,
  selector: Record<string, string>,
  port: number,
): KubernetesObject => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: metadata(namespace, called),
  spec: { selector, ports: [{ name: "http", port: 80, targetPort: port }] },
});
