/** The workflow of each environment: from a push to what runs there. */
import { cosignInstaller } from "../../../components/github/actions.ts";
import { giveTag, logIn, look } from "../../../components/github/registry/steps.ts";
import { type Job, runner, type Step, script, type Workflow } from "../../../components/github/workflow.ts";
import type { Environment } from "../config.ts";
import { application, gateEnvironment, refsOf, workflowPath } from "../names.ts";
import { deployment } from "./delivery.ts";
import { image, integration, lint, ownRepository, scan, test, type WorkflowArgs } from "./jobs.ts";

const run = "${{ github.run_id }}";
const commit = "${{ github.sha }}";

/**
 * One deployment to an environment at a time, and each in its turn. Where whole runs wait, an older version is not the last to
 * be deployed because its tests took longer.
 */
const inTurn = (environment: Environment): Workflow["concurrency"] => ({
  group: `${application}-${environment}`,
  "cancel-in-progress": false,
  queue: "max",
});

/** A job with a condition: what the others say of it stands before it. */
const onlyIf = (condition: string, job: Job): Job => {
  const { name, ...rest } = job;
  return { name, if: condition, ...rest };
};

/** A push to develop or a pull request: its tests, and of a push an image, which is deployed where the file names a cluster. */
const development = (args: WorkflowArgs): Workflow => {
  const { config } = args;
  const tag = `dev-${run}`;
  const isPush = `github.event_name == 'push' && ${ownRepository(args)}`;
  return {
    name: "CI/CD",
    on: { push: refsOf(config), pull_request: {} },
    permissions: {},
    // Only the newest commit counts; a deployment that has begun is not cut off.
    concurrency: {
      group: `${application}-dev-\${{ github.ref }}`,
      "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
    },
    jobs: {
      lint: lint(args),
      test: test(args),
      integration: integration(args),
      image: image(args, { needs: ["lint", "test", "integration"], tag, condition: isPush }),
      ...(config.cluster && { deploy: deployment(args, { needs: ["image"], image: deployed(args, tag) }) }),
    },
  };
};

/** A push to a release branch: what QA looks at. */
const homologation = (args: WorkflowArgs): Workflow => {
  const tag = `homolog-${run}`;
  return {
    name: "CI homolog",
    on: { push: refsOf(args.config) },
    permissions: {},
    concurrency: inTurn("homolog"),
    jobs: {
      lint: onlyIf(ownRepository(args), lint(args)),
      integration: onlyIf(ownRepository(args), integration(args)),
      image: image(args, { needs: ["lint", "integration"], tag }),
      deploy: deployment(args, { needs: ["image"], image: deployed(args, tag) }),
    },
  };
};

/** What is merged: everything again, a canary, tests and load on what then runs, and a signature, without which nothing gets to prod. */
const preproduction = (args: WorkflowArgs): Workflow => {
  const { config, image: name } = args;
  const published = { tag: `preprod-${run}`, doneTag: `sha-${commit}` };
  const digest = `${name}@\${{ needs.image.outputs.digest }}`;
  const own = (job: Job) => onlyIf(ownRepository(args), job);
  return {
    name: "CI preprod",
    on: { push: refsOf(config) },
    permissions: {},
    jobs: {
      lint: own(lint(args)),
      test: own(test(args)),
      integration: own(integration(args)),
      // A commit that has passed before is tried again as the image that it is.
      image: image(args, { needs: ["lint", "test", "integration"], ...published }),
      scan: {
        name: "scan",
        needs: "image",
        "runs-on": runner,
        "timeout-minutes": 15,
        permissions: { packages: "read" },
        steps: [logIn(), scan(config, digest)],
      },
      deploy: {
        ...deployment(args, {
          needs: ["image", "scan"],
          image: digest,
          afterwards: [...config.endToEnd, ...config.loadTest],
        }),
        // Of this job alone: a gate at which nobody has decided yet would hold up whoever merges next.
        concurrency: inTurn("preprod"),
      },
      gate: {
        name: "gate",
        needs: ["image", "deploy"],
        "runs-on": runner,
        "timeout-minutes": 15,
        environment: { name: gateEnvironment },
        permissions: { packages: "write", "id-token": "write" },
        steps: [
          logIn(),
          installCosign,
          // What has passed before, too: signatures get lost, and prod says to run this again.
          { name: "Sign", env: { IMAGE: digest }, run: 'cosign sign --yes "$IMAGE"' },
          // The approval may have taken days, and another run of this commit may have passed meanwhile.
          look("look", { image: name, ...published }),
          // By this tag, given last, prod knows that it passed.
          giveTag("tag", {
            name: "Tag as passed",
            if: "steps.look.outputs.target != ''",
            image: name,
            source: "${{ steps.look.outputs.source }}",
            target: "${{ steps.look.outputs.target }}",
          }),
        ],
      },
    },
  };
};

/** A version: the image that preprod has passed, under one more tag, once somebody has approved it. */
const production = (args: WorkflowArgs): Workflow => {
  const { config, image: name, owner } = args;
  const tag = "${{ github.ref_name }}";
  const digest = `${name}@\${{ steps.look.outputs.digest }}`;
  return {
    name: "CI prod",
    on: { push: refsOf(config) },
    permissions: {},
    concurrency: inTurn("prod"),
    jobs: {
      image: {
        name: "image",
        if: ownRepository(args),
        "runs-on": runner,
        "timeout-minutes": 20,
        permissions: { packages: "write" },
        outputs: { digest: "${{ steps.look.outputs.digest }}" },
        steps: [
          { name: "Check the version", env: { TAG: tag }, run: script(import.meta.url, "./version.sh") },
          look("look", { image: name, tag, source: `sha-${commit}` }),
          logIn(),
          installCosign,
          {
            name: "Verify the signature",
            env: {
              IMAGE: digest,
              SIGNER: signer(owner, args),
            },
            run: script(import.meta.url, "./verify.sh"),
          },
          scan(config, digest),
          giveTag("tag", {
            name: "Promote",
            if: "steps.look.outputs.target != ''",
            image: name,
            source: "${{ steps.look.outputs.source }}",
            target: "${{ steps.look.outputs.target }}",
          }),
        ],
      },
      deploy: deployment(args, { needs: ["image"], image: deployed(args, tag) }),
    },
  };
};

const installCosign: Step = { name: "Install cosign", uses: cosignInstaller.uses };

/** Which workflow, and of which refs, must have signed: as Sigstore's certificate names it, in a regular expression. */
const signer = (owner: string, { config }: WorkflowArgs): string => {
  const escaped = (text: string) => text.replace(/[.+]/g, "\\$&");
  // Sigstore has GitHub's own spelling, which may have capitals where the config has none.
  const repository = `(?i:${escaped(`${owner}/${config.repository}`)})`;
  const refs = `refs/(heads/${escaped(config.branch)}|tags/preprod/[^/]+)`;
  return `^https://github\\.com/${repository}/${escaped(workflowPath("preprod"))}@${refs}$`;
};

/** The image that a job of that name has published: by its digest, and with a tag for people. */
const deployed = ({ image: name }: WorkflowArgs, tag: string) => `${name}:${tag}@\${{ needs.image.outputs.digest }}`;

/** The workflow of each environment. */
export const workflows: Readonly<Record<Environment, (args: WorkflowArgs) => Workflow>> = {
  dev: development,
  homolog: homologation,
  preprod: preproduction,
  prod: production,
};
