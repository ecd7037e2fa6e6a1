"""Pins the package in requirements.txt and, if asked to, commits and pushes the pin.

Reads EVENT_NAME, CLIENT_PAYLOAD, INPUT_VERSION, PACKAGE, SOURCE_REPO, REPO_NAME, BRANCH, COMMIT, GITHUB_TOKEN,
GITHUB_SERVER_URL, GITHUB_OUTPUT and, if given, REQUIREMENTS. Writes the outputs version, label and sha.
"""

import codecs
import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

ENV = os.environ
PACKAGE = ENV["PACKAGE"]
REQUIREMENTS = Path(ENV.get("REQUIREMENTS") or "requirements.txt")
ATTEMPTS = 5
# PEP 440 or its semver spelling: the rule by which the package's repository checks what it sends.
VERSION = re.compile(
    r"v?(\d+(?:\.\d+)+)(?:[-._]?(a|b|c|rc|alpha|beta|pre|preview)(?:[-._]?(\d+))?)?"
    r"(?:[-._]?(post|rev|r)(?:[-._]?(\d+))?)?(?:[-._]?(dev)(?:[-._]?(\d+))?)?",
    re.ASCII,
)
LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}(\[bot\])?")


def stop(title, *messages):
    for message in messages:
        escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        print(f"::error title={title}::{escaped}")
    sys.exit(1)


def shown(value):  # a value from outside, harmless in a log
    return ascii(value)[:80]


def canonical(text):
    """The version in PEP 440's canonical spelling (v0.2.3-rc.1 is 0.2.3rc1), or None."""
    match = VERSION.fullmatch(text) if len(text) <= 50 else None
    if not match:
        return None
    release, pre, pre_n, post, post_n, dev, dev_n = match.groups()
    version = ".".join(str(int(number)) for number in release.split("."))
    if pre:
        pre = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}.get(pre, pre)
        version += f"{pre}{int(pre_n or 0)}"
    if post:
        version += f".post{int(post_n or 0)}"
    return version + (f".dev{int(dev_n or 0)}" if dev else "")


def wanted():
    """The version this run is to pin (None: deploy what is pinned already) and who asked for it."""
    event, actor = ENV["EVENT_NAME"], ENV.get("GITHUB_ACTOR", "")
    if event == "push":
        return None, actor
    if event == "workflow_dispatch":
        text = ENV.get("INPUT_VERSION", "")
        if text and not canonical(text):
            stop("Not a version", f"found {shown(text)}, expected a version such as v0.2.3 or 0.2.3rc1")
        return canonical(text), actor
    if event != "repository_dispatch":
        stop("Unknown event", f"nothing to do for the event {shown(event)}")
    try:
        payload = json.loads(ENV.get("CLIENT_PAYLOAD", ""))
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        stop("Bad payload", "client_payload is not a JSON object")

    def is_text(test):
        return lambda value: isinstance(value, str) and test(value)

    def same(name):
        return is_text(lambda value: value.lower() == ENV[name].lower())

    expected = {
        "package": (is_text(lambda value: value == PACKAGE), PACKAGE),
        "version": (is_text(canonical), "a version such as v0.2.3"),
        "triggered_by": (is_text(LOGIN.fullmatch), "a GitHub login"),
        "source_repo": (same("SOURCE_REPO"), ENV["SOURCE_REPO"]),
        "repo_name": (same("REPO_NAME"), ENV["REPO_NAME"]),
    }
    problems = [f"client_payload has no {key}" for key in expected if key not in payload]
    problems += [f"client_payload has a key that is not known: {shown(key)}" for key in payload if key not in expected]
    problems += [
        f"client_payload.{key} is {shown(payload[key])}, expected {what}"
        for key, (right, what) in expected.items()
        if key in payload and not right(payload[key])
    ]
    if problems:
        stop("Bad payload", *problems)
    return canonical(payload["version"]), payload["triggered_by"]


