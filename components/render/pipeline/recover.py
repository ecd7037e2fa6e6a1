"""Repairs what a failed run has failed of, if it is one of the things that a program can repair; else it opens an issue.

Reads what render.py and github.py do, COMMAND, RUNNER_TEMP, GITHUB_OUTPUT, WORKFLOWS (JSON: the files of the workflows whose failures
count, the deploying one first), TEST_WORKFLOWS (likewise: started for a pull request), LOCK_HEAD (the branch of that pull request), and
MAX_ATTEMPTS (3: of one run, and of repairs by commit in a day).

COMMAND=diagnose reads RUN_ID, or where it is empty takes the newest failed run of WORKFLOWS. It looks into the log of the steps that
failed, and outputs action: nothing, rebuild, rerun or tell. Nothing is changed.
COMMAND=repair does it, in a checkout of the branch:
  rebuild  makes pnpm-lock.yaml anew and pushes it (or opens a pull request where the branch is protected), and starts the deploying
           workflow: GitHub starts none for a push by a workflow's own token
  rerun    runs the failed jobs of that run again
  tell     opens an issue
"""

import datetime
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

from github import GitHub, Refused, permitted
from landing import Landing
from render import FAILED, LOCK_FILE, Api, Away, Hook, decided_of, failure
from tell import ENV, Failed, annotate, needed, number, output, program, say, summary

LOCK = "pnpm-lock.yaml"
TRAILER = "Pipeline-Recovery"
BAD = ("failure", "timed_out")
CODE = re.compile(r"\[(hook-invalid|hook-unreachable|hook-refused|hook-unsure|deploy-failed|deploy-timeout)\]([^\n]*)")
PUSH = re.compile(r"! \[(?:remote )?rejected\]|fetch first|non-fast-forward|cannot lock ref")
PASSING = re.compile(
    r"ECONNRESET|ETIMEDOUT|ECONNREFUSED|EAI_AGAIN|ERR_SOCKET_TIMEOUT|ERR_PNPM_META_FETCH_FAIL|ERR_PNPM_FETCH_5\d\d"
    r"|Could not resolve host|Temporary failure in name resolution|Read timed out|Connection reset by peer"
    r"|(?:HTTP|status|error|code:?) 50[234]\b|received a shutdown signal|lost communication with the server"
)


class Diagnosis:
    """What a run failed of. `cause` is for people, and holds nothing of a log but what this program knows."""

    def __init__(self, action, cause, **more):
        self.action, self.cause, self.more = action, cause, more


def failed_run(github, workflows):
    """The run that is to be repaired, or a reason why there is none."""
    if identity := ENV.get("RUN_ID"):
        run = github.ask("GET", f"actions/runs/{identity}")
        if (reason := uninvolved(github, workflows, run)) is not None:
            return None, reason
        candidates = [run]
    else:
        newest = [next(iter(completed(github, each)), None) for each in workflows]
        candidates = [run for run in newest if run and run["conclusion"] in BAD]
    for run in candidates:
        newer = [each for each in github.runs(file_of(run)) if each["run_number"] > run["run_number"]]
        if newer:
            return None, f"run {run['run_number']} of {file_of(run)} is overtaken by run {newer[0]['run_number']}"
        return run, ""
    return None, f"the newest run of none of {', '.join(workflows)} has failed"


def uninvolved(github, workflows, run):
    if file_of(run) not in workflows:
        return f"{file_of(run)} is none of {', '.join(workflows)}"
    if not github.own(run):
        return f"the run is not of {github.branch} itself: whose branch it is mends it"
    if run["conclusion"] not in BAD:
        return f"the run has ended as {run['conclusion']}"
    return None


def completed(github, workflow):
    return [each for each in github.runs(workflow) if each["status"] == "completed"]


def file_of(run):
    return run["path"].split("@")[0].rsplit("/", 1)[-1]


def failed_text(github, run):
    """The names of the steps that failed, and what they printed: each line of a log begins with its time."""
    names, texts = [], []
    for job in github.pages(f"actions/runs/{run['id']}/attempts/{run['run_attempt']}/jobs", "jobs"):
        if job["conclusion"] not in BAD:
            continue
        steps = [each for each in job.get("steps") or [] if each["conclusion"] in BAD]
        names += [f"{job['name']}: {each['name']}" for each in steps] or [job["name"]]
        spans = [(span(each.get("started_at")), span(each.get("completed_at"))) for each in steps]
        for line in github.log(job["id"]).splitlines():
            at, _, text = line.lstrip("\ufeff").partition(" ")
            # A step's times are in whole seconds.
            if (
                not spans
                or not re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", at)
                or any(a <= at[:19] <= b for a, b in spans)
            ):
                texts.append(text if at.endswith("Z") else line)
    return names, "\n".join(texts)


