#!/usr/bin/env bash
# Dumps a database into a bucket, as DATABASE/TIME.sql.gz, and nothing of it onto a disk. Beside it TIME.sql.gz.sha256 comes last: a
# dump that has one is whole.
# Reads MYSQL_HOST, MYSQL_PORT, MYSQL_DATABASE, MYSQL_USER, MYSQL_PWD (which the clients take by itself) and REMOTE, what rclone calls
# the bucket. The clients' options are such as MySQL 8.4 has, by its manual, and MariaDB 10.11, with which this is tested.
set -euo pipefail

object=$MYSQL_DATABASE/$(date -u +%Y-%m-%dT%H-%M-%SZ).sql.gz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed() {
  echo "NOT BACKED UP: $1. What has been written of $object has no checksum, so nothing restores it." >&2
  exit 1
}

mkfifo "$work/text" "$work/bytes"
tail --bytes=200 <"$work/text" >"$work/end" &
ending=$!
sha256sum <"$work/bytes" >"$work/sum" &
summing=$!
# One transaction: what others write meanwhile is not in it, and they do not wait. Bytes as hex digits, which no character set changes.
mysqldump --host="$MYSQL_HOST" --port="$MYSQL_PORT" --user="$MYSQL_USER" \
  --single-transaction --quick --skip-lock-tables --routines --triggers --events --hex-blob --no-tablespaces \
  --default-character-set=utf8mb4 --max-allowed-packet=1G "$MYSQL_DATABASE" |
  tee "$work/text" | gzip | tee "$work/bytes" | rclone rcat "$REMOTE/$object" ||
  failed "the dump of $MYSQL_DATABASE or its upload failed"
wait "$ending" "$summing"
# Its last words, which it also owes where it ended without an error.
[[ $(<"$work/end") == *"-- Dump completed"* ]] || failed "the dump of $MYSQL_DATABASE does not end as a whole one does"
read -r sum _ <"$work/sum"

rclone rcat "$REMOTE/$object.sha256" <<<"$sum  ${object##*/}" || failed "the checksum could not be uploaded"
echo "backed up $MYSQL_DATABASE into $object"
