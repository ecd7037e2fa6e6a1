import { textBeside } from "../../../components/beside.ts";
import { composeYaml, nameOf, type Project } from "../../../components/docker/compose.ts";
import { type DeliveredFile, programFile, workflowFile } from "../../../components/github/delivered-file.ts";
import { ghcrImage } from "../../../components/github/names.ts";
import { generatedFrom } from "../../../components/github/workflow.ts";
import { prefectYaml } from "../../../components/prefect/deployments.ts";
import { flowNetwork, projectName } from "../../../components/prefect/host.ts";
import type { ArcgisConfig, HostConfig, Mode } from "../config.ts";
import { credentials, credentialsVolume, settingsPath, tagPrefix } from "../names.ts";
import { ciCd } from "./ci-cd.ts";

const comment = (text: string) => `${text.replace(/^/gm, "# ")}\n`;
const source = (config: ArcgisConfig) => `Pulumi.${config.mode}.yaml`;

/** What a stack delivers: each the file of its own mode, the owner of the host what stands once in a repository. */
export function deliveredFiles(config: ArcgisConfig, owner: string, project?: Project): DeliveredFile[] {
  return [
    { path: settingsPath(config, `${config.mode}.json`), text: settingsJson(config) },
    ...(config.mode === "dev" ? [{ path: ".env", text: dotEnv }] : []),
    ...(config.host && project ? repositoryWide(config, config.host, project, owner) : []),
  ];
}

function repositoryWide(config: ArcgisConfig, host: HostConfig, project: Project, owner: string): DeliveredFile[] {
  return [
    programFile(
      settingsPath(config, "__init__.py"),
      textBeside(import.meta.url, "./settings.py"),
      "systems/arcgis/repository/settings.py",
    ),
    { path: "prefect/compose.yml", text: composeYaml(project, generatedFrom(source(config))) },
    { path: "prefect.yaml", text: deployments(config, host, owner) },
    workflowFile(".github/workflows/ci_cd.yml", ciCd(config, owner), "systems/arcgis/repository/ci-cd.ts"),
  ];
}

/** The keys are those of Settings in settings.py. */
const settingsJson = (config: ArcgisConfig) =>
  `${JSON.stringify(
    {
      mode: config.mode,
      gcp_project: config.project,
      gcs_bucket: config.bucket,
      bigquery_dataset: config.dataset,
      location: config.region,
      arcgis_endpoint: config.endpoint,
    },
    undefined,
    2,
  )}\n`;

const dotEnv = `${comment(generatedFrom("systems/arcgis/repository/files.ts"))}# No secret belongs in here: git has this file.
MODE=dev
RIO_ENV=dev
`;

const deployments = (config: ArcgisConfig, host: HostConfig, owner: string): string =>
  prefectYaml(
    {
      pool: host.pool,
      networks: [nameOf(projectName, flowNetwork)],
      environments: (["staging", "prod"] satisfies Mode[]).map((mode) => ({
        name: mode,
        image: `${ghcrImage(owner, config.repository)}:${tagPrefix(config, mode)}-{{ $GITHUB_SHA }}@{{ $IMAGE_DIGEST }}`,
        version: `${tagPrefix(config, mode)}-{{ $GITHUB_SHA }}`,
        env: {
          MODE: mode,
          // The name in the document's example, for code that still reads it.
          RIO_ENV: mode,
          GOOGLE_APPLICATION_CREDENTIALS: `${credentials.folder}/${credentials.file}`,
        },
        volumes: [`${credentialsVolume(mode)}:${credentials.folder}:ro`],
        scheduled: mode === "prod",
      })),
      flows: config.flows.map(({ memory, ...flow }) => ({ ...flow, memory: memory?.toLowerCase().replace("i", "") })),
    },
    generatedFrom(source(config)),
  );
