"""A service of Render's: its deploy hook, and what the API says of it.

Reads RENDER_API_URL, SERVICE_ID, SERVICE_NAME, DASHBOARD_URL, RENDER_DEPLOY_HOOK and RENDER_API_KEY, which may be empty.
Of the hook no message ever shows more than what is wrong with it: who has the URL may deploy.
"""

import datetime
import re
import urllib.parse

import web
from tell import ENV, Failed, hide, needed, say

# https://api-docs.render.com/reference/list-deploys
FAILED = ("build_failed", "update_failed", "pre_deploy_failed")
OVER = ("live", "deactivated", "canceled", *FAILED)
MEANING = {
    "build_failed": "the build command failed",
    "update_failed": "the new version did not start, or did not pass its health check",
    "pre_deploy_failed": "the pre-deploy command failed",
    "canceled": "somebody, or a newer deploy, has canceled it",
}
# What pnpm says of a lock file that `pnpm install` would write otherwise. Not of a package that is not what it was:
# that is for a person to look at.
LOCK_FILE = re.compile(
    r"ERR_PNPM_(?:OUTDATED_LOCKFILE|NO_LOCKFILE|BROKEN_LOCKFILE|LOCKFILE_[A-Z_]+|FROZEN_LOCKFILE[A-Z_]*)"
    r"|Cannot install with .{0,3}frozen-lockfile|pnpm-lock\.yaml is (?:absent|not up to date)"
)


class Away(Exception):
    """The API gives no answer, or none that is understood."""


class Odd(Away):
    """Its answer has another form than Render describes: that does not pass by itself."""


class Denied(Failed):
    """The API answers, but not to this key."""


class Absent(Denied):
    """It knows no such thing, or not yet."""


class Hook:
    def __init__(self):
        self.url = ENV.get("RENDER_DEPLOY_HOOK", "")
        hide(self.url, self.url.partition("?")[2], *urllib.parse.parse_qs(self.url.partition("?")[2]).get("key", []))
        self.api, self.service = needed("RENDER_API_URL"), needed("SERVICE_ID")
        self.host = urllib.parse.urlsplit(self.api).netloc

    def problem(self):
        """What is wrong with the URL as it stands, or None."""
        where = "Render Dashboard, Settings, Deploy Hook; it is the stack's secret behind RENDER_DEPLOY_HOOK"
        if not self.url:
            return f"RENDER_DEPLOY_HOOK is empty: save the service's hook ({where})"
        if not self.url.startswith(f"{self.api}/deploy/"):
            return f"RENDER_DEPLOY_HOOK is no URL of {self.api}/deploy/, so that nothing would answer (HTTP 000): save it anew ({where})"
        found = re.fullmatch(r"([a-z]+-[0-9a-z]+)\?key=[A-Za-z0-9_-]+", self.url.removeprefix(f"{self.api}/deploy/"))
        if not found:
            return f"RENDER_DEPLOY_HOOK is malformed after {self.api}/deploy/: expected {self.service}?key=..., without spaces or quotes; save it anew ({where})"
        if found[1].startswith("exs-"):
            return f"RENDER_DEPLOY_HOOK is a Blueprint's hook, which deploys no code: save the service's own ({where})"
        if found[1] != self.service:
            return f"RENDER_DEPLOY_HOOK is the hook of {found[1]}, and the service is {self.service}: save this one's ({where})"
        return None

    def call(self, commit):
        """One call: deploys this commit."""
        return web.once("POST", f"{self.url}&ref={commit}", web.agent())

    def reached(self):
        """Why the hook's host would not answer, or None. Asks for nothing that deploys."""
        answer = web.asked(self.host, "GET", f"{self.api}/", web.agent())
        return None if answer.status else answer.why


