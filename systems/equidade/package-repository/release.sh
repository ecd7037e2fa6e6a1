#!/usr/bin/env bash

# Makes a release: new version, tests, build, commit, tag, push, GitHub release. What follows a release
# (telling every cloud function) is the work of trigger-deploys.yml. Nothing is lost by a failure: until
# the push has arrived everything is put back as it was.
# Reads NO_COLOR. Needs git, gh (signed in) and python with pytest and build.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: scripts/release.sh [--version 0.2.3] [--type patch|minor|major|pre-release] [--yes]
                          [--branch main] [--dry-run] [--help]

Asks for what is not given. Without a terminal --version, --type and --yes are required.
  --branch   the branch a release is made from (main)
  --dry-run  checks everything, says what would be done and changes nothing
TEXT
}

if [[ -t 1 && -z ${NO_COLOR-} ]]; then green=$'\e[32m' blue=$'\e[34m' red=$'\e[31m' plain=$'\e[0m'; else green='' blue='' red='' plain=''; fi
done_() { printf '%s✓%s %s\n' "$green" "$plain" "$1"; }
info() { printf '%sℹ%s %s\n' "$blue" "$plain" "$1"; }
fail() {
  printf '%s✗%s %s\n' "$red" "$plain" "$1" >&2
  exit 1
}
wrong_usage() {
  printf '%s\n\n' "$1" >&2
  usage >&2
  exit 2
}

version='' type='' branch=main yes=false dry_run=false
while (($#)); do
  case $1 in
    --version | --type | --branch)
      [[ -n ${2-} ]] || wrong_usage "$1 needs a value"
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    --yes) yes=true ;;
    --dry-run) dry_run=true ;;
    --help) usage && exit 0 ;;
    *) wrong_usage "unknown argument: $1" ;;
  esac
  shift
