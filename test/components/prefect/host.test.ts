import assert from "node:assert/strict";
import { parse } from "yaml";
import {
  checkProject,
  composeYaml,
  logging,
  type Project,
  type Service,
  variablesIn,
} from "../../../components/docker/compose.ts";
import { prefectHost } from "../../../components/prefect/host.ts";
import { images } from "../../../components/prefect/images.ts";
import { registry, settings } from "./settings.ts";

const everybody = [
  "backup",
  "postgres",
  "prefect-api",
  "prefect-background",
  "prefect-migrate",
  "prefect-worker",
  "redis",
  "traefik",
];

/** The names of the services of which something is so. */
const those = ({ services }: Project, so: (service: Service) => unknown) =>
  Object.keys(services)
    .filter((name) => so(services[name]!))
    .sort();

const environmentOf = (service: string, project: Project) => project.services[service]!.environment!;

describe("A Prefect host", () => {
  for (const [how, project] of Object.entries({
    "with public images": prefectHost(settings),
    "with a private registry": prefectHost({ ...settings, registry }),
    "with WebSockets and another authority": prefectHost({
      ...settings,
      webSockets: true,
      acme: { ...settings.acme, server: "https://acme.example.org/directory" },
    }),
  })) {
    describe(how, () => {
      it("has these services, and does not contradict itself", () => {
        assert.deepEqual(
          those(project, () => true),
          everybody,
        );
        checkProject(project);
      });

      it("publishes the proxy's two ports and no other", () => {
        assert.deepEqual(
          those(project, ({ ports }) => ports),
          ["traefik"],
        );
        assert.deepEqual(project.services["traefik"]!.ports, [
          { published: 80, target: 80 },
          { published: 443, target: 443 },
        ]);
      });

      it("keeps the database and whoever needs nothing else where there is no way out", () => {
        assert.deepEqual(project.networks, { data: { internal: true }, front: {}, flows: {} });
        const inside = those(project, ({ networks }) => networks.join() === "data");
        assert.deepEqual(inside, ["backup", "postgres", "prefect-background", "prefect-migrate", "redis"]);
      });

      it("lets flows meet the API and the worker alone, and the proxy the API alone", () => {
        const members = (network: string) => those(project, ({ networks }) => networks.includes(network));
        assert.deepEqual(members("flows"), ["prefect-api", "prefect-worker"]);
        assert.deepEqual(members("front"), ["prefect-api", "traefik"]);
        assert.deepEqual(members("data"), [
          "backup",
          "postgres",
          "prefect-api",
          "prefect-background",
          "prefect-migrate",
          "redis",
        ]);
      });

      it("gives each service bounds: memory, CPU, log files", () => {
        for (const [name, { mem_limit, cpus }] of Object.entries(project.services)) {
          assert.match(mem_limit, /^[1-9][0-9]*m$/, name);
          assert.ok(Number(cpus) > 0 && Number(cpus) <= 1, name);
        }
        const { services } = parse(composeYaml(project, "")) as { services: Record<string, { logging: unknown }> };
        for (const name of everybody) assert.deepEqual(services[name]!.logging, logging, name);
        assert.deepEqual(logging, { driver: "json-file", options: { "max-file": "3", "max-size": "10m" } });
      });

      it("takes from each service what it does not need", () => {
        for (const [name, { cap_drop, cap_add, security_opt }] of Object.entries(project.services)) {
          assert.deepEqual(cap_drop, ["ALL"], name);
          assert.deepEqual(cap_add, name === "traefik" ? ["NET_BIND_SERVICE"] : undefined, name);
          assert.deepEqual(security_opt, ["no-new-privileges:true"], name);
        }
        // The proxy's files are put into it, and the worker installs its package.
        assert.deepEqual(
          those(project, ({ read_only }) => !read_only),
          ["prefect-worker", "traefik"],
        );
      });

      it("starts again what ends, save the migration", () =>
        assert.deepEqual(
          those(project, ({ restart }) => restart !== "unless-stopped"),
          ["prefect-migrate"],
        ));

      it("starts servers once the database is migrated, and whoever asks them once they answer", () => {
        const waits = Object.fromEntries(
          Object.entries(project.services).map(([name, { depends_on = {} }]) => [
            name,
            Object.entries(depends_on).map(([other, { condition }]) => `${other} ${condition.replace("service_", "")}`),
          ]),
        );
        const servers = ["prefect-migrate completed_successfully", "postgres healthy", "redis healthy"];
        assert.deepEqual(waits, {
          postgres: [],
          redis: [],
          "prefect-migrate": ["postgres healthy"],
          "prefect-api": servers,
          "prefect-background": servers,
          "prefect-worker": ["prefect-api healthy"],
          traefik: ["prefect-api healthy"],
          backup: ["postgres healthy", "prefect-migrate completed_successfully"],
        });
      });

      it("has no password in an argument, a health check or a file", () => {
        for (const [name, { command, entrypoint, healthcheck, configs }] of Object.entries(project.services)) {
          const texts = [command, entrypoint, healthcheck?.test, Object.values(configs ?? {})].flatMap(
            (each) => each ?? [],
          );
          assert.deepEqual(texts.flatMap(variablesIn), [], name);
        }
      });

      it("shows each password to these services alone, and tells what each variable is for", () => {
        const readers = (variable: string) =>
          those(project, ({ environment = {} }) => Object.values(environment).flatMap(variablesIn).includes(variable));
        const servers = ["prefect-api", "prefect-background"];
        assert.deepEqual(readers("POSTGRES_PASSWORD"), ["backup", "postgres", ...servers, "prefect-migrate"]);
        assert.deepEqual(readers("REDIS_PASSWORD"), [...servers, "redis"]);
        assert.deepEqual(readers("PREFECT_AUTH_STRING"), [...servers, "prefect-worker"]);
        const withRegistry = how === "with a private registry";
        assert.deepEqual(readers("REGISTRY_TOKEN"), withRegistry ? ["prefect-worker"] : []);
        assert.deepEqual(project.variables, {
          POSTGRES_PASSWORD: "the database's password",
          PREFECT_AUTH_STRING: "the API's user and password, USER:PASSWORD",
          REDIS_PASSWORD: "the password of Redis",
          ...(withRegistry && { REGISTRY_TOKEN: "the token with which puller pulls images from ghcr.io" }),
        });
      });

      it("keeps what cannot be made again in volumes, and binds the engine's socket alone, to the worker alone", () => {
        const mounts = (type: string) =>
          Object.entries(project.services).flatMap(([name, { volumes = [] }]) =>
            volumes.flatMap((mount) =>
              mount.type === type && mount.type !== "tmpfs" ? [`${name} ${mount.source}:${mount.target}`] : [],
            ),
          );
        assert.deepEqual(mounts("volume"), [
          "postgres postgres:/var/lib/postgresql/data",
          "redis redis:/data",
          "traefik certificates:/certificates",
          "backup backups:/backups",
        ]);
        assert.deepEqual(project.volumes, ["postgres", "redis", "certificates", "backups"]);
        assert.deepEqual(mounts("bind"), ["prefect-worker /var/run/docker.sock:/var/run/docker.sock"]);
      });
    });
  }

  it("runs the document's worker: type docker, pool, the host's engine, events and HTTP/2 off", () => {
    const { environment, command } = prefectHost(settings).services["prefect-worker"]!;
    assert.deepEqual(environment, {
      POOL: "docker-pool",
      PREFECT_API_AUTH_STRING: "${PREFECT_AUTH_STRING}",
      PREFECT_API_ENABLE_HTTP2: "false",
      PREFECT_API_URL: "http://prefect-api:4200/api",
      PREFECT_DOCKER_VERSION: "0.7.4",
      PREFECT_EVENTS_ENABLED: "false",
      PREFECT_VERSION: "3.8.8",
    });
    assert.match(command![2]!, /^exec prefect worker start --pool "\$\$POOL" --type docker /m);
  });

  it("has events and HTTP/2 by one setting, and the pool of another name by another", () => {
    const { PREFECT_EVENTS_ENABLED, PREFECT_API_ENABLE_HTTP2, POOL } = environmentOf(
      "prefect-worker",
      prefectHost({ ...settings, webSockets: true, pool: "other" }),
    );
    assert.deepEqual([PREFECT_EVENTS_ENABLED, PREFECT_API_ENABLE_HTTP2, POOL], ["true", "true", "other"]);
  });

  it("tells the worker who pulls from a private registry", () => {
    const { REGISTRY, REGISTRY_USER, REGISTRY_TOKEN } = environmentOf(
      "prefect-worker",
      prefectHost({ ...settings, registry }),
    );
    assert.deepEqual([REGISTRY, REGISTRY_USER, REGISTRY_TOKEN], ["ghcr.io", "puller", "${REGISTRY_TOKEN}"]);
  });

  it("lets the API answer nobody without the auth string, and tells browsers its outside address", () => {
    const environment = environmentOf("prefect-api", prefectHost(settings));
    assert.equal(environment["PREFECT_SERVER_API_AUTH_STRING"], "${PREFECT_AUTH_STRING}");
    assert.equal(environment["PREFECT_SERVER_UI_API_URL"], "https://prefect.example.org/api");
  });

  it("dumps the database at the hour and for the days that it is told", () => {
    const { BACKUP_AT, BACKUP_DAYS } = environmentOf(
      "backup",
      prefectHost({ ...settings, backup: { at: "23:45", days: 3 } }),
    );
    assert.deepEqual([BACKUP_AT, BACKUP_DAYS], ["23:45", "3"]);
  });

  it("runs images with exact tags, each one everywhere", () => {
    for (const [name, reference] of Object.entries(images)) {
      assert.match(reference, /^([a-z]+\/)?[a-z]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?(@sha256:[0-9a-f]{64})?$/, name);
    }
    assert.deepEqual(
      Object.fromEntries(Object.entries(prefectHost(settings).services).map(([name, { image }]) => [name, image])),
      {
        postgres: images.postgres,
        backup: images.postgres,
        redis: images.redis,
        traefik: images.traefik,
        "prefect-api": images.prefect,
        "prefect-background": images.prefect,
        "prefect-migrate": images.prefect,
        "prefect-worker": images.prefect,
      },
    );
  });

  it("runs other images where it is told to, and asks the index for the version of Prefect that they have", () => {
    const { services } = prefectHost({
      ...settings,
      images: { prefect: "mirror.example.org:5000/prefect:3.9.1-python3.13", redis: "mirror.example.org/redis:8.0" },
    });
    assert.equal(services["prefect-api"]!.image, "mirror.example.org:5000/prefect:3.9.1-python3.13");
    assert.equal(services["prefect-worker"]!.environment!["PREFECT_VERSION"], "3.9.1");
    assert.equal(services["redis"]!.image, "mirror.example.org/redis:8.0");
    assert.equal(services["postgres"]!.image, images.postgres);
  });

  it("refuses an image of Prefect of which nobody knows the version", () => {
    for (const prefect of ["prefecthq/prefect:3-python3.12", "10.0.0.1:10.0.0/prefect:main"]) {
      assert.throws(() => prefectHost({ ...settings, images: { prefect } }), {
        message: `Prefect host prefect.example.org: the tag of images.prefect, ${prefect}, has no version`,
      });
    }
  });
});
