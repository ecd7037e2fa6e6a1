/** The jobs that the workflows of more than one environment have. */
import { scanImage } from "../../../components/github/actions.ts";
import { installSteps } from "../../../components/github/python-checks.ts";
import { buildAndPush, type LookArgs, logIn, look, setUpBuilder } from "../../../components/github/registry/steps.ts";
import { checkOut, inRepository, type Job, runner, type Step } from "../../../components/github/workflow.ts";
import type { SchoolSchedulerConfig } from "../config.ts";
import { testName, testPasswordSecret } from "../names.ts";

/** What every workflow is made of. */
export interface WorkflowArgs {
  config: SchoolSchedulerConfig;
  owner: string;
  /** Without a tag, such as ghcr.io/sua-org/school_scheduler. In lower case. */
  image: string;
}

/** A job's `if`: in the repository itself. */
export const ownRepository = ({ owner, config }: WorkflowArgs): string => inRepository(owner, config.repository);

const job = ({ config }: WorkflowArgs, name: string, minutes: number, steps: Step[]): Job => ({
  name: testName(config.environment, name),
  "runs-on": runner,
  "timeout-minutes": minutes,
  permissions: { contents: "read" },
  steps: [checkOut(), ...steps] as [Step, ...Step[]],
});

const run = (commands: readonly string[], env?: Record<string, string>): Step[] =>
  commands.map((command): Step => ({ run: command, ...(env && { env }) }));

export const lint = (args: WorkflowArgs): Job =>
  job(args, "lint", 10, [...installSteps(args.config), ...run(args.config.lint)]);

/** The tests on every version of Python; the first that fails is not the last that is told. */
export const test = (args: WorkflowArgs): Job => ({
  ...job(args, "test", 30, [
    ...installSteps({ ...args.config, python: "${{ matrix.python }}" }),
    ...run(args.config.tests),
  ]),
  strategy: { "fail-fast": false, matrix: { python: args.config.pythons as [string, ...string[]] } },
});

/** The tests that want a database: one of the job's own, of the version that runs in the cluster, and thrown away with the job. */
export const integration = (args: WorkflowArgs): Job => {
  const { config } = args;
  const { database, environment } = config;
  // A fork's pull request gets no secret, and its database is thrown away like any other.
  const password = `\${{ secrets.${testPasswordSecret(environment)} || github.sha }}`;
  const env = {
    DB_HOST: "127.0.0.1",
    DB_PORT: "3306",
    DB_NAME: database.name,
    DB_USER: "root",
    DB_PASSWORD: password,
  };
  return {
    ...job(args, "integration", 30, [...installSteps(config), ...run(config.integration, env)]),
    // dev's environment is closed to pull requests: the password of their database is a secret of the repository.
    ...(environment !== "dev" && { environment: { name: environment, deployment: false } }),
    services: {
      mysql: {
        image: database.image,
        env: { MYSQL_ROOT_PASSWORD: password, MYSQL_DATABASE: database.name },
        ports: ["3306:3306"],
        // By the network: while it is set up, it listens on its socket alone.
        options: '--health-cmd "mysqladmin ping --host 127.0.0.1 --silent" --health-interval 5s --health-retries 24',
      },
    },
  };
};

/** Builds the commit's image, unless the registry has it. Outputs its digest. */
export const image = (
  { config, image: name }: WorkflowArgs,
  {
    needs,
    tag,
    doneTag,
    condition,
  }: { needs: [string, ...string[]]; condition?: string } & Pick<LookArgs, "tag" | "doneTag">,
): Job => {
  const builds = "steps.look.outputs.action == 'build'";
  return {
    name: "image",
    needs,
    ...(condition && { if: condition }),
    "runs-on": runner,
    "timeout-minutes": 45,
    permissions: { contents: "read", packages: "write" },
    outputs: { digest: "${{ steps.build.outputs.digest || steps.look.outputs.digest }}" },
    steps: [
      look("look", { image: name, tag, doneTag }),
      checkOut(builds),
      setUpBuilder(builds),
      logIn(builds),
      buildAndPush("build", {
        if: builds,
        tags: `${name}:${tag}`,
        dockerfile: config.dockerfile,
        revision: "${{ github.sha }}",
      }),
    ],
  };
};

/** Keeps out what is known to be vulnerable and could be mended. @param reference the image with its digest */
export const scan = ({ severity }: SchoolSchedulerConfig, reference: string): Step => ({
  name: "Scan",
  uses: scanImage.uses,
  with: {
    image: reference,
    "fail-build": true,
    "severity-cutoff": severity,
    "only-fixed": true,
    "output-format": "table",
  },
});
