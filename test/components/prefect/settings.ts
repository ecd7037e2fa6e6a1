import type { PrefectHostSettings } from "../../../components/prefect/host.ts";

/** A host as tests declare it. */
export const settings: PrefectHostSettings = {
  domain: "prefect.example.org",
  acme: { email: "ops@example.org" },
  pool: "docker-pool",
  backup: { at: "06:00", days: 14 },
};

/** With the flows' images in a private registry. */
export const registry = { host: "ghcr.io", user: "puller" };
