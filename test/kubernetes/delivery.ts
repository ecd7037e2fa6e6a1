/**
 * A cluster as a workflow meets with it: it trusts an issuer of tokens as GitHub's is, and reaches pods, of which this machine
 * plays the address: whatever listens on a pod's port here is what answers.
 */
import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { Deployer, type DeployerArgs } from "../../components/kubernetes/deployer.ts";
import { commandPath, freePort, Missing } from "../../sandbox/daemon.ts";
import type { KubernetesObject } from "../../sandbox/kubernetes/client.ts";
import { type Kubernetes, startKubernetes } from "../../sandbox/kubernetes/index.ts";
import { answerWith } from "../components/answers.ts";
import { declared } from "../declared.ts";
import type { Env } from "../support/sandbox.ts";

/** What the cluster takes of GitHub's tokens. */
export const audiences = ["school-scheduler-homolog", "school-scheduler-prod"];
/** What the cluster puts before their subjects. */
export const prefix = "github:";

/** The kubectl of the cluster's own version. @throws Missing */
export function kubectlPath(): string {
  const path = join(import.meta.dirname, "../../.tools/bin/kubectl");
  if (!existsSync(path)) throw new Missing("there is no kubectl: `make kubernetes` builds it");
  return path;
}

/** What a test says about a job's tokens. */
export interface Job {
  /** repo:OWNER/NAME:environment:NAME */
  sub: string;
  /** Seconds from now until a token ends. @default 300 */
  lasts?: number;
  /** Statuses with which GitHub answers in the place of a token, one a request. */
  refusals?: number[];
  /** How many were asked for. */
  asked?: number;
}

export class Delivery {
  readonly kubernetes: Kubernetes;
  /** URL of the API server, and the certificate by which it is known. */
  readonly server: string;
  readonly certificateAuthority: string;
  readonly #issuer: Issuer;
  readonly #pods: Server;

  private constructor(kubernetes: Kubernetes, issuer: Issuer, pods: Server) {
    this.kubernetes = kubernetes;
    this.#issuer = issuer;
    this.#pods = pods;
    const { clusters } = parse(readFileSync(kubernetes.kubeconfig, "utf8")) as {
      clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
    };
    this.server = clusters[0]!.cluster.server;
    this.certificateAuthority = Buffer.from(clusters[0]!.cluster["certificate-authority-data"], "base64").toString();
  }

  /** @throws Missing */
  static async start(folder: string): Promise<Delivery> {
    kubectlPath();
    mkdirSync(folder, { recursive: true });
    const issuer = await Issuer.start(folder);
    const socket = join(folder, "pods");
    const pods = await podsAt(socket);
    const write = (name: string, content: unknown) => {
      writeFileSync(join(folder, name), stringify(content));
      return join(folder, name);
    };
    const authentication = write("authentication.yaml", {
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "AuthenticationConfiguration",
      jwt: [
        {
          issuer: {
            url: issuer.url,
            certificateAuthority: issuer.certificate,
            audiences,
            audienceMatchPolicy: "MatchAny",
          },
          claimMappings: { username: { claim: "sub", prefix } },
        },
      ],
    });
    const egress = write("egress.yaml", {
      apiVersion: "apiserver.k8s.io/v1beta1",
      kind: "EgressSelectorConfiguration",
      egressSelections: [
        {
          name: "cluster",
          connection: { proxyProtocol: "HTTPConnect", transport: { uds: { udsName: socket } } },
        },
      ],
    });
    try {
      const kubernetes = await startKubernetes(join(folder, "cluster"), [
        `--authentication-config=${authentication}`,
        `--egress-selector-config-file=${egress}`,
      ]);
      return new Delivery(kubernetes, issuer, pods);
    } catch (error) {
      issuer.close();
      pods.close();
      throw error;
    }
  }

  /** The environment of a job, by which its steps get its tokens. */
  job(job: Job): Env {
    return this.#issuer.job(job);
  }

  /** Declares a deployer, makes its objects, and hands out its kubeconfig as a file has it. */
  async deployer(args: Omit<DeployerArgs, "certificateAuthority" | "partOf">): Promise<string> {
    const make = async (token?: string) => {
      let made: Deployer | undefined;
      const { "Deployer d": _, ...resources } = await declared(() => {
        if (token) answerWith({ "Secret d-token": { data: { token } } });
        made = new Deployer("d", {
          ...args,
          certificateAuthority: this.certificateAuthority,
          partOf: "school-scheduler",
        });
      });
      return { resources: Object.values(resources) as unknown as KubernetesObject[], kubeconfig: made!.kubeconfig };
    };
    const first = await make();
    // In the order that dependsOn gives them.
    const late = ({ kind }: KubernetesObject) => Number(kind === "Secret");
    for (const object of first.resources.sort((a, b) => late(a) - late(b))) await this.kubernetes.client.apply(object);
    const read = async (output: unknown) =>
      Buffer.from((await (output as { promise(): Promise<string> }).promise())!, "base64").toString();
    if (args.access !== "token") return read(first.kubeconfig);
    const path = `/api/v1/namespaces/${args.namespace}/secrets/${args.account}-token`;
    for (;;) {
      const { data } = await this.kubernetes.client.request<{ data?: { token: string } }>("GET", path);
      if (data) return read((await make(data.token)).kubeconfig);
    }
  }

