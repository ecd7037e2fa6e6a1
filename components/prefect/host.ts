import { textBeside } from "../beside.ts";
import { literal, type Project, type Service } from "../docker/compose.ts";
import { images } from "./images.ts";
import { proxyFiles } from "./proxy.ts";

/** What a Prefect host is like. */
export interface PrefectHostSettings {
  /** Name under which the server is reached from outside: `prefect.example.org`. */
  domain: string;
  /** Where certificates come from. */
  acme: {
    /** Whom the authority tells that a certificate expires. */
    email: string;
    /** Directory of the authority. @default Let's Encrypt's */
    server?: string;
  };
  /** The work pool that its worker serves, made where there is none. */
  pool: string;
  /** The worker's PREFECT_EVENTS_ENABLED and PREFECT_API_ENABLE_HTTP2. The proxy passes WebSockets in either case. @default false */
  webSockets?: boolean;
  /** The nightly dump of the database. */
  backup: {
    /** When, in UTC: `06:00`. */
    at: string;
    /** How many days a dump is kept. */
    days: number;
  };
  /** Whose token pulls the flows' images. @default nobody's: the images are public */
  registry?: { host: string; user: string };
  /** Images in the place of the pinned ones. @default none */
  images?: Partial<typeof images>;
}

/** The version of the package that makes a worker start containers. */
const prefectDocker = "0.7.4";

/** The project's name on its host. */
export const projectName = "prefect";

/** The network that flows' containers join: the API and the world, never the database. */
export const flowNetwork = "flows";

const [backupSh, workerSh] = [textBeside(import.meta.url, "./backup.sh"), textBeside(import.meta.url, "./worker.sh")];

const hardened = { cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] } as const;
const healthy = { condition: "service_healthy" } as const;
const python = (url: string) =>
  ["CMD", "python", "-c", `import urllib.request as r; r.urlopen("${url}", timeout=5)`] as const;

/**
 * The services of a self-hosted Prefect with a worker that starts a container for each flow run.
 *
 * Only the proxy publishes ports. Database and Redis stand in a network of their own without a way out, where flows
 * never are; the API answers nobody without the auth string.
 * @throws Error when the tag of Prefect's image does not begin with its version, which the worker asks the index for
 * @see https://docs.prefect.io/v3/how-to-guides/self-hosted/docker-compose
 */
