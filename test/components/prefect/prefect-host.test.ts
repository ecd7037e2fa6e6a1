import assert from "node:assert/strict";
import type { Output } from "@pulumi/pulumi";
import { composeYaml } from "../../../components/docker/compose.ts";
import { PrefectHost, type PrefectHostArgs } from "../../../components/prefect/prefect-host.ts";
import { declared, optionsOf } from "../../declared.ts";
import { registry, settings } from "./settings.ts";

const make = (changes: Partial<PrefectHostArgs> = {}) => new PrefectHost("p", { ...settings, ...changes });

const isSecret = (output: Output<unknown>) => (output as unknown as { isSecret: Promise<boolean> }).isSecret;

describe("PrefectHost", () => {
  it("makes three passwords of letters and digits, a volume for each thing kept, a container for each service", async () => {
    const resources = await declared(make);
    const of = (type: string) =>
      Object.keys(resources)
        .filter((key) => key.startsWith(`${type} `))
        .map((key) => key.slice(type.length + 1))
        .sort();
    assert.deepEqual(of("RandomPassword"), ["p-api", "p-postgres", "p-redis"]);
    for (const each of ["api", "postgres", "redis"]) {
      assert.deepEqual(resources[`RandomPassword p-${each}`], { length: 32, special: false });
    }
    assert.deepEqual(of("Network"), ["p-compose-data", "p-compose-flows", "p-compose-front"]);
    assert.deepEqual(of("Volume"), [
      "p-compose-backups",
      "p-compose-certificates",
      "p-compose-postgres",
      "p-compose-redis",
    ]);
    assert.equal(of("RemoteImage").length, 4);
    assert.equal(of("Container").length, 8);
    // Beside them the two components.
    assert.equal(Object.keys(resources).length, 3 + 3 + 4 + 4 + 8 + 2);
  });

  it("hands on the API's address, and as secrets what it makes, but not what it was given", async () => {
    let host: PrefectHost | undefined;
    await declared(() => {
      host = make({ registry, registryToken: "plain" });
    });
    const { url, authString, secrets } = host!;
    assert.equal(url, "https://prefect.example.org/api");
    assert.equal(await isSecret(authString), true);
    assert.equal(secrets["PREFECT_AUTH_STRING"], authString);
    assert.deepEqual(Object.keys(secrets), ["POSTGRES_PASSWORD", "PREFECT_AUTH_STRING", "REDIS_PASSWORD"]);
    for (const [name, value] of Object.entries(secrets)) assert.equal(await isSecret(value), true, name);
  });

  it("shows no password to who reads what is declared", async () => {
    const resources = await declared(() => make({ registry, registryToken: "canary" }));
    const shown = Object.fromEntries(
      Object.entries(resources)
        .filter(([key]) => key.startsWith("Container "))
        .map(([key, { envs }]) => [
          key.slice("Container p-compose-".length),
          (envs as string[]).filter((env) => env === "[secret]").length,
        ]),
    );
    assert.deepEqual(shown, {
      backup: 1,
      postgres: 1,
      "prefect-api": 4,
      "prefect-background": 4,
      "prefect-migrate": 1,
      "prefect-worker": 2,
      redis: 1,
      traefik: 0,
    });
    assert.doesNotMatch(JSON.stringify(resources), /canary/);
  });

  it("has the same services as the file that it hands on", async () => {
    let host: PrefectHost | undefined;
    const resources = await declared(() => {
      host = make();
    });
    const text = composeYaml(host!.project, "");
    for (const service of Object.keys(host!.project.services)) {
      assert.ok(text.includes(`\n  ${service}:\n`), service);
      assert.equal(resources[`Container p-compose-${service}`]!["name"], `prefect-${service}-1`);
    }
  });

  it("protects its four volumes unless they may be deleted", async () => {
    const protectedBy = async (changes?: Partial<PrefectHostArgs>) =>
      Object.entries(await optionsOf(() => make(changes)))
        .filter(([, { protect }]) => protect)
        .map(([name]) => name)
        .sort();
    const volumes = ["p-compose-backups", "p-compose-certificates", "p-compose-postgres", "p-compose-redis"];
    assert.deepEqual(await protectedBy(), volumes);
    assert.deepEqual(await protectedBy({ deletionPolicy: "DELETE" }), []);
  });

  it("refuses a registry without its token, and a token without its registry", async () => {
    const message = "PrefectHost p: registry contradicts registryToken: one is nothing without the other";
    await assert.rejects(
      declared(() => make({ registry })),
      { message },
    );
    await assert.rejects(
      declared(() => make({ registryToken: "t" })),
      { message },
    );
  });
});
