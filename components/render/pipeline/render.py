"""A service of Render's: its deploy hook, and what the API says of it.

Reads RENDER_API_URL, SERVICE_ID, SERVICE_NAME, DASHBOARD_URL, RENDER_DEPLOY_HOOK and RENDER_API_KEY, which may be empty.
Of the hook no message ever shows more than what is wrong with it: who has the URL may deploy.
"""

import re
import urllib.parse

import web
from tell import ENV, Failed, hide, needed, plain

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
    """The API gives no answer."""


class Hook:
    def __init__(self):
        self.url = ENV.get("RENDER_DEPLOY_HOOK", "")
        hide(self.url, self.url.partition("?")[2], *urllib.parse.parse_qs(self.url.partition("?")[2]).get("key", []))
        self.api, self.service = needed("RENDER_API_URL"), needed("SERVICE_ID")
        self.host = urllib.parse.urlsplit(self.api).netloc

    def problem(self):
        """What is wrong with the URL as it stands, or None."""
        where = "Render Dashboard, Settings, Deploy Hook; the stack's config has it as the secret RENDER_DEPLOY_HOOK"
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

    def __bool__(self):
        return bool(self.key)

    def get(self, path):
        headers = {**web.agent(), **web.bearer(self.key)}
        answer = web.asked("Render's API", "GET", f"{self.url}/v1/{path}", headers)
        if answer.status in (401, 403):
            raise Failed(
                "Render refuses the API key",
                f"status {answer.status}: RENDER_API_KEY is not valid (any more), or is of another workspace. Make one in Account "
                "Settings, API Keys, and save it as the stack's secret RENDER_API_KEY",
            )
        if answer.status == 404:
            raise Failed(
                "Not found", f"Render knows no {path.split('?')[0]}: RENDER_API_KEY may be of another workspace"
            )
        if answer.status != 200 or answer.json() is None:
            raise Away(answer.why or f"status {answer.status}")
        return answer.json()

    def service(self):
        return self.get(f"services/{self.id}")

    def deploys(self, limit=20):
        """The newest first."""
        return [each["deploy"] for each in self.get(f"services/{self.id}/deploys?limit={limit}")]

    def deploy(self, deploy):
        return self.get(f"services/{self.id}/deploys/{deploy}")

    def lock_file_error(self, deploy):
        """What pnpm said of the lock file in a deploy's build, or nothing. Of the log itself nothing is shown: it may hold secrets."""
        try:
            query = {
                "ownerId": self.service()["ownerId"],
                "resource": self.id,
                "type": "build",
                "direction": "backward",
                "limit": "100",
                "startTime": deploy["createdAt"],
                **({"endTime": deploy["finishedAt"]} if deploy.get("finishedAt") else {}),
            }
            logs = self.get(f"logs?{urllib.parse.urlencode(query)}")["logs"]
        except (Away, Failed, KeyError, TypeError):
            return ""
        found = (LOCK_FILE.search(str(each.get("message", ""))) for each in logs)
        return next((each[0] for each in found if each), "")


def commit_of(deploy):
    return (deploy.get("commit") or {}).get("id") or ""


def decided_of(deploys):
    """The newest that has come to an end which says something: a canceled one is nobody's success and nobody's failure."""
    return next((each for each in deploys if each.get("status") in ("live", "deactivated", *FAILED)), None)


def dashboard():
    return ENV.get("DASHBOARD_URL") or "https://dashboard.render.com"


def logs_url():
    return f"{dashboard()}/logs"


def failure(api, deploy):
    """The issue that tells of a failed deploy: its key, fact, title and text."""
    status, commit = deploy["status"], commit_of(deploy)
    text = (
        f"The deploy `{plain(deploy['id'])}` of {api.name}{f' (commit {commit})' if commit else ''} ended as `{status}`: "
        f"{MEANING[status]}. What was live before still is.\n\n"
        f"- Log: {logs_url()}\n"
        "- This issue is closed once a deploy is live"
    )
    return f"service {api.id}", deploy["id"], f"{api.name}: the deploy to Render failed", text
