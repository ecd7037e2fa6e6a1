# shellcheck shell=bash
# Tells one repository about a release, by a repository_dispatch event, and does not give up easily.
# Reads GITHUB_API_URL, GITHUB_ORG, REPO, EVENT_TYPE, PACKAGE, VERSION, TRIGGERED_BY, SOURCE_REPO, TOKEN,
# GITHUB_STEP_SUMMARY and, if given, RETRY_BASE_SECONDS (2) and, where the token is no PAT, for what messages say of
# it: TOKEN_SECRET (the secret's name), TOKEN_WANTED (what belongs in it) and TOKEN_PLACE (where it is).
set -euo pipefail

fail() { # title, message: both made of known text or escaped by the caller
  printf '::error title=%s::%s\n' "$1" "$2"
  exit 1
}

token_secret=${TOKEN_SECRET:-DEPLOY_TRIGGER_TOKEN}
secret="the secret $token_secret (${TOKEN_PLACE:-Settings → Secrets and variables → Actions})"
wanted=${TOKEN_WANTED:-a PAT with scopes: repo, workflow}
for name in GITHUB_ORG REPO EVENT_TYPE PACKAGE VERSION; do # they stand in the URL, in messages, in the summary
  [[ ${!name-} =~ ^[A-Za-z0-9._-]{1,100}$ ]] ||
    fail 'Not dispatched' "$name is empty or has characters other than letters, digits, '.', '_' and '-'"
done
target=$GITHUB_ORG/$REPO
TOKEN=${TOKEN-}
TOKEN=${TOKEN//[[:space:]]/} # a secret pasted with its line end
[[ -n $TOKEN ]] || fail "$token_secret is not configured" \
  "$target was not notified: $secret is not configured. Save in it $wanted"
[[ $TOKEN =~ ^[A-Za-z0-9_.-]+$ ]] || fail "$token_secret is not a token" \
  "$target was not notified: $secret has characters that no token has. Save in it $wanted"

payload=$(jq -cn --arg event "$EVENT_TYPE" --arg package "$PACKAGE" --arg version "$VERSION" \
  --arg by "$TRIGGERED_BY" --arg source "$SOURCE_REPO" --arg repo "$REPO" \
  '{event_type: $event, client_payload: {package: $package, version: $version, triggered_by: $by, source_repo: $source, repo_name: $repo}}')
body=$(mktemp)
trap 'rm -f "$body"' EXIT

# Sending twice does no harm: a function that has the version already pins it again and nothing changes.
for ((attempt = 1; ; attempt++)); do
  : >"$body"
  # The token goes through a pipe, never through an argument list.
  answer=$(curl --silent --show-error --path-as-is --connect-timeout 10 --max-time 30 --output "$body" \
    --write-out '%{http_code}|%header{retry-after}|%header{x-ratelimit-remaining}|%header{x-ratelimit-reset}' \
    --header 'Accept: application/vnd.github+json' --header 'X-GitHub-Api-Version: 2022-11-28' \
    --config <(printf 'header = "Authorization: Bearer %s"\n' "$TOKEN") \
    --data "$payload" "$GITHUB_API_URL/repos/$target/dispatches") || answer=000
  IFS='|' read -r status retry_after remaining reset <<<"$answer" || true

  limited=false
  mend=
  case $status in
    204) break ;;
    429) limited=true ;;
    000 | 500 | 502 | 503 | 504) ;;
    401) mend="$secret holds a token that has expired, was revoked or was never valid. Save in it anew $wanted" ;;
    403)
      if [[ -n $retry_after ]] || grep -qiE 'secondary rate limit|rate limit exceeded' "$body"; then
        limited=true
      else
        mend="the token has no permission on this repository. Make $wanted (authorised for the organisation's single sign-on), then save it in $secret"
      fi
      ;;
    404) mend="the repository does not exist or the token cannot see it. Check GITHUB_ORG and the repository's name, which come from the infrastructure's stack file, and that $secret holds $wanted" ;;
    301 | 302 | 307 | 308) mend="the repository was renamed or moved. Write its new name into the infrastructure's stack file" ;;
    422) mend="GitHub refuses the event itself. Check the event type and the payload" ;;
    *) mend="an answer that was not expected" ;;
  esac
  if [[ -z $mend ]] && ((attempt == 5)); then
    mend="GitHub could not be reached or is limiting this token. Run the failed jobs again later"
  fi
  if [[ -n $mend ]]; then
    said=$(jq -r '.message? // empty | strings | gsub("[^ -~]"; " ") | .[:200] | gsub("%"; "%25") | " GitHub said: " + .' "$body" 2>/dev/null) || said=
    fail 'Dispatch failed' "$target was not notified: status $status after $attempt attempt(s): $mend.$said"
  fi

  # What GitHub asks for goes first; told nothing, it wants a minute after a rate limit. The random part
  # keeps many jobs from coming back in the same second; the cap keeps a job from hanging.
  wait=$(jq -nr --argjson base "${RETRY_BASE_SECONDS:-2}" --argjson n "$attempt" --argjson limited "$limited" \
    --argjson random "$RANDOM" --arg after "$retry_after" --arg left "$remaining" --arg reset "$reset" '
      def seconds: tonumber? // null;
      ($after | seconds)
        // (if $left == "0" then ($reset | seconds | values) - (now | floor) else null end)
        // $base * (if $limited then 30 else 1 end) * pow(2; $n - 1)
      | [[., 0] | max + $base * $random / 32768, 120] | min * 100 | floor / 100')
  echo "$target: status $status at attempt $attempt, trying again in $wait s"
  sleep "$wait"
done

echo "$target: notified of $PACKAGE $VERSION at attempt $attempt"
echo "- \`$target\`: notified of \`$PACKAGE\` \`$VERSION\`" >>"$GITHUB_STEP_SUMMARY"
