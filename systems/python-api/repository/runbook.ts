import { ghcrImage } from "../../../components/github/names.ts";
import { generatedFrom } from "../../../components/github/workflow.ts";
import type { SyncWindow } from "../../../components/gitops/sync-windows.ts";
import type { PythonApiConfig } from "../config.ts";
import { releaseName, valuesFile } from "../names.ts";
import { workflowPath } from "./publish.ts";

/** What an operator does in one environment, with the commands as they are for what is declared. */
export function runbook(config: PythonApiConfig, owner: string): string {
  const sections = [
    introduction(config, owner),
    look(config),
    ...(config.environment === "staging" ? [promotion(config)] : []),
    config.automated ? syncedByItself(config) : syncByHand(config),
    ...(config.windows.length > 0 ? [syncWindows(config)] : []),
    rollback(config),
    ...(config.environment === "prod" ? [hotfix(config)] : []),
    trouble(config),
  ];
  return `<!-- ${generatedFrom(`Pulumi.${config.environment}.yaml`)} -->\n\n${sections.join("\n\n")}\n`;
}

const shell = (...lines: string[]) => ["```bash", ...lines, "```"].join("\n");

/** Its CLI takes a host, and apart from it the path below which it answers. */
function loginTo({ argocd }: PythonApiConfig): string {
  const { host, pathname } = new URL(argocd.url);
  return pathname === "/" ? host : `${host} --grpc-web-root-path ${pathname}`;
}

/** Text in a table's cell. */
const cell = (text: string) => text.replaceAll("|", "\\|");

function introduction(config: PythonApiConfig, owner: string): string {
  const { application, environment, namespace, server, branch, chart, tags, automated, notifications, groups } = config;
  const told = Object.entries(notifications).map(([service, recipient]) => `${service}: ${recipient}`);
  const operators = groups.operators.length > 0 ? groups.operators.join(", ") : "Argo CD's administrators";
  const source = { dev: `every push to \`${branch}\``, staging: "a tag vX.Y.Z-rc.N", prod: "a tag vX.Y.Z" };
  return `# Runbook: ${application}

|  |  |
| --- | --- |
| Argo CD | ${config.argocd.url}/applications/${config.argocd.namespace}/${application} |
| what is deployed | \`${chart}\` of \`${branch}\`, with \`values.yaml\` and \`${valuesFile(environment)}\` |
| where | namespace \`${namespace}\` of ${server} |
| image | \`${ghcrImage(owner, config.repository)}\`, tags \`${tags}\`, made by \`${workflowPath(environment)}\` from ${source[environment]} |
| a new image | is committed to \`${chart}/${valuesFile(environment)}\` by the Image Updater |
| a sync | ${automated ? "starts by itself, removes what Git no longer has, and undoes changes by hand" : `is started by an operator (${operators})`} |
| alerts | ${told.length > 0 ? told.join(", ") : "go to nobody: `notifications` in the stack's file is empty"} |

Log in first:

${shell(`argocd login ${loginTo(config)} --sso`)}`;
}

const look = ({ application, windows }: PythonApiConfig) => `## How is it?

${shell(
  `# Sync status and health${windows.length > 0 ? ", and whether a sync window is open" : ""}`,
  `argocd app get ${application}`,
  "# What Git has and the cluster has not: exit code 0 for no difference, 1 for some",
  `argocd app diff ${application}`,
  `argocd app history ${application}`,
  `argocd app logs ${application} --tail 100`,
)}`;

const promotion = ({ branch }: PythonApiConfig) => `## Promote to staging

A tag on a commit of \`${branch}\` is a release candidate. Its image is tested, built, and here some minutes later.

${shell("git tag v1.2.0-rc.1", "git push origin v1.2.0-rc.1")}`;

