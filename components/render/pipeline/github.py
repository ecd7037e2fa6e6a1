"""The repository's own API: runs, logs, issues, pull requests.

Reads GITHUB_API_URL, GITHUB_SERVER_URL, GITHUB_REPOSITORY, GITHUB_TOKEN and BRANCH.
"""

import re
import urllib.parse

import web
from tell import Failed, clean, hide, needed, plain, say

LABEL = "pipeline"
# How a run ends that has failed; a cancelled one, or one that was passed over, says nothing.
BAD = ("failure", "timed_out", "startup_failure")
# What is used of GitHub's answers.
RUN = {
    "status": str,
    "conclusion": str | None,
    "event": str,
    "head_branch": str | None,
    "head_sha": str,
    "head_repository": dict | None,
    "html_url": str,
    "run_number": int,
}
ISSUE = {"number": int, "body": str | None}
PULL = {"html_url": str}


class Refused(Exception):
    """GitHub's refusal. `denied`: for want of a permission. `off`: the repository has no such thing. `unsure`: it may have been done."""

    def __init__(self, asked, answer):
        said = answer.json()
        message = answer.why or str(said.get("message") if isinstance(said, dict) else "no message").rstrip(".")
        if 200 <= answer.status < 300:
            message = "an answer of another form than GitHub documents"
        super().__init__(clean(f"GitHub answers status {answer.status or '000'} to {asked}: {message}", 300))
        self.denied = answer.status in (401, 403) and "rate limit" not in message.lower()
        self.off = answer.status == 410
        self.unsure = answer.arrived and not 300 <= answer.status < 500


