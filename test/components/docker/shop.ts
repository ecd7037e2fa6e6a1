/** A small project with all that a service may have. */
import { literal, type Project } from "../../../components/docker/compose.ts";

const postgres = `postgres:17.10@sha256:${"a".repeat(64)}`;

export const shop: Project = {
  name: "shop",
  services: {
    db: {
      image: postgres,
      environment: {
        PGDATA: "/data/17",
        POSTGRES_PASSWORD: "${DB_PASSWORD}",
        POSTGRES_URL: "postgres://shop:${DB_PASSWORD}@db/${DB_NAME}",
      },
      healthcheck: {
        test: ["CMD-SHELL", "pg_isready"],
        interval: "5s",
        timeout: "3s",
        retries: 10,
        start_period: "90s",
      },
      restart: "unless-stopped",
      networks: ["inner"],
      volumes: [
        { type: "volume", source: "data", target: "/data" },
        { type: "tmpfs", target: "/tmp" },
      ],
      read_only: true,
      cap_drop: ["ALL"],
      cap_add: ["CHOWN"],
      security_opt: ["no-new-privileges:true"],
      user: "70",
      mem_limit: "512m",
      cpus: "0.5",
      stop_grace_period: "60s",
    },
    fill: {
      image: postgres,
      entrypoint: ["sh", "-c"],
      command: [`${literal('psql "$URL"')}\necho \${DB_NAME}\n`],
      depends_on: { db: { condition: "service_healthy" } },
      restart: "no",
      networks: ["inner"],
      mem_limit: "64m",
      cpus: "1",
    },
    web: {
      image: "nginx:1.29.0",
      depends_on: {
        fill: { condition: "service_completed_successfully" },
        db: { condition: "service_started" },
      },
      restart: "unless-stopped",
      networks: ["inner", "outer"],
      ports: [
        { published: 80, target: 8080 },
        { published: 22, target: 22 },
      ],
      volumes: [{ type: "bind", source: "/etc/ssl", target: "/tls", read_only: true }],
      configs: { "/etc/nginx/nginx.conf": "password ${DB_PASSWORD};\nprice $$5;\n", "/etc/motd": "hello" },
      init: true,
      mem_limit: "64m",
      cpus: "0.25",
    },
  },
  networks: { inner: { internal: true }, outer: {} },
  volumes: ["data"],
  variables: { DB_PASSWORD: "the database's password", DB_NAME: "the database's name" },
};
