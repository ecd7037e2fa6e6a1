/** The stand-in for Google Cloud, asked by Google's own client libraries. */
import assert from "node:assert/strict";
import { createHash, createPublicKey, createSign, createVerify, randomBytes, X509Certificate } from "node:crypto";
import { v2 as functions, protos } from "@google-cloud/functions";
import { Storage } from "@google-cloud/storage";
import { cloudresourcemanager } from "@googleapis/cloudresourcemanager";
import { auth, iam } from "@googleapis/iam";
import { run } from "@googleapis/run";
import { secretmanager } from "@googleapis/secretmanager";
import { serviceusage } from "@googleapis/serviceusage";
import { Google } from "../google/index.ts";
import { StandIn } from "../stand-in/server.ts";

const token = "t0ken";
const project = "my-project";
const number = "123456789012";
const parent = `projects/${project}`;
const email = `runner@${project}.iam.gserviceaccount.com`;
const account = `${parent}/serviceAccounts/${email}`;
const member = `serviceAccount:${email}`;

let server: StandIn;
beforeEach(async () => {
  server = await StandIn.start(
    new Google({
      projects: [{ id: project, number, secrets: ["api-key"], services: ["storage.googleapis.com"] }],
      token,
    }),
  );
});
afterEach(() => server.close());

/** What Google's libraries take for a login. */
function login(accessToken = token) {
  const client = new auth.OAuth2();
  client.setCredentials({ access_token: accessToken });
  return client;
}

/** Where an API is; its library takes a root without a path. */
const at = (mount: string) => ({
  version: "v1" as const,
  rootUrl: server.url,
  auth: login(),
  retry: false,
  fetchImplementation: (asked: string | URL | Request, init?: RequestInit) => {
    const url = new URL(String(asked));
    url.pathname = `/${mount}${url.pathname}`;
    return fetch(url, init);
  },
});

const accounts = () => iam(at("iam")).projects.serviceAccounts;
const pools = () => iam(at("iam")).projects.locations.workloadIdentityPools;
const projects = () => cloudresourcemanager({ ...at("cloudresourcemanager"), version: "v1" }).projects;
const apis = () => serviceusage(at("serviceusage"));
const secretsApi = () => secretmanager(at("secretmanager")).projects.secrets;
const runServices = () => run({ ...at("run"), version: "v2" }).projects.locations.services;
const storage = () =>
  new Storage({
    apiEndpoint: server.url,
    projectId: project,
    authClient: { getRequestHeaders: async () => ({ Authorization: `Bearer ${token}` }) } as never,
    useAuthWithCustomEndpoint: true,
    retryOptions: { autoRetry: false },
  });
const functionsClient = () =>
  new functions.FunctionServiceClient({
    fallback: true,
    protocol: "http",
    apiEndpoint: "127.0.0.1",
    port: Number(new URL(server.url).port),
    authClient: login() as never,
  });

const createAccount = async (accountId = "runner") =>
  (await accounts().create({ name: parent, requestBody: { accountId, serviceAccount: { displayName: "Runner" } } }))
    .data;

/** A request as no library would send it. */
const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : undefined };
};

/** Holds a library's error against what Google would have answered. */
const refuses = (promise: Promise<unknown>, code: number, status: string | undefined, message: RegExp) =>
  assert.rejects(promise, (error: { response?: { status: number; data: { error: Record<string, unknown> } } }) => {
    const { error: told } = error.response!.data;
    assert.deepEqual([error.response!.status, told["code"]], [code, code]);
    assert.equal(told["status"], status);
    assert.match(String(told["message"]), message);
    return true;
  });

describe("Google Cloud's stand-in", () => {
  it("lets in nobody without the token", async () => {
    const { serviceAccounts } = iam({ ...at("iam"), auth: login("another") }).projects;
    await refuses(serviceAccounts.get({ name: account }), 401, "UNAUTHENTICATED", /invalid authentication credentials/);
  });

  it("answers what it does not do with 501, and says so in its problems", async () => {
    await refuses(accounts().undelete({ name: account }), 501, "UNIMPLEMENTED", /does not know this operation/);
    assert.match(server.problems.join(), /^iam\.projects\.serviceAccounts\.undelete: /);
  });

  it("refuses a field that the description does not have, in Google's words", async () => {
    const body = { accountId: "runner", serviceAccount: { displayNames: "x" } };
    assert.deepEqual(await ask("POST", `/iam/v1/${parent}/serviceAccounts`, body), {
      status: 400,
      body: {
        error: {
          code: 400,
          message:
            "Invalid JSON payload received. Unknown name \"displayNames\" at 'service_account': Cannot find field.",
          status: "INVALID_ARGUMENT",
        },
      },
    });
    assert.deepEqual((server.api.snapshot() as { serviceAccounts: object }).serviceAccounts, {});
  });

  it("knows no project but its own", async () => {
    await refuses(projects().get({ projectId: "another" }), 403, "PERMISSION_DENIED", /does not have permission/);
    const { data } = await projects().get({ projectId: number });
    assert.deepEqual([data.projectId, data.projectNumber, data.lifecycleState], [project, number, "ACTIVE"]);
  });
});

