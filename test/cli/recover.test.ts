/** `recover` with a CLI that plays an engine whose creates are refused; test/engine/faults.ts has the real one. */
import assert from "node:assert/strict";
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parse, stringify } from "yaml";
import { Engine, root } from "../../cli/engine.ts";
import { importId, importIds } from "../../cli/recover/import-ids.ts";
import { recover } from "../../cli/recover.ts";
import { declare } from "../../cli/render/program.ts";
import { readStackFile } from "../../cli/render/stack-file.ts";
import { StubServer } from "../support/stub-server.ts";

const policy = "github:index/repositoryEnvironmentDeploymentPolicy:RepositoryEnvironmentDeploymentPolicy";

/** Keeps its state in a file, refuses creates until they are imported, and notes its calls. */
const cli = `#!/usr/bin/env node
const { readFileSync, writeFileSync, appendFileSync } = require("node:fs");
const [command, ...args] = process.argv.slice(2);
const state = JSON.parse(readFileSync("state.json", "utf8"));
const flag = (name) => args[args.indexOf(name) + 1];
const save = () => writeFileSync("state.json", JSON.stringify(state));
appendFileSync("calls", [command, args[0]].join(" ") + "\\n");
if (command === "stack" && args[0] === "export") console.log(JSON.stringify({ deployment: state.deployment }));
if (command === "stack" && args[0] === "import") {
  state.deployment = JSON.parse(readFileSync(0, "utf8")).deployment;
  save();
}
if (command === "preview" && args.includes("--json")) console.log(JSON.stringify({ steps: state.steps }));
else if (command === "preview") {
  const resources = state.refused.map(({ type, name }) => ({ type, name, id: "<PLACEHOLDER>", version: "1" }));
  writeFileSync(flag("--import-file"), JSON.stringify({ nameTable: {}, resources }));
}
if (command === "import") {
  state.imported = JSON.parse(readFileSync(flag("--file"), "utf8"));
  state.refused = [];
  save();
}
if (command === "up") {
  console.log("Updating\\n\\nDiagnostics:");
  for (const { type, name, error } of state.refused) {
    console.log("  " + type.replace(/\\/[^:]+/, "") + " (" + name + "):\\n    error: " + error + "\\n");
  }
  console.log("Resources:\\n    1 errored");
  if (state.refused.length > 0) process.exit(1);
}
`;

interface Refusal {
  type: string;
  name: string;
  error: string;
}

