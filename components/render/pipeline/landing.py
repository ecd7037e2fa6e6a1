"""Brings a file that the pipeline writes to its branch: by a push, or by a pull request where rules protect the branch.

The file is generated. So a push that comes too late is not rebased line by line: the file is written again on what has come in
between, which leaves no conflict and nothing that is out of date.
"""

import base64
import os
import re
import subprocess
import urllib.parse
from pathlib import Path

import web
from github import PULL, Refused
from tell import ENV, Failed, clean, hide, say

PUSHES = 5
BOT = "github-actions[bot]"
EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"
# What git says of a push, by GitHub's words and its own.
PROTECTED = re.compile(r"GH006|GH013|protected branch|rule violations")
LATE = re.compile(r"! \[rejected\]|cannot lock ref|incorrect old value")
DENIED = re.compile(r"returned error: 40[13]|Authentication failed|could not read Username")
AWAY = re.compile(
    r"returned error: (?:429|5\d\d)|HTTP (?:429|5\d\d)|Could not resolve host|Failed to connect|timed out|too slow|Empty reply"
    r"|hung up unexpectedly|early EOF|unexpected disconnect|reset by peer"
)


class Landing:
    """A checkout of the branch. @param head where a pull request comes from"""

    def __init__(self, github, path, head):
        self.github, self.path, self.head = github, path, head
        pair = base64.b64encode(f"x-access-token:{github.token}".encode()).decode()
        hide(pair)
        # In the environment: an argument list can be read by every process, and a config file stays.
        header = f"http.{ENV['GITHUB_SERVER_URL']}/.extraheader"
        self.env = {
            # By itself git waits without an end for a server that is silent, and a job that takes too long is cancelled: nobody is told.
            "GIT_HTTP_LOW_SPEED_LIMIT": "1",
            "GIT_HTTP_LOW_SPEED_TIME": "60",
            **os.environ,
            "LC_ALL": "C",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": header,
            "GIT_CONFIG_VALUE_0": "",  # forgets what the checkout may have kept: GitHub refuses two
            "GIT_CONFIG_KEY_1": header,
            "GIT_CONFIG_VALUE_1": f"AUTHORIZATION: basic {pair}",
            "GIT_TERMINAL_PROMPT": "0",
            **{
                f"GIT_{who}_{what}": value
                for who in ("AUTHOR", "COMMITTER")
                for what, value in [("NAME", BOT), ("EMAIL", EMAIL)]
            },
        }

    def run(self, *args):
        command = ["git", *args]
        return subprocess.run(
            command, check=False, env=self.env, capture_output=True, encoding="utf-8", errors="replace"
        )

    def git(self, *args):
        done = self.run(*args)
        if done.returncode:
            raise Failed("git", f"git {args[0]}: {clean(done.stderr, 500)}")

    def remote(self, *args):
        """A command that talks to GitHub: None, or why not. While GitHub is away it is tried again: a push twice is a push once."""
        for attempt in range(1, 5):
            done = self.run(*args)
            if not done.returncode:
                return None
            said = clean(done.stderr, 2000)
            if attempt == 4 or not AWAY.search(said):
                return said
            say(f"git {args[0]}: {said[:200]}, at attempt {attempt}; trying again")
            web.pause(attempt)
        raise AssertionError

    def text(self, revision):
        """The file at a revision, or None."""
        done = self.run("show", f"{revision}:{self.path}")
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
            self.git("commit", "--quiet", "--message", message, "--", self.path)  # nothing else that is staged
            refusal = self.push(f"HEAD:refs/heads/{self.github.branch}")
            if refusal is None:
                return "pushed"
            if PROTECTED.search(refusal):
                return self.propose(now, title, text, same)
            if not LATE.search(refusal):
                hint = ". The job needs `permissions: contents: write`" if DENIED.search(refusal) else ""
                raise Failed("Not pushed", f"{self.github.branch}: {refusal}{hint}")
            say(f"{self.github.branch} has moved on, at attempt {attempt}: written again on what has come")
            web.pause(attempt)
            if why := self.remote("fetch", "--quiet", "origin", self.github.branch):
                raise Failed("Not fetched", f"{self.github.branch}: {why}")
            if not self.run("merge-base", "--is-ancestor", "HEAD", "FETCH_HEAD").returncode:
                return "pushed"  # it had arrived, and only the answer was lost
            self.git("reset", "--quiet", "--hard", "FETCH_HEAD")
        raise Failed("Not pushed", f"{self.github.branch} moved on before each of {PUSHES} pushes: {refusal}")

    def push(self, refspec, *options):
        return self.remote("push", "--quiet", *options, "origin", refspec)

    def propose(self, now, title, text, same):
        """The rules are not passed by: a person merges."""
        say(f"{self.github.branch} is protected: proposed by a pull request from {self.head}")
        try:
            pull = self.pull()
            if pull and self.remote("fetch", "--quiet", "--depth=1", "origin", self.head) is None:
                there = self.text("FETCH_HEAD")
                if there is not None and same(there, now):
                    say(f"{pull['html_url']} has it already")
                    return "waiting"
            if refusal := self.push(f"HEAD:refs/heads/{self.head}", "--force"):
                raise Failed("Not pushed", f"{self.head}: {refusal}")
            if not pull:
                body = {"title": title, "head": self.head, "base": self.github.branch, "body": text}
                say(f"Proposed: {self.github.create('pulls', body, self.pull, PULL)['html_url']}")
        except Refused as refused:
            mend = (
                "open the pull request by hand, and let workflows do it next time (Settings, Actions, General, Allow GitHub Actions "
                "to create and approve pull requests; the job's `permissions: pull-requests: write`)"
                if refused.denied
                else "the next run tries again"
            )
            raise Failed("No pull request", f"{refused}. The branch {self.head} may be there: {mend}") from refused
        return "proposed"

    def pull(self):
        """The open pull request, or None."""
        owner = self.github.repository.split("/")[0]
        query = {"state": "open", "head": f"{owner}:{self.head}", "base": self.github.branch}
        found = self.github.ask("GET", f"pulls?{urllib.parse.urlencode(query)}", like=[PULL])
        return found[0] if found else None