describe("Service accounts", () => {
  it("have the names, numbers and e-mails that Google gives", async () => {
    const created = await createAccount();
    assert.equal(created.name, account);
    assert.match(created.uniqueId!, /^1\d{20}$/);
    assert.deepEqual((await accounts().get({ name: account })).data, created);
    assert.deepEqual((await accounts().get({ name: `projects/-/serviceAccounts/${created.uniqueId}` })).data, created);
  });

  it("are refused twice, with a bad ID, or where there is none", async () => {
    await createAccount();
    await refuses(createAccount(), 409, "ALREADY_EXISTS", /^Service account runner already exists within project/);
    await refuses(createAccount("abc"), 400, "INVALID_ARGUMENT", /6-30 characters/);
    const name = account.replace("runner", "nobody");
    await refuses(accounts().get({ name }), 404, "NOT_FOUND", /^Unknown service account$/);
    await refuses(accounts().keys.create({ name }), 404, "NOT_FOUND", /^Unknown service account$/);
  });

  it("change by mask, and not over somebody else's change", async () => {
    const { etag } = await createAccount();
    const requestBody = {
      serviceAccount: { displayName: "New", description: "Not asked", etag },
      updateMask: "display_name",
    };
    const { data } = await accounts().patch({ name: account, requestBody });
    assert.deepEqual([data.displayName, data.description], ["New", undefined]);
    await refuses(accounts().patch({ name: account, requestBody }), 409, "ABORTED", /concurrent changes/);
  });

  it("come in pages", async () => {
    for (const id of ["one-one", "two-two", "three-three"]) await createAccount(id);
    const first = (await accounts().list({ name: parent, pageSize: 2 })).data;
    assert.equal(first.accounts!.length, 2);
    const second = (await accounts().list({ name: parent, pageSize: 2, pageToken: first.nextPageToken! })).data;
    assert.deepEqual(
      [second.accounts![0]!.email, second.nextPageToken],
      [email.replace("runner", "three-three"), undefined],
    );
  });

  it("have keys that sign", async () => {
    await createAccount();
    const { data } = await accounts().keys.create({ name: account });
    const key = JSON.parse(Buffer.from(data.privateKeyData!, "base64").toString());
    assert.deepEqual([key.type, key.client_email, key.project_id], ["service_account", email, project]);
    const signature = createSign("sha256").update("text").sign(key.private_key);
    const read = async (publicKeyType: string) =>
      Buffer.from((await accounts().keys.get({ name: data.name!, publicKeyType })).data.publicKeyData!, "base64");
    const verifies = (pem: Parameters<typeof createPublicKey>[0]) =>
      createVerify("sha256").update("text").verify(createPublicKey(pem), signature);
    assert.ok(verifies(await read("TYPE_RAW_PUBLIC_KEY")));
    assert.ok(
      verifies(new X509Certificate(await read("TYPE_X509_PEM_FILE")).publicKey.export({ type: "spki", format: "pem" })),
    );
    assert.equal((await accounts().keys.get({ name: data.name! })).data.publicKeyData, undefined);
    await accounts().keys.delete({ name: data.name! });
    await refuses(accounts().keys.get({ name: data.name! }), 404, "NOT_FOUND", /does not exist/);
  });

  it("have ten keys at most", async () => {
    await createAccount();
    const requestBody = { keyAlgorithm: "KEY_ALG_RSA_1024" };
    for (let made = 0; made < 10; made += 1) await accounts().keys.create({ name: account, requestBody });
    await refuses(accounts().keys.create({ name: account }), 400, "FAILED_PRECONDITION", /Precondition check failed/);
  });
});

describe("IAM policies", () => {
  const role = "roles/logging.logWriter";
  const condition = { title: "sources", expression: 'resource.name.startsWith("a")' };
  const policyOf = async (version?: number) =>
    (
      await projects().getIamPolicy({
        resource: project,
        requestBody: { options: { requestedPolicyVersion: version } },
      })
    ).data;
  const setPolicy = async (policy: object) =>
    (await projects().setIamPolicy({ resource: project, requestBody: { policy } })).data;

  it("are set by read, modify, write; a stale etag loses", async () => {
    await createAccount();
    const { etag, bindings } = await policyOf();
    const set = await setPolicy({
      etag,
      bindings: [...bindings!, { role, members: [member.replace("runner@", "Runner@")] }],
    });
    assert.deepEqual(set.bindings, [
      { role, members: [member] },
      { role: "roles/owner", members: ["user:owner@example.com"] },
    ]);
    assert.notEqual(set.etag, etag);
    await refuses(
      setPolicy({ etag, bindings }),
      409,
      "ABORTED",
      /^There were concurrent policy changes\. Please retry/,
    );
    assert.deepEqual(await policyOf(), set);
  });

  it("take only members and roles that there are", async () => {
    const grant = (to: string, what = role) => setPolicy({ bindings: [{ role: what, members: [to] }] });
    await refuses(grant(member), 400, "INVALID_ARGUMENT", new RegExp(`^Service account ${email} does not exist\\.$`));
    await refuses(grant("ana@example.com"), 400, "INVALID_ARGUMENT", /is of an unknown type/);
    const pool = `projects/${number}/locations/global/workloadIdentityPools/none`;
    await refuses(
      grant(`principalSet://iam.googleapis.com/${pool}/*`),
      400,
      "INVALID_ARGUMENT",
      /^Identity Pool does not exist/,
    );
    // Of another project's clusters, and of this one's.
    const ofClusters = (id: string) =>
      grant(`principal://iam.googleapis.com/${pool.replace("none", id)}.svc.id.goog/subject/a`);
    await refuses(ofClusters("other"), 400, "INVALID_ARGUMENT", /^Identity Pool does not exist/);
    await ofClusters(project);
    await setPolicy({ bindings: [] });
    await refuses(grant("allUsers", "logWriter"), 400, "INVALID_ARGUMENT", /^Role \(logWriter\) does not exist/);
    assert.deepEqual(
      (await grant(`serviceAccount:${number}-compute@developer.gserviceaccount.com`)).bindings!.length,
      1,
    );
  });

  it("keep conditions in version 3, and hide them from whom asks for less", async () => {
    const bindings = [
      { role, members: ["allUsers"] },
      { role, members: ["allUsers"], condition },
    ];
    await refuses(setPolicy({ bindings }), 400, "INVALID_ARGUMENT", /version 3/);
    assert.deepEqual((await setPolicy({ bindings, version: 3 })).bindings, bindings);
    assert.deepEqual([(await policyOf(3)).version, (await policyOf(3)).bindings], [3, bindings]);
    const { version, bindings: told } = await policyOf();
    assert.equal(version, 1);
    assert.deepEqual(told![0], bindings[0]);
    assert.match(told![1]!.role!, /^roles\/logging\.logWriter_withcond_[0-9a-f]{20}$/);
  });

  it("mark an account that is gone, and do not take a new one for it", async () => {
    const { uniqueId } = await createAccount();
    await setPolicy({ bindings: [{ role, members: [member] }] });
    await accounts().delete({ name: account });
    await createAccount();
    assert.deepEqual((await policyOf()).bindings, [{ role, members: [`deleted:${member}?uid=${uniqueId}`] }]);
    assert.deepEqual((server.api.snapshot() as { policies: object }).policies, {});
  });

  it("stand on accounts, secrets and buckets too", async () => {
    await createAccount();
    const policy = { bindings: [{ role: "roles/viewer", members: [member] }] };
    const onAccount = (await accounts().setIamPolicy({ resource: account, requestBody: { policy } })).data;
    assert.deepEqual((await accounts().getIamPolicy({ resource: account })).data, onAccount);
    const resource = `${parent}/secrets/api-key`;
    assert.deepEqual((await secretsApi().getIamPolicy({ resource })).data, { etag: "ACAB" });
    await secretsApi().setIamPolicy({ resource, requestBody: { policy: { ...policy, etag: "ACAB" } } });
    assert.deepEqual((await secretsApi().getIamPolicy({ resource })).data.bindings, policy.bindings);
    await refuses(
      secretsApi().setIamPolicy({ resource, requestBody: { policy: { ...policy, etag: "ACAB" } } }),
      409,
      "ABORTED",
      /concurrent policy changes/,
    );
    await refuses(secretsApi().getIamPolicy({ resource: `${parent}/secrets/none` }), 404, "NOT_FOUND", /not found/);
  });
});

