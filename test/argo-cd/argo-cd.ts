/**
 * A real Argo CD on a Kubernetes of the sandbox: API server, repository server, controller and Redis as processes of this machine,
 * with what an installation's namespace has, Git repositories of its own and its CLI. No notifications and no ApplicationSets.
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { stringify } from "yaml";
import { commandPath, Daemon, freePort, Missing, until } from "../../sandbox/daemon.ts";
import type { KubernetesObject } from "../../sandbox/kubernetes/client.ts";
import { type Kubernetes, startKubernetes } from "../../sandbox/kubernetes/index.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { type GitServer, startGitServer } from "./git-server.ts";
import { built, builtCommand } from "./oracle.ts";

/** How a call of the CLI ended. */
export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** An Application, as far as tests look at it. */
export interface Application extends KubernetesObject {
  spec: { [key: string]: unknown; syncPolicy?: { automated?: object; [key: string]: unknown } };
  status?: {
    sync?: { status: string; revision?: string };
    health?: { status: string; message?: string };
    conditions?: { type: string; message: string }[];
    history?: { id: number; revision: string }[];
    operationState?: {
      phase: string;
      message?: string;
      syncResult?: { revision: string; resources?: { kind: string; name: string; status: string; message: string }[] };
    };
    resources?: { kind: string; name: string; status: string; health?: { status: string } }[];
  };
}

export interface ArgoCd {
  /** Where Applications and AppProjects are. */
  namespace: "argocd";
  /** Its API, and the admin's token for it. */
  url: string;
  token: string;
  git: GitServer;
  /** The `argocd` command, logged in as admin. */
  cli(...args: string[]): Promise<CliResult>;
  application(name: string): Promise<Application>;
  /** Has it look at Git and the cluster now. */
  refresh(name: string): Promise<Application>;
  /** Waits until an Application is as asked; the error tells how it is. */
  becomes(
    name: string,
    what: string,
    is: (application: Application) => unknown,
    seconds?: number,
  ): Promise<Application>;
  /** The path of a process's log. */
  log(name: "redis" | "repo-server" | "application-controller" | "server"): string;
  close(): Promise<void>;
}

const namespace = "argocd";

/**
 * Starts one. It listens on 127.0.0.1 only and ends with this process.
 *
 * @param folder for logs, its files and repositories: a short path, for there are sockets in it
 * @throws Missing where something of it is not on this machine
 */