export function prefectHost(settings: PrefectHostSettings): Project {
  const { domain, pool, registry } = settings;
  const image = { ...images, ...settings.images };
  const version = /:(\d+\.\d+\.\d+)[^/]*$/.exec(image.prefect)?.[1];
  if (!version) throw new Error(`Prefect host ${domain}: the tag of images.prefect, ${image.prefect}, has no version`);
  const webSockets = String(settings.webSockets ?? false);

  const database = {
    PREFECT_HOME: "/tmp/prefect",
    PREFECT_SERVER_DATABASE_CONNECTION_URL: "postgresql+asyncpg://prefect:${POSTGRES_PASSWORD}@postgres:5432/prefect",
  };
  const server = {
    ...database,
    PREFECT_SERVER_ANALYTICS_ENABLED: "false",
    PREFECT_SERVER_API_AUTH_STRING: "${PREFECT_AUTH_STRING}",
    PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE: "prefect_redis.lease_storage",
    // The one-shot service does it, once, before any of the servers starts.
    PREFECT_SERVER_DATABASE_MIGRATE_ON_START: "false",
    PREFECT_SERVER_DOCKET_URL: "redis://:${REDIS_PASSWORD}@redis:6379/1",
    PREFECT_SERVER_EVENTS_CAUSAL_ORDERING: "prefect_redis.ordering",
    PREFECT_SERVER_EVENTS_MESSAGING_BROKER: "prefect_redis.messaging",
    PREFECT_SERVER_EVENTS_MESSAGING_CACHE: "prefect_redis.messaging",
    PREFECT_SERVER_UI_API_URL: `https://${domain}/api`,
    // It writes its pages anew at each start, beside its code unless told otherwise.
    PREFECT_SERVER_UI_STATIC_DIRECTORY: "/tmp/ui",
    PREFECT_REDIS_MESSAGING_DB: "0",
    PREFECT_REDIS_MESSAGING_HOST: "redis",
    PREFECT_REDIS_MESSAGING_PASSWORD: "${REDIS_PASSWORD}",
    PREFECT_REDIS_MESSAGING_PORT: "6379",
  };
  const prefect = {
    ...hardened,
    image: image.prefect,
    environment: server,
    read_only: true,
    volumes: [{ type: "tmpfs", target: "/tmp" }],
    stop_grace_period: "30s",
  } as const;

  const services: Record<string, Service> = {
    postgres: {
      ...hardened,
      image: image.postgres,
      environment: { POSTGRES_DB: "prefect", POSTGRES_PASSWORD: "${POSTGRES_PASSWORD}", POSTGRES_USER: "prefect" },
      // Else its entry point needs root, to change owners.
      user: "postgres",
      read_only: true,
      volumes: [
        { type: "volume", source: "postgres", target: "/var/lib/postgresql/data" },
        { type: "tmpfs", target: "/tmp" },
        { type: "tmpfs", target: "/var/run/postgresql" },
      ],
      healthcheck: {
        // By TCP: while it initialises, it listens on its socket alone.
        test: ["CMD", "pg_isready", "--host", "127.0.0.1", "--username", "prefect", "--dbname", "prefect"],
        interval: "5s",
        timeout: "5s",
        retries: 10,
        start_period: "30s",
      },
      restart: "unless-stopped",
      networks: ["data"],
      mem_limit: "1024m",
      cpus: "1",
      stop_grace_period: "60s",
    },
    redis: {
      ...hardened,
      image: image.redis,
      environment: { REDISCLI_AUTH: "${REDIS_PASSWORD}" },
      // The password goes by a file in memory: arguments are for everybody to read.
      command: [
        "sh",
        "-c",
        literal(
          "printf 'requirepass %s\\nappendonly yes\\ndir /data\\n' \"$REDISCLI_AUTH\" >/tmp/redis.conf && exec redis-server /tmp/redis.conf",
        ),
      ],
      user: "redis",
      read_only: true,
      volumes: [
        { type: "volume", source: "redis", target: "/data" },
        { type: "tmpfs", target: "/tmp" },
      ],
      healthcheck: {
        test: ["CMD-SHELL", "redis-cli ping | grep -q PONG"],
        interval: "5s",
        timeout: "5s",
        retries: 10,
        start_period: "10s",
      },
      restart: "unless-stopped",
      networks: ["data"],
      mem_limit: "512m",
      cpus: "0.5",
      stop_grace_period: "30s",
    },
    "prefect-migrate": {
      ...prefect,
      environment: database,
      command: ["prefect", "server", "database", "upgrade", "-y"],
      depends_on: { postgres: healthy },
      restart: "no",
      networks: ["data"],
      mem_limit: "1024m",
      cpus: "1",
    },
    "prefect-api": {
      ...prefect,
      command: ["prefect", "server", "start", "--host", "0.0.0.0", "--no-services"],
      depends_on: {
        "prefect-migrate": { condition: "service_completed_successfully" },
        postgres: healthy,
        redis: healthy,
      },
      healthcheck: {
        test: python("http://127.0.0.1:4200/api/ready"),
        interval: "10s",
        timeout: "10s",
        retries: 6,
        start_period: "60s",
      },
      restart: "unless-stopped",
      networks: ["data", "front", flowNetwork],
      mem_limit: "1024m",
      cpus: "1",
    },
    "prefect-background": {
      ...prefect,
      command: ["prefect", "server", "services", "start"],
      depends_on: {
        "prefect-migrate": { condition: "service_completed_successfully" },
        postgres: healthy,
        redis: healthy,
      },
      restart: "unless-stopped",
      networks: ["data"],
      mem_limit: "1024m",
      cpus: "1",
    },
    "prefect-worker": {
      ...hardened,
      image: image.prefect,
      environment: {
        POOL: pool,
        PREFECT_API_AUTH_STRING: "${PREFECT_AUTH_STRING}",
        PREFECT_API_ENABLE_HTTP2: webSockets,
        PREFECT_API_URL: "http://prefect-api:4200/api",
        PREFECT_DOCKER_VERSION: prefectDocker,
        PREFECT_EVENTS_ENABLED: webSockets,
        PREFECT_VERSION: version,
        ...(registry && {
          REGISTRY: registry.host,
          REGISTRY_TOKEN: "${REGISTRY_TOKEN}",
          REGISTRY_USER: registry.user,
        }),
      },
      command: ["bash", "-c", literal(workerSh)],
      depends_on: { "prefect-api": healthy },
      // What starts containers may do anything on the host, whatever else it is denied.
      volumes: [{ type: "bind", source: "/var/run/docker.sock", target: "/var/run/docker.sock" }],
      healthcheck: {
        test: python("http://127.0.0.1:8080/health"),
        interval: "15s",
        timeout: "10s",
        retries: 4,
        start_period: "180s",
      },
      restart: "unless-stopped",
      networks: [flowNetwork],
      mem_limit: "1024m",
      cpus: "1",
      stop_grace_period: "60s",
    },
    traefik: {
      ...hardened,
      image: image.traefik,
      configs: proxyFiles(settings, "http://prefect-api:4200"),
      cap_add: ["NET_BIND_SERVICE"],
      depends_on: { "prefect-api": healthy },
      healthcheck: {
        test: ["CMD", "traefik", "healthcheck", "--ping"],
        interval: "10s",
        timeout: "5s",
        retries: 6,
        start_period: "10s",
      },
      ports: [
        { published: 80, target: 80 },
        { published: 443, target: 443 },
      ],
      volumes: [{ type: "volume", source: "certificates", target: "/certificates" }],
      restart: "unless-stopped",
      networks: ["front"],
      mem_limit: "256m",
      cpus: "0.5",
      stop_grace_period: "30s",
    },
    backup: {
      ...hardened,
      image: image.postgres,
      environment: {
        BACKUP_AT: settings.backup.at,
        BACKUP_DAYS: String(settings.backup.days),
        PGDATABASE: "prefect",
        PGHOST: "postgres",
        PGPASSWORD: "${POSTGRES_PASSWORD}",
        PGUSER: "prefect",
      },
      command: ["sh", "-c", literal(backupSh)],
      depends_on: { postgres: healthy, "prefect-migrate": { condition: "service_completed_successfully" } },
      // Unhealthy is a night without a dump.
      healthcheck: {
        test: ["CMD-SHELL", "find /backups -name '*.dump' -mmin -1560 | grep -q ."],
        interval: "30s",
        timeout: "5s",
        retries: 3,
        start_period: "60s",
      },
      read_only: true,
      volumes: [
        { type: "volume", source: "backups", target: "/backups" },
        { type: "tmpfs", target: "/tmp" },
      ],
      restart: "unless-stopped",
      init: true,
      networks: ["data"],
      mem_limit: "256m",
      cpus: "0.5",
    },
  };
  return {
    name: projectName,
    services,
    networks: { data: { internal: true }, front: {}, [flowNetwork]: {} },
    volumes: ["postgres", "redis", "certificates", "backups"],
    variables: {
      POSTGRES_PASSWORD: "the database's password",
      PREFECT_AUTH_STRING: "the API's user and password, USER:PASSWORD",
      REDIS_PASSWORD: "the password of Redis",
      ...(registry && { REGISTRY_TOKEN: `the token with which ${registry.user} pulls images from ${registry.host}` }),
    },
  };
}
