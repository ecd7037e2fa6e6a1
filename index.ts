/** The program: reads the stack's config, declares its systems, exports what an auditor reads. */
import type { Audit } from "./audit/schema.ts";
import { readConfig } from "./config.ts";
import { Arcgis } from "./systems/arcgis/index.ts";
import { Equidade } from "./systems/equidade/index.ts";
import { PythonApi } from "./systems/python-api/index.ts";
import { Qivo } from "./systems/qivo/index.ts";
import { SchoolScheduler } from "./systems/school-scheduler/index.ts";

const { stack, github, kubeconfig, ...config } = readConfig();

const arcgis = config.arcgis && new Arcgis("arcgis", { ...config.arcgis, github });
const equidade = config.equidade && new Equidade("equidade", { ...config.equidade, github });
const pythonApi = config["python-api"] && new PythonApi("python-api", { ...config["python-api"], github });
const qivo = config.qivo && new Qivo("qivo", { ...config.qivo, github });
const schoolScheduler =
  config["school-scheduler"] &&
  new SchoolScheduler("school-scheduler", { ...config["school-scheduler"], github, kubeconfig });

const systems = {
  ...(arcgis && { arcgis }),
  ...(equidade && { equidade }),
  ...(pythonApi && { "python-api": pythonApi }),
  ...(qivo && { qivo }),
  ...(schoolScheduler && { "school-scheduler": schoolScheduler }),
};

export const audit: Audit = {
  version: 1,
  stack,
  systems: Object.fromEntries(Object.entries(systems).map(([name, { facts }]) => [name, facts])),
};

/** What other stacks of the same systems refer to, secrets among it. */
export const shared = { ...(arcgis?.shared && { arcgis: arcgis.shared }) };
