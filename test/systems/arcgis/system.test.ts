import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { RunError } from "@pulumi/pulumi";
import { systemFacts } from "../../../audit/schema.ts";
import type { Declaration, DeclaredResource } from "../../../cli/render/program.ts";
import { images } from "../../../components/prefect/images.ts";
import type { Mode } from "../../../systems/arcgis/config.ts";
import { wordsOf } from "../../components/answers.ts";
import { typeName, withNames } from "../../declared.ts";
import { declare, filesOf, flows, host } from "./fixture.ts";

const countByType = (resources: readonly DeclaredResource[]) => {
  const counts: Record<string, number> = {};
  for (const each of resources) counts[typeName(each)] = (counts[typeName(each)] ?? 0) + 1;
  return counts;
};

/** What each environment has of Google's, whoever owns the host. */
const google = {
  ProjectServices: 1,
  Service: 5,
  Bucket: 1,
  Dataset: 1,
  RuntimeAccount: 1,
  Account: 1,
  BucketIAMMember: 1,
  DatasetIamMember: 1,
  IAMMember: 1,
};

/** What each environment has that Prefect deploys to. */
const deployed = {
  Key: 1,
  VolumeFiles: 1,
  RepositoryEnvironment: 1,
  RepositoryEnvironmentDeploymentPolicy: 1,
  ActionsEnvironmentSecret: 1,
  ActionsEnvironmentVariable: 1,
};

/** Names of what another declaration has more, less or otherwise. */
function changed(before: Declaration, after: Declaration): string[] {
  const [old, now] = [before, after].map(
    ({ resources }) => new Map(resources.map((each) => [each.urn, JSON.stringify([each.inputs, each.options])])),
  );
  return [...new Set([...old!.keys(), ...now!.keys()])]
    .filter((urn) => old!.get(urn) !== now!.get(urn))
    .map((urn) => urn.split("::").at(-1)!);
}

/** The one resource of a type, or of a type and name. */
function only({ resources }: Declaration, type: string, name?: string): DeclaredResource {
  const found = resources.filter((each) => typeName(each) === type && (!name || each.name === name));
  assert.equal(found.length, 1, `${found.length} of ${type} ${name ?? ""}`);
  return found[0]!;
}

const names = (resources: readonly DeclaredResource[]) => resources.map(({ name }) => name).sort();

