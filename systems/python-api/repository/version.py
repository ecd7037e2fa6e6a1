"""Says which version a commit is published as, by git's history alone; or refuses, and says how to mend it.

Reads ENVIRONMENT (dev, staging or prod), COMMIT, BRANCH, for staging and prod TAG (the tag that was pushed), for prod
STAGING_VALUES (the file into which the Image Updater writes what staging runs), GITHUB_TOKEN, GITHUB_SERVER_URL,
GITHUB_OUTPUT and GITHUB_STEP_SUMMARY. Runs in a clone with the whole history and all tags.

Outputs version; source, the release candidate whose image becomes a final version's; and hotfix, the reason for a final
version that has been no candidate.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ENV = os.environ
COMMIT, BRANCH, TAG = ENV["COMMIT"], ENV["BRANCH"], ENV.get("TAG", "")
MAIN = f"refs/remotes/origin/{BRANCH}"
NUMBER = r"(0|[1-9]\d{0,8})"
VERSION = re.compile(rf"v{NUMBER}\.{NUMBER}\.{NUMBER}(?:-rc\.{NUMBER})?", re.ASCII)


def fail(title, message, *commands):
    """Ends with an annotation and, in the summary, the same with the commands that mend it."""
    message = re.sub(r"[^ -~\n]", " ", message)
    lines = "\n".join([message, *commands])
    print(f"::error title={title}::" + lines.replace("%", "%25").replace("\n", "%0A"))
    with Path(ENV["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as file:
        mend = "```console\n" + "\n".join(commands) + "\n```\n" if commands else ""
        file.write(f"**{title}**: {message}\n{mend}")
    sys.exit(1)


def git(*arguments, check=True, **options):
    """What git prints. A token, where git asks for one, comes from the environment, for this one server only."""
    server = ENV.get("GITHUB_SERVER_URL", "https://github.com")
    helper = '!f() { echo username=x-access-token; echo "password=$GITHUB_TOKEN"; }; f'
    done = subprocess.run(
        ["git", "-c", "credential.helper=", "-c", f"credential.{server}.helper={helper}", *arguments],
        env={**ENV, "GIT_TERMINAL_PROMPT": "0"},
        capture_output=True,
        check=False,
        text=True,
        errors="replace",
        **options,
    )
    if check and done.returncode:
        for line in done.stderr.splitlines():
            print(f"git: {line}")  # the prefix keeps a line of git's from being taken for a workflow command
        fail("git failed", f"git {arguments[0]} failed with exit code {done.returncode}: see its lines in the log")
    return done.stdout.strip() if check else done.returncode == 0


def numbers(tag):
    """((X, Y, Z), N) of vX.Y.Z-rc.N, where N is None for vX.Y.Z; None for any other text."""
    match = VERSION.fullmatch(tag)
    if not match:
        return None
    *triple, candidate = (None if each is None else int(each) for each in match.groups())
    return tuple(triple), candidate


def tags_of(*arguments):
    """The version tags that git finds so, with the object that each names."""
    lines = git("for-each-ref", "--format=%(objectname) %(refname:strip=2)", *arguments, "refs/tags").splitlines()
    return {name: sha for sha, name in (line.split(" ", 1) for line in lines) if numbers(name)}


def commit_of(tag):
    return git("rev-parse", "--verify", f"refs/tags/{tag}^{{commit}}")


def refuse_incomplete_clone():
    """Commits and tags that are not there would be counted as if there were none."""
    mend = "In the workflow, actions/checkout needs `fetch-depth: 0`, and no `filter` or `fetch-tags: false`"
    if git("rev-parse", "--is-shallow-repository") != "false":
        fail("Incomplete clone", f"This clone is shallow, so history cannot be counted. {mend}")
    if not git("rev-parse", "--verify", "--quiet", MAIN, check=False):
        fail("Incomplete clone", f"This clone has no origin/{BRANCH}. {mend}")
    here = tags_of()
    lines = (line.split("\t") for line in git("ls-remote", "--tags", "--refs", "origin").splitlines())
    there = {name.removeprefix("refs/tags/"): sha for sha, name in lines}
    differ = sorted(name for name, sha in there.items() if numbers(name) and here.get(name) != sha)
    if differ:
        some = ", ".join(differ[:5]) + (" and others" if len(differ) > 5 else "")
        fail(
            "Incomplete clone",
            f"The remote has tags that this clone has not, or has otherwise: {some}. If they were pushed this very "
            f"minute, run this job again. Else: {mend}",
        )


def refuse_off_main():
    if git("merge-base", "--is-ancestor", COMMIT, MAIN, check=False):
        return
    if not TAG:
        fail(
            "Not on the branch",
            f"{COMMIT} is no longer on {BRANCH}: it was overwritten since. Nothing is published; the commit that is "
            "there now has a run of its own",
        )
    fail(
        "Tag outside the branch",
        f"{TAG} is on the commit {COMMIT}, which is not on {BRANCH}. Only what was merged is published. Merge it by a "
        f"pull request and tag what is then on {BRANCH}. {MOVE}",
        f"git push origin :refs/tags/{TAG}",
        f"git fetch --tags origin && git tag --force {TAG} origin/{BRANCH} && git push origin {TAG}",
    )


MOVE = (
    "A tag that was pushed is not moved: the repository's rule set forbids it. Take the next number, or let somebody "
    "who may pass the rule set delete the tag first:"
)


def refuse_bad_form():
    found, wanted = numbers(TAG), "vX.Y.Z-rc.N" if ENV["ENVIRONMENT"] == "staging" else "vX.Y.Z"
    if not found or (found[1] is None) == (ENV["ENVIRONMENT"] == "staging"):
        fail(
            "Not a version",
            f"The tag {TAG!r} is not of the form {wanted}: numbers have no leading zero and nine digits at most. "
            "Nothing was published, so it may stay; push one of that form",
        )


def refuse_moved_tag():
    if TAG not in tags_of():
        fail("No such tag", f"{TAG} is not on the remote any more. Nothing is published")
    if commit_of(TAG) != COMMIT:
        fail(
            "Tag was moved",
            f"{TAG} is on {commit_of(TAG)} now, and this run is of {COMMIT}. Nothing is published by this run; the push "
            "that moved the tag has one of its own",
        )


def dev_version():
    """The version that comes next after the tags in the commit's history, and where it stands on the branch.

    The count is of the branch's commits from its first on. One that began anew with each final version would fall while
    the base stays: a hotfix v1.1.1 during the candidates of v1.2.0 leaves the base at 1.2.0.
    """
    reachable = [numbers(tag) for tag in tags_of(f"--merged={COMMIT}")]
    final = max((triple for triple, candidate in reachable if candidate is None), default=None)
    candidate = max((triple for triple, candidate in reachable if candidate is not None), default=None)
    base = (final[0], final[1], final[2] + 1) if final else (0, 1, 0)
    if candidate and (not final or candidate > final):
        base = candidate
    return f"v{'.'.join(map(str, base))}-dev.{git('rev-list', '--first-parent', '--count', COMMIT)}"


def image_tag(text):
    """What image.tag is in a values file. Its YAML is as people and the Image Updater write it: no anchors, no tags."""
    scalar = r"""(?:"([^"]*)"|'([^']*)'|([^\s#,}"'][^\s#,}]*))"""
    below = None  # the indentation of what stands in `image`
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = len(line) - len(line.lstrip(" "))
        found = None
        if indent == 0:
            below = 1 if re.match(r"""["']?image["']?\s*:\s*(#.*)?$""", line) else None
            found = re.match(rf"image\.tag\s*:\s+{scalar}\s*(#.*)?$", line) or re.match(
                rf"image\s*:\s*\{{(?:[^#]*,)?\s*tag\s*:\s+{scalar}\s*[,}}]", line
            )
        elif below is not None:
            below = indent if below == 1 else below
            found = re.match(rf"""["']?tag["']?\s*:\s+{scalar}\s*(#.*)?$""", line.strip()) if indent == below else None
        if found:
            return next(each for each in found.groups()[:3] if each is not None)
    return None


