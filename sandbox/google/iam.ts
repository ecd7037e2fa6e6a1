/** Service accounts and their keys. @see https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts */
import { createHash, generateKeyPairSync } from "node:crypto";
import forge from "node-forge";
import type { Call, Drift, Handler } from "../stand-in/api.ts";
import { alreadyExists, failedPrecondition, GoogleError, invalid, notFound } from "./errors.ts";
import type { Policy } from "./policies.ts";
import { digits, hex, lastOf, newEtag, now, type Project, page, patch, type Service, type World } from "./world.ts";

export interface Account {
  name: string;
  projectId: string;
  uniqueId: string;
  email: string;
  displayName?: string;
  description?: string;
  etag: string;
  oauth2ClientId: string;
  disabled?: boolean;
}

interface Key {
  name: string;
  validAfterTime: string;
  validBeforeTime: string;
  keyAlgorithm: "KEY_ALG_RSA_1024" | "KEY_ALG_RSA_2048";
  keyOrigin: "GOOGLE_PROVIDED";
  keyType: "USER_MANAGED";
}

/** What can be read of a key as long as it exists. */
interface HeldKey {
  key: Key;
  /** PEM. */
  publicKey: string;
  certificate: string;
}

/** An account has ten at most. */
const mostKeys = 10;

export class Iam implements Service {
  readonly #world: World;
  readonly #keys = new Map<string, HeldKey>();

  constructor(world: World) {
    this.#world = world;
  }

