/**
 * The packages that no stack uses yet: a program of each, from nothing to nothing, by the real engine and provider
 * against the sandbox's own Kubernetes and Docker, of which the program knows nothing.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Docker, startDocker } from "../../sandbox/docker/index.ts";
import { Client } from "../../sandbox/kubernetes/client.ts";
import { type Part, starters } from "../../sandbox/parts.ts";
import { startedOrSkipped } from "../support/skip.ts";
import {
  assertSecretsKept,
  assertStateEmpty,
  changeBehind,
  held,
  type Laid,
  lay,
  nextRound,
  requireEngine,
  up,
} from "./support.ts";

const world = {
  owner: { login: "", id: 0, type: "User" as const },
  repositories: [],
  projects: [],
  images: [],
  contexts: [],
};

interface Case {
  /** All that the program makes, as the part names it; the resources bear the objects' own names. */
  makes: string[];
  /** What the sandbox keeps for no program. */
  prepare?(folder: string): Promise<Prepared>;
  /** The secret, as whoever may see it finds it. */
  secretOf(part: Part): Promise<string | undefined>;
  /** A kind whose deletion takes the others along. */
  last?: string;
  /** Lets somebody else have what the program would change. @returns the words by which it is refused, and the way back */
  dispute?(part: Part): Promise<{ words: RegExp; settle(): Promise<void> }>;
}

interface Prepared {
  close(): Promise<void>;
}

const argoSecret = "/api/v1/namespaces/argocd/secrets/argocd-secret";

const cases: Record<string, Case> = {
  kubernetes: {
    makes: [
      "AppProject shop/tenant",
      "Application shop/delivery",
      "ConfigMap shop/settings",
      "Deployment shop/orders",
      "ImageUpdater shop/images",
      "Ingress shop/door",
      "Job shop/migrate",
      "Namespace shop",
      "NetworkPolicy shop/fence",
      "Secret argocd/argocd-secret: webhook.github.secret",
      "Secret shop/credentials",
      "Service shop/front",
      "Service shop/peers",
      "StatefulSet shop/ledger",
    ],
    secretOf: async (part) => {
      const { secrets } = (await part.held()) as { secrets: Record<string, string> };
      assert.deepEqual(Object.keys(secrets).sort(), [
        "Secret argocd/argocd-secret: webhook.github.secret",
        "Secret shop/credentials: PASSWORD",
      ]);
      const [value, ...others] = new Set(Object.values(secrets));
      assert.deepEqual(others, []);
      return value;
    },
    last: "Namespace: deleted",
    dispute: async ({ address }) => {
      const client = new Client(address);
      const set = (value: string | null) => {
        const data = { "webhook.github.secret": value };
        return client.request("PATCH", `${argoSecret}?fieldManager=somebody`, { data }, "application/merge-patch+json");
      };
      const theirs = Buffer.from("theirs").toString("base64");
      await set(theirs);
      return {
        words: /Apply failed with 1 conflict: conflict with "somebody" using v1: \.data\.webhook\.github\.secret/,
        settle: async () => {
          const { data } = (await client.get<{ data: object }>(argoSecret))!;
          assert.deepEqual(data, { "webhook.github.secret": theirs });
          await set(null);
        },
      };
    },
  },
  docker: {
    makes: ["container shop-orders", "network shop-net", "volume shop-data"],
    prepare: withImage,
    secretOf: async () => {
      // The same engine, which SANDBOX_DOCKER_HOST names meanwhile.
      const { request } = await startDocker("");
      const { Config, State } = await request<{ Config: { Env: string[] }; State: { Running: boolean } }>(
        "GET",
        "/containers/shop-orders/json",
      );
      assert.ok(State.Running);
      return Config.Env.find((each) => each.startsWith("PASSWORD="))?.slice("PASSWORD=".length);
    },
  },
};

