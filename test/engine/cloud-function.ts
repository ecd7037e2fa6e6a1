/** The real provider against a stand-in of Cloud Functions: what an `up` sends after the repository has deployed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { engine, requireEngine, root } from "./engine.ts";

interface Write {
  method: string;
  /** What a PATCH changes. */
  mask: string | null;
}

/** One function, created, changed and read as the API does; every operation is done at once. */
class FunctionsApi {
  readonly writes: Write[] = [];
  function: Record<string, unknown> | undefined;
  readonly server: Server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => {
      text += chunk;
    });
    request.on("end", () => {
      const { pathname, searchParams } = new URL(request.url!, "http://stand-in");
      const method = request.method!;
      const body = text ? (JSON.parse(text) as Record<string, unknown>) : {};
      const name = "projects/my-project/locations/us-east1/functions/orders";
      if (method !== "GET") this.writes.push({ method, mask: searchParams.get("updateMask") });
      if (method === "POST") this.function = { ...body, name, state: "ACTIVE", environment: "GEN_2" };
      if (method === "PATCH") {
        for (const key of searchParams.get("updateMask")!.split(",")) this.function![key] = body[key];
      }
      if (method === "DELETE") this.function = undefined;
      const operation = {
        name: "projects/my-project/locations/us-east1/operations/o",
        done: true,
        response: this.function ?? {},
      };
      const answer = method === "GET" && !pathname.includes("/operations/") ? this.function : operation;
      response.writeHead(answer ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify(answer ?? { error: { code: 404, message: "not found" } }));
    });
  });

  /** What `gcloud functions deploy` leaves. */
  deploy(runtime: string): void {
    const buildConfig = this.function!["buildConfig"] as object;
    this.function!["buildConfig"] = {
      ...buildConfig,
      runtime,
      source: { storageSource: { bucket: "gcf-v2-sources-1", object: "orders/source.zip", generation: "77" } },
    };
    this.function!["labels"] = {
      ...(this.function!["labels"] as object),
      commit: "abc",
      "deployment-tool": "cli-gcloud",
    };
  }
}

describe("A function that its repository has deployed", function () {
  this.timeout(300_000);
  const api = new FunctionsApi();
  let folder: string;
  before(async function () {
    requireEngine.call(this);
    await new Promise<void>((resolve) => api.server.listen(0, "127.0.0.1", resolve));
    folder = mkdtempSync(join(tmpdir(), "esteira-function-"));
    const { port } = api.server.address() as AddressInfo;
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(folder, "Pulumi.yaml"),
      "name: test\nmain: index.ts\nruntime: { name: nodejs, options: { typescript: false } }\n",
    );
    writeFileSync(
      join(folder, "Pulumi.test.yaml"),
      `config:\n  gcp:cloudfunctions2CustomEndpoint: http://127.0.0.1:${port}/v2/\n  gcp:accessToken: x\n`,
    );
    writeFileSync(
      join(folder, "index.ts"),
      `import { CloudFunction } from "${root}/components/functions/cloud-function.ts";
import { RuntimeAccount } from "${root}/components/google/runtime-account.ts";
const account = new RuntimeAccount("runner", { email: "runner@my-project.iam.gserviceaccount.com", project: "my-project" });
new CloudFunction("orders", {
  project: "my-project", region: "us-east1", functionName: "orders", account, deletionPolicy: process.env.DELETION,
  source: { bucket: "first", object: process.env.OBJECT }, runtime: process.env.RUNTIME, memory: process.env.MEMORY,
});
`,
    );
    await engine(folder, ["stack", "init", "test"]);
  });
  after(() => {
    api.server.close();
    if (folder) rmSync(folder, { recursive: true });
  });

  const up = async (OBJECT: string, RUNTIME: string, MEMORY: string, ...flags: string[]) => {
    api.writes.length = 0;
    await engine(folder, ["up", "--yes", "--skip-preview", "--stack", "test", ...flags], {
      OBJECT,
      RUNTIME,
      MEMORY,
      DELETION: "PREVENT",
    });
    return [...api.writes];
  };

  it("is created with the first source", async () => {
    assert.deepEqual(await up("first-1.zip", "python312", "256Mi"), [{ method: "POST", mask: null }]);
  });

  it("keeps its code when the runtime and the first source change here", async () => {
    api.deploy("python312");
    assert.deepEqual(await up("first-2.zip", "python313", "256Mi"), []);
    assert.deepEqual(await up("first-2.zip", "python313", "256Mi", "--refresh"), []);
  });

  it("keeps its code when memory changes here", async () => {
    api.deploy("python313");
    assert.deepEqual(await up("first-2.zip", "python313", "512Mi", "--refresh"), [
      { method: "PATCH", mask: "serviceConfig" },
    ]);
    const { source } = api.function!["buildConfig"] as { source: { storageSource: { bucket: string } } };
    assert.equal(source.storageSource.bucket, "gcf-v2-sources-1");
    assert.equal((api.function!["labels"] as Record<string, string>)["commit"], "abc");
  });

  it("is not deleted by a destroy, whose preview says so", async () => {
    api.writes.length = 0;
    const env = { OBJECT: "first-2.zip", RUNTIME: "python313", MEMORY: "512Mi", DELETION: "PREVENT" };
    await assert.rejects(
      engine(folder, ["destroy", "--yes", "--stack", "test"], env),
      /orders-function.*protect|protect.*orders-function/s,
    );
    assert.deepEqual(api.writes, []);
  });

  it("goes once its deletion policy lets it", async () => {
    api.writes.length = 0;
    const env = { OBJECT: "first-2.zip", RUNTIME: "python313", MEMORY: "512Mi", DELETION: "DELETE" };
    await engine(folder, ["up", "--yes", "--skip-preview", "--stack", "test"], env);
    await engine(folder, ["destroy", "--yes", "--skip-preview", "--stack", "test"], env);
    assert.deepEqual(
      api.writes.map(({ method }) => method),
      ["DELETE"],
    );
  });
});
