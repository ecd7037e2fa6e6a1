#!/usr/bin/env bash
# Gets into .tools what a cluster has before any stack: the definitions of Argo CD's, its Image Updater's and the Prometheus
# operator's kinds, and the objects of an Argo CD that people and stacks change afterwards, in folders named as their namespaces.
# Nothing is built; versions and digests are go.mod's and go.sum's.
set -euo pipefail
cd "$(dirname "$0")"
tools=$(cd ../../.. && pwd)/.tools/kubernetes
export GOFLAGS=-mod=readonly
command -v go >/dev/null || {
  echo "The definitions come as Go modules, and Go is not on PATH: https://go.dev/doc/install" >&2
  exit 1
}
go mod download github.com/argoproj/argo-cd/v3 github.com/argoproj-labs/argocd-image-updater \
  github.com/prometheus-operator/prometheus-operator
argo=$(go list -m -f '{{.Dir}}' github.com/argoproj/argo-cd/v3)/manifests
updater=$(go list -m -f '{{.Dir}}' github.com/argoproj-labs/argocd-image-updater)/config
operator=$(go list -m -f '{{.Dir}}' github.com/prometheus-operator/prometheus-operator)/example/prometheus-operator-crd

rm -rf "$tools"/{definitions,installed}
mkdir -p "$tools"/{definitions/{argo-cd,image-updater,prometheus-operator},installed/argocd}
install -m 644 "$argo"/crds/*-crd.yaml "$tools/definitions/argo-cd/"
install -m 644 "$updater"/crd/bases/*.yaml "$tools/definitions/image-updater/"
# Two of its ten kinds, those that are declared here: the others are ten times as long.
install -m 644 "$operator"/monitoring.coreos.com_{prometheusrules,servicemonitors}.yaml "$tools/definitions/prometheus-operator/"
install -m 644 "$argo"/base/{config/argocd-*,notification/argocd-notifications-{cm,secret}}.yaml \
  "$updater"/default/argocd-image-updater-{cm,secret,ssh-config}.yaml "$tools/installed/argocd/"
