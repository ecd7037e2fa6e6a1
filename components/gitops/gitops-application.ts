import { core } from "@pulumi/kubernetes";
import { ComponentResource, type ComponentResourceOptions, type Input, type Resource } from "@pulumi/pulumi";
import { managedBy } from "../kubernetes/pods.ts";
import { dockerConfig, type RegistryUser } from "../kubernetes/pull-secret.ts";
import { type DeletionPolicy, keeps } from "../protection.ts";
import { fieldsOf, type GitCredentials } from "./git-credentials.ts";
import type { AppProjectSpec } from "./kinds.ts";
import { preReleaseOf } from "./names.ts";
import { Application, AppProject, ImageUpdater, type ObjectArgs } from "./resources.ts";
import type { SyncWindow } from "./sync-windows.ts";

/** An image that is kept up to date. */
export interface ImageArgs {
  /** Without a tag, such as ghcr.io/acme/api. */
  name: string;
  /** Tags that are taken: a regular expression from ^ to $. The highest version among them counts. */
  tags: string;
  /** Tags that are not taken all the same, with `*` and `?`. @default none */
  ignoreTags?: readonly string[];
  /** The values file whose image.repository and image.tag it is written into, below the chart's folder. */
  valuesFile: string;
  /** Who reads the registry where it is private. @default nobody has to */
  registry?: RegistryUser;
}

/** Arguments of {@link GitOpsApplication}. */
export interface GitOpsApplicationArgs {
  /** Name of the Application, and of the AppProject that is for it alone. */
  application: string;
  /** Namespace in which Argo CD runs. @default "argocd" */
  argocdNamespace?: string;
  /** The Helm chart in a Git repository, and the branch that is followed. */
  source: { repoURL: string; branch: string; path: string; releaseName: string; valueFiles: readonly string[] };
  destination: { server: string; namespace: string };
  /** Kinds that the chart may have, such as apps/Deployment or Service. */
  kinds: readonly string[];
  /** Whether a change in Git is synced by itself, with prune and self-heal. Else a person starts each sync. */
  automated: boolean;
  /** When syncs may start. @default at any time */
  windows?: readonly SyncWindow[];
  /** Groups of Argo CD's users: who may look, and who may also sync. @default nobody by this project */
  groups?: { viewers: readonly string[]; operators: readonly string[] };
  /** Recipients by notification service, told when it is degraded or a sync has failed. @default nobody */
  notifications?: Readonly<Record<string, string>>;
  image?: ImageArgs;
  /** For reading the repository, and for writing images back. @default none, for a public one that nobody writes to */
  credentials?: GitCredentials;
  /** Whether what is deployed goes with the Application; PREVENT keeps both. @default "PREVENT" */
  deletionPolicy?: DeletionPolicy;
}

/** What the Secrets of an application are called, beside it. */
export const secretNames = (application: string) => ({
  repository: `${application}-repository`,
  registry: `${application}-registry`,
});

/** Triggers that the catalog of Argo CD's notifications defines. */
const triggers = ["on-health-degraded", "on-sync-failed"];

/**
 * An application that Argo CD delivers from one repository to one namespace, with a project that allows that and nothing
 * else, and images that follow the registry by commits to Git.
 * @example
 * new GitOpsApplication("api", { application: "api-prod", source: {...}, destination: {...}, kinds: ["apps/Deployment"], automated: false })
 * @see https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/
 */
export class GitOpsApplication extends ComponentResource {
  constructor(name: string, args: GitOpsApplicationArgs, opts?: ComponentResourceOptions) {
    super("esteira:gitops:GitOpsApplication", name, {}, opts);
    const { application, image, credentials, notifications = {} } = args;
    const { source, destination } = args;
    const protect = keeps(args.deletionPolicy);
    const kept = { parent: this, protect };

    const project = new AppProject(`${name}-project`, objectOf(args, projectSpec(args)), kept);
    const before: Resource[] = [project];
    if (credentials) {
      before.push(
        this.secret(name, "repository", args, {
          type: "Opaque",
          labels: { "argocd.argoproj.io/secret-type": "repository" },
          data: { type: "git", url: source.repoURL, project: application, ...fieldsOf(credentials) },
        }),
      );
    }
    const deployed = new Application(
      `${name}-application`,
      objectOf(
        args,
        {
          project: application,
          source: {
            repoURL: source.repoURL,
            targetRevision: source.branch,
            path: source.path,
            helm: { releaseName: source.releaseName, valueFiles: [...source.valueFiles] },
          },
          destination: { ...destination },
          syncPolicy: {
            ...(args.automated && { automated: { enabled: true, prune: true, selfHeal: true, allowEmpty: false } }),
            syncOptions: ["CreateNamespace=true", "ServerSideApply=true", "PruneLast=true", "ApplyOutOfSyncOnly=true"],
            retry: { limit: 3, backoff: { duration: "10s", factor: 2, maxDuration: "3m" } },
          },
          // Each is one that `argocd app rollback` can go back to.
          revisionHistoryLimit: 20,
        },
        {
          annotations: Object.fromEntries(
            triggers.flatMap((trigger) =>
              Object.entries(notifications).map(([service, recipient]) => [
                `notifications.argoproj.io/subscribe.${trigger}.${service}`,
                recipient,
              ]),
            ),
          ),
          // With it what is deployed goes first.
          ...(!protect && { finalizers: ["resources-finalizer.argocd.argoproj.io"] }),
        },
      ),
      // The project must be there as long as the application is.
      { ...kept, dependsOn: before },
    );
    if (image) this.imageUpdater(name, args, image, [deployed]);
    this.registerOutputs();
  }

