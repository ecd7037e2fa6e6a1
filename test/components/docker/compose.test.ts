import assert from "node:assert/strict";
import { parse } from "yaml";
import {
  checkProject,
  composeYaml,
  interpolated,
  literal,
  type Project,
  type Service,
  variablesIn,
} from "../../../components/docker/compose.ts";
import { shop } from "./shop.ts";

const service: Service = {
  image: "busybox:1.37.0",
  restart: "unless-stopped",
  networks: [],
  mem_limit: "64m",
  cpus: "1",
};

/** A project of one service, and of others beside it. */
const projectWith = (changes: Partial<Service>, beside: Partial<Project> = {}): Project => ({
  name: "p",
  networks: {},
  volumes: [],
  variables: {},
  ...beside,
  services: { ...beside.services, s: { ...service, ...changes } },
});

describe("composeYaml", () => {
  it("writes a project byte for byte", () => {
    assert.equal(
      composeYaml(shop, "Made by a program.\nChanges are lost."),
      `# Made by a program.
# Changes are lost.

name: shop
services:
  db:
    image: postgres:17.10@sha256:${"a".repeat(64)}
    environment:
      PGDATA: /data/17
      POSTGRES_PASSWORD: \${DB_PASSWORD:?the database's password}
      POSTGRES_URL: postgres://shop:\${DB_PASSWORD:?the database's password}@db/\${DB_NAME:?the database's name}
    healthcheck:
      test:
        - CMD-SHELL
        - pg_isready
      interval: 5s
      timeout: 3s
      retries: 10
      start_period: 90s
    restart: unless-stopped
    networks:
      - inner
    volumes:
      - type: volume
        source: data
        target: /data
      - type: tmpfs
        target: /tmp
    read_only: true
    cap_drop:
      - ALL
    cap_add:
      - CHOWN
    security_opt:
      - no-new-privileges:true
    user: "70"
    mem_limit: 512m
    cpus: 0.5
    stop_grace_period: 60s
    memswap_limit: 512m
    logging:
      driver: json-file
      options:
        max-file: "3"
        max-size: 10m
  fill:
    image: postgres:17.10@sha256:${"a".repeat(64)}
    entrypoint:
      - sh
      - -c
    command:
      - |
        psql "$$URL"
        echo \${DB_NAME:?the database's name}
    depends_on:
      db:
        condition: service_healthy
    restart: "no"
    networks:
      - inner
    mem_limit: 64m
    cpus: 1
    memswap_limit: 64m
    logging:
      driver: json-file
      options:
        max-file: "3"
        max-size: 10m
  web:
    image: nginx:1.29.0
    depends_on:
      fill:
        condition: service_completed_successfully
      db:
        condition: service_started
    restart: unless-stopped
    networks:
      - inner
      - outer
    volumes:
      - type: bind
        source: /etc/ssl
        target: /tls
        read_only: true
    init: true
    mem_limit: 64m
    cpus: 0.25
    ports:
      - 80:8080
      - "22:22"
    configs:
      - source: web-nginx-conf
        target: /etc/nginx/nginx.conf
      - source: web-motd
        target: /etc/motd
    memswap_limit: 64m
    logging:
      driver: json-file
      options:
        max-file: "3"
        max-size: 10m
networks:
  inner:
    name: shop_inner
    internal: true
  outer:
    name: shop_outer
volumes:
  data:
    name: shop_data
configs:
  web-nginx-conf:
    content: |
      password \${DB_PASSWORD:?the database's password};
      price $$5;
  web-motd:
    content: hello
`,
    );
  });

  it("quotes what a reader of YAML 1.1 takes for something else than text", () => {
    const traps = ["06:00", "22:22", "no", "y", "On", "8080", "010", "0x1F", "1_000", "1e3", "2024-01-05", "~", ""];
    const environment = Object.fromEntries(traps.map((trap, index) => [`V${index}`, trap]));
    const text = composeYaml(projectWith({ environment }), "");
    for (const [name, trap] of Object.entries(environment))
      assert.ok(text.includes(`      ${name}: "${trap}"\n`), trap);
    for (const version of ["1.1", "1.2"] as const) {
      const { services } = parse(text, { version }) as { services: { s: { environment: unknown; restart: unknown } } };
      assert.deepEqual(services.s.environment, environment);
    }
  });

  it("says of a text that stands several times everything each time: no anchors", () => {
    const environment = { A: "1" };
    const text = composeYaml(projectWith({ environment }, { services: { t: { ...service, environment } } }), "");
    assert.equal(text.match(/ {6}A: "1"\n/g)?.length, 2);
    assert.doesNotMatch(text, /[&*]/);
  });

  it("has no configs where no service has files", () =>
    assert.equal("configs" in (parse(composeYaml(projectWith({}), "")) as object), false));
});

