#!/bin/sh
# As the official image of Traefik does: options and subcommands are Traefik's.
set -e
case ${1:-} in -*) set -- traefik "$@" ;; esac
if [ "$1" != traefik ] && traefik "$1" --help >/dev/null 2>&1; then set -- traefik "$@"; fi
exec "$@"
