/** smoke_dbt.py against a stand-in for dbt's own modules, which records what it is asked for. */
import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { type Env, PYTHON, Sandbox } from "../../support/sandbox.ts";
import { declare, filesOf } from "./fixture.ts";

const SCRIPT = new URL("../../../systems/arcgis/repository/smoke_dbt.py", import.meta.url).pathname;
const SETTINGS = "pipelines/arcgis/settings/staging.json";

const exceptions = "class NotFound(Exception):\n    pass\n";
const connections = `class BigQueryConnectionManager:
    def get_bq_table(self, database, schema, identifier):
        raise RuntimeError("BigQuery was asked")
`;
const main = `import json, os, types
from pathlib import Path
from dbt.adapters.bigquery.connections import BigQueryConnectionManager
from google.api_core.exceptions import NotFound

class dbtRunner:
    def invoke(self, args):
        folder = args[args.index("--profiles-dir") + 1]
        try:
            table = BigQueryConnectionManager().get_bq_table(database="p", schema="d", identifier="t")
        except NotFound:
            table = "none"
        call = {
            "args": [each.replace(folder, "FOLDER") for each in args],
            "profiles": json.loads((Path(folder) / "profiles.yml").read_text(encoding="utf-8")),
            "table": table,
        }
        with open(os.environ["CALLS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(call) + "\\n")
        failure = json.loads(os.environ.get("FAILURES", "{}")).get(args[0])
        exception = Exception(failure) if failure else None
        return types.SimpleNamespace(success=args[0] not in os.environ.get("FAILING", ""), exception=exception)
`;

describe("smoke_dbt.py", () => {
  let box: Sandbox;
  let settings: string;

  before(async () => {
    settings = filesOf(await declare({}, "staging"))[SETTINGS]!;
  });
  beforeEach(() => {
    box = new Sandbox();
    for (const folder of ["dbt", "dbt/adapters", "dbt/adapters/bigquery", "dbt/cli", "google", "google/api_core"]) {
      box.write(`modules/${folder}/__init__.py`, "");
    }
    box.write("modules/dbt/adapters/bigquery/connections.py", connections);
    box.write("modules/dbt/cli/main.py", main);
    box.write("modules/google/api_core/exceptions.py", exceptions);
    box.write("checkout/queries/dbt_project.yml", "name: queries\nprofile: somebodys\n");
    box.write(`checkout/${SETTINGS}`, settings);
  });
  afterEach(() => box.dispose());

  /** -S: without the packages of this machine. */
  const run = (env: Env = {}) =>
    box.run(PYTHON, ["-S", SCRIPT], {
      cwd: box.path("checkout"),
      env: {
        PYTHONPATH: box.path("modules"),
        PYTHONDONTWRITEBYTECODE: "1",
        CALLS: box.path("calls"),
        DBT_PROJECT: "queries",
        SETTINGS,
        ...env,
      },
    });
  const calls = () =>
    box
      .read("calls")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { args: string[]; profiles: unknown; table: string });

  const common = ["--project-dir", "queries", "--profiles-dir", "FOLDER", "--profile", "smoke", "--log-path", "FOLDER"];
  const compile = ["compile", ...common, "--no-introspect", "--no-populate-cache", "--target-path", "FOLDER"];

  it("compiles the models with the environment's values and no credentials, and leaves nothing behind", async () => {
    const { code, output } = await run();
    assert.deepEqual([code, output], [0, ""]);
    const smoke = {
      type: "bigquery",
      method: "oauth-secrets",
      token: "none",
      project: "rj-smas-staging",
      dataset: "arcgis",
      location: "southamerica-east1",
      threads: 4,
    };
    assert.deepEqual(calls(), [
      { args: compile, profiles: { smoke: { target: "smoke", outputs: { smoke } } }, table: "none" },
    ]);
    assert.deepEqual(readdirSync(box.path("tmp")), []);
    assert.deepEqual(readdirSync(box.path("checkout/queries")), ["dbt_project.yml"]);
  });

  for (const file of ["packages.yml", "dependencies.yml"]) {
    it(`installs packages first where the project has a ${file}`, async () => {
      box.write(`checkout/queries/${file}`, "packages: []\n");
      const { code, output } = await run();
      assert.equal(code, 0, output);
      assert.deepEqual(
        calls().map(({ args }) => args),
        [["deps", ...common], compile],
      );
    });
  }

  it("fails by what dbt says, in one annotation", async () => {
    const failure = "Compilation Error in model c\n  unexpected '}' {% if %}";
    const { code, stdout } = await run({ FAILING: "compile", FAILURES: JSON.stringify({ compile: failure }) });
    assert.deepEqual(
      [code, stdout],
      [1, "::error title=dbt::dbt compile failed: Compilation Error in model c%0A  unexpected '}' {%25 if %25}\n"],
    );
    assert.deepEqual(readdirSync(box.path("tmp")), []);
  });

  it("fails where models fail one by one, and compiles nothing without its packages", async () => {
    box.write("checkout/queries/packages.yml", "packages: []\n");
    const failed = await run({ FAILING: "compile" });
    assert.deepEqual([failed.code, failed.stdout], [1, "::error title=dbt::dbt compile failed: its log says why\n"]);
    const without = await run({ FAILING: "deps", CALLS: box.path("calls") });
    assert.deepEqual([without.code, without.stdout], [1, "::error title=dbt::dbt deps failed: its log says why\n"]);
    assert.deepEqual(
      calls().map(({ args }) => args[0]),
      ["deps", "compile", "deps"],
    );
  });

  const refused: Record<string, [prepare: () => unknown, message: string]> = {
    "a folder that is no dbt project": [
      () => rmSync(box.path("checkout/queries/dbt_project.yml")),
      "queries has no dbt_project.yml: name the dbt project's folder in the stack's file, esteira:arcgis.dbt",
    ],
    "values that nobody has delivered": [
      () => rmSync(box.path("checkout", SETTINGS)),
      `${SETTINGS} is missing: the stack staging of the infrastructure delivers it`,
    ],
    "a machine without dbt": [
      () => rmSync(box.path("modules"), { recursive: true }),
      "dbt is not installed (No module named 'dbt'): let esteira:arcgis.install of the stack's file install dbt-bigquery",
    ],
    "dbt for another warehouse": [
      () => rmSync(box.path("modules/dbt/adapters/bigquery"), { recursive: true }),
      "dbt is not installed (No module named 'dbt.adapters.bigquery'): let esteira:arcgis.install of the stack's file install dbt-bigquery",
    ],
  };
  for (const [name, [prepare, message]] of Object.entries(refused)) {
    it(`refuses ${name}, and says what to do`, async () => {
      prepare();
      const { code, output } = await run();
      assert.deepEqual([code, output], [1, `::error title=dbt::${message}\n`]);
      assert.deepEqual(calls(), []);
    });
  }
});