  readonly handlers: Record<string, Handler> = {
    "iam.projects.serviceAccounts.create": ({ params, body }) => {
      const { accountId, serviceAccount } = body as { accountId?: string; serviceAccount?: Partial<Account> };
      return { body: this.#create(this.#world.project(params["name"]!), accountId ?? "", serviceAccount) };
    },
    "iam.projects.serviceAccounts.get": (call) => ({ body: this.#find(call.params["name"]!) }),
    "iam.projects.serviceAccounts.list": (call) => {
      const { id } = this.#world.project(call.params["name"]!);
      const all = [...this.#world.accounts.values()].filter(({ projectId }) => projectId === id);
      const [accounts, nextPageToken] = page(all, call, 100);
      return { body: { accounts, nextPageToken } };
    },
    "iam.projects.serviceAccounts.patch": ({ params, body }) => {
      const { serviceAccount = {}, updateMask } = body as { serviceAccount?: Partial<Account>; updateMask?: string };
      const account = this.#find(params["name"]!);
      if (serviceAccount.etag && serviceAccount.etag !== account.etag) {
        throw new GoogleError(409, "There were concurrent changes to the service account.");
      }
      const { displayName, description } = patch(account, serviceAccount, updateMask || "displayName,description");
      Object.assign(account, { displayName, description, etag: newEtag() });
      return { body: account };
    },
    "iam.projects.serviceAccounts.disable": ({ params }) => this.#disable(params["name"]!, true),
    "iam.projects.serviceAccounts.enable": ({ params }) => this.#disable(params["name"]!, false),
    "iam.projects.serviceAccounts.delete": ({ params }) => {
      this.#delete(this.#find(params["name"]!));
      return { body: {} };
    },
    "iam.projects.serviceAccounts.getIamPolicy": ({ params, query }) => ({
      body: this.#world.policies.get(this.#find(params["resource"]!).name, query.get("options.requestedPolicyVersion")),
    }),
    "iam.projects.serviceAccounts.setIamPolicy": ({ params, body }) => ({
      body: this.#world.policies.set(this.#find(params["resource"]!).name, (body as { policy: Policy }).policy ?? {}),
    }),
    "iam.projects.serviceAccounts.keys.create": (call) => this.#createKey(call),
    "iam.projects.serviceAccounts.keys.get": ({ params, query }) => {
      const { key, publicKey, certificate } = this.#findKey(params["name"]!);
      const type = query.get("publicKeyType") ?? "TYPE_NONE";
      const data = { TYPE_X509_PEM_FILE: certificate, TYPE_RAW_PUBLIC_KEY: publicKey }[type];
      return { body: { ...key, ...(data && { publicKeyData: Buffer.from(data).toString("base64") }) } };
    },
    "iam.projects.serviceAccounts.keys.list": ({ params }) => ({
      body: { keys: this.#keysOf(this.#find(params["name"]!)).map(({ key }) => key) },
    }),
    "iam.projects.serviceAccounts.keys.delete": ({ params }) => {
      this.#keys.delete(this.#findKey(params["name"]!).key.name);
      return { body: {} };
    },
  };

  expect(project: Project): void {
    for (const id of project.accounts ?? []) {
      if (!this.#world.accounts.has(emailOf(id, project))) this.#create(project, id);
    }
  }

  /** Keys are told by their number: their IDs are random. */
  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#world.accounts.values()]
        .map((account): [string, object] => {
          const { displayName = "", description = "", disabled = false } = account;
          return [account.email, { displayName, description, disabled, keys: this.#keysOf(account).length }];
        })
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  }

  drifts(): Drift[] {
    const given = new Set(
      [...this.#world.projects.values()].flatMap(
        (project) => project.accounts?.map((id) => emailOf(id, project)) ?? [],
      ),
    );
    const own = [...this.#world.accounts.values()].filter(({ email }) => !given.has(email));
    return [
      ...own.flatMap((account) => [
        {
          what: `service account ${account.email}: display name`,
          kind: "account renamed",
          object: account.email,
          apply: () => {
            account.displayName = `${account.displayName ?? ""} (changed)`;
            account.etag = newEtag();
          },
        },
        {
          what: `service account ${account.email}: disabled`,
          kind: "account disabled",
          object: account.email,
          apply: () => {
            account.disabled = true;
            account.etag = newEtag();
          },
        },
        {
          what: `service account ${account.email}: deleted`,
          kind: "account deleted",
          object: account.email,
          apply: () => this.#delete(account),
        },
      ]),
      ...[...this.#keys.keys()].map((name) => ({
        what: `key of service account ${name.split("/")[3]}: deleted`,
        kind: "key deleted",
        object: lastOf(name),
        apply: () => {
          this.#keys.delete(name);
        },
      })),
    ];
  }

  #create(project: Project, accountId: string, { displayName, description }: Partial<Account> = {}): Account {
    if (!/^[a-z](?:[-a-z0-9]{4,28}[a-z0-9])$/.test(accountId)) {
      throw invalid(
        `Invalid account ID "${accountId}": it must be 6-30 characters long and match [a-z]([-a-z0-9]*[a-z0-9]).`,
      );
    }
    const email = emailOf(accountId, project);
    if (this.#world.accounts.has(email)) {
      throw alreadyExists(`Service account ${accountId} already exists within project projects/${project.id}.`);
    }
    const uniqueId = digits(21);
    const account: Account = {
      name: `projects/${project.id}/serviceAccounts/${email}`,
      projectId: project.id,
      uniqueId,
      email,
      ...(displayName && { displayName }),
      ...(description && { description }),
      etag: newEtag(),
      oauth2ClientId: uniqueId,
    };
    this.#world.accounts.set(email, account);
    return account;
  }

  /** By e-mail or unique ID; the project may be `-`. */
  #find(name: string): Account {
    const [, project, , id] = name.split("/") as [string, string, string, string];
    const account =
      this.#world.accounts.get(id) ?? [...this.#world.accounts.values()].find(({ uniqueId }) => uniqueId === id);
    if (!account || (project !== "-" && this.#world.project(project).id !== account.projectId)) {
      throw notFound("Unknown service account");
    }
    return account;
  }

  #disable(name: string, disabled: boolean) {
    Object.assign(this.#find(name), { disabled: disabled || undefined, etag: newEtag() });
    return { body: {} };
  }

  #delete(account: Account): void {
    this.#world.accounts.delete(account.email);
    this.#world.policies.drop(account.name);
    this.#world.policies.markDeleted(account.email, account.uniqueId);
    for (const { key } of this.#keysOf(account)) this.#keys.delete(key.name);
  }

  #keysOf({ name }: Account): HeldKey[] {
    return [...this.#keys.values()].filter(({ key }) => key.name.startsWith(`${name}/keys/`));
  }

  #findKey(name: string): HeldKey {
    const account = this.#find(name.replace(/\/keys\/.*/, ""));
    const held = this.#keys.get(`${account.name}/keys/${lastOf(name)}`);
    if (!held) throw notFound(`Service account key ${lastOf(name)} does not exist.`);
    return held;
  }

  #createKey({ params, body }: Call) {
    const account = this.#find(params["name"]!);
    const { keyAlgorithm = "KEY_ALG_RSA_2048", privateKeyType = "TYPE_GOOGLE_CREDENTIALS_FILE" } = (body ?? {}) as {
      keyAlgorithm?: Key["keyAlgorithm"];
      privateKeyType?: string;
    };
    if (privateKeyType !== "TYPE_GOOGLE_CREDENTIALS_FILE") {
      throw new GoogleError(501, `The stand-in makes no private key of type ${privateKeyType}.`);
    }
    if (this.#keysOf(account).length >= mostKeys) throw failedPrecondition("Precondition check failed.");
    const { privateKey, publicKey } = generateKeyPairSync("rsa", {
      modulusLength: keyAlgorithm === "KEY_ALG_RSA_1024" ? 1024 : 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    const id = hex(40);
    const key: Key = {
      name: `${account.name}/keys/${id}`,
      validAfterTime: now().replace(/\.\d+/, ""),
      validBeforeTime: "9999-12-31T23:59:59Z",
      keyAlgorithm,
      keyOrigin: "GOOGLE_PROVIDED",
      keyType: "USER_MANAGED",
    };
    this.#keys.set(key.name, { key, publicKey, certificate: certificateOf(publicKey, privateKey, account.uniqueId) });
    const credentials = {
      type: "service_account",
      project_id: account.projectId,
      private_key_id: id,
      private_key: privateKey,
      client_email: account.email,
      client_id: account.uniqueId,
      auth_uri: "https://accounts.google.com/o/oauth2/auth",
      token_uri: "https://oauth2.googleapis.com/token",
      auth_provider_x509_cert_url: "https://www.googleapis.com/oauth2/v1/certs",
      client_x509_cert_url: `https://www.googleapis.com/robot/v1/metadata/x509/${encodeURIComponent(account.email)}`,
      universe_domain: "googleapis.com",
    };
    const privateKeyData = Buffer.from(`${JSON.stringify(credentials, undefined, 2)}\n`).toString("base64");
    return { body: { ...key, privateKeyType, privateKeyData } };
  }
}

const emailOf = (id: string, project: Project) => `${id}@${project.id}.iam.gserviceaccount.com`;

/** Self-signed, for ever, as Google's are. */
function certificateOf(publicKey: string, privateKey: string, uniqueId: string): string {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = `00${createHash("sha1").update(publicKey).digest("hex").slice(0, 16)}`;
  certificate.validity.notBefore = new Date();
  certificate.validity.notAfter = new Date("9999-12-31T23:59:59Z");
  const names = [{ name: "commonName", value: uniqueId }];
  certificate.setSubject(names);
  certificate.setIssuer(names);
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate);
}
