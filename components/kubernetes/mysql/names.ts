/** What the database and its backups are called in a namespace: said once, for both sides of each rule between them. */

/** The service, the StatefulSet and the value of app.kubernetes.io/name. */
export const mysqlName = "mysql";

/** The job that makes backups, its account and its pods. */
export const backupName = "mysql-backup";

/** The job that brings one back, its account and its pods. */
export const restoreName = "mysql-restore";

export const mysqlPort = 3306;

/** MiB of memory below which the server does not start: without a page of the database it takes about half of that. */
export const leastMemory = 1024;

/** The Secret of the application's user and of root: `user`, `password`, `rootpassword`. */
export const credentialsName = "db-credentials";

/** The Secret of the user that only reads: `user`, `password`. */
export const backupCredentialsName = "mysql-backup-credentials";
