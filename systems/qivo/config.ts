import type { Output } from "@pulumi/pulumi";
import { z } from "zod";
import { branchName, command, repositoryName, repositoryPath, schedule, via } from "../../components/github/names.ts";
import { nodeVersion, pnpmVersion } from "../../components/github/node-setup.ts";
import type { RepositoryOwner } from "../../components/github/owner.ts";
import { countedSuite, pythonChecks } from "../../components/github/python-checks.ts";
import { apiUrl, deployHook, type Service, serviceId, serviceName } from "../../components/render/names.ts";
import { type Problem, pattern, type SecretSchema, whole } from "../../components/schema.ts";

/** The environments, each the name of a stack. */
export const stacks = ["dev", "prod"] as const;

/** An environment. */
export type Environment = (typeof stacks)[number];

/** What the document's pipeline tests. */
const suites = [
  { name: "Bridge AI", path: "tests/test_bridge_ai.py", tests: 16 },
  { name: "Validator AI", path: "tests/test_validator_ai.py", tests: 12 },
];

/** Written anew by a program: so no file that is one itself, such as a lock file. */
const statusFile = repositoryPath.regex(/\.md$/, { error: () => "a Markdown file, such as docs/PIPELINE.md" });

/**
 * What a stack's file says of qivo, under `esteira:qivo`.
 * @example
 * esteira:qivo:
 *   service: { id: srv-d3sk5h1r0fns738ibdg0, name: qivo-mining }
 */
export const schema = z.strictObject(
  {
    service: z
      .strictObject({ id: serviceId, name: serviceName }, { error: () => "an object with `id` and `name`" })
      .optional()
      .describe("The service at Render; in prod alone, which deploys to it"),
    api: apiUrl.default("https://api.render.com").describe("Where Render's API and deploy hooks answer"),
    repository: repositoryName.default("ComplianceCore-Mining"),
    branch: branchName.default("main").describe("The repository's default branch: what is pushed to it is deployed"),
    via: via.default("push"),
    approvals: whole(0, 6, "how many people must approve a pull request")
      .optional()
      .describe("Makes pull requests the only way to the branch; by default it can be pushed to"),
    node: nodeVersion.default("22"),
    pnpm: pnpmVersion.default("10"),
    ...pythonChecks,
    python: pythonChecks.python.unwrap().default("3.11"),
    lint: command.default("pnpm lint").describe("The linter, which does not hold up a deploy"),
    build: command.default("pnpm build").describe("What must be built before anything is tested"),
    suites: z
      .array(countedSuite, { error: () => "a list of suites" })
      .min(1, { error: () => "at least one suite" })
      .default(suites)
      .describe("Tests without which nothing is deployed, and how many of each must pass"),
    monitor: z
      .strictObject(
        {
          schedule: schedule
            .default("7,37 * * * *")
            .describe("When the monitor looks, in UTC; every 30 minutes by default"),
          file: statusFile.default("docs/PIPELINE.md").describe("The file in which it keeps the status"),
        },
        { error: () => "an object with `schedule` and `file`" },
      )
      .prefault({})
      .describe("What is looked at by itself"),
    attempts: whole(1, 10, "how often auto-recovery tries").default(3),
  },
  { error: () => "an object" },
);

type Parsed = z.output<typeof schema>;

/** qivo's part of a stack's config, everything resolved. */
export type QivoConfig = Parsed & { environment: Environment };

/** qivo where it deploys. */
export type Deploying = QivoConfig & { service: Service };

export const deploys = (config: QivoConfig): config is Deploying => config.service !== undefined;

/** Fills in what follows from the environment's name. */
export const resolve = (parsed: Parsed, stack: string): QivoConfig => ({
  ...parsed,
  environment: stack as Environment,
});

/** The secrets that a person gives, and what each is for. */
export function secretsOf(config: QivoConfig): Record<string, SecretSchema> {
  if (config.environment === "dev") {
    return {
      DATABASE_URL: {
        purpose: "address of the PostgreSQL database that tests use, which must not be production's",
        schema: pattern(
          /^postgres(ql)?:\/\/\S+$/,
          "the address of a PostgreSQL database: postgresql://USER:PASSWORD@HOST/NAME",
        ),
        example: "postgresql://tests:KEY@localhost/tests",
      },
      OPENAI_API_KEY: { purpose: "key of OpenAI's API that tests use", optional: true },
    };
  }
  if (!deploys(config)) return {};
  return {
    RENDER_DEPLOY_HOOK: deployHook(config.service, config.api),
    RENDER_API_KEY: {
      purpose: "key of Render's API, by which deploys are followed and looked at",
      schema: pattern(/^[!-~]+$/, "a key of Render's API, without blanks"),
      optional: true,
    },
  };
}

/** What is wrong with it in this stack. */
export function problemsIn({ environment, service, approvals, via: way }: QivoConfig): Problem[] {
  const problems: Problem[] = [];
  const problem = (key: string, message: string) => problems.push({ key, message });
  if (environment === "prod" && !service)
    problem("service", "missing; expected in prod, which deploys: `id` and `name`");
  if (environment === "dev" && service) problem("service", "found in dev; expected in prod alone, which deploys");
  if (environment === "dev" && approvals !== undefined) {
    problem("approvals", `found ${approvals} in dev; expected in prod alone: a repository has its rules once`);
  }
  if (environment === "prod" && approvals !== undefined && way === "push") {
    problem("via", 'found "push" beside approvals; expected pull-request: the branch takes no pushes then');
  }
  return problems;
}

/** Arguments of qivo. */
export interface QivoArgs {
  config: QivoConfig;
  /** The secrets that `secretsOf(config)` names; optional ones may be absent. */
  secrets: Readonly<Record<string, Output<string>>>;
  /** Whose repository it is. */
  github: RepositoryOwner;
}
