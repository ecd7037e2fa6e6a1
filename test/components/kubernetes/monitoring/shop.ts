/** A shop with all that can be watched. */
import type { Watched } from "../../../../components/kubernetes/monitoring/queries.ts";

export const shop = {
  namespace: "shop-prod",
  application: { deployment: "shop", service: "shop", port: "http" },
  metrics: { path: "/metrics", durations: "http_request_duration_seconds" },
  database: { statefulSet: "mysql" },
  backup: { cronJob: "mysql-backup", maxAgeHours: 26 },
} satisfies Watched;

export const runbook = "https://example.org/runbook";