done
if [[ ! -t 0 ]]; then
  missing=()
  [[ -n $version ]] || missing+=(--version)
  [[ -n $type ]] || missing+=(--type)
  [[ $yes == true || $dry_run == true ]] || missing+=(--yes)
  ((${#missing[@]} == 0)) || wrong_usage "no terminal to ask on, so these are missing: ${missing[*]}"
fi

# Where the version is written: `versions current` prints it, `versions files` prints the files,
# `versions check NEW TYPE` prints what is wrong with NEW, `versions bump NEW` writes it (nothing else changes).
versions() {
  python - "$@" <<'PYTHON'
import re, sys
from pathlib import Path

VERSION = re.compile(  # PEP 440 and its semver spelling, as the workflows accept it
    r"v?(\d+(?:\.\d+)+)(?:[-._]?(a|b|c|rc|alpha|beta|pre|preview)(?:[-._]?(\d+))?)?"
    r"(?:[-._]?(post|rev|r)(?:[-._]?(\d+))?)?(?:[-._]?(dev)(?:[-._]?(\d+))?)?", re.ASCII)


def order(text):  # PEP 440: 1.0.dev1 < 1.0a1.dev1 < 1.0a1 < 1.0rc1 < 1.0 < 1.0.post1
    release, pre, pre_n, post, post_n, dev, dev_n = VERSION.fullmatch(text).groups()
    numbers = [int(n) for n in release.split(".")]
    while numbers[-1:] == [0]:
        numbers.pop()
    phase = {"a": 1, "alpha": 1, "b": 2, "beta": 2}.get(pre, 3) if pre else (0 if dev and not post else 4)
    return (numbers, phase, int(pre_n or 0), int(post_n or 0) if post else -1, int(dev_n or 0) if dev else float("inf"))


def find(name, pattern, *sections):
    """The place of the version in a file, as (path, start, end), or None."""
    text = Path(name).read_bytes() if Path(name).is_file() else b""
    here, at = "", 0
    for line in text.splitlines(keepends=True):
        if header := re.match(rb"\s*\[+\s*([^\]\"',]+?)\s*\]+\s*(?:#.*)?$", line):
            here = header[1].decode()
        elif (not sections or here in sections) and (found := re.search(pattern, line)):
            return name, at + found.start("v"), at + found.end("v")
        at += len(line)


def read(place):
    return Path(place[0]).read_bytes()[place[1]:place[2]].decode()


quoted = rb"""(?P<q>["'])(?P<v>[^"']+)(?P=q)"""
project = (find("pyproject.toml", rb"^version\s*=\s*" + quoted, "project", "tool.poetry")
           or find("setup.cfg", rb"^version\s*=\s*(?P<v>\d\S*)", "metadata")
           or find("setup.py", rb"\bversion\s*=\s*" + quoted))
named = (find("pyproject.toml", rb"^name\s*=\s*" + quoted, "project", "tool.poetry")
         or find("setup.cfg", rb"^name\s*=\s*(?P<v>\S+)", "metadata") or find("setup.py", rb"\bname\s*=\s*" + quoted))
package = re.sub(r"[-.]+", "_", read(named)) if named else "."
module = next(filter(None, (find(f"{d}/__init__.py", rb"^__version__\s*(?::\s*\w+\s*)?=\s*" + quoted)
                            for d in (package, f"src/{package}"))), None)
places = [place for place in (project, module) if place]
if not places:
    sys.exit("no version in pyproject.toml, setup.cfg, setup.py or the package's __init__.py")
command, new, kind = (sys.argv[1:] + ["", ""])[:3]
if command == "current":
    print(read(places[0]))
elif command == "files":
    print(*(place[0] for place in places), sep="\n")
elif command == "bump":
    for name, start, end in places:
        text = Path(name).read_bytes()
        Path(name).write_bytes(text[:start] + new.encode() + text[end:])
elif command == "check":
    match, old = VERSION.fullmatch(new), read(places[0])
    if not match or len(new) > 50:
        print(f"not a version: {ascii(new)[:60]} (expected one such as 0.2.3 or 0.2.3rc1)")
    else:
        pre = bool(match[2] or match[6])
        if pre != (kind == "pre-release"):
            print(f"version {new} is {'a' if pre else 'not a'} pre-release, but the release type is {kind}")
        if VERSION.fullmatch(old) and order(new) <= order(old):
            print(f"version {new} is not newer than the current {old}")
PYTHON
}

problems=()
check() { # problem, command: the problem is noted if the command fails
  local problem=$1
  shift
  "$@" >/dev/null 2>&1 || problems+=("$problem")
}
stop_if_problems() {
  ((${#problems[@]})) || return 0
  printf '%s✗%s %s\n' "$red" "$plain" 'Not released, nothing was changed:' >&2
  printf '  - %s\n' "${problems[@]}" >&2
  exit 1
}

in_root() { [[ $(git rev-parse --is-inside-work-tree)$(git rev-parse --show-prefix) == true ]]; }
clean() { [[ -z $(git status --porcelain) ]]; }
on_branch() { [[ $(git symbolic-ref --short HEAD) == "$branch" ]]; }
up_to_date() { git merge-base --is-ancestor FETCH_HEAD HEAD; }
no_local_tag() { ! git show-ref --verify --quiet "refs/tags/$tag"; }
no_remote_tag() { [[ -z $(git ls-remote origin "refs/tags/$tag") ]]; }

if in_root 2>/dev/null; then
  check 'the work tree is not clean: commit or stash what git status shows' clean
  check "not on the branch $branch (--branch names another)" on_branch
  if git fetch --quiet origin "$branch" 2>/dev/null; then
    check "behind origin/$branch: git pull first" up_to_date
  else
    problems+=("origin/$branch cannot be fetched")
  fi
else
  problems+=('not in the root directory of the git repository')
fi
if command -v gh >/dev/null; then check 'gh is not signed in: gh auth login' gh auth status; else problems+=('gh is not installed: https://cli.github.com'); fi
check 'python -m pytest does not run: pip install pytest' python -m pytest --version
check 'python -m build does not run: pip install build' python -m build --version
current=$(versions current 2>&1) || current=unknown
[[ $current != unknown ]] || problems+=('no current version in pyproject.toml, setup.cfg, setup.py or __init__.py')
if [[ -z $version || -z $type ]]; then stop_if_problems; fi # nobody should type in vain

info "Current version: $current"
[[ -n $version ]] || read -rp 'Enter new version: ' version
if [[ -z $type ]]; then
  printf '  %s\n' '1 patch' '2 minor' '3 major' '4 pre-release'
  read -rp 'Select release type: ' type
  asked=true
fi
version=${version#v} tag=v${version#v}
case $type in
  1 | '1 (patch)' | patch) type=patch number=1 ;;
  2 | '2 (minor)' | minor) type=minor number=2 ;;
  3 | '3 (major)' | major) type=major number=3 ;;
  4 | '4 (pre-release)' | pre-release) type=pre-release number=4 ;;
  *) number=0 ;;
esac
if ((number == 0)); then
  problems+=("no such release type: $type (expected patch, minor, major or pre-release)")
elif [[ ${asked-} && -t 1 ]]; then
  printf '\e[1A\r\e[KSelect release type: %s (%s)\n' "$number" "$type" # the answer with its meaning
fi
wrong=$(versions check "$version" "$type" 2>&1) || wrong="versions cannot be compared: ${wrong##*$'\n'}"
while IFS= read -r problem; do [[ -z $problem ]] || problems+=("$problem"); done <<<"$wrong"
check "the tag $tag is here already" no_local_tag
check "the tag $tag is on the remote already" no_remote_tag
stop_if_problems

ahead=$(git rev-list --count FETCH_HEAD..HEAD)
((ahead == 0)) || info "$ahead local commit(s) not yet on origin/$branch will be pushed too"
release=(gh release create "$tag" --title "$tag" --generate-notes --verify-tag)
[[ $type != pre-release ]] || release+=(--prerelease)
mapfile -t files < <(versions files)
if [[ $dry_run == true ]]; then
  info "Would write $version in: ${files[*]}"
  info 'Would run: python -m pytest tests/, python -m build'
  info "Would commit and tag $tag, and run: git push --atomic origin HEAD:$branch refs/tags/$tag"
  info "Would run: ${release[*]} dist/*"
  exit 0
fi
if [[ $yes == false ]]; then
  read -rp 'Continue? ' answer
  [[ $answer =~ ^[Yy]([Ee][Ss])?$ ]] || fail 'Not released, nothing was changed'
  echo
fi

work=$(mktemp -d) stage=start commit=''
arrived() { [[ $(git ls-remote origin "refs/tags/$tag" | cut -f1) == "$(git rev-parse "refs/tags/$tag")" ]]; }
put_back() { # on every way out, also Ctrl-C
  local code=$?
  [[ $stage != pushing ]] || ! arrived 2>/dev/null || stage=pushed
  case $stage in
    bumped | committed | pushing)
      [[ $stage != pushing ]] || git tag --delete "$tag" >/dev/null
      if [[ -n $commit && $(git rev-parse HEAD) == "$commit" ]]; then git reset --quiet --soft HEAD~1; fi
      git reset --quiet -- "${files[@]}"
      for file in "${files[@]}"; do cp "$work/before/$file" "$file"; done
      echo "Nothing was released. The version files are as they were${commit:+; the commit and the tag $tag were removed again}." >&2
      ;;
    pushed) printf 'Commit and tag %s are on the remote. To finish, run:\n ' "$tag" >&2 && printf ' %q' "${release[@]}" >&2 && echo >&2 ;;
  esac
  rm -rf "$work"
  exit "$code"
}
trap put_back EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
quietly() { # what failed, command: its output is shown only if it fails
  local what=$1
  shift
  "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2 && fail "$what"; }
}