  async close(): Promise<void> {
    await this.kubernetes.close();
    this.#issuer.close();
    this.#pods.close();
  }
}

/** A way to the API server that can be shut for a while. */
export class Gate {
  readonly #server: TcpServer;
  readonly #sockets = new Set<Socket>();
  #open = true;

  private constructor(target: number) {
    this.#server = createTcpServer((socket) => {
      if (!this.#open) return void socket.destroy();
      const onwards = connect(target, "127.0.0.1");
      for (const each of [socket, onwards]) {
        this.#sockets.add(each);
        each.on("error", () => {}).on("close", () => this.#sockets.delete(each));
      }
      socket.pipe(onwards).pipe(socket);
    });
  }

  /** @returns a gate and the URL before it */
  static async before(url: string): Promise<{ gate: Gate; url: string }> {
    const gate = new Gate(Number(new URL(url).port));
    const port = await freePort();
    await new Promise<void>((resolve) => gate.#server.listen(port, "127.0.0.1", resolve));
    return { gate, url: `https://127.0.0.1:${port}` };
  }

  shut(): void {
    this.#open = false;
    for (const each of this.#sockets) each.destroy();
  }

  open(): void {
    this.#open = true;
  }

  close(): void {
    this.shut();
    this.#server.close();
  }
}

/** What gives tokens as GitHub does: the endpoint that jobs ask, and where the cluster finds the keys. */
class Issuer {
  readonly certificate: string;
  url = "";
  #endpoint = "";
  readonly #key;
  readonly #servers: Server[] = [];
  readonly #jobs: Job[] = [];

  private constructor(folder: string) {
    const openssl = commandPath("openssl");
    if (!openssl) throw new Missing("there is no openssl on PATH, which makes an issuer's certificate");
    const [key, certificate] = [join(folder, "issuer.key"), join(folder, "issuer.crt")];
    const what = ["-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=issuer"];
    const where = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate];
    execFileSync(openssl, ["req", "-x509", ...what, ...where], { stdio: "ignore" });
    this.certificate = readFileSync(certificate, "utf8");
    this.#key = createPrivateKey(readFileSync(key));
  }

  static async start(folder: string): Promise<Issuer> {
    const issuer = new Issuer(folder);
    const listen = async (server: Server) => {
      const port = await freePort();
      await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
      issuer.#servers.push(server);
      return port;
    };
    const pem = issuer.#key.export({ type: "pkcs8", format: "pem" });
    const keys = createTlsServer({ key: pem, cert: issuer.certificate }, ({ url }, response) => {
      response.setHeader("content-type", "application/json");
      const jwk = createPublicKey(issuer.#key).export({ format: "jwk" });
      const known: Record<string, unknown> = {
        "/.well-known/openid-configuration": { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` },
        "/keys": { keys: [{ ...jwk, kid: "1", alg: "RS256", use: "sig" }] },
      };
      response.end(JSON.stringify(known[url!]));
    });
    issuer.url = `https://127.0.0.1:${await listen(keys)}`;
    const endpoint = createServer(({ url, headers }, response) => {
      const number = /^Bearer secret-of-job-(\d+)$/.exec(headers.authorization ?? "")?.[1];
      const job = issuer.#jobs[Number(number ?? -1)];
      if (job) job.asked = (job.asked ?? 0) + 1;
      const refusal = job ? job.refusals?.shift() : 401;
      if (refusal) return void response.writeHead(refusal).end("no");
      const audience = new URL(url!, "http://localhost").searchParams.get("audience");
      response.end(JSON.stringify({ value: issuer.#token(job!, audience!) }));
    });
    issuer.#endpoint = `http://127.0.0.1:${await listen(endpoint)}/token?api-version=2.0`;
    return issuer;
  }

  job(job: Job): Env {
    return {
      ACTIONS_ID_TOKEN_REQUEST_URL: this.#endpoint,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: `secret-of-job-${this.#jobs.push(job) - 1}`,
    };
  }

  #token({ sub, lasts = 300 }: Job, aud: string): string {
    const now = Math.floor(Date.now() / 1000);
    const part = (content: unknown) => Buffer.from(JSON.stringify(content)).toString("base64url");
    const claims = { iss: this.url, sub, aud, iat: now - 600, nbf: now - 600, exp: now + lasts };
    const signed = `${part({ alg: "RS256", typ: "JWT", kid: "1" })}.${part(claims)}`;
    return `${signed}.${sign("RSA-SHA256", Buffer.from(signed), this.#key).toString("base64url")}`;
  }

  close(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }
}

/** What the API server dials pods by: an address is this machine's, a port is a port. */
async function podsAt(path: string): Promise<Server> {
  const server = createServer();
  server.on("connect", ({ url }, socket, head) => {
    const onwards = connect(Number(url!.split(":").at(-1)), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      onwards.write(head);
      socket.pipe(onwards).pipe(socket);
    });
    onwards.on("error", () => socket.destroy());
    socket.on("error", () => onwards.destroy());
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return server;
}