describe("recover", () => {
  let folder: string;
  let github: StubServer;
  const said: string[] = [];

  before(async () => {
    github = await StubServer.start();
  });
  after(() => github.close());
  beforeEach(() => {
    said.length = 0;
    github.reset();
    folder = mkdtempSync(join(tmpdir(), "esteira-recover-"));
    writeFileSync(join(folder, "pulumi"), cli);
    chmodSync(join(folder, "pulumi"), 0o755);
    const { config } = parse(readFileSync(join(root, "Pulumi.prod.yaml"), "utf8")) as { config: object };
    const equidade = Object.entries(config).filter(([key]) => /^(github:|esteira:(ownerId|equidade)$)/.test(key));
    const own = { config: { ...Object.fromEntries(equidade), "github:baseUrl": `${github.url}/` } };
    writeFileSync(join(folder, "Pulumi.prod.yaml"), stringify(own));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const asked: string[] = [];
  const run = (state: object, agreed: (question: string) => boolean = () => true) => {
    asked.length = 0;
    writeFileSync(join(folder, "state.json"), JSON.stringify({ deployment: {}, refused: [], steps: [], ...state }));
    return recover({
      engine: new Engine(join(folder, "pulumi"), folder, { GITHUB_TOKEN: "t" }),
      stack: "prod",
      folder,
      tell: (line) => said.push(line),
      agree: async (question) => asked.push(question) > 0 && agreed(question),
    });
  };
  const calls = () => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");
  const state = () =>
    JSON.parse(readFileSync(join(folder, "state.json"), "utf8")) as {
      deployment: { pending_operations?: object[]; resources?: object[] };
      imported?: { resources: object[] };
    };
  /** What prod's equidade declares, refused as existing. */
  const refuse = async (...types: string[]): Promise<Refusal[]> => {
    const { resources } = await declare(root, "prod", readStackFile(folder, "prod"));
    return types.map((type) => {
      const { name } = resources.find((resource) => resource.type === type)!;
      return { type, name, error: "googleapi: Error 409: it already exists" };
    });
  };

  it("imports what was refused, below the program's parents, and finishes", async () => {
    const ruleset = "github:index/repositoryRuleset:RepositoryRuleset";
    const refused = await refuse(
      "gcp:storage/bucket:Bucket",
      "gcp:serviceaccount/account:Account",
      "gcp:iam/workloadIdentityPool:WorkloadIdentityPool",
      "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",
      "gcp:cloudfunctionsv2/function:Function",
      ruleset,
    );
    const { resources } = await declare(root, "prod", readStackFile(folder, "prod"));
    const name = resources.find(({ type }) => type === ruleset)!.inputs["name"];
    github.on("GET /api/v3/repos/sua-org/equidade-data-package/rulesets?includes_parents=false&per_page=100", {
      body: [
        { id: 7, name: "x" },
        { id: 42, name },
      ],
    });
    assert.equal(await run({ refused }), true);
    const pool = "projects/equidade-prod/locations/global/workloadIdentityPools/equidade-deployer";
    assert.deepEqual(
      state().imported!.resources.map((each) => (each as { id: string }).id),
      [
        "equidade-prod/equidade-prod-equidade-first-source",
        "projects/equidade-prod/serviceAccounts/cloud-function-1@equidade-prod.iam.gserviceaccount.com",
        pool,
        `${pool}/providers/github`,
        "projects/equidade-prod/locations/southamerica-east1/functions/cloud-function-1",
        "equidade-data-package:42",
      ],
    );
    assert.deepEqual(Object.keys(state().imported!.resources[0]!), ["type", "name", "id", "version"]);
    assert.equal(github.requests[0]!.headers.authorization, "Bearer t");
  });

  it("imports nothing, and runs nothing, without being told to", async () => {
    const refused = await refuse("gcp:storage/bucket:Bucket");
    assert.equal(await run({ refused }, (question) => !question.startsWith("Take")), false);
    assert.equal(state().imported, undefined);
    assert.ok(said.includes("exists: equidade-build-bucket (equidade-prod/equidade-prod-equidade-first-source)"));
    assert.deepEqual(asked, ["Run `up` of prod?", "Take what exists into the state of prod?"]);
    assert.equal(await run({ refused }, () => false), false);
    assert.deepEqual(asked, ["Run `up` of prod?"]);
    assert.equal(calls().filter((call) => call.startsWith("up")).length, 1);
  });

  it("runs nothing that would delete or replace, adopted or not", async () => {
    for (const op of ["delete", "replace", "create-replacement", "delete-replaced"]) {
      assert.equal(await run({ steps: [{ op, urn: "urn:pulumi:prod::esteira::a:b:C::d" }] }), false);
      assert.ok(said.includes(`would ${op}: urn:pulumi:prod::esteira::a:b:C::d`));
    }
    assert.ok(!calls().some((call) => call.startsWith("up")));
  });

  it("keeps the state as it was, of each time it is run", async () => {
    const deployment = { pending_operations: [{ type: "creating", resource: { urn: "u" } }] };
    await run({ deployment });
    assert.ok(said.includes("was being created: u"));
    await run({ deployment: { resources: [] } });
    const kept = said.flatMap((line) => /^The state as it was is in (.+)\.$/.exec(line)?.[1] ?? []);
    assert.deepEqual(
      kept.map((path) => JSON.parse(readFileSync(path, "utf8")) as object),
      [{ deployment }, { deployment: { resources: [] } }],
    );
    for (const path of kept) {
      assert.match(basename(path), /^prod\.[\dTZ.-]+\.before-recover\.json$/);
      assert.equal(statSync(path).mode & 0o777, 0o600);
    }
  });

  it("tells any other failure as it is, and imports nothing", async () => {
    const [refusal] = await refuse("gcp:storage/bucket:Bucket");
    assert.equal(await run({ refused: [{ ...refusal, error: "Error 403: forbidden" }] }), false);
    assert.ok(said.includes("error: Error 403: forbidden"));
    assert.equal(state().imported, undefined);
  });

  for (const words of [
    "Error creating Dataset: googleapi: Error 409: Already Exists: Dataset p:d, duplicate",
    "POST https://api.github.com/repos/o/r/hooks: 422 Validation Failed [{Resource:Hook Field: Code:custom Message:Hook already exists on this repository}]",
    'was not successfully created by the Kubernetes API server: secrets "x" already exists',
    "googleapi: Error 409: Your previous request to create the named bucket succeeded and you already own it., conflict",
  ]) {
    it(`knows by the provider's words that something exists: ${words}`, async () => {
      const [refusal] = await refuse("gcp:storage/bucket:Bucket");
      assert.equal(await run({ refused: [{ ...refusal, error: words }] }), true);
      assert.equal(state().imported!.resources.length, 1);
    });
  }

  it("knows what a dataset is called", async () => {
    const id = importIds["gcp:bigquery/dataset:Dataset"]!(
      { project: "p", datasetId: "d" },
      { owner: "o", github: assert.fail, docker: assert.fail },
    );
    assert.equal(await id, "projects/p/datasets/d");
  });

  it("knows what a webhook is called, by its URL and an event", async () => {
    const type = "github:index/repositoryWebhook:RepositoryWebhook";
    const url = "https://argocd.example.com/api/webhook";
    const inputs = { repository: "r", events: ["push"], configuration: { url, secret: "[secret]" } };
    const idAmong = async (...hooks: object[]) => {
      const asked: string[] = [];
      const services = { owner: "o", docker: assert.fail, github: async (path: string) => asked.push(path) && hooks };
      const id = await importId({ type, inputs }, services);
      assert.deepEqual(asked, ["repos/{owner}/r/hooks?per_page=100"]);
      return id;
    };
    const others = [
      { id: 5, events: ["push"], config: { url: "https://other.example.com" } },
      { id: 6, events: ["push"], config: {} },
      { id: 7, events: ["fork"], config: { url } },
    ];
    assert.equal(await idAmong(...others, { id: 8, events: ["fork", "push"], config: { url } }), "r/8");
    assert.equal(await idAmong(...others), undefined);
  });

  it("knows what a Kubernetes object is called, whatever its kind", async () => {
    const services = { owner: "o", github: assert.fail, docker: assert.fail };
    const idOf = (type: string, metadata?: object) => importId({ type, inputs: { metadata } }, services);
    const application = "kubernetes:argoproj.io/v1alpha1:Application";
    assert.equal(await idOf(application, { namespace: "argocd", name: "shop" }), "argocd/shop");
    assert.equal(await idOf("kubernetes:core/v1:Namespace", { name: "shop" }), "shop");
    assert.equal(await idOf("kubernetes:core/v1:ConfigMap", { namespace: "shop" }), undefined);
    assert.equal(await idOf("kubernetes:core/v1:ConfigMap"), undefined);
    assert.equal(await idOf("github:index/repositoryFile:RepositoryFile", { name: "x" }), undefined);
  });

  describe("on a Docker host", () => {
    const words: Record<string, string> = {
      "docker:index/network:Network": "Unable to create network: network with name prefect_data already exists",
      "docker:index/container:Container":
        'Conflict. The container name "/prefect-postgres-1" is already in use by container "1a". You have to remove it',
    };
    const refused = Object.entries(words).map(([type, error]) => {
      const name = `arcgis-prefect-compose-${type.includes("network") ? "data" : "postgres"}`;
      return { type, name, error };
    });
    /** Notes its calls; every network has one ID, every container one label. */
    const dockerCli = (label: string) => `#!/bin/sh
echo "docker $*" >>"\${0%/*}/docker-calls"
case "$3 $4" in
  "network inspect") echo 4f2a ;;
  "container inspect") echo "${label}" ;;
esac
`;
    const { PATH } = process.env;
    beforeEach(() => {
      cpSync(join(root, "Pulumi.prod.yaml"), join(folder, "Pulumi.prod.yaml"));
      writeFileSync(join(folder, "docker"), dockerCli("arcgis-prefect-compose-postgres"), { mode: 0o755 });
      process.env["PATH"] = `${folder}:${PATH}`;
    });
    afterEach(() => {
      process.env["PATH"] = PATH;
    });
    const docker = (args: string) => `docker --host ssh://deploy@prefect-rj-smas.org ${args}`;

    it("removes the container that a dead engine left, and takes the network", async () => {
      assert.equal(await run({ refused }), true);
      assert.deepEqual(readFileSync(join(folder, "docker-calls"), "utf8").trim().split("\n"), [
        docker("network inspect --format {{.Id}} prefect_data"),
        docker('container inspect --format {{index .Config.Labels "io.esteira.resource"}} prefect-postgres-1'),
        docker("rm --force prefect-postgres-1"),
      ]);
      assert.deepEqual(
        state().imported!.resources.map((each) => (each as { id: string }).id),
        ["4f2a"],
      );
    });

    it("removes nothing without being told to", async () => {
      assert.equal(await run({ refused }, (question) => !question.startsWith("Remove")), false);
      assert.ok(said.includes("in the way: arcgis-prefect-compose-postgres (prefect-postgres-1)"));
      assert.ok(!readFileSync(join(folder, "docker-calls"), "utf8").includes(" rm "));
    });

    for (const [whose, label] of [
      ["somebody else's", ""],
      ["another resource's", "arcgis-prefect-compose-redis"],
    ] as const) {
      it(`does not touch a container of ${whose}`, async () => {
        writeFileSync(join(folder, "docker"), dockerCli(label));
        const [, container] = refused;
        assert.equal(await run({ refused: [container] }), false);
        assert.equal(
          said.at(-1),
          "prefect-postgres-1 is in the way and not this program's: see what it is, and remove or rename it (docker inspect prefect-postgres-1)",
        );
        assert.deepEqual(readFileSync(join(folder, "docker-calls"), "utf8").trim().split("\n"), [
          docker('container inspect --format {{index .Config.Labels "io.esteira.resource"}} prefect-postgres-1'),
        ]);
      });
    }

    it("tells what the Docker CLI says where it cannot", async () => {
      writeFileSync(join(folder, "docker"), "#!/bin/sh\necho no route to host >&2\nexit 1\n");
      const [, container] = refused;
      assert.equal(await run({ refused: [container] }), false);
      assert.match(said.at(-1)!, /inspect .* prefect-postgres-1\nno route to host/);
    });
  });

  it("forgets what a dead engine was creating, and nothing else", async () => {
    const deletion = { type: "deleting", resource: { urn: "u" } };
    assert.equal(
      await run({ deployment: { pending_operations: [{ ...deletion, type: "creating" }, deletion] } }),
      true,
    );
    assert.deepEqual(state().deployment.pending_operations, [deletion]);
  });

  it("leaves a state alone in which nothing is to be mended", async () => {
    assert.equal(await run({}), true);
    assert.ok(!calls().includes("stack import"));
  });

  it("gives a deployment policy its number, which GitHub's redirect has hidden from the provider", async () => {
    const { resources } = await declare(root, "prod", readStackFile(folder, "prod"));
    const { urn } = resources.find(({ type, name }) => type === policy && name.endsWith("main"))!;
    github.on(
      "GET /api/v3/repos/sua-org/equidade-data-package/environments/prod/deployment-branch-policies?per_page=100",
      {
        body: {
          branch_policies: [
            { id: 5, name: "main", type: "tag" },
            { id: 6, name: "main", type: "branch" },
          ],
        },
      },
    );
    const id = "equidade-data-package:prod:0";
    const lost = { urn, type: policy, id, outputs: { id, policyId: 0, branchPattern: "main" } };
    assert.equal(await run({ deployment: { resources: [lost] } }), true);
    const found = "equidade-data-package:prod:6";
    const outputs = { id: found, policyId: 6, branchPattern: "main" };
    assert.deepEqual(state().deployment.resources, [{ urn, type: policy, id: found, outputs }]);
  });
});
