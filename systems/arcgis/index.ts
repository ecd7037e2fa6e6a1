import * as gcp from "@pulumi/gcp";
import {
  ComponentResource,
  type ComponentResourceOptions,
  getOrganization,
  getProject,
  type Output,
  type Resource,
  RunError,
  StackReference,
  secret,
} from "@pulumi/pulumi";
import type { SystemFacts } from "../../audit/schema.ts";
import { VolumeFiles } from "../../components/docker/volume-files.ts";
import { arrival, type DeliveredFile, filesOf } from "../../components/github/delivered-file.ts";
import { RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import { createKey } from "../../components/google/account-key.ts";
import { createBucket } from "../../components/google/bucket.ts";
import { grant } from "../../components/google/grant.ts";
import { RuntimeAccount } from "../../components/google/runtime-account.ts";
import { ProjectServices } from "../../components/google/services.ts";
import { PrefectHost } from "../../components/prefect/prefect-host.ts";
import { keeps } from "../../components/protection.ts";
import type { ArcgisArgs, ArcgisConfig, HostConfig } from "./config.ts";
import { type Flows, factsOf } from "./facts.ts";
import { authSecret, credentials, credentialsVolume, environmentName, stagingBranches } from "./names.ts";
import { deliveredFiles } from "./repository/files.ts";

/** The APIs that flows and their account need. */
const services = ["bigquery", "cloudresourcemanager", "iam", "iamcredentials", "storage"];

/** What one stack's arcgis tells the others'. */
interface Shared {
  prefect: { url: string; authString: Output<string> };
}

/**
 * arcgis: pipelines between ArcGIS and BigQuery, run by a self-hosted Prefect.
 *
 * Each environment has its bucket, dataset and account. One stack owns the Prefect host and what the repository has once;
 * the others refer to that stack.
 */
export class Arcgis extends ComponentResource {
  /** What the audit says of it. */
  readonly facts: SystemFacts;
  /** What other stacks refer to, where this one owns the host. */
  readonly shared?: Shared;

  constructor(name: string, args: ArcgisArgs, opts?: ComponentResourceOptions) {
    super("esteira:systems:Arcgis", name, {}, opts);
    const { config, github: hub, secrets } = args;
    const flows = this.google(name, config);
    const host = config.host && this.host(name, config.host, config.deletionPolicy, secrets["GHCR_TOKEN"]);
    const prefect = host ?? (config.hostOf === undefined ? undefined : hostOf(config.hostOf));
    const ready: Resource[] = host ? [host] : [];
    if (prefect) ready.push(this.credentials(name, config, flows.account));

    const files = deliveredFiles(config, hub.owner, host?.project);
    const delivery = this.repository(name, config, files, ready, prefect);
    if (host) this.shared = { prefect: { url: host.url, authString: host.authString } };
    this.facts = factsOf(args, flows, files, delivery, host);
    this.registerOutputs();
  }

  /** Bucket, dataset, and the account that flows act as. */
  private google(name: string, { project, region, bucket, dataset, deletionPolicy, developers }: ArcgisConfig): Flows {
    const apis = new ProjectServices(`${name}-apis`, { project, services }, { parent: this });
    const after = { parent: this, dependsOn: [apis] };
    const protect = keeps(deletionPolicy);
    const made = [
      createBucket(`${name}-bucket`, { name: bucket, project, location: region, deletionPolicy }, after),
      new gcp.bigquery.Dataset(
        `${name}-dataset`,
        { datasetId: dataset, project, location: region, deleteContentsOnDestroy: !protect },
        { ...after, protect },
      ),
    ];
    const account = new RuntimeAccount(
      `${name}-flows`,
      {
        id: `${name}-flows`,
        displayName: `${name} (flows)`,
        project,
        roles: [
          { role: "roles/storage.objectUser", on: { bucket } },
          { role: "roles/bigquery.dataEditor", on: { dataset, project } },
          // A job is started in a project, no narrower resource will do.
          { role: "roles/bigquery.jobUser", on: { project } },
        ],
      },
      { parent: this, dependsOn: made },
    );
    const role = "roles/iam.serviceAccountTokenCreator";
    for (const developer of developers) {
      grant(
        `${name}-flows-developer-${developer}`,
        developer,
        role,
        { serviceAccount: account.fullName },
        { parent: this, dependsOn: [account.resource!] },
      );
    }
    const on = `service account ${account.email}`;
    return { account, developers: developers.map((principal) => ({ principal, role, on })) };
  }

  private host(
    name: string,
    { domain, acmeEmail, acmeServer, pool, webSockets, backupAt, backupDays, registryUser, images }: HostConfig,
    deletionPolicy: ArcgisConfig["deletionPolicy"],
    registryToken?: Output<string>,
  ): PrefectHost {
    return new PrefectHost(
      `${name}-prefect`,
      {
        domain,
        acme: { email: acmeEmail, server: acmeServer },
        pool,
        webSockets,
        backup: { at: backupAt, days: backupDays },
        registry: registryUser ? { host: "ghcr.io", user: registryUser } : undefined,
        registryToken,
        images,
        deletionPolicy,
      },
      { parent: this },
    );
  }

  /** The account's key, where this mode's flows find it on the host. A host outside Google has no identity there. */
  private credentials(name: string, config: ArcgisConfig, account: RuntimeAccount): VolumeFiles {
    const { json } = createKey(`${name}-flows-key`, account, { parent: this, dependsOn: [...account.ready] });
    return new VolumeFiles(
      `${name}-credentials`,
      {
        volume: credentialsVolume(config.mode),
        files: { [credentials.file]: json },
        image: config.prefectImage,
      },
      { parent: this },
    );
  }

  private repository(
    name: string,
    { repository, branch, via, mode, reviewers }: ArcgisConfig,
    files: readonly DeliveredFile[],
    ready: Resource[],
    prefect?: { url: string | Output<string>; authString: Output<string> },
  ): RepositoryDelivery {
    return new RepositoryDelivery(
      `${name}-repository`,
      {
        repository,
        ...arrival(name, mode, { branch, via }),
        environments: prefect && {
          [environmentName(mode)]: {
            reviewers,
            // In a policy, unlike in a workflow's filter, `**` alone ends at a slash.
            branches: [mode === "prod" ? branch : `${stagingBranches}/*`],
            secrets: { [authSecret]: prefect.authString },
            variables: { PREFECT_API_URL: prefect.url },
          },
        },
        files: filesOf(files),
      },
      // Once the workflow is there it may run: by then the server answers and flows find their key.
      { parent: this, dependsOn: ready },
    );
  }
}

/** What the stack that owns the host tells of it. */
function hostOf(stack: string): { url: Output<string>; authString: Output<string> } {
  const fullName = stack.includes("/") ? stack : `${getOrganization()}/${getProject()}/${stack}`;
  const prefect = new StackReference(fullName).getOutput("shared").apply((shared?: { arcgis?: Shared }) => {
    if (shared?.arcgis) return shared.arcgis.prefect;
    const mend = "name the stack whose file has esteira:arcgis.prefect.domain, and run its `up` first";
    throw new RunError(`esteira:arcgis.prefect.stack: the stack ${fullName} tells of no Prefect host; ${mend}`);
  });
  return { url: prefect.apply(({ url }) => url), authString: secret(prefect.apply(({ authString }) => authString)) };
}