def reached_staging(tag):
    """Whether a commit on the branch made this tag what staging runs, be it for a while."""
    path = ENV["STAGING_VALUES"]
    options = (
        "--first-parent",
        "--diff-merges=first-parent",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--text",
    )
    commits = git("log", *options, "--format=%H", "-G" + tag.replace(".", r"\."), MAIN, "--", path).split()
    return any(
        git("cat-file", "-e", f"{commit}:{path}", check=False) and image_tag(git("show", f"{commit}:{path}")) == tag
        for commit in commits
    )


def hotfix_reason():
    """What the trailer `Hotfix:` of the annotated tag says. `for-each-ref` alone finds none in a signed tag."""
    if git("cat-file", "-t", f"refs/tags/{TAG}") != "tag":
        return ""  # a lightweight tag has no message: git would answer with the commit's
    message = git("for-each-ref", "--format=%(contents:subject)%0a%0a%(contents:body)", f"refs/tags/{TAG}")
    trailers = git("interpret-trailers", "--parse", "--no-divider", input=message)
    reasons = (re.match(r"hotfix\s*:(.*)", line, re.IGNORECASE) for line in trailers.splitlines())
    return "; ".join(each[1].strip() for each in reasons if each and each[1].strip())


def prod_source():
    """The candidate on the same commit that staging has run, and the reason where it is a hotfix instead."""
    triple, _ = numbers(TAG)
    ranked = sorted((each[1], tag) for tag in tags_of() if (each := numbers(tag))[0] == triple and each[1] is not None)
    candidates = [tag for _, tag in reversed(ranked)]
    here = [tag for tag in candidates if commit_of(tag) == COMMIT]
    for tag in here:
        if reached_staging(tag):
            return tag, ""
    if reason := hotfix_reason():
        return "", reason
    path = ENV["STAGING_VALUES"]
    unless = (
        "If production cannot wait for staging, it is a hotfix: say so, with the reason, in an annotated tag of the "
        "next number, as in the last command"
    )
    major, minor, patch = triple
    last = f"git tag -a v{major}.{minor}.{patch + 1} -m 'Hotfix release' -m 'Hotfix: why it cannot wait' {COMMIT}"
    if here:
        fail(
            "Not tested in staging",
            f"{TAG} is refused: {here[0]} is on the same commit {COMMIT}, but no commit on {BRANCH} made it image.tag in "
            f"{path}, so staging has not run it. Wait for the Image Updater's commit and QA, then run this job again. "
            + unless,
            f"git log -p origin/{BRANCH} -- {path}",
            last,
        )
    tested = [tag for tag in candidates if reached_staging(tag)]
    if tested:
        fail(
            "Not what was tested",
            f"{TAG} is refused: it is on the commit {COMMIT}, and {tested[0]}, which staging has run, is on "
            f"{commit_of(tested[0])}. What QA tested is what goes to production. {MOVE} {unless}",
            f"git push origin :refs/tags/{TAG}",
            f"git tag --force {TAG} {tested[0]}^{{commit}} && git push origin {TAG}",
            last,
        )
    some = f"the candidates of that version are {', '.join(candidates)}" if candidates else "there is none anywhere"
    fail(
        "Not tested in staging",
        f"{TAG} is refused: no tag {TAG}-rc.N is on its commit {COMMIT} ({some}). Push a candidate, wait for the Image "
        f"Updater's commit to {path} and QA, then run this job again. {unless}",
        f"git tag {next_candidate(candidates)} {COMMIT} && git push origin {next_candidate(candidates)}",
        last,
    )


def next_candidate(candidates):
    return f"{TAG}-rc.{numbers(candidates[0])[1] + 1 if candidates else 1}"


if ENV["ENVIRONMENT"] != "dev":
    refuse_bad_form()
refuse_incomplete_clone()
if ENV["ENVIRONMENT"] != "dev":
    refuse_moved_tag()
refuse_off_main()
version = dev_version() if ENV["ENVIRONMENT"] == "dev" else TAG
source, hotfix = prod_source() if ENV["ENVIRONMENT"] == "prod" else ("", "")
hotfix = re.sub(r"[^ -~]", " ", hotfix)[:200].strip()
with Path(ENV["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
    output.write(f"version={version}\nsource={source}\nhotfix={hotfix}\n")
print(f"{COMMIT} is {version}" + (f", promoted from {source}" if source else f", a hotfix: {hotfix}" if hotfix else ""))
