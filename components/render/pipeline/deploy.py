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
from render import FAILED, LOCK_FILE, MEANING, OVER, Api, Away, Hook, commit_of, logs_url
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
            deploy = (answer.json() or {}).get("deploy") if isinstance(answer.json(), dict) else None
            identity = deploy.get("id") if isinstance(deploy, dict) else None
            queued = ", queued behind another deploy" if answer.status == 202 else ""
            say(
                f"Render accepted the deploy of {commit[:7]}: HTTP {answer.status}{queued}, {identity or 'without an id'}"
            )
            return (identity, began) if isinstance(identity, str) else (None, began)
        what = f"HTTP {answer.status or '000'}"
        if answer.status and answer.status != 429 and answer.status < 500:
            raise Failed(
                "Deploy hook refused",
                f"[hook-refused] {what}: {REFUSALS.get(answer.status, 'an answer that was not expected')}. Look at the service "
                "in Render's Dashboard, and save its Deploy Hook anew as the stack's secret RENDER_DEPLOY_HOOK if it has changed",
            )
        why = answer.why or "Render is limiting calls" if answer.status in (0, 429) else "Render has trouble"
        if answer.arrived and answer.status != 429:
            # A deploy may have begun: another call would begin a second one.
            if not api:
                raise Failed(
                    "Deploy hook's answer lost",
                    f"[hook-unsure] {what}: {why}, after the call was sent. A deploy may have begun: look at {logs_url()} before "
                    "this job is run again. With RENDER_API_KEY it would have been found out",
                )
            if found := appeared(api, commit, began):
                say(f"{what}: {why}, but the deploy has begun: {found['id']}")
                return found["id"], began
        if attempt == 4:
            hint = "see https://status.render.com"
            if answer.status == 0:
                hint = (
                    f"HTTP 000 is no answer of Render's but none at all: is RENDER_DEPLOY_HOOK right, and {hint} well?"
                )
            raise Failed(
                "Deploy hook not reached",
                f"[hook-unreachable] {what}: {why}, at each of {attempt} attempts, {hint}. No deploy has begun",
            )
        say(f"{what}: {why}, at attempt {attempt}; trying again")
        web.pause(attempt, answer)
    raise AssertionError


def appeared(api, commit, began):
    """The deploy of this commit that has begun since, once it is in the list."""
    since = began - datetime.timedelta(seconds=30)  # their clock is not ours
    end = time.monotonic() + number("APPEAR_SECONDS", 90)
    while True:
        try:
            for each in api.deploys():
                created = datetime.datetime.fromisoformat(each["createdAt"])
                if created >= since and commit_of(each) in ("", commit):
                    return each
        except Away as away:
            say(f"Render's API: {away}")
        if time.monotonic() >= end:
            return None
        time.sleep(number("POLL_SECONDS", 10))


def follow(api, identity, commit):
    """Until it is live; else Failed."""
    end = time.monotonic() + number("FOLLOW_SECONDS", 1800)
    seen, heard = None, time.monotonic()
    while True:
        try:
            deploy = api.deploy(identity)
            heard = time.monotonic()
        except Away as away:
            if time.monotonic() - heard > number("BLIND_SECONDS", 180):
                raise Failed(
                    "Deploy not followed",
                    f"[deploy-timeout] {identity} was started, but Render's API is away ({away}): whether it went live is not known. "
                    f"See {logs_url()}",
                ) from away
            say(f"Render's API: {away}")
            time.sleep(number("POLL_SECONDS", 10))
            continue
        status = deploy.get("status")
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
        lock = f" Its log says {code}." if LOCK_FILE.fullmatch(code) else ""
        raise Failed(
            "Deploy failed",
            f"[deploy-failed] {identity} of {commit[:7]}: {status}, {MEANING[status]}.{lock} What was live before still is. "
            f"See {logs_url()}",
        )
    deployed = commit_of(deploy)
    if deployed and deployed != commit:
        annotate("warning", "Another commit", f"{identity} deployed {deployed[:7]}, and this run is of {commit[:7]}")
    if status == "deactivated":
        annotate("notice", "Replaced already", f"{identity} was live, and a newer deploy has taken its place")
    say(f"{identity} of {commit[:7]} is live")
    summary(f"Deployed `{commit[:7]}` to {api.name}: `{identity}` is {status}. [Logs]({logs_url()})")


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
    if identity is None:
        found = appeared(api, commit, began)
        if found is None:
            raise Failed(
                "Deploy not followed",
                f"[deploy-timeout] Render accepted the deploy of {commit[:7]}, but lists none. See {logs_url()}",
            )
        identity = found["id"]
    follow(api, identity, commit)


if __name__ == "__main__":
    program(main)
