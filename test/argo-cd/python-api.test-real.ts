/** What a real Argo CD does with python-api's own objects, as each stack declares them, and with each command of its runbooks: 60 s. */
import assert from "node:assert/strict";
import { until } from "../../sandbox/daemon.ts";
import type { KubernetesObject } from "../../sandbox/kubernetes/client.ts";
import type { Kubernetes } from "../../sandbox/kubernetes/index.ts";
import { type Environment, stacks } from "../../systems/python-api/config.ts";
import { typeName } from "../declared.ts";
import { declare, filesOf } from "../systems/python-api/fixture.ts";
import { type Application, type ArgoCd, argoCdSuite } from "./argo-cd.ts";
import type { Repository } from "./git-server.ts";
import { shopChart } from "./shop.ts";

describe("python-api under Argo CD", function () {
  this.timeout(180_000);
  const suite = argoCdSuite();
  let kubernetes: Kubernetes;
  let argoCd: ArgoCd;
  let repository: Repository;
  const login = { username: "x-access-token", password: "a token" };
  const chart = "deployments/helm/api";

  before(() => {
    ({ kubernetes, argoCd } = suite);
    repository = argoCd.git.repository("python-api-base", login);
    const files = Object.entries(shopChart("v0.1.0")).map(([path, text]) => [path.replace(/^shop/, chart), text]);
    repository.commit({
      ...Object.fromEntries(files),
      ...Object.fromEntries(stacks.map((stack) => [`${chart}/values-${stack}.yaml`, "image: {}\n"])),
    });
  });

  /** A window that is closed now: of an hour, twelve hours away. */
  const closed = () => ({
    kind: "allow",
    schedule: `0 ${(new Date().getUTCHours() + 12) % 24} * * *`,
    duration: "1h",
  });
  const open = { kind: "allow", schedule: "*/2 * * * *", duration: "1h" };

  /** Applies what a stack declares for Argo CD, with the repository here in place of GitHub's. */
  const apply = async (stack: Environment, changes: object = {}) => {
    const { resources } = await declare(changes, stack);
    const github = "https://github.com/Sua-Org/python-api-base.git";
    for (const kind of ["AppProject", "Secret", "Application", "ImageUpdater"]) {
      for (const { inputs } of resources.filter((each) => typeName(each) === kind)) {
        const object = JSON.parse(JSON.stringify(inputs).replaceAll(github, repository.url)) as KubernetesObject;
        if (kind === "Secret") {
          const project = `python-api-base-${stack}`;
          object["stringData"] = { type: "git", url: repository.url, project, ...login };
        }
        await kubernetes.client.apply(object);
      }
    }
  };
  const setImage = (stack: Environment, tag: string) => {
    const sha = repository.commit({ [`${chart}/values-${stack}.yaml`]: `tag: ${tag}\n` });
    return argoCd.refresh(`python-api-base-${stack}`).then(() => sha);
  };
  const isAt =
    (sha: string) =>
    ({ status }: Application) =>
      status?.sync?.status === "Synced" && status.health?.status === "Healthy" && status.sync.revision === sha;
  const image = async (stack: Environment): Promise<string> => {
    const path = `/apis/apps/v1/namespaces/python-api-${stack}/deployments/shop`;
    const { spec } = await kubernetes.client.request<{
      spec: { template: { spec: { containers: { image: string }[] } } };
    }>("GET", path);
    return spec.template.spec.containers[0]!.image;
  };
  /** As an operator calls it. */
  const argocd = async (...args: string[]) => {
    const { code, stdout, stderr } = await argoCd.cli(...args);
    return { code, said: `${stdout}${stderr}` };
  };
  const prod = "python-api-base-prod";

  it("syncs dev and staging by itself as soon as a tag is in Git", async () => {
    for (const stack of ["dev", "staging"] as const) {
      await apply(stack);
      const sha = await setImage(stack, `v0.2.0-${stack}.1`);
      await argoCd.becomes(`python-api-base-${stack}`, `at ${sha}`, isAt(sha));
      assert.equal(await image(stack), `example.org/shop:v0.2.0-${stack}.1`);
    }
  });

  it("leaves prod OutOfSync until an operator syncs, whom a closed window refuses, --force and all", async () => {
    await apply("prod", { windows: [closed()] });
    await setImage("prod", "v0.2.0");
    await argoCd.becomes(prod, "behind", ({ status }) => status?.sync?.status === "OutOfSync");
    for (const flags of [[], ["--force"], ["--dry-run"]]) {
      const { code, said } = await argocd("app", "sync", prod, ...flags);
      assert.equal(code, 20);
      assert.match(said, /cannot sync: blocked by sync window/);
    }
    assert.equal((await argocd("app", "diff", prod)).code, 1);
    assert.equal((await argoCd.application(prod)).status?.operationState, undefined);
  });

  it("lets the operator through once the glass is broken, and refuses again when the project is as before", async () => {
    const until = `${new Date(Date.now() + 3 * 3_600_000).toISOString().slice(0, 16)}Z`;
    await apply("prod", { windows: [closed()], breakGlass: { who: "ana", why: "INC-42: it is down", until } });
    await seen(2);
    const { code, said } = await argocd("app", "sync", prod, "--timeout", "60");
    assert.equal(code, 0, said);
    assert.equal(await image("prod"), "example.org/shop:v0.2.0");
    const listed = await argocd("proj", "windows", "list", prod);
    assert.match(listed.said, /Active +allow +\d+ \d+ \d+ \d+ \* +24h/);
    await apply("prod", { windows: [closed()] });
    await seen(1);
    assert.match((await argocd("app", "sync", prod)).said, /blocked by sync window/);
  });

  /** Waits until the API server has seen as many windows. */
  const seen = (count: number) =>
    until("the windows", async () => {
      const { stdout } = await argoCd.cli("proj", "windows", "list", prod, "--output", "json");
      return (JSON.parse(stdout) ?? []).length === count;
    });

  it("takes the kinds of the document's chart, and no Role by which a push would give rights", async () => {
    await apply("prod", { windows: [open] });
    const role = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: { name: "x" }, rules: [] };
    repository.commit({ [`${chart}/values-prod.yaml`]: `extra: ${JSON.stringify(role)}\n` });
    await argoCd.refresh(prod);
    await argocd("app", "sync", prod, "--timeout", "10");
    const { status } = await argoCd.application(prod);
    const resources = status!.operationState!.syncResult!.resources!;
    assert.deepEqual(
      resources.filter(({ kind }) => kind === "Role").map(({ status, message }) => [status, message]),
      [["SyncFailed", `resource rbac.authorization.k8s.io:Role is not permitted in project ${prod}`]],
    );
    await argoCd.cli("app", "terminate-op", prod);
    await setImage("prod", "v0.3.0");
    const synced = await argocd("app", "sync", prod, "--timeout", "60");
    assert.equal(synced.code, 0, synced.said);
  });

  it("rolls prod back to a deployment of the history, which the next sync undoes", async () => {
    const { stdout } = await argoCd.cli("app", "history", prod, "--output", "id");
    const [first] = stdout.trim().split("\n");
    assert.equal((await argocd("app", "rollback", prod, first!, "--prune", "--timeout", "60")).code, 0);
    assert.equal(await image("prod"), "example.org/shop:v0.2.0");
    assert.equal((await argocd("app", "sync", prod, "--timeout", "60")).code, 0);
    assert.equal(await image("prod"), "example.org/shop:v0.3.0");
    const sha = await setImage("dev", "v0.2.0-dev.2");
    await argoCd.becomes("python-api-base-dev", `at ${sha}`, isAt(sha));
    assert.match((await argocd("app", "rollback", "python-api-base-dev")).said, /auto-sync is enabled/);
  });

  it("lets an operator sync, a viewer only look, and neither anything of another environment", async () => {
    const groups = { viewers: ["acme:all"], operators: ["acme:ops"] };
    await apply("prod", { windows: [open], groups });
    const tokenOf = async (role: string) => {
      const { stdout } = await argoCd.cli("proj", "role", "create-token", prod, role, "--token-only");
      return stdout.trim();
    };
    await until("the roles", async () => (await argoCd.cli("proj", "role", "get", prod, "viewer")).code === 0);
    const [viewer, operator] = [await tokenOf("viewer"), await tokenOf("operator")];
    const as = async (token: string, ...args: string[]) => (await argocd("app", ...args, "--auth-token", token)).said;
    const denied = /permission denied/;
    assert.match(await as(viewer, "get", prod), /^Name: +argocd\/python-api-base-prod$/m);
    assert.match(await as(viewer, "sync", prod), denied);
    assert.match(await as(viewer, "rollback", prod), denied);
    assert.doesNotMatch(await as(operator, "sync", prod, "--timeout", "60"), denied);
    for (const token of [viewer, operator]) assert.match(await as(token, "get", "python-api-base-dev"), denied);
    assert.match(await as(operator, "delete", prod, "--yes"), denied);
  });

  it("knows each command of the runbooks, with its flags and arguments", async () => {
    const commands = new Set<string>();
    for (const stack of stacks) {
      const runbook = filesOf(await declare({}, stack))[`docs/runbooks/${stack}.md`]!;
      for (const line of runbook.split("\n").map((each) => each.trim())) {
        if (line.startsWith("argocd ")) commands.add(line);
      }
      // Without a name it is what one speaks of, and no call.
      for (const [, inline = ""] of runbook.matchAll(/`(argocd [^`]*)`/g)) {
        if (inline.includes("python-api-base-")) commands.add(inline);
      }
    }
    assert.ok(commands.size > 20, [...commands].join("\n"));
    for (const command of commands) {
      // A login is interactive, and a wait for health long.
      const words = command.replace("--timeout 600", "--timeout 1").replace(" ID", " 9999").split(" ").slice(1);
      const { said } = await argocd(...(words[0] === "login" ? [...words, "--help"] : words));
      assert.doesNotMatch(
        said,
        /unknown (flag|command|shorthand)|invalid argument|Usage:(?!\n {2}argocd login)/,
        command,
      );
    }
  });
});
