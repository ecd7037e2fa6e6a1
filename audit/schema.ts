/**
 * The `audit` output of a stack: an interface that others read, with `pulumi stack output audit --json`. Its
 * JSON Schema is docs/audit.schema.json. A field is added under the same version; one that changes its
 * meaning or goes makes a new version and a line in CHANGELOG.md.
 */
import { z } from "zod";

const pinnedAction = z.strictObject({
  uses: z.string().describe("OWNER/REPOSITORY@COMMIT"),
  version: z.string().describe("The release that the commit is"),
});

/** What one system says of itself. */
export const systemFacts = z.strictObject({
  projects: z.array(z.string()).describe("IDs of the Google Cloud projects that it works in"),
  endpoints: z
    .array(
      z.strictObject({
        name: z.string(),
        url: z.url(),
        invokers: z
          .array(z.string())
          .nullable()
          .describe("Principals that Google's IAM lets call it; null: Google's IAM has no say in it"),
      }),
    )
    .describe("Where it answers, and whom"),
  serviceAccounts: z
    .array(
      z.strictObject({
        email: z.string(),
        purpose: z.string(),
        roles: z.array(z.strictObject({ role: z.string(), on: z.string().describe("Kind and name of the resource") })),
      }),
    )
    .describe("Service accounts, and the roles that the program gives them"),
  grants: z
    .array(
      z.strictObject({
        principal: z.string().describe("As Google's IAM has it, such as user:ana@example.org"),
        role: z.string(),
        on: z.string().describe("Kind and name of the resource"),
      }),
    )
    .describe("Roles that the program gives to people, and to what runs as no service account of Google's"),
  federation: z
    .array(
      z.strictObject({
        provider: z.string().describe("Full name of the workload identity provider"),
        serviceAccount: z.string().describe("The account that is acted as"),
        repositories: z.array(z.string()).describe("OWNER/NAME of those whose workflow may"),
        workflow: z.string().describe("Path of the one workflow file that may"),
        branch: z.string().nullable().describe("The one branch whose workflow may; null: any ref"),
      }),
    )
    .describe("Who may act as a service account without a key"),
  secrets: z
    .array(
      z.strictObject({
        name: z.string(),
        destination: z.string().describe("Where its readers find it"),
        origin: z.enum(["stack config", "made by the program"]),
      }),
    )
    .describe("Secrets by name and destination; never a value"),
  files: z
    .array(
      z.strictObject({
        repository: z.string().describe("OWNER/NAME"),
        branch: z.string(),
        path: z.string(),
        via: z.enum(["push", "pull-request"]).describe("Whether it is there, or where somebody merges it"),
        sha256: z.string().describe("Digest of the content"),
        actions: z.array(pinnedAction).describe("Actions that it uses, if it is a workflow"),
      }),
    )
    .describe("Files that the stack owns in repositories"),
  environments: z
    .array(
      z.strictObject({
        repository: z.string().describe("OWNER/NAME"),
        name: z.string(),
        reviewers: z
          .strictObject({ users: z.array(z.int()), teams: z.array(z.int()) })
          .nullable()
          .describe("Numeric ids of those of whom one has to approve a deployment; null: nobody has to"),
        selfReview: z.boolean().describe("Whether one may approve the deployment that one started"),
        adminsBypass: z.boolean().describe("Whether the repository's administrators may deploy without approval"),
        refs: z
          .array(z.string())
          .nullable()
          .describe("Patterns of the refs that may deploy, such as refs/heads/main; null: any"),
      }),
    )
    .describe("Deployment environments that the stack owns in repositories: who may deploy, from where"),
  rulesets: z
    .array(
      z.strictObject({
        repository: z.string().describe("OWNER/NAME"),
        name: z.string(),
        refs: z.array(z.string()).describe("Patterns of the refs that it holds for, such as refs/tags/v*"),
        rules: z
          .array(z.string())
          .describe("What is refused or asked for, by GitHub's names, such as non_fast_forward"),
        approvals: z.int().nullable().describe("How many have to approve a pull request; null: none is asked for"),
        checks: z.array(z.string()).describe("Checks that have to pass, by name"),
      }),
    )
    .describe("Rule sets that the stack owns in repositories; nobody may bypass one"),
  webhooks: z
    .array(
      z.strictObject({
        repository: z.string().describe("OWNER/NAME"),
        url: z.url(),
        events: z.array(z.string()).describe("By GitHub's names, such as push"),
      }),
    )
    .describe("Webhooks that the stack owns in repositories"),
  images: z
    .array(z.strictObject({ name: z.string(), reference: z.string().describe("With its exact tag, or its digest") }))
    .describe("Images of the containers that the stack runs"),
  backups: z
    .array(
      z.strictObject({
        of: z.string().describe("Kind and name of what is kept"),
        to: z.string().describe("Where the copies are"),
        schedule: z.string(),
        keptDays: z.int().describe("How many days a copy is kept"),
      }),
    )
    .describe("What is copied, where to and for how long"),
  applications: z
    .array(
      z.strictObject({
        name: z.string(),
        project: z.string().describe("Name of its AppProject"),
        source: z.strictObject({ repository: z.string().describe("OWNER/NAME"), branch: z.string(), path: z.string() }),
        destination: z.strictObject({ server: z.string().describe("The cluster's address"), namespace: z.string() }),
        sync: z.enum(["automatic", "by hand"]).describe("Who starts a sync"),
        operators: z
          .array(z.string())
          .describe("Groups that may start one, within the windows, beside Argo CD's administrators"),
        viewers: z.array(z.string()).describe("Groups that may look, beside Argo CD's administrators"),
        image: z.string().describe("The image that it follows, without a tag"),
        tags: z.string().describe("Tags of it that are taken, as a regular expression"),
      }),
    )
    .describe("Applications that Argo CD delivers"),
  syncWindows: z
    .array(
      z.strictObject({
        project: z.string().describe("Name of the AppProject that has it"),
        kind: z.enum(["allow", "deny"]),
        schedule: z.string().describe("When it opens, in cron's five fields"),
        duration: z.string(),
        timeZone: z.string(),
        applications: z.array(z.string()).describe("Applications that it holds for, by name"),
        namespaces: z.array(z.string()).describe("Namespaces whose applications it holds for"),
        clusters: z.array(z.string()).describe("Clusters whose applications it holds for"),
        andOperator: z.boolean().describe("Whether all of these lists must match"),
        manualSync: z.boolean().describe("Whether a sync by hand passes all the same"),
        syncOverrun: z.boolean().describe("Whether a sync that started in time is finished"),
        breakGlass: z
          .strictObject({ who: z.string(), why: z.string(), until: z.string() })
          .nullable()
          .describe("Why it is there, where it is no lasting one"),
      }),
    )
    .describe("When syncs may start"),
  namespaces: z
    .array(
      z.strictObject({
        name: z.string(),
        context: z.string().nullable().describe("Its cluster's context in the kubeconfig; null: the stack's own"),
        podSecurity: z.string().describe("The Pod Security Standard that is enforced"),
      }),
    )
    .describe("Namespaces of Kubernetes that the stack owns"),
  clusterAccess: z
    .array(
      z.strictObject({
        repository: z.string().describe("OWNER/NAME"),
        environment: z.string().describe("The environment whose jobs have it"),
        namespace: z.string().describe("The one namespace that it is for"),
        subject: z.string().describe("Who the cluster takes its jobs for"),
        rules: z
          .array(
            z.strictObject({
              apiGroups: z.array(z.string()),
              resources: z.array(z.string()),
              resourceNames: z
                .array(z.string())
                .optional()
                .describe("Names of the objects; absent: all of the namespace"),
              verbs: z.array(z.string()),
            }),
          )
          .describe("All that they may do there, as a Role has it"),
        lasting: z.boolean().describe("Whether the credential holds until it is deleted; else for minutes"),
      }),
    )
    .describe("Which workflows may change something in a cluster"),
});

/** {@link systemFacts} as data. */
export type SystemFacts = z.output<typeof systemFacts>;

/** The whole output. */
export const auditSchema = z.strictObject({
  version: z.literal(1),
  stack: z.string(),
  systems: z.record(z.string(), systemFacts).describe("The stack's systems by name"),
});

/** {@link auditSchema} as data. */
export type Audit = z.output<typeof auditSchema>;
