"""A flow that says where it runs. NAME is its name."""

import os
import time
from pathlib import Path

from pipelines.arcgis.settings import settings
from prefect import flow


@flow(name="NAME", log_prints=True)
def NAME_flow(seconds: int = 0):
    key = Path(os.environ["GOOGLE_APPLICATION_CREDENTIALS"]).read_text(encoding="utf-8").strip()
    print(f"MODE={settings.mode} RIO_ENV={os.environ['RIO_ENV']} project={settings.gcp_project} key={key}")
    time.sleep(seconds)
    print(f"done after {seconds} s")