export async function startArgoCd(kubernetes: Kubernetes, folder: string): Promise<ArgoCd> {
  const argocd = builtCommand("argocd");
  builtCommand("helm");
  const redisServer = commandPath("redis-server");
  if (!redisServer) throw new Missing("there is no redis-server: Debian's package redis-server has it");
  const path = (...names: string[]) => join(folder, ...names);
  for (const name of ["home", "tmp", "tls", "ssh", "plugins", "redis", "git"]) {
    mkdirSync(path(name), { recursive: true, mode: 0o700 });
  }
  // The processes get nothing of this machine but the programs, and the CLI nothing of its user.
  const base = { PATH: [built, process.env["PATH"]].join(delimiter), HOME: path("home"), TMPDIR: path("tmp") };
  const password = randomBytes(12).toString("hex");
  const { client, kubeconfig } = kubernetes;
  await authorize(kubernetes, bcrypt(argocd, password, base));

  const log = (name: string) => path(`${name}.log`);
  const daemons: Daemon[] = [];
  const [redis, repoServer, repoMetrics, controllerMetrics, server, serverMetrics] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const start = (name: string, args: string[]) => {
    const daemon = new Daemon(name, argocd, args, log(name), {
      ...base,
      // It is one program of many names.
      ARGOCD_BINARY_NAME: `argocd-${name}`,
      // It takes "in-cluster" for what the kubeconfig names.
      ARGOCD_FAKE_IN_CLUSTER: "true",
      KUBECONFIG: kubeconfig,
      ARGOCD_GPG_ENABLED: "false",
      ARGOCD_TLS_DATA_PATH: path("tls"),
      ARGOCD_SSH_DATA_PATH: path("ssh"),
      ARGOCD_PLUGINSOCKFILEPATH: path("plugins"),
      ARGOCD_ASK_PASS_SOCK: path("ask-pass.sock"),
    });
    daemons.push(daemon);
  };
  const ready = async (what: string, url: string) =>
    until(what, async () => {
      for (const daemon of daemons) daemon.check();
      return (await fetch(url)).ok;
    });
  const git = await startGitServer(path("git"));
  const close = async () => {
    for (const daemon of daemons.toReversed()) await daemon.stop();
    await git.close();
  };
  try {
    const redisArgs = ["--bind", "127.0.0.1", "--port", `${redis}`, "--dir", path("redis"), "--save", ""];
    daemons.push(new Daemon("redis", redisServer, redisArgs, log("redis"), base));
    start("repo-server", [
      "--address=127.0.0.1",
      `--port=${repoServer}`,
      "--metrics-address=127.0.0.1",
      `--metrics-port=${repoMetrics}`,
      `--redis=127.0.0.1:${redis}`,
    ]);
    await ready("the repository server", `http://127.0.0.1:${repoMetrics}/healthz`);
    start("application-controller", [
      `--kubeconfig=${kubeconfig}`,
      `--namespace=${namespace}`,
      `--metrics-port=${controllerMetrics}`,
      `--redis=127.0.0.1:${redis}`,
      `--repo-server=127.0.0.1:${repoServer}`,
    ]);
    start("server", [
      `--kubeconfig=${kubeconfig}`,
      `--namespace=${namespace}`,
      "--insecure",
      "--address=127.0.0.1",
      `--port=${server}`,
      `--metrics-port=${serverMetrics}`,
      `--redis=127.0.0.1:${redis}`,
      `--repo-server=127.0.0.1:${repoServer}`,
      // There is none.
      "--dex-server=127.0.0.1:9",
    ]);
    const url = `http://127.0.0.1:${server}`;
    await ready("the API server", `${url}/healthz`);
    await ready("the controller", `http://127.0.0.1:${controllerMetrics}/healthz`);
    const token = await until("a session", () => session(url, password));
    const config = path("home", "argocd.yaml");
    writeFileSync(config, stringify(cliConfig(`127.0.0.1:${server}`, token)), { mode: 0o600 });

    const applicationPath = (name: string) => `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applications/${name}`;
    const application = (name: string) => client.request<Application>("GET", applicationPath(name));
    const becomes: ArgoCd["becomes"] = async (name, what, is, seconds = 60) => {
      let last: Application | undefined;
      try {
        return await until(
          `Application ${name} ${what}`,
          async () => {
            for (const daemon of daemons) daemon.check();
            last = await application(name);
            return is(last) ? last : undefined;
          },
          seconds,
        );
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${stringify(last?.status ?? "no status")}`);
      }
    };
    return {
      namespace,
      url,
      token,
      git,
      cli: (...args) => run(argocd, ["--config", config, ...args], base),
      application,
      refresh: async (name) => {
        const annotations = { "argocd.argoproj.io/refresh": "hard" };
        await client.request("PATCH", applicationPath(name), { metadata: { annotations } }, mergePatch);
        return becomes(name, "refreshed", ({ metadata }) => {
          const left = (metadata["annotations"] ?? {}) as Record<string, string>;
          return !left["argocd.argoproj.io/refresh"];
        });
      },
      becomes,
      log,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const mergePatch = "application/merge-patch+json";

/** What Argo CD's own programs and its setup would write into the Secret that the cluster has for it. */
async function authorize({ client }: Kubernetes, hash: string): Promise<void> {
  const stringData = {
    "admin.password": hash,
    "admin.passwordMtime": new Date().toISOString(),
    "server.secretkey": randomBytes(32).toString("base64"),
  };
  await client.request("PATCH", `/api/v1/namespaces/${namespace}/secrets/argocd-secret`, { stringData }, mergePatch);
}

function bcrypt(argocd: string, password: string, env: Record<string, string>): string {
  const { status, stdout, stderr } = spawnSync(argocd, ["account", "bcrypt", "--password", password], {
    encoding: "utf8",
    env,
  });
  if (status !== 0) throw new Error(`argocd account bcrypt: ${stderr}`);
  return stdout.trim();
}

async function session(url: string, password: string): Promise<string> {
  const body = JSON.stringify({ username: "admin", password });
  const response = await fetch(`${url}/api/v1/session`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  if (!response.ok) throw new Error(await response.text());
  return ((await response.json()) as { token: string }).token;
}

/** What `argocd login` would write. */
const cliConfig = (server: string, token: string) => ({
  contexts: [{ name: "sandbox", server, user: "sandbox" }],
  servers: [{ server, "plain-text": true, "grpc-web-root-path": "" }],
  users: [{ name: "sandbox", "auth-token": token }],
  "current-context": "sandbox",
});

const run = (command: string, args: string[], env: Record<string, string>): Promise<CliResult> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"], timeout: 180_000 });
    const result = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => (result[name] += chunk));
    }
    child.on("error", reject).on("close", (code) => resolve({ code, ...result }));
  });

/** Starts a cluster with an Argo CD by the hooks of the suite that calls it; they are there in the hooks and tests that follow. */
export function argoCdSuite(): { kubernetes: Kubernetes; argoCd: ArgoCd } {
  const suite = {} as { kubernetes: Kubernetes; argoCd: ArgoCd };
  let folder: string;
  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "acd-"));
    await startedOrSkipped(this, async () => {
      builtCommand("argocd");
      suite.kubernetes = await startKubernetes(join(folder, "k"));
      suite.argoCd = await startArgoCd(suite.kubernetes, join(folder, "a"));
    });
  });
  after(async () => {
    await suite.argoCd?.close();
    await suite.kubernetes?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return suite;
}
