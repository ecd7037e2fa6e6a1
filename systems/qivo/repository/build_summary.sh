# shellcheck shell=bash
# What was built with what, and what the linter said, which holds nothing up. Reads LINT, BUILD and GITHUB_STEP_SUMMARY
set -euo pipefail
version() { "$@" 2>/dev/null || echo 'not set up'; }
{
  echo '| | |'
  echo '| --- | --- |'
  echo "| Node.js | $(version node --version) |"
  echo "| pnpm | $(version pnpm --version) |"
  echo "| Python | $(version python --version) |"
  echo "| Linter | ${LINT:-not run} |"
  echo "| Build | ${BUILD:-not run} |"
} >>"$GITHUB_STEP_SUMMARY"
if [[ $LINT == failure ]]; then
  echo '::warning title=Linter::The linter found something: see its step. Nothing is held up by it'
fi
