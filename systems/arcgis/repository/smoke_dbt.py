"""Compiles the dbt models, which proves their templates and that they fit together. Asks BigQuery nothing.

Reads DBT_PROJECT (a folder) and SETTINGS (the file of an environment's values).
"""

import json
import os
import sys
import tempfile
from pathlib import Path


def fail(message: str):
    print("::error title=dbt::" + message.replace("%", "%25").replace("\n", "%0A"))
    sys.exit(1)


project, values = Path(os.environ["DBT_PROJECT"]), Path(os.environ["SETTINGS"])
if not (project / "dbt_project.yml").exists():
    fail(f"{project} has no dbt_project.yml: name the dbt project's folder in the stack's file, esteira:arcgis.dbt")
if not values.exists():
    fail(f"{values} is missing: the stack {values.stem} of the infrastructure delivers it")
try:
    from dbt.adapters.bigquery.connections import BigQueryConnectionManager
    from dbt.cli.main import dbtRunner
    from google.api_core.exceptions import NotFound
except ModuleNotFoundError as error:
    fail(f"dbt is not installed ({error}): let esteira:arcgis.install of the stack's file install dbt-bigquery")


def no_table(*_, **__):
    raise NotFound("No table is there yet")


# An incremental model asks for its own table: it compiles as for its first run.
BigQueryConnectionManager.get_bq_table = no_table

settings = json.loads(values.read_text(encoding="utf-8"))
output = {
    "type": "bigquery",
    # A token that opens nothing: nothing is asked for.
    "method": "oauth-secrets",
    "token": "none",
    "project": settings["gcp_project"],
    "dataset": settings["bigquery_dataset"],
    "location": settings["location"],
    "threads": 4,
}
with tempfile.TemporaryDirectory() as folder:
    profiles = {"smoke": {"target": "smoke", "outputs": {"smoke": output}}}
    # JSON is YAML.
    (Path(folder) / "profiles.yml").write_text(json.dumps(profiles), encoding="utf-8")
    common = ["--project-dir", str(project), "--profiles-dir", folder, "--profile", "smoke", "--log-path", folder]
    commands = [["compile", *common, "--no-introspect", "--no-populate-cache", "--target-path", folder]]
    if any((project / name).exists() for name in ("packages.yml", "dependencies.yml")):
        commands.insert(0, ["deps", *common])
    for command in commands:
        result = dbtRunner().invoke(command)
        if not result.success:
            fail(f"dbt {command[0]} failed: {result.exception or 'its log says why'}")