describe("Workload identity", () => {
  const location = `${parent}/locations/global`;
  const pool = `projects/${number}/locations/global/workloadIdentityPools/ci-pool`;
  const createPool = () =>
    pools().create({ parent: location, workloadIdentityPoolId: "ci-pool", requestBody: { displayName: "CI" } });
  const provider = (
    oidc: object = { issuerUri: "https://token.actions.githubusercontent.com" },
    attributeCondition = "",
  ) =>
    pools().providers.create({
      parent: pool,
      workloadIdentityPoolProviderId: "github",
      requestBody: { oidc, attributeMapping: { "google.subject": "assertion.sub" }, attributeCondition },
    });

  it("pools are made by an operation, which is not done at once", async () => {
    const { name } = (await createPool()).data;
    const look = async () => (await pools().operations.get({ name: name! })).data;
    assert.equal((await look()).done, undefined);
    const { done, response } = await look();
    assert.deepEqual([done, response!["name"], response!["state"]], [true, pool, "ACTIVE"]);
  });

  it("pools stay for a month after their end: the ID is taken, an undelete brings them back", async () => {
    await createPool();
    await pools().delete({ name: pool });
    const { state, expireTime } = (await pools().get({ name: pool })).data;
    assert.equal(state, "DELETED");
    assert.ok(Math.abs(Date.parse(expireTime!) - Date.now() - 30 * 86_400_000) < 60_000);
    assert.deepEqual((await pools().list({ parent: location })).data.workloadIdentityPools, []);
    assert.equal((await pools().list({ parent: location, showDeleted: true })).data.workloadIdentityPools!.length, 1);
    await refuses(createPool(), 409, "ALREADY_EXISTS", /^Requested entity already exists$/);
    await refuses(pools().delete({ name: pool }), 404, "NOT_FOUND", /not found/);
    await pools().undelete({ name: pool });
    assert.equal((await pools().get({ name: pool })).data.state, "ACTIVE");
  });

  it("providers of GitHub need a condition on their claims", async () => {
    await refuses(provider(), 404, "NOT_FOUND", /not found/);
    await createPool();
    await refuses(
      provider(),
      400,
      "INVALID_ARGUMENT",
      /^The attribute condition must reference one of the provider's claims/,
    );
    await refuses(provider({ issuerUri: "http://a.example" }), 400, "INVALID_ARGUMENT", /HTTPS/);
    await provider(undefined, "assertion.repository_owner_id == '1'");
    const name = `${pool}/providers/github`;
    await pools().providers.patch({ name, updateMask: "displayName", requestBody: { displayName: "GitHub" } });
    const { data } = await pools().providers.get({ name });
    assert.deepEqual([data.displayName, data.attributeCondition], ["GitHub", "assertion.repository_owner_id == '1'"]);
  });
});

describe("A project's APIs", () => {
  const enabled = async () =>
    (await apis().services.list({ parent, filter: "state:ENABLED" })).data.services!.map(({ name }) => name);

  it("are switched on by one or many, and off", async () => {
    const { name } = (
      await apis().services.batchEnable({
        parent,
        requestBody: { serviceIds: ["run.googleapis.com", "iam.googleapis.com"] },
      })
    ).data;
    assert.equal((await apis().operations.get({ name: name! })).data.done, undefined);
    assert.equal((await apis().operations.get({ name: name! })).data.done, true);
    await apis().services.enable({ name: `${parent}/services/pubsub.googleapis.com` });
    await apis().services.disable({ name: `${parent}/services/run.googleapis.com`, requestBody: {} });
    assert.deepEqual(
      await enabled(),
      ["storage", "iam", "pubsub"].map((api) => `projects/${number}/services/${api}.googleapis.com`),
    );
  });

  it("must be ones that Google has, at most twenty at a time", async () => {
    const enable = (serviceIds: string[]) => apis().services.batchEnable({ parent, requestBody: { serviceIds } });
    await refuses(enable(["runn.googleapis.com"]), 403, "PERMISSION_DENIED", /service\(s\): runn\.googleapis\.com/);
    await refuses(enable(Array(21).fill("run.googleapis.com")), 400, "INVALID_ARGUMENT", /20 services at most/);
    await refuses(
      apis().services.disable({ name: `${parent}/services/run.googleapis.com` }),
      400,
      "FAILED_PRECONDITION",
      /is not enabled/,
    );
  });

  it("come in pages", async () => {
    await apis().services.enable({ name: `${parent}/services/run.googleapis.com` });
    const { services, nextPageToken } = (await apis().services.list({ parent, pageSize: 1 })).data;
    assert.equal(services!.length, 1);
    const rest = (await apis().services.list({ parent, pageSize: 1, pageToken: nextPageToken! })).data;
    assert.deepEqual(
      rest.services!.map(({ config }) => config!.name),
      ["run.googleapis.com"],
    );
  });
});

