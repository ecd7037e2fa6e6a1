#!/usr/bin/env bash
# Builds what the sandbox's Kubernetes is made of into .tools: API server, controllers, scheduler, etcd, kwok as the nodes; and
# kubectl of the same version.
# Versions and digests are go.mod's and go.sum's.
set -euo pipefail
cd "$(dirname "$0")"
tools=$(cd ../../.. && pwd)/.tools
export CGO_ENABLED=0 GOFLAGS=-mod=readonly
command -v go >/dev/null || {
  echo "Kubernetes is built by Go, which is not on PATH: https://go.dev/doc/install" >&2
  exit 1
}
# Clients read the server's version, which a plain build does not have.
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
IFS=. read -r _ minor _ <<<"$version"
flag="-X k8s.io/component-base/version"
# Two at a time: a third would take more than 2 GB.
go build -p 2 -trimpath -o "$tools/bin/" \
  -ldflags "-s -w $flag.gitVersion=$version $flag.gitMajor=1 $flag.gitMinor=$minor" \
  k8s.io/kubernetes/cmd/kube{-apiserver,-controller-manager,-scheduler,ctl} sigs.k8s.io/kwok/cmd/kwok
go build -p 2 -trimpath -ldflags "-s -w" -o "$tools/bin/etcd" go.etcd.io/etcd/server/v3

rm -rf "$tools"/kubernetes/{stages,objects}
mkdir -p "$tools"/kubernetes/{stages,objects}
kwok=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
install -m 644 "$kwok"/{node,pod,volume}/fast/*-*.yaml "$tools/kubernetes/stages/"
mv "$tools/kubernetes/stages/storage-class.yaml" "$tools/kubernetes/objects/"
