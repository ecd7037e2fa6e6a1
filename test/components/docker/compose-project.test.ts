import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Output, type Resource, RunError, secret } from "@pulumi/pulumi";
import type { Project, Seconds, Service } from "../../../components/docker/compose.ts";
import { ComposeProject, type ComposeProjectArgs } from "../../../components/docker/compose-project.ts";
import { declared, optionsOf } from "../../declared.ts";
import { answerWith, wordsOf } from "../answers.ts";
import { shop } from "./shop.ts";

const values = { DB_PASSWORD: "p$$", DB_NAME: "n" };

const make = (args: Partial<ComposeProjectArgs> = {}) => new ComposeProject("x", { project: shop, values, ...args });

/** A project of these services alone. */
const projectOf = (services: Record<string, Partial<Service>>): Project => ({
  name: "p",
  networks: {},
  volumes: [],
  variables: {},
  services: Object.fromEntries(
    Object.entries(services).map(([name, changes]): [string, Service] => [
      name,
      { image: "busybox:1.37.0", restart: "unless-stopped", networks: [], mem_limit: "64m", cpus: "1", ...changes },
    ]),
  ),
});

/** What `docker compose ps` finds a service's container by. */
const labels = (service: string, dependsOn: string) =>
  Object.entries({
    "com.docker.compose.config-hash": createHash("sha256").update(JSON.stringify(shop.services[service])).digest("hex"),
    "com.docker.compose.container-number": "1",
    "com.docker.compose.depends_on": dependsOn,
    "com.docker.compose.oneoff": "False",
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": service,
    "io.esteira.resource": `x-${service}`,
  }).map(([label, value]) => ({ label, value }));

const belongs = (kind: string, thing: string) => [
  { label: `com.docker.compose.${kind}`, value: thing },
  { label: "com.docker.compose.project", value: "shop" },
];

const log = { logDriver: "json-file", logOpts: { "max-file": "3", "max-size": "10m" } };
const postgres = `postgres:17.10@sha256:${"a".repeat(64)}`;

/** The value of an output, secret or not. */
const known = <T>(output: Output<T>): Promise<T> => (output as unknown as { promise(): Promise<T> }).promise();