const syncedByItself = (config: PythonApiConfig) => `## Sync

Nobody has to: what is in Git is synced. Not to wait for it, or to try again what has failed:

${shell(
  "# What it would do, without doing it",
  `argocd app sync ${config.application} --dry-run`,
  `argocd app sync ${config.application}`,
  `argocd app wait ${config.application} --sync --health --timeout 600`,
)}${config.windows.length > 0 ? "\n\nAll but the waiting needs an open sync window." : ""}`;

function syncByHand({ application, windows, argocd }: PythonApiConfig): string {
  const window = windows.length > 0 ? "\nAll of it but the diff needs an open sync window, the dry run too.\n" : "";
  return `## Sync

The application turns OutOfSync when the Image Updater has committed a new tag. That is the moment to decide.
${window}
1. Read what would change.

   ${indented(shell(`argocd app diff ${application}`))}

2. Try it without effect.

   ${indented(shell(`argocd app sync ${application} --dry-run`))}

3. Sync. Where the diff shows objects that are to go, add \`--prune\`: without it they stay.

   ${indented(shell(`argocd app sync ${application}`))}

4. Watch it come up. Exit code 0 means healthy; after ten minutes it gives up with 20, and the sync goes on.

   ${indented(shell(`argocd app wait ${application} --health --timeout 600`))}

\`argocd app terminate-op ${application}\` stops a sync that hangs; what it has applied stays. Who synced what and when is in
\`kubectl get events -n ${argocd.namespace} --field-selector involvedObject.name=${application}\`.`;
}

const indented = (text: string) => text.replaceAll("\n", "\n   ");

function syncWindows(config: PythonApiConfig): string {
  const { application, environment, windows } = config;
  const row = (window: SyncWindow) =>
    `| ${window.kind} | \`${window.schedule}\` for ${window.duration} | ${window.timeZone ?? "UTC"} | ${window.manualSync ? "passes" : "is held too"} | ${cell(window.description ?? "")} |`;
  const stack = `--stack ${environment}`;
  return `## When a sync may start

| kind | opens | time zone | a sync by hand | what for |
| --- | --- | --- | --- | --- |
${windows.map(row).join("\n")}

Outside, \`argocd app sync\` answers "cannot sync: blocked by sync window".${windows.every(({ syncOverrun }) => syncOverrun) ? " A sync that started in time is finished." : ""}
In the second in which a window opens it is still closed.

${shell("# Now, as Argo CD sees it", `argocd proj windows list ${application}`, "# At any time, and the whole week: in the infrastructure repository", `npm run windows -- ${stack} --app ${application} --manual`)}

### Emergency: a sync outside the windows

\`argocd app sync ${application} --force\` does **not** pass a window: it replaces objects that cannot be changed, which stops pods.
What passes is a break-glass window, for a day at most. In the infrastructure repository:

1. Say who, why and until when, in UTC, in \`Pulumi.${environment}.yaml\` under \`esteira:python-api\`:

   \`\`\`yaml
   breakGlass:
     who: ana@example.org
     why: "INC-42: checkout answers 500"
     until: "2026-11-28T07:00Z"
   \`\`\`

2. \`make preview STACK=${environment}\` shows one change, to the AppProject \`${application}\`. Then \`make up STACK=${environment}\`.
3. Ask, then sync as above.

   ${indented(shell(`npm run windows -- ${stack} --manual`))}

4. Take \`breakGlass\` out again and run \`make up STACK=${environment}\`. Once its time is over the render and every \`up\` are refused until then. The audit
   shows it as long as it is declared; in the cluster it would open again on the same day of the next year.`;
}