describe("Cloud Storage", () => {
  const bucketName = "my-project-src";
  const createBucket = (metadata: object = {}) =>
    storage().createBucket(bucketName, { location: "us-east1", ...metadata });
  const fails = (promise: Promise<unknown>, code: number, message: RegExp, reason: string) =>
    assert.rejects(promise, (error: { code: number; message: string; errors: { reason: string }[] }) => {
      assert.deepEqual([error.code, error.errors[0]!.reason], [code, reason]);
      assert.match(error.message, message);
      return true;
    });

  it("keeps buckets with their settings, and counts their changes", async () => {
    const [bucket] = await createBucket({
      labels: { team: "data" },
      iamConfiguration: { uniformBucketLevelAccess: { enabled: true } },
    });
    const [created] = await bucket.getMetadata();
    assert.deepEqual(
      [
        created.location,
        created.locationType,
        created.storageClass,
        created.metageneration,
        String(created.projectNumber),
      ],
      ["US-EAST1", "region", "STANDARD", "1", number],
    );
    assert.ok(created.iamConfiguration!.uniformBucketLevelAccess!.enabled);
    const [changed] = await bucket.setMetadata({ labels: { cost: "low" } });
    assert.deepEqual([changed.labels, changed.metageneration], [{ team: "data", cost: "low" }, "2"]);
    const [cleared] = await bucket.setMetadata({ labels: { team: null } });
    assert.deepEqual(cleared.labels, { cost: "low" });
    await fails(
      bucket.setMetadata({ labels: {} }, { ifMetagenerationMatch: 1 }),
      412,
      /pre-conditions/,
      "conditionNotMet",
    );
    await fails(createBucket(), 409, /^Your previous request to create the named bucket succeeded/, "conflict");
  });

  it("keeps objects with their hashes, which the library checks on the way back", async () => {
    const [bucket] = await createBucket();
    const file = bucket.file("source/first.zip");
    const content = Buffer.from("123456789");
    await file.save(content, {
      resumable: false,
      contentType: "application/zip",
      metadata: { metadata: { by: "test" } },
    });
    const [metadata] = await file.getMetadata();
    assert.deepEqual(
      [metadata.md5Hash, metadata.crc32c, metadata.size, metadata.contentType, metadata.metadata],
      // The check value of CRC-32C.
      [
        createHash("md5").update(content).digest("base64"),
        Buffer.from("e3069283", "hex").toString("base64"),
        "9",
        "application/zip",
        { by: "test" },
      ],
    );
    assert.deepEqual((await file.download({ validation: "crc32c" }))[0], content);
    assert.deepEqual(
      (await bucket.getFiles({ prefix: "source/" }))[0].map(({ name }) => name),
      ["source/first.zip"],
    );
    const { generation } = metadata;
    await file.save("new", { resumable: false });
    assert.ok(BigInt((await file.getMetadata())[0].generation!) > BigInt(generation!));
    await fails(
      file.save("newer", { resumable: false, preconditionOpts: { ifGenerationMatch: generation } }),
      412,
      /pre-conditions/,
      "conditionNotMet",
    );
  });

  it("takes an object in parts, and says how far it has come", async () => {
    const [bucket] = await createBucket();
    const authorization = `Bearer ${token}`;
    const start = await fetch(`${server.url}/upload/storage/v1/b/${bucketName}/o?uploadType=resumable`, {
      method: "POST",
      headers: { authorization, "content-type": "application/json", "x-upload-content-type": "text/plain" },
      body: JSON.stringify({ name: "large", metadata: { by: "test" } }),
    });
    const location = start.headers.get("location")!;
    const send = async (range: string, body: Buffer<ArrayBuffer>, to = location, more = {}) => {
      const headers = { authorization, "content-range": range, ...more };
      const { status, headers: told } = await fetch(to, { method: "PUT", headers, body });
      return [status, told.get("range"), told.get("x-http-status-code-override")];
    };
    const part = 256 * 1024;
    const content = randomBytes(2 * part + 10);
    const [first, second, third] = [
      content.subarray(0, part),
      content.subarray(part, 2 * part),
      content.subarray(2 * part),
    ];
    const nothing = Buffer.alloc(0);
    assert.deepEqual(await send("bytes */*", nothing), [308, null, null]);
    assert.deepEqual(await send(`bytes 5-${part + 4}/*`, first), [400, null, null]);
    assert.deepEqual(await send("bytes 0-9/*", third), [400, null, null]);
    assert.deepEqual(await send(`bytes 0-${part - 1}/*`, first), [308, `bytes=0-${part - 1}`, null]);
    assert.deepEqual(await send("bytes */*", nothing), [308, `bytes=0-${part - 1}`, null]);
    const nowhere = location.replace(/upload_id=\w+/, "upload_id=none");
    assert.deepEqual(await send("bytes */*", nothing, nowhere), [404, null, null]);
    // As Go's library asks to be told.
    const asked = { "x-guploader-no-308": "yes" };
    const range = `bytes ${part}-${2 * part - 1}/*`;
    assert.deepEqual(await send(range, second, location, asked), [200, `bytes=0-${2 * part - 1}`, "308"]);
    const last = `bytes ${2 * part}-${2 * part + 9}/${2 * part + 10}`;
    assert.deepEqual(await send(last, third), [200, null, null]);
    const [metadata] = await bucket.file("large").getMetadata();
    const { size, contentType, metadata: custom } = metadata;
    assert.deepEqual([size, contentType, custom], [`${content.length}`, "text/plain", { by: "test" }]);
    // Where its content is had, an object says itself.
    const answer = await fetch(metadata.mediaLink!, { headers: { authorization } });
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), content);
    assert.deepEqual(server.problems, []);
  });

  it("lets a principal do what its roles on the bucket say, and nothing else", async () => {
    const pool = `projects/${number}/locations/global/workloadIdentityPools/${project}.svc.id.goog`;
    const principal = (name: string) => `principal://iam.googleapis.com/${pool}/subject/ns/shop/sa/${name}`;
    await server.close();
    const tokens = { w: principal("writer"), r: principal("reader"), n: principal("nobody") };
    server = await StandIn.start(new Google({ projects: [{ id: project, number }], token, tokens }));
    const [bucket] = await createBucket();
    const bindings = [
      { role: "roles/storage.objectCreator", members: [tokens.w] },
      { role: "roles/storage.objectViewer", members: [tokens.r] },
    ];
    await bucket.iam.setPolicy({ bindings });
    const objects = `/storage/v1/b/${bucketName}/o`;
    const upload = (type: string) => ["POST", `/upload${objects}?uploadType=${type}&name=a`] as const;
    const asked = [
      upload("media"),
      ["GET", objects],
      ["GET", `${objects}/a`],
      upload("media"),
      upload("resumable"),
      ["DELETE", `${objects}/a`],
      ["GET", `/storage/v1/b/${bucketName}`],
      ["GET", `/iam/v1/${parent}/serviceAccounts`],
    ] as const;
    const statuses = async (authorization: string) => {
      const all: number[] = [];
      for (const [method, path] of asked) all.push((await ask(method, path, undefined, { authorization })).status);
      return all;
    };
    assert.deepEqual(await statuses("Bearer n"), [403, 403, 403, 403, 403, 403, 403, 403]);
    // What is there already it would have to delete.
    assert.deepEqual(await statuses("Bearer w"), [200, 403, 403, 403, 403, 403, 403, 403]);
    assert.deepEqual(await statuses("Bearer r"), [403, 200, 200, 403, 403, 403, 403, 403]);
    const { body } = await ask("GET", `${objects}/a`, undefined, { authorization: "Bearer w" });
    assert.match(body.error.message, /\/sa\/writer does not have storage\.objects\.get access/);
  });

  it("deletes no bucket with objects in it, and nothing that is not there", async () => {
    const [bucket] = await createBucket();
    await bucket.file("a").save("a", { resumable: false });
    await fails(bucket.delete(), 409, /^The bucket you tried to delete is not empty\.$/, "conflict");
    await bucket.file("a").delete();
    await fails(bucket.file("a").delete(), 404, /^No such object: my-project-src\/a$/, "notFound");
    await bucket.delete();
    await fails(bucket.getMetadata(), 404, /^The specified bucket does not exist\.$/, "notFound");
  });

  it("drifts by versioning where it is declared, and goes with its grants where it is empty", async () => {
    const kinds = () => server.api.drifts().map(({ kind }) => kind);
    const [bucket] = await createBucket();
    await bucket.iam.setPolicy({ bindings: [{ role: "roles/storage.objectViewer", members: ["allUsers"] }] });
    const plain = ["bucket opened or closed", "bucket deleted", "grant removed"];
    assert.deepEqual(kinds(), plain);
    await bucket.setMetadata({ versioning: { enabled: true } });
    assert.deepEqual(kinds(), [plain[0], "versioning switched", ...plain.slice(1)]);
    const drift = (wanted: string) =>
      server.api
        .drifts()
        .find(({ kind }) => kind === wanted)!
        .apply();
    const told = () => (server.api.snapshot() as { buckets: Record<string, { versioning: boolean }> }).buckets;
    assert.equal(told()[bucketName]!.versioning, true);
    drift("versioning switched");
    assert.equal(told()[bucketName]!.versioning, false);
    await bucket.file("a").save("a", { resumable: false });
    assert.ok(!kinds().includes("bucket deleted"));
    await bucket.file("a").delete();
    drift("bucket deleted");
    assert.deepEqual([told(), kinds()], [{}, []]);
    await createBucket();
    const [policy] = await bucket.iam.getPolicy();
    assert.ok(!JSON.stringify(policy).includes("allUsers"));
  });

  it("grants by policy; a stale etag is a failed precondition", async () => {
    await createAccount();
    const [bucket] = await createBucket();
    const [policy] = await bucket.iam.getPolicy({ requestedPolicyVersion: 3 });
    assert.deepEqual(
      policy.bindings.map(({ role }) => role),
      ["roles/storage.legacyBucketOwner", "roles/storage.legacyBucketReader"],
    );
    policy.bindings.push({ role: "roles/storage.objectViewer", members: [member] });
    await bucket.iam.setPolicy(structuredClone(policy));
    await fails(bucket.iam.setPolicy(policy) as Promise<unknown>, 412, /pre-conditions/, "conditionNotMet");
  });
});

