import type { Output } from "@pulumi/pulumi";
import { z } from "zod";
import { branchName, login, repositoryName, repositoryPath, reviewers, via } from "../../components/github/names.ts";
import type { RepositoryOwner } from "../../components/github/owner.ts";
import { pythonChecks } from "../../components/github/python-checks.ts";
import { breakGlass, breakGlassProblems, breakGlassWindow } from "../../components/gitops/break-glass.ts";
import { ignoredTag, preReleaseOf, syncWindow, tagPattern } from "../../components/gitops/names.ts";
import type { SyncWindow } from "../../components/gitops/sync-windows.ts";
import { windowProblems } from "../../components/gitops/window-problems.ts";
import { groupKind, namespace } from "../../components/kubernetes/names.ts";
import { type DeletionPolicy, defaultPolicy, deletionPolicy } from "../../components/protection.ts";
import { found, oneOf, type Problem, pattern, trueOrFalse, whole } from "../../components/schema.ts";
import { releaseName, webhookSecrets } from "./names.ts";

/** The environments, each the name of a stack. */
export const stacks = ["dev", "staging", "prod"] as const;

/** An environment. */
export type Environment = (typeof stacks)[number];

/** The tags that an environment takes, unless its file says otherwise. */
export const defaultTags: Record<Environment, string> = {
  dev: "^v[0-9]+\\.[0-9]+\\.[0-9]+-dev\\.[0-9]+$",
  staging: "^v[0-9]+\\.[0-9]+\\.[0-9]+-rc\\.[0-9]+$",
  prod: "^v[0-9]+\\.[0-9]+\\.[0-9]+$",
};

/** Monday to Friday, 06:00 to 18:00 UTC. */
const officeHours: SyncWindow = {
  kind: "allow",
  schedule: "0 6 * * 1-5",
  duration: "12h",
  timeZone: "UTC",
  syncOverrun: true,
};

/** What the document's chart has. Roles and Secrets are not among it: whoever may push to Git would give rights by them. */
const defaultKinds = [
  "ConfigMap",
  "Service",
  "ServiceAccount",
  "apps/Deployment",
  "autoscaling/HorizontalPodAutoscaler",
  "batch/Job",
  "external-secrets.io/ExternalSecret",
  "monitoring.coreos.com/ServiceMonitor",
  "networking.k8s.io/Ingress",
  "networking.k8s.io/NetworkPolicy",
  "policy/PodDisruptionBudget",
];

const httpsUrl = pattern(
  /^https:\/\/[A-Za-z0-9][A-Za-z0-9.-]*(:[1-9][0-9]{0,4})?(\/[A-Za-z0-9._~/-]*[A-Za-z0-9])?$/,
  "an https URL without a slash at its end, such as https://argocd.example.org",
);
const group = pattern(/^[^\s,"](.*[^\s,"])?$/, "a group, as Argo CD gets it from whoever signs users in");
const groups = z.array(group, { error: () => "a list of groups" }).default([]);

/**
 * What a stack's file says of python-api, under `esteira:python-api`.
 * @example
 * esteira:python-api:
 *   argocd: { url: https://argocd.example.org }
 */
