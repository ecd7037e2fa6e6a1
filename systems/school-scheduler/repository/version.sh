# Refuses a tag that is no version: under what was deployed once, nothing else may be found later.
set -euo pipefail
number='(0|[1-9][0-9]*)'
if ! [[ $TAG =~ ^v$number\.$number\.$number$ ]]; then
  echo "::error title=Not a version::the tag ${TAG@Q} is no version: expected vX.Y.Z, three numbers without leading zeros." \
    "Nothing was deployed. Delete it (git push --delete origin TAG) and tag the commit as a version"
  exit 1
fi