describe("A text with variables", () => {
  const texts: [text: string, variables: string[], value: string][] = [
    ["plain", [], "plain"],
    ["${X}", ["X"], "1"],
    ["${X}:${Y_2}@${X}", ["X", "Y_2", "X"], "1:2$@1"],
    ["$$", [], "$"],
    ["$$5 $$HOME", [], "$5 $HOME"],
    ["$${X}", [], "${X}"],
    ["$$${X}", ["X"], "$1"],
    ["$$$${X}", [], "$${X}"],
  ];
  for (const [text, variables, value] of texts) {
    it(`${text} asks for ${variables.join(", ") || "nothing"} and becomes ${value}`, () => {
      assert.deepEqual(variablesIn(text), variables);
      assert.equal(interpolated(text, { X: "1", Y_2: "2$" }), value);
    });
  }

  it("takes no part of a value for a variable", () => assert.equal(interpolated("${X}", { X: "$${X}$&" }), "$${X}$&"));

  for (const text of ["", "$", "$$", "$HOME", "${X}", "$${X}", "a $(b) ${c-d} $1 $& $$"]) {
    it(`literal: ${text || "nothing"} comes out as it was, and asks for nothing`, () => {
      assert.deepEqual(variablesIn(literal(text)), []);
      assert.equal(interpolated(literal(text), {}), text);
      assert.doesNotThrow(() => checkProject(projectWith({ command: [literal(text)] })));
    });
  }
});

describe("A project is refused where it contradicts itself, by a message that names the service:", () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const refused: Record<string, [project: Project, message: string]> = {
    "a variable in a command": [projectWith({ command: ["${X}"] }), "nobody tells the variable X"],
    "a variable in the environment": [projectWith({ environment: { A: "${X}" } }), "nobody tells the variable X"],
    "a variable in a file": [projectWith({ configs: { "/f": "${X}" } }), "nobody tells the variable X"],
    "a dollar sign in a command": [
      projectWith({ command: ["echo $HOME"] }),
      "a dollar sign begins no variable: write $$",
    ],
    "a dollar sign with a default": [
      projectWith({ environment: { A: "${X:-1}" } }),
      "a dollar sign begins no variable: write $$",
    ],
    "a dollar sign in a health check": [
      projectWith({ healthcheck: { test: ["CMD-SHELL", "test $$X"], interval: "1s", timeout: "1s", retries: 1 } }),
      "a dollar sign in entrypoint or healthcheck, where nothing is put in its place",
    ],
    "a dollar sign in an entry point": [
      projectWith({ entrypoint: ["${X}"] }, { variables: { X: "x" } }),
      "a dollar sign in entrypoint or healthcheck, where nothing is put in its place",
    ],
    "a network": [projectWith({ networks: ["n"] }), "there is no network n"],
    "a volume": [projectWith({ volumes: [{ type: "volume", source: "v", target: "/v" }] }), "there is no volume v"],
    "a service that is not there": [
      projectWith({ depends_on: { t: { condition: "service_started" } } }),
      "it depends on t, which is no service",
    ],
    "health without a check": [
      projectWith({ depends_on: { t: { condition: "service_healthy" } } }, { services: { t: service } }),
      "it waits for t to be healthy, which has no health check",
    ],
    "the end of what is restarted": [
      projectWith({ depends_on: { t: { condition: "service_completed_successfully" } } }, { services: { t: service } }),
      "it waits for t to complete, which is restarted",
    ],
    "files in what is read-only": [
      projectWith({ read_only: true, configs: { "/f": "" } }),
      "read_only contradicts configs: files cannot be put into it",
    ],
    "two files of one name": [
      projectWith({ configs: { "/a/x.conf": "a", "/b/x.conf": "b" } }),
      "configs /a/x.conf and /b/x.conf end in one name",
    ],
    "an image without a tag": [projectWith({ image: "redis" }), "image redis has no exact tag"],
    "an image whose registry has a port, not it a tag": [
      projectWith({ image: "localhost:5000/redis" }),
      "image localhost:5000/redis has no exact tag",
    ],
    "the tag latest": [projectWith({ image: "redis:latest" }), "image redis:latest has no exact tag"],
  };
  for (const [name, [project, what]] of Object.entries(refused)) {
    it(name, () => {
      const message = `Compose project p, service s: ${what}`;
      assert.throws(() => checkProject(project), { message });
      assert.throws(() => composeYaml(project, ""), { message });
    });
  }

  it("and nothing where all that it asks for is there", () => {
    assert.doesNotThrow(() => checkProject(shop));
    for (const image of [`redis@${digest}`, "localhost:5000/redis:8", "redis:8.6.7-alpine"]) {
      assert.doesNotThrow(() => checkProject(projectWith({ image })));
    }
  });
});
