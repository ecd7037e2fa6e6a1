import { ComponentResource, type ComponentResourceOptions, type Output, type Resource } from "@pulumi/pulumi";
import type { SystemFacts } from "../../audit/schema.ts";
import { arrival, filesOf } from "../../components/github/delivered-file.ts";
import { ghcrImage } from "../../components/github/names.ts";
import { RepositoryDelivery, type WebhookArgs } from "../../components/github/repository-delivery.ts";
import type { GitCredentials } from "../../components/gitops/git-credentials.ts";
import { GitOpsApplication } from "../../components/gitops/gitops-application.ts";
import { WebhookSecret } from "../../components/gitops/webhook-secret.ts";
import { declaredWindows, type PythonApiArgs } from "./config.ts";
import { factsOf } from "./facts.ts";
import { environmentName, releaseName, repositoryUrl, rulesets, valuesFile, webhookSecrets } from "./names.ts";
import { deliveredFiles } from "./repository/files.ts";

/** Which tags of the repository may run in an environment. */
const tagsOf = { dev: [], staging: ["v*-rc.*"], prod: ["v*"] };

/**
 * python-api: a Python API that Argo CD delivers from Git, dev and staging by itself, prod when an operator says so in a sync window.
 *
 * The repository's workflows publish images, the Image Updater commits their tags, Argo CD syncs. Each environment has its own
 * project, application, workflow and runbook; prod's stack has what the repository has once.
 */
export class PythonApi extends ComponentResource {
  /** What the audit says of it. */
  readonly facts: SystemFacts;

  constructor(name: string, args: PythonApiArgs, opts?: ComponentResourceOptions) {
    super("esteira:systems:PythonApi", name, {}, opts);
    const { config, github: hub } = args;
    const application = this.application(name, args);
    const files = deliveredFiles(config, hub.owner);
    const { environment, repository, branch } = config;
    const delivery = new RepositoryDelivery(
      `${name}-repository`,
      {
        repository,
        ...arrival(name, environment, config),
        environments: {
          [environmentName(environment)]: {
            reviewers: config.reviewers,
            branches: environment === "dev" ? [branch] : [],
            tags: tagsOf[environment],
          },
        },
        webhooks: this.webhooks(name, args),
        rulesets: rulesets(config),
        files: filesOf(files),
      },
      // Once the workflow is there it may run: by then somebody waits for its image.
      { parent: this, dependsOn: [application] },
    );
    this.facts = factsOf(args, files, delivery);
    this.registerOutputs();
  }

  private application(name: string, { config, secrets, github: hub }: PythonApiArgs): Resource {
    const { environment, application, argocd, namespace, server, registryUser } = config;
    return new GitOpsApplication(
      `${name}-gitops`,
      {
        application,
        argocdNamespace: argocd.namespace,
        source: {
          repoURL: repositoryUrl(hub.owner, config),
          branch: config.branch,
          path: config.chart,
          releaseName: releaseName(config),
          valueFiles: ["values.yaml", valuesFile(environment)],
        },
        destination: { server, namespace },
        kinds: config.kinds,
        automated: config.automated,
        windows: declaredWindows(config),
        groups: config.groups,
        notifications: config.notifications,
        image: {
          name: ghcrImage(hub.owner, config.repository),
          tags: config.tags,
          ignoreTags: config.ignoreTags,
          valuesFile: valuesFile(environment),
          registry: registryUser ? { host: "ghcr.io", user: registryUser, token: secrets["GHCR_TOKEN"]! } : undefined,
        },
        credentials: credentials(config.gitApp, secrets),
        deletionPolicy: config.deletionPolicy,
      },
      { parent: this },
    );
  }

  /** How GitHub tells Argo CD of pushes, and its Image Updater of images. */
  private webhooks(name: string, { config: { argocd }, secrets }: PythonApiArgs): Record<string, WebhookArgs> {
    const { webhooks, url, imageUpdaterUrl, namespace } = argocd;
    if (webhooks === "none") return {};
    const value = (what: keyof typeof webhookSecrets, given: string): Output<string> =>
      webhooks === "given"
        ? secrets[given]!
        : new WebhookSecret(`${name}-${what}-webhook`, { ...webhookSecrets[what], namespace }, { parent: this }).value;
    return {
      argocd: {
        url: `${url}/api/webhook`,
        events: ["push"],
        secret: value("argocd", "ARGOCD_WEBHOOK_SECRET"),
      },
      ...(imageUpdaterUrl && {
        "image-updater": {
          url: `${imageUpdaterUrl}/webhook?type=ghcr.io`,
          events: ["package"],
          secret: value("image-updater", "IMAGE_UPDATER_WEBHOOK_SECRET"),
        },
      }),
    };
  }
}

const credentials = (app: PythonApiArgs["config"]["gitApp"], secrets: PythonApiArgs["secrets"]): GitCredentials =>
  app
    ? { app: app.id, installation: app.installation, privateKey: secrets["GIT_APP_KEY"]! }
    : { token: secrets["GIT_TOKEN"]! };