  private imageUpdater(name: string, args: GitOpsApplicationArgs, image: ImageArgs, before: Resource[]): void {
    const { source, application } = args;
    const { registry } = image;
    const namespace = namespaceOf(args);
    const dependsOn = [...before];
    if (registry) {
      dependsOn.push(
        this.secret(name, "registry", args, {
          type: "kubernetes.io/dockerconfigjson",
          data: { ".dockerconfigjson": dockerConfig(registry) },
        }),
      );
    }
    const settings = {
      updateStrategy: "semver",
      allowTags: `regexp:${image.tags}`,
      ...(image.ignoreTags?.length && { ignoreTags: [...image.ignoreTags] }),
      ...(registry && { pullSecret: `pullsecret:${namespace}/${secretNames(application).registry}` }),
      // Also before the first sync, when no such image runs yet.
      forceUpdate: true,
    };
    new ImageUpdater(
      `${name}-images`,
      objectOf(args, {
        applicationRefs: [
          {
            // Exact: two resources that match one application would overwrite each other's commits.
            namePattern: application,
            images: [
              {
                alias: "image",
                // It leaves versions such as v1.2.0-rc.1 out unless it is told.
                imageName: preReleaseOf(image.tags) ? `${image.name}:x-0` : image.name,
                // What stands at a higher level is not inherited one by one.
                commonUpdateSettings: settings,
                manifestTargets: { helm: { name: "image.repository", tag: "image.tag" } },
              },
            ],
            writeBackConfig: {
              // By the repository's own credentials: out of a Secret of its own it takes a token without checking certificates.
              method: "git:repocreds",
              gitConfig: { branch: source.branch, writeBackTarget: `helmvalues:/${source.path}/${image.valuesFile}` },
            },
          },
        ],
      }),
      { parent: this, dependsOn },
    );
  }

  private secret(
    name: string,
    what: keyof ReturnType<typeof secretNames>,
    args: GitOpsApplicationArgs,
    { type, labels, data }: { type: string; labels?: Record<string, string>; data: Record<string, Input<string>> },
  ): Resource {
    return new core.v1.Secret(
      `${name}-${what}`,
      {
        metadata: { ...metadataOf(args, { labels }), name: secretNames(args.application)[what] },
        type,
        stringData: data,
      },
      { parent: this },
    );
  }
}

const namespaceOf = ({ argocdNamespace = "argocd" }: GitOpsApplicationArgs) => argocdNamespace;

const objectOf = <Spec>(
  args: GitOpsApplicationArgs,
  spec: Spec,
  more: Partial<ObjectArgs<Spec>["metadata"]> = {},
): ObjectArgs<Spec> => ({ metadata: metadataOf(args, more), spec });

function metadataOf(
  args: GitOpsApplicationArgs,
  { labels, annotations, ...more }: Partial<ObjectArgs<unknown>["metadata"]>,
): ObjectArgs<unknown>["metadata"] {
  return {
    name: args.application,
    namespace: namespaceOf(args),
    labels: { ...managedBy, ...labels },
    annotations: {
      ...annotations,
      // What somebody changed by hand, with argocd or kubectl, is set again.
      "pulumi.com/patchForce": "true",
    },
    ...more,
  };
}

function projectSpec(args: GitOpsApplicationArgs): AppProjectSpec {
  const { application, source, destination, kinds, windows = [], groups } = args;
  const policy = (role: string, resource: string, action: string) =>
    `p, proj:${application}:${role}, ${resource}, ${action}, ${application}/${application}, allow`;
  const look = (role: string) => [policy(role, "applications", "get"), policy(role, "logs", "get")];
  const roles = [
    { name: "viewer", description: "Looks", groups: groups?.viewers ?? [], policies: look("viewer") },
    {
      name: "operator",
      description: "Looks, syncs, rolls back, restarts",
      groups: groups?.operators ?? [],
      policies: [
        ...look("operator"),
        policy("operator", "applications", "sync"),
        policy("operator", "applications", "action/*"),
      ],
    },
  ];
  return {
    description: `${application} alone: ${source.repoURL} to ${destination.namespace}`,
    sourceRepos: [source.repoURL],
    destinations: [{ ...destination }],
    // The one that it goes to, which CreateNamespace makes.
    clusterResourceWhitelist: [{ group: "", kind: "Namespace", name: destination.namespace }],
    namespaceResourceWhitelist: kinds.map(groupAndKind),
    roles: roles.filter((role) => role.groups.length > 0).map((role) => ({ ...role, groups: [...role.groups] })),
    ...(windows.length > 0 && { syncWindows: [...windows] }),
  };
}

const groupAndKind = (text: string) => {
  const slash = text.lastIndexOf("/");
  return { group: text.slice(0, Math.max(slash, 0)), kind: text.slice(slash + 1) };
};
