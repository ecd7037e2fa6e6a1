# shellcheck shell=bash
# Deploys the checked-out source to an existing Cloud Function (2nd gen) and waits until it serves.
# Reads FUNCTION_NAME, GCP_PROJECT, REGION, RUNTIME, ENTRY_POINT, BUILD_ACCOUNT (its full name), PACKAGE, VERSION and LABEL (both may be empty: no exact version is
# pinned), SHA, ACCESS (how this logs in to Google, for messages), GITHUB_STEP_SUMMARY and, if given, VERIFY_ATTEMPTS (30), VERIFY_SECONDS (10).
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { # title (known text), message
  local message=${2//%/%25}
  message=${message//$'\r'/%0D}
  printf '::error title=%s::%s\n' "$1" "${message//$'\n'/%0A}"
  exit 1
}

for name in FUNCTION_NAME GCP_PROJECT REGION RUNTIME ENTRY_POINT BUILD_ACCOUNT PACKAGE SHA; do # they stand in arguments, in messages, in the summary
  [[ ${!name-} =~ ^[A-Za-z0-9_][A-Za-z0-9:._/@-]*$ ]] || fail 'Not deployed' "$name is empty or has characters that do not belong in it"
done
[[ ${LABEL-} =~ ^[a-z0-9_-]{0,63}$ ]] || fail 'Not deployed' 'LABEL is no value of a label'
where=(--gen2 "--region=$REGION" "--project=$GCP_PROJECT")
labels=commit=${SHA:0:12}
if [[ -n ${VERSION-} ]]; then
  labels="$PACKAGE=$LABEL,$labels" label=("--update-labels=$labels")
else # no label is better than that of another version
  label=("--update-labels=$labels" "--remove-labels=$PACKAGE")
fi

describe() { gcloud functions describe "$FUNCTION_NAME" "${where[@]}" --format=json >"$work/function" 2>"$work/errors"; }
explain() { # title, what of gcloud's words is shown: says what is to be mended
  case $2 in
    *'[403]'* | *PERMISSION_DENIED* | *actAs* | *[Pp]'ermission'*' denied'*)
      fail "$1" "The account of $ACCESS lacks permissions in $GCP_PROJECT. Give it the roles Cloud Functions Developer and Service Account User in IAM. $2" ;;
    *) fail "$1" "gcloud said: $2" ;;
  esac
}
get() { jq -r "$1" "$work/function"; }

if ! describe; then
  said=$(tail -c 1500 "$work/errors")
  case $said in
    *'[404]'* | *NOT_FOUND* | *'was not found'*)
      fail 'Not deployed' "The function $FUNCTION_NAME does not exist in $GCP_PROJECT, $REGION. Check FUNCTION_NAME, which comes from the infrastructure's stack file; its program creates the function. $said" ;;
    *'active account'* | *'[401]'* | *UNAUTHENTICATED* | *invalid_grant* | *redential*)
      fail 'Not deployed' "Google does not accept the credentials of $ACCESS: not configured, or revoked. $said" ;;
    *) explain 'Not deployed' "$said" ;;
  esac
fi
before=$(get '.serviceConfig.revision // ""')
echo "Serving before: ${before:-nothing}"

# gcloud updates an existing function by an update mask: what has no flag here (trigger, memory, service account,
# secrets, ingress, who may call it, other labels) stays as the infrastructure program set it. How it is built is
# the deployment's: runtime and entry point come from the stack file with this workflow, and the account is named
# because gcloud would look for Google's default one. A deployment is not tried twice: a second one would only hide
# why the first failed.
how=("--runtime=$RUNTIME" "--entry-point=$ENTRY_POINT" "--build-service-account=$BUILD_ACCOUNT")
if ! gcloud functions deploy "$FUNCTION_NAME" "${where[@]}" --source=. "${how[@]}" "${label[@]}" --quiet 2>&1 | tee "$work/deployed"; then
  still=$before
  if describe; then still=$(get '.serviceConfig.revision // ""'); fi
  explain 'Deployment failed' "$(tail -c 1500 "$work/deployed") Still serving: ${still:-nothing}."
fi

attempts=${VERIFY_ATTEMPTS:-30} state='' revision='' found='' pinned='' messages=''
for ((attempt = 1; attempt <= attempts; attempt++)); do
  if describe; then
    state=$(get '.state // ""')
    revision=$(get '.serviceConfig.revision // ""')
    found=$(get '[.labels // {} | to_entries[] | "\(.key)=\(.value)"] | join(",")')
    pinned=$(get '.serviceConfig.allTrafficOnLatestRevision == false')
    messages=$(get '[.stateMessages[]? | "\(.severity): \(.message)"] | join("; ") | .[:1000]')
    [[ $state != FAILED ]] || break
    if [[ $state == ACTIVE && -n $revision && $revision != "$before" && $pinned == false ]] &&
      jq -e --arg labels "$labels" '.labels as $have | $labels | split(",") | all(split("=") as [$k, $v] | $have[$k] == $v)' "$work/function" >/dev/null; then
      echo "$FUNCTION_NAME: revision $revision is serving${VERSION:+ with $PACKAGE==$VERSION}"
      echo "- \`$FUNCTION_NAME\`: revision \`$revision\` is serving${VERSION:+ with \`$PACKAGE==$VERSION\`}, commit \`${SHA:0:12}\`" >>"$GITHUB_STEP_SUMMARY"
      exit 0
    fi
  else
    state="unknown: $(tail -c 500 "$work/errors")"
  fi
  ((attempt == attempts)) || sleep "${VERIFY_SECONDS:-10}"
done
[[ $state == ACTIVE && -n $revision && $revision != "$before" && $pinned == false ]] && serving=$revision || serving=$before
fail 'Not verified' "$FUNCTION_NAME: expected state ACTIVE, a revision other than ${before:-none}, all traffic on it, and the labels $labels; found state $state, revision ${revision:-none}, labels ${found:-none}. ${messages:-No state messages}. Still serving: ${serving:-nothing}."