describe("Cloud Functions", () => {
  const location = `${parent}/locations/us-east1`;
  const name = `${location}/functions/orders`;
  const service = `${location}/services/orders`;
  const wanted = {
    name,
    environment: "GEN_2" as const,
    buildConfig: {
      runtime: "python313",
      entryPoint: "main",
      source: { storageSource: { bucket: "src", object: "first.zip" } },
    },
    serviceConfig: { serviceAccountEmail: email, availableMemory: "256Mi", timeoutSeconds: 30 },
  };
  let client: InstanceType<typeof functions.FunctionServiceClient>;
  const create = async (changes: object = {}) => {
    const [operation] = await client.createFunction({
      parent: location,
      functionId: "orders",
      function: { ...wanted, ...changes },
    });
    return (await operation.promise())[0];
  };
  const fails = (promise: Promise<unknown>, code: number, message: RegExp) =>
    assert.rejects(promise, (error: { code: number; message: string }) => {
      assert.match(error.message, message);
      assert.equal(error.code, code, error.message);
      return true;
    });
  /** An operation's error has a code of google.rpc.Code in place of an HTTP status. */
  const failedPrecondition = 9;
  /** The library gives enums by number or by name. */
  const stateOf = ({ state }: protos.google.cloud.functions.v2.IFunction) =>
    typeof state === "number" ? protos.google.cloud.functions.v2.Function.State[state] : state;

  beforeEach(async () => {
    client = functionsClient();
    await createAccount();
    const [bucket] = await storage().createBucket("src");
    await bucket.file("first.zip").save("zip", { resumable: false });
  });
  afterEach(() => client.close());

  it("are built and rolled out by an operation, and get Google's defaults", async () => {
    const created = await create();
    assert.deepEqual(
      [stateOf(created), created.url],
      ["ACTIVE", `https://us-east1-${project}.cloudfunctions.net/orders`],
    );
    const { serviceConfig, buildConfig } = created;
    assert.deepEqual(
      [
        serviceConfig!.service,
        serviceConfig!.maxInstanceCount,
        serviceConfig!.availableCpu,
        serviceConfig!.revision!.slice(0, 13),
      ],
      [service, 100, "0.1666", "orders-00001-"],
    );
    assert.match(String(buildConfig!.source!.storageSource!.generation), /^\d{16}$/);
    assert.equal(stateOf((await client.getFunction({ name }))[0]), "ACTIVE");
    assert.deepEqual(
      (await client.listFunctions({ parent: `${parent}/locations/-` }))[0].map((each) => each.name),
      [name],
    );
  });

  it("are being deployed until the operation is done", async () => {
    const { body } = await ask("POST", `/v2/${location}/functions?functionId=orders`, wanted);
    const look = async () => (await ask("GET", `/v2/${body.name}`)).body.done;
    assert.equal((await ask("GET", `/v2/${name}`)).body.state, "DEPLOYING");
    await fails(client.deleteFunction({ name }), 409, /unable to queue the operation/);
    assert.equal(await look(), undefined);
    assert.equal(await look(), true);
    assert.equal((await ask("GET", `/v2/${name}`)).body.state, "ACTIVE");
  });

  it("change by mask, one revision more each time", async () => {
    await create();
    const [operation] = await client.updateFunction({
      function: {
        name,
        serviceConfig: { ...wanted.serviceConfig, availableMemory: "1Gi" },
        labels: { ignored: "yes" },
      },
      updateMask: { paths: ["service_config"] },
    });
    const [changed] = await operation.promise();
    const { availableMemory, availableCpu, timeoutSeconds, revision } = changed.serviceConfig!;
    assert.deepEqual(
      [availableMemory, availableCpu, timeoutSeconds, revision!.slice(0, 13)],
      ["1Gi", "0.5833", 30, "orders-00002-"],
    );
    assert.deepEqual([changed.labels, changed.buildConfig!.runtime], [{}, "python313"]);
  });

  it("are not made of what is not there", async () => {
    const build = (changes: object) => create({ buildConfig: { ...wanted.buildConfig, ...changes } });
    await fails(build({ runtime: "python9" }), 400, /Runtime \\"python9\\" is not supported/);
    await fails(
      build({ source: { storageSource: { bucket: "src", object: "none.zip" } } }),
      400,
      /gs:\/\/src\/none\.zip/,
    );
    await fails(
      create({ serviceConfig: { serviceAccountEmail: email.replace("runner", "nobody") } }),
      400,
      /service account requested: nobody@/,
    );
    await fails(client.getFunction({ name }), 404, /was not found/);
    await create();
    await fails(create(), 409, /already exists/);
  });

  it("fail in their operation where Cloud Run cannot start them", async () => {
    const secretEnvironmentVariables = [{ key: "KEY", projectId: project, secret: "api-key", version: "latest" }];
    const serviceConfig = { ...wanted.serviceConfig, secretEnvironmentVariables };
    await fails(
      create({ serviceConfig }),
      failedPrecondition,
      /Permission denied on secret: .*secrets\/api-key\/versions\/latest/,
    );
    assert.equal(stateOf((await client.getFunction({ name }))[0]), "FAILED");
    const policy = { bindings: [{ role: "roles/secretmanager.secretAccessor", members: [member] }] };
    await secretsApi().setIamPolicy({ resource: `${parent}/secrets/api-key`, requestBody: { policy } });
    const [operation] = await client.updateFunction({
      function: { name, serviceConfig },
      updateMask: { paths: ["service_config"] },
    });
    assert.equal(stateOf((await operation.promise())[0]), "ACTIVE");
  });

  it("come and go with their Cloud Run service", async () => {
    await refuses(
      runServices().getIamPolicy({ resource: service }),
      404,
      "NOT_FOUND",
      /^Resource 'orders' of kind 'SERVICE'/,
    );
    await create();
    const policy = { bindings: [{ role: "roles/run.invoker", members: ["allUsers"] }] };
    await runServices().setIamPolicy({ resource: service, requestBody: { policy } });
    assert.deepEqual((await runServices().getIamPolicy({ resource: service })).data.bindings, policy.bindings);
    const [operation] = await client.deleteFunction({ name });
    await operation.promise();
    await refuses(runServices().get({ name: service }), 404, "NOT_FOUND", /does not exist/);
    await create();
    assert.deepEqual((await runServices().getIamPolicy({ resource: service })).data, { etag: "ACAB" });
  });
});