for (const [name, { makes, prepare, secretOf, last, dispute }] of Object.entries(cases)) {
  describe(`A program of ${name}`, function () {
    this.timeout(600_000);
    const secret = `canary-${randomBytes(12).toString("hex")}`;
    let folder: string | undefined;
    let prepared: Prepared | undefined;
    let part: Part;
    let laid: Laid;
    let untouched: Record<string, unknown>;
    let made: Record<string, unknown>;

    before(async function () {
      const pulumi = requireEngine.call(this);
      folder = mkdtempSync(join(tmpdir(), "parts-"));
      const below = folder;
      prepared = await startedOrSkipped(this, async () => prepare?.(below));
      part = await startedOrSkipped(this, () => starters[name]!(world, secret, below));
      laid = lay(pulumi, name, part, join(folder, "stack"));
      laid.canaries.set("the password", secret);
      await laid.engine.run(["stack", "init", "test", "--no-select"]);
      await laid.engine.run(["config", "set", "--secret", "password"], {}, secret);
      untouched = await held(laid);
    });
    after(async () => {
      laid?.engine.kill();
      await part?.close();
      await prepared?.close();
      if (folder) rmSync(folder, { recursive: true, force: true });
    });

    /** What the part names of what it holds: all of it, or beside the values of its secrets. */
    const namesIn = ({ [part.name]: inside }: Record<string, unknown>) =>
      Array.isArray(inside) ? inside : (inside as { objects: string[] }).objects;

    /** Changes of all kinds but some, found and mended. */
    const mend = async (but: string[]) => {
      const done = new Set(but);
      for (let round = await nextRound(laid, done); round.length > 0; round = await nextRound(laid, done)) {
        const changed = [...(await changeBehind(laid, round))];
        // The resource itself: what stands in it or names it would be made again in any case.
        for (const { object, what } of round) {
          assert.ok(
            changed.some((urn) => urn.endsWith(`::${object}`)),
            what,
          );
        }
        await up(laid, "--refresh");
        assert.deepEqual(await held(laid), made);
      }
    };

    it("comes up, and a second preview has no change", async () => {
      assert.deepEqual(namesIn(untouched), []);
      await up(laid);
      made = await held(laid);
      assert.deepEqual(namesIn(made), makes);
      assert.equal(await secretOf(part), secret);
      await laid.engine.run(["preview", "--expect-no-changes"]);
    });

    it("has not drifted when it is read again", async () => {
      await laid.engine.run(["refresh", "--yes", "--expect-no-changes"]);
    });

    it("finds each change made behind its back, and mends it", async () => {
      const kinds = [...new Set((await part.drifts()).map(({ kind }) => kind))];
      // A key of an object that others have made is named with it.
      const kindOf = (each: string) => `${each.split(" ")[0]}: ${each.includes(": ") ? "key taken away" : "deleted"}`;
      assert.deepEqual(kinds.sort(), [...new Set(makes.map(kindOf))].sort());
      await mend(kinds.filter((kind) => kind === last));
      await mend(kinds.filter((kind) => kind !== last));
      assert.equal(await secretOf(part), secret);
      await laid.engine.run(["preview", "--refresh", "--expect-no-changes"]);
    });

    it("leaves nothing when it is destroyed", async () => {
      const state = await laid.engine.run(["stack", "export"]);
      // It has been there to be kept, and not left out.
      assert.match(state, /"ciphertext": ?"v1:/);
      await laid.engine.run(["destroy", "--yes", "--skip-preview"]);
      await assertStateEmpty(laid);
      assert.deepEqual(await held(laid), untouched);
    });

    if (dispute) {
      it("is refused what somebody else has set, and leaves it", async () => {
        const { words, settle } = await dispute(part);
        await assert.rejects(up(laid), words);
        await laid.engine.run(["destroy", "--yes", "--skip-preview"]);
        await settle();
        assert.deepEqual(await held(laid), untouched);
      });
    }

    it("shows no secret: not in the state, its history or what the CLI prints", () => assertSecretsKept(laid));
  });
}

/** An engine with an image, in which the part then finds both: it has no way of its own to make one. */
async function withImage(folder: string): Promise<Prepared> {
  const docker: Docker = await startDocker(join(folder, "engine"));
  try {
    await docker.image(`orders:1@sha256:${"1".repeat(64)}`, ["httpd", "-f"]);
  } catch (error) {
    await docker.close();
    throw error;
  }
  const before = process.env["SANDBOX_DOCKER_HOST"];
  process.env["SANDBOX_DOCKER_HOST"] = docker.host;
  return {
    close: async () => {
      if (before === undefined) delete process.env["SANDBOX_DOCKER_HOST"];
      else process.env["SANDBOX_DOCKER_HOST"] = before;
      await docker.close();
    },
  };
}