def normal(name):  # PEP 503
    return re.sub(r"[-_.]+", "-", name).lower()


# One requirement: name[extras], what is demanded of it, "; marker", options, and a comment or blanks at the end.
TAIL = r"(?P<options>\s+--\w.*?)?(?P<end>\s*|\s+#.*)"
ENTRY = re.compile(
    r"(?P<indent>\s*)(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[^\]]*\])?(?=[\s<>=!~;@(]|$)"
    r"(?P<demand>\s*@\s*\S+|[^;#@]*?)(?P<marker>\s*;.*?)?" + TAIL
)
# git+https://HOST/PATH#egg=name is pip's older spelling of a direct reference.
URL = re.compile(
    r"(?P<indent>\s*)(?P<demand>[a-z+]+://\S*[#&]egg=(?P<name>[\w.-]+)(?P<extras>\[[^\]]*\])?\S*)"
    r"(?P<marker>\s+;.*?)?" + TAIL
)


def entries(text):
    """The file as [text, newline, match of our package or None], a line with its continuations being one."""
    lines = [re.fullmatch(r"(.*?)(\r?\n|)", line, re.DOTALL).groups() for line in re.findall(r"[^\n]*\n|[^\n]+", text)]
    result = []
    while lines:
        whole, newline = lines.pop(0)
        last = joined = whole
        while last.endswith("\\") and lines and not re.match(r"\s*#", last):  # as pip joins lines
            last, after = lines.pop(0)
            joined = joined[:-1] + (" " + last if last.startswith("#") else last)
            whole, newline = whole + newline + last, after
        if joined != whole:
            joined = joined.rstrip()
        joined = re.sub(r"\s+--hash[=\s]\s*\S+", "", joined)  # the hash of another version
        match = ENTRY.fullmatch(joined) or URL.fullmatch(joined)
        result.append([whole, newline, match if match and normal(match["name"]) == normal(PACKAGE) else None])
    return result


def extras_of(match):
    return {extra.strip() for extra in (match["extras"] or "[]")[1:-1].split(",")} - {""}


def pin(text, version):
    """The text of requirements.txt with the package at exactly this version."""
    lines, places = entries(text), {}  # one place for each environment marker
    for line in lines:
        if match := line[2]:
            place = places.setdefault(re.sub(r"\s+", "", match["marker"] or "").replace("'", '"'), (line, set()))
            place[1].update(extras_of(match))
            if place[0] is not line:
                line[0] = line[1] = ""
    for line, extras in places.values():
        match = line[2]
        written = (match["extras"] or "") if extras == extras_of(match) else f"[{','.join(sorted(extras))}]"
        name = match["indent"] + normal(PACKAGE) + written
        line[0] = f"{name}=={version}{match['marker'] or ''}{match['options'] or ''}{match['end']}"
    result = "".join(line[0] + line[1] for line in lines)
    if not places:
        newline = "\r\n" if "\r\n" in text else "\n"
        result += ("" if not result or result.endswith("\n") else newline) + f"{normal(PACKAGE)}=={version}{newline}"
    return result


def pinned(text):
    """The version that stands in requirements.txt, or "" if none or more than one does."""
    found = set()
    for _, _, match in entries(text):
        if match:
            exact = re.fullmatch(r"\s*==\s*([^\s,*+]+)(\+[a-z0-9.]+)?\s*", match["demand"])
            version = canonical(exact[1]) if exact else None
            found.add(version + (exact[2] or "") if version else "")
    return found.pop() if len(found) == 1 else ""


def load():
    """The file's byte order mark, encoding and text."""
    raw = REQUIREMENTS.read_bytes() if REQUIREMENTS.exists() else b""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if raw.startswith(mark):
            return mark, encoding, raw[len(mark) :].decode(encoding, "surrogateescape")
    return b"", "utf-8", raw.decode("utf-8", "surrogateescape")


