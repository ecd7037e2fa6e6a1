import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Octokit } from "@octokit/rest";
import sodium from "libsodium-wrappers";
import { GitHub } from "../github/index.ts";
import { StandIn } from "../stand-in/server.ts";

const token = "the-token";
const acme = { login: "acme", id: 77, type: "Organization" } as const;
const api = { owner: "acme", repo: "api" };
const base64 = (text: string) => Buffer.from(text).toString("base64");
const sha1 = (type: string, content: string) =>
  createHash("sha1")
    .update(`${type} ${Buffer.byteLength(content)}\0${content}`)
    .digest("hex");
const message = "a change";

/** What GitHub answers to a request that it refuses. */
interface Answer {
  message: string;
  documentation_url: string;
  status: string;
  errors?: unknown;
}

describe("The stand-in of GitHub", () => {
  let github: GitHub;
  let server: StandIn;
  let client: Octokit;

  const clientOf = (auth: string | undefined, of = server) =>
    new Octokit({
      auth,
      baseUrl: `${of.url}/api/v3`,
      // The tests say what is refused; nobody has to read it besides.
      log: { debug() {}, info() {}, warn() {}, error() {} },
    });

  beforeEach(async () => {
    github = new GitHub({ owner: acme, repositories: ["api", "package"], token });
    server = await StandIn.start(github);
    client = clientOf(token);
  });
  afterEach(() => server.close());

  /** @returns the answer's body, of what has to be refused with a status and a message */
  async function refused(call: Promise<unknown>, status: number, text: string | RegExp): Promise<Answer> {
    let body: Answer | undefined;
    await assert.rejects(call, (error: { status: number; response: { data: Answer } }) => {
      body = error.response.data;
      assert.equal(error.status, status, body.message);
      assert.equal(body.status, String(status));
      if (typeof text === "string") assert.equal(body.message, text);
      else assert.match(body.message, text);
      assert.match(body.documentation_url, /^https:\/\/docs\.github\.com\/rest/);
      return true;
    });
    return body!;
  }

  const headOf = async (branch: string) =>
    (await client.git.getRef({ ...api, ref: `heads/${branch}` })).data.object.sha;

  const branchFrom = async (branch: string, from = "main") =>
    client.git.createRef({ ...api, ref: `refs/heads/${branch}`, sha: await headOf(from) });

  const put = (path: string, content: string, more: { branch?: string; sha?: string } = {}) =>
    client.repos.createOrUpdateFileContents({ ...api, path, message, content: base64(content), ...more });

  async function textOf(path: string, ref?: string): Promise<string> {
    const { data } = await client.repos.getContent({ ...api, path, ref });
    assert.ok(!Array.isArray(data) && data.type === "file");
    return Buffer.from(data.content, "base64").toString();
  }

  describe("accounts and repositories", () => {
    it("tells who the owner is and what is theirs", async () => {
      assert.equal((await client.orgs.get({ org: "Acme" })).data.id, 77);
      assert.equal((await client.users.getAuthenticated()).data.login, "octocat");
      assert.equal((await client.users.getByUsername({ username: "octocat" })).data.id, 583231);
      assert.equal((await client.repos.get(api)).data.full_name, "acme/api");
      const names = await client.paginate(client.repos.listForOrg, { org: "acme", per_page: 1 });
      assert.deepEqual(
        names.map(({ name }) => name),
        ["api", "package"],
      );
    });

    it("knows no other repository, organisation or person", async () => {
      await refused(client.repos.get({ owner: "acme", repo: "other" }), 404, "Not Found");
      await refused(client.repos.get({ owner: "other", repo: "api" }), 404, "Not Found");
      await refused(client.orgs.get({ org: "other" }), 404, "Not Found");
      await refused(client.users.getByUsername({ username: "other" }), 404, "Not Found");
    });

    it("gets more repositories later", async () => {
      const { id } = (await client.repos.get(api)).data;
      github.expect(["API", "more"]);
      assert.equal((await client.repos.get({ owner: "acme", repo: "more" })).data.name, "more");
      assert.equal((await client.repos.get(api)).data.id, id);
    });

    it("has no organisation where the owner is a person", async () => {
      const own = await StandIn.start(
        new GitHub({ owner: { login: "ana", id: 5, type: "User" }, repositories: ["site"], token }),
      );
      const client = clientOf(token, own);
      await refused(client.orgs.get({ org: "ana" }), 404, "Not Found");
      await refused(client.actions.getOrgPublicKey({ org: "ana" }), 404, "Not Found");
      assert.equal((await client.users.getAuthenticated()).data.login, "ana");
      assert.equal((await client.repos.listForUser({ username: "ana" })).data[0]!.name, "site");
      await own.close();
    });

    it("lets only its token in", async () => {
      const { documentation_url } = await refused(clientOf("another").repos.get(api), 401, "Bad credentials");
      assert.equal(documentation_url, "https://docs.github.com/rest/repos/repos#get-a-repository");
      await refused(clientOf(undefined).repos.get(api), 401, "Requires authentication");
      const nothing = clientOf("another").request("PUT /repos/acme/api/contents/a", { data: "" });
      await refused(nothing, 401, "Bad credentials");
    });

    it("counts the requests of the hour, and stops at the limit", async () => {
      await server.close();
      server = await StandIn.start(new GitHub({ owner: acme, repositories: ["api"], token, rateLimit: 2 }));
      client = clientOf(token);
      assert.equal((await client.repos.get(api)).headers["x-ratelimit-remaining"], "1");
      assert.equal((await client.repos.get(api)).headers["x-ratelimit-remaining"], "0");
      await refused(client.repos.get(api), 403, /^API rate limit exceeded/);
    });

    it("answers 304 to who has it already", async () => {
      const { headers } = await client.repos.get(api);
      const again = (tag: string) => client.repos.get({ ...api, headers: { "if-none-match": tag } });
      await assert.rejects(again(headers.etag!), { status: 304 });
      assert.equal((await again('W/"other"')).status, 200);
    });
  });

  describe("files", () => {
    it("starts each repository with a README.md on main", async () => {
      const { data } = await client.repos.getContent({ ...api, path: "README.md" });
      assert.ok(!Array.isArray(data) && data.type === "file");
      assert.equal(data.sha, sha1("blob", "# api\n"));
      assert.equal(new URL(data.url).searchParams.get("ref"), "main");
    });

    it("creates, changes and deletes a file, each by a commit", async () => {
      const created = await put("a/b.yml", "one\n");
      assert.equal(created.status, 201);
      assert.equal(created.data.content?.sha, sha1("blob", "one\n"));
      const changed = await put("a/b.yml", "two\n", { sha: sha1("blob", "one\n") });
      assert.equal(changed.status, 200);
      assert.equal(changed.data.commit.parents![0]!.sha, created.data.commit.sha);
      assert.equal(await headOf("main"), changed.data.commit.sha);
      assert.equal(await textOf("a/b.yml"), "two\n");
      assert.equal(await textOf("a/b.yml", created.data.commit.sha), "one\n");
      await client.repos.deleteFile({ ...api, path: "a/b.yml", message, sha: sha1("blob", "two\n") });
      await refused(client.repos.getContent({ ...api, path: "a/b.yml" }), 404, "Not Found");
      const { data: commits } = await client.repos.listCommits({ ...api, path: "a/b.yml" });
      assert.equal(commits.length, 3);
      const { data: commit } = await client.repos.getCommit({ ...api, ref: commits[1]!.sha });
      assert.deepEqual(
        commit.files!.map(({ filename, status }) => ({ filename, status })),
        [{ filename: "a/b.yml", status: "modified" }],
      );
    });

    it("names trees and commits as git does", async () => {
      await put("a.yml", "one\n");
      await put("a/b.yml", "one\n");
      const { data } = await client.repos.getCommit({ ...api, ref: "main" });
      const entry = (mode: string, name: string, hash: string) =>
        Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(hash, "hex")]).toString("latin1");
      const hash = (type: string, text: string) =>
        createHash("sha1")
          .update(Buffer.from(`${type} ${text.length}\0${text}`, "latin1"))
          .digest("hex");
      const inner = hash("tree", entry("100644", "b.yml", sha1("blob", "one\n")));
      const readme = entry("100644", "README.md", sha1("blob", "# api\n"));
      // A folder is sorted as `a/`: after `a.yml`.
      const tree = hash("tree", readme + entry("100644", "a.yml", sha1("blob", "one\n")) + entry("40000", "a", inner));
      assert.equal(data.commit.tree.sha, tree);
      const { name, email, date } = data.commit.author!;
      const who = `${name} <${email}> ${Date.parse(date!) / 1000} +0000`;
      const text = `tree ${tree}\nparent ${data.parents[0]!.sha}\nauthor ${who}\ncommitter ${who}\n\n${message}`;
      assert.equal(data.sha, sha1("commit", text));
    });

    it("lists a folder", async () => {
      await put("a/b.yml", "one\n");
      const { data } = await client.repos.getContent({ ...api, path: "" });
      assert.ok(Array.isArray(data));
      assert.deepEqual(
        data.map(({ type, path }) => `${type} ${path}`),
        ["file README.md", "dir a"],
      );
    });

    it("wants the hash of what is replaced", async () => {
      await refused(put("README.md", "new"), 422, 'Invalid request.\n\n"sha" wasn\'t supplied.');
      const stale = sha1("blob", "old");
      await refused(put("README.md", "new", { sha: stale }), 409, `README.md does not match ${stale}`);
      const deletion = client.repos.deleteFile({ ...api, path: "README.md", message, sha: stale });
      await refused(deletion, 409, `README.md does not match ${stale}`);
      assert.equal(await textOf("README.md"), "# api\n");
      assert.equal((await put("new.md", "new", { sha: stale })).status, 201, "a hash for nothing is no mistake");
    });

    it("commits to a branch that exists", async () => {
      await refused(put("a", "a", { branch: "other" }), 404, "Branch other not found");
      const absent = client.repos.getContent({ ...api, path: "README.md", ref: "other" });
      await refused(absent, 404, "No commit found for the ref other");
      await branchFrom("feature/one");
      await put("a", "a", { branch: "feature/one" });
      assert.equal(await textOf("a", "feature/one"), "a");
      await refused(client.repos.getContent({ ...api, path: "a" }), 404, "Not Found");
    });

    it("takes the first commit to an empty repository", async () => {
      github.empty("api");
      await refused(client.repos.getContent({ ...api, path: "a" }), 404, "This repository is empty.");
      await refused(client.git.getRef({ ...api, ref: "heads/main" }), 409, "Git Repository is empty.");
      assert.equal((await put("a", "first")).status, 201);
      assert.equal(await textOf("a"), "first");
    });
  });

  describe("branches", () => {
    it("are made, renamed and deleted", async () => {
      await branchFrom("feature/one");
      await refused(branchFrom("feature/one"), 422, "Reference already exists");
      const unknown = client.git.createRef({ ...api, ref: "refs/heads/x", sha: "0".repeat(40) });
      await refused(unknown, 422, "Object does not exist");
      const { data } = await client.repos.getBranch({ ...api, branch: "feature/one" });
      assert.equal(data.commit.sha, await headOf("main"));
      await client.repos.renameBranch({ ...api, branch: "feature/one", new_name: "two" });
      const { data: branches } = await client.repos.listBranches(api);
      assert.deepEqual(
        branches.map(({ name }) => name),
        ["main", "two"],
      );
      await client.git.deleteRef({ ...api, ref: "heads/two" });
      await refused(client.repos.getBranch({ ...api, branch: "two" }), 404, "Branch not found");
      await refused(client.git.deleteRef({ ...api, ref: "heads/two" }), 422, "Reference does not exist");
    });
  });

  describe("secrets and variables", () => {
    const seal = (value: string, key: string) =>
      sodium.to_base64(
        sodium.crypto_box_seal(value, sodium.from_base64(key, sodium.base64_variants.ORIGINAL)),
        sodium.base64_variants.ORIGINAL,
      );
    const environment = { ...api, environment_name: "prod/eu" };
    before(() => sodium.ready);
    beforeEach(() => client.repos.createOrUpdateEnvironment(environment));

    it("opens what was sealed with the key of its place, and tells nobody", async () => {
      const { data: key } = await client.actions.getRepoPublicKey(api);
      const secret_name = "token";
      const sealed = { encrypted_value: seal("s3cret", key.key), key_id: key.key_id };
      assert.equal((await client.actions.createOrUpdateRepoSecret({ ...api, secret_name, ...sealed })).status, 201);
      assert.equal(github.secretValue("TOKEN", { repository: "api" }), "s3cret");
      const before = (await client.actions.getRepoSecret({ ...api, secret_name })).data;
      assert.deepEqual(Object.keys(before), ["name", "created_at", "updated_at"]);
      assert.equal(before.name, "TOKEN");
      assert.equal((await client.actions.createOrUpdateRepoSecret({ ...api, secret_name, ...sealed })).status, 204);
      const { data: after } = await client.actions.getRepoSecret({ ...api, secret_name });
      assert.equal(after.created_at, before.created_at);
      assert.ok(after.updated_at > before.updated_at);
      await client.actions.deleteRepoSecret({ ...api, secret_name });
      await refused(client.actions.getRepoSecret({ ...api, secret_name }), 404, "Not Found");
      assert.throws(() => github.secretValue("TOKEN", { repository: "api" }), /no secret TOKEN/);
    });

    it("refuses what was sealed with another key", async () => {
      const { data: key } = await client.actions.getRepoPublicKey(api);
      const { data: other } = await client.actions.getEnvironmentPublicKey(environment);
      const put = (encrypted_value: string, key_id: string) =>
        client.actions.createOrUpdateRepoSecret({ ...api, secret_name: "TOKEN", encrypted_value, key_id });
      const text = "Bad request - validation failed due to an improperly encrypted secret";
      await refused(put(seal("s3cret", other.key), key.key_id), 422, text);
      await refused(put(seal("s3cret", key.key), other.key_id), 422, text);
      await refused(put(base64("s3cret"), key.key_id), 422, text);
      await refused(put("no base64!", key.key_id), 422, /^Invalid request\.\n\n.*pattern/);
    });

    it("keeps those of an environment in it, by the repository's id too", async () => {
      const { id } = (await client.repos.get(api)).data;
      const path = `/repositories/${id}/environments/prod%2Feu/secrets`;
      const { data: key } = await client.request(`GET ${path}/public-key`);
      const sealed = { encrypted_value: seal("inside", key.key), key_id: key.key_id };
      await client.request(`PUT ${path}/TOKEN`, sealed);
      assert.equal(github.secretValue("TOKEN", { repository: "api", environment: "prod/eu" }), "inside");
      assert.equal((await client.actions.listEnvironmentSecrets(environment)).data.total_count, 1);
      assert.equal((await client.actions.listRepoSecrets(api)).data.total_count, 0);
      const absent = client.actions.getEnvironmentPublicKey({ ...api, environment_name: "other" });
      await refused(absent, 404, "Not Found");
    });

    it("gives those of the organisation to selected repositories", async () => {
      const org = "acme";
      const [one, two] = (await client.repos.listForOrg({ org })).data.map(({ id }) => id) as [number, number];
      const { data: key } = await client.actions.getOrgPublicKey({ org });
      const secret_name = "TOKEN";
      const sealed = { encrypted_value: seal("everywhere", key.key), key_id: key.key_id };
      await client.actions.createOrUpdateOrgSecret({
        org,
        secret_name,
        visibility: "selected",
        selected_repository_ids: [one],
        ...sealed,
      });
      assert.equal(github.secretValue("TOKEN"), "everywhere");
      const selected = async () =>
        (await client.actions.listSelectedReposForOrgSecret({ org, secret_name })).data.repositories.map(
          ({ name }) => name,
        );
      assert.deepEqual(await selected(), ["api"]);
      await client.actions.addSelectedRepoToOrgSecret({ org, secret_name, repository_id: two });
      assert.deepEqual(await selected(), ["api", "package"]);
      await client.actions.setSelectedReposForOrgSecret({ org, secret_name, selected_repository_ids: [two] });
      assert.deepEqual(await selected(), ["package"]);
      // The value stays where only the readers change.
      await client.actions.createOrUpdateOrgSecret({ org, secret_name, visibility: "all" });
      assert.equal((await client.actions.getOrgSecret({ org, secret_name })).data.visibility, "all");
      assert.equal(github.secretValue("TOKEN"), "everywhere");
      await refused(client.actions.listSelectedReposForOrgSecret({ org, secret_name }), 409, "Conflict");
    });

    it("creates a variable once, and changes what exists", async () => {
      const variable = { name: "region", value: "east" };
      const places = {
        repository: {
          create: () => client.actions.createRepoVariable({ ...api, ...variable }),
          update: (name: string, value: string) => client.actions.updateRepoVariable({ ...api, name, value }),
          get: (name: string) => client.actions.getRepoVariable({ ...api, name }),
          remove: (name: string) => client.actions.deleteRepoVariable({ ...api, name }),
        },
        environment: {
          create: () => client.actions.createEnvironmentVariable({ ...environment, ...variable }),
          update: (name: string, value: string) =>
            client.actions.updateEnvironmentVariable({ ...environment, name, value }),
          get: (name: string) => client.actions.getEnvironmentVariable({ ...environment, name }),
          remove: (name: string) => client.actions.deleteEnvironmentVariable({ ...environment, name }),
        },
        organisation: {
          create: () => client.actions.createOrgVariable({ org: "acme", ...variable, visibility: "private" }),
          update: (name: string, value: string) => client.actions.updateOrgVariable({ org: "acme", name, value }),
          get: (name: string) => client.actions.getOrgVariable({ org: "acme", name }),
          remove: (name: string) => client.actions.deleteOrgVariable({ org: "acme", name }),
        },
      };
      for (const place of Object.values(places)) {
        assert.equal((await place.create()).status, 201);
        await refused(place.create(), 409, "Already exists - Variable already exists");
        await place.update("REGION", "west");
        assert.equal((await place.get("Region")).data.value, "west");
        await refused(place.update("OTHER", "west"), 404, "Not Found");
        await place.remove("REGION");
        await refused(place.get("REGION"), 404, "Not Found");
      }
      const named = (name: string) => client.actions.createRepoVariable({ ...api, name, value: "x" });
      await refused(named("GITHUB_X"), 422, "Variable names must not start with GITHUB_.");
      await refused(named("a-b"), 422, /^Variable names can only contain/);
    });
  });

  describe("environments", () => {
    const environment = { ...api, environment_name: "prod" };
    const custom = { protected_branches: false, custom_branch_policies: true };

    it("keep their rules, and forget what is not said again", async () => {
      await client.repos.createOrUpdateEnvironment({
        ...environment,
        wait_timer: 10,
        prevent_self_review: true,
        reviewers: [{ type: "User", id: 5 }],
        deployment_branch_policy: custom,
      });
      const { data } = await client.repos.getEnvironment(environment);
      assert.deepEqual(
        data.protection_rules!.map(({ type }) => type),
        ["wait_timer", "required_reviewers", "branch_policy"],
      );
      assert.deepEqual(data.deployment_branch_policy, custom);
      await client.repos.createOrUpdateEnvironment(environment);
      assert.deepEqual((await client.repos.getEnvironment(environment)).data.protection_rules, []);
      await client.repos.deleteAnEnvironment(environment);
      await refused(client.repos.getEnvironment(environment), 404, "Not Found");
    });

    it("refuse a policy that says nothing, and a wrong body", async () => {
      const both = { protected_branches: true, custom_branch_policies: true };
      const put = client.repos.createOrUpdateEnvironment({ ...environment, deployment_branch_policy: both });
      await refused(put, 422, /cannot have the same value/);
      const late = client.request("PUT /repos/acme/api/environments/prod", { data: { wait_timer: "late" } });
      await refused(late, 422, `Invalid request.\n\nFor 'properties/wait_timer', "late" is not an integer.`);
    });

    it("take patterns of branches and tags once each, where custom policies are on", async () => {
      await client.repos.createOrUpdateEnvironment(environment);
      const create = (name: string, type: "branch" | "tag") =>
        client.repos.createDeploymentBranchPolicy({ ...environment, name, type });
      await refused(create("main", "branch"), 404, "Not Found");
      await client.repos.createOrUpdateEnvironment({ ...environment, deployment_branch_policy: custom });
      const { data } = await create("v*", "branch");
      await create("v*", "tag");
      const again = await fetch(`${server.url}/api/v3/repos/acme/api/environments/prod/deployment-branch-policies`, {
        method: "POST",
        redirect: "manual",
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify({ name: "v*", type: "tag" }),
      });
      assert.equal(again.status, 303);
      // Who follows the redirect reads the list, and finds no id.
      assert.equal((await create("v*", "tag")).data.id, undefined);
      const id = { ...environment, branch_policy_id: data.id! };
      await client.repos.updateDeploymentBranchPolicy({ ...id, name: "main" });
      assert.equal((await client.repos.getDeploymentBranchPolicy(id)).data.name, "main");
      await client.repos.deleteDeploymentBranchPolicy(id);
      await refused(client.repos.getDeploymentBranchPolicy(id), 404, "Not Found");
      assert.equal((await client.repos.listDeploymentBranchPolicies(environment)).data.total_count, 1);
    });
  });

  describe("webhooks", () => {
    const url = "https://argocd.example.com/api/webhook";
    const create = (config: object = {}, more = {}) =>
      client.repos.createWebhook({ ...api, config: { url, content_type: "json", ...config }, ...more });
    const errorsOf = async (call: Promise<unknown>) => (await refused(call, 422, "Validation Failed")).errors;
    const custom = (message: string) => [{ resource: "Hook", code: "custom", message }];
    const held = () => {
      const { api } = github.snapshot()["repositories"] as Record<string, { webhooks: object[] }>;
      return api!.webhooks;
    };

    it("are made, read, listed and deleted, and tell that there is a secret", async () => {
      const { status, data, headers } = await create({ secret: "s3cret" });
      assert.equal(status, 201);
      assert.equal(headers.location, data.url);
      assert.equal(data.url, `${server.url}/api/v3/repos/acme/api/hooks/${data.id}`);
      const { type, name, active, events, config, last_response } = data;
      assert.deepEqual(
        { type, name, active, events, config, last_response },
        {
          type: "Repository",
          name: "web",
          active: true,
          events: ["push"],
          config: { url, content_type: "json", insecure_ssl: "0", secret: "********" },
          last_response: { code: null, status: "unused", message: null },
        },
      );
      const id = { ...api, hook_id: data.id };
      assert.deepEqual((await client.repos.getWebhook(id)).data, data);
      const other = (await create({ url: "https://other.example.com", insecure_ssl: 1 }, { events: ["fork"] })).data;
      assert.deepEqual(other.config, {
        url: "https://other.example.com",
        content_type: "json",
        insecure_ssl: "1",
      });
      assert.deepEqual(await client.paginate(client.repos.listWebhooks, { ...api, per_page: 1 }), [data, other]);
      assert.deepEqual((await client.repos.listWebhooks({ ...api, repo: "package" })).data, []);
      await client.repos.deleteWebhook(id);
      await refused(client.repos.getWebhook(id), 404, "Not Found");
      await refused(client.repos.deleteWebhook(id), 404, "Not Found");
    });

    it("are changed: a config as a whole, its secret with it; events by name too", async () => {
      const { data } = await create({ secret: "s3cret" });
      const update = (more: object) => client.repos.updateWebhook({ ...api, hook_id: data.id, ...more });
      const changed = (await update({ active: false, add_events: ["fork"], remove_events: ["push"] })).data;
      assert.deepEqual([changed.active, changed.events], [false, ["fork"]]);
      assert.ok(changed.updated_at > data.updated_at);
      const kept = { url, content_type: "json", insecure_ssl: "0", active: false, events: ["fork"] };
      assert.deepEqual(held(), [{ ...kept, secret: "s3cret" }]);
      await update({ config: { url, content_type: "json", secret: "another" } });
      assert.deepEqual(held(), [{ ...kept, secret: "another" }]);
      assert.equal((await update({ config: { url } })).data.config.secret, undefined);
      assert.deepEqual(held(), [{ ...kept, content_type: "form", secret: undefined }]);
      assert.deepEqual(
        await errorsOf(update({ config: { secret: "x" } })),
        custom("Config must contain URL for webhooks"),
      );
    });

    it("share a config only where they share no event", async () => {
      const { data } = await create({ secret: "s3cret" });
      const exists = custom("Hook already exists on this repository");
      assert.deepEqual(await errorsOf(create({ secret: "s3cret" })), exists);
      assert.deepEqual(await errorsOf(create({}, { events: ["fork", "push"] })), exists);
      const other = (await create({}, { events: ["fork"] })).data;
      const both = { ...api, hook_id: other.id, events: ["fork", "push"] };
      assert.deepEqual(await errorsOf(client.repos.updateWebhook(both)), exists);
      await create({ content_type: "form" });
      assert.equal((await create({}, { repo: "package" })).status, 201);
      await client.repos.deleteWebhook({ ...api, hook_id: data.id });
      assert.equal((await client.repos.updateWebhook(both)).status, 200);
    });

    it("are held against the description", async () => {
      await refused(create({ insecure_ssl: true }), 422, /^Invalid request\./);
      await refused(create({}, { events: "push" }), 422, /events.* is not an array/);
      assert.deepEqual(await errorsOf(client.repos.createWebhook(api)), custom("Config must contain URL for webhooks"));
    });
  });

  describe("rulesets", () => {
    const ruleset = { ...api, name: "main", target: "branch", enforcement: "active" } as const;
    const conditions = { ref_name: { include: ["~DEFAULT_BRANCH"], exclude: [] } };

    it("are made, changed and deleted; a name is one ruleset's", async () => {
      const { data } = await client.repos.createRepoRuleset({ ...ruleset, rules: [{ type: "deletion" }] });
      const { errors } = await refused(client.repos.createRepoRuleset(ruleset), 422, "Validation Failed");
      assert.deepEqual(errors, ["Name must be unique"]);
      await client.repos.createRepoRuleset({ ...ruleset, target: "tag" });
      const id = { ...api, ruleset_id: data.id };
      await client.repos.updateRepoRuleset({ ...id, enforcement: "disabled" });
      const { data: changed } = await client.repos.getRepoRuleset(id);
      assert.equal(changed.enforcement, "disabled");
      assert.deepEqual(changed.rules, [{ type: "deletion" }]);
      assert.equal((await client.repos.getRepoRulesets(api)).data.length, 2);
      await client.repos.deleteRepoRuleset(id);
      await refused(client.repos.getRepoRuleset(id), 404, "Not Found");
    });

    it("hold: a branch changes by pull requests only, a tag stays", async () => {
      const parameters = {
        dismiss_stale_reviews_on_push: false,
        require_code_owner_review: false,
        require_last_push_approval: false,
        required_approving_review_count: 1,
        required_review_thread_resolution: false,
      };
      const rules = [{ type: "pull_request", parameters } as const];
      const { data } = await client.repos.createRepoRuleset({ ...ruleset, conditions, rules });
      const text = "Repository rule violations found\n\nChanges must be made through a pull request.\n\n";
      await refused(put("a", "a"), 409, text);
      await branchFrom("feature");
      await put("a", "a", { branch: "feature" });
      const { data: pull } = await client.pulls.create({ ...api, title: "a", head: "feature", base: "main" });
      github.merge("api", pull.number);
      assert.equal(await textOf("a"), "a");
      await client.repos.updateRepoRuleset({ ...api, ruleset_id: data.id, enforcement: "disabled" });
      await put("b", "b");

      const tags = { ref_name: { include: ["refs/tags/v*"], exclude: [] } };
      const kept = { ...ruleset, target: "tag", conditions: tags, rules: [{ type: "deletion" }] } as const;
      await client.repos.createRepoRuleset({ ...kept, rules: [{ type: "deletion" }] });
      for (const tag of ["v1", "x1"]) {
        await client.git.createRef({ ...api, ref: `refs/tags/${tag}`, sha: await headOf("main") });
      }
      await client.git.deleteRef({ ...api, ref: "tags/x1" });
      await refused(client.git.deleteRef({ ...api, ref: "tags/v1" }), 422, /^Repository rule violations found/);
    });

    it("are refused where the description knows no such rule", async () => {
      const rules = [{ type: "prayer" }] as never;
      await refused(client.repos.createRepoRuleset({ ...ruleset, rules }), 422, /^Invalid request\./);
      const never = { ...ruleset, enforcement: "never" as never };
      const text = `Invalid request.\n\nFor 'properties/enforcement', "never" is not a member of ["disabled","active","evaluate"].`;
      await refused(client.repos.createRepoRuleset(never), 422, text);
    });
  });

  describe("pull requests", () => {
    const create = (more = {}) => client.pulls.create({ ...api, title: "One", head: "one", base: "main", ...more });
    const get = async (pull_number: number) => (await client.pulls.get({ ...api, pull_number })).data;
    beforeEach(() => branchFrom("one"));

    it("need something to merge, and are one for a branch", async () => {
      const errorsOf = async (call: Promise<unknown>) => (await refused(call, 422, "Validation Failed")).errors;
      const custom = (message: string) => [{ resource: "PullRequest", code: "custom", message }];
      assert.deepEqual(await errorsOf(create()), custom("No commits between main and one"));
      await put("a", "a", { branch: "one" });
      assert.equal((await create()).data.number, 1);
      assert.deepEqual(await errorsOf(create()), custom("A pull request already exists for acme:one."));
      const invalid = (field: string) => [{ resource: "PullRequest", field, code: "invalid" }];
      assert.deepEqual(await errorsOf(create({ head: "other" })), invalid("head"));
      assert.deepEqual(await errorsOf(create({ base: "other" })), invalid("base"));
      assert.equal((await client.pulls.list({ ...api, head: "acme:one" })).data.length, 1);
      assert.equal((await client.pulls.list({ ...api, state: "closed" })).data.length, 0);
    });

    it("follow their branch, are edited and merged", async () => {
      await put("a", "a", { branch: "one" });
      const { number } = (await create()).data;
      const { data } = await put("b", "b", { branch: "one" });
      assert.equal((await get(number)).head.sha, data.commit.sha);
      await put("c", "c");
      await client.pulls.update({ ...api, pull_number: number, title: "Two" });
      const sha = github.merge("api", number);
      const { title, merged, state, merge_commit_sha } = await get(number);
      assert.deepEqual(
        { title, merged, state, merge_commit_sha },
        { title: "Two", merged: true, state: "closed", merge_commit_sha: sha },
      );
      assert.equal(await headOf("main"), sha);
      assert.deepEqual([await textOf("a"), await textOf("b"), await textOf("c")], ["a", "b", "c"]);
      await refused(client.pulls.merge({ ...api, pull_number: number }), 405, "Pull Request is not mergeable");
    });

    it("are not merged over a change of the same file", async () => {
      await put("a", "a", { branch: "one" });
      const { number } = (await create()).data;
      await put("a", "another");
      await refused(client.pulls.merge({ ...api, pull_number: number }), 405, "Pull Request is not mergeable");
    });

    it("are closed with their branch", async () => {
      await put("a", "a", { branch: "one" });
      const { number } = (await create()).data;
      await client.git.deleteRef({ ...api, ref: "heads/one" });
      assert.equal((await get(number)).state, "closed");
    });
  });

  describe("the server", () => {
    const raw = (path: string, init: RequestInit = {}) =>
      fetch(`${server.url}/api/v3${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });

    it("tells what it does not know yet from what GitHub does not have", async () => {
      assert.equal((await raw("/repos/acme/api/issues")).status, 501);
      assert.equal((await raw("/repos/acme/api/nothing")).status, 404);
      assert.deepEqual(server.problems, [
        "issues/list-for-repo: the stand-in of GitHub does not know this operation yet",
        "GET /api/v3/repos/acme/api/nothing: GitHub has no such path",
      ]);
    });

    it("finds each of GitHub's operations by its own path", () => {
      const file = createRequire(import.meta.url).resolve("@octokit/openapi/generated/api.github.com.json");
      const { paths } = JSON.parse(readFileSync(file, "utf8")) as {
        paths: Record<string, Record<string, { operationId: string }>>;
      };
      const [description] = github.descriptions;
      const lost = Object.entries(paths).flatMap(([path, operations]) =>
        Object.entries(operations).flatMap(([method, { operationId }]) => {
          const found = description!.match(method.toUpperCase(), path.replaceAll(/\{[^}]+\}/g, "x"));
          return found?.operation === operationId ? [] : [`${operationId}: ${found?.operation}`];
        }),
      );
      // The old name of the same, which it is a case of.
      assert.deepEqual(lost, ["repos/compare-commits: repos/compare-commits-with-basehead"]);
    });

    it("logs every request and what it came to", async () => {
      await client.repos.get(api);
      await refused(put("README.md", "x"), 422, /wasn't supplied/);
      assert.deepEqual(
        server.log.map(({ operation, status }) => ({ operation, status })),
        [
          { operation: "repos/get", status: 200 },
          { operation: "repos/create-or-update-file-contents", status: 422 },
        ],
      );
      assert.deepEqual(server.problems, [], "GitHub's own refusal is nobody's mistake");
    });

    it("holds requests against the description: body, query and what is no JSON", async () => {
      const put = (body: string) => raw("/repos/acme/api/contents/a", { method: "PUT", body });
      const cases: [Promise<Response>, number, RegExp][] = [
        [put('{"message":"a"}'), 422, /"content" wasn't supplied/],
        [put('{"message":"a","content":3}'), 422, /For 'properties\/content', 3 is not a string/],
        [put("{"), 400, /^Problems parsing JSON$/],
        [raw("/orgs/acme/repos?per_page=many"), 422, /per_page/],
        [raw("/orgs/acme/repos?type=nice"), 422, /is not a member of/],
        [raw("/repos/acme/api/pulls/first"), 422, /pull_number/],
        [raw("/repos/acme/%zz"), 404, /^Not Found$/],
      ];
      for (const [request, status, text] of cases) {
        const response = await request;
        assert.equal(response.status, status);
        assert.match(((await response.json()) as Answer).message, text);
      }
    });

    it("breaks a connection before and after the work is done, and answers what it is told to", async () => {
      const path = "/repos/acme/api/contents/a";
      const send = () => raw(path, { method: "PUT", body: JSON.stringify({ message, content: base64("a") }) });
      server.intercept = async () => undefined;
      await assert.rejects(send());
      server.intercept = undefined;
      assert.equal((await raw(path)).status, 404);
      server.intercept = async (_, answer, log) => {
        log.fault = "the answer is lost";
        answer();
        return undefined;
      };
      await assert.rejects(send());
      server.intercept = async () => ({ ...github.refusal(429, "Too many"), headers: { "retry-after": "1" } });
      const limited = await raw(path);
      assert.equal(limited.status, 429);
      assert.equal(limited.headers.get("retry-after"), "1");
      assert.match(((await limited.json()) as Answer).documentation_url, /#about-secondary-rate-limits$/);
      server.intercept = undefined;
      assert.equal((await raw(path)).status, 200, "what was lost was only the answer");
      assert.deepEqual(
        server.log.map(({ status, fault }) => `${status} ${fault ?? ""}`.trim()),
        ["0", "404", "0 the answer is lost", "429", "200"],
      );
    });
  });

  describe("its state", () => {
    async function fill(): Promise<void> {
      await put("deploy.yml", "on: push\n");
      await branchFrom("one");
      await put("a", "a", { branch: "one" });
      await client.pulls.create({ ...api, title: "One", head: "one", base: "main" });
      const environment = { ...api, environment_name: "prod" };
      await client.repos.createOrUpdateEnvironment({
        ...environment,
        reviewers: [{ type: "User", id: 5 }],
        deployment_branch_policy: { protected_branches: false, custom_branch_policies: true },
      });
      await client.repos.createDeploymentBranchPolicy({ ...environment, name: "main" });
      await client.actions.createEnvironmentVariable({ ...environment, name: "REGION", value: "east" });
      const { data: key } = await client.actions.getRepoPublicKey(api);
      await sodium.ready;
      const bytes = sodium.from_base64(key.key, sodium.base64_variants.ORIGINAL);
      const encrypted_value = Buffer.from(sodium.crypto_box_seal("s3cret", bytes)).toString("base64");
      const sealed = { encrypted_value, key_id: key.key_id };
      await client.actions.createOrUpdateRepoSecret({ ...api, secret_name: "TOKEN", ...sealed });
      const selected_repository_ids = [(await client.repos.get(api)).data.id];
      await client.actions.createOrgVariable({
        org: "acme",
        name: "EVERYWHERE",
        value: "x",
        visibility: "selected",
        selected_repository_ids,
      });
      const rules = [{ type: "deletion" }, { type: "update" }] as const;
      await client.repos.createRepoRuleset({ ...api, name: "main", enforcement: "active", rules: [...rules] });
      await client.repos.createWebhook({ ...api, config: { url: "https://example.com/", secret: "s3cret" } });
    }

    it("is the same after the same changes, whatever the times, ids and keys", async () => {
      await fill();
      const first = github.snapshot();
      await server.close();
      github = new GitHub({ owner: acme, repositories: ["more", "api", "package"], token });
      server = await StandIn.start(github);
      client = clientOf(token);
      await put("b", "b");
      await client.repos.deleteFile({ ...api, path: "b", message, sha: sha1("blob", "b") });
      await fill();
      const second = github.snapshot();
      const { more: _, ...repositories } = second["repositories"] as Record<string, unknown>;
      assert.deepEqual({ ...second, repositories }, first);
    });

    it("can be changed behind the engine's back, in every kind of object", async () => {
      assert.deepEqual(github.drifts(), []);
      await fill();
      const titles = github.drifts().map(({ what }) => what);
      assert.deepEqual(titles, [...new Set(titles)], "a title is one drift's");
      assert.deepEqual(titles.sort(), [
        "administrators' right to pass turned over: api/prod",
        "any branch may deploy: api/prod",
        "branch deleted: api one",
        "deployment policy deleted: api/prod branch main",
        "deployment policy widened: api/prod branch main",
        "environment deleted: api/prod",
        "environment's wait timer changed: api/prod",
        "file deleted: api/a on one",
        "file deleted: api/deploy.yml on main",
        "file edited: api/a on one",
        "file edited: api/deploy.yml on main",
        "nobody reviews: api/prod",
        "others review: api/prod",
        "pull request closed: api#1",
        "pull request with another text: api#1",
        "pull request with another title: api#1",
        'ruleset deleted: api "main"',
        'ruleset disabled: api "main"',
        'ruleset that writers may pass: api "main"',
        'ruleset with a rule less: api "main"',
        "secret deleted: api TOKEN",
        "secret set anew: api TOKEN",
        "variable changed: acme EVERYWHERE",
        "variable changed: api/prod REGION",
        "variable deleted: acme EVERYWHERE",
        "variable deleted: api/prod REGION",
        "variable for a repository less: acme EVERYWHERE",
        "variable open to all repositories: acme EVERYWHERE",
        "webhook deleted: api https://example.com/",
        "webhook in another form: api https://example.com/",
        "webhook of other events: api https://example.com/",
        "webhook sent elsewhere: api https://example.com/",
        "webhook switched off: api https://example.com/",
        "webhook that trusts anybody: api https://example.com/",
        "webhook without its secret: api https://example.com/",
        "webhook's secret set anew: api https://example.com/",
      ]);
      const limited = github.drifts().flatMap(({ kind, unseen, unmended }) => (unseen || unmended ? [kind] : []));
      assert.deepEqual(limited.sort(), [
        "branch deleted",
        "nobody reviews",
        "pull request closed",
        "secret set anew",
        "webhook's secret set anew",
      ]);
      for (const title of titles) {
        const before = github.snapshot();
        const drift = github.drifts().find(({ what }) => what === title);
        // What was deleted cannot be changed any more.
        if (!drift) continue;
        drift.apply();
        assert.notDeepEqual(github.snapshot(), before, title);
      }
    });
  });
});
