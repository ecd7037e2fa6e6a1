#!/usr/bin/env bash
# Gets into .tools what a cluster with Argo CD and its Image Updater has before any stack: the definitions of their kinds, and the
# objects that people and stacks change afterwards, in folders named as their namespaces. Nothing is built; versions and
# digests are go.mod's and go.sum's.
set -euo pipefail
cd "$(dirname "$0")"
tools=$(cd ../../.. && pwd)/.tools/kubernetes
export GOFLAGS=-mod=readonly
command -v go >/dev/null || {
  echo "Argo CD's manifests are Go modules, and Go is not on PATH: https://go.dev/doc/install" >&2
  exit 1
}
go mod download github.com/argoproj/argo-cd/v3 github.com/argoproj-labs/argocd-image-updater
argo=$(go list -m -f '{{.Dir}}' github.com/argoproj/argo-cd/v3)/manifests
updater=$(go list -m -f '{{.Dir}}' github.com/argoproj-labs/argocd-image-updater)/config

rm -rf "$tools"/{definitions,installed}
mkdir -p "$tools"/{definitions/{argo-cd,image-updater},installed/argocd}
install -m 644 "$argo"/crds/*-crd.yaml "$tools/definitions/argo-cd/"
install -m 644 "$updater"/crd/bases/*.yaml "$tools/definitions/image-updater/"
install -m 644 "$argo"/base/{config/argocd-*,notification/argocd-notifications-{cm,secret}}.yaml \
  "$updater"/default/argocd-image-updater-{cm,secret,ssh-config}.yaml "$tools/installed/argocd/"
