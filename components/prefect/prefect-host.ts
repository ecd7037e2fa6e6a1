import {
  ComponentResource,
  type ComponentResourceOptions,
  type Input,
  interpolate,
  type Output,
  secret,
} from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { Project } from "../docker/compose.ts";
import { ComposeProject } from "../docker/compose-project.ts";
import type { DeletionPolicy } from "../protection.ts";
import { type PrefectHostSettings, prefectHost } from "./host.ts";

/** Arguments of {@link PrefectHost}. */
export interface PrefectHostArgs extends PrefectHostSettings {
  /** The token that `registry` names the user of. @default none */
  registryToken?: Input<string>;
  /** Whether its volumes, which hold what cannot be made again, may be deleted. @default "PREVENT" */
  deletionPolicy?: DeletionPolicy;
}

/**
 * A self-hosted Prefect on the host that the Docker provider is configured for. Its passwords are made here, and known
 * to nobody but the state and those that need them.
 * @throws Error when `registry` has no `registryToken`, or the other way round
 * @example
 * new PrefectHost("flows", { domain: "prefect.example.org", acme: { email: "ops@example.org" }, pool: "docker-pool", backup: { at: "06:00", days: 14 } })
 */
export class PrefectHost extends ComponentResource {
  /** Where clients outside find the API. */
  readonly url: string;
  /** What the API asks clients for: USER:PASSWORD, for PREFECT_API_AUTH_STRING. */
  readonly authString: Output<string>;
  readonly project: Project;
  /** The variables of the project whose values are made here. */
  readonly secrets: Readonly<Record<string, Output<string>>>;

  constructor(name: string, args: PrefectHostArgs, opts?: ComponentResourceOptions) {
    super("esteira:prefect:PrefectHost", name, {}, opts);
    const { registryToken, deletionPolicy, ...settings } = args;
    if ((settings.registry === undefined) !== (registryToken === undefined)) {
      throw new Error(`PrefectHost ${name}: registry contradicts registryToken: one is nothing without the other`);
    }
    const password = (of: string) =>
      // Letters and digits: it stands in URLs and in files of other syntax.
      new random.RandomPassword(`${name}-${of}`, { length: 32, special: false }, { parent: this }).result;

    this.url = `https://${args.domain}/api`;
    this.project = prefectHost(settings);
    this.authString = secret(interpolate`prefect:${password("api")}`);
    this.secrets = {
      POSTGRES_PASSWORD: secret(password("postgres")),
      PREFECT_AUTH_STRING: this.authString,
      REDIS_PASSWORD: secret(password("redis")),
    };
    const values = {
      ...this.secrets,
      ...(registryToken !== undefined && { REGISTRY_TOKEN: registryToken }),
    };
    new ComposeProject(`${name}-compose`, { project: this.project, values, deletionPolicy }, { parent: this });
    this.registerOutputs({ url: this.url });
  }
}
