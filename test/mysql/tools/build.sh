#!/usr/bin/env bash
# Builds the rclone that test/mysql runs into .tools; version and digests are go.mod's and go.sum's.
set -euo pipefail
cd "$(dirname "$0")"
bin=$(cd ../../.. && pwd)/.tools/bin
export CGO_ENABLED=0 GOFLAGS=-mod=readonly
command -v go >/dev/null || {
  echo "rclone is built by Go, which is not on PATH: https://go.dev/doc/install" >&2
  exit 1
}
version=$(go list -m -f '{{.Version}}' github.com/rclone/rclone)
go build -p 2 -trimpath -ldflags "-s -w -X github.com/rclone/rclone/fs.Version=$version" -o "$bin/rclone" .