def span(time):
    return (time or "")[:19]


def diagnose(github, api, run):
    names, text = failed_text(github, run)
    where = f"failed: {', '.join(names) or 'no job, so that GitHub itself may have refused the workflow'}"
    code = CODE.search(text)
    lock = LOCK_FILE.search(text)
    if lock and (code is None or code[1] == "deploy-failed"):
        return rebuild(github, run, f"the lock file ({lock[0]}); {where}")
    if code:
        return hook_or_deploy(api, run, code[1], code[2], where)
    if PUSH.search(text):
        return rerun(run, f"a push that came too late; {where}")
    if PASSING.search(text):
        return rerun(run, f"something that passes, such as a network that was away; {where}")
    return Diagnosis("tell", f"Nothing that a program can repair {where}")


def rerun(run, cause):
    if run["run_attempt"] >= number("MAX_ATTEMPTS", 3):
        return Diagnosis("tell", f"It failed in each of {run['run_attempt']} attempts of {cause}")
    return Diagnosis("rerun", f"It failed of {cause}")


def rebuild(github, run, cause):
    if TRAILER in ((run.get("head_commit") or {}).get("message") or ""):
        return Diagnosis("tell", f"A lock file that was made anew is refused again: {cause}")
    since = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    commits = github.pages(f"commits?sha={github.branch}&since={since}")
    repairs = sum(TRAILER in each["commit"]["message"] for each in commits)
    if repairs >= number("MAX_ATTEMPTS", 3):
        return Diagnosis("tell", f"{LOCK} was made anew {repairs} times in a day, and it failed again of {cause}")
    return Diagnosis("rebuild", f"It failed of {cause}")


def hook_or_deploy(api, run, code, said, where):
    if code == "deploy-failed":
        if "canceled" in said:
            return Diagnosis("nothing", f"The deploy was canceled, which somebody or a newer one has done; {where}")
        return Diagnosis("tell", f"Render's deploy failed; {where}", deploy=deploy_of(said))
    if code == "deploy-timeout":
        if newest := decided(api):
            if newest["status"] in FAILED:
                return Diagnosis("tell", f"Render's deploy failed; {where}", deploy=newest["id"])
            return Diagnosis("nothing", f"The deploy took long, and {newest['id']} is {newest['status']} now; {where}")
        return Diagnosis("nothing", f"The deploy goes on at Render's: the monitor tells how it ends; {where}")
    problem = check_hook(api)
    if problem:
        return Diagnosis("tell", f"The deploy hook: {problem}; {where}")
    if code == "hook-unreachable":
        return rerun(run, f"a deploy hook that could not be reached, and can be now; {where}")
    if code == "hook-unsure":
        return Diagnosis("tell", f"The hook's answer was lost, and a deploy may have begun; {where}")
    return Diagnosis(
        "tell", f"Render refused the deploy hook, though its form is right: its key may be an old one; {where}"
    )


def deploy_of(said):
    found = re.search(r"\bdep-[0-9a-z]+", said)
    return found[0] if found else ""


def decided(api):
    """The newest deploy that has ended, as far as Render tells."""
    if not api:
        return None
    try:
        return decided_of(api.deploys())
    except (Away, Failed):
        return None


def check_hook(api):
    """What is wrong with the hook, or None: by its form, its host and the API, for to call it is to deploy."""
    hook = Hook()
    if problem := hook.problem():
        return problem
    if why := hook.reached():
        return f"{hook.host} gives no answer (HTTP 000): {why}"
    if not api:
        say("RENDER_API_KEY is not set: whether Render knows the service is not looked at")
        return None
    try:
        service = api.service()
    except Failed as failed:
        return str(failed)
    except Away as away:
        return f"Render's API gives no answer: {away}"
    if service.get("suspended") == "suspended":
        return f"{api.name} is suspended in Render: resume it there"
    return None


