import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { schemas } from "../cli/generate.ts";
import { observe } from "../cli/render/program.ts";
import { stacksIn } from "../cli/render/stack-file.ts";
import { ConfigError, parseConfig, readConfig, stackFileSchema } from "../config.ts";

const root = join(import.meta.dirname, "..");
const validate = new Ajv({ strict: false }).compile(stackFileSchema());

const equidade = {
  project: "equidade-prod",
  projectNumber: 123456789012,
  region: "southamerica-east1",
  functions: ["cloud-function-1", "cloud-function-2"] as unknown,
};

/** A stack's config with equidade changed and other keys put beside it. */
const stackWith = (changes: object, beside: Record<string, unknown> = {}): Record<string, unknown> => ({
  "github:owner": "sua-org",
  "esteira:equidade": { ...equidade, ...changes },
  ...beside,
});

const withFunction = (fn: object) => stackWith({ functions: [{ name: "f", ...fn }] });

/** As the engine hands it over: structured values as JSON, undefined ones not at all. */
const asPulumi = (config: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(config)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );

/** As the file has it: what the program gets in clear text is encrypted there. */
const encrypted = (config: Record<string, unknown>) => {
  const secrets = Object.entries((config["esteira:secrets"] ?? {}) as Record<string, Record<string, string>>).map(
    ([system, values]) => [
      system,
      Object.fromEntries(Object.entries(values).map(([name, text]) => [name, { secure: text }])),
    ],
  );
  return secrets.length > 0 ? { ...config, "esteira:secrets": Object.fromEntries(secrets) } : config;
};

const problemsOf = (config: Record<string, unknown>) =>
  parseConfig(asPulumi(config), "prod").problems.map(({ key, message }) => `${key}: ${message}`);

