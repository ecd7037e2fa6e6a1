/** What an object that exists is called by `pulumi import`: providers name it in their documentation, each resource its own way. */
import { resourceLabel } from "../../components/docker/names.ts";
import { accountEmail } from "../../components/google/account.ts";
import type { Services } from "./services.ts";

/** A resource's inputs, as the program declares them. */
type Inputs = Record<string, unknown>;

/** By type: the ID of the object that there is already. A type whose creates are never refused for that is not here. */
export const importIds: Record<string, (inputs: Inputs, services: Services) => string | Promise<string | undefined>> = {
  "docker:index/network:Network": ({ name }, { docker }) =>
    docker("network", "inspect", "--format", "{{.Id}}", String(name)),
  "gcp:bigquery/dataset:Dataset": ({ project, datasetId }) => `projects/${project}/datasets/${datasetId}`,
  "gcp:cloudfunctionsv2/function:Function": ({ project, location, name }) =>
    `projects/${project}/locations/${location}/functions/${name}`,
  "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": ({ project, workloadIdentityPoolId }) =>
    `projects/${project}/locations/global/workloadIdentityPools/${workloadIdentityPoolId}`,
  "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": (inputs) =>
    `projects/${inputs["project"]}/locations/global/workloadIdentityPools/${inputs["workloadIdentityPoolId"]}` +
    `/providers/${inputs["workloadIdentityPoolProviderId"]}`,
  "gcp:serviceaccount/account:Account": ({ project, accountId }) =>
    `projects/${project}/serviceAccounts/${accountEmail(String(accountId), String(project))}`,
  "gcp:storage/bucket:Bucket": ({ project, name }) => `${project}/${name}`,
  "github:index/actionsEnvironmentVariable:ActionsEnvironmentVariable": ({ repository, environment, variableName }) =>
    `${repository}:${environment}:${variableName}`,
  "github:index/repositoryRuleset:RepositoryRuleset": async ({ repository, name }, { github }) => {
    const rulesets = (await github(`repos/{owner}/${repository}/rulesets?includes_parents=false&per_page=100`)) as {
      id: number;
      name: string;
    }[];
    const ruleset = rulesets.find((each) => each.name === name);
    return ruleset && `${repository}:${ruleset.id}`;
  },
  "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy": async (
    inputs,
    { github },
  ) => {
    const [repository, environment] = [String(inputs["repository"]), String(inputs["environment"])];
    const path = `repos/{owner}/${repository}/environments/${encodeURIComponent(environment)}/deployment-branch-policies?per_page=100`;
    const { branch_policies: policies } = (await github(path)) as {
      branch_policies: { id: number; name: string; type?: string }[];
    };
    const kind = inputs["tagPattern"] === undefined ? "branch" : "tag";
    const pattern = inputs[`${kind}Pattern`];
    // An older GitHub Enterprise Server has branches only, and does not say so.
    const policy = policies.find(({ name, type = "branch" }) => name === pattern && type === kind);
    return policy && `${repository}:${environment}:${policy.id}`;
  },
  "github:index/repositoryWebhook:RepositoryWebhook": async ({ repository, configuration, events }, { github }) => {
    const webhooks = (await github(`repos/{owner}/${repository}/hooks?per_page=100`)) as {
      id: number;
      events: string[];
      config: { url?: string };
    }[];
    const { url } = configuration as { url: string };
    // Others may have the same URL, for other events.
    const shared = ({ events: theirs }: { events: string[] }) =>
      theirs.some((each) => (events as string[]).includes(each));
    const webhook = webhooks.find((each) => each.config.url === url && shared(each));
    return webhook && `${repository}/${webhook.id}`;
  },
  "github:index/repositoryPullRequest:RepositoryPullRequest": async (inputs, { owner, github }) => {
    const [repository, head, base] = [inputs["baseRepository"], inputs["headRef"], inputs["baseRef"]].map(String);
    const [pull] = (await github(
      `repos/{owner}/${repository}/pulls?head={owner}:${encodeURIComponent(head!)}&base=${encodeURIComponent(base!)}`,
    )) as {
      number: number;
    }[];
    return pull && `${owner}:${repository}:${pull.number}`;
  },
};

/** The ID of the object that is in a resource's place; undefined where nothing here knows it. */
export const importId = async (
  { type, inputs }: { type: string; inputs: Inputs },
  services: Services,
): Promise<string | undefined> =>
  type.startsWith("kubernetes:") ? objectId(inputs) : importIds[type]?.(inputs, services);

/** A Kubernetes object of any kind. One without a name of its own gets one that nothing else has. */
function objectId({ metadata }: Inputs): string | undefined {
  const { namespace, name } = (metadata ?? {}) as { namespace?: string; name?: string };
  return namespace && name ? `${namespace}/${name}` : name;
}

/**
 * By type: takes away an object that cannot be taken into a state, and that holds nothing. A container is one: providers
 * read back less of it than it was made with, so that an adopted one would be replaced; what it keeps is in volumes.
 * @param resource the resource's name @throws Error where the object is somebody else's
 */
export const removals: Record<string, (resource: string, inputs: Inputs, services: Services) => Promise<unknown>> = {
  "docker:index/container:Container": async (resource, { name }, { docker }) => {
    const container = String(name);
    const format = `{{index .Config.Labels "${resourceLabel}"}}`;
    const found = await docker("container", "inspect", "--format", format, container);
    if (found === resource) return docker("rm", "--force", container);
    throw new Error(
      `${container} is in the way and not this program's: see what it is, and remove or rename it (docker inspect ${container})`,
    );
  },
};
