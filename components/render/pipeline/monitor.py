"""Looks at the service and its last deploy, keeps a status file in the repository, and an issue while a deploy has failed.

Reads what render.py and github.py do, STATUS_FILE (docs/PIPELINE.md), STATUS_HEAD (the branch of its pull request, where the
branch is protected), WORKFLOWS (JSON: the workflows' files, the deploying one first), OWN_WORKFLOW (its own file, none of
WORKFLOWS: an issue in which recovery tells that it has failed is closed), INTERVAL (for people) and, for tests, NOW.
Without RENDER_API_KEY it tells of the workflows alone, and says so.
"""

import datetime
import json
import re
from pathlib import Path

from github import GitHub, Refused, permitted
from landing import Landing
from render import FAILED, Api, Away, Denied, Odd, dashboard, decided_of, failure
from tell import ENV, Failed, annotate, needed, plain, program, say, summary

STAMP = "Last change: "
LISTED = 20


def moment(text):
    return f"{plain(text)[:16].replace('T', ' ')} UTC" if text else "not yet"


def service_rows(api):
    """What Render says, and the deploy that decides; None where it says nothing."""
    service, deploys = api.service(), api.deploys(LISTED)
    live = next((each for each in deploys if each["status"] == "live"), None)
    last = deploys[0] if deploys else None
    state = {"suspended": "suspended", "not_suspended": "running"}.get(str(service.get("suspended")))
    automatic = {"yes": "**on: untested pushes are deployed**", "no": "off"}.get(str(service.get("autoDeploy")))
    if service.get("autoDeploy") == "yes":
        annotate(
            "warning",
            "Render deploys by itself",
            f"{api.name} has Auto-Deploy on: every push is deployed, tested or not. Turn it off in Render's Dashboard, Settings",
        )

    def shown(deploy):
        if not deploy:
            return "none"
        commit = deploy["commit"]
        at = moment(deploy.get("finishedAt") or deploy.get("createdAt"))
        return f"`{plain(deploy['status'])}` `{plain(deploy['id'])}`, commit `{plain(commit)[:7] if commit else 'unknown'}`, {at}"

    rows = {
        "Service": f"[{plain(api.name)}]({dashboard()})",
        "State": state or "unknown",
        "Last deploy": shown(last),
        # After so many that failed the list does not reach back to it.
        "Live": shown(live) if live or len(deploys) < LISTED else f"not among the last {LISTED} deploys",
        "Auto-Deploy": automatic or "unknown",
    }
    return rows, decided_of(deploys)


def workflow_rows(github, workflows):
    rows, last = {}, {}
    for each in workflows:
        run = last[each] = github.ended(each)
        rows[f"`{each}`"] = (
            f"`{plain(run['conclusion'])}`, [run {run['run_number']}]({run['html_url']}), commit `{run['head_sha'][:7]}`"
            if run
            else "no run yet"
        )
    return rows, last


def document(rows, interval, now):
    lines = [
        "# Pipeline status",
        "",
        "<!-- Written by the monitor's workflow: changes made here are overwritten. -->",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in rows.items()),
        "",
        f"{STAMP}{now}. Looked at {interval}; nothing is written while all stays as it is.",
        "",
    ]
    return "\n".join(lines)


def same(old, new):
    """Whether nothing but the time has changed."""
    without = [re.sub(rf"^{STAMP}[^.\n]*", "", text, flags=re.MULTILINE) for text in (old, new)]
    return without[0] == without[1]


def issues(github, api, decided, last):
    if decided and decided["status"] in FAILED:
        github.open_issue(*failure(api, decided))
    elif decided:
        github.close_issue(f"service {api.id}", f"`{plain(decided['id'])}` is {decided['status']}: deployed again.")
    for each, run in last.items():
        if run and run["conclusion"] == "success":
            github.close_issue(github.key(each), f"[Run {run['run_number']}]({run['html_url']}) succeeded.")


def main():
    github, api, workflows = GitHub(), Api(), json.loads(needed("WORKFLOWS"))
    path = needed("STATUS_FILE")
    rows, decided, gone = {}, None, None
    if api:
        try:
            rows, decided = service_rows(api)
        except (Away, Denied) as error:
            gone = error
    else:
        annotate(
            "notice",
            "Render not looked at",
            "RENDER_API_KEY is not set: neither the service nor its deploys are looked at",
        )
        rows["Service"] = f"[{plain(api.name)}]({dashboard()}), not looked at: no API key"
    untold = None
    try:
        more, last = workflow_rows(github, workflows)
        rows |= more
        try:
            issues(github, api, decided, last)
        except Refused as refused:
            # Such as where a repository has no issues, or one is locked: the file is kept all the same.
            untold = permitted(refused, "actions: read, issues: write")
    except Refused as refused:
        raise permitted(refused, "actions: read, issues: write") from refused
    if isinstance(gone, Denied):
        raise gone
    if isinstance(gone, Odd):
        raise Failed("Not looked at", f"Render's API gives {gone}: this program may be older than the API")
    if gone:
        annotate("warning", "Not looked at", f"Render's API gives no answer ({gone}): what was known stays as it is")
        if untold:
            raise untold
        return
    now = ENV.get("NOW") or datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = document(rows, ENV.get("INTERVAL", "by schedule"), now)
    summary(text)

    def write():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")

    # Render would deploy the commit where it deploys by itself; GitHub starts nothing for a push by the workflow's token.
    message = f"docs: {Path(path).name} as of {now} [skip render]"
    landing = Landing(github, path, needed("STATUS_HEAD"))
    how = landing.land(
        write,
        message,
        f"Status of the pipeline in {path}",
        "Written by the monitor; kept up to date until it is merged.",
        same,
    )
    say({"nothing": "Nothing has changed but the time: no commit"}.get(how, f"{path}: {how}"))
    try:
        # Its own last run would be another one each time, and the file another.
        if own := ENV.get("OWN_WORKFLOW"):
            github.close_issue(github.key(own), "This run has looked at everything.")
    except Refused as refused:
        raise permitted(refused, "issues: write") from refused
    if untold:
        raise untold


if __name__ == "__main__":
    program(main)