describe("A stack's config", () => {
  describe("is taken by the program and by the editor's schema", () => {
    const accepted: Record<string, Record<string, unknown>> = {
      "with only what has no default": stackWith({}),
      "with one line a function": stackWith({ functions: ["a", "b", "cloud-function-4"] }),
      "with the object form": withFunction({
        repository: "Other_Repo",
        memory: "1Gi",
        cpu: 1,
        timeout: 120,
        concurrency: 80,
        minInstances: 1,
        maxInstances: 3,
        ingress: "internal-only",
        invokers: ["allUsers", "user:ana@example.org"],
        environment: { LEVEL: "3" },
        secrets: { DB_PASSWORD: "db-password" },
        roles: [{ role: "roles/bigquery.dataViewer", dataset: "sales" }],
        serviceAccount: "runner@equidade-prod.iam.gserviceaccount.com",
        runtime: "python312",
        entryPoint: "handle",
      }),
      "with a key instead of federation": stackWith({ auth: "key", projectNumber: undefined }),
      "with an app instead of a token": stackWith({ triggerApp: "Iv23liabcdefgh" }),
      "with settings of a provider": stackWith({}, { "gcp:accessToken": "x", "github:writeDelayMs": 10 }),
      "with an encrypted secret": stackWith({}, { "esteira:secrets": { equidade: { DEPLOY_TRIGGER_TOKEN: "x" } } }),
      "without any system": {},
    };
    for (const [name, config] of Object.entries(accepted)) {
      it(name, () => {
        assert.deepEqual(problemsOf(config), []);
        assert.ok(validate({ config: encrypted(config) }), JSON.stringify(validate.errors));
      });
    }
  });

  describe("is refused by both, each problem with key, found, expected and mend", () => {
    const number =
      "expected the project's number, which keyless workflows must spell: `gcloud projects describe PROJECT --format='value(projectNumber)'`; or set auth: key";
    const project =
      "expected a Google Cloud project ID: 6 to 30 lower-case letters, digits or hyphens, a letter first, no hyphen last";
    const refused: Record<string, [config: Record<string, unknown>, ...problems: string[]]> = {
      "an unknown key": [stackWith({ regoin: "x" }), 'esteira:equidade.regoin: unknown key; did you mean "region"?'],
      "an unknown key of a function": [
        withFunction({ memry: "1Gi" }),
        'esteira:equidade.functions[0].memry: unknown key; did you mean "memory"?',
      ],
      "an unknown system": [
        stackWith({}, { "esteira:equidad": {} }),
        'esteira:equidad: unknown key; did you mean "equidade"?',
      ],
      "an empty system": [
        stackWith({}, { "esteira:equidade": null }),
        "esteira:equidade: found null; expected an object",
      ],
      "a variable that is Google's own": [
        withFunction({ environment: { PORT: "8080" } }),
        "esteira:equidade.functions[0].environment.PORT: expected a variable's name: capital letters, digits or _; PORT, K_..., FUNCTION_... and X_GOOGLE_... are Google's own",
      ],
      "a branch that git refuses": [
        stackWith({ branch: "a..b" }),
        'esteira:equidade.branch: found "a..b"; expected a branch name, such as main',
      ],
      "a wrong type": [
        withFunction({ timeout: "60" }),
        'esteira:equidade.functions[0].timeout: found "60"; expected seconds for one request: a whole number from 1 to 3600',
      ],
      "a number that YAML made of text": [
        withFunction({ environment: { LEVEL: 3 } }),
        "esteira:equidade.functions[0].environment.LEVEL: found 3; expected text; put it in quotes",
      ],
      "a list that is none": [
        stackWith({ functions: "cloud-function-1" }),
        'esteira:equidade.functions: found "cloud-function-1"; expected a list of functions',
      ],
      "a function that is none": [
        stackWith({ functions: [7] }),
        "esteira:equidade.functions[0]: found 7; expected a function's name, or an object with `name`",
      ],
      "no function": [
        stackWith({ functions: [] }),
        "esteira:equidade.functions: found []; expected at least one function",
      ],
      "an invalid project": [
        stackWith({ project: "Equidade_Prod" }),
        `esteira:equidade.project: found "Equidade_Prod"; ${project}`,
      ],
      "no project": [stackWith({ project: undefined }), `esteira:equidade.project: missing; ${project}`],
      "an invalid region": [
        stackWith({ region: "southamerica-east9" }),
        'esteira:equidade.region: found "southamerica-east9"; expected a Google Cloud region; did you mean "southamerica-east1"?',
      ],
      "no project number where keyless needs it": [
        stackWith({ projectNumber: undefined }),
        `esteira:equidade.projectNumber: missing; ${number}`,
      ],
      "no owner": [
        stackWith({}, { "github:owner": undefined }),
        "github:owner: missing; expected a GitHub login: at most 39 letters, digits or single hyphens: pulumi config set --stack prod github:owner LOGIN",
      ],
      "an invalid owner": [
        stackWith({}, { "github:owner": "sua_org" }),
        'github:owner: found "sua_org"; expected a GitHub login: at most 39 letters, digits or single hyphens: pulumi config set --stack prod github:owner LOGIN',
      ],
      "an unknown word": [
        stackWith({ auth: "keyles" }),
        'esteira:equidade.auth: found "keyles"; expected how workflows reach Google (keyless, key); did you mean "keyless"?',
      ],
      "a role that is none": [
        withFunction({ roles: [{ role: "viewer", bucket: "b" }] }),
        'esteira:equidade.functions[0].roles[0].role: found "viewer"; expected an IAM role, such as roles/bigquery.dataViewer',
      ],
      "several at once, all told": [
        stackWith({ project: "x", functions: ["a", { name: "b", memory: "lots" }] }),
        `esteira:equidade.project: found "x"; ${project}`,
        'esteira:equidade.functions[1].memory: found "lots"; expected an amount of memory in Mi or Gi, such as 256Mi or 1Gi',
      ],
    };
    for (const [name, [config, ...problems]] of Object.entries(refused)) {
      it(name, () => {
        assert.deepEqual(problemsOf(config), problems);
        assert.equal(validate({ config }), false, "the editor's schema accepts it");
      });
    }
  });

  describe("is refused by the program alone where a schema cannot say it", () => {
    const refused: Record<string, [config: Record<string, unknown>, ...problems: string[]]> = {
      "two functions of one name": [
        stackWith({ functions: ["a", "b", { name: "a" }] }),
        'esteira:equidade.functions[2].name: found "a"; expected a name of its own: functions[0] has "a" already',
      ],
      "two functions of one repository": [
        stackWith({ functions: ["a", { name: "b", repository: "A" }] }),
        'esteira:equidade.functions[1].repository: found "A"; expected a repository of its own: functions[0] has "A" already',
      ],
      "more instances kept than allowed": [
        withFunction({ minInstances: 5, maxInstances: 2 }),
        "esteira:equidade.functions[0].minInstances: found 5, which contradicts maxInstances 2",
      ],
      "a contradiction with the defaults": [
        stackWith({ defaults: { cpu: 0.5 }, functions: [{ name: "f", concurrency: 8 }] }),
        "esteira:equidade.functions[0].concurrency: found 8, which contradicts cpu 0.5: more than one request at a time needs a whole CPU",
      ],
      "a review by nobody": [
        stackWith({ reviewers: {} }),
        "esteira:equidade.reviewers: found {}; expected 1 to 6 reviewers, users and teams together",
      ],
      "a variable with two sources": [
        withFunction({ environment: { A: "x" }, secrets: { A: "s" } }),
        'esteira:equidade.functions[0].environment.A: found "x", which contradicts secrets.A: a variable has one source',
      ],
      "a contradiction within the defaults": [
        stackWith({ defaults: { minInstances: 3, maxInstances: 2 }, functions: ["a"] }),
        "esteira:equidade.functions[0].minInstances: found 3, which contradicts maxInstances 2",
      ],
      "a name that the program uses": [
        stackWith({ functions: ["package"] }),
        'esteira:equidade.functions[0]: found "package"; expected a name that the program does not use itself: package, equidade-build, equidade-deployer',
      ],
      "two functions whose names differ in capitals alone, as GitHub sees them": [
        stackWith({
          functions: [
            { name: "a", repository: "Repo" },
            { name: "b", repository: "repo" },
          ],
        }),
        'esteira:equidade.functions[1].repository: found "repo"; expected a repository of its own: functions[0] has "repo" already',
      ],
      "an account that the stack makes": [
        stackWith({
          functions: [
            "cloud-function-1",
            { name: "b", serviceAccount: "cloud-function-1@equidade-prod.iam.gserviceaccount.com" },
          ],
        }),
        'esteira:equidade.functions[1].serviceAccount: found "cloud-function-1@equidade-prod.iam.gserviceaccount.com"; expected an account that this stack does not make itself',
      ],
      "a function in the package's repository": [
        withFunction({ repository: "equidade-data-package" }),
        'esteira:equidade.functions[0].repository: found "equidade-data-package"; expected a repository other than the package\'s own',
      ],
      "a role on two resources": [
        withFunction({ roles: [{ role: "roles/x.y", bucket: "b", topic: "t" }] }),
        'esteira:equidade.functions[0].roles[0]: found {"role":"roles/x.y","bucket":"b","topic":"t"}; expected a role on exactly one of bucket, dataset, secret, topic or `project: true`',
      ],
      "a secret that nobody asks for": [
        stackWith({}, { "esteira:secrets": { equidade: { DEPLOY_TRIGER_TOKEN: "hunter2" } } }),
        'esteira:secrets.equidade.DEPLOY_TRIGER_TOKEN: unknown key; did you mean "DEPLOY_TRIGGER_TOKEN"?',
      ],
      "two of one name beside another problem": [
        stackWith({ region: "mars", functions: ["a", "a"] }),
        'esteira:equidade.region: found "mars"; expected a Google Cloud region',
        'esteira:equidade.functions[1]: found "a"; expected a name of its own: functions[0] has "a" already',
      ],
    };
    for (const [name, [config, ...problems]] of Object.entries(refused)) {
      it(name, () => assert.deepEqual(problemsOf(config), problems));
    }
  });

  it("never repeats a secret's text in a problem", () => {
    const problems = problemsOf(stackWith({}, { "esteira:secrets": { equidade: "hunter2" } }));
    assert.deepEqual(problems, ["esteira:secrets.equidade: not valid; expected secrets by name"]);
  });

  it("of prod, staging and dev differs where the document says so", () => {
    const of = (stack: string) => {
      const { release, pin, functions } = parseConfig(asPulumi(stackWith({})), stack).config!.equidade!.config;
      return { release, pin, deletionPolicy: functions[0]!.deletionPolicy };
    };
    assert.deepEqual(of("prod"), { release: "final", pin: "commit", deletionPolicy: "PREVENT" });
    assert.deepEqual(of("staging"), { release: "pre-release", pin: "deploy", deletionPolicy: "DELETE" });
    assert.deepEqual(of("dev"), { release: "by-hand", pin: "deploy", deletionPolicy: "DELETE" });
  });

  it("pins nothing on a branch that files reach by pull request, unless told to", () => {
    const pin = (changes: object) => parseConfig(asPulumi(stackWith(changes)), "prod").config!.equidade!.config.pin;
    assert.equal(pin({ via: "pull-request" }), "deploy");
    assert.equal(pin({ via: "pull-request", pin: "commit" }), "commit");
  });

  it("gives a function the defaults unless it says otherwise", () => {
    const config = stackWith({
      defaults: { memory: "1Gi", timeout: 30 },
      functions: ["a", { name: "b", timeout: 90 }],
    });
    const [a, b] = parseConfig(asPulumi(config), "prod").config!.equidade!.config.functions;
    assert.deepEqual(a, {
      name: "a",
      entryPoint: "main",
      repository: "a",
      runtime: "python313",
      deletionPolicy: "PREVENT",
      memory: "1Gi",
      timeout: 30,
    });
    assert.deepEqual(b, {
      name: "b",
      entryPoint: "main",
      repository: "b",
      runtime: "python313",
      deletionPolicy: "PREVENT",
      memory: "1Gi",
      timeout: 90,
    });
  });

  it("stops the program when a secret is missing, and says how to set it", async () => {
    const config = asPulumi(stackWith({}));
    await assert.rejects(
      observe(async () => ({ config: readConfig() }), "prod", { config, secretKeys: [] }),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.deepEqual(error.problems, [
          {
            key: "esteira:secrets.equidade.DEPLOY_TRIGGER_TOKEN",
            message:
              "missing; expected the personal access token with scopes repo and workflow, which sends the events: pulumi config set --stack prod --secret --path 'esteira:secrets.equidade.DEPLOY_TRIGGER_TOKEN'",
          },
        ]);
        return true;
      },
    );
  });
});

