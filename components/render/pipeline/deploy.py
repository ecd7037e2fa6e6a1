"""Deploys a commit to a service of Render's by its hook, and follows it until it is live.

Reads what render.py does, COMMIT, GITHUB_STEP_SUMMARY and, in seconds, FOLLOW_SECONDS (1800: how long a deploy may take),
POLL_SECONDS (10), APPEAR_SECONDS (90: until it is in the list of deploys) and BLIND_SECONDS (180: how long the API may be away).
Without RENDER_API_KEY the deploy is started and not followed, and the run says so.

Messages carry a code in brackets, by which auto-recovery knows them: hook-invalid, hook-unreachable, hook-refused, hook-unsure,
deploy-failed, deploy-timeout.
"""

import datetime
import time

import web
from render import FAILED, MEANING, OVER, Absent, Api, Away, Denied, Hook, identity_of, logs_url, time_of
from tell import Failed, annotate, needed, number, program, say, summary

REFUSALS = {
    400: "Render does not take the request: the commit may not be on the branch that the service deploys",
    401: "the hook's key is not valid (any more)",
    403: "the hook's key is not valid (any more)",
    404: "there is no such hook (any more): it was regenerated, or the service deleted",
    409: "the service cannot be deployed now, for instance because it is suspended",
}


def start(hook, api, commit):
    """Starts the deploy: its id, where Render tells it. A call whose answer got lost is not repeated blindly."""
    began = datetime.datetime.now(datetime.UTC)
    for attempt in range(1, 5):
        answer = hook.call(commit)
        if answer.status in (200, 201, 202):
            content = answer.json()
            identity = identity_of(content.get("deploy") if isinstance(content, dict) else None)
            queued = ", queued behind another deploy" if answer.status == 202 else ""
            say(
                f"Render accepted the deploy of {commit[:7]}: HTTP {answer.status}{queued}, {identity or 'without an id'}"
            )
            return identity, began
        what = f"HTTP {answer.status or '000'}"
        if answer.status and answer.status != 429 and answer.status < 500:
            raise Failed(
                "Deploy hook refused",
                f"[hook-refused] {what}: {REFUSALS.get(answer.status, 'an answer that was not expected')}. Look at the service "
                "in Render's Dashboard, and save its Deploy Hook anew as the stack's secret behind RENDER_DEPLOY_HOOK if it has changed",
            )
        why = answer.why or "Render is limiting calls" if answer.status in (0, 429) else "Render has trouble"
        if answer.arrived and answer.status != 429:
            # A deploy may have begun: another call would begin a second one.
            try:
                found = appeared(api, commit, began)
            except (Away, Denied) as gone:
                raise Failed(
                    "Deploy hook's answer lost",
                    f"[hook-unsure] {what}: {why}, after the call was sent. A deploy may have begun, and that cannot be found out: "
                    f"{gone}. Look at {logs_url()} before this job is run again",
                ) from gone
            if found:
                say(f"{what}: {why}, but the deploy has begun: {found['id']}")
                return found["id"], began
        if attempt == 4:
            none = "" if answer.status else " HTTP 000 means that nothing answered at all, neither yes nor no."
            raise Failed(
                "Deploy hook not reached",
                f"[hook-unreachable] {what}: {why}, at attempt {attempt} of {attempt}. No deploy has begun.{none} Run this job again "
                "once https://status.render.com says that Render is well",
            )
        say(f"{what}: {why}, at attempt {attempt}; trying again")
        web.pause(attempt, answer, answer.status == 429)
    raise AssertionError


def appeared(api, commit, began):
    """The deploy of this commit that has begun since, once it is in the list; None where it surely is not, else Away."""
    if not api:
        raise Away("RENDER_API_KEY is not set")
    since = began - datetime.timedelta(seconds=30)  # their clock is not ours
    end = time.monotonic() + number("APPEAR_SECONDS", 90)
    while True:
        try:
            for each in api.deploys():
                created = time_of(each["createdAt"])
                if created and created >= since and each["commit"] in ("", commit):
                    return each
            gone = None
        except Away as away:
            say(f"Render's API: {away}")
            gone = away
        if time.monotonic() >= end:
            if gone:
                raise gone
            return None
        time.sleep(number("POLL_SECONDS", 10))


def follow(api, identity, commit):
    """Until it is live; else Failed, or Away where the API tells nothing for too long."""
    began = heard = time.monotonic()
    end = began + number("FOLLOW_SECONDS", 1800)
    seen = None
    while True:
        try:
            deploy = api.deploy(identity)
            heard = time.monotonic()
        except (Absent, Away) as gone:
            # What has just begun may not be known everywhere yet.
            patience = number("APPEAR_SECONDS", 90) if isinstance(gone, Absent) else number("BLIND_SECONDS", 180)
            if time.monotonic() - heard > patience:
                raise
            say(f"Render's API: {gone}")
            time.sleep(number("POLL_SECONDS", 10))
            continue
        status = deploy["status"]
        if status != seen:
            say(f"{identity}: {status}")
            seen = status
        if status in OVER:
            return judged(api, deploy, commit)
        if time.monotonic() >= end:
            raise Failed(
                "Deploy takes too long",
                f"[deploy-timeout] {identity} is still {status} after {number('FOLLOW_SECONDS', 1800):.0f} s. It goes on at Render's: "
                f"see {logs_url()}. The monitor tells how it ends",
            )
        time.sleep(number("POLL_SECONDS", 10))


def judged(api, deploy, commit):
    identity, status = deploy["id"], deploy["status"]
    if status in FAILED or status == "canceled":
        code = api.lock_file_error(deploy) if status == "build_failed" else ""
        lock = f" Its log says {code}." if code else ""
        raise Failed(
            "Deploy failed",
            f"[deploy-failed] {identity} of {commit[:7]}: {status}, {MEANING[status]}.{lock} What was live before still is. "
            f"See {logs_url()}",
        )
    deployed = (deploy["commit"] or commit)[:7]
    if deployed != commit[:7]:
        annotate("warning", "Another commit", f"{identity} deployed {deployed}, and this run is of {commit[:7]}")
    if status == "deactivated":
        annotate("notice", "Replaced already", f"{identity} was live, and a newer deploy has taken its place")
    say(f"{identity} of {deployed} is {status}")
    summary(f"Deployed `{deployed}` to {api.name}: `{identity}` is {status}. [Logs]({logs_url()})")


def main():
    hook, api, commit = Hook(), Api(), needed("COMMIT")
    if problem := hook.problem():
        raise Failed("Deploy hook not valid", f"[hook-invalid] {problem}. Nothing was deployed")
    identity, began = start(hook, api, commit)
    if not api:
        annotate(
            "notice",
            "Not followed",
            f"the deploy of {commit[:7]} was started, but not followed: RENDER_API_KEY is not set. See {logs_url()}",
        )
        return
    try:
        if not identity:
            found = appeared(api, commit, began)
            if not found:
                raise Away("it lists no such deploy")
            identity = found["id"]
        follow(api, identity, commit)
    except Denied as denied:
        raise Failed(
            denied.title, f"{denied}. The deploy of {commit[:7]} has begun all the same: see {logs_url()}"
        ) from denied
    except Away as away:
        raise Failed(
            "Deploy not followed",
            f"[deploy-timeout] The deploy of {commit[:7]} has begun, but Render's API does not tell how it goes ({away}): whether it "
            f"went live is not known. See {logs_url()}",
        ) from away


if __name__ == "__main__":
    program(main)
