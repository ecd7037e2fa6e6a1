/** Workload identity pools and their providers. @see https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools */
import type { Call, Drift, Handler, Reply } from "../stand-in/api.ts";
import { alreadyExists, failedPrecondition, invalid, notFound } from "./errors.ts";
import { lastOf, page, patch, type Service, type World } from "./world.ts";

export interface Pool {
  name: string;
  displayName?: string;
  description?: string;
  state: "ACTIVE" | "DELETED";
  disabled?: boolean;
  expireTime?: string;
}

interface Provider extends Pool {
  attributeMapping?: Record<string, string>;
  attributeCondition?: string;
  oidc?: { issuerUri?: string; allowedAudiences?: string[]; jwksJson?: string };
  aws?: { accountId?: string };
  saml?: object;
  x509?: object;
}

/** How long something deleted can be had back, and its ID is taken. */
const keptDays = 30;

const unmended = `its ID stays taken for ${keptDays} days: only an undelete brings it back`;

export class WorkloadIdentity implements Service {
  readonly #world: World;
  readonly #providers = new Map<string, Provider>();

  constructor(world: World) {
    this.#world = world;
  }

  readonly handlers: Record<string, Handler> = {
    ...this.#kind<Pool>(
      "iam.projects.locations.workloadIdentityPools",
      "workloadIdentityPool",
      () => this.#world.pools,
    ),
    ...this.#kind<Provider>(
      "iam.projects.locations.workloadIdentityPools.providers",
      "workloadIdentityPoolProvider",
      () => this.#providers,
      (provider) => this.#checkProvider(provider),
    ),
    "iam.projects.locations.workloadIdentityPools.listAttestationRules": ({ params }) => {
      this.#find(this.#world.pools, params["resource"]!);
      return { body: {} };
    },
    "iam.projects.locations.workloadIdentityPools.operations.get": (call) => this.#operation(call),
    "iam.projects.locations.workloadIdentityPools.providers.operations.get": (call) => this.#operation(call),
  };

  /** What was deleted is left out, though its ID stays taken. */
  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#world.pools.values(), ...this.#providers.values()]
        .filter(({ name }) => this.#isActive(name))
        .map(({ name, ...rest }): [string, object] => [name, rest])
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  }

  drifts(): Drift[] {
    const active = <T extends Pool>(held: Map<string, T>) =>
      [...held.values()].filter(({ name }) => this.#isActive(name));
    return [
      ...active(this.#world.pools).flatMap((pool) => [
        {
          what: `workload identity pool ${lastOf(pool.name)}: display name`,
          kind: "pool renamed",
          object: lastOf(pool.name),
          apply: () => {
            pool.displayName = "changed";
          },
        },
        {
          what: `workload identity pool ${lastOf(pool.name)}: deleted`,
          kind: "pool deleted",
          unmended,
          object: lastOf(pool.name),
          apply: () => remove(pool),
        },
      ]),
      ...active(this.#providers).flatMap((provider) => [
        {
          what: `workload identity provider ${lastOf(provider.name)}: condition`,
          kind: "condition changed",
          object: lastOf(provider.name),
          apply: () => {
            provider.attributeCondition = `${provider.attributeCondition ?? "true"} || assertion.sub != ""`;
          },
        },
        {
          what: `workload identity provider ${lastOf(provider.name)}: deleted`,
          kind: "provider deleted",
          unmended,
          object: lastOf(provider.name),
          apply: () => remove(provider),
        },
      ]),
    ];
  }

  /** Pools and providers have the same methods. */
  #kind<T extends Pool>(
    prefix: string,
    singular: string,
    held: () => Map<string, T>,
    check: (wanted: T) => void = () => {},
  ): Record<string, Handler> {
    const plural = singular === "workloadIdentityPool" ? "workloadIdentityPools" : "providers";
    return {
      [`${prefix}.create`]: ({ params, query, body }) => {
        const parent = this.#world.byNumber(params["parent"]!);
        if (plural === "providers") this.#find(this.#world.pools, parent, "ACTIVE");
        const id = query.get(`${singular}Id`) ?? "";
        if (!/^[a-z0-9-]{4,32}$/.test(id) || id.startsWith("gcp-")) {
          throw invalid(`The ${singular}Id must be 4-32 characters of [a-z0-9-] and not start with gcp-: ${id}`);
        }
        const name = `${parent}/${plural}/${id}`;
        if (held().has(name)) throw alreadyExists("Requested entity already exists");
        const created = { ...(body as T), name, state: "ACTIVE" } as T;
        check(created);
        held().set(name, created);
        return this.#started(created);
      },
      [`${prefix}.get`]: ({ params }) => ({ body: this.#find(held(), params["name"]!) }),
      [`${prefix}.list`]: (call) => {
        const parent = `${this.#world.byNumber(call.params["parent"]!)}/${plural}/`;
        const all = [...held().values()].filter(
          ({ name, state }) =>
            name.startsWith(parent) && (state === "ACTIVE" || call.query.get("showDeleted") === "true"),
        );
        const [items, nextPageToken] = page(all, call, 50);
        return { body: { [singular === "workloadIdentityPool" ? plural : `${singular}s`]: items, nextPageToken } };
      },
      [`${prefix}.patch`]: ({ params, query, body }) => {
        const current = this.#find(held(), params["name"]!, "ACTIVE");
        const changed = patch(current, body as object, query.get("updateMask"));
        check(changed);
        held().set(current.name, { ...changed, name: current.name, state: current.state });
        return this.#started(changed);
      },
      [`${prefix}.delete`]: ({ params }) => this.#started(remove(this.#find(held(), params["name"]!, "ACTIVE"))),
      [`${prefix}.undelete`]: ({ params }) => {
        const deleted = this.#find(held(), params["name"]!);
        if (deleted.state !== "DELETED") throw failedPrecondition(`${deleted.name} is not deleted.`);
        deleted.state = "ACTIVE";
        delete deleted.expireTime;
        return this.#started(deleted);
      },
    };
  }

  #find<T extends Pool>(held: Map<string, T>, name: string, state?: Pool["state"]): T {
    const found = held.get(this.#world.byNumber(name));
    if (!found || (state && found.state !== state)) throw notFound("Requested entity was not found.");
    return found;
  }

  /** A provider goes and comes back with its pool. */
  #isActive(name: string): boolean {
    const pool = this.#world.pools.get(name.replace(/\/providers\/.*/, ""));
    return pool?.state === "ACTIVE" && (this.#providers.get(name) ?? pool).state === "ACTIVE";
  }

  #started<T extends Pool>(target: T): Reply {
    const response = { "@type": "type.googleapis.com/google.iam.v1.WorkloadIdentityPool", ...target };
    return { body: this.#world.operations.start(target.name, target.name, { response }) };
  }

  #operation({ params }: Call): Reply {
    return { body: this.#world.operations.get(this.#world.byNumber(params["name"]!)) };
  }

  #checkProvider({ oidc, aws, saml, x509, attributeMapping, attributeCondition }: Provider): void {
    if ([oidc, aws, saml, x509].filter((each) => each).length !== 1) {
      throw invalid("Exactly one of aws, oidc, saml or x509 must be set.");
    }
    if (!oidc) return;
    if (!oidc.issuerUri?.startsWith("https://")) throw invalid("The issuer URI must be an HTTPS URL.");
    if (!attributeMapping?.["google.subject"]) throw invalid("The attribute mapping must map google.subject.");
    // Issuers that serve many customers.
    const claims = /\b(assertion|attribute|google)\.\w/;
    if (
      /^https:\/\/(token\.actions\.githubusercontent\.com|gitlab\.com)/.test(oidc.issuerUri) &&
      !claims.test(attributeCondition ?? "")
    ) {
      throw invalid(
        "The attribute condition must reference one of the provider's claims. For more information, see https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions",
      );
    }
  }
}

function remove<T extends Pool>(target: T): T {
  target.state = "DELETED";
  target.expireTime = new Date(Date.now() + keptDays * 24 * 3600 * 1000).toISOString();
  return target;
}