describe("A secret in clear text", () => {
  const config = {
    "esteira:secrets": JSON.stringify({ equidade: { DEPLOY_TRIGGER_TOKEN: "hunter2" } }),
    ...asPulumi(stackWith({})),
  };

  it("stops the program, which does not repeat it", async () => {
    await assert.rejects(
      observe(async () => ({ config: readConfig() }), "prod", { config, secretKeys: [] }),
      (error) => {
        assert.ok(error instanceof ConfigError && !error.message.includes("hunter2"));
        assert.deepEqual(error.problems, [
          {
            key: "esteira:secrets",
            message:
              "stands in clear text; set each again: pulumi config set --stack prod --secret --path 'esteira:secrets.SYSTEM.NAME'",
          },
        ]);
        return true;
      },
    );
  });

  it("is refused by the editor's schema", () =>
    assert.equal(
      validate({ config: stackWith({}, { "esteira:secrets": { equidade: { DEPLOY_TRIGGER_TOKEN: "hunter2" } } }) }),
      false,
    ));
});

describe("The generated schemas", () => {
  for (const [path, text] of Object.entries(schemas())) {
    it(`${path} is current (else: npm run generate)`, () => assert.equal(readFileSync(join(root, path), "utf8"), text));
  }
  for (const stack of stacksIn(root)) {
    it(`take Pulumi.${stack}.yaml as it stands`, () => {
      assert.ok(
        validate(parse(readFileSync(join(root, `Pulumi.${stack}.yaml`), "utf8"))),
        JSON.stringify(validate.errors),
      );
    });
  }
});
