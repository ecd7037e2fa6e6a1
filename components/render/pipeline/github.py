"""The repository's own API: runs, logs, issues, pull requests.

Reads GITHUB_API_URL, GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_TOKEN and BRANCH.
"""

import re

import web
from tell import Failed, clean, hide, needed, say

LABEL = "pipeline"


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(f"GitHub answers status {status}: {message}")
        self.status = status


class GitHub:
    def __init__(self):
        self.repository, self.branch, self.token = needed("GITHUB_REPOSITORY"), needed("BRANCH"), needed("GITHUB_TOKEN")
        self.url = f"{needed('GITHUB_API_URL')}/repos/{self.repository}"
        self.page = f"{needed('GITHUB_SERVER_URL')}/{self.repository}"
        hide(self.token)

    def ask(self, method, path, body=None):
        headers = {
            **web.agent(),
            **web.bearer(self.token),
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        answer = web.asked("GitHub's API", method, f"{self.url}/{path}", headers, body)
        if not 200 <= answer.status < 300:
            said = answer.json()
            message = said.get("message", "") if isinstance(said, dict) else ""
            raise Refused(answer.status or "000", clean(f"{method} {path.split('?')[0]}: {answer.why or message}", 300))
        return answer.json()

    def pages(self, path, key=None):
        """All of a list, whose pages hold a hundred."""
        found = []
        for page in range(1, 11):
            answer = self.ask("GET", f"{path}{'&' if '?' in path else '?'}per_page=100&page={page}")
            some = answer[key] if key else answer
            found += some
            if len(some) < 100:
                break
        return found

    def log(self, job):
        """A job's log. It stands elsewhere, under a URL that is a key by itself: the token does not go along."""
        headers = {**web.agent(), **web.bearer(self.token)}
        answer = web.asked("GitHub's API", "GET", f"{self.url}/actions/jobs/{job}/logs", headers)
        if answer.status in (301, 302, 303, 307, 308):
            location = next((value for name, value in answer.headers.items() if name.lower() == "location"), "")
            answer = web.asked("The log's store", "GET", location, web.agent())
        if answer.status != 200:
            say(f"The log of job {job} cannot be read: {answer.why or f'status {answer.status}'}")
            return ""
        return answer.content.decode("utf-8", "replace")

    def runs(self, workflow):
        """A workflow's newest runs for the branch itself: not a fork's of the same name, nor those of a pull request."""
        answer = self.ask("GET", f"actions/workflows/{workflow}/runs?branch={self.branch}&per_page=20")
        return [each for each in answer["workflow_runs"] if self.own(each)]

    def own(self, run):
        return (
            run["head_branch"] == self.branch
            and run["event"] != "pull_request"
            and ((run.get("head_repository") or {}).get("full_name") or "").lower() == self.repository.lower()
        )

    def dispatch(self, workflow, ref):
        self.ask("POST", f"actions/workflows/{workflow}/dispatches", {"ref": ref})

    def find_issue(self, key):
        for each in self.pages(f"issues?state=open&labels={LABEL}"):
            if "pull_request" not in each and marker(key) in (each.get("body") or ""):
                return each
        return None

    def open_issue(self, key, fact, title, text):
        """Tells of a trouble, known by `key`: one issue while it lasts, and one comment for each `fact` that comes new."""
        body = f"{text}\n\n{marker(key)}\n{marker(f'last {fact}')}\n"
        issue = self.find_issue(key)
        if issue is None:
            issue = self.ask("POST", "issues", {"title": title, "body": body, "labels": [LABEL]})
            say(f"Opened issue #{issue['number']}: {title}")
        elif marker(f"last {fact}") in issue["body"]:
            say(f"Issue #{issue['number']} tells of it already")
        else:
            self.ask("POST", f"issues/{issue['number']}/comments", {"body": text})
            told = re.sub(r"<!-- pipeline: last .*? -->", marker(f"last {fact}"), issue["body"])
            self.ask("PATCH", f"issues/{issue['number']}", {"body": told})
            say(f"Commented on issue #{issue['number']}")
        return issue

    def close_issue(self, key, text):
        if issue := self.find_issue(key):
            self.ask("POST", f"issues/{issue['number']}/comments", {"body": text})
            self.ask("PATCH", f"issues/{issue['number']}", {"state": "closed", "state_reason": "completed"})
            say(f"Closed issue #{issue['number']}: {text}")


def marker(text):
    return f"<!-- pipeline: {text} -->"


def permitted(refused, permission):
    """What a refusal means for whoever reads the run."""
    if refused.status in (401, 403):
        return Failed("Not permitted", f"{refused}. The job needs `permissions: {permission}`")
    return Failed("GitHub refuses", str(refused))
