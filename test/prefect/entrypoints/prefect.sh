#!/usr/bin/env bash
# As the official image of Prefect does: packages first, then what is asked for.
set -e
if [[ -n ${EXTRA_PIP_PACKAGES:-} ]]; then
  # Several, separated by spaces.
  # shellcheck disable=SC2086
  pip install $EXTRA_PIP_PACKAGES
fi
(($# > 0)) || set -- bash --login
exec "$@"
