"""Compiles the dbt models, which proves their syntax and that they fit together. Asks BigQuery nothing.

Reads DBT_PROJECT (a folder) and SETTINGS (the file of an environment's values).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def fail(message: str):
    print("::error title=dbt::" + message)
    sys.exit(1)


project = Path(os.environ["DBT_PROJECT"])
if not (project / "dbt_project.yml").exists():
    fail(f"{project} has no dbt_project.yml: name the dbt project's folder in the stack's file, esteira:arcgis.dbt")
if not shutil.which("dbt"):
    fail("dbt is not installed: let esteira:arcgis.install of the stack's file install dbt-bigquery")

import yaml

settings = json.loads(Path(os.environ["SETTINGS"]).read_text(encoding="utf-8"))
profile = yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8"))["profile"]
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
    profiles = Path(folder) / "profiles.yml"
    profiles.write_text(yaml.safe_dump({profile: {"target": "smoke", "outputs": {"smoke": output}}}), encoding="utf-8")
    paths = ["--project-dir", str(project), "--profiles-dir", folder]
    if any((project / name).exists() for name in ("packages.yml", "dependencies.yml")):
        subprocess.run(["dbt", "deps", *paths], check=True)
    offline = ["--no-introspect", "--no-populate-cache", "--target-path", f"{folder}/target"]
    sys.exit(subprocess.run(["dbt", "compile", *paths, *offline], check=False).returncode)