describe("arcgis", () => {
  describe("declares exactly this many of each", () => {
    const counts: Record<Mode, Record<string, number>> = {
      dev: { ...google, Stack: 1, Arcgis: 1, RepositoryDelivery: 1, RepositoryFile: 2 },
      staging: {
        ...google,
        ...deployed,
        Stack: 1,
        Arcgis: 1,
        StackReference: 1,
        RepositoryDelivery: 1,
        RepositoryFile: 1,
        // Of the volume with the account's key.
        Volume: 1,
        RemoteImage: 1,
        Container: 1,
      },
      prod: {
        ...google,
        ...deployed,
        Stack: 1,
        Arcgis: 1,
        RepositoryDelivery: 1,
        RepositoryFile: 5,
        PrefectHost: 1,
        RandomPassword: 3,
        ComposeProject: 1,
        Network: 3,
        Volume: 4 + 1,
        RemoteImage: 4 + 1,
        Container: 8 + 1,
      },
    };
    for (const [stack, expected] of Object.entries(counts)) {
      it(`in ${stack}`, async () =>
        assert.deepEqual(countByType((await declare({}, stack as Mode)).resources), expected));
    }
  });

  describe("delivers", () => {
    it("the values of its own mode from each stack, and what stands once in the repository from the host's owner", async () => {
      const paths = async (stack: Mode) => Object.keys(filesOf(await declare({}, stack))).sort();
      assert.deepEqual(await paths("dev"), [".env", "pipelines/arcgis/settings/dev.json"]);
      assert.deepEqual(await paths("staging"), ["pipelines/arcgis/settings/staging.json"]);
      assert.deepEqual(await paths("prod"), [
        ".github/workflows/ci_cd.yml",
        "pipelines/arcgis/settings/__init__.py",
        "pipelines/arcgis/settings/prod.json",
        "prefect.yaml",
        "prefect/compose.yml",
      ]);
    });

    it("values that follow from the stack's file", async () => {
      const values = async (changes: object, stack: Mode) =>
        JSON.parse(filesOf(await declare(changes, stack))[`pipelines/arcgis/settings/${stack}.json`]!) as object;
      assert.deepEqual(await values({}, "staging"), {
        mode: "staging",
        gcp_project: "rj-smas-staging",
        gcs_bucket: "rj-smas-staging-arcgis",
        bigquery_dataset: "arcgis",
        location: "southamerica-east1",
        arcgis_endpoint: "https://staging.example.org",
      });
      assert.deepEqual(await values({ bucket: "other", dataset: "geo", region: "us-east1" }, "dev"), {
        mode: "dev",
        gcp_project: "rj-smas-dev",
        gcs_bucket: "other",
        bigquery_dataset: "geo",
        location: "us-east1",
        arcgis_endpoint: "https://dev.example.org",
      });
    });

    it("dev's .env, which has no secret and both names of the mode", async () => {
      const [env] = Object.values(filesOf(await declare({}, "dev"))).filter((text) => text.includes("MODE="));
      assert.deepEqual(
        env!.split("\n").filter((line) => !line.startsWith("#")),
        ["MODE=dev", "RIO_ENV=dev", ""],
      );
    });

    it("into other folders, branches and repositories where the file says so, by pull requests of each mode's own", async () => {
      const changes = { package: "src", repository: "other", branch: "trunk", via: "pull-request" };
      for (const stack of ["dev", "staging"] as const) {
        const declaration = await declare(changes, stack);
        assert.ok(`src/settings/${stack}.json` in filesOf(declaration));
        const { inputs } = only(declaration, "Branch");
        assert.deepEqual([inputs["repository"], inputs["sourceBranch"]], ["other", "trunk"]);
        assert.match(String(inputs["branch"]), new RegExp(`^esteira/arcgis-${stack}-[0-9a-f]{12}$`));
      }
    });

    it("nothing before the server answers and flows find their key", async () => {
      const { options } = only(await declare(), "RepositoryDelivery");
      const { dependsOn } = withNames(options);
      for (const name of ["arcgis-prefect-compose-prefect-api", "arcgis-prefect-compose-traefik"]) {
        assert.ok(dependsOn!.includes(name), name);
      }
      assert.ok(dependsOn!.includes("arcgis-credentials-files"));
      const staging = only(await declare({}, "staging"), "RepositoryDelivery");
      assert.ok(withNames(staging.options).dependsOn!.includes("arcgis-credentials-files"));
    });
  });

  it("lets flows read and write their own bucket and dataset, start jobs, and nothing else", async () => {
    for (const [stack, project] of [
      ["dev", "rj-smas-dev"],
      ["staging", "rj-smas-staging"],
      ["prod", "rj-smas"],
    ] as const) {
      const { resources } = await declare({}, stack);
      const member = `serviceAccount:arcgis-flows@${project}.iam.gserviceaccount.com`;
      const grants = resources.filter((each) => /Iam|IAM/.test(typeName(each)));
      assert.deepEqual(
        grants.map(({ inputs }) => inputs).sort((a, b) => String(a["role"]).localeCompare(String(b["role"]))),
        [
          { datasetId: "arcgis", project, role: "roles/bigquery.dataEditor", member },
          { project, role: "roles/bigquery.jobUser", member },
          { bucket: `${project}-arcgis`, role: "roles/storage.objectUser", member },
        ],
      );
    }
  });

  it("lets developers act as the flows' account, once it is there, and do nothing else", async () => {
    const developers = ["user:ana@example.org", "group:dados@example.org"];
    for (const [stack, project] of [
      ["dev", "rj-smas-dev"],
      ["prod", "rj-smas"],
    ] as const) {
      const [before, after] = [await declare({}, stack), await declare({ developers }, stack)];
      const granted = developers.map((member) => `arcgis-flows-developer-${member}`);
      assert.deepEqual(changed(before, after).sort(), [...granted].sort());
      for (const [index, member] of developers.entries()) {
        const { type, inputs, options } = after.resources.find(({ name }) => name === granted[index])!;
        assert.equal(type, "gcp:serviceaccount/iAMMember:IAMMember");
        assert.deepEqual(inputs, {
          member,
          role: "roles/iam.serviceAccountTokenCreator",
          serviceAccountId: `projects/${project}/serviceAccounts/arcgis-flows@${project}.iam.gserviceaccount.com`,
        });
        assert.deepEqual(withNames(options).dependsOn, ["arcgis-flows-account"]);
      }
    }
  });

  it("switches on the APIs that it needs, before what needs them", async () => {
    const declaration = await declare({}, "dev");
    const apis = declaration.resources.filter((each) => typeName(each) === "Service");
    assert.deepEqual(names(apis), [
      "arcgis-apis-bigquery",
      "arcgis-apis-cloudresourcemanager",
      "arcgis-apis-iam",
      "arcgis-apis-iamcredentials",
      "arcgis-apis-storage",
    ]);
    for (const type of ["Bucket", "Dataset"]) {
      assert.deepEqual(withNames(only(declaration, type).options).dependsOn, names(apis));
    }
    const { options } = only(declaration, "RuntimeAccount");
    assert.deepEqual(withNames(options).dependsOn, ["arcgis-bucket", "arcgis-dataset"]);
  });

  it("puts the account's key, once it may do something, into a volume of its mode's own, on the host alone", async () => {
    for (const stack of ["staging", "prod"] as const) {
      const declaration = await declare({}, stack);
      assert.equal(only(declaration, "Volume", "arcgis-credentials-volume").inputs["name"], `arcgis-${stack}-google`);
      const { uploads } = only(declaration, "Container", "arcgis-credentials-files").inputs as { uploads: object[] };
      assert.deepEqual(uploads, [{ file: "/files/key.json", content: "[secret]", permissions: "0444" }]);
      const { dependsOn } = withNames(only(declaration, "Key").options);
      assert.equal(dependsOn!.length, 4, "the account and its three rights");
    }
  });

  describe("lets deploy", () => {
    const environments = async (changes: object, stack: Mode) =>
      (await declare(changes, stack)).resources
        .filter(({ type }) => /^github:.*(Environment|Policy)/.test(type))
        .map((each) => [typeName(each), each.inputs] as const);
    const open = {
      preventSelfReview: false,
      canAdminsBypass: true,
      deploymentBranchPolicy: { protectedBranches: false, customBranchPolicies: true },
    };

    it("the default branch in production", async () => {
      const at = { repository: "pipelines-arcgis", environment: "production" };
      assert.deepEqual(await environments({}, "prod"), [
        ["ActionsEnvironmentSecret", { ...at, secretName: "PREFECT_API_KEY", value: "[secret]" }],
        [
          "ActionsEnvironmentVariable",
          { ...at, variableName: "PREFECT_API_URL", value: "https://prefect-rj-smas.org/api" },
        ],
        ["RepositoryEnvironment", { ...at, ...open }],
        ["RepositoryEnvironmentDeploymentPolicy", { ...at, branchPattern: "main" }],
      ]);
    });

    it("branches below staging, however deep, in staging, with what the host's owner tells", async () => {
      const at = { repository: "pipelines-arcgis", environment: "staging" };
      assert.deepEqual(await environments({}, "staging"), [
        ["ActionsEnvironmentSecret", { ...at, secretName: "PREFECT_API_KEY", value: "[secret]" }],
        ["ActionsEnvironmentVariable", { ...at, variableName: "PREFECT_API_URL", value: "[computed]" }],
        ["RepositoryEnvironment", { ...at, ...open }],
        ["RepositoryEnvironmentDeploymentPolicy", { ...at, branchPattern: "staging/**/*" }],
      ]);
    });

    it("another default branch, once somebody has approved, where the file says so", async () => {
      const [, , [, environment], [, policy]] = (await environments(
        { branch: "trunk", reviewers: { users: [1], teams: [2] } },
        "prod",
      )) as unknown as [unknown, unknown, [string, Record<string, unknown>], [string, Record<string, unknown>]];
      assert.equal(policy["branchPattern"], "trunk");
      assert.deepEqual(environment["reviewers"], [{ users: [1], teams: [2] }]);
      assert.deepEqual([environment["preventSelfReview"], environment["canAdminsBypass"]], [true, false]);
    });

    it("nobody in dev, and nobody without a host", async () => {
      assert.deepEqual(await environments({}, "dev"), []);
      assert.deepEqual(await environments({ prefect: undefined }, "staging"), []);
    });
  });

  it("puts the key onto another stack's host by the image of Prefect, or by that of a mirror's", async () => {
    const imageOf = async (changes: object) => {
      const declaration = await declare({ prefect: { stack: "prod", ...changes } }, "staging");
      return only(declaration, "Container", "arcgis-credentials-files").inputs["image"];
    };
    const mirrored = "mirror.example.org/prefect:3.9.1-python3.13";
    assert.equal(await imageOf({}), images.prefect);
    assert.equal(await imageOf({ image: mirrored }), mirrored);
  });

  it("asks the stack that owns the host, by its short name or its whole one", async () => {
    for (const [stack, name] of [
      ["prod", "organization/esteira/prod"],
      ["acme/infra/production", "acme/infra/production"],
    ] as const) {
      const declaration = await declare({ prefect: { stack } }, "staging");
      assert.deepEqual(only(declaration, "StackReference").inputs, { name });
      assert.deepEqual(declaration.lookedUp, ["pulumi:pulumi:StackReference"]);
    }
  });

  describe("takes from the stack that owns the host", () => {
    const told = (outputs: object, stack = "prod", name = "organization/esteira/prod") =>
      declare({ prefect: { stack } }, "staging", { [`StackReference ${name}`]: { outputs } });

    it("where its server is", async () => {
      const prefect = { url: "https://prefect.example.org/api", authString: "canary" };
      const declaration = await told({ shared: { arcgis: { prefect } } });
      const { inputs } = only(declaration, "ActionsEnvironmentVariable");
      assert.equal(inputs["value"], "https://prefect.example.org/api");
      assert.equal(only(declaration, "ActionsEnvironmentSecret").inputs["value"], "[secret]");
      assert.doesNotMatch(JSON.stringify(declaration), /canary/);
    });

    it("nothing where it has no host, and says how that is mended", async () => {
      const cases: Record<string, object> = { "no output": {}, "no system": { shared: {} } };
      for (const [name, outputs] of Object.entries(cases)) {
        for (const [stack, fullName] of [
          ["prod", "organization/esteira/prod"],
          ["acme/infra/production", "acme/infra/production"],
        ] as const) {
          await assert.rejects(
            told(outputs, stack, fullName),
            (error) => {
              assert.ok(error instanceof RunError);
              assert.equal(
                wordsOf(error),
                `esteira:arcgis.prefect.stack: the stack ${fullName} tells of no Prefect host; name the stack whose file has esteira:arcgis.prefect.domain, and run its \`up\` first`,
              );
              return true;
            },
            name,
          );
        }
      }
    });
  });

  it("tells other stacks how to reach its server, secret, and nothing where it has none", async () => {
    const shared = async (stack: Mode) => (await declare({}, stack)).outputs["shared"];
    assert.deepEqual(await shared("prod"), {
      prefect: { url: "https://prefect-rj-smas.org/api", authString: "[secret]" },
    });
    assert.deepEqual([await shared("staging"), await shared("dev")], [undefined, undefined]);
  });

  describe("keeps what holds data", () => {
    const fate = async (changes: object, stack: Mode) => {
      const declaration = await declare(changes, stack);
      return {
        protected: names(declaration.resources.filter(({ options }) => options.protect)),
        emptied: [
          only(declaration, "Bucket").inputs["forceDestroy"],
          only(declaration, "Dataset").inputs["deleteContentsOnDestroy"],
        ],
      };
    };
    const volumes = ["backups", "certificates", "postgres", "redis"].map((each) => `arcgis-prefect-compose-${each}`);
    const kept = { protected: ["arcgis-bucket", "arcgis-dataset", ...volumes], emptied: [false, false] };
    const gone = { protected: [], emptied: [true, true] };

    it("in prod, and in prod alone", async () => {
      assert.deepEqual(await fate({}, "prod"), kept);
      assert.deepEqual(await fate({}, "staging"), gone);
      assert.deepEqual(await fate({}, "dev"), gone);
    });

    it("elsewhere too, or in prod neither, where the file says so", async () => {
      assert.deepEqual(await fate({ deletionPolicy: "DELETE" }, "prod"), gone);
      assert.deepEqual(await fate({ deletionPolicy: "PREVENT" }, "staging"), {
        protected: ["arcgis-bucket", "arcgis-dataset"],
        emptied: [false, false],
      });
    });
  });

  it("costs one write for one flow more: prefect.yaml", async () => {
    const more = { flows: [...flows, "ruas"] };
    assert.deepEqual(changed(await declare(), await declare(more)), ["arcgis-repository-prefect.yaml"]);
  });

  it("turns on WebSockets by one line: the worker and the file for Compose change, nothing else does", async () => {
    const [before, after] = [await declare(), await declare({ prefect: { ...host, webSockets: true } })];
    assert.deepEqual(changed(before, after), [
      "arcgis-repository-prefect/compose.yml",
      "arcgis-prefect-compose-prefect-worker",
    ]);
    const lines = (declaration: Declaration) => filesOf(declaration)["prefect/compose.yml"]!.split("\n");
    const old = new Set(lines(before));
    assert.deepEqual(
      lines(after).filter((line) => !old.has(line)),
      ['      PREFECT_API_ENABLE_HTTP2: "true"', '      PREFECT_EVENTS_ENABLED: "true"'],
    );
  });

  it("hands the host's settings on", async () => {
    const { outputs, ...declaration } = await declare({
      prefect: {
        ...host,
        acmeServer: "https://acme.example.org/directory",
        pool: "other-pool",
        backupAt: "23:30",
        backupDays: 3,
        registryUser: "puller",
        images: { prefect: "mirror.example.org/prefect:3.9.1-python3.13" },
      },
    });
    const text = filesOf(declaration as Declaration);
    for (const line of [
      "email: infra@example.org",
      "caServer: https://acme.example.org/directory",
      "POOL: other-pool",
      'BACKUP_AT: "23:30"',
      'BACKUP_DAYS: "3"',
      "REGISTRY: ghcr.io",
      "REGISTRY_USER: puller",
      "REGISTRY_TOKEN: ${REGISTRY_TOKEN:?the token with which puller pulls images from ghcr.io}",
      "image: mirror.example.org/prefect:3.9.1-python3.13",
    ]) {
      assert.ok(text["prefect/compose.yml"]!.includes(` ${line}\n`), line);
    }
    assert.equal(text["prefect.yaml"]!.match(/^ +name: other-pool$/gm)?.length, 12);
    const container = only(declaration as Declaration, "Container", "arcgis-credentials-files");
    assert.equal(container.inputs["image"], "mirror.example.org/prefect:3.9.1-python3.13");
    const facts = systemFacts.parse(outputs["facts"]);
    assert.deepEqual(
      facts.secrets.map(({ name, destination, origin }) => `${name} ${destination} ${origin}`),
      [
        "GHCR_TOKEN the Docker host: prefect-worker stack config",
        "POSTGRES_PASSWORD the Docker host made by the program",
        "PREFECT_AUTH_STRING the Docker host, and every flow's container made by the program",
        "REDIS_PASSWORD the Docker host made by the program",
        "PREFECT_API_KEY environment production of Sua-Org/pipelines-arcgis made by the program",
        "key of arcgis-flows@rj-smas.iam.gserviceaccount.com the Docker host: volume arcgis-prod-google made by the program",
      ],
    );
    assert.deepEqual(facts.backups, [
      {
        of: "database prefect",
        to: "volume prefect_backups of the Docker host",
        schedule: "daily at 23:30 UTC",
        keptDays: 3,
      },
    ]);
    assert.doesNotMatch(JSON.stringify(declaration), /canary/);
  });

  describe("tells the audit facts in its schema:", () => {
    const at = "Sua-Org/pipelines-arcgis";
    const made = (name: string, destination: string) => ({ name, destination, origin: "made by the program" as const });
    const secretsOf: Record<Mode, object[]> = {
      dev: [],
      staging: [
        made("PREFECT_API_KEY", `environment staging of ${at}`),
        made(
          "key of arcgis-flows@rj-smas-staging.iam.gserviceaccount.com",
          "the Docker host: volume arcgis-staging-google",
        ),
      ],
      prod: [
        made("POSTGRES_PASSWORD", "the Docker host"),
        made("PREFECT_AUTH_STRING", "the Docker host, and every flow's container"),
        made("REDIS_PASSWORD", "the Docker host"),
        made("PREFECT_API_KEY", `environment production of ${at}`),
        made("key of arcgis-flows@rj-smas.iam.gserviceaccount.com", "the Docker host: volume arcgis-prod-google"),
      ],
    };
    for (const [stack, secrets] of Object.entries(secretsOf)) {
      it(`of ${stack}, with the digest of every file that it delivers`, async () => {
        const declaration = await declare({}, stack as Mode);
        const facts = systemFacts.parse(declaration.outputs["facts"]);
        const files = filesOf(declaration);
        assert.deepEqual(
          Object.fromEntries(facts.files.map(({ path, sha256 }) => [path, sha256])),
          Object.fromEntries(
            Object.entries(files).map(([path, text]) => [path, createHash("sha256").update(text).digest("hex")]),
          ),
        );
        assert.equal(facts.files.length, Object.keys(files).length);
        for (const { repository, branch } of facts.files) assert.deepEqual([repository, branch], [at, "main"]);
        assert.deepEqual(facts.secrets, secrets);
        const project = stack === "prod" ? "rj-smas" : `rj-smas-${stack}`;
        assert.deepEqual(facts.projects, [project]);
        assert.deepEqual(facts.serviceAccounts, [
          {
            email: `arcgis-flows@${project}.iam.gserviceaccount.com`,
            purpose: "runs the flows",
            roles: [
              { role: "roles/storage.objectUser", on: `bucket ${project}-arcgis` },
              { role: "roles/bigquery.dataEditor", on: "dataset arcgis" },
              { role: "roles/bigquery.jobUser", on: `project ${project}` },
            ],
          },
        ]);
        assert.deepEqual(
          facts.environments.map(({ repository, name }) => [repository, name]),
          { dev: [], staging: [[at, "staging"]], prod: [[at, "production"]] }[stack as Mode],
        );
        const owns = stack === "prod";
        assert.deepEqual(
          facts.endpoints,
          owns ? [{ name: "prefect", url: "https://prefect-rj-smas.org/api", invokers: null }] : [],
        );
        assert.equal(facts.images.length, owns ? 8 : 0);
        assert.equal(facts.backups.length, owns ? 1 : 0);
        assert.deepEqual([facts.federation, facts.rulesets], [[], []]);
      });
    }

    it("every action that the workflow uses", async () => {
      const facts = systemFacts.parse((await declare()).outputs["facts"]);
      const workflow = facts.files.find(({ path }) => path.endsWith("ci_cd.yml"))!;
      assert.deepEqual(workflow.actions.map(({ uses }) => uses.split("@")[0]).sort(), [
        "actions/checkout",
        "actions/setup-python",
        "docker/build-push-action",
        "docker/login-action",
        "docker/setup-buildx-action",
      ]);
    });
  });
});
