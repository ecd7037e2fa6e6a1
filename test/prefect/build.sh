#!/usr/bin/env bash
# Builds what test/prefect/images.ts makes images of into .tools/prefect: debian.tar with PostgreSQL, Redis and Prefect, traefik.tar,
# and bin/ with Docker Compose and Pebble. A part is built again when what it is made of has changed.
set -euo pipefail
cd "$(dirname "$0")"
root=$(cd ../.. && pwd)
out=$root/.tools/prefect
pip=$root/.tools/python/bin/pip
mkdir -p "$out/bin"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "$1" >&2
  exit 1
}

# Runs a part's function, unless it was run with the same function and files.
part() {
  local name=$1 sum begun=$SECONDS
  shift
  sum=$(declare -f "$name" | cat - "$@" | sha256sum)
  [[ $(cat "$out/$name.sum" 2>/dev/null) == "$sum" ]] && return
  rm -f "$out/$name.sum"
  "$name"
  echo "$sum" >"$out/$name.sum"
  echo "test/prefect: $name in $((SECONDS - begun)) s"
}

debian() {
  local made=$work/debian name
  ((EUID == 0)) || fail "a Debian is laid out by root: call it as root"
  command -v debootstrap >/dev/null || fail "there is no debootstrap: Debian's package debootstrap has it"
  debootstrap --variant=minbase \
    --include=ca-certificates,busybox-static,postgresql-15,python3,python3-venv,redis-server,redis-tools,tini \
    bookworm "$made" http://deb.debian.org/debian >"$out/debootstrap.log" || fail "debootstrap: see $out/debootstrap.log"
  cd "$made"
  # What no container runs: half of its size. PostgreSQL compiles queries only where that is there.
  rm -rf etc/postgresql/15 var/lib/postgresql/15 var/cache/apt/* var/lib/apt/lists/* var/log/* usr/lib/postgresql/15/lib/{bitcode,llvmjit*} \
    usr/lib/*/libLLVM* usr/lib/*/libz3* usr/share/{doc,info,locale,man} dev/*
  # The folders of the images' volumes: a new one has the owner and mode of what it covers.
  chroot . install -d -o postgres -g postgres -m 3777 /var/run/postgresql
  chroot . install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data
  chroot . install -d -o redis -g redis /data
  # Each image has its own programs on PATH, and not the others'.
  find usr/bin -lname '*/pg_wrapper' -delete
  mkdir -p usr/lib/redis/bin usr/lib/busybox/bin
  mv usr/bin/redis-* usr/lib/redis/bin/
  for name in $(bin/busybox --list); do ln -s /bin/busybox "usr/lib/busybox/bin/$name"; done
  rm -rf "$out/debian"
  mv "$made" "$out/debian"
}

wheels() {
  local version platforms=()
  [[ -x $pip ]] || fail "there is no $pip: \`make prefect\` makes it first"
  for version in manylinux1 manylinux2010 manylinux2014 manylinux_2_{5,12,17,24,26,27,28,31,34,35,36}; do
    platforms+=(--platform "${version}_$(uname -m)")
  done
  rm -rf "$out/wheels"
  "$pip" download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: --python-version 3.11 \
    --implementation cp "${platforms[@]}" --dest "$out/wheels" --requirement requirements.txt
}

image() {
  cp -a "$out/debian" "$work/image"
  cp -r "$out/wheels" "$work/image/wheels"
  chroot "$work/image" python3 -m venv /opt/venv
  chroot "$work/image" env -i PATH=/opt/venv/bin:/usr/bin:/bin \
    pip install --quiet --disable-pip-version-check --no-index --find-links /wheels prefect prefect-redis
  tar --create --numeric-owner --directory "$work/image" --file "$out/debian.tar" .
}

traefik() {
  local version lego made=$work/traefik name flag=github.com/traefik/traefik/v3/pkg/version
  cd tools/traefik
  # go.mod replaces lego by this copy, without the providers of DNS.
  lego=$(cd / && go mod download -json github.com/go-acme/lego/v5@v5.3.1 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  rm -rf lego
  cp -r --no-preserve=mode "$lego" lego
  rm -rf lego/providers/dns/*
  cp lego-dns-providers.go.txt lego/providers/dns/providers.go
  version=$(go list -m -f '{{.Version}}' github.com/traefik/traefik/v3)
  go build -p 2 -trimpath -ldflags "-s -w -X $flag.Version=${version#v}" -o "$out/bin/" \
    github.com/traefik/traefik/v3/cmd/traefik github.com/letsencrypt/pebble/v2/cmd/pebble
  mkdir -p "$made"/{bin,tmp,usr/local/bin,etc/ssl/certs}
  chmod 1777 "$made/tmp"
  cp "$out/bin/traefik" "$made/usr/local/bin/"
  cp "$out/debian/bin/busybox" "$made/bin/"
  for name in $("$made/bin/busybox" --list); do [[ $name == busybox ]] || ln -s busybox "$made/bin/$name"; done
  cp "$out/debian/etc/ssl/certs/ca-certificates.crt" "$made/etc/ssl/certs/"
  tar --create --numeric-owner --owner=0 --group=0 --directory "$made" --file "$out/traefik.tar" .
}

compose() {
  local version
  cd tools/compose
  version=$(go list -m -f '{{.Version}}' github.com/docker/compose/v2)
  go build -p 2 -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$version" \
    -o "$out/bin/docker-compose" github.com/docker/compose/v2/cmd
}

command -v go >/dev/null || fail "Traefik and Docker Compose are built by Go, which is not on PATH: https://go.dev/doc/install"
export CGO_ENABLED=0 GOFLAGS=-mod=readonly
(part debian)
(part wheels requirements.txt)
(part image "$out/debian.sum" requirements.txt)
(part traefik tools/traefik/go.{mod,sum} tools/traefik/*.txt "$out/debian.sum")
(part compose tools/compose/go.{mod,sum})