class Api:
    def __init__(self):
        self.url, self.id, self.key = needed("RENDER_API_URL"), needed("SERVICE_ID"), ENV.get("RENDER_API_KEY", "")
        self.name = ENV.get("SERVICE_NAME") or self.id
        hide(self.key)
        if not re.fullmatch("[!-~]*", self.key):
            raise Failed(
                "Not configured", "RENDER_API_KEY has blanks or line ends inside: save it anew as the stack's secret"
            )

    def __bool__(self):
        return bool(self.key)

    def get(self, path, form=dict):
        """What the API says, of this type: else Away, or Denied."""
        headers = {**web.agent(), **web.bearer(self.key)}
        answer = web.asked("Render's API", "GET", f"{self.url}/v1/{path}", headers)
        if answer.status in (401, 403):
            raise Denied(
                "Render refuses the API key",
                f"status {answer.status}: RENDER_API_KEY is not valid (any more), or is of another workspace. Make one in Account "
                "Settings, API Keys, and save it as the stack's secret behind RENDER_API_KEY",
            )
        if answer.status == 404:
            raise Absent(
                "Not found", f"Render knows no {path.split('?')[0]}: RENDER_API_KEY may be of another workspace"
            )
        if answer.status != 200:
            raise Away(answer.why or f"status {answer.status}")
        content = answer.json()
        if not isinstance(content, form):
            raise Odd("an answer that is not understood")
        return content

    def service(self):
        return self.get(f"services/{self.id}")

    def deploys(self, limit=20):
        """The newest first."""
        listed = self.get(f"services/{self.id}/deploys?limit={limit}", list)
        return [understood(each.get("deploy") if isinstance(each, dict) else None) for each in listed]

    def deploy(self, deploy):
        return understood(self.get(f"services/{self.id}/deploys/{deploy}"))

    def lock_file_error(self, deploy):
        """What pnpm said of the lock file in a deploy's build, or nothing. Of the log itself nothing is shown: it may hold secrets."""
        try:
            query = {
                "ownerId": self.service().get("ownerId"),
                "resource": self.id,
                "type": "build",
                "direction": "backward",
                "limit": "100",
                "startTime": deploy["createdAt"],
                **({"endTime": deploy["finishedAt"]} if deploy["finishedAt"] else {}),
            }
            logs = self.get(f"logs?{urllib.parse.urlencode(query)}").get("logs")
        except (Away, Denied) as gone:
            say(f"The build's log cannot be read: {gone}")
            return ""
        lines = logs if isinstance(logs, list) else []
        found = LOCK_FILE.search("\n".join(str(each.get("message")) for each in lines if isinstance(each, dict)))
        return found[0] if found else ""


def formed(pattern, within, name):
    """A text out of an answer, where it is there and has this form: it becomes part of URLs, of a log and of issues."""
    text = within.get(name) if isinstance(within, dict) else None
    return text if isinstance(text, str) and re.fullmatch(pattern, text) else ""


def identity_of(deploy):
    return formed(r"dep-[0-9a-z]+", deploy, "id")


def time_of(text):
    """A time that has a zone, or None."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def understood(deploy):
    """What is used of a deploy. Without an id it is none; of the rest, what has not the form that Render describes is left out."""
    if not identity_of(deploy):
        raise Odd("an answer that is not understood")
    times = {name: formed(r"[0-9T:.Z+-]+", deploy, name) for name in ("createdAt", "finishedAt")}
    return {
        "id": identity_of(deploy),
        "status": formed(r"[a-z_]{1,40}", deploy, "status") or "unknown",
        "commit": formed(r"[0-9a-f]{7,64}", deploy.get("commit"), "id"),
        **{name: text if time_of(text) else "" for name, text in times.items()},
    }


def decided_of(deploys):
    """The newest that has come to an end which says something: a canceled one is nobody's success and nobody's failure."""
    return next((each for each in deploys if each["status"] in ("live", "deactivated", *FAILED)), None)


def dashboard():
    return ENV.get("DASHBOARD_URL") or "https://dashboard.render.com"


def logs_url():
    return f"{dashboard()}/logs"


def failure(api, deploy):
    """The issue that tells of a failed deploy: its key, fact, title and text."""
    status, commit = deploy["status"], deploy["commit"]
    text = (
        f"The deploy `{deploy['id']}` of {api.name}{f' (commit {commit})' if commit else ''} ended as `{status}`: "
        f"{MEANING[status]}. What was live before still is.\n\n"
        f"- Log: {logs_url()}\n"
        "- This issue is closed once a deploy is live"
    )
    return f"service {api.id}", deploy["id"], f"{api.name}: the deploy to Render failed", text
