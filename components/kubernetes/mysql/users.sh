#!/usr/bin/env bash
# Run by the MySQL image at the first start: makes the user who reads the database for its backups, and can do nothing else.
# Reads MYSQL_ROOT_PASSWORD, MYSQL_DATABASE, BACKUP_USER, BACKUP_PASSWORD and, for tests, MYSQL_SOCKET.
set -euo pipefail

quoted() { # text: as SQL has it between ''
  local text=${1//\\/\\\\}
  printf "'%s'" "${text//\'/\'\'}"
}
named() { # name: as SQL has it between ``
  printf '%s' "\`${1//\`/\`\`}\`"
}
user="$(quoted "$BACKUP_USER")@'%'"
# An underscore stands for any letter in a grant.
database=$(named "${MYSQL_DATABASE//_/\\_}")

# The text reaches the client by standard input, and root's password by the environment: neither is an argument. The last grant is
# for reading the routines of others: MySQL and MariaDB have a privilege each, and take the other's for a comment.
MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --protocol=socket ${MYSQL_SOCKET:+--socket="$MYSQL_SOCKET"} --user=root <<SQL
CREATE USER $user IDENTIFIED BY $(quoted "$BACKUP_PASSWORD");
GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON $database.* TO $user;
GRANT /*!80020 SHOW_ROUTINE ON *.* */ /*M!100000 SELECT ON mysql.proc */ TO $user;
SQL
