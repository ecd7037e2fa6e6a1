/** The delivered settings, imported by Python as the pipelines' constants.py does. */
import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { type Env, PYTHON, Sandbox } from "../../support/sandbox.ts";
import { declare, filesOf } from "./fixture.ts";

const folder = "pipelines/arcgis/settings";
const show = "import dataclasses, json, pipelines.arcgis.settings as s";

describe("settings/__init__.py", () => {
  let box: Sandbox;
  let files: Record<string, string>;

  before(async () => {
    files = {};
    for (const stack of ["dev", "staging", "prod"] as const) Object.assign(files, filesOf(await declare({}, stack)));
    box = new Sandbox();
    for (const [path, text] of Object.entries(files)) box.write(path, text);
    // Where there is no .env.
    mkdirSync(box.path("empty"));
  });
  after(() => box.dispose());

  /** -S: the standard library is all it needs. */
  const run = (env: Env, program = `${show}; print(json.dumps(dataclasses.asdict(s.settings)))`, cwd = "empty") =>
    box.run(PYTHON, ["-S", "-c", program], {
      cwd: box.path(cwd),
      env: { PYTHONPATH: box.dir, PYTHONDONTWRITEBYTECODE: "1", ...env },
    });

  /** The last line of what Python says of an error. */
  const refusal = async (env: Env, cwd?: string) => {
    const { code, stdout, stderr } = await run(env, undefined, cwd);
    assert.deepEqual([code, stdout], [1, ""]);
    return stderr.trim().split("\n").at(-1);
  };

  for (const [stack, project] of [
    ["dev", "rj-smas-dev"],
    ["staging", "rj-smas-staging"],
    ["prod", "rj-smas"],
  ] as const) {
    const values = {
      mode: stack,
      gcp_project: project,
      gcs_bucket: `${project}-arcgis`,
      bigquery_dataset: "arcgis",
      location: "southamerica-east1",
      arcgis_endpoint: stack === "prod" ? "https://example.org" : `https://${stack}.example.org`,
    };
    const named: Record<string, Env> = {
      "MODE alone": { MODE: stack },
      "RIO_ENV, the older name, alone": { RIO_ENV: stack },
      "both, alike": { MODE: stack, RIO_ENV: stack },
      "MODE beside an empty RIO_ENV": { MODE: stack, RIO_ENV: "" },
    };
    for (const [name, env] of Object.entries(named)) {
      it(`gives ${stack}'s values for ${name}`, async () => {
        const { code, stdout, output } = await run(env);
        assert.equal(code, 0, output);
        assert.deepEqual(JSON.parse(stdout), values);
      });
    }
  }

  it("gives dev's for the delivered .env", async () => {
    const env = Object.fromEntries(
      files[".env"]!.split("\n")
        .filter((line) => line && !line.startsWith("#"))
        .map((line) => line.split("=")),
    ) as Env;
    const { stdout, output } = await run(env);
    assert.equal((JSON.parse(stdout || output) as { mode: string }).mode, "dev");
  });

  describe("takes from .env in the working directory what the environment does not say:", () => {
    const mode = async (env: Env, cwd: string) => {
      const { code, stdout, output } = await run(env, undefined, cwd);
      assert.equal(code, 0, output);
      return (JSON.parse(stdout) as { mode: string }).mode;
    };

    it("dev, as it is delivered", async () => {
      assert.equal(await mode({}, "."), "dev");
      assert.equal(await mode({ MODE: "", RIO_ENV: "" }, "."), "dev");
    });

    it("nothing where the environment has either name", async () => {
      assert.equal(await mode({ MODE: "staging" }, "."), "staging");
      assert.equal(await mode({ RIO_ENV: "prod" }, "."), "prod");
      assert.equal(await mode({ MODE: "prod", RIO_ENV: "" }, "."), "prod");
    });

    it("either name alone, whatever else the file has", async () => {
      box.write("by-hand/.env", "# MODE=prod\nOTHER=MODE=prod\nno line of a variable\n\nMODE=staging\n");
      assert.equal(await mode({}, "by-hand"), "staging");
      box.write("by-hand/.env", "RIO_ENV=prod\r\n");
      assert.equal(await mode({}, "by-hand"), "prod");
    });

    it("refuses there what it refuses elsewhere", async () => {
      const expected = "expected one of dev, staging, prod (for work on your machine: MODE=dev in .env)";
      box.write("by-hand/.env", "MODE=production\n");
      assert.equal(await refusal({}, "by-hand"), `ValueError: MODE is 'production'; ${expected}`);
      box.write("by-hand/.env", "OTHER=1\n");
      assert.equal(await refusal({}, "by-hand"), `ValueError: MODE is None; ${expected}`);
      box.write("by-hand/.env", "MODE=dev\nRIO_ENV=prod\n");
      assert.equal(
        await refusal({}, "by-hand"),
        "ValueError: MODE is 'dev' and RIO_ENV 'prod': they are two names of one thing; unset RIO_ENV",
      );
    });
  });

  it("refuses two that differ: code that reads one would work on the other's data", async () => {
    assert.equal(
      await refusal({ MODE: "staging", RIO_ENV: "prod" }),
      "ValueError: MODE is 'staging' and RIO_ENV 'prod': they are two names of one thing; unset RIO_ENV",
    );
  });

  it("refuses none, an empty one and an unknown one, and never falls back to any", async () => {
    const expected = "expected one of dev, staging, prod (for work on your machine: MODE=dev in .env)";
    assert.equal(await refusal({}), `ValueError: MODE is None; ${expected}`);
    assert.equal(await refusal({ MODE: "", RIO_ENV: "" }), `ValueError: MODE is None; ${expected}`);
    for (const mode of ["production", "PROD", " prod", "../prod"]) {
      assert.equal(await refusal({ MODE: mode }), `ValueError: MODE is '${mode}'; ${expected}`);
    }
  });

  it("is imported without any: only who asks for the values needs one", async () => {
    const { code, output } = await run({}, `${show}; print(s.MODES)`);
    assert.deepEqual([code, output], [0, "('dev', 'staging', 'prod')\n"]);
  });

  it("says of another name what Python says of it", async () => {
    const { stderr } = await run({ MODE: "dev" }, "from pipelines.arcgis.settings import setings");
    assert.match(stderr, /ImportError: cannot import name 'setings'/);
  });

  it("lets nobody change a value", async () => {
    const { stderr } = await run({ MODE: "dev" }, `${show}; s.settings.gcp_project = "x"`);
    assert.match(stderr, /FrozenInstanceError: cannot assign to field 'gcp_project'/);
  });

  it("says who delivers a file that is missing", async () => {
    const path = `${folder}/staging.json`;
    rmSync(box.path(path));
    try {
      assert.equal(
        await refusal({ MODE: "staging" }),
        `FileNotFoundError: ${box.path(path)} is missing: the stack staging of the infrastructure delivers it, and the image must have it`,
      );
    } finally {
      box.write(path, files[path]!);
    }
  });
});
