import { textBeside } from "../beside.ts";
import { checkout } from "../github/actions.ts";
import { type DeliveredFile, programFile } from "../github/delivered-file.ts";
import { pnpmFindings, setUpNode, setUpPnpm } from "../github/node-setup.ts";
import {
  checkOut,
  type Findings,
  inRepository,
  type Job,
  runner,
  type Step,
  type Workflow,
} from "../github/workflow.ts";
import { dashboard, type Service } from "./names.ts";

/** A workflow, by what `workflow_run` and the API know it by. */
export interface WorkflowName {
  name: string;
  /** Its file's name, such as deploy.yaml. */
  file: string;
}

/** A service and the repository that is deployed to it. */
export interface PipelineArgs {
  service: Service;
  /** Where Render's API answers. @default "https://api.render.com" */
  api?: string;
  /** Whose repository it is. */
  owner: string;
  repository: string;
  /** The branch that is deployed. */
  branch: string;
  /** The environment whose secrets the jobs have; from this branch alone, and nobody has to approve. */
  environment: string;
  /** Names of the secrets. The key may be absent: the programs then do what they can, and say what they skip. @default RENDER_DEPLOY_HOOK, RENDER_API_KEY */
  secrets?: { hook: string; apiKey: string };
  /** The repository's folder that the programs are delivered to. @default ".github/render" */
  folder?: string;
}

/** Arguments of {@link monitor}. */
export interface MonitorArgs extends PipelineArgs, WorkflowName {
  /** When it looks, in UTC. */
  schedule: string;
  /** The file that it keeps, such as docs/PIPELINE.md. */
  statusFile: string;
  /** Files of the workflows that it tells of; the deploying one first. Not its own: each run would change what it tells. */
  workflows: readonly [string, ...string[]];
}

/** Arguments of {@link recovery}. */
export interface RecoveryArgs extends PipelineArgs {
  name: string;
  /** The workflows whose failures count; the deploying one first. Neither the recovery's own, nor one that another recovery repairs. */
  workflows: readonly [WorkflowName, ...WorkflowName[]];
  /** When it looks by itself, in UTC: GitHub tells nobody of the failure of a run that a workflow's own token has started. */
  schedule: string;
  /** Versions of Node and pnpm that make the lock file. */
  node: string;
  pnpm: string;
  /** How often a run is tried, and how many lock files are made in a day. @default 3 */
  attempts?: number;
}

const defaultApi = "https://api.render.com";
const defaultFolder = ".github/render";

/**
 * Deploys the run's commit by the service's hook and follows it until it is live.
 * @param rest such as `needs` and `if`
 * @example
 * jobs: { build, deploy: deployment(args, { needs: "build" }) }
 */
export const deployment = (args: PipelineArgs, rest: Pick<Job, "needs" | "if">): Job => ({
  name: "Deploy to Render",
  ...rest,
  "runs-on": runner,
  "timeout-minutes": 45,
  environment: { name: args.environment, url: dashboard(args.service) },
  permissions: { contents: "read" },
  steps: [
    checkOut(),
    {
      name: "Deploy",
      env: { ...serviceEnv(args), RENDER_DEPLOY_HOOK: secret(args, "hook"), COMMIT: "${{ github.sha }}" },
      run: `python3 ${program(args, "deploy")}`,
    },
  ],
});

/** Looks by schedule: keeps a file with the status, and an issue while a deploy has failed. */
export const monitor = (args: MonitorArgs): Workflow => ({
  name: args.name,
  on: { schedule: [{ cron: args.schedule }], workflow_dispatch: {} },
  permissions: {},
  jobs: {
    monitor: {
      name: "monitor",
      if: inRepository(args.owner, args.repository),
      "runs-on": runner,
      "timeout-minutes": 10,
      environment: { name: args.environment, deployment: false },
      concurrency: inTurn(args),
      permissions: { actions: "read", contents: "write", issues: "write", "pull-requests": "write" },
      steps: [
        checkOutBranch(args),
        {
          name: "Look",
          env: {
            ...serviceEnv(args),
            ...repositoryEnv(args),
            WORKFLOWS: JSON.stringify(args.workflows),
            OWN_WORKFLOW: args.file,
            STATUS_FILE: args.statusFile,
            STATUS_HEAD: `${args.service.name}/status`,
            INTERVAL: `by the schedule ${args.schedule} (UTC)`,
          },
          run: `python3 ${program(args, "monitor")}`,
        },
      ],
    },
  },
});