for file in "${files[@]}"; do mkdir -p "$work/before/$(dirname "$file")" && cp "$file" "$work/before/$file"; done
stage=bumped
versions bump "$version"
quietly 'Tests failed' python -m pytest tests/
done_ 'Tests passed'
touch "$work/start"
quietly 'Build failed' python -m build
mapfile -d '' -t built < <(find dist -maxdepth 1 -type f -newer "$work/start" -print0 2>/dev/null | sort -z)
((${#built[@]})) || fail 'Build failed: it put nothing in dist/'
release+=("${built[@]}") # an older build that lies in dist/ is no part of this release
done_ 'Package built'
quietly 'Commit failed' git commit --quiet --message "Release $tag" -- "${files[@]}"
commit=$(git rev-parse HEAD) stage=committed
done_ 'Changes committed'
quietly 'Tag failed' git tag --annotate "$tag" --message "Release $tag ($type)"
stage=pushing
done_ 'Tag created'
# An answer lost on its way back is no failed push: the remote's own tag tells.
push() { git push --atomic origin "HEAD:$branch" "refs/tags/$tag" || arrived; }
quietly 'Push failed' push
stage=pushed
done_ 'Pushed to remote'
quietly 'GitHub release failed' "${release[@]}"
stage=released
done_ 'GitHub release created'