/** BigQuery has no library here: each of its requests is held against its description. */
const bigquery = `/bigquery/bigquery/v2/${parent}/datasets`;
const createDataset = (settings: object = {}) =>
  ask("POST", `${bigquery}?accessPolicyVersion=3`, { datasetReference: { datasetId: "orders" }, ...settings });
/** What an answer says: its status, and the reason and message of a refusal. */
const said = ({
  status,
  body,
}: {
  status: number;
  body?: { error?: { message: string; errors: { reason: string }[] } };
}) => (body?.error ? [status, body.error.errors[0]!.reason, body.error.message] : [status]);

describe("Datasets", () => {
  const orders = `${bigquery}/orders`;
  const settings = { location: "US-East1", description: "What was sold", labels: { team: "data", cost: "low" } };
  const access = [
    { role: "WRITER", specialGroup: "projectWriters" },
    { role: "OWNER", specialGroup: "projectOwners" },
    { role: "READER", specialGroup: "projectReaders" },
    { role: "OWNER", userByEmail: "owner@example.com" },
  ];
  afterEach(() => assert.deepEqual(server.problems, []));

  it("are made with Google's defaults, which their maker owns", async () => {
    const { status, body } = await createDataset(settings);
    const { etag, creationTime, lastModifiedTime, ...told } = body;
    assert.equal(status, 200);
    assert.ok(etag && Math.abs(Number(creationTime) - Date.now()) < 60_000 && lastModifiedTime === creationTime);
    assert.deepEqual(told, {
      kind: "bigquery#dataset",
      id: `${project}:orders`,
      selfLink: `https://bigquery.googleapis.com/bigquery/v2/${parent}/datasets/orders`,
      datasetReference: { projectId: project, datasetId: "orders" },
      type: "DEFAULT",
      ...settings,
      location: "us-east1",
      maxTimeTravelHours: "168",
      access,
    });
    assert.deepEqual((await ask("GET", `${orders}?accessPolicyVersion=3`)).body, body);
    const other = (
      await createDataset({ datasetReference: { datasetId: "other" }, defaultTableExpirationMs: 3_600_000 })
    ).body;
    assert.deepEqual([other.location, other.description, other.defaultTableExpirationMs], ["US", undefined, "3600000"]);
    const owned = { role: "roles/bigquery.dataOwner", userByEmail: "Ana@example.com" };
    const third = await createDataset({ datasetReference: { datasetId: "third" }, access: [owned, owned] });
    assert.deepEqual(third.body.access, [{ role: "OWNER", userByEmail: "ana@example.com" }]);
  });

  it("are refused twice, with a bad ID, or where there is none", async () => {
    await createDataset();
    assert.deepEqual(said(await createDataset()), [409, "duplicate", `Already Exists: Dataset ${project}:orders`]);
    const [status, reason, message] = said(await createDataset({ datasetReference: { datasetId: "a-b" } }));
    assert.deepEqual([status, reason], [400, "invalid"]);
    assert.match(String(message), /^Invalid dataset ID "a-b"\. Dataset IDs must be alphanumeric/);
    await ask("DELETE", orders);
    const gone = [404, "notFound", `Not found: Dataset ${project}:orders`];
    for (const method of ["GET", "DELETE"]) assert.deepEqual(said(await ask(method, orders)), gone);
    for (const method of ["PATCH", "PUT"]) assert.deepEqual(said(await ask(method, orders, {})), gone);
    assert.equal((await createDataset()).status, 200);
  });

  it("change by what a patch says, and become what an update says", async () => {
    const made = (await createDataset(settings)).body;
    const patched = (await ask("PATCH", orders, { friendlyName: "Orders", labels: { cost: null, unit: "eu" } })).body;
    assert.deepEqual(
      [patched.friendlyName, patched.description, patched.labels],
      ["Orders", "What was sold", { team: "data", unit: "eu" }],
    );
    assert.notEqual(patched.etag, made.etag);
    const added = [...access, { role: "READER", userByEmail: "ana@example.com" }];
    await ask("PATCH", orders, { access: added });
    // As the provider sends it: without the grants, of which others have a part.
    const { etag, lastModifiedTime, ...updated } = (
      await ask("PUT", orders, { ...settings, id: "x", friendlyName: "" })
    ).body;
    const { etag: _, lastModifiedTime: __, ...first } = made;
    assert.deepEqual(updated, { ...first, access: added });
    assert.deepEqual((await ask("PUT", orders, { description: "Only this" })).body.labels, undefined);
  });

  it("change not over somebody else's change, and stay where they are", async () => {
    const { etag } = (await createDataset(settings)).body;
    const change = (method: string, ifMatch: string) => ask(method, orders, settings, { "if-match": ifMatch });
    const changed = await change("PATCH", etag);
    assert.equal(changed.status, 200);
    for (const method of ["PATCH", "PUT"]) {
      assert.deepEqual(said(await change(method, etag)), [412, "conditionNotMet", "Precondition check failed."]);
    }
    assert.equal((await change("PUT", changed.body.etag)).status, 200);
    assert.deepEqual(said(await ask("PUT", orders, { location: "EU" })).slice(0, 2), [400, "invalid"]);
    assert.equal((await ask("GET", orders)).body.location, "us-east1");
  });

  it("come in pages, without the hidden ones", async () => {
    for (const datasetId of ["one", "_two", "three"])
      await createDataset({ datasetReference: { datasetId }, labels: { a: "b" } });
    const list = async (query: string) => (await ask("GET", `${bigquery}?${query}`)).body;
    const first = await list("maxResults=1");
    assert.deepEqual(first.datasets, [
      {
        kind: "bigquery#dataset",
        id: `${project}:one`,
        datasetReference: { projectId: project, datasetId: "one" },
        labels: { a: "b" },
        location: "US",
        type: "DEFAULT",
      },
    ]);
    const names = ({ datasets, nextPageToken }: { datasets: { id: string }[]; nextPageToken?: string }) => [
      ...datasets.map(({ id }) => id.split(":")[1]),
      nextPageToken,
    ];
    assert.deepEqual(names(await list(`pageToken=${first.nextPageToken}`)), ["three", undefined]);
    assert.deepEqual(names(await list("all=true")), ["one", "_two", "three", undefined]);
  });

  it("with tables in them are deleted by whom says so", async () => {
    await createDataset();
    const table = { tableReference: { projectId: project, datasetId: "orders", tableId: "items" } };
    assert.equal((await ask("POST", `${orders}/tables`, table)).status, 200);
    assert.deepEqual(said(await ask("POST", `${orders}/tables`, table)), [
      ...[409, "duplicate", `Already Exists: Table ${project}:orders.items`],
    ]);
    const { tables, totalItems } = (await ask("GET", `${orders}/tables`)).body;
    assert.deepEqual([tables[0].id, totalItems], [`${project}:orders.items`, 1]);
    const inUse = [400, "resourceInUse", `Dataset ${project}:orders is still in use`];
    assert.deepEqual(said(await ask("DELETE", orders)), inUse);
    assert.deepEqual(said(await ask("DELETE", `${orders}?deleteContents=false`)), inUse);
    assert.deepEqual(said(await ask("DELETE", `${orders}?deleteContents=true`)), [204]);
    await createDataset();
    assert.equal((await ask("GET", `${orders}/tables`)).body.totalItems, 0);
  });

  it("that a project has are there, and no others", async () => {
    const api = server.api as Google;
    api.expect([{ id: "given", number: "222222222222", datasets: ["sales"] }]);
    const given = bigquery.replace(project, "given");
    assert.deepEqual((await ask("GET", `${given}/sales`)).body.access, access);
    assert.deepEqual(said(await ask("GET", `${given}/orders`)).slice(0, 2), [404, "notFound"]);
    const sales = { datasetReference: { datasetId: "sales" } };
    assert.deepEqual(said(await ask("POST", given, sales)), [409, "duplicate", "Already Exists: Dataset given:sales"]);
    assert.deepEqual((api.snapshot() as { datasets: object }).datasets, {});
    assert.deepEqual(api.drifts(), []);
    await ask("PATCH", `${given}/sales`, { access: [...access, { role: "READER", userByEmail: "ana@example.com" }] });
    assert.deepEqual((api.snapshot() as { datasets: object }).datasets, {
      "given:sales": { grants: ['{"role":"READER","userByEmail":"ana@example.com"}'] },
    });
    assert.deepEqual(
      api.drifts().map(({ what }) => what),
      ["dataset given:sales: ana@example.com loses READER"],
    );
  });

  it("that are made are told with their settings, and the same after a change and back", async () => {
    const told = () => (server.api.snapshot() as { datasets: Record<string, object> }).datasets;
    await createDataset(settings);
    const first = told();
    assert.deepEqual(first, {
      [`${project}:orders`]: {
        ...settings,
        location: "us-east1",
        maxTimeTravelHours: "168",
        tables: [],
        grants: access.map((each) => JSON.stringify(each)).sort(),
      },
    });
    await ask("PUT", orders, { description: "Another" });
    assert.notDeepEqual(told(), first);
    await ask("PUT", orders, settings);
    assert.deepEqual(told(), first);
  });

  it("lose their grants when they are deleted behind the engine's back", async () => {
    const added = [...access, { role: "READER", userByEmail: "ana@example.com" }];
    await createDataset({ access: added });
    server.api
      .drifts()
      .find(({ kind }) => kind === "dataset deleted")!
      .apply();
    assert.deepEqual(said(await ask("GET", orders)).slice(0, 2), [404, "notFound"]);
    assert.deepEqual(server.api.drifts(), []);
    assert.deepEqual((await createDataset()).body.access, access);
  });
});

