# shellcheck shell=bash
# Checks the version to be deployed and writes it as a release's tag: version=v0.2.3.
# Reads REQUESTED (a release's tag or a version typed by hand), CHECK_RELEASE ("true": the release must
# exist), GITHUB_REPOSITORY, GITHUB_API_URL, GITHUB_TOKEN, GITHUB_OUTPUT.
set -euo pipefail
LC_ALL=C # [0-9] means ten digits, and lengths are bytes

fail() { # title, message: both made of known text or escaped by the caller
  printf '::error title=%s::%s\n' "$1" "$2"
  exit 1
}

# PEP 440 (0.2.3rc1, 1.0.0a2, .post1, .dev3) or its semver spelling (0.2.3-rc.1). The function
# repositories check what they receive by the same rule.
version='^v?[0-9]+(\.[0-9]+)+([-._]?(a|b|c|rc|alpha|beta|pre|preview)([-._]?[0-9]+)?)?([-._]?(post|rev|r)([-._]?[0-9]+)?)?([-._]?dev([-._]?[0-9]+)?)?$'
REQUESTED=${REQUESTED-}
if ((${#REQUESTED} > 50)) || [[ ! $REQUESTED =~ $version ]]; then
  printf -v found '%q' "${REQUESTED:0:60}"
  fail 'Not a version' "found ${found//%/%25}, expected a version such as v0.2.3, 0.2.3rc1 or 0.2.3-rc.1 (50 characters at most)"
fi
tag=v${REQUESTED#v}
if [[ ${CHECK_RELEASE-} != true && $REQUESTED != v* ]]; then
  fail 'Not a tag for a release' "the release's tag is $REQUESTED, expected $tag: only tags that begin with v may deploy"
fi

if [[ ${CHECK_RELEASE-} == true ]]; then
  # No --fail: an answer such as 404 is final, 5xx and a broken connection are tried again by curl itself.
  # The token goes through a pipe, never through an argument list.
  status=$(curl --silent --show-error --output /dev/null --write-out '%{http_code}' \
    --retry 4 --retry-all-errors --retry-max-time 120 --connect-timeout 10 --max-time 30 \
    --header 'Accept: application/vnd.github+json' --header 'X-GitHub-Api-Version: 2022-11-28' \
    --config <(printf 'header = "Authorization: Bearer %s"\n' "${GITHUB_TOKEN-}") \
    "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/releases/tags/$tag") || true
  case $status in
    200) ;;
    404) fail 'No such release' "$tag is not a published release of this repository, so no function was notified. See its releases for the versions that can be deployed." ;;
    *) fail 'Release not checked' "GitHub answered ${status:-nothing} when asked for the release $tag, so no function was notified. Run this workflow again." ;;
  esac
fi

echo "version=$tag" >>"$GITHUB_OUTPUT"
echo "Version to deploy: $tag"
