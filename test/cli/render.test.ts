import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Ajv } from "ajv";
import { auditSchema } from "../../audit/schema.ts";
import { artefacts } from "../../cli/render/artefacts.ts";
import { check } from "../../cli/render/checks.ts";
import { stacksIn } from "../../cli/render/stack-file.ts";
import { render, write } from "../../cli/render.ts";
import { filesBelow } from "../support/files.ts";

const root = join(import.meta.dirname, "../..");

/** Every file of a folder: its path there to its text. */
const textsIn = (folder: string): Map<string, string> =>
  new Map(
    filesBelow(folder)
      .map((path): [string, string] => [relative(folder, path), readFileSync(path, "utf8")])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

describe("rendered/", () => {
  for (const stack of stacksIn(root)) {
    it(`${stack} is what the program declares today (else: npm run generate)`, async () => {
      const { files, findings } = await render(stack);
      assert.deepEqual(findings, []);
      assert.deepEqual(textsIn(join(root, "rendered", stack)), files);
    });
  }

  it("has audits that the published schema takes, and that would not pass with anything else in them", () => {
    const validate = new Ajv({ strict: false, validateFormats: false }).compile(
      JSON.parse(readFileSync(join(root, "docs/audit.schema.json"), "utf8")) as object,
    );
    for (const stack of stacksIn(root)) {
      const audit = JSON.parse(readFileSync(join(root, "rendered", stack, "audit.json"), "utf8")) as object;
      assert.ok(validate(audit), JSON.stringify(validate.errors));
      assert.equal(validate({ ...audit, password: "x" }), false);
    }
  });

  it("has no folder of a stack that is gone", () =>
    assert.deepEqual(readdirSync(join(root, "rendered")).sort(), stacksIn(root)));

  it("has no two stacks that own the same file of a repository, the same environment, or the same account", async () => {
    const owners = new Map<string, string[]>();
    for (const stack of stacksIn(root)) {
      const { declaration } = await render(stack);
      const { systems } = auditSchema.parse(declaration.outputs["audit"]);
      for (const { files, environments, serviceAccounts } of Object.values(systems)) {
        for (const { repository, path } of files)
          owners.set(`file ${repository}/${path}`, [...(owners.get(`file ${repository}/${path}`) ?? []), stack]);
        for (const { repository, name } of environments)
          owners.set(`environment ${repository} ${name}`, [
            ...(owners.get(`environment ${repository} ${name}`) ?? []),
            stack,
          ]);
        for (const { email } of serviceAccounts)
          owners.set(`account ${email}`, [...(owners.get(`account ${email}`) ?? []), stack]);
      }
    }
    assert.ok(owners.size > 0);
    assert.deepEqual(
      [...owners].filter(([, stacks]) => stacks.length > 1),
      [],
    );
  });
});

describe("npm run render", () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), "esteira-render-"))));
  after(() => rmSync(folder, { recursive: true }));

  const run = (...args: string[]) =>
    spawnSync(process.execPath, ["--import", join(root, "cli/start.mjs"), join(root, "cli/render.ts"), ...args], {
      cwd: folder,
      encoding: "utf8",
      // Nothing of a real account may be needed, nor used.
      env: { PATH: process.env["PATH"], TZ: "Asia/Kathmandu", LANG: "tr_TR.UTF-8" },
    });

  it("shows the tree, the files, and the secrets that an up would need; exit 0", () => {
    const { stdout, stderr, status } = run("--stack", "prod", "--out", "out");
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^esteira-prod +Stack\n├─ /);
    assert.match(stdout, /\n├─ equidade +Equidade\n│ {2}├─ equidade-apis +ProjectServices: 10 Service\n/);
    assert.match(stdout, /\n\d+ resources in prod: (\d+ [a-z]+, )+the rest components\n/);
    assert.match(stdout, /\n\d+ files for other places, in out\/prod\/:\n/);
    assert.match(stdout, /\n {2}missing {3}equidade\.DEPLOY_TRIGGER_TOKEN: /);
    assert.match(stdout, /\n {2}optional {2}qivo\.RENDER_API_KEY: /);
    assert.match(stdout, /\nNext: read out\/prod\/audit\.json, then make preview STACK=prod\n$/);
  });

  it("writes the same bytes in another folder, time zone and language", () => {
    assert.deepEqual(textsIn(join(folder, "out/prod")), textsIn(join(root, "rendered/prod")));
  });

  it("--json tells the same to a program", () => {
    const { stdout, status } = run("--stack", "staging", "--out", "out", "--json");
    assert.equal(status, 0);
    const summary = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(Object.keys(summary), ["stack", "resources", "files", "secrets", "findings"]);
    assert.deepEqual(summary["files"], [...textsIn(join(root, "rendered/staging")).keys()]);
  });

  it("removes what is declared no more", () => {
    const stale = join(folder, "out/prod/github/sua-org/gone/old.yml");
    mkdirSync(join(stale, ".."), { recursive: true });
    writeFileSync(stale, "old");
    assert.equal(run("--stack", "prod", "--out", "out").status, 0);
    assert.equal(existsSync(stale), false);
  });

  const wrong: Record<string, [args: string[], message: string]> = {
    "no stack": [[], "esteira: give either --stack NAME or --all\n"],
    "a mistyped stack": [["--stack", "prd"], "esteira: there is no Pulumi.prd.yaml; did you mean --stack prod?\n"],
    "an unknown stack": [
      ["--stack", "qa1234"],
      "esteira: there is no Pulumi.qa1234.yaml; stacks are dev, homolog, preprod, prod, staging\n",
    ],
  };
  for (const [name, [args, message]] of Object.entries(wrong)) {
    it(`exits 2 on ${name}`, () => {
      const { status, stderr } = run(...args);
      assert.deepEqual([status, stderr], [2, message]);
    });
  }

  it("exits 2 on an unknown option", () => {
    const { status, stderr } = run("--stak", "prod");
    assert.equal(status, 2);
    assert.match(stderr, /^esteira: Unknown option '--stak'/);
  });

  it("exits 2 rather than write over a folder that is no render", () => {
    mkdirSync(join(folder, "mine/prod"), { recursive: true });
    writeFileSync(join(folder, "mine/prod/thesis.txt"), "years of work");
    const { status, stderr } = run("--stack", "prod", "--out", "mine");
    assert.equal(status, 2);
    assert.match(stderr, /mine\/prod holds something that is no render; give another --out\n$/);
    assert.equal(readFileSync(join(folder, "mine/prod/thesis.txt"), "utf8"), "years of work");
  });

  describe("in a copy of the project", () => {
    let copy: string;
    before(() => {
      copy = join(folder, "copy");
      for (const path of execFileSync(
        "git",
        ["-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        { encoding: "utf8" },
      ).split("\0")) {
        if (path && !path.startsWith("rendered/") && !path.startsWith("test/") && existsSync(join(root, path)))
          cpSync(join(root, path), join(copy, path), { recursive: true });
      }
      symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    });
    const runCopy = () =>
      spawnSync(process.execPath, ["--import", "./cli/start.mjs", "cli/render.ts", "--stack", "prod"], {
        cwd: copy,
        encoding: "utf8",
      });

    it("exits 2 on a wrong stack file, telling every problem, and keeps the render before", () => {
      assert.equal(runCopy().status, 0);
      const before = textsIn(join(copy, "rendered/prod"));
      const file = join(copy, "Pulumi.prod.yaml");
      const text = readFileSync(file, "utf8");
      writeFileSync(
        file,
        text.replace("southamerica-east1", "southamerica-east9").replace("cloud-function-2", "cloud-function-1"),
      );
      const { status, stderr } = runCopy();
      assert.equal(status, 2);
      assert.equal(
        stderr,
        `esteira: Pulumi.prod.yaml has 2 problems:
  esteira:equidade.region: found "southamerica-east9"; expected a Google Cloud region; did you mean "southamerica-east1"?
  esteira:equidade.functions[1]: found "cloud-function-1"; expected a name of its own: functions[0] has "cloud-function-1" already
`,
      );
      assert.deepEqual(textsIn(join(copy, "rendered/prod")), before);
      writeFileSync(file, text);
    });

    it("exits 1 on a file that a check finds wrong, and writes it so that one can look", () => {
      const file = join(copy, "systems/equidade/function-repository/deploy.ts");
      const text = readFileSync(file, "utf8");
      writeFileSync(file, text.replace('"timeout-minutes": 30,', '"timeout-minutes": "soon" as never,'));
      const { status, stderr } = runCopy();
      writeFileSync(file, text);
      assert.equal(status, 1);
      assert.match(stderr, /rendered\/prod\/github\/sua-org\/cloud-function-1\/\.github\/workflows\/deploy\.yml: /);
      const path = "github/sua-org/cloud-function-1/.github/workflows/deploy.yml";
      assert.match(readFileSync(join(copy, "rendered/prod", path), "utf8"), /timeout-minutes: soon/);
    });

    it("exits 2 on a stack file that is no YAML", () => {
      const file = join(copy, "Pulumi.prod.yaml");
      const text = readFileSync(file, "utf8");
      writeFileSync(file, `${text}\n  broken: [`);
      const { status, stderr } = runCopy();
      writeFileSync(file, text);
      assert.equal(status, 2);
      assert.match(stderr, /^esteira: Pulumi\.prod\.yaml is no YAML: /);
    });

    it("takes an encrypted secret without a passphrase, and shows it nowhere", () => {
      const file = join(copy, "Pulumi.prod.yaml");
      const text = readFileSync(file, "utf8");
      writeFileSync(
        file,
        `${text}  esteira:secrets:\n    equidade:\n      DEPLOY_TRIGGER_TOKEN:\n        secure: v1:sealed-4711-ciphertext\n`,
      );
      const { status, stdout, stderr } = runCopy();
      writeFileSync(file, text);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /\n {2}given {5}equidade\.DEPLOY_TRIGGER_TOKEN: /);
      const all = [stdout, stderr, ...textsIn(join(copy, "rendered/prod")).values()].join("\n");
      assert.ok(!all.includes("sealed-4711"));
    });
  });
});

