"""What MODE decides: Google Cloud project, bucket, dataset and ArcGIS of an environment.

constants.py reads its values from here:

    from pipelines.arcgis.settings import settings

    PROJECT = settings.gcp_project
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

MODES = ("dev", "staging", "prod")


@dataclass(frozen=True)
class Settings:
    """An environment's values, as the infrastructure declares them."""

    mode: str
    gcp_project: str
    gcs_bucket: str
    bigquery_dataset: str
    location: str
    arcgis_endpoint: str


def read_environment() -> dict[str, str]:
    """The environment's variables; for work on one's machine, those of .env where they are not set."""
    lines = Path(".env").read_text(encoding="utf-8").splitlines() if Path(".env").exists() else []
    told = dict(line.split("=", 1) for line in lines if line.startswith(("MODE=", "RIO_ENV=")))
    given = {name: os.environ[name] for name in ("MODE", "RIO_ENV") if os.environ.get(name)}
    return given or told


def read_mode() -> str:
    """The value of MODE, or of RIO_ENV, its older name."""
    environ = read_environment()
    mode, older = environ.get("MODE"), environ.get("RIO_ENV")
    if mode and older and mode != older:
        raise ValueError(f"MODE is {mode!r} and RIO_ENV {older!r}: they are two names of one thing; unset RIO_ENV")
    found = mode or older
    if found not in MODES:
        raise ValueError(
            f"MODE is {found!r}; expected one of {', '.join(MODES)} (for work on your machine: MODE=dev in .env)"
        )
    return found


def load(mode: str) -> Settings:
    """The values of one environment."""
    path = Path(__file__).with_name(f"{mode}.json")
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: the stack {mode} of the infrastructure delivers it, and the image must have it"
        )
    return Settings(**json.loads(path.read_text(encoding="utf-8")))


def __getattr__(name: str) -> Settings:
    # When it is asked for: `from ... import settings` asks, `import ...settings` does not.
    if name == "settings":
        return load(read_mode())
    raise AttributeError(name)