describe("Grants on datasets and topics", () => {
  it("datasets have their grants in a list, by older names", async () => {
    await createAccount();
    const path = `/bigquery/bigquery/v2/${parent}/datasets/sales`;
    const { access, etag } = (await ask("GET", path)).body;
    const added = [...access, { role: "roles/bigquery.dataViewer", userByEmail: email }];
    const { body } = await ask("PATCH", path, { access: added });
    assert.deepEqual(body.access, [...access, { role: "READER", userByEmail: email }]);
    assert.notEqual(body.etag, etag);
    const nobody = { access: [{ role: "READER", userByEmail: email.replace("runner", "nobody") }] };
    assert.deepEqual(
      [(await ask("PATCH", path, nobody)).status, (await ask("GET", path)).body.access],
      [400, body.access],
    );
  });

  it("topics have policies", async () => {
    const topic = `/pubsub/v1/${parent}/topics/orders`;
    const policy = { bindings: [{ role: "roles/pubsub.publisher", members: ["allUsers"] }] };
    assert.equal((await ask("POST", `${topic}:setIamPolicy`, { policy })).status, 200);
    assert.deepEqual((await ask("GET", `${topic}:getIamPolicy`)).body.bindings, policy.bindings);
  });
});

describe("What the stand-in tells of itself", () => {
  const fill = async () => {
    await createAccount();
    await accounts().keys.create({ name: account });
    const [bucket] = await storage().createBucket("src", { labels: { team: "data" } });
    await bucket.file("a").save("a", { resumable: false });
    await apis().services.enable({ name: `${parent}/services/run.googleapis.com` });
    await createDataset({ labels: { team: "data" }, access: [{ role: "READER", userByEmail: email }] });
    const policy = { bindings: [{ role: "roles/viewer", members: [member] }] };
    await accounts().setIamPolicy({ resource: account, requestBody: { policy } });
  };

  it("two states that mean the same have one snapshot", async () => {
    const empty = server.api.snapshot();
    await fill();
    const first = server.api.snapshot();
    assert.notDeepEqual(first, empty);
    await storage().bucket("src").file("a").delete();
    await storage().bucket("src").delete();
    await apis().services.disable({ name: `${parent}/services/run.googleapis.com` });
    await ask("DELETE", `${bigquery}/orders`);
    await accounts().delete({ name: account });
    assert.deepEqual(server.api.snapshot(), empty);
    await fill();
    assert.deepEqual(server.api.snapshot(), first);
  });

  it("every drift changes the snapshot, and none touches what was there before", async () => {
    assert.deepEqual(server.api.drifts(), []);
    await fill();
    const whats = server.api.drifts().map(({ what }) => what);
    assert.deepEqual(
      whats.map((what) => what.replace(email, "EMAIL")),
      [
        "API run.googleapis.com of project my-project: off",
        "service account EMAIL: display name",
        "service account EMAIL: disabled",
        "service account EMAIL: deleted",
        "key of service account EMAIL: deleted",
        "bucket src: public access prevention",
        "bucket src: label team",
        "object gs://src/a: content",
        "object gs://src/a: deleted",
        "dataset my-project:orders: description",
        "dataset my-project:orders: label team",
        "dataset my-project:orders: deleted",
        "dataset my-project:orders: EMAIL loses READER",
        `IAM policy of ${account}: ${member} loses roles/viewer`.replace(email, "EMAIL"),
      ],
    );
    for (const what of whats) {
      const drift = server.api.drifts().find((each) => each.what === what);
      const before = server.api.snapshot();
      drift?.apply();
      if (drift) assert.notDeepEqual(server.api.snapshot(), before, what);
    }
  });
});
