#!/bin/sh
# Dumps the database every night, and once at the start where there is no dump of the last 24 hours.
# Reads PGHOST, PGUSER, PGDATABASE, PGPASSWORD, BACKUP_AT (HH:MM, UTC), BACKUP_DAYS and, for tests, BACKUP_FOLDER
# (/backups) and BACKUP_RETRY (seconds, 600).
set -eu

folder=${BACKUP_FOLDER:-/backups}
child=
part=
trap 'kill ${child:+"$child"} 2>/dev/null || :; rm -f "$part"; exit 0' TERM INT

run() { # command: one that a signal ends, which would wait for it otherwise
  "$@" &
  child=$!
  wait "$child"
}

dumps() { find "$folder" -name "$PGDATABASE-*.dump" "$@"; }

backup() {
  file=$folder/$PGDATABASE-$(date -u +%Y%m%dT%H%M%SZ).dump
  part=$file.part
  # A dump has its name once it is whole and has been read to its end.
  if run pg_dump --format=custom --file="$part" && run pg_restore --file=/dev/null "$part" && mv "$part" "$file"; then
    echo "dumped $PGDATABASE into $file"
    # Only now, so that a database that cannot be dumped never loses its last dumps.
    dumps -mtime "+$((BACKUP_DAYS - 1))" ! -path "$file" -exec rm -f {} + ||
      echo "could not delete the old dumps in $folder" >&2
  else
    rm -f "$part"
    return 1
  fi
}

seconds_until() { # HH:MM
  hour=${1%:*}
  minute=${1#*:}
  now=$(date -u +%s)
  at=$((now / 86400 * 86400 + ${hour#0} * 3600 + ${minute#0} * 60))
  [ "$at" -gt "$now" ] || at=$((at + 86400))
  echo $((at - now))
}

# What a start before this one was killed at.
rm -f "$folder/$PGDATABASE"-*.dump.part
[ -n "$(dumps -mmin -1440)" ] || due=now
while :; do
  [ "${due-}" ] || run sleep "$(seconds_until "$BACKUP_AT")"
  due=
  until backup; do
    echo "could not dump $PGDATABASE; trying again in ${BACKUP_RETRY:-600} s" >&2
    run sleep "${BACKUP_RETRY:-600}"
  done
done
