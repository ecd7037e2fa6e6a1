"""Repairs what a failed run has failed of, if it is one of the things that a program can repair; else it opens an issue.

Reads what render.py and github.py do, COMMAND, RUNNER_TEMP, GITHUB_OUTPUT, WORKFLOWS (JSON: the files of the workflows whose failures
count, the deploying one first), LOCK_HEAD (the branch of its pull request), and
MAX_ATTEMPTS (3: of one run, and of repairs by commit in a day).

COMMAND=diagnose reads RUN_ID, or where it is empty takes the newest run of each of WORKFLOWS that has failed: GitHub tells nobody of a
run that a workflow's own token has started, nor does a hook that could not be reached say when it can be. It looks into the log of the
steps that failed, and outputs action: rebuild where one of them needs that, else rerun, tell or nothing. Nothing is changed, and the
hook is never called: that would deploy. With CHECK_HOOK=true it is looked at where nothing has failed.
COMMAND=repair does what was found, in a checkout of the branch:
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

from deploy import REFUSALS
from github import BAD, GitHub, Refused, permitted
from landing import Landing
from render import FAILED, LOCK_FILE, OVER, Absent, Api, Away, Denied, Hook, failure
from tell import ENV, Failed, annotate, needed, number, output, plain, program, say, summary

LOCK = "pnpm-lock.yaml"
TRAILER = "Pipeline-Recovery"
APPROVE = "GitHub starts its checks once somebody with write access has approved them."
# A line of a log, with its time. Errors are lines that a tool begins with its own mark: the same words in the output of a test
# that failed say nothing of a network.
LINE = re.compile(r"\ufeff?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\S*Z ?(.*)")
STEP = re.compile(r"##\[group\]Run |Post job cleanup\.")
CODE = re.compile(
    r"^##\[error\]\[(hook-invalid|hook-unreachable|hook-refused|hook-unsure|deploy-failed|deploy-timeout)\](.*)",
    re.MULTILINE,
)
PUSH = re.compile(
    r"! \[(?:remote )?rejected\].*\((?:fetch first|non-fast-forward|stale info|cannot lock ref|failed to update ref|incorrect old value)"
    r"|^##\[error\].*\bmoved on before each of \d+ pushes",
    re.MULTILINE,
)
PASSING = re.compile(
    r"^(?:##\[error\]|npm (?:ERR!|error) |\W{0,2}ERR_PNPM_|\W{0,2}(?=E[A-Z_]{6,} )|pip\._vendor\.|(?:fatal|error|curl|E|ERROR): )"
    r"(?!.*(?:\blocalhost\b|\b127\.0|::1\b)).*"
    r"(?:\b(?:ECONNRESET|ETIMEDOUT|ECONNREFUSED|EAI_AGAIN|ERR_SOCKET_TIMEOUT)\b|META_FETCH_FAIL|FETCH_5\d\d"
    r"|Could not resolve host|Temporary failure (?:in name resolution|resolving)|Read timed out|Connection (?:reset by peer|timed out)"
    r"|(?:returned error:|RPC failed; HTTP|does not indicate success:) 50[0234]\b|answers status (?:000|50\d)\b"
    r"|\b50[234] +(?:Bad Gateway|Service Unavailable|Gateway Time-?out)"
    r"|received a shutdown signal|lost communication with the server)",
    re.MULTILINE,
)


class Diagnosis:
    """What a run failed of. `cause` is for people, and holds nothing of a log but what this program knows."""

    def __init__(self, action, cause, **more):
        self.action, self.cause, self.more = action, cause, more


def failed_runs(github, workflows):
    """The runs that are to be repaired, and why not those that are not."""
    if identity := ENV.get("RUN_ID"):
        candidates = [github.ask("GET", f"actions/runs/{identity}")]
        if (why := uninvolved(github, workflows, candidates[0])) is not None:
            return [], [why]
    else:
        newest = [github.ended(each) for each in workflows]
        candidates = [run for run in newest if run and run["conclusion"] in BAD]
    runs, reasons = [], []
    for run in candidates:
        if newer := overtaken(github, run):
            reasons.append(f"run {run['run_number']} of {file_of(run)} is overtaken by run {newer['run_number']}")
        else:
            runs.append(run)
    return runs, reasons or [f"the newest run of none of {', '.join(workflows)} has failed"]


def overtaken(github, run):
    """The newest run after it, or None."""
    return next((each for each in github.runs(file_of(run)) if each["run_number"] > run["run_number"]), None)


def uninvolved(github, workflows, run):
    if file_of(run) not in workflows:
        return f"{file_of(run)} is none of {', '.join(workflows)}"
    if not github.own(run):
        return f"the run is not of {github.branch} itself: whose branch it is mends it"
    if run["status"] != "completed":
        return "the run goes on: somebody has started it again"
    if run["conclusion"] not in BAD:
        return f"the run has ended as {run['conclusion']}"
    return None


def file_of(run):
    return run["path"].split("@")[0].rsplit("/", 1)[-1]


def failed_text(github, run):
    """The names of the steps that failed, what they printed, and whether all of that could be read."""
    names, texts, whole = [], [], True
    for job in github.pages(f"actions/runs/{run['id']}/attempts/{run['run_attempt']}/jobs", "jobs"):
        if job["conclusion"] not in BAD:
            continue
        steps = [each for each in job.get("steps") or [] if each["conclusion"] in BAD]
        names += [plain(f"{job['name']}: {each['name']}") for each in steps] or [plain(job["name"])]
        spans = [(second(each.get("started_at"), ""), second(each.get("completed_at"), "~")) for each in steps]
        log = github.log(job["id"])
        whole = whole and log is not None
        texts += printed(log or "", spans)
    return names, "\n".join(texts), whole


def printed(log, spans):
    """
    A log's lines out of these times, to the second: a step that began before is not meant, though it ended in the same second.
    The echo of a step's script and environment is left out: what stands in there has not happened.
    """
    begun, within, echo = "", True, False
    for line in re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", log).replace("\r", "\n").split("\n"):
        text = line
        if found := LINE.match(line):
            at, text = found.groups()
            begun = at if STEP.match(text) else begun
            within = not spans or any(a <= (begun or at) and at <= b for a, b in spans)
        echo = echo or text.startswith("##[group]Run ")
        if within and not echo:
            yield text
        echo = echo and not text.startswith("##[endgroup]")


def second(time, otherwise):
    if not time:
        return otherwise
    return datetime.datetime.fromisoformat(time).astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def diagnose(github, api, run):
    names, text, whole = failed_text(github, run)
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
    if not whole:
        return Diagnosis("tell", f"A log could not be read, so that what it failed of is not known; {where}")
    return Diagnosis("tell", f"Nothing that a program can repair; {where}")


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
        if ": canceled," in said:
            return Diagnosis("nothing", f"The deploy was canceled, which somebody or a newer one has done; {where}")
        return Diagnosis("tell", f"Render's deploy failed; {where}", deploy=deploy_of(said))
    if code == "deploy-timeout":
        return late(api, deploy_of(said), where)
    problem = check_hook(api)
    if problem:
        return Diagnosis("tell", f"The deploy hook: {problem}; {where}")
    if code == "hook-unreachable":
        return rerun(run, f"a deploy hook that could not be reached, and can be now; {where}")
    if code == "hook-invalid":
        return rerun(run, f"a deploy hook that was not valid, and is now; {where}")
    if (status := re.match(r" HTTP (400|409)\b", said)) is not None:
        return Diagnosis("tell", f"Render refused to deploy, HTTP {status[1]}: {REFUSALS[int(status[1])]}; {where}")
    if code == "hook-unsure":
        return Diagnosis("tell", f"The hook's answer was lost, and a deploy may have begun; {where}")
    return Diagnosis(
        "tell", f"Render refused the deploy hook, though its form is right: its key may be an old one; {where}"
    )


def deploy_of(said):
    found = re.search(r"\bdep-[0-9a-z]+", said)
    return found[0] if found else ""


def late(api, deploy, where):
    """What has become of a deploy that took too long to be followed, or where it has no name, of the newest."""
    if not api:
        return Diagnosis("tell", f"RENDER_API_KEY is not set: how the deploy has ended is not looked at; {where}")
    try:
        found = api.deploy(deploy) if deploy else next(iter(api.deploys()), {})
    except (Away, Failed) as gone:
        return Diagnosis("tell", f"How the deploy has ended cannot be looked at: {gone}; {where}")
    status = found.get("status")
    if status in FAILED:
        return Diagnosis("tell", f"Render's deploy failed; {where}", deploy=found["id"])
    if status in OVER:
        return Diagnosis("nothing", f"The deploy took long, and {plain(found['id'])} is {status} now; {where}")
    return Diagnosis("nothing", f"The deploy goes on at Render's: the monitor tells how it ends; {where}")


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
    except Absent as absent:
        return str(absent)
    except Denied as denied:
        say(f"Whether Render knows the service is not looked at: {denied}")
        return None
    except Away as away:
        return f"Render's API gives no answer: {away}"
    if service.get("suspended") == "suspended":
        return f"{api.name} is suspended in Render: resume it there"
    return None


def make_lock_file():
    """Keeps the versions that are locked; of a lock file that cannot be read, pnpm makes a new one. No script of a package runs;
    what the branch itself has for pnpm, such as a .pnpmfile.cjs, does."""
    secret = re.compile(r"TOKEN|SECRET|PASSW|KEY|AUTH|RENDER_", re.IGNORECASE)
    # Without --fix-lockfile a package that got lost when a conflict was resolved stays so.
    command = ["pnpm", "install", "--lockfile-only", "--no-frozen-lockfile", "--fix-lockfile", "--ignore-scripts"]
    try:
        done = subprocess.run(
            command,
            check=False,
            env={name: value for name, value in os.environ.items() if not secret.search(name)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise Failed("Not repaired", f"pnpm cannot be started ({error.strerror}): the job has to set it up") from error
    if done.returncode or not Path(LOCK).exists():
        code = next(iter(re.findall(r"ERR_[A-Z0-9_]+", done.stdout)), "no code")
        raise Failed("Not repaired", f"pnpm cannot make {LOCK} ({code}): a person has to look at package.json")


def mended(landing, run):
    """Whether the branch has another lock file, or other dependencies, than what the run failed of."""
    sha = run["head_sha"]
    if why := landing.remote("fetch", "--quiet", "--depth=1", "origin", sha):
        raise Failed("Not fetched", f"{sha[:7]}: {why}")
    paths = (LOCK, "*package.json", "pnpm-workspace.yaml")
    return landing.run("diff", "--quiet", sha, "HEAD", "--", *paths).returncode == 1


def land_lock_file(github, run):
    link = f"[run {run['run_number']}]({run['html_url']})"
    landing = Landing(github, LOCK, needed("LOCK_HEAD"))
    how = landing.land(
        make_lock_file,
        f"ci: rebuild {LOCK}\n\n{TRAILER}: {run['html_url']}",
        f"ci: rebuild {LOCK}",
        f"{file_of(run)}, {link}, failed of its lock file. This is what pnpm makes of `package.json`. {APPROVE}",
    )
    deploying = json.loads(needed("WORKFLOWS"))[0]
    if how == "nothing":
        if not mended(landing, run):
            raise Failed(
                "Not repaired",
                f"pnpm makes the same {LOCK} again: the versions of pnpm may differ, see package.json's packageManager",
            )
        if any(each["id"] > run["id"] for each in github.runs(deploying)):
            return f"{LOCK} fits on {github.branch}: somebody has repaired it since run {run['run_number']}"
    if how in ("nothing", "pushed"):
        github.dispatch(deploying, github.branch)
        what = (
            f"Pushed a new {LOCK}"
            if how == "pushed"
            else f"{LOCK} fits on {github.branch} by now, and was not deployed"
        )
        return f"{what}; started {deploying}"
    return f"{github.branch} is protected: a pull request from {landing.head} has the new {LOCK}. {APPROVE} Its merge starts {deploying}"


def tell(github, api, run, cause, deploy=""):
    """One issue for a workflow, or for the service where its deploy has failed: the monitor then knows it."""
    if deploy and api:
        try:
            found = api.deploy(deploy)
            if found.get("status") in FAILED:
                github.open_issue(*failure(api, found))
                return
        except (Away, Failed) as gone:
            say(f"{deploy} cannot be looked at: {gone}")
    name, link = file_of(run), f"[run {run['run_number']}, attempt {run['run_attempt']}]({run['html_url']})"
    text = f"{link} of `{name}` at `{run['head_sha'][:7]}` was not repaired.\n\n{cause}.\n\n- This issue is closed once `{name}` succeeds on `{github.branch}`"
    # In GitHub's words a number, of a request or a commit, may be another each time: that is nothing new.
    fact = re.sub(r"\b[0-9A-Fa-f:]*\d[0-9A-Fa-f:]*\b", "", cause)
    github.open_issue(
        github.key(name),
        hashlib.sha256(fact.encode()).hexdigest()[:12],
        f"{name} has failed, and was not repaired",
        text,
    )


def diagnosed(github, api):
    runs, reasons = failed_runs(github, json.loads(needed("WORKFLOWS")))
    found = [(run, diagnose(github, api, run)) for run in runs]
    for run, each in found:
        annotate("notice", "Diagnosis", f"{file_of(run)}, run {run['run_number']}: {each.cause}: {each.action}")
    if not found:
        annotate("notice", "Diagnosis", f"Nothing: {'; '.join(reasons)}")
        if ENV.get("CHECK_HOOK") == "true":
            problem = check_hook(api)
            level, words = ("warning", problem) if problem else ("notice", "Its form is right, and its host answers")
            annotate(level, "Deploy hook", words)
    plan = [
        {"run": run, "action": each.action, "cause": each.cause, **each.more}
        for run, each in found
        if each.action != "nothing"
    ]
    Path(needed("RUNNER_TEMP"), "diagnosis.json").write_text(json.dumps(plan), encoding="utf-8")
    actions = [each["action"] for each in plan]
    output(action="rebuild" if "rebuild" in actions else next(iter(actions), "nothing"))


def repair(github, api):
    path = Path(needed("RUNNER_TEMP"), "diagnosis.json")
    if not path.exists():
        raise Failed("Nothing to repair", "there is no diagnosis: COMMAND=diagnose comes first, in the same job")
    failures = []
    for each in json.loads(path.read_text(encoding="utf-8")):
        try:
            carry_out(github, api, **each)
        except (Failed, Refused) as failed:
            failures.append(failed)
    if failures:
        raise failures[0]


def carry_out(github, api, run, action, cause, deploy=""):
    if action == "tell":
        tell(github, api, run, cause, deploy)
        return
    try:
        if action == "rebuild":
            done = land_lock_file(github, run)
        elif newer := overtaken(github, run):
            done = f"Run {run['run_number']} of {file_of(run)} is overtaken by run {newer['run_number']}"
        else:
            github.ask("POST", f"actions/runs/{run['id']}/rerun-failed-jobs")
            done = f"Run {run['run_number']} of {file_of(run)} goes on, at attempt {run['run_attempt'] + 1}"
    except (Failed, Refused) as failed:
        try:
            tell(github, api, run, f"{cause}. {failed}")
        except Refused as untold:
            annotate("warning", "No issue", str(untold))
        raise
    annotate("notice", "Repaired", done)
    summary(f"{cause}.")


def main():
    commands = {"diagnose": diagnosed, "repair": repair}
    command = needed("COMMAND")
    if command not in commands:
        raise Failed("Not configured", f"COMMAND is {plain(command)}: expected {' or '.join(commands)}")
    try:
        commands[command](GitHub(), Api())
    except Refused as refused:
        raise permitted(refused, "actions: write, contents: write, issues: write, pull-requests: write") from refused
    except (AttributeError, KeyError, TypeError, ValueError) as odd:
        raise Failed(
            "Answer not understood", f"GitHub or Render answers in another form than documented ({type(odd).__name__})"
        ) from odd


if __name__ == "__main__":
    program(main)