class GitHub:
    def __init__(self):
        self.repository, self.branch, self.token = needed("GITHUB_REPOSITORY"), needed("BRANCH"), needed("GITHUB_TOKEN")
        self.url = f"{needed('GITHUB_API_URL')}/repos/{self.repository}"
        self.page = f"{needed('GITHUB_SERVER_URL')}/{self.repository}"
        hide(self.token)

    def ask(self, method, path, body=None, like=object):
        """GitHub's answer, which is `like` this; else Refused."""
        headers = {
            **web.agent(),
            **web.bearer(self.token),
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        answer = web.asked("GitHub's API", method, f"{self.url}/{path}", headers, body)
        if not 200 <= answer.status < 300 or not fits(answer.json(), like):
            raise Refused(f"{method} {path.split('?')[0]}", answer)
        return answer.json()

    def create(self, path, body, find, like=object):
        """Makes it once: where the answer got lost, what `find` finds was made, and only else is it asked for again."""
        for attempt in range(1, 5):
            try:
                return self.ask("POST", path, body, like)
            except Refused as refused:
                if not refused.unsure:
                    raise
                lost = refused
            say(f"{lost}, at attempt {attempt}; looking whether it was made")
            web.pause(attempt)
            if found := find():
                return found
        raise lost

    def pages(self, path, key=None, like=dict):
        """All of a list, whose pages hold a hundred."""
        found = []
        for page in range(1, 11):
            query = f"{path}{'&' if '?' in path else '?'}per_page=100&page={page}"
            answer = self.ask("GET", query, like={key: [like]} if key else [like])
            some = answer[key] if key else answer
            found += some
            if len(some) < 100:
                break
        return found

    def log(self, job):
        """A job's log, or None. It stands elsewhere, under a URL that is a key by itself: the token does not go along."""
        headers = {**web.agent(), **web.bearer(self.token)}
        for attempt in range(1, 4):
            answer = web.asked("GitHub's API", "GET", f"{self.url}/actions/jobs/{job}/logs", headers)
            if answer.status in (301, 302, 303, 307, 308):
                location = answer.headers.get("location", "")
                if urllib.parse.urlsplit(location).scheme == urllib.parse.urlsplit(self.url).scheme:
                    answer = web.asked("The log's store", "GET", location, web.agent())
            if answer.status == 200:
                return answer.content.decode("utf-8", "replace")
            say(f"The log of job {job} cannot be read: {answer.why or f'status {answer.status}'}, at attempt {attempt}")
            if answer.status != 404:  # it may not be there yet
                break
            web.pause(attempt)
        return None

    def runs(self, workflow):
        """
        A workflow's newest runs for the branch itself that say something of it: not a fork's of the same name, nor those of a pull
        request, nor what was cancelled.
        """
        branch, found = urllib.parse.quote(self.branch, safe=""), []
        for page in range(1, 11):
            path = f"actions/workflows/{workflow}/runs?branch={branch}&per_page=100&page={page}"
            some = self.ask("GET", path, like={"workflow_runs": [RUN]})["workflow_runs"]
            runs = [each for each in some if self.own(each)]
            found += [each for each in runs if each["status"] != "completed" or each["conclusion"] in ("success", *BAD)]
            # The pull requests of forks, whose branch is called the same, may fill a page.
            if len(some) < 100 or any(each["status"] == "completed" for each in found):
                break
        return found

    def ended(self, workflow):
        """The newest of its {runs} that has ended, or None."""
        return next((each for each in self.runs(workflow) if each["status"] == "completed"), None)

    def own(self, run):
        return (
            run["head_branch"] == self.branch
            and run["event"] != "pull_request"
            and str((run["head_repository"] or {}).get("full_name")).lower() == self.repository.lower()
        )

    def dispatch(self, workflow, ref):
        self.ask("POST", f"actions/workflows/{workflow}/dispatches", {"ref": ref})

    def key(self, workflow):
        """Of a workflow's trouble: on another branch it is another one, which another service's monitor may look at."""
        return f"workflow {workflow} on {self.branch}"

    def find_issue(self, key):
        try:
            issues = self.pages(f"issues?state=open&labels={LABEL}", like=ISSUE)
        except Refused as refused:
            if refused.off:  # issues are: a trouble cannot be told, and no trouble need not be
                return None
            raise
        for each in issues:
            if "pull_request" not in each and marker(key) in (each.get("body") or ""):
                return each
        return None

    def open_issue(self, key, fact, title, text):
        """Tells of a trouble, known by `key`: one issue while it lasts, and one comment for each `fact` that comes new."""
        body = f"{text}\n\n{marker(key)}\n{marker(f'last {fact}')}\n"
        issue = self.find_issue(key)
        if issue is None:
            issue = {"title": title, "body": body, "labels": [LABEL]}
            issue = self.create("issues", issue, lambda: self.find_issue(key), ISSUE)
            say(f"Opened issue #{issue['number']}: {title}")
        elif marker(f"last {fact}") in issue["body"]:
            say(f"Issue #{issue['number']} tells of it already")
        else:
            self.comment(issue, text)
            told = f"{re.sub('<!-- pipeline: last .*? -->', '', issue['body']).rstrip()}\n{marker(f'last {fact}')}\n"
            self.ask("PATCH", f"issues/{issue['number']}", {"body": told})
            say(f"Commented on issue #{issue['number']}")
        return issue

    def close_issue(self, key, text):
        if issue := self.find_issue(key):
            self.comment(issue, text)
            self.ask("PATCH", f"issues/{issue['number']}", {"state": "closed", "state_reason": "completed"})
            say(f"Closed issue #{issue['number']}: {text}")

    def comment(self, issue, text):
        path = f"issues/{issue['number']}/comments"
        self.create(path, {"body": text}, lambda: [each for each in self.pages(path) if each.get("body") == text])


def fits(value, like):
    """Whether a value has at least this form: an object's fields, a list's items, or a type."""
    if isinstance(like, dict):
        return isinstance(value, dict) and all(fits(value.get(name), each) for name, each in like.items())
    if isinstance(like, list):
        return isinstance(value, list) and all(fits(each, like[0]) for each in value)
    return isinstance(value, like)


def marker(text):
    """What a reader does not see. Facts come from outside: none ends the comment, or is a pattern."""
    return f"<!-- pipeline: {plain(text)} -->"


def permitted(refused, permission):
    """What a refusal means for whoever reads the run."""
    if refused.denied:
        return Failed("Not permitted", f"{refused}. The job needs `permissions: {permission}`")
    return Failed("GitHub refuses", str(refused))