describe("The render's checks", () => {
  const path = "github/acme/api/.github/workflows/ci.yml";

  it("find what GitHub's own parser refuses", async () => {
    const findings = await check(new Map([[path, "on: push\njobs:\n  a:\n    runs-on: x\n    stepz: []\n"]]));
    assert.ok(
      findings.some(({ file, message }) => file === path && message.includes("stepz")),
      JSON.stringify(findings),
    );
  });

  it("find a file whose content only a provider knows", async () => {
    assert.deepEqual(await check(new Map([["github/acme/api/a.txt", "id: [computed]"]])), [
      {
        file: "github/acme/api/a.txt",
        message: "its content depends on what only a provider knows, so nobody can review it beforehand",
      },
    ]);
  });

  it("find nothing in a good one", async () => {
    assert.deepEqual(
      await check(new Map([[path, "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: 'true'\n"]])),
      [],
    );
  });
});

describe("The layout", () => {
  const resource = (type: string, name: string, inputs: Record<string, unknown>) => ({
    urn: `urn::${name}`,
    type,
    name,
    inputs,
    options: {},
  });

  it("writes Kubernetes objects by namespace, kind and name", () => {
    const files = artefacts(
      {
        outputs: {},
        lookedUp: [],
        resources: [
          resource("kubernetes:core/v1:Namespace", "n", {
            apiVersion: "v1",
            kind: "Namespace",
            metadata: { name: "app" },
          }),
          resource("kubernetes:core/v1:ConfigMap", "c", {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { namespace: "app", name: "settings" },
            data: { A: "1" },
          }),
        ],
      },
      "acme",
    );
    assert.equal(
      files.get("kubernetes/_cluster/Namespace-app.yaml"),
      "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: app\n",
    );
    assert.equal(
      files.get("kubernetes/app/ConfigMap-settings.yaml"),
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  namespace: app\n  name: settings\ndata:\n  A: "1"\n',
    );
  });

  it("refuses a file that is declared twice", () => {
    const file = (name: string) =>
      resource("github:index/repositoryFile:RepositoryFile", name, { repository: "r", file: "a", content: "" });
    assert.throws(() => artefacts({ outputs: {}, lookedUp: [], resources: [file("x"), file("y")] }, "acme"), {
      message: "urn::y: github/acme/r/a is declared twice",
    });
  });

  it("is written whole", () => {
    const folder = mkdtempSync(join(tmpdir(), "esteira-write-"));
    write(
      new Map([
        ["resources.json", "[]\n"],
        ["github/a/b/c", "text\r\nwithout end"],
      ]),
      join(folder, "prod"),
    );
    assert.deepEqual(
      [...textsIn(join(folder, "prod"))],
      [
        ["github/a/b/c", "text\r\nwithout end"],
        ["resources.json", "[]\n"],
      ],
    );
    rmSync(folder, { recursive: true });
  });
});
