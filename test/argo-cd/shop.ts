/** Objects and a chart by hand, to see what Argo CD makes of them. */
import type { KubernetesObject } from "../../sandbox/kubernetes/client.ts";

const namespace = "argocd";
const server = "https://kubernetes.default.svc";

/** A window that is closed but for a minute in a leap year. */
export const closed = { kind: "allow", schedule: "0 0 29 2 *", duration: "1m", applications: ["*"] };
/** One that is always active. */
export const open = { kind: "allow", schedule: "* * * * *", duration: "1h", applications: ["*"] };

interface Kind {
  group: string;
  kind: string;
}

export const appProject = (fields: {
  name: string;
  /** The one repository that its Applications may come from. */
  url: string;
  windows?: object[];
  /** @default namespaces */
  clusterKinds?: Kind[];
  /** @default what the chart has */
  namespaceKinds?: Kind[];
}): KubernetesObject => ({
  apiVersion: "argoproj.io/v1alpha1",
  kind: "AppProject",
  metadata: { name: fields.name, namespace },
  spec: {
    sourceRepos: [fields.url],
    destinations: [{ server, namespace: fields.name }],
    clusterResourceWhitelist: fields.clusterKinds ?? [{ group: "", kind: "Namespace" }],
    namespaceResourceWhitelist: fields.namespaceKinds ?? [
      { group: "apps", kind: "Deployment" },
      { group: "", kind: "Service" },
    ],
    syncWindows: fields.windows ?? [],
  },
});

export const application = (fields: {
  name: string;
  url: string;
  /** @default the name */
  project?: string;
  /** @default the name */
  namespace?: string;
  /** With prune and selfHeal. @default true */
  automated?: boolean;
  /** The chart's. */
  values?: object;
}): KubernetesObject => ({
  apiVersion: "argoproj.io/v1alpha1",
  kind: "Application",
  metadata: { name: fields.name, namespace },
  spec: {
    project: fields.project ?? fields.name,
    source: {
      repoURL: fields.url,
      path: "shop",
      targetRevision: "main",
      ...(fields.values && { helm: { valuesObject: fields.values } }),
    },
    destination: { server, namespace: fields.namespace ?? fields.name },
    syncPolicy: {
      ...(fields.automated !== false && { automated: { prune: true, selfHeal: true } }),
      syncOptions: ["CreateNamespace=true"],
    },
  },
});

/** How Argo CD reads a repository, for one project alone. */
export const repositorySecret = (fields: {
  name: string;
  url: string;
  project: string;
  username: string;
  password: string;
}): KubernetesObject => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: {
    name: `repository-${fields.name}`,
    namespace,
    labels: { "argocd.argoproj.io/secret-type": "repository" },
  },
  stringData: {
    type: "git",
    url: fields.url,
    project: fields.project,
    username: fields.username,
    password: fields.password,
  },
});

/** A deployment, its service, a job before them and any object, by its values. */
export const shopChart = (tag: string): Record<string, string> => ({
  "shop/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
  "shop/values.yaml": `repository: example.org/shop\ntag: ${tag}\nhook: false\nextra: null\n`,
  "shop/templates/deployment.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: { name: shop }
spec:
  replicas: 1
  selector: { matchLabels: { app: shop } }
  template:
    metadata: { labels: { app: shop } }
    spec: { containers: [{ name: shop, image: "{{ .Values.repository }}:{{ .Values.tag }}" }] }
`,
  "shop/templates/service.yaml": `apiVersion: v1
kind: Service
metadata: { name: shop }
spec: { selector: { app: shop }, ports: [{ port: 80 }] }
`,
  "shop/templates/hook.yaml": `{{ if .Values.hook }}
apiVersion: batch/v1
kind: Job
metadata: { name: before, annotations: { argocd.argoproj.io/hook: PreSync } }
spec:
  template:
    spec: { restartPolicy: Never, containers: [{ name: before, image: missing.invalid/before }] }
{{ end }}
`,
  "shop/templates/extra.yaml": "{{ with .Values.extra }}{{ toYaml . }}{{ end }}\n",
});
