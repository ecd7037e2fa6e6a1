"""Registers an environment's deployments on the Prefect server, from within the image that they will run in.

Reads MODE, IMAGE, GITHUB_SHA and IMAGE_DIGEST (for prefect.yaml), PREFECT_API_URL, PREFECT_API_AUTH_STRING and, for tests,
WAIT_SECONDS (120). Nothing on the server changes until every flow has been loaded from the image.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path


def fail(title: str, message: str):
    print(f"::error title={title}::" + message.replace("%", "%25").replace("\n", "%0A"))
    sys.exit(1)


def minor(version: str) -> list[int]:
    return [int(part) for part in version.split(".")[:2]]


# Prefect Cloud's; a client that has it sends it in place of the auth string.
os.environ.pop("PREFECT_API_KEY", None)
mode, image = os.environ["MODE"], os.environ["IMAGE"]
if not os.environ.get("PREFECT_API_AUTH_STRING"):
    fail(
        "Not deployed", f"The secret PREFECT_API_KEY is empty: `pulumi up --stack {mode}` puts it into the environment"
    )

import httpx
import prefect
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flows import load_flow_from_entrypoint

wanted = [
    each
    for each in yaml.safe_load(Path("prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    if each["name"].endswith(f"-{mode}")
]
if not wanted:
    fail("Not deployed", f"prefect.yaml has no deployment whose name ends with -{mode}")

broken = []
for each in wanted:
    try:
        each["flow"] = load_flow_from_entrypoint(each["entrypoint"]).name
    except Exception as error:  # noqa: BLE001 - whatever a module does when it is imported
        broken.append(f"{each['entrypoint']}: {type(error).__name__}: {error}")
if broken:
    fail("Not deployed", "The image cannot load these flows; the server still has what it had:\n" + "\n".join(broken))

with get_client(sync_client=True) as client:
    until = time.monotonic() + float(os.environ.get("WAIT_SECONDS", "120"))
    while True:
        try:
            server = client.api_version()
            break
        except PrefectHTTPStatusError as error:
            status = error.response.status_code
            if status == 401:
                fail(
                    "Not deployed",
                    f"The server refuses the secret PREFECT_API_KEY: `pulumi up --stack {mode}` renews it",
                )
            problem = f"it answers {status}"
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__}: {error}"
        if time.monotonic() > until:
            fail("Not deployed", f"The server at {os.environ['PREFECT_API_URL']} cannot be reached: {problem}")
        time.sleep(2)
    if minor(prefect.__version__) > minor(server):
        fail("Not deployed", f"The image has Prefect {prefect.__version__}, which is newer than the server's {server}")

    names = [argument for each in wanted for argument in ("--name", each["name"])]
    done = subprocess.run(["prefect", "--no-prompt", "deploy", *names], check=False)
    if done.returncode != 0:
        fail(
            "Not all deployed",
            "prefect deploy failed: what it had not reached still runs the image before; run this job again",
        )

    for each in wanted:
        found = client.read_deployment_by_name(f"{each['flow']}/{each['name']}")
        # `prefect deploy` leaves a schedule be that is no longer told of.
        told = {schedule["slug"] for schedule in each["schedules"]}
        for schedule in found.schedules:
            if schedule.slug not in told:
                client.delete_deployment_schedule(found.id, schedule.id)
                print(f"{each['name']}: the schedule {schedule.schedule} is no longer in prefect.yaml and was deleted")
        variables = found.job_variables
        if variables.get("image") != image or variables.get("env", {}).get("MODE") != mode:
            fail(
                "Deployed wrongly", f"{each['name']} has the image {variables.get('image')} and {variables.get('env')}"
            )

    # A flow that left prefect.yaml leaves its deployment, and its schedule, behind.
    of_mode = DeploymentFilter(tags=DeploymentFilterTags(all_=[mode]))
    left = {each.name for each in client.read_deployments(deployment_filter=of_mode)} - {
        each["name"] for each in wanted
    }
    for name in sorted(left):
        print(
            f"::warning title=Deployment without a flow::{name} is on the server but not in prefect.yaml: delete it there"
        )

print(f"{len(wanted)} deployments of {mode} run {image}")
summary = os.environ.get("GITHUB_STEP_SUMMARY")
if summary:
    lines = [f"- `{each['name']}`" for each in wanted]
    Path(summary).write_text(f"### {mode}: `{re.sub('`', '', image)}`\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
