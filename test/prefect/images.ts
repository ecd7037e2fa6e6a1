/** The real programs that the Prefect system consists of, in images under whatever names it declares. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../cli/engine.ts";
import { Missing } from "../../sandbox/daemon.ts";
import type { Docker } from "../../sandbox/docker/index.ts";

/** References of images, as containers and flow runs are created by: `redis:8.2.1-alpine@sha256:…`. */
export interface Names {
  prefect: string;
  postgres: string;
  redis: string;
  traefik: string;
}

/** The path of what `make prefect` builds. @throws Missing where it has not */
export function builtPath(name: string): string {
  const path = join(root, ".tools/prefect", name);
  if (!existsSync(path)) throw new Missing(`there is no .tools/prefect/${name}: \`make prefect\` builds it`);
  return path;
}

/**
 * Makes them, where the engine was started here; another one pulls the official ones.
 *
 * They are started and configured as the official ones are. Prefect's installs what it has in /wheels, without a network.
 * The versions are those that can be built here: Debian's PostgreSQL and Redis, and those of requirements.txt and tools/.
 *
 * @throws Missing where they are not built
 */
export async function makeImages(docker: Docker, names: Names): Promise<void> {
  if (!docker.own) return;
  const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const [debian, alpine] = ["prefect-debian:1", "prefect-alpine:1"];
  await docker.images([
    { name: debian, tar: builtPath("debian.tar") },
    { name: alpine, tar: builtPath("traefik.tar") },
    {
      name: names.prefect,
      from: debian,
      entrypoint: ["/usr/bin/tini", "-g", "--", "/opt/prefect/entrypoint.sh"],
      env: {
        PATH: `/opt/venv/bin:${path}`,
        LANG: "C.UTF-8",
        PYTHONUNBUFFERED: "1",
        PIP_NO_INDEX: "1",
        PIP_FIND_LINKS: "/wheels",
        PIP_DISABLE_PIP_VERSION_CHECK: "1",
      },
      workdir: "/opt/prefect",
      files: { "/opt/prefect/entrypoint.sh": entrypoint("prefect") },
    },
    {
      name: names.postgres,
      from: debian,
      entrypoint: ["docker-entrypoint.sh"],
      command: ["postgres"],
      // The official one is Alpine's, which has busybox's commands where others have none.
      env: {
        PATH: `/usr/lib/postgresql/15/bin:${path}:/usr/lib/busybox/bin`,
        LANG: "C.UTF-8",
        PGDATA: "/var/lib/postgresql/data",
      },
      volumes: ["/var/lib/postgresql/data"],
      stopSignal: "SIGINT",
      files: { "/usr/local/bin/docker-entrypoint.sh": entrypoint("postgres") },
    },
    {
      name: names.redis,
      from: debian,
      entrypoint: ["docker-entrypoint.sh"],
      command: ["redis-server"],
      env: { PATH: `/usr/lib/redis/bin:${path}:/usr/lib/busybox/bin` },
      volumes: ["/data"],
      workdir: "/data",
      files: { "/usr/local/bin/docker-entrypoint.sh": entrypoint("redis") },
    },
    {
      name: names.traefik,
      from: alpine,
      entrypoint: ["/entrypoint.sh"],
      command: ["traefik"],
      env: { PATH: path },
      files: { "/entrypoint.sh": entrypoint("traefik") },
    },
  ]);
}

const entrypoint = (name: keyof Names) => readFileSync(join(import.meta.dirname, "entrypoints", `${name}.sh`), "utf8");
