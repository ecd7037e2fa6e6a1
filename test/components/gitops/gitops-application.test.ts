import assert from "node:assert/strict";
import { secret } from "@pulumi/pulumi";
import { GitOpsApplication, type GitOpsApplicationArgs } from "../../../components/gitops/gitops-application.ts";
import type { SyncWindow } from "../../../components/gitops/sync-windows.ts";
import { declared, optionsOf } from "../../declared.ts";

const base: GitOpsApplicationArgs = {
  application: "shop-prod",
  source: {
    repoURL: "https://github.com/acme/shop.git",
    branch: "main",
    path: "charts/shop",
    releaseName: "shop",
    valueFiles: ["values.yaml", "values-prod.yaml"],
  },
  destination: { server: "https://kubernetes.default.svc", namespace: "shop" },
  kinds: ["apps/Deployment", "Service", "networking.k8s.io/Ingress"],
  automated: false,
};

const make =
  (changes: Partial<GitOpsApplicationArgs> = {}) =>
  () =>
    new GitOpsApplication("g", { ...base, ...changes });

const image = { name: "ghcr.io/acme/shop", tags: "^v[0-9]+$", valuesFile: "values-prod.yaml" };

const metadata = (changes: object = {}) => ({
  name: "shop-prod",
  namespace: "argocd",
  labels: { "app.kubernetes.io/managed-by": "pulumi" },
  annotations: { "pulumi.com/patchForce": "true" },
  ...changes,
});

