import { backupSize } from "../../components/kubernetes/mysql/backups.ts";
import type { Size } from "../../components/kubernetes/pods.ts";
import { sumOfBytes, sumOfCores } from "../../components/quantities.ts";
import type { EnvironmentSize } from "./sizes.ts";

/** What a container gets that says nothing, such as cert-manager's while it shows that a host is ours. */
export const defaults: Size = { cpu: "100m", memory: "128Mi" };

/** All that an environment may take: what it has at its largest, in the middle of a rollout and with every job running. */
export function quotaOf({ application, replicas, database, generation }: EnvironmentSize) {
  const most = typeof replicas === "number" ? replicas : replicas.max;
  const pods = [
    // A quarter more while a version takes another's place, and the canary.
    ...Array.from({ length: most + Math.ceil(most / 4) + 1 }, () => application),
    database,
    generation,
    // A backup and a restore.
    backupSize,
    backupSize,
    defaults,
  ];
  const memory = sumOfBytes(pods.map((size) => size.memory));
  return {
    pods: String(pods.length),
    "requests.cpu": sumOfCores(pods.map(({ cpu }) => cpu)),
    "requests.memory": memory,
    "limits.memory": memory,
    // The database's, and one to restore into. Of what size is not counted here: a volume that is to grow grows before the rest.
    persistentvolumeclaims: "2",
  };
}
