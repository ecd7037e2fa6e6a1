import { checkout } from "../../../components/github/actions.ts";
import { checkSteps, installSteps, type PythonChecks } from "../../../components/github/python-checks.ts";
import {
  buildAndPush,
  giveTag,
  type LookArgs,
  logIn,
  look,
  setUpBuilder,
} from "../../../components/github/registry/steps.ts";
import {
  checkOut,
  inRepository,
  type Job,
  runner,
  script,
  type Workflow,
} from "../../../components/github/workflow.ts";
import type { Environment } from "../config.ts";

/** Arguments of {@link publish}. */
export interface PublishArgs extends PythonChecks {
  environment: Environment;
  /** The environment's name in GitHub. */
  environmentName: string;
  owner: string;
  repository: string;
  branch: string;
  /** What happens once the Image Updater has committed it: the end of a sentence. */
  then: string;
  /** Without a tag, such as ghcr.io/sua-org/python-api-base. In lower case. */
  image: string;
  dockerfile: string;
  /** What the program itself delivers, of every environment: no reason for an image. */
  delivered: readonly string[];
  /** The files that the Image Updater writes, by environment. */
  valuesFiles: Readonly<Record<Environment, string>>;
}

/** Where an environment's workflow stands in the repository. */
export const workflowPath = (environment: Environment): string => `.github/workflows/publish-${environment}.yml`;

/** The tags of images among which Image Updater takes the highest. */
const triple = "v(\\d+)\\.(\\d+)\\.(\\d+)";
const series: Record<Environment, string> = {
  dev: `${triple}-dev\\.(\\d+)`,
  staging: `${triple}-rc\\.(\\d+)`,
  prod: triple,
};
/** The tags in git that start a workflow. The job refuses more: GitHub's patterns have no way to say "no leading zero". */
const tagFilter = { staging: "v[0-9]+.[0-9]+.[0-9]+-rc.[0-9]+", prod: "v[0-9]+.[0-9]+.[0-9]+" };

/**
 * From a push to an image whose tag the environment takes: a push to the branch is the next `-dev.N`, a tag is its own
 * version. A final version is the image that staging has run, under one more tag; only a hotfix is built.
 */
export const publish = (args: PublishArgs): Workflow => {
  const { environment, branch, valuesFiles } = args;
  return {
    name: `Publish (${environment})`,
    on: {
      push:
        environment === "dev"
          ? // What the Image Updater commits is what was published: built again it would go round for ever.
            {
              branches: [branch],
              "paths-ignore": [valuesFiles.dev, valuesFiles.staging, valuesFiles.prod, ...args.delivered],
            }
          : { tags: [tagFilter[environment]] },
    },
    permissions: {},
    // Each push counts: one that waits is not thrown out by the next.
    concurrency: { group: `publish-${environment}-\${{ github.ref }}`, "cancel-in-progress": false, queue: "max" },
    jobs: { version: version(args), test: test(args), image: publication(args) },
  };
};

/** Which version it is, whether it may be one, and what is left to do. Nothing of the repository's own is run here. */
const version = (args: PublishArgs): Job => {
  const { environment, branch } = args;
  return {
    name: "version",
    // A fork's tags are no versions.
    if: inRepository(args.owner, args.repository),
    "runs-on": runner,
    "timeout-minutes": 10,
    permissions: { contents: "read", packages: "read" },
    outputs: {
      version: "${{ steps.version.outputs.version }}",
      source: "${{ steps.version.outputs.source }}",
      hotfix: "${{ steps.version.outputs.hotfix }}",
      action: "${{ steps.look.outputs.action }}",
    },
    steps: [
      {
        name: "Check out",
        uses: checkout.uses,
        // The branch with all its history and all tags, for a tag as well: it has to be on the branch.
        with: { ref: branch, "fetch-depth": 0, "persist-credentials": false },
      },
      {
        name: "Find the version",
        id: "version",
        shell: "python",
        env: {
          ENVIRONMENT: environment,
          COMMIT: "${{ github.sha }}",
          BRANCH: branch,
          ...(environment !== "dev" && { TAG: "${{ github.ref_name }}" }),
          ...(environment === "prod" && { STAGING_VALUES: args.valuesFiles.staging }),
          GITHUB_TOKEN: "${{ github.token }}",
        },
        run: script(import.meta.url, "./version.py"),
      },
      look("look", { ...looked(args, "steps.version"), deniedIsAbsent: true }),
    ],
  };
};

const test = (args: PublishArgs): Job => ({
  name: "test",
  needs: "version",
  // What is promoted was tested as a candidate.
  if: "needs.version.outputs.action == 'build'",
  "runs-on": runner,
  "timeout-minutes": 30,
  permissions: { contents: "read" },
  steps: [checkOut(), ...installSteps(args), ...checkSteps(args)],
});

const publication = (args: PublishArgs): Job => {
  const { environment, image } = args;
  const { tag } = looked(args, "needs.version");
  // Whatever has changed in the registry meanwhile: what was not tested is not built.
  const builds = "steps.look.outputs.action == 'build' && needs.test.result == 'success'";
  return {
    name: "image",
    needs: ["version", "test"],
    if: "!cancelled() && (needs.test.result == 'success' || needs.version.outputs.action == 'tag')",
    "runs-on": runner,
    "timeout-minutes": 45,
    environment: { name: args.environmentName },
    permissions: { contents: "read", packages: "write" },
    steps: [
      // Again: tests and an approval may have taken long, and this job's token may read what it may write.
      look("look", looked(args, "needs.version")),
      checkOut(builds),
      setUpBuilder(builds),
      logIn(builds),
      buildAndPush("build", {
        if: builds,
        tags: `${image}:${tag}`,
        dockerfile: args.dockerfile,
        revision: "${{ github.sha }}",
      }),
      // One tag a push, the last one last: a run that is cut off in between is finished by the next.
      giveTag("tag", {
        name: environment === "prod" ? "Promote" : "Tag by commit",
        if: "steps.look.outputs.target != ''",
        image,
        source: "${{ steps.look.outputs.source }}",
        target: "${{ steps.look.outputs.target }}",
      }),
      {
        name: "Say what was published",
        if: "steps.look.outputs.action != 'nothing'",
        env: {
          IMAGE: image,
          VERSION: tag,
          DIGEST: "${{ steps.build.outputs.digest || steps.tag.outputs.digest }}",
          REVISION: "${{ github.sha }}",
          SOURCE: "${{ needs.version.outputs.source }}",
          HOTFIX: "${{ needs.version.outputs.hotfix }}",
          VALUES: args.valuesFiles[environment],
          BRANCH: args.branch,
          THEN: args.then,
        },
        run: script(import.meta.url, "./published.sh"),
      },
    ],
  };
};

/** @param from where the version's outputs are */
const looked = ({ environment, image }: PublishArgs, from: "steps.version" | "needs.version"): LookArgs => ({
  image,
  tag: `\${{ ${from}.outputs.version }}`,
  ...(environment === "prod" && { source: `\${{ ${from}.outputs.source }}` }),
  ...(environment === "dev" && { doneTag: "sha-${{ github.sha }}" }),
  series: series[environment],
  // An older commit's run that failed may be run again: its image does no harm, and a version that nobody waits for no error.
  ...(environment === "dev" && { ifLower: "warn" }),
});
