import { stringify } from "yaml";
import type { PrefectHostSettings } from "./host.ts";

/**
 * Traefik's files: TLS with certificates by ACME, plain HTTP redirected, one site, no dashboard.
 * @param upstream where the server answers inside
 * @see https://doc.traefik.io/traefik/
 */
export function proxyFiles({ domain, acme }: Pick<PrefectHostSettings, "domain" | "acme">, upstream: string) {
  const install = {
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: "INFO" },
    accessLog: {},
    entryPoints: {
      web: {
        address: ":80",
        http: { redirections: { entryPoint: { to: "websecure", scheme: "https", permanent: true } } },
      },
      websecure: {
        address: ":443",
        // A WebSocket is one request that is never over; the server ends those that say nothing.
        transport: { respondingTimeouts: { readTimeout: "0s", idleTimeout: "180s" } },
      },
      ping: { address: "127.0.0.1:8082" },
    },
    ping: { entryPoint: "ping" },
    certificatesResolvers: {
      acme: {
        acme: {
          email: acme.email,
          storage: "/certificates/acme.json",
          tlsChallenge: {},
          ...(acme.server && { caServer: acme.server }),
        },
      },
    },
    providers: { file: { filename: "/etc/traefik/dynamic.yml", watch: false } },
  };
  const routes = {
    http: {
      routers: {
        prefect: {
          rule: `Host(\`${domain}\`)`,
          entryPoints: ["websecure"],
          middlewares: ["strict-transport"],
          service: "prefect",
          tls: { certResolver: "acme" },
        },
      },
      middlewares: { "strict-transport": { headers: { stsSeconds: 31536000 } } },
      services: {
        prefect: {
          loadBalancer: {
            servers: [{ url: upstream }],
            healthCheck: { path: "/api/health", interval: "10s", timeout: "5s" },
          },
        },
      },
    },
    tls: { options: { default: { minVersion: "VersionTLS12" } } },
  };
  return { "/etc/traefik/traefik.yml": stringify(install), "/etc/traefik/dynamic.yml": stringify(routes) };
}