def make_lock_file():
    """Keeps what the lock file has where it can; one that cannot be read is made from nothing. No script of a package runs."""
    env = {name: value for name, value in os.environ.items() if not re.search(r"TOKEN|RENDER_|SECRET|PASSWORD", name)}
    command = ["pnpm", "install", "--lockfile-only", "--no-frozen-lockfile", "--ignore-scripts"]

    def pnpm(*args):
        done = subprocess.run(
            args, check=False, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        return done.returncode == 0, next(iter(re.findall(r"ERR_[A-Z0-9_]+", done.stdout)), "no code")

    def write():
        good, code = pnpm(*command)
        if not good:
            say(f"pnpm could not go on from {LOCK} ({code}): made from nothing")
            Path(LOCK).unlink(missing_ok=True)
            good, code = pnpm(*command)
        if good:
            good, code = pnpm("pnpm", "install", "--lockfile-only", "--frozen-lockfile", "--ignore-scripts")
        if not good or not Path(LOCK).exists():
            raise Failed("Not repaired", f"pnpm cannot make {LOCK} ({code}): a person has to look at package.json")

    return write


def land_lock_file(github, run):
    link = f"[run {run['run_number']}]({run['html_url']})"
    landing = Landing(github, LOCK, needed("LOCK_HEAD"))
    how = landing.land(
        make_lock_file(),
        f"ci: rebuild {LOCK}\n\n{TRAILER}: {run['html_url']}",
        f"ci: rebuild {LOCK}",
        f"{file_of(run)}, {link}, failed of its lock file. This is what pnpm makes of `package.json`.",
    )
    deploying = json.loads(needed("WORKFLOWS"))[0]
    if how == "nothing":
        raise Failed(
            "Not repaired",
            f"pnpm makes the same {LOCK} again: the versions of pnpm may differ, see package.json's packageManager",
        )
    if how == "pushed":
        github.dispatch(deploying, github.branch)
        return f"Pushed a new {LOCK} and started {deploying}"
    if how == "proposed":
        for each in json.loads(ENV.get("TEST_WORKFLOWS") or "[]"):
            github.dispatch(each, landing.head)
    return f"{github.branch} is protected: a pull request from {landing.head} has the new {LOCK}. Its merge starts {deploying}"


def tell(github, api, run, cause, deploy=""):
    """One issue for a workflow, or for the service where its deploy has failed: the monitor then knows it."""
    if deploy and api:
        try:
            found = api.deploy(deploy)
            if found["status"] in FAILED:
                github.open_issue(*failure(api, found))
                return
        except (Away, Failed) as gone:
            say(f"{deploy} cannot be looked at: {gone}")
    name, link = file_of(run), f"[run {run['run_number']}, attempt {run['run_attempt']}]({run['html_url']})"
    text = f"{link} of `{name}` at `{run['head_sha'][:7]}` was not repaired.\n\n{cause}.\n\n- This issue is closed once `{name}` succeeds on `{github.branch}`"
    github.open_issue(
        f"workflow {name}",
        hashlib.sha256(cause.encode()).hexdigest()[:12],
        f"{name} has failed, and was not repaired",
        text,
    )


def diagnosed(github, api):
    run, reason = failed_run(github, json.loads(needed("WORKFLOWS")))
    if run is None:
        found = Diagnosis("nothing", reason[0].upper() + reason[1:])
        if not ENV.get("RUN_ID"):  # somebody wants to know
            problem = check_hook(api)
            annotate(
                *(
                    ("warning", "Deploy hook", problem)
                    if problem
                    else ("notice", "Deploy hook", "Its form is right, and its host answers")
                )
            )
    else:
        found = diagnose(github, api, run)
    annotate("notice", "Diagnosis", f"{found.cause}: {found.action}")
    Path(needed("RUNNER_TEMP"), "diagnosis.json").write_text(
        json.dumps({"run": run, "cause": found.cause, **found.more}), encoding="utf-8"
    )
    output(action=found.action)


def repair(github, api):
    found = json.loads(Path(needed("RUNNER_TEMP"), "diagnosis.json").read_text(encoding="utf-8"))
    run, cause = found["run"], found["cause"]
    try:
        match needed("ACTION"):
            case "rebuild":
                done = land_lock_file(github, run)
            case "rerun":
                github.ask("POST", f"actions/runs/{run['id']}/rerun-failed-jobs")
                done = f"Run {run['run_number']} of {file_of(run)} goes on, at attempt {run['run_attempt'] + 1}"
            case _:
                tell(github, api, run, cause, found.get("deploy", ""))
                return
    except (Failed, Refused) as failed:
        tell(github, api, run, f"{cause}. {failed}")
        raise
    annotate("notice", "Repaired", done)
    summary(f"{cause}.")


def main():
    github, api = GitHub(), Api()
    try:
        {"diagnose": diagnosed, "repair": repair}[needed("COMMAND")](github, api)
    except Refused as refused:
        raise permitted(refused, "actions: write, contents: write, issues: write, pull-requests: write") from refused


if __name__ == "__main__":
    program(main)
