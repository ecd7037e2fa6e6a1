import assert from "node:assert/strict";
import { parse } from "yaml";
import { proxyFiles } from "../../../components/prefect/proxy.ts";
import { settings } from "./settings.ts";

/** What both files say: how it is installed, and its routes. */
const files = (acme = settings.acme) => {
  const {
    "/etc/traefik/traefik.yml": install,
    "/etc/traefik/dynamic.yml": routes,
    ...others
  } = proxyFiles({ domain: settings.domain, acme }, "http://prefect-api:4200");
  assert.deepEqual(others, {});
  return [parse(install), parse(routes)] as [object, object];
};

describe("The proxy", () => {
  it("is installed with two doors, a certificate by ACME and nothing else: no dashboard, no API, no news to its maker", () => {
    assert.deepEqual(files()[0], {
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
          transport: { respondingTimeouts: { readTimeout: "0s", idleTimeout: "180s" } },
        },
        ping: { address: "127.0.0.1:8082" },
      },
      ping: { entryPoint: "ping" },
      certificatesResolvers: {
        acme: {
          acme: { email: "ops@example.org", storage: "/certificates/acme.json", tlsChallenge: {} },
        },
      },
      providers: { file: { filename: "/etc/traefik/dynamic.yml", watch: false } },
    });
  });

  it("sends one host's requests to the API, by TLS alone", () => {
    assert.deepEqual(files()[1], {
      http: {
        routers: {
          prefect: {
            rule: "Host(`prefect.example.org`)",
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
              servers: [{ url: "http://prefect-api:4200" }],
              healthCheck: { path: "/api/health", interval: "10s", timeout: "5s" },
            },
          },
        },
      },
      tls: { options: { default: { minVersion: "VersionTLS12" } } },
    });
  });

  it("asks another authority for the certificate where one is named, and changes nothing else by it", () => {
    const server = "https://acme.example.org/directory";
    const [[without, routes], [install, sameRoutes]] = [files(), files({ ...settings.acme, server })];
    assert.deepEqual(sameRoutes, routes);
    const resolvers = {
      acme: {
        acme: { email: "ops@example.org", storage: "/certificates/acme.json", tlsChallenge: {}, caServer: server },
      },
    };
    assert.deepEqual(install, { ...without, certificatesResolvers: resolvers });
  });
});
