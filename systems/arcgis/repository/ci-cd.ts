import { ghcrImage } from "../../../components/github/names.ts";
import { checkSteps, installSteps } from "../../../components/github/python-checks.ts";
import { buildAndPush, credentials, logIn, setUpBuilder } from "../../../components/github/registry/steps.ts";
import { checkOut, runner, type Step, script, type Workflow } from "../../../components/github/workflow.ts";
import type { ArcgisConfig } from "../config.ts";
import { authSecret, environmentName, settingsPath, stagingBranches, tagPrefix } from "../names.ts";

const [deployFlowsPy, smokeDbtPy] = [
  script(import.meta.url, "./deploy_flows.py"),
  script(import.meta.url, "./smoke_dbt.py"),
];

/** From a push to deployments: main goes to prod, staging branches to staging; a pull request is tested. */
export const ciCd = (config: ArcgisConfig, owner: string): Workflow => {
  const { branch } = config;
  /** Of two values, the one that the branch decides. */
  const byBranch = (prod: string, staging: string) =>
    `\${{ github.ref_name == '${branch}' && '${prod}' || '${staging}' }}`;
  const image = `${ghcrImage(owner, config.repository)}:${byBranch(tagPrefix(config, "prod"), tagPrefix(config, "staging"))}-\${{ github.sha }}`;
  const prepare: [Step, ...Step[]] = [checkOut(), ...installSteps(config)];
  return {
    name: "CI/CD",
    on: {
      push: {
        branches: [branch, stagingBranches],
        // What is delivered for dev changes nothing that runs: it must not deploy everything again.
        "paths-ignore": [".env", settingsPath(config, "dev.json")],
      },
      pull_request: {},
    },
    permissions: {},
    // A deploy is never cut off; of the pushes that wait, the last one counts.
    concurrency: {
      group: "ci-cd-${{ github.ref }}",
      "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
    },
    jobs: {
      test: {
        name: "test",
        "runs-on": runner,
        "timeout-minutes": 30,
        permissions: { contents: "read" },
        // Modules may read their settings as soon as they are imported.
        env: { MODE: "dev", RIO_ENV: "dev" },
        steps: [...prepare, ...checkSteps(config)],
      },
      "smoke-dbt": {
        name: "smoke-dbt",
        "runs-on": runner,
        "timeout-minutes": 20,
        permissions: { contents: "read" },
        steps: [
          ...prepare,
          {
            name: "Compile the models",
            shell: "python",
            env: {
              DBT_PROJECT: config.dbt,
              SETTINGS: settingsPath(config, byBranch("prod.json", "staging.json")),
            },
            run: smokeDbtPy,
          },
        ],
      },
      "build-push": {
        name: "build-push",
        needs: ["test", "smoke-dbt"],
        if: "github.event_name == 'push'",
        "runs-on": runner,
        "timeout-minutes": 45,
        permissions: { contents: "read", packages: "write" },
        outputs: { image: "${{ steps.image.outputs.reference }}", digest: "${{ steps.build.outputs.digest }}" },
        steps: [
          checkOut(),
          setUpBuilder(),
          logIn(),
          {
            name: "Name the image",
            id: "image",
            env: { IMAGE: image },
            run: 'echo "reference=$IMAGE" >> "$GITHUB_OUTPUT"',
          },
          buildAndPush("build", { tags: "${{ steps.image.outputs.reference }}" }),
        ],
      },
      "deploy-flows": {
        name: "deploy-flows",
        needs: "build-push",
        "runs-on": runner,
        "timeout-minutes": 15,
        environment: { name: byBranch(environmentName("prod"), environmentName("staging")) },
        // One at a time an environment, and each in its turn: several branches go to staging, and none throws another's out.
        concurrency: {
          group: `deploy-flows-${byBranch("prod", "staging")}`,
          "cancel-in-progress": false,
          queue: "max",
        },
        permissions: { packages: "read" },
        // Within the image itself: what can be deployed is what can be loaded there, by the Prefect that will run it.
        container: {
          image: `${ghcrImage(owner, config.repository)}@\${{ needs.build-push.outputs.digest }}`,
          credentials,
          options: "--user 0",
        },
        steps: [
          {
            name: "Deploy the flows",
            shell: "python",
            // Not a checkout's: what is not in the image must not be found.
            "working-directory": config.workdir,
            env: {
              MODE: byBranch("prod", "staging"),
              RIO_ENV: byBranch("prod", "staging"),
              IMAGE: "${{ needs.build-push.outputs.image }}@${{ needs.build-push.outputs.digest }}",
              IMAGE_DIGEST: "${{ needs.build-push.outputs.digest }}",
              PREFECT_API_URL: "${{ vars.PREFECT_API_URL }}",
              // The server asks for its auth string; PREFECT_API_KEY as a setting is Prefect Cloud's.
              PREFECT_API_AUTH_STRING: `\${{ secrets.${authSecret} }}`,
            },
            run: deployFlowsPy,
          },
        ],
      },
    },
  };
};
