import assert from "node:assert/strict";
import { observe } from "../../../cli/render/program.ts";
import { parseConfig, readConfig, secretPlaceholder } from "../../../config.ts";
import { asPulumi, type Config, itRefuses, itRefusesAlone, itTakes, problemsOf } from "../../support/config.ts";
import { least, stackWith } from "./fixture.ts";

const prod = () => "prod";
const dev = () => "dev";
const key = "esteira:qivo";
const inProd = (changes: object = {}, beside: Config = {}) => stackWith("prod", changes, beside);
const inDev = (changes: object = {}, beside: Config = {}) => stackWith("dev", changes, beside);
const service = least.prod.service;
const secrets = (values: Record<string, string>) => ({ "esteira:secrets": { qivo: values } });
const hook = `https://api.render.com/deploy/${service.id}?key=AbC-d_9`;

describe("qivo's config", () => {
  describe("is taken by the program and by the editor's schema", () => {
    itTakes(
      {
        "in dev with nothing at all": inDev(),
        "in dev with its tests' secrets": inDev(
          {},
          secrets({ DATABASE_URL: "postgres://u:p@h/d", OPENAI_API_KEY: "sk-1" }),
        ),
      },
      dev,
    );
    itTakes(
      {
        "in prod with the least": inProd(),
        "with its secrets": inProd({}, secrets({ RENDER_DEPLOY_HOOK: hook, RENDER_API_KEY: "rnd_x" })),
        "with Render at another place": inProd(
          { api: "https://render.example.org:8443" },
          secrets({ RENDER_DEPLOY_HOOK: hook.replace("api.render.com", "render.example.org:8443") }),
        ),
        "with all that else may be said": inProd({
          repository: "mining",
          branch: "trunk",
          via: "pull-request",
          approvals: 2,
          node: "22.14.0",
          pnpm: "10.34",
          python: "3.12",
          install: "uv sync",
          checks: ["uv run pytest"],
          lint: "pnpm run lint",
          build: "pnpm -r build",
          suites: [{ name: "All", path: "tests", tests: 100 }],
          monitor: { schedule: "*/5 * * * *", file: "STATUS.md" },
          attempts: 1,
        }),
        "with a monitor of once a month": inProd({ monitor: { schedule: "0 3 1 * *" } }),
      },
      prod,
    );
  });

  describe("is refused by both, each problem with key, found, expected and mend", () => {
    const id = (text: string): [Config, string] => [
      inProd({ service: { ...service, id: text } }),
      `${key}.service.id: found "${text}"; expected a service's id, as its address in Render's Dashboard has it: srv- and 20 digits or letters from a to v`,
    ];
    itRefuses(
      {
        "a service's id that is cut off": id("srv-d3sk5h1r0fns738ibdg"),
        "one with a capital": id("srv-D3sk5h1r0fns738ibdg0"),
        "a Blueprint's id": id("exs-d3sk5h1r0fns738ibdg0"),
        "an id with its URL": id("https://dashboard.render.com/web/srv-d3sk5h1r0fns738ibdg0"),
        "one with a letter that no id has": id("srv-z3sk5h1r0fns738ibdg0"),
        "no id": [
          inProd({ service: { name: "qivo" } }),
          `${key}.service.id: missing; expected a service's id, as its address in Render's Dashboard has it: srv- and 20 digits or letters from a to v`,
        ],
        "an API without TLS": [
          inProd({ api: "http://api.render.com" }),
          `${key}.api: found "http://api.render.com"; expected where Render's API answers: https and a host, without a path`,
        ],
        "an API with a path": [
          inProd({ api: "https://api.render.com/v1" }),
          `${key}.api: found "https://api.render.com/v1"; expected where Render's API answers: https and a host, without a path`,
        ],
        "a suite of no tests": [
          inProd({ suites: [{ name: "Bridge AI", path: "tests/a.py", tests: 0 }] }),
          `${key}.suites[0].tests: found 0; expected how many of its tests must pass: a whole number from 1 to 100000`,
        ],
        "no suite": [inProd({ suites: [] }), `${key}.suites: found []; expected at least one suite`],
        "a suite outside of the repository": [
          inProd({ suites: [{ name: "Bridge AI", path: "../a.py", tests: 1 }] }),
          `${key}.suites[0].path: found "../a.py"; expected a path of the repository, from its root, such as src/app`,
        ],
        "versions that YAML has read as numbers": [
          inProd({ node: 22, pnpm: 10 }),
          `${key}.node: found 22; expected a version of Node in quotes, such as "22"`,
          `${key}.pnpm: found 10; expected a version of pnpm in quotes, such as "10"`,
        ],
        "a command with an expression": [
          inProd({ lint: "pnpm lint ${{ github.actor }}" }),
          `${key}.lint: found "pnpm lint \${{ github.actor }}"; expected a command for bash, on one line, without expressions of GitHub's`,
        ],
        "a status that would overwrite a program's file": [
          inProd({ monitor: { file: "pnpm-lock.yaml" } }),
          `${key}.monitor.file: found "pnpm-lock.yaml"; expected a Markdown file, such as docs/PIPELINE.md`,
        ],
        "a key that nobody knows": [inProd({ monitr: {} }), `${key}.monitr: unknown key; did you mean "monitor"?`],
      },
      prod,
    );
  });

  describe("is refused by the program alone", () => {
    const oftener = (schedule: string): [Config, string] => [
      inProd({ monitor: { schedule } }),
      `${key}.monitor.schedule: found "${schedule}"; expected a schedule with five minutes at least between two starts, such as 7,37 * * * *: GitHub starts none oftener`,
    ];
    itRefusesAlone(
      {
        "a monitor of each minute": oftener("* * * * *"),
        "one of every four minutes": oftener("*/4 * * * *"),
        "one that comes twice within five minutes, once an hour": oftener("0,4 * * * *"),
        "one that does so over the full hour": oftener("*/7 * * * *"),
        "one that does so once a day": oftener("58,59 23 * * *"),
        "one that never comes": [
          inProd({ monitor: { schedule: "0 0 30 2 *" } }),
          `${key}.monitor.schedule: found "0 0 30 2 *"; expected a schedule that comes, which 0 0 30 2 * never does`,
        ],
        "no service in prod": [
          inProd({ service: undefined }),
          `${key}.service: missing; expected in prod, which deploys: \`id\` and \`name\``,
        ],
        "approvals, and files that are pushed past them": [
          inProd({ approvals: 1 }),
          `${key}.via: found "push" beside approvals; expected pull-request: the branch takes no pushes then`,
        ],
      },
      prod,
    );
    itRefusesAlone(
      {
        "a service in dev": [inDev({ service }), `${key}.service: found in dev; expected in prod alone, which deploys`],
        "approvals in dev": [
          inDev({ approvals: 1 }),
          `${key}.approvals: found 1 in dev; expected in prod alone: a repository has its rules once`,
        ],
      },
      dev,
    );
    it("a stack that is none of its own", () =>
      assert.deepEqual(problemsOf(inProd(), "staging"), [
        `${key}: found in the stack staging; expected in dev, prod alone`,
      ]));
  });

  describe("refuses a secret of another form, and does not repeat it", () => {
    const told = `esteira:secrets.qivo.RENDER_DEPLOY_HOOK: not valid; expected the deploy hook of ${service.id}: https://api.render.com/deploy/${service.id}?key=..., and nothing before or after it`;
    const hooks: Record<string, string> = {
      "without TLS": hook.replace("https", "http"),
      "of another host": hook.replace("api.render.com", "api.render.com.example.org"),
      "of another service": hook.replace("d3sk", "e3sk"),
      "of a Blueprint": hook.replace("srv-", "exs-"),
      "without a key": `https://api.render.com/deploy/${service.id}`,
      "with a line end": `${hook}\n`,
      "in quotes": `"${hook}"`,
      "with more behind it": `${hook}&ref=main`,
      "that is no URL": "URL_DO_WEBHOOK",
      "that is empty": "",
    };
    itRefusesAlone(
      Object.fromEntries(
        Object.entries(hooks).map(([name, text]) => [
          `a hook ${name}`,
          [inProd({}, secrets({ RENDER_DEPLOY_HOOK: text })), told],
        ]),
      ),
      prod,
    );
    itRefusesAlone(
      {
        "a hook of Render's own place where another is said": [
          inProd({ api: "https://render.example.org" }, secrets({ RENDER_DEPLOY_HOOK: hook })),
          told.replaceAll("https://api.render.com", "https://render.example.org"),
        ],
        "an API key with a blank": [
          inProd({}, secrets({ RENDER_API_KEY: "rnd x" })),
          "esteira:secrets.qivo.RENDER_API_KEY: not valid; expected a key of Render's API, without blanks",
        ],
        "tests' secrets in prod": [
          inProd({}, secrets({ DATABASE_URL: "postgres://h/d" })),
          "esteira:secrets.qivo.DATABASE_URL: unknown key; known are RENDER_DEPLOY_HOOK, RENDER_API_KEY",
        ],
      },
      prod,
    );
    itRefusesAlone(
      {
        "a database of another kind": [
          inDev({}, secrets({ DATABASE_URL: "mysql://h/d" })),
          "esteira:secrets.qivo.DATABASE_URL: not valid; expected the address of a PostgreSQL database: postgresql://USER:PASSWORD@HOST/NAME",
        ],
      },
      dev,
    );
    it("but not what stands for one that is not known", () =>
      assert.deepEqual(problemsOf(inProd({}, secrets({ RENDER_DEPLOY_HOOK: secretPlaceholder })), "prod"), []));
  });

  it("asks for the hook and for the tests' database, and takes the two keys if they are given", () => {
    const needs = (stack: "dev" | "prod", config: Config) =>
      parseConfig(asPulumi(config), stack).needs.map(({ path, optional, given }) => [path, optional, given]);
    assert.deepEqual(needs("prod", inProd()), [
      ["qivo.RENDER_DEPLOY_HOOK", false, false],
      ["qivo.RENDER_API_KEY", true, false],
    ]);
    assert.deepEqual(needs("dev", inDev({}, secrets({ OPENAI_API_KEY: "sk-1" }))), [
      ["qivo.DATABASE_URL", false, false],
      ["qivo.OPENAI_API_KEY", true, true],
    ]);
  });

  it("has an example of each form, which is of that form", () => {
    for (const [stack, config] of [
      ["dev", inDev()],
      ["prod", inProd()],
    ] as const) {
      for (const { path, example } of parseConfig(asPulumi(config), stack).needs) {
        if (!example) continue;
        assert.match(example, /KEY/);
        const name = path.split(".")[1]!;
        assert.deepEqual(problemsOf({ ...config, ...secrets({ [name]: example }) }, stack), []);
      }
    }
  });

  it("stops a program without the hook, not one without the API key", async () => {
    const read = (values: Record<string, string>) =>
      observe(async () => ({ read: Object.keys(readConfig().qivo!.secrets) }), "prod", {
        config: asPulumi(inProd({}, secrets(values))),
        secretKeys: ["esteira:secrets"],
      });
    assert.deepEqual((await read({ RENDER_DEPLOY_HOOK: hook })).outputs, { read: ["RENDER_DEPLOY_HOOK"] });
    await assert.rejects(
      read({ RENDER_API_KEY: "rnd_x" }),
      /qivo\.RENDER_DEPLOY_HOOK: missing; expected the deploy hook of qivo-mining, out of its settings/,
    );
  });
});