function rollback(config: PythonApiConfig): string {
  const { application, automated, branch, environment, chart, namespace } = config;
  const then = automated
    ? "Argo CD syncs it by itself."
    : `Then sync as above${config.windows.length > 0 ? ", within a window" : ""}.`;
  const argocd = automated
    ? `\`argocd app rollback\` is refused here: automated sync is on, and would undo it at once. Go by Git.`
    : `At once, to a deployment of the history:

${shell(`argocd app history ${application}`, `argocd app rollback ${application} ID --prune`, `argocd app wait ${application} --health --timeout 600`)}

The application is OutOfSync afterwards, and the next sync brings back what Git has: go by Git as well.${heldRollback(config)}`;
  return `## Roll back

### A bad image, by Git

A \`git revert\` of the Image Updater's commit does not last: at its next look it commits the highest tag again. Say which version is bad, in \`Pulumi.${environment}.yaml\`
of the infrastructure repository, under \`esteira:python-api\`:

\`\`\`yaml
ignoreTags: [${{ dev: "v1.2.1-dev.7", staging: "v1.2.1-rc.2", prod: "v1.2.1" }[environment]}]
\`\`\`

After \`make up STACK=${environment}\` the Image Updater commits the highest of the others, the version before. ${then} A higher version ends it; the line may stay.

### A bad change of the chart or its values, by Git

${shell(`git log --oneline ${branch} -- ${chart}`, "git revert --no-edit COMMIT", `git push origin ${branch}`)}

${then}

### By Argo CD

${argocd}

### Not by Helm

\`helm history ${releaseName(config)} -n ${namespace}\` knows no release: Argo CD renders the chart and applies the objects itself. \`helm rollback\` has nothing to go back to;
${automated ? "go by Git" : "`argocd app rollback` is what does it"}.`;
}

/** Unlike a sync it is taken, and held. */
const heldRollback = ({ windows, application }: PythonApiConfig) =>
  windows.length > 0
    ? `

Only in an open window: in a closed one \`argocd app rollback\` is not refused. It waits, in the way of every sync, and happens by itself as soon as a window
opens, unless \`argocd app terminate-op ${application}\` calls it off.`
    : "";

const hotfix = ({ branch, application }: PythonApiConfig) => `## Hotfix

1. Branch off \`${branch}\`, fix it, and merge a pull request.

   ${indented(shell(`git checkout -b hotfix/critical-fix ${branch}`, 'git commit -m "fix: critical bug"', "git push origin hotfix/critical-fix"))}

2. Through staging where there is time: tag the merged commit \`vX.Y.Z-rc.1\`, look at staging, then tag the same commit \`vX.Y.Z\`.
   Where there is none, the tag says that it is a hotfix, and why; without that line the workflow refuses a version that staging has not had.

   ${indented(
     shell(
       `git checkout ${branch} && git pull`,
       'git tag -a vX.Y.Z -m "fix: critical bug" -m "Hotfix: INC-42 checkout answers 500"',
       "git push origin vX.Y.Z",
     ),
   )}

3. When the image is there and \`argocd app get ${application} --refresh\` says OutOfSync, sync as above.`;

function trouble(config: PythonApiConfig): string {
  const { application, namespace, argocd } = config;
  const selector = `app.kubernetes.io/instance=${releaseName(config)}`;
  return `## When something is wrong

**OutOfSync**: somebody changed the cluster, the values or the chart changed, or there is a new image. \`argocd app diff ${application}\` says which.

**Sync failed**:

${shell(
  `argocd app get ${application} --show-operation`,
  `kubectl describe applications.argoproj.io ${application} -n ${argocd.namespace}`,
  `kubectl logs -n ${argocd.namespace} -l app.kubernetes.io/name=argocd-application-controller --tail=100`,
)}

"is not permitted in project" means that the chart has a kind that \`kinds\` of the stack's file does not name.

**Degraded**:

${shell(
  "# Each object with its health",
  `argocd app get ${application} --output tree=detailed`,
  `kubectl describe pods -n ${namespace} -l ${selector}`,
  `argocd app logs ${application} --tail 100`,
)}

**No new image arrives**: the workflow's run says what it published; the Image Updater says what it took.

${shell(
  `kubectl get imageupdaters.argocd-image-updater.argoproj.io ${application} -n ${argocd.namespace} -o yaml`,
  `kubectl logs -n ${argocd.namespace} -l app.kubernetes.io/name=argocd-image-updater --tail=100`,
)}`;
}
