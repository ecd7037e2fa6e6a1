# shellcheck shell=bash
# Refuses a tag that is no version: under what was deployed once, nothing else may be found later. Reads TAG
set -euo pipefail
number='(0|[1-9][0-9]{0,8})'
if ! [[ $TAG =~ ^v$number\.$number\.$number$ ]]; then
  shown=${TAG@Q}
  echo "::error title=Not a version::the tag ${shown//'%'/%25} is no version: expected vX.Y.Z, three numbers of at most 9 digits" \
    "without leading zeros. Nothing was deployed. Delete it (git push --delete origin TAG) and tag the commit as a version"
  exit 1
fi