export const schema = z.strictObject(
  {
    argocd: z
      .strictObject(
        {
          url: httpsUrl.describe("Where Argo CD answers, such as https://argocd.example.org"),
          namespace: namespace.default("argocd").describe("The namespace in which Argo CD runs"),
          webhooks: oneOf(
            ["made", "given", "none"],
            "whether GitHub tells Argo CD of a push: by a secret that is made, by the one that is there, or not",
          )
            .optional()
            .describe("How GitHub tells of pushes and images, in prod: `made`, `given` or `none`; prod: made"),
          imageUpdaterUrl: httpsUrl
            .optional()
            .describe("Where the Image Updater's webhooks answer; without one it looks every two minutes"),
        },
        { error: () => "an object with `url`" },
      )
      .describe("The Argo CD that delivers; it runs in the stack's Kubernetes"),
    repository: repositoryName.default("python-api-base"),
    branch: branchName.default("main").describe("The repository's default branch, which every environment follows"),
    via: via.default("push"),
    reviewers: reviewers.optional(),
    chart: repositoryPath
      .default("deployments/helm/api")
      .describe("Folder of the Helm chart, with values-ENVIRONMENT.yaml"),
    dockerfile: repositoryPath.default("Dockerfile"),
    namespace: namespace.optional().describe("Where it is deployed; python-api-ENVIRONMENT by default"),
    server: httpsUrl.default("https://kubernetes.default.svc").describe("The cluster's address, as Argo CD knows it"),
    kinds: z
      .array(groupKind, { error: () => "a list of kinds" })
      .min(1, { error: () => "at least one kind" })
      .default(defaultKinds)
      .describe("Kinds that the chart may have; any other is refused by Argo CD"),
    automated: trueOrFalse
      .optional()
      .describe("Whether changes are synced by themselves; never in prod, by default in the others"),
    tags: tagPattern.optional(),
    ignoreTags: z
      .array(ignoredTag, { error: () => "a list of tags" })
      .default([])
      .describe("Versions that turned out bad: without this a rollback in Git is undone by the next look"),
    windows: z
      .array(syncWindow, { error: () => "a list of windows" })
      .optional()
      .describe("When syncs may start; prod: Monday to Friday 06:00-18:00 UTC, others: at any time"),
    breakGlass: breakGlass.optional(),
    groups: z
      .strictObject({ viewers: groups, operators: groups }, { error: () => "an object with `viewers` and `operators`" })
      .prefault({})
      .describe("Groups that may look, and that may sync as well"),
    notifications: z
      .record(
        pattern(/^[a-z][a-z0-9-]*$/, "a notification service, such as slack; a webhook by its own name alone"),
        pattern(/^[^\s].*$/, "a recipient, such as a channel's name"),
        { error: () => "recipients by service" },
      )
      .default({})
      .describe("Who is told of degraded health and failed syncs: recipients by service, such as slack: deploys"),
    gitApp: z
      .strictObject(
        {
          id: whole(1, Number.MAX_SAFE_INTEGER, "the GitHub App's numeric id"),
          installation: whole(1, Number.MAX_SAFE_INTEGER, "the id of its installation"),
        },
        { error: () => "an object with `id` and `installation`" },
      )
      .optional()
      .describe("The GitHub App that reads the repository and commits images; a token does where there is none"),
    registryUser: login.optional().describe("Who reads the image from ghcr.io; nobody where it is public"),
    ...pythonChecks,
    deletionPolicy: deletionPolicy("whether the application may be deleted")
      .optional()
      .describe("Whether the application may be deleted, with all that it deployed; prod: PREVENT, others: DELETE"),
  },
  { error: () => "an object" },
);

type Parsed = z.output<typeof schema>;

/** python-api's part of a stack's config, everything resolved. */
export type PythonApiConfig = Omit<
  Parsed,
  "argocd" | "namespace" | "automated" | "tags" | "windows" | "deletionPolicy"
> & {
  environment: Environment;
  /** Name of the Application. */
  application: string;
  argocd: Parsed["argocd"] & { webhooks: "made" | "given" | "none" };
  namespace: string;
  automated: boolean;
  tags: string;
  /** Without the break-glass window. */
  windows: SyncWindow[];
  deletionPolicy: DeletionPolicy;
};

/** Fills in what follows from the environment's name and from other keys. */
export function resolve(parsed: Parsed, stack: string): PythonApiConfig {
  const environment = stack as Environment;
  const application = `${releaseName(parsed)}-${environment}`;
  const windows: SyncWindow[] = parsed.windows ?? (environment === "prod" ? [officeHours] : []);
  return {
    ...parsed,
    environment,
    application,
    argocd: { ...parsed.argocd, webhooks: parsed.argocd.webhooks ?? (environment === "prod" ? "made" : "none") },
    namespace: parsed.namespace ?? `python-api-${environment}`,
    automated: parsed.automated ?? environment !== "prod",
    tags: parsed.tags ?? defaultTags[environment],
    windows: windows.map((window) => (selects(window) ? window : { ...window, applications: [application] })),
    deletionPolicy: parsed.deletionPolicy ?? defaultPolicy(environment),
  };
}

