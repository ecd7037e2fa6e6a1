/**
 * What a real Argo CD makes of Applications and AppProjects: synchronization, windows, rollback, and what a project keeps out: 60 s.
 * The messages are those that a person at the `argocd` command sees.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { until } from "../../sandbox/daemon.ts";
import type { KubernetesObject } from "../../sandbox/kubernetes/client.ts";
import type { Kubernetes } from "../../sandbox/kubernetes/index.ts";
import { type Application, type ArgoCd, argoCdSuite, type CliResult } from "./argo-cd.ts";
import type { Repository } from "./git-server.ts";
import { builtCommand } from "./oracle.ts";
import { application, appProject, closed, open, repositorySecret, shopChart } from "./shop.ts";

describe("Argo CD", function () {
  this.timeout(180_000);
  const suite = argoCdSuite();
  let kubernetes: Kubernetes;
  let argoCd: ArgoCd;
  let repository: Repository;
  let foreign: Repository;
  const login = { username: "reader", password: "a pass word" };

  before(() => {
    ({ kubernetes, argoCd } = suite);
    repository = argoCd.git.repository("charts", login);
    foreign = argoCd.git.repository("foreign");
    for (const each of [repository, foreign]) each.commit(shopChart("1.0.0"));
  });

  /** A project, its repository and an Application of it, all of one name, on the cluster. */
  const declare = async (name: string, fields: Partial<Parameters<typeof application>[0]> & ProjectFields = {}) => {
    const { windows, clusterKinds, namespaceKinds, ...rest } = fields;
    const project = { windows, clusterKinds, namespaceKinds };
    const url = repository.url;
    await apply(repositorySecret({ name, url, project: name, ...login }), appProject({ name, url, ...project }));
    await apply(application({ name, url, ...rest }));
  };
  type ProjectFields = Partial<Pick<Parameters<typeof appProject>[0], "windows" | "clusterKinds" | "namespaceKinds">>;
  const apply = async (...objects: KubernetesObject[]) => {
    for (const object of objects) await kubernetes.client.apply(object);
  };
  /** Sets a project's windows, and waits until the API server has seen that. */
  const setWindows = async (name: string, windows: object[]) => {
    const path = `/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/${name}`;
    await kubernetes.client.request("PATCH", path, { spec: { syncWindows: windows } }, "application/merge-patch+json");
    await until("the windows", async () => {
      const { stdout } = await argoCd.cli("proj", "windows", "list", name, "--output", "json");
      return (JSON.parse(stdout) ?? []).length === windows.length;
    });
  };
  const image = async (namespace: string): Promise<string> => {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/shop`;
    const { spec } = await kubernetes.client.request<{
      spec: { template: { spec: { containers: { image: string }[] } } };
    }>("GET", path);
    return spec.template.spec.containers[0]!.image;
  };
  const isHealthy = ({ status }: Application) =>
    status?.sync?.status === "Synced" && status.health?.status === "Healthy";
  const healthy = (name: string) => argoCd.becomes(name, "synced and healthy", isHealthy);
  const isAt = (sha: string) => (application: Application) =>
    isHealthy(application) && application.status?.sync?.revision === sha;
  const refused = ({ code, stderr }: CliResult, message: string, expectedCode = 20) => {
    assert.equal(messageOf(stderr), message);
    assert.equal(code, expectedCode);
  };
  const succeeded = (result: CliResult): string => {
    assert.equal(result.code, 0, `${result.stdout}${result.stderr}`);
    return result.stdout;
  };
  /**
   * A synchronization or rollback that is let in. On a busy machine this version's command was seen to wait on until its time was
   * up: what counts is that the operation was done.
   */
  const operated = async (verb: "sync" | "rollback", name: string, ...args: string[]) => {
    const result = await argoCd.cli("app", verb, name, ...args, "--timeout=20");
    if (result.code !== 0)
      assert.match(result.stdout, /^The command timed out waiting for the conditions/m, result.stderr);
    await argoCd.becomes(
      name,
      "operated on",
      ({ operation, status }) => !operation && status?.operationState?.phase === "Succeeded",
    );
  };
  const blocked = "rpc error: code = PermissionDenied desc = cannot sync: blocked by sync window";

  it("brings an automated Application to what Git says, and back to it", async () => {
    await declare("auto");
    await healthy("auto");
    const path = "/apis/apps/v1/namespaces/auto/deployments/shop";
    // Changed behind its back.
    await kubernetes.client.request("PATCH", path, { spec: { replicas: 3 } }, "application/merge-patch+json");
    await until("the replicas healed", async () => {
      const { spec } = await kubernetes.client.request<{ spec: { replicas: number } }>("GET", path);
      return spec.replicas === 1;
    });
    // Away from Git.
    const without = repository.commit({ "shop/templates/service.yaml": null });
    await argoCd.refresh("auto");
    await argoCd.becomes("auto", "without the service", isAt(without));
    assert.equal(await kubernetes.client.get("/api/v1/namespaces/auto/services/shop"), undefined);
    repository.commit(shopChart("1.0.0"));
    await argoCd.refresh("auto");
    await until("the service", () => kubernetes.client.get("/api/v1/namespaces/auto/services/shop"));
  });

  it("installs a chart without a release: Helm knows nothing of it", () => {
    const helm = spawnSync(builtCommand("helm"), ["history", "shop", "--namespace=auto"], {
      encoding: "utf8",
      env: { ...process.env, KUBECONFIG: kubernetes.kubeconfig },
    });
    assert.deepEqual([helm.status, helm.stderr.trim()], [1, "Error: release: not found"]);
  });

  it("refuses a rollback while synchronization is automated", async () => {
    refused(
      await argoCd.cli("app", "rollback", "auto", "0"),
      "rpc error: code = FailedPrecondition desc = rollback cannot be initiated when auto-sync is enabled",
    );
  });

  describe("in a closed window", () => {
    let news: string;

    before(async () => {
      await declare("shop");
      await healthy("shop");
      await setWindows("shop", [closed]);
      news = repository.commit(shopChart("1.1.0"));
      await argoCd.refresh("shop");
      await argoCd.becomes("shop", "behind", ({ status }) => status?.sync?.status === "OutOfSync");
    });

    it("synchronizes neither by itself nor when asked, with --force or as a --dry-run", async () => {
      for (const flags of [[], ["--force"], ["--dry-run"], ["--prune", "--strategy=apply"]]) {
        refused(await argoCd.cli("app", "sync", "shop", ...flags), blocked);
      }
      assert.equal(await image("shop"), "example.org/shop:1.0.0");
      const got = succeeded(await argoCd.cli("app", "get", "shop"));
      assert.match(got, /^SyncWindow: +Sync Denied\nAssigned Windows: +allow:0 0 29 2 \*:1m$/m);
    });

    it("tells what a synchronization would change: 1 where there is something, and 0 where not", async () => {
      const { code, stdout } = await argoCd.cli("app", "diff", "shop");
      assert.equal(code, 1);
      assert.match(stdout, /^===== apps\/Deployment shop\/shop ======$/m);
      assert.match(stdout, /^< .*image: example.org\/shop:1.0.0\n---\n> .*image: example.org\/shop:1.1.0$/m);
    });

    it("heals nothing either", async () => {
      const prevented = () =>
        readFileSync(argoCd.log("application-controller"), "utf8")
          .split("\n")
          .filter((line) => line.includes('"application":"shop"') && line.includes("Sync prevented by sync window"))
          .length;
      const path = "/apis/apps/v1/namespaces/shop/deployments/shop";
      const before = prevented();
      await kubernetes.client.request("PATCH", path, { spec: { replicas: 2 } }, "application/merge-patch+json");
      await argoCd.refresh("shop");
      await until("a synchronization prevented", async () => prevented() > before);
      const { spec } = await kubernetes.client.request<{ spec: { replicas: number } }>("GET", path);
      assert.equal(spec.replicas, 2);
    });

    it("lists the window", async () => {
      const [header, window] = succeeded(await argoCd.cli("proj", "windows", "list", "shop")).split("\n");
      assert.match(header!, /^ID +STATUS +KIND +SCHEDULE +DURATION +APPLICATIONS +NAMESPACES +CLUSTERS +MANUALSYNC/);
      assert.match(window!, /^0 +Inactive +allow +0 0 29 2 \* +1m +\* +- +- +Disabled/);
    });

    it("opens by a second window that is active, for one to break the glass", async () => {
      await setWindows("shop", [closed, open]);
      await operated("sync", "shop");
      await argoCd.becomes("shop", "at 1.1.0", isAt(news));
      assert.equal(await image("shop"), "example.org/shop:1.1.0");
      assert.deepEqual(await argoCd.cli("app", "diff", "shop"), { code: 0, stdout: "", stderr: "" });
    });

    it("lets in who asks where the window says so", async () => {
      await setWindows("shop", [{ ...closed, manualSync: true }]);
      assert.match(succeeded(await argoCd.cli("app", "get", "shop")), /^SyncWindow: +Manual Allowed$/m);
      await operated("sync", "shop");
    });

    it("can tell nothing by a window that it cannot read, and then refuses everybody", async () => {
      await setWindows("shop", [{ ...open, schedule: "at six" }]);
      refused(
        await argoCd.cli("app", "sync", "shop"),
        "rpc error: code = PermissionDenied desc = cannot sync: invalid sync window: invalid sync windows: " +
          "cannot parse schedule 'at six': expected exactly 5 fields, found 2: [at six]",
      );
      refused(
        await argoCd.cli("proj", "windows", "add", "shop", "--kind=allow", "--schedule=0 6 * * *", "--duration=1d"),
        `cannot parse duration '1d': time: unknown unit "d" in duration "1d"`,
      );
    });
  });

  describe("rolling back", () => {
    before(async () => {
      await declare("back", { automated: false, windows: [open] });
      for (const [index, tag] of ["2.0.0", "2.1.0"].entries()) {
        const sha = repository.commit(shopChart(tag));
        await argoCd.refresh("back");
        await operated("sync", "back");
        const { status } = await argoCd.becomes("back", `at ${tag}`, isAt(sha));
        assert.equal(status!.history!.at(-1)!.id, index);
      }
    });

    it("takes an ID of the history", async () => {
      const history = succeeded(await argoCd.cli("app", "history", "back"));
      assert.match(history, /^SOURCE +http.*\nID +DATE +REVISION\n0 +.* main \([0-9a-f]{7}\)\n1 +.* main \(/);
      assert.equal(succeeded(await argoCd.cli("app", "history", "back", "--output=id")), "0\n1\n");
      refused(
        await argoCd.cli("app", "rollback", "back", "9"),
        "application 'back' does not have deployment id '9' in history",
      );
      await operated("rollback", "back", "0");
      assert.equal(await image("back"), "example.org/shop:2.0.0");
      // Git still says what was rolled back.
      const { status } = await argoCd.refresh("back");
      assert.equal(status!.sync!.status, "OutOfSync");
      assert.equal(succeeded(await argoCd.cli("app", "history", "back", "--output=id")), "0\n1\n2\n");
    });

    it("is not refused in a closed window, but waits there, and in the way of everything else", async () => {
      await setWindows("back", [closed]);
      const { code, stderr } = await argoCd.cli("app", "rollback", "back", "1", "--timeout=3");
      assert.match(messageOf(stderr), /^timed out \(3s\) waiting for app "argocd\/back" match desired state$/);
      assert.equal(code, 20);
      const { status } = await argoCd.application("back");
      assert.equal(status!.operationState!.phase, "Running");
      assert.equal(status!.operationState!.message, "Sync operation blocked by sync window");
      await setWindows("back", [closed, open]);
      refused(
        await argoCd.cli("app", "sync", "back"),
        "rpc error: code = FailedPrecondition desc = another operation is already in progress",
      );
      assert.equal(await image("back"), "example.org/shop:2.0.0");
    });

    it("happens when the window has opened, once somebody looks", async () => {
      await argoCd.refresh("back");
      await argoCd.becomes("back", "rolled back", ({ status }) => status?.operationState?.phase === "Succeeded");
      assert.equal(await image("back"), "example.org/shop:2.1.0");
    });

    it("can be called off", async () => {
      refused(
        await argoCd.cli("app", "terminate-op", "back"),
        "rpc error: code = InvalidArgument desc = Unable to terminate operation. No operation is in progress",
      );
      await setWindows("back", [closed]);
      await argoCd.cli("app", "rollback", "back", "0", "--timeout=2");
      assert.equal(
        succeeded(await argoCd.cli("app", "terminate-op", "back")),
        "Application 'back' operation terminating\n",
      );
      // This version ends it in an open window alone. 3.5's source says at once.
      await setWindows("back", [open]);
      await argoCd.refresh("back");
      const { status } = await argoCd.becomes("back", "called off", (each) => each.operation === undefined);
      assert.deepEqual(
        [status!.operationState!.phase, status!.operationState!.message],
        ["Failed", "Operation terminated"],
      );
      assert.equal(await image("back"), "example.org/shop:2.1.0");
    });

    it("lasts until synchronization is automated again, which brings back what Git says", async () => {
      await operated("rollback", "back", "0");
      assert.equal(await image("back"), "example.org/shop:2.0.0");
      assert.deepEqual(await argoCd.cli("app", "set", "back", "--sync-policy=automated"), {
        code: 0,
        stdout: "",
        stderr: "",
      });
      await argoCd.refresh("back");
      await until("what Git says", async () => (await image("back")) === "example.org/shop:2.1.0");
    });
  });

  describe("waiting", () => {
    before(() => declare("wait", { values: { repository: "missing.invalid/shop" } }));

    it("ends with 20 where an Application does not become healthy in time", async () => {
      const { code, stdout, stderr } = await argoCd.cli("app", "wait", "wait", "--health", "--timeout=10");
      assert.equal(code, 20);
      assert.equal(messageOf(stderr), `timed out (10s) waiting for app "wait" match desired state`);
      assert.match(stdout, /^The command timed out waiting for the conditions to be met\.$/m);
      assert.match(stdout, /^Health Status: +Progressing$/m);
    });

    it("ends with 0 when it is", async () => {
      await apply(application({ name: "wait", url: repository.url, values: { repository: "example.org/shop" } }));
      await healthy("wait");
      const result = await argoCd.cli("app", "wait", "wait", "--health", "--sync", "--timeout=20");
      assert.match(succeeded(result), /^Health Status: +Healthy$/m);
    });

    it("is for an Application that is there: of another it only says that it is not permitted", async () => {
      refused(
        await argoCd.cli("app", "wait", "nobody", "--health", "--timeout=3"),
        "rpc error: code = PermissionDenied desc = permission denied",
      );
    });
  });

  it("terminates an operation that waits for a hook", async () => {
    await declare("hook", { values: { hook: true }, namespaceKinds: [...appKinds, { group: "batch", kind: "Job" }] });
    await argoCd.becomes("hook", "waiting", ({ status }) =>
      status?.operationState?.message?.startsWith("waiting for completion of hook batch/Job/before"),
    );
    succeeded(await argoCd.cli("app", "terminate-op", "hook"));
    const { status } = await argoCd.becomes("hook", "ended", (each) => each.operation === undefined);
    assert.deepEqual(
      [status!.operationState!.phase, status!.operationState!.message],
      ["Failed", "Operation terminated"],
    );
  });

  it("lists resources, and has no flag for their health", async () => {
    const listed = succeeded(await argoCd.cli("app", "resources", "auto"));
    assert.match(listed, /^GROUP +KIND +NAMESPACE +NAME +ORPHANED\n +Service +auto +shop +No/);
    const { code, stdout } = await argoCd.cli("app", "resources", "auto", "--health-status=Healthy");
    assert.equal(code, 1);
    assert.match(stdout, /^Error: unknown flag: --health-status\n/);
    // Of pods that run nowhere there are no lines.
    assert.equal(succeeded(await argoCd.cli("app", "logs", "auto", "--tail=5")), "");
  });

  describe("a project", () => {
    const invalid = async (name: string) => {
      const { status } = await argoCd.becomes(name, "invalid", ({ status }) => status?.conditions?.length);
      assert.deepEqual(
        status!.conditions!.map(({ type }) => type),
        ["InvalidSpecError"],
      );
      assert.equal(status!.sync!.status, "Unknown");
      return status!.conditions![0]!.message;
    };
    const refusedResource = async (name: string, kind: string) => {
      const find = ({ status }: Application) =>
        status?.operationState?.syncResult?.resources?.find((each) => each.kind === kind);
      const found = find(await argoCd.becomes(name, `with a result for ${kind}`, find))!;
      assert.equal(found.status, "SyncFailed");
      return found.message;
    };

    it("keeps out a kind that it does not name", async () => {
      const extra = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "extra" }, data: { key: "value" } };
      await declare("kind", { values: { extra } });
      assert.equal(await refusedResource("kind", "ConfigMap"), "resource :ConfigMap is not permitted in project kind");
      // And with it all the rest.
      assert.equal(await kubernetes.client.get("/apis/apps/v1/namespaces/kind/deployments/shop"), undefined);
      const role = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "extra" } };
      await declare("role", { values: { extra: role } });
      assert.equal(
        await refusedResource("role", "ClusterRole"),
        "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project role",
      );
    });

    it("keeps out a namespace that is no destination, of an Application and of an object", async () => {
      await declare("place", { namespace: "elsewhere" });
      assert.equal(
        await invalid("place"),
        "application destination server 'https://kubernetes.default.svc' and namespace 'elsewhere' do not match any " +
          "of the allowed destinations in project 'place'",
      );
      const metadata = { name: "extra", namespace: "kube-public" };
      const extra = { apiVersion: "v1", kind: "Service", metadata, spec: { ports: [{ port: 80 }] } };
      await declare("object", { values: { extra } });
      assert.equal(
        await refusedResource("object", "Service"),
        "namespace kube-public is not permitted in project 'object'",
      );
    });

    it("keeps out another repository, and is kept from another project's password", async () => {
      await declare("source");
      await apply(application({ name: "foreign", project: "source", url: foreign.url, namespace: "source" }));
      assert.equal(await invalid("foreign"), `application repo ${foreign.url} is not permitted in project 'source'`);
      await apply(
        appProject({ name: "thief", url: repository.url }),
        application({ name: "thief", url: repository.url }),
      );
      const { status } = await argoCd.becomes("thief", "refused", ({ status }) => status?.conditions?.length);
      assert.match(status!.conditions![0]!.message, /authentication required/);
    });

    it("must allow namespaces for CreateNamespace, unless the namespace is there", async () => {
      await declare("home", { clusterKinds: [] });
      assert.equal(await refusedResource("home", "Namespace"), "resource :Namespace is not permitted in project home");
      await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "home" } });
      await healthy("home");
    });
  });
});

const appKinds = [
  { group: "apps", kind: "Deployment" },
  { group: "", kind: "Service" },
];

/** What the CLI's last line of JSON says. */
function messageOf(stderr: string): string {
  const line = stderr.trimEnd().split("\n").at(-1)!;
  return line.startsWith("{") ? (JSON.parse(line) as { msg: string }).msg : line;
}