describe("GitOpsApplication", () => {
  it("makes a project that allows this application alone, and an application that a person syncs", async () => {
    const { "GitOpsApplication g": _, ...resources } = await declared(make());
    assert.deepEqual(resources, {
      "AppProject g-project": {
        apiVersion: "argoproj.io/v1alpha1",
        kind: "AppProject",
        metadata: metadata(),
        spec: {
          description: "shop-prod alone: https://github.com/acme/shop.git to shop",
          sourceRepos: ["https://github.com/acme/shop.git"],
          destinations: [{ server: "https://kubernetes.default.svc", namespace: "shop" }],
          clusterResourceWhitelist: [{ group: "", kind: "Namespace", name: "shop" }],
          namespaceResourceWhitelist: [
            { group: "apps", kind: "Deployment" },
            { group: "", kind: "Service" },
            { group: "networking.k8s.io", kind: "Ingress" },
          ],
          roles: [],
        },
      },
      "Application g-application": {
        apiVersion: "argoproj.io/v1alpha1",
        kind: "Application",
        metadata: metadata(),
        spec: {
          project: "shop-prod",
          source: {
            repoURL: "https://github.com/acme/shop.git",
            targetRevision: "main",
            path: "charts/shop",
            helm: { releaseName: "shop", valueFiles: ["values.yaml", "values-prod.yaml"] },
          },
          destination: { server: "https://kubernetes.default.svc", namespace: "shop" },
          syncPolicy: {
            syncOptions: ["CreateNamespace=true", "ServerSideApply=true", "PruneLast=true", "ApplyOutOfSyncOnly=true"],
            retry: { limit: 3, backoff: { duration: "10s", factor: 2, maxDuration: "3m" } },
          },
          revisionHistoryLimit: 20,
        },
      },
    });
  });

  it("syncs by itself with prune and self-heal where it is told to", async () => {
    const { "Application g-application": application } = await declared(make({ automated: true }));
    const { syncPolicy } = application!["spec"] as { syncPolicy: Record<string, unknown> };
    assert.deepEqual(syncPolicy["automated"], { enabled: true, prune: true, selfHeal: true, allowEmpty: false });
  });

  it("puts windows and roles into the project: viewers look, operators sync too", async () => {
    const windows: SyncWindow[] = [
      { kind: "allow", schedule: "0 6 * * 1-5", duration: "12h", timeZone: "UTC", applications: ["shop-prod"] },
    ];
    const groups = { viewers: ["acme:all"], operators: ["acme:ops", "acme:leads"] };
    const resources = await declared(make({ windows, groups }));
    const spec = resources["AppProject g-project"]!["spec"] as Record<string, unknown>;
    assert.deepEqual(spec["syncWindows"], windows);
    const p = (role: string, what: string) => `p, proj:shop-prod:${role}, ${what}, shop-prod/shop-prod, allow`;
    assert.deepEqual(spec["roles"], [
      {
        name: "viewer",
        description: "Looks",
        groups: ["acme:all"],
        policies: [p("viewer", "applications, get"), p("viewer", "logs, get")],
      },
      {
        name: "operator",
        description: "Looks, syncs, rolls back, restarts",
        groups: ["acme:ops", "acme:leads"],
        policies: [
          p("operator", "applications, get"),
          p("operator", "logs, get"),
          p("operator", "applications, sync"),
          p("operator", "applications, action/*"),
        ],
      },
    ]);
  });

  it("subscribes each recipient to degraded health and failed syncs", async () => {
    const resources = await declared(make({ notifications: { slack: "shop", "webhook-x": "all" } }));
    const { annotations } = resources["Application g-application"]!["metadata"] as { annotations: object };
    assert.deepEqual(annotations, {
      "notifications.argoproj.io/subscribe.on-health-degraded.slack": "shop",
      "notifications.argoproj.io/subscribe.on-health-degraded.webhook-x": "all",
      "notifications.argoproj.io/subscribe.on-sync-failed.slack": "shop",
      "notifications.argoproj.io/subscribe.on-sync-failed.webhook-x": "all",
      "pulumi.com/patchForce": "true",
    });
  });

  it("has the Image Updater commit the highest tag that is taken", async () => {
    const resources = await declared(make({ image }));
    assert.deepEqual(resources["ImageUpdater g-images"], {
      apiVersion: "argocd-image-updater.argoproj.io/v1alpha1",
      kind: "ImageUpdater",
      metadata: metadata(),
      spec: {
        applicationRefs: [
          {
            namePattern: "shop-prod",
            images: [
              {
                alias: "image",
                imageName: "ghcr.io/acme/shop",
                commonUpdateSettings: { updateStrategy: "semver", allowTags: "regexp:^v[0-9]+$", forceUpdate: true },
                manifestTargets: { helm: { name: "image.repository", tag: "image.tag" } },
              },
            ],
            writeBackConfig: {
              method: "git:repocreds",
              gitConfig: { branch: "main", writeBackTarget: "helmvalues:/charts/shop/values-prod.yaml" },
            },
          },
        ],
      },
    });
  });

  it("asks for pre-releases as the Image Updater wants it, leaves out bad tags, reads a private registry", async () => {
    const registry = { host: "ghcr.io", user: "bot", token: secret("canary") };
    const tags = "^v[0-9]+-rc\\.[0-9]+$";
    const args = { ...image, tags, ignoreTags: ["v1.2.1-*"], registry };
    const resources = await declared(make({ image: args }));
    const { spec } = resources["ImageUpdater g-images"] as {
      spec: { applicationRefs: { images: Record<string, unknown>[] }[] };
    };
    const [one] = spec.applicationRefs[0]!.images;
    assert.equal(one!["imageName"], "ghcr.io/acme/shop:x-0");
    assert.deepEqual(one!["commonUpdateSettings"], {
      updateStrategy: "semver",
      allowTags: `regexp:${tags}`,
      ignoreTags: ["v1.2.1-*"],
      pullSecret: "pullsecret:argocd/shop-prod-registry",
      forceUpdate: true,
    });
    assert.deepEqual(resources["Secret g-registry"], {
      apiVersion: "v1",
      kind: "Secret",
      metadata: metadata({ name: "shop-prod-registry" }),
      type: "kubernetes.io/dockerconfigjson",
      stringData: "[secret]",
    });
  });

  it("gives Argo CD the repository's credentials, for this project alone and as a secret", async () => {
    const resources = await declared(make({ credentials: { token: "plain" } }));
    assert.deepEqual(resources["Secret g-repository"], {
      apiVersion: "v1",
      kind: "Secret",
      metadata: metadata({
        name: "shop-prod-repository",
        labels: {
          "app.kubernetes.io/managed-by": "pulumi",
          "argocd.argoproj.io/secret-type": "repository",
        },
      }),
      type: "Opaque",
      stringData: "[secret]",
    });
    assert.equal(JSON.stringify(resources).includes("plain"), false);
  });

  it("stands in the namespace that Argo CD runs in", async () => {
    const resources = await declared(make({ argocdNamespace: "cd", image, credentials: { token: "t" } }));
    const namespaces = Object.values(resources).map(
      (inputs) => (inputs["metadata"] as { namespace?: string })?.namespace,
    );
    assert.deepEqual(
      namespaces.filter((each) => each !== undefined),
      ["cd", "cd", "cd", "cd"],
    );
  });

  it("keeps what it deployed, protected, unless it may go: then by the finalizer that takes it along", async () => {
    const fate = async (deletionPolicy?: "DELETE" | "PREVENT") => {
      const { "Application g-application": application } = await declared(make({ deletionPolicy }));
      const options = await optionsOf(make({ deletionPolicy }));
      return [application!["metadata"], options["g-application"]!.protect, options["g-project"]!.protect];
    };
    assert.deepEqual(await fate(), [metadata(), true, true]);
    assert.deepEqual(await fate("PREVENT"), [metadata(), true, true]);
    const finalizers = ["resources-finalizer.argocd.argoproj.io"];
    assert.deepEqual(await fate("DELETE"), [metadata({ finalizers }), undefined, undefined]);
  });

  it("has the project and the credentials before the application, and that before its images", async () => {
    const options = await optionsOf(make({ image, credentials: { token: "t" } }));
    assert.deepEqual(options["g-application"]!.dependsOn, ["g-project", "g-repository"]);
    assert.deepEqual(options["g-images"]!.dependsOn, ["g-application"]);
    const registry = { host: "ghcr.io", user: "bot", token: "t" };
    const more = await optionsOf(make({ image: { ...image, registry } }));
    assert.deepEqual(more["g-images"]!.dependsOn, ["g-application", "g-registry"]);
  });
});