/** Repairs what can be, once one of the workflows has failed for the branch itself, or by hand; else it opens an issue. */
export const recovery = (args: RecoveryArgs): Workflow => {
  const rebuilds = "steps.diagnose.outputs.action == 'rebuild'";
  const common = {
    ...serviceEnv(args),
    ...repositoryEnv(args),
    WORKFLOWS: JSON.stringify(args.workflows.map(({ file }) => file)),
    MAX_ATTEMPTS: `${args.attempts ?? 3}`,
  };
  return {
    name: args.name,
    on: {
      workflow_run: {
        workflows: args.workflows.map(({ name }) => name) as [string, ...string[]],
        types: ["completed"],
        branches: [args.branch],
      },
      schedule: [{ cron: args.schedule }],
      workflow_dispatch: {},
    },
    permissions: {},
    jobs: {
      recover: {
        name: "recover",
        if: `${inRepository(args.owner, args.repository)} && (github.event_name != 'workflow_run' || ${failedItself})`,
        "runs-on": runner,
        "timeout-minutes": 20,
        environment: { name: args.environment, deployment: false },
        concurrency: inTurn(args),
        permissions: { actions: "write", contents: "write", issues: "write", "pull-requests": "write" },
        steps: [
          checkOutBranch(args),
          {
            name: "Diagnose",
            id: "diagnose",
            env: {
              COMMAND: "diagnose",
              ...common,
              RENDER_DEPLOY_HOOK: secret(args, "hook"),
              RUN_ID: "${{ github.event.workflow_run.id }}",
              // Somebody wants to know.
              CHECK_HOOK: "${{ github.event_name == 'workflow_dispatch' }}",
            },
            run: `python3 ${program(args, "recover")}`,
          },
          setUpNode(args.node, rebuilds),
          setUpPnpm(args.pnpm, rebuilds),
          {
            name: "Repair, or tell",
            if: "steps.diagnose.outputs.action != 'nothing'",
            env: {
              COMMAND: "repair",
              ...common,
              LOCK_HEAD: `${args.service.name}/pnpm-lock`,
            },
            run: `python3 ${program(args, "recover")}`,
          },
        ],
      },
    },
  };
};

/** It checks out the branch itself and no other code: what has failed elsewhere does not get there, see {@link failedItself}. */
export const recoveryFindings: Findings = { ...pnpmFindings, workflow_run: "dangerous-triggers" };

/** The programs that the workflows run: the same for every service. */
export const programs = ({ folder = defaultFolder }: Pick<PipelineArgs, "folder">): DeliveredFile[] =>
  modules.map((each) =>
    programFile(
      `${folder}/${each}.py`,
      textBeside(import.meta.url, `./pipeline/${each}.py`),
      `components/render/pipeline/${each}.py`,
    ),
  );

const modules = ["tell", "web", "render", "github", "landing", "deploy", "monitor", "recover"] as const;

/** Not of a pull request, nor of a fork whose branch has the same name: their code and their failures are somebody else's. */
const failedItself = [
  `contains(fromJSON('["failure", "timed_out", "startup_failure"]'), github.event.workflow_run.conclusion)`,
  "github.event.workflow_run.event != 'pull_request'",
  "github.event.workflow_run.head_repository.full_name == github.repository",
].join(" && ");

/** Monitor and recovery write to the same branch and issues: one after the other, and none is thrown out. */
const inTurn = ({ service }: PipelineArgs) => ({
  group: `${service.name}-pipeline`,
  "cancel-in-progress": false,
  queue: "max" as const,
});

/** The newest commit, whatever the event's is; the programs push with a token of their own. */
const checkOutBranch = ({ branch }: PipelineArgs): Step => ({
  name: "Check out",
  uses: checkout.uses,
  with: { ref: branch, "persist-credentials": false },
});

const program = ({ folder = defaultFolder }: PipelineArgs, name: (typeof modules)[number]) => `${folder}/${name}.py`;

const secret = ({ secrets }: PipelineArgs, which: "hook" | "apiKey") =>
  `\${{ secrets.${(secrets ?? { hook: "RENDER_DEPLOY_HOOK", apiKey: "RENDER_API_KEY" })[which]} }}`;

const serviceEnv = (args: PipelineArgs) => ({
  RENDER_API_URL: args.api ?? defaultApi,
  SERVICE_ID: args.service.id,
  SERVICE_NAME: args.service.name,
  DASHBOARD_URL: dashboard(args.service),
  RENDER_API_KEY: secret(args, "apiKey"),
});

const repositoryEnv = ({ branch }: PipelineArgs) => ({ BRANCH: branch, GITHUB_TOKEN: "${{ github.token }}" });