const selects = ({ applications, namespaces, clusters }: SyncWindow) => applications ?? namespaces ?? clusters;

/** The windows as they are declared: the break-glass window is one more. */
export const declaredWindows = ({ windows, breakGlass, application }: PythonApiConfig): SyncWindow[] =>
  breakGlass ? [...windows, breakGlassWindow(breakGlass, application)] : windows;

/** The secrets that a person gives, and what each is for. */
export function secretsOf({ gitApp, repository, registryUser, argocd }: PythonApiConfig): Record<string, string> {
  return {
    ...(gitApp
      ? { GIT_APP_KEY: `private key of the GitHub App ${gitApp.id}, installed at ${repository} with contents: write` }
      : {
          GIT_TOKEN: `fine-grained token for ${repository} alone with contents: write, for Argo CD and its Image Updater`,
        }),
    ...(registryUser && {
      GHCR_TOKEN: `personal access token of ${registryUser} with scope read:packages, which reads the image's tags`,
    }),
    ...(argocd.webhooks === "given" && {
      ARGOCD_WEBHOOK_SECRET: existing(webhookSecrets.argocd),
      ...(argocd.imageUpdaterUrl && {
        IMAGE_UPDATER_WEBHOOK_SECRET: existing(webhookSecrets["image-updater"]),
      }),
    }),
  };
}

const existing = ({ key, secretName }: { key: string; secretName: string }) =>
  `value of ${key} in the Secret ${secretName} of Argo CD's namespace`;

/** It declares objects of Argo CD's. */
export const usesKubernetes = () => true;

/** What is wrong with it in this stack. @param now when it is asked */
export function problemsIn(config: PythonApiConfig, now = new Date()): Problem[] {
  const { environment, automated, tags, argocd, reviewers, application } = config;
  const problems: Problem[] = [];
  const problem = (key: string, message: string) => problems.push({ key, message });
  if (environment === "prod" && automated) {
    problem("automated", "found true in prod; expected false: an operator starts each sync there");
  }
  if (!/^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$/.test(application)) {
    problem(
      "repository",
      `gives the Application's name "${application}"; expected at most 53 lower-case letters, digits or hyphens`,
    );
  }
  if (environment !== "prod" && argocd.webhooks !== "none") {
    problem(
      "argocd.webhooks",
      `found "${argocd.webhooks}" in ${environment}; expected none: a repository has them once, and prod's stack owns them`,
    );
  }
  if (argocd.imageUpdaterUrl && argocd.webhooks === "none") {
    problem("argocd.imageUpdaterUrl", 'found beside webhooks "none"; expected nothing: nobody would call it');
  }
  const [own, wanted] = [preReleaseOf(tags), preReleaseOf(defaultTags[environment])];
  if (own !== wanted) {
    const end = wanted === "" ? "nothing after the three numbers" : `${wanted}\\.[0-9]+ at its end`;
    problem("tags", `${found(tags)}; expected ${environment}'s versions alone: ${end}`);
  }
  if (config.namespace === argocd.namespace) {
    problem(
      "namespace",
      `${found(config.namespace)}, where Argo CD runs; expected another: what is in Git would rule over it`,
    );
  }
  if (reviewers && environment !== "prod") {
    problem("reviewers", `found in ${environment}; expected in prod alone: nobody has to approve an image otherwise`);
  }
  const target = targetOf(config);
  const closed = windowProblems(config.windows, target, !automated, now);
  const glass = config.breakGlass ? breakGlassProblems(config.breakGlass, config.windows, target, now) : [];
  return [...problems, ...(closed.length > 0 ? closed : glass)];
}

/** What windows are matched with. */
const targetOf = ({ application, namespace, server }: PythonApiConfig) => ({
  name: application,
  destination: { namespace, server },
});

/** Arguments of python-api. */
export interface PythonApiArgs {
  config: PythonApiConfig;
  /** The secrets that `secretsOf(config)` names. */
  secrets: Readonly<Record<string, Output<string>>>;
  /** Whose repository it is. */
  github: RepositoryOwner;
}
