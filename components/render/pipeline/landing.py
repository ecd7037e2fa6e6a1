"""Brings a file that the pipeline writes to its branch: by a push, or by a pull request where rules protect the branch.

The file is generated. So a push that comes too late is not rebased line by line: the file is written again on what has come in
between, which leaves no conflict and nothing that is out of date.
"""

import base64
import os
import re
import subprocess
from pathlib import Path

import web
from github import Refused
from tell import ENV, Failed, clean, hide, say

PUSHES = 5
BOT = "github-actions[bot]"
EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"


class Landing:
    """A checkout of the branch. @param head where a pull request comes from"""

    def __init__(self, github, path, head):
        self.github, self.path, self.head = github, path, head
        pair = base64.b64encode(f"x-access-token:{github.token}".encode()).decode()
        hide(pair)
        # In the environment: an argument list can be read by every process, and a config file stays.
        self.env = {
            **os.environ,
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{ENV['GITHUB_SERVER_URL']}/.extraheader",
            "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {pair}",
            "GIT_TERMINAL_PROMPT": "0",
            **{
                f"GIT_{who}_{what}": value
                for who in ("AUTHOR", "COMMITTER")
                for what, value in [("NAME", BOT), ("EMAIL", EMAIL)]
            },
        }

    def git(self, *args):
        done = subprocess.run(
            ["git", *args], check=False, env=self.env, capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            raise Failed("git", f"git {args[0]}: {clean(done.stderr, 500)}")
        return done.stdout

    def text(self, revision):
        """The file at a revision, or None."""
        command = ["git", "show", f"{revision}:{self.path}"]
        done = subprocess.run(command, check=False, env=self.env, capture_output=True, text=True, errors="replace")
        return None if done.returncode else done.stdout

    def land(self, write, message, title, text, same=lambda old, new: old == new):
        """
        Lands what `write()` makes of the file: "nothing" where it is as it was, "pushed", "waiting" where an open pull
        request has it already, or "proposed".
        """
        for attempt in range(1, PUSHES + 1):
            before = self.text("HEAD")
            write()
            now = Path(self.path).read_text(encoding="utf-8")
            if before is not None and same(before, now):
                self.git("checkout", "--quiet", "--", self.path)
                return "nothing"
            self.git("add", "--", self.path)
            self.git("commit", "--quiet", "--message", message)
            refusal = self.push(f"HEAD:refs/heads/{self.github.branch}")
            if refusal is None:
                return "pushed"
            if re.search(r"GH006|GH013|protected branch|rule violations", refusal):
                return self.propose(now, title, text, same)
            if not re.search(r"rejected|cannot lock ref|failed to update ref", refusal):
                raise Failed("Not pushed", f"{refusal}. The job needs `permissions: contents: write`")
            say(f"{self.github.branch} has moved on, at attempt {attempt}: written again on what has come")
            self.git("fetch", "--quiet", "origin", self.github.branch)
            self.git("reset", "--quiet", "--hard", "FETCH_HEAD")
            web.pause(attempt, web.Answer(0, {}, b""))
        raise Failed("Not pushed", f"[rejected] {self.github.branch} moved on before each of {PUSHES} pushes")

    def push(self, refspec, *options):
        """Pushes: None, or why not."""
        command = ["git", "push", "--quiet", *options, "origin", refspec]
        done = subprocess.run(command, check=False, env=self.env, capture_output=True, text=True, errors="replace")
        return clean(done.stderr, 500) if done.returncode else None

    def propose(self, now, title, text, same):
        """The rules are not passed by: a person merges."""
        say(f"{self.github.branch} is protected: proposed by a pull request from {self.head}")
        owner = self.github.repository.split("/")[0]
        try:
            pulls = self.github.ask("GET", f"pulls?state=open&head={owner}:{self.head}&base={self.github.branch}")
            if pulls:
                self.git("fetch", "--quiet", "origin", self.head)
                there = self.text("FETCH_HEAD")
                if there is not None and same(there, now):
                    say(f"{pulls[0]['html_url']} has it already")
                    return "waiting"
            if refusal := self.push(f"HEAD:refs/heads/{self.head}", "--force"):
                raise Failed("Not pushed", f"{self.head}: {refusal}")
            if not pulls:
                body = {"title": title, "head": self.head, "base": self.github.branch, "body": text}
                say(f"Proposed: {self.github.ask('POST', 'pulls', body)['html_url']}")
        except Refused as refused:
            raise Failed(
                "No pull request",
                f"{refused}. The branch {self.head} may be there: open the pull request by hand, and let workflows do it next time "
                "(Settings, Actions, General, Allow GitHub Actions to create and approve pull requests; the job's "
                "`permissions: pull-requests: write`)",
            ) from refused
        return "proposed"
