# shellcheck shell=bash
# Says, in the log and the job's summary, what was published and what happens next.
# Reads IMAGE, VERSION, DIGEST, REVISION, SOURCE and HOTFIX (either may be empty), VALUES, BRANCH, THEN
# and GITHUB_STEP_SUMMARY.
set -euo pipefail

how=built
[[ -z $SOURCE ]] || how="promoted from \`$SOURCE\`, the same image"
[[ -z $HOTFIX ]] || how="built as a hotfix (${HOTFIX//[\`<>]/ })"
next="Argo CD Image Updater commits it into \`$VALUES\` on $BRANCH; $THEN"
line="Published \`$IMAGE:$VERSION\`, \`$DIGEST\`, of the commit \`$REVISION\`: $how. Next: $next."
printf '%s\n' "${line//\`/}"
printf '%s\n' "$line" >>"$GITHUB_STEP_SUMMARY"
