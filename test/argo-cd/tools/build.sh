#!/usr/bin/env bash
# Builds what test/argo-cd runs into .tools: Argo CD, the Helm that it calls, and the oracles of sync windows and image tags.
# Versions and digests are those of the go.mod and go.sum of each folder here.
set -euo pipefail
cd "$(dirname "$0")"
tools=$(cd ../../.. && pwd)/.tools
bin=$tools/bin
export CGO_ENABLED=0 GOFLAGS=-mod=readonly
command -v go >/dev/null || {
  echo "Argo CD is built by Go, which is not on PATH: https://go.dev/doc/install" >&2
  exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Builds two packages at a time: a third would take more than 2 GB.
build() {
  local out=$1 flags=$2 package=$3
  go build -p 2 -trimpath -ldflags "-s -w $flags" -o "$bin/$out" "$package"
}

(cd image-tags && build image-tags-oracle "" .)
(cd sync-windows && go test -c -p 2 -trimpath -ldflags "-s -w" -o "$bin/sync-windows-oracle" .)

cd helm
version=$(go list -m -f '{{.Version}}' helm.sh/helm/v3)
build helm "-X helm.sh/helm/v3/internal/version.version=$version" helm.sh/helm/v3/cmd/helm

# Inside its own module, so that its own go.mod and go.sum say of what.
cd ../argo-cd
go mod download github.com/argoproj/argo-cd/v3
read -r version folder < <(go list -m -f '{{.Version}} {{.Dir}}' github.com/argoproj/argo-cd/v3)
cp -r --no-preserve=mode "$folder" "$work/argo-cd"
cd "$work/argo-cd"
# The one address that no flag changes: the controller's metrics are for this machine too.
grep -q 'Sprintf("0\.0\.0\.0:%d", metricsPort)' controller/appcontroller.go
sed -i 's/Sprintf("0\.0\.0\.0:%d", metricsPort)/Sprintf("127.0.0.1:%d", metricsPort)/' controller/appcontroller.go
build argocd "-X github.com/argoproj/argo-cd/v3/common.version=${version#v}" ./cmd
