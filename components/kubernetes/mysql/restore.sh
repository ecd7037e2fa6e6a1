#!/usr/bin/env bash
# Brings a database back as a backup has it: what it holds now goes first.
# Reads MYSQL_HOST, MYSQL_PORT, MYSQL_DATABASE, MYSQL_USER, MYSQL_PWD (which the clients take by itself), REMOTE, what rclone calls the
# bucket, BACKUP, such as shop/2026-11-22T03-00-00Z.sql.gz (else the newest whole one), and CONFIRM, the name of a database that is
# not empty.
set -euo pipefail

refuse() {
  echo "NOT RESTORED: $1" >&2
  exit 1
}
sql() {
  mysql --host="$MYSQL_HOST" --port="$MYSQL_PORT" --user="$MYSQL_USER" --default-character-set=utf8mb4 \
    --batch --skip-column-names "$@"
}
named() { # name: as SQL has it between ``
  printf '%s' "\`${1//\`/\`\`}\`"
}

object=${BACKUP:-}
if [[ ! $object ]]; then
  sums=$(rclone lsf --files-only --include '*.sql.gz.sha256' "$REMOTE/$MYSQL_DATABASE") ||
    refuse "there is no backup of $MYSQL_DATABASE in $REMOTE, or they could not be listed"
  # Their names are times.
  newest=$(LC_ALL=C sort <<<"$sums" | tail --lines=1)
  [[ $newest ]] || refuse "there is no whole backup of $MYSQL_DATABASE in $REMOTE"
  object=$MYSQL_DATABASE/${newest%.sha256}
fi
sum=$(rclone cat "$REMOTE/$object.sha256") && [[ $sum =~ ^([0-9a-f]{64})" " ]] ||
  refuse "$object has no checksum beside it that could be read, so it may not be whole; BACKUP names another one"
sum=${BASH_REMATCH[1]}

tables=$(sql --execute="SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()" "$MYSQL_DATABASE") ||
  refuse "the database $MYSQL_DATABASE could not be asked what it holds"
if ((tables > 0)) && [[ ${CONFIRM:-} != "$MYSQL_DATABASE" ]]; then
  refuse "the database $MYSQL_DATABASE holds $tables tables, which would be gone; CONFIRM=$MYSQL_DATABASE lets them go"
fi

echo "reading $object to its end first"
found=$(rclone cat "$REMOTE/$object" | sha256sum) || refuse "$object could not be read to its end"
[[ ${found%% *} == "$sum" ]] ||
  refuse "$object is not what was backed up: its SHA-256 is ${found%% *} and not $sum; BACKUP names another one"

# Also what the backup does not know, and would leave.
sql --execute="DROP DATABASE $(named "$MYSQL_DATABASE"); CREATE DATABASE $(named "$MYSQL_DATABASE")" ||
  refuse "the database $MYSQL_DATABASE could not be emptied"
rclone cat "$REMOTE/$object" | gzip --decompress --stdout |
  sql --binary-mode --max-allowed-packet=1G "$MYSQL_DATABASE" ||
  refuse "$MYSQL_DATABASE holds a part of $object only; once what failed works again, CONFIRM=$MYSQL_DATABASE starts anew"

echo "restored $object into $MYSQL_DATABASE:"
sql --execute="SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'
  ORDER BY table_name" "$MYSQL_DATABASE" | while IFS= read -r table; do
  echo "$table: $(sql --execute="SELECT COUNT(*) FROM $(named "$table")" "$MYSQL_DATABASE" </dev/null) rows"
done
