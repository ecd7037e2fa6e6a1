#!/usr/bin/env bash
# As the official image of PostgreSQL does: an empty PGDATA becomes a cluster with the user, password and database of the
# environment, and the server is not root.
set -euo pipefail

# Sets a variable from the file that its name with _FILE tells.
from_file() {
  local file=$1_FILE
  if [[ -n ${!1:-} && -n ${!file:-} ]]; then
    echo "error: both $1 and $file are set" >&2
    exit 1
  fi
  if [[ -n ${!file:-} ]]; then printf -v "$1" %s "$(<"${!file}")"; fi
  unset "$file"
}

initialise() {
  from_file POSTGRES_PASSWORD
  from_file POSTGRES_USER
  from_file POSTGRES_DB
  from_file POSTGRES_INITDB_ARGS
  local user=${POSTGRES_USER:-postgres} method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
  local database=${POSTGRES_DB:-$user} args file
  if [[ -z ${POSTGRES_PASSWORD:-} && $method != trust ]]; then
    echo "Error: Database is uninitialized and superuser password is not specified. Set POSTGRES_PASSWORD." >&2
    exit 1
  fi
  read -ra args <<<"${POSTGRES_INITDB_ARGS:-}"
  initdb --username="$user" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") "${args[@]}"
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
  printf "\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start
  local psql=(psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$user")
  if [[ $database != postgres ]]; then
    "${psql[@]}" --dbname postgres --set db="$database" <<<'CREATE DATABASE :"db";'
  fi
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) bash "$file" ;;
      *.sql) "${psql[@]}" --dbname "$database" --file "$file" ;;
      *.sql.gz) gunzip -c "$file" | "${psql[@]}" --dbname "$database" ;;
    esac
  done
  pg_ctl --wait --mode=fast stop
}

if [[ ${1:-} == -* ]]; then set -- postgres "$@"; fi
if [[ $1 == postgres ]]; then
  if ((EUID == 0)); then
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    chmod 3775 /var/run/postgresql
    find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres '{}' +
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi
  if [[ ! -s $PGDATA/PG_VERSION ]]; then initialise; fi
fi
exec "$@"
