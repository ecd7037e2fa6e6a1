#!/usr/bin/env bash
# Starts a worker in Prefect's own image, which lacks the package for this kind of worker.
# Reads POOL, PREFECT_VERSION, PREFECT_DOCKER_VERSION and, where images are private, REGISTRY, REGISTRY_USER, REGISTRY_TOKEN.
set -euo pipefail

if [[ ${REGISTRY_TOKEN-} ]]; then
  mkdir -p ~/.docker
  auth=$(printf '%s:%s' "$REGISTRY_USER" "$REGISTRY_TOKEN" | base64 --wrap 0)
  (umask 077 && printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$REGISTRY" "$auth" >~/.docker/config.json)
  unset REGISTRY_TOKEN
fi

# Exact versions: what an index has today must not decide what runs. A restarted container has them already, and needs no index.
wanted="prefect-docker==$PREFECT_DOCKER_VERSION prefect==$PREFECT_VERSION"
read -ra packages <<<"$wanted"
if [[ $(cat ~/.installed 2>/dev/null) != "$wanted" ]]; then
  pip install --quiet --disable-pip-version-check --root-user-action ignore "${packages[@]}"
  printf '%s' "$wanted" >~/.installed
fi

# The type makes the pool where there is none.
exec prefect worker start --pool "$POOL" --type docker --name prefect-worker --with-healthcheck
