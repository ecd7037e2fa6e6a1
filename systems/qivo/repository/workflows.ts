import { setUpNode, setUpPnpm } from "../../../components/github/node-setup.ts";
import { checkSteps, countedSuiteSteps, installSteps, setUpPython } from "../../../components/github/python-checks.ts";
import {
  checkOut,
  inRepository,
  type Job,
  runner,
  type Step,
  type Workflow,
} from "../../../components/github/workflow.ts";
import { deployment, monitor, type PipelineArgs, recovery } from "../../../components/render/pipeline.ts";
import type { Deploying } from "../config.ts";
import { checks, summaryPath, testEnvironment, workflows } from "../names.ts";

/** What the workflows are made of. */
export interface WorkflowsArgs {
  config: Deploying;
  owner: string;
}

/** Each job needs the one before; a push that changes only what the pipeline itself writes deploys nothing. */
export const deploy = (args: WorkflowsArgs): Workflow => {
  const { config } = args;
  return {
    name: workflows.deploy.name,
    on: { push: pushes(config), workflow_dispatch: {} },
    permissions: {},
    // What waits is thrown out by what comes later: the newest of the branch holds it too, one of another does not.
    concurrency: { group: "deploy-${{ github.ref }}", "cancel-in-progress": false },
    jobs: {
      build: build(args),
      tests: tests(args, { needs: "build" }),
      deploy: deployment(pipeline(args), { needs: "tests" }),
    },
  };
};

/** Build and tests of a pull request; by hand, of any branch. A lock file that does not fit is seen before it is merged. */
export const test = (args: WorkflowsArgs): Workflow => ({
  name: workflows.tests.name,
  on: { pull_request: {}, workflow_dispatch: {} },
  permissions: {},
  concurrency: { group: "tests-${{ github.ref }}", "cancel-in-progress": true },
  jobs: { build: build(args), tests: tests(args) },
});

/** Linters and tests of the Python backend. */
export const pythonCi = ({ config }: WorkflowsArgs): Workflow => ({
  name: workflows.pythonCi.name,
  on: { push: pushes(config), pull_request: {}, workflow_dispatch: {} },
  permissions: {},
  concurrency: { group: "python-${{ github.ref }}", "cancel-in-progress": true },
  jobs: {
    python: {
      name: checks.python,
      "runs-on": runner,
      "timeout-minutes": 60,
      permissions: { contents: "read" },
      steps: limited([checkOut(), ...installSteps(config), ...checkSteps(config)]),
    },
  },
});

/** Looks at the service and its deploys. */
export const monitoring = (args: WorkflowsArgs): Workflow =>
  monitor({
    ...pipeline(args),
    ...workflows.monitor,
    schedule: args.config.monitor.schedule,
    statusFile: args.config.monitor.file,
    workflows: [workflows.deploy.file, workflows.tests.file, workflows.pythonCi.file],
  });

/** Repairs what failed for the branch itself. */
export const autoRecovery = (args: WorkflowsArgs): Workflow =>
  recovery({
    ...pipeline(args),
    name: workflows.recovery.name,
    workflows: [workflows.deploy, workflows.tests, workflows.pythonCi, workflows.monitor],
    schedule: args.config.monitor.schedule,
    node: args.config.node,
    pnpm: args.config.pnpm,
    attempts: args.config.attempts,
  });

const pipeline = ({ config, owner }: WorkflowsArgs): PipelineArgs => ({
  service: config.service,
  api: config.api,
  owner,
  repository: config.repository,
  branch: config.branch,
  environment: config.environment,
});

/** The application's: what the monitor writes and `pulumi up` delivers is none of it. */
const pushes = ({ branch, monitor: { file } }: Deploying) => ({
  branches: [branch] as [string],
  "paths-ignore": [file, ".github/**"] as [string, string],
});

const build = ({ config, owner }: WorkflowsArgs): Job => ({
  name: checks.build,
  if: inRepository(owner, config.repository),
  "runs-on": runner,
  "timeout-minutes": 60,
  permissions: { contents: "read" },
  steps: limited([
    checkOut(),
    setUpNode(config.node),
    setUpPython(config.python),
    setUpPnpm(config.pnpm),
    { name: "Install Node dependencies", run: "pnpm install --frozen-lockfile" },
    { name: "Install Python dependencies", run: config.install },
    { name: "Run linter", id: "lint", "continue-on-error": true, run: config.lint },
    { name: "Build", id: "build", run: config.build },
    {
      name: "Build summary",
      if: "always()",
      env: { LINT: "${{ steps.lint.outcome }}", BUILD: "${{ steps.build.outcome }}" },
      run: `bash ${summaryPath}`,
    },
  ]),
});

/** @param rest such as `needs` */
const tests = ({ config }: WorkflowsArgs, rest: Pick<Job, "needs"> = {}): Job => ({
  name: checks.tests,
  ...rest,
  "runs-on": runner,
  "timeout-minutes": 60,
  environment: { name: testEnvironment, deployment: false },
  permissions: { contents: "read" },
  steps: limited([
    checkOut(),
    ...installSteps(config),
    ...config.suites.flatMap((each) => countedSuiteSteps(each, testSecrets)),
  ]),
});

/** What takes too long fails: a job that does is cancelled by GitHub, and nobody is told. */
const limited = (steps: [Step, ...Step[]]): [Step, ...Step[]] =>
  steps.map((step) => (step.run === undefined ? step : { ...step, "timeout-minutes": 15 })) as [Step, ...Step[]];

/** What a pull request from a fork has none of. */
const testSecrets = {
  DATABASE_URL: "${{ secrets.DATABASE_URL }}",
  OPENAI_API_KEY: "${{ secrets.OPENAI_API_KEY }}",
};