def write_pin(version):
    mark, encoding, before = load()
    after = pin(before, version)
    if after != before:
        REQUIREMENTS.write_bytes(mark + after.encode(encoding, "surrogateescape"))
        print(f"{REQUIREMENTS}: pinned {PACKAGE}=={version}", flush=True)
    if re.search(r"^[^#\n]*\s--hash[=\s]", after, re.MULTILINE):
        problem = f"{REQUIREMENTS} has hashes, so pip will refuse {PACKAGE}, which is pinned without one"
        print(f"::warning title=Hashes::{problem}")
    return after != before


def git(*arguments, check=True):
    """Runs git. The token is read from the environment by a credential helper, for this one server only."""
    server = ENV.get("GITHUB_SERVER_URL", "https://github.com")
    helper = '!f() { echo username=x-access-token; echo "password=$GITHUB_TOKEN"; }; f'
    bot = {"NAME": "github-actions[bot]", "EMAIL": "41898282+github-actions[bot]@users.noreply.github.com"}
    identity = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in bot.items()}
    done = subprocess.run(
        ["git", "-c", "credential.helper=", "-c", f"credential.{server}.helper={helper}", *arguments],
        env={**ENV, **identity, "GIT_TERMINAL_PROMPT": "0"},
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
    )
    for line in done.stderr.splitlines():
        print(f"git: {line}")  # the prefix keeps a line of git's from being taken for a workflow command
    if check and done.returncode:
        stop("git failed", f"git {arguments[0]} failed with exit code {done.returncode}: see its lines above")
    return done


def commit_and_push(version, by):
    """Pins on top of what is on the branch. Nothing is ever forced: who was faster keeps the commit."""
    branch = ENV["BRANCH"]
    for attempt in range(1, ATTEMPTS + 1):
        if not write_pin(version):
            return
        git("add", "--", str(REQUIREMENTS))
        body = f"Triggered-by: {by}\nSource: {ENV['SOURCE_REPO']}"
        git("commit", "--quiet", "--message", f"Pin {PACKAGE}=={version}", "--message", body, "--", str(REQUIREMENTS))
        push = git("push", "origin", f"HEAD:refs/heads/{branch}", check=False)
        if push.returncode == 0:
            return
        if re.search(r"protected|GH006|GH013", push.stderr):
            mend = "Let GitHub Actions bypass its rule, or set pin: deploy in the infrastructure's stack file"
            stop("Protected branch", f"{branch} is protected and refuses the pin. {mend}")
        if re.search(
            r"Permission to .* denied|Authentication failed|could not read Username|error: 40[13]", push.stderr
        ):
            stop("Push refused", f"the token may not push to {branch}: the workflow needs permissions: contents: write")
        if attempt < ATTEMPTS:
            print(f"Push refused at attempt {attempt}: taking the newest {branch} and pinning again", flush=True)
            time.sleep(random.SystemRandom().uniform(0.1, 0.5))
            git("fetch", "--quiet", "origin", f"+refs/heads/{branch}:refs/remotes/origin/{branch}")
            git("reset", "--quiet", "--hard", f"refs/remotes/origin/{branch}")
    stop(
        "Push failed", f"{branch} refused the pin {ATTEMPTS} times: see the lines of git above, then run this job again"
    )


version, by = wanted()
if version and ENV.get("COMMIT") == "true":
    commit_and_push(version, by)
elif version:
    write_pin(version)
version = version or pinned(load()[2])
outputs = {
    "version": version,
    "label": version.replace(".", "_").replace("+", "-").lower(),  # what Google allows in a label's value
    "sha": git("rev-parse", "HEAD").stdout.strip(),
}
with open(ENV["GITHUB_OUTPUT"], "a", encoding="utf-8") as output:
    output.writelines(f"{name}={value}\n" for name, value in outputs.items())
print(f"To deploy: {PACKAGE}=={version}" if version else f"To deploy: no exact version of {PACKAGE} is pinned")