describe("ComposeProject", () => {
  it("makes of a project what Compose would make of it", async () => {
    assert.deepEqual(await declared(make), {
      "ComposeProject x": {},
      "Network x-inner": { name: "shop_inner", internal: true, labels: belongs("network", "inner") },
      "Network x-outer": { name: "shop_outer", labels: belongs("network", "outer") },
      "Volume x-data": { name: "shop_data", labels: belongs("volume", "data") },
      "RemoteImage x-postgres:17.10": { name: postgres, keepLocally: true },
      "RemoteImage x-nginx:1.29.0": { name: "nginx:1.29.0", keepLocally: true },
      "Container x-db": {
        name: "shop-db-1",
        image: postgres,
        envs: ["PGDATA=/data/17", "[secret]", "[secret]"],
        healthcheck: {
          tests: ["CMD-SHELL", "pg_isready"],
          interval: "5s",
          timeout: "3s",
          retries: 10,
          startPeriod: "1m30s",
        },
        wait: true,
        waitTimeout: 300,
        restart: "unless-stopped",
        networksAdvanced: [{ name: "shop_inner", aliases: ["db"] }],
        volumes: [{ volumeName: "shop_data", containerPath: "/data" }],
        mounts: [{ type: "tmpfs", target: "/tmp" }],
        readOnly: true,
        capabilities: { drops: ["ALL"], adds: ["CAP_CHOWN"] },
        securityOpts: ["no-new-privileges:true"],
        user: "70",
        memory: 512,
        memorySwap: 512,
        cpus: "0.5",
        stopTimeout: 60,
        destroyGraceSeconds: 60,
        ...log,
        labels: labels("db", ""),
      },
      "Container x-fill": {
        name: "shop-fill-1",
        image: postgres,
        entrypoints: ["sh", "-c"],
        command: ["[secret]"],
        envs: [],
        attach: true,
        mustRun: false,
        restart: "no",
        networksAdvanced: [{ name: "shop_inner", aliases: ["fill"] }],
        memory: 64,
        memorySwap: 64,
        cpus: "1.0",
        ...log,
        labels: labels("fill", "db:service_healthy:false"),
      },
      "Container x-web": {
        name: "shop-web-1",
        image: "nginx:1.29.0",
        envs: [],
        restart: "unless-stopped",
        networksAdvanced: [
          { name: "shop_inner", aliases: ["web"] },
          { name: "shop_outer", aliases: ["web"] },
        ],
        ports: [
          { external: 80, internal: 8080 },
          { external: 22, internal: 22 },
        ],
        volumes: [{ hostPath: "/etc/ssl", containerPath: "/tls", readOnly: true }],
        uploads: [
          { file: "/etc/nginx/nginx.conf", content: "[secret]" },
          { file: "/etc/motd", content: "hello" },
        ],
        init: true,
        memory: 64,
        memorySwap: 64,
        cpus: "0.25",
        ...log,
        // Nobody knows before how fill ends.
        labels: labels("web", "[computed]"),
      },
    });
  });

  it("puts values in the place of variables, as they are, wherever a variable may stand", async () => {
    let containers: ComposeProject["containers"] = {};
    await declared(() => {
      containers = make().containers;
    });
    const { db, fill, web } = containers;
    assert.deepEqual(await known(db!.envs), [
      "PGDATA=/data/17",
      "POSTGRES_PASSWORD=p$$",
      "POSTGRES_URL=postgres://shop:p$$@db/n",
    ]);
    assert.deepEqual(await known(fill!.command), ['psql "$URL"\necho n\n']);
    assert.deepEqual(
      (await known(web!.uploads))!.map(({ content }) => content),
      ["password p$$;\nprice $5;\n", "hello"],
    );
  });

  it("keeps from everybody what holds a value, be the value secret or not", async () => {
    const environment = { A: "${X}", B: "b$$" };
    const project = { ...projectOf({ s: { environment } }), variables: { X: "x" } };
    for (const X of ["plain", secret("hidden")]) {
      const { "Container x-s": container } = await declared(() => make({ project, values: { X } }));
      assert.deepEqual(container!["envs"], ["[secret]", "B=b$"]);
    }
  });

  it("has another digest for another service, and none of a value", async () => {
    const hash = async (args: Partial<ComposeProjectArgs>) =>
      (await declared(() => make(args)))["Container x-db"]!["labels"] as object[];
    const db = { ...shop.services["db"]!, mem_limit: "513m" as const };
    const [first] = await hash({});
    assert.deepEqual((await hash({ values: { DB_PASSWORD: "other", DB_NAME: "other" } }))[0], first);
    assert.notDeepEqual((await hash({ project: { ...shop, services: { ...shop.services, db } } }))[0], first);
  });

  it("starts a service once the image, networks, volumes and services that it needs are there", async () => {
    const options = await optionsOf(make);
    assert.deepEqual(options, {
      "esteira-test": {},
      x: {},
      "x-inner": {},
      "x-outer": {},
      "x-data": { protect: true },
      "x-postgres:17.10": {},
      "x-nginx:1.29.0": {},
      "x-db": { dependsOn: ["x-data", "x-inner", "x-postgres:17.10"] },
      "x-fill": { dependsOn: ["x-db", "x-inner", "x-postgres:17.10"] },
      "x-web": { dependsOn: ["x-db", "x-fill", "x-inner", "x-nginx:1.29.0", "x-outer"] },
    });
  });

  describe("goes on after what runs once", () => {
    /** What is declared where fill ends so, and what the containers are. */
    const ended = async (exitCode: number) => {
      let containers: ComposeProject["containers"] = {};
      const resources = await declared(() => {
        answerWith({ "Container x-fill": { exitCode } });
        containers = make().containers;
      });
      return { resources, containers };
    };

    it("where it has done its work", async () => {
      const { resources } = await ended(0);
      assert.deepEqual(
        resources["Container x-web"]!["labels"],
        labels("web", "fill:service_completed_successfully:false,db:service_started:false"),
      );
    });

    it("not otherwise, and tells why, and how to try again", async () => {
      for (const code of [1, 137]) {
        await assert.rejects(ended(code), (error) => {
          assert.ok(error instanceof RunError);
          assert.equal(
            wordsOf(error),
            `shop-fill-1 ended with ${code}, so nothing after it was changed; docker logs shop-fill-1 tells why. To try again: docker rm shop-fill-1, then pulumi up --refresh`,
          );
          return true;
        });
      }
    });

    it("whatever the code of what nobody waits for the end of", async () => {
      const resources = await declared(() => {
        answerWith({ "Container x-fill": { exitCode: 0 }, "Container x-db": { exitCode: 1 } });
        make();
      });
      assert.ok("Container x-web" in resources);
    });
  });

  it("makes services in the order of what they need, however they are told", async () => {
    const started = { condition: "service_started" } as const;
    const project = projectOf({ a: { depends_on: { b: started } }, b: { depends_on: { c: started } }, c: {} });
    let made: string[] = [];
    const options = await optionsOf(() => {
      made = Object.keys(make({ project, values: {} }).containers);
    });
    assert.deepEqual(made, ["c", "b", "a"]);
    assert.deepEqual(options["x-a"], { dependsOn: ["x-b", "x-busybox:1.37.0"] });
  });

  it("tells the provider times as it reads them back, so that a second `up` changes nothing", async () => {
    const times: [told: Seconds, read: string][] = [
      ["59s", "59s"],
      ["60s", "1m0s"],
      ["180s", "3m0s"],
      ["3600s", "1h0m0s"],
      ["3725s", "1h2m5s"],
    ];
    for (const [told, read] of times) {
      const healthcheck = { test: ["CMD", "true"] as const, interval: told, timeout: told, retries: 1 };
      const resources = await declared(() => make({ project: projectOf({ s: { healthcheck } }), values: {} }));
      const { interval, timeout } = resources["Container x-s"]!["healthcheck"] as Record<string, string>;
      assert.deepEqual([interval, timeout], [read, read]);
    }
  });

  it("protects its volumes, and nothing else, unless they may be deleted", async () => {
    const protectedBy = async (deletionPolicy?: "DELETE" | "PREVENT") =>
      Object.entries(await optionsOf(() => make({ deletionPolicy })))
        .filter(([, { protect }]) => protect)
        .map(([name]) => name);
    assert.deepEqual(await protectedBy(), ["x-data"]);
    assert.deepEqual(await protectedBy("PREVENT"), ["x-data"]);
    assert.deepEqual(await protectedBy("DELETE"), []);
  });

  const started = { condition: "service_started" } as const;
  const refused: Record<string, [args: ComposeProjectArgs, message: string]> = {
    "services that wait for each other": [
      {
        project: projectOf({
          a: { depends_on: { b: started } },
          b: { depends_on: { c: started } },
          c: { depends_on: { a: started } },
        }),
        values: {},
      },
      "Compose project p: a depends on b depends on c depends on a",
    ],
    "a service that waits for itself": [
      { project: projectOf({ a: { depends_on: { a: started } } }), values: {} },
      "Compose project p: a depends on a",
    ],
    "a variable without a value": [
      { project: shop, values: { DB_PASSWORD: "p" } },
      "Compose project shop: the variable DB_NAME has no value",
    ],
    "a project that contradicts itself": [
      { project: projectOf({ a: { networks: ["n"] } }), values: {} },
      "Compose project p, service a: there is no network n",
    ],
  };
  for (const [name, [args, message]] of Object.entries(refused)) {
    it(`refuses ${name}`, async () => {
      let made: Resource | undefined;
      await assert.rejects(
        declared(() => {
          made = make(args);
        }),
        { message },
      );
      assert.equal(made, undefined);
    });
  }
});
