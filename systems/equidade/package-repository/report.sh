# shellcheck shell=bash
# Says which repositories were notified and exactly which were not, from the outcome of this run's jobs
# "dispatch (NAME)", "dispatch-2 (NAME)", ...
# Reads GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT, GITHUB_TOKEN, VERSION,
# GITHUB_STEP_SUMMARY.
set -euo pipefail

fail() { # title, message: both made of known text or escaped by the caller
  printf '::error title=%s::%s\n' "$1" "$2"
  exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/jobs"
for ((page = 1, seen = 0, total = 1; seen < total; page++)); do
  # No --fail: an answer such as 404 is final, 5xx and a broken connection are tried again by curl itself.
  # The token goes through a pipe, never through an argument list.
  status=$(curl --silent --show-error --output "$work/page" --write-out '%{http_code}' \
    --retry 4 --retry-all-errors --retry-max-time 120 --connect-timeout 10 --max-time 30 \
    --header 'Accept: application/vnd.github+json' --header 'X-GitHub-Api-Version: 2022-11-28' \
    --config <(printf 'header = "Authorization: Bearer %s"\n' "${GITHUB_TOKEN-}") \
    "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID/attempts/$GITHUB_RUN_ATTEMPT/jobs?per_page=100&page=$page") || true
  [[ $status == 200 ]] || fail 'No report' "GitHub answered ${status:-nothing} when asked for the jobs of this run (page $page): see the jobs themselves"
  read -r total count < <(jq -r '"\(.total_count // 0) \(.jobs | length)"' "$work/page") || fail 'No report' 'GitHub sent no list of jobs: see the jobs themselves'
  jq -c '.jobs[]' "$work/page" >>"$work/jobs"
  seen=$((seen + count))
  ((count > 0)) || break
done

# A job that is not there to have succeeded (cancelled, skipped, timed out) has notified nobody.
jq -s '
  [.[] | select(.name | test("^dispatch(-[0-9]+)? \\(.+\\)$"))
       | {repo: (.name | capture("\\((?<r>.+)\\)$").r), result: (.conclusion // .status), url: .html_url}]
  | unique_by(.repo) | {all: length, failed: map(select(.result != "success"))}' "$work/jobs" >"$work/result"
read -r all failed < <(jq -r '"\(.all) \(.failed | length)"' "$work/result")
((all > 0)) || fail 'Nobody was notified' 'no dispatch job ran: the list of repositories is empty or the jobs before it failed'

jq -r --arg version "${VERSION-}" '
  def cell: gsub("[\\|\r\n`<>]"; " ");
  "### Release \($version | cell)", "", "| Repositories | |", "| --- | ---: |",
  "| notified | \(.all - (.failed | length)) |", "| not notified | \(.failed | length) |",
  if .failed == [] then empty else
    "", "| Not notified | Job |", "| --- | --- |",
    (.failed[] | "| \(.repo | cell) | \(if .url then "[\(.result)](\(.url))" else .result end) |")
  end' "$work/result" >>"$GITHUB_STEP_SUMMARY"

if ((failed > 0)); then
  names=$(jq -r '[.failed[] | "\(.repo) (\(.result))"] | join(", ") | gsub("%"; "%25") | gsub("\r"; "%0D") | gsub("\n"; "%0A")' "$work/result")
  fail 'Not all repositories were notified' "$failed of $all not notified: $names. Run the failed jobs again, or look at each one for what to mend."
fi
echo "all $all repositories notified"
