import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { schemas } from "../cli/generate.ts";
import { observe } from "../cli/render/program.ts";
import { stacksIn } from "../cli/render/stack-file.ts";
import { images } from "../components/prefect/images.ts";
import { ConfigError, parseConfig, readConfig, stackFileSchema } from "../config.ts";
import {
  asPulumi,
  type Config,
  itRefuses,
  itRefusesAlone,
  itTakes,
  problemsOf as problemsIn,
  validate,
} from "./support/config.ts";

const root = join(import.meta.dirname, "..");

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

const prefect = { domain: "prefect.example.org", acmeEmail: "ops@example.org" };

const arcgis = {
  project: "rj-smas",
  region: "southamerica-east1",
  endpoint: "https://arcgis.example.org/portal",
  prefect: prefect as unknown,
  flows: ["abordagem", "equipamentos"] as unknown,
};

/** A stack's config with arcgis changed and other keys put beside it. */
const arcgisWith = (changes: object, beside: Record<string, unknown> = {}): Record<string, unknown> => ({
  "github:owner": "sua-org",
  "docker:host": "ssh://deploy@prefect.example.org",
  "esteira:arcgis": { ...arcgis, ...changes },
  ...beside,
});

const withFlow = (flow: object) => arcgisWith({ flows: [{ name: "abordagem", ...flow }] });

const withHost = (changes: object) => arcgisWith({ prefect: { ...prefect, ...changes } });

/** With the host of another stack. */
const withReference = (changes: object = {}, others: object = {}) =>
  arcgisWith({ prefect: { stack: "prod", ...changes }, flows: undefined, ...others });

/** The stack that a case is of: prod, or staging where it has the host of another. */
const stackOf = ({ "esteira:arcgis": system }: Record<string, unknown>) => {
  const prefect = (system as { prefect?: unknown } | null | undefined)?.prefect ?? {};
  return typeof prefect === "object" && "stack" in prefect && !("domain" in prefect) ? "staging" : "prod";
};

const problemsOf = (config: Config, stack = stackOf(config)) => problemsIn(config, stack);

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
      "with arcgis' host": arcgisWith({}),
      "with arcgis' host on this machine": arcgisWith({}, { "docker:host": "unix:///var/run/docker.sock" }),
      "with arcgis' host at another port": arcgisWith({}, { "docker:host": "ssh://host.example.org:2222" }),
      "with another stack's host": withReference(),
      "with another organisation's host": withReference({ stack: "acme/esteira/prod" }),
      "with arcgis and no host at all": arcgisWith(
        { prefect: undefined, flows: undefined },
        { "docker:host": undefined },
      ),
      "with reviewers of what arcgis' host is to run": arcgisWith({ reviewers: { users: [1] } }),
      "with reviewers of what another stack's host is to run": withReference({}, { reviewers: { teams: [2] } }),
      "with a branch whose name begins with staging's": arcgisWith({ branch: "staging-next" }),
      "with a branch below one of staging's name": arcgisWith({ branch: "release/staging" }),
      "with a Python package at the repository's root": arcgisWith({ package: "_Src2" }),
      "with all that an image may say of itself": arcgisWith({ package: "a/b_2/C", workdir: "/opt/pipelines-1.0_x" }),
      "with an image whose root is the repository's": arcgisWith({ workdir: "/" }),
      "with developers": arcgisWith({ developers: ["user:ana@example.org", "group:dados@example.org"] }),
      "with commands that have a shell's own variables": arcgisWith({
        install: 'pip install "$EXTRA" ${OTHER}',
        checks: ["echo $ {{ }}", "x"],
      }),
      "with all that a flow may say": withFlow({
        entrypoint: "lib/flows_2.py:Flow_1",
        schedule: "*/15 5-7 1,15 * MON-FRI",
        timezone: "UTC",
        concurrency: 3,
        memory: "512Mi",
      }),
      "with all that a host may say": withHost({
        acmeServer: "https://acme.example.org/directory",
        pool: "other-pool",
        webSockets: true,
        backupAt: "23:59",
        backupDays: 365,
        registryUser: "puller",
        images: { redis: "mirror.example.org:5000/redis:8.6.7", prefect: `prefect:3.8.8@sha256:${"0".repeat(64)}` },
      }),
      "with a mirror's Prefect": withHost({
        images: { prefect: "mirror.example.org:5000/prefecthq/prefect:3.10.12-python3.12" },
      }),
      "with a mirror's Prefect on another stack's host": withReference({
        image: "mirror.example.org:5000/prefecthq/prefect:3.10.12-python3.12",
      }),
      "with a schedule of months and days by name": withFlow({ schedule: "0 5 1 jan-MAR,Dec sun,FRI" }),
      "with time zones of all forms": arcgisWith({
        flows: ["America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Etc/GMT+3", "EST5EDT", "UTC"].map(
          (timezone, index) => ({ name: `f${index}`, timezone }),
        ),
      }),
    };
    itTakes(accepted, stackOf);
  });

  describe("is refused by both, each problem with key, found, expected and mend", () => {
    const number =
      "expected the project's number, which keyless workflows must spell: `gcloud projects describe PROJECT --format='value(projectNumber)'`; or set auth: key";
    const project =
      "expected a Google Cloud project ID: 6 to 30 lower-case letters, digits or hyphens, a letter first, no hyphen last";
    const entrypoint = "expected a file and its function, such as pipelines/arcgis/abordagem/flows.py:abordagem_flow";
    const cron = "expected a schedule in cron's five fields, such as 0 5 * * 1-5";
    const image =
      "expected an image with an exact tag, better with its digest too, such as redis:8.6.7-alpine@sha256:...; latest is none";
    const docker =
      "expected where a Docker engine answers: ssh://USER@HOST, or unix:///var/run/docker.sock for this machine's: pulumi config set --stack prod docker:host ssh://USER@HOST";
    const prefectImage =
      "expected an image of Prefect 3 whose tag begins with the whole version, such as prefecthq/prefect:3.8.8-python3.12";
    const pythonPackage = "expected the folder of a Python package, such as pipelines/arcgis";
    const command = "expected a command for bash, on one line, without expressions of GitHub's";
    const principal = "expected an IAM principal that is not everybody, such as user:ana@example.org";
    const bucket =
      "expected a bucket's name: 3 to 63 lower-case letters, digits, - or _, a letter or digit at both ends, goog not at the first";
    const either = "expected one or the other";
    const comment = ": it is empty, or begins with #, which is a comment unless in quotes";
    const refused: Record<string, [config: Record<string, unknown>, ...problems: string[]]> = {
      "an unknown key": [stackWith({ regoin: "x" }), 'esteira:equidade.regoin: unknown key; did you mean "region"?'],
      "an unknown key of a function": [
        withFunction({ memry: "1Gi" }),
        'esteira:equidade.functions[0].memry: unknown key; did you mean "memory"?',
      ],
      "an unknown system": [
        stackWith({}, { "esteira:equidad": {} }),
        'esteira:equidad: unknown key; did you mean "esteira:equidade"?',
      ],
      "a misspelt system, with the word to write": [
        { "esteira:quivo": {} },
        'esteira:quivo: unknown key; did you mean "esteira:qivo"?',
      ],
      "a system that is like none": [
        { "esteira:billing-service": {} },
        "esteira:billing-service: unknown key; known are esteira:ownerType, esteira:ownerId, esteira:secrets, esteira:arcgis, esteira:equidade, esteira:python-api, esteira:qivo, esteira:school-scheduler",
      ],
      "a reviewer by name": [
        stackWith({ reviewers: { users: ["maria"] } }),
        'esteira:equidade.reviewers.users[0]: found "maria"; expected a user\'s numeric id: a whole number from 1 to 9007199254740991',
      ],
      "a project's ID for its number": [
        stackWith({ projectNumber: "equidade-prod" }),
        "esteira:equidade.projectNumber: found \"equidade-prod\"; expected a Google Cloud project number, as `gcloud projects describe PROJECT --format='value(projectNumber)'` prints it",
      ],
      "texts that YAML takes for comments": [
        stackWith({ branch: null, via: null, functions: [null] }),
        `esteira:equidade.branch: found null${comment}; expected a branch name, such as main`,
        `esteira:equidade.via: found null${comment}; expected how files reach a repository (push, pull-request)`,
        `esteira:equidade.functions[0]: found null${comment}; expected a function's name, or an object with \`name\``,
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
      "a flow's file without its function": [
        withFlow({ entrypoint: "pipelines/flows.py" }),
        `esteira:arcgis.flows[0].entrypoint: found "pipelines/flows.py"; ${entrypoint}`,
      ],
      "a flow's module instead of its file": [
        withFlow({ entrypoint: "pipelines.flows:main" }),
        `esteira:arcgis.flows[0].entrypoint: found "pipelines.flows:main"; ${entrypoint}`,
      ],
      "a flow's file outside of the repository": [
        withFlow({ entrypoint: "../flows.py:main" }),
        `esteira:arcgis.flows[0].entrypoint: found "../flows.py:main"; ${entrypoint}`,
      ],
      "a schedule that is none": [
        withFlow({ schedule: "every day" }),
        `esteira:arcgis.flows[0].schedule: found "every day"; ${cron}`,
      ],
      "a schedule of six fields": [
        withFlow({ schedule: "0 0 5 * * 1" }),
        `esteira:arcgis.flows[0].schedule: found "0 0 5 * * 1"; ${cron}`,
      ],
      ...Object.fromEntries(
        ["0 5 5L * *", "0 5 15W * *", "0 5 L * *", "0 5 LW * *", "0 5 * * 5L", "0 5 * JANUARY *", "0 5 * * FRI#2"].map(
          (schedule) => [
            `a schedule with other letters than names have: ${schedule}`,
            [withFlow({ schedule }), `esteira:arcgis.flows[0].schedule: found "${schedule}"; ${cron}`],
          ],
        ),
      ),
      "a schedule's nickname, for all flows": [
        arcgisWith({ defaults: { schedule: "@daily" } }),
        `esteira:arcgis.defaults.schedule: found "@daily"; ${cron}`,
      ],
      "a flow's memory in Docker's words": [
        withFlow({ memory: "2g" }),
        'esteira:arcgis.flows[0].memory: found "2g"; expected an amount of memory in Mi or Gi, such as 256Mi or 1Gi',
      ],
      "an unknown key of a flow": [
        withFlow({ schedul: "0 5 * * *" }),
        'esteira:arcgis.flows[0].schedul: unknown key; did you mean "schedule"?',
      ],
      "a flow that no module can be called": [
        arcgisWith({ flows: ["gestao-vagas"] }),
        "esteira:arcgis.flows[0]: found \"gestao-vagas\"; expected a flow's name, which is a Python module's: at most 63 lower-case letters, digits or _, a letter first",
      ],
      "a flow that is none": [
        arcgisWith({ flows: [7] }),
        "esteira:arcgis.flows[0]: found 7; expected a flow's name, or an object with `name`",
      ],
      "a host that runs no flow": [
        arcgisWith({ flows: [] }),
        "esteira:arcgis.flows: found []; expected at least one flow",
      ],
      "a domain without whom to tell of its certificate": [
        arcgisWith({ prefect: { domain: "prefect.example.org" } }),
        "esteira:arcgis.prefect.acmeEmail: missing; expected the e-mail address that the certificate authority writes to before a certificate expires",
      ],
      "a URL for a domain": [
        withHost({ domain: "https://prefect.example.org" }),
        'esteira:arcgis.prefect.domain: found "https://prefect.example.org"; expected the name under which Prefect is reached, such as prefect-rj-smas.org',
      ],
      "a time that YAML made a number of": [
        withHost({ backupAt: 360 }),
        'esteira:arcgis.prefect.backupAt: found 360; expected a time of the day in quotes, such as "06:00"',
      ],
      "an image of the tag latest": [
        withHost({ images: { redis: "redis:latest" } }),
        `esteira:arcgis.prefect.images.redis: found "redis:latest"; ${image}`,
      ],
      "an image without a tag": [
        withHost({ images: { redis: "mirror.example.org:5000/redis" } }),
        `esteira:arcgis.prefect.images.redis: found "mirror.example.org:5000/redis"; ${image}`,
      ],
      ...Object.fromEntries(
        [
          "prefecthq/prefect:3.8-python3.12",
          "prefecthq/prefect:3-latest",
          "prefecthq/prefect:latest",
          "prefecthq/prefect:2.20.1",
          "prefecthq/prefect:30.1.1",
          "prefecthq/prefect:v3.8.8",
          "prefecthq/prefect",
          `prefecthq/prefect@sha256:${"0".repeat(64)}`,
          "prefecthq/prefect:3.8.8@sha256:0",
        ].map((prefect) => [
          `an image that does not tell a whole version of Prefect 3: ${prefect}`,
          [
            withHost({ images: { prefect } }),
            `esteira:arcgis.prefect.images.prefect: found "${prefect}"; ${prefectImage}`,
          ],
        ]),
      ),
      "an image that the host does not run": [
        withHost({ images: { postgre: "postgres:17.10" } }),
        'esteira:arcgis.prefect.images.postgre: unknown key; did you mean "postgres"?',
      ],
      "an unknown key of a host": [
        withHost({ webSocket: true }),
        'esteira:arcgis.prefect.webSocket: unknown key; did you mean "webSockets"?',
      ],
      "a host of its own and of another stack": [
        withHost({ stack: "prod" }),
        `esteira:arcgis.prefect.stack: found beside domain, acmeEmail; ${either}`,
      ],
      "another stack's host, and a domain": [
        withReference({ domain: "prefect.example.org" }),
        `esteira:arcgis.prefect.domain: found beside stack; ${either}`,
      ],
      "a key of a host beside another stack's": [
        withReference({ pool: "x" }),
        `esteira:arcgis.prefect.pool: found beside stack; ${either}`,
      ],
      "a key that no host has, beside another stack's": [
        withReference({ zebra: "x" }),
        "esteira:arcgis.prefect.zebra: unknown key; known are stack, image",
      ],
      "a key that neither form of a host has, beside one of the other": [
        withHost({ stack: "prod", webSocket: true }),
        `esteira:arcgis.prefect.stack: found beside domain, acmeEmail; ${either}`,
        'esteira:arcgis.prefect.webSocket: unknown key; did you mean "webSockets"?',
      ],
      "an image of another stack's host that is not Prefect's": [
        withReference({ image: "redis:8.6.7" }),
        `esteira:arcgis.prefect.image: found "redis:8.6.7"; ${prefectImage}`,
      ],
      "a stack by half of its name": [
        withReference({ stack: "acme/prod" }),
        'esteira:arcgis.prefect.stack: found "acme/prod"; expected the stack that owns the host: its name, or ORGANISATION/PROJECT/STACK',
      ],
      "a stack that is none": [
        withReference({ stack: 7 }),
        "esteira:arcgis.prefect.stack: found 7; expected the stack that owns the host: its name, or ORGANISATION/PROJECT/STACK",
      ],
      "a host that is none": [
        arcgisWith({ prefect: "prod", flows: undefined }),
        'esteira:arcgis.prefect: found "prod"; expected an object with either `domain`, in the stack that owns the host, or `stack`, in one that uses it',
      ],
      "a Docker host by TCP, which is open to all": [
        arcgisWith({}, { "docker:host": "tcp://192.0.2.1:2375" }),
        `docker:host: found "tcp://192.0.2.1:2375"; ${docker}`,
      ],
      "a Docker host without a way to it": [
        arcgisWith({}, { "docker:host": "prefect.example.org" }),
        `docker:host: found "prefect.example.org"; ${docker}`,
      ],
      "a Docker host that is none": [
        arcgisWith({}, { "docker:host": "ssh://deploy@my host" }),
        `docker:host: found "ssh://deploy@my host"; ${docker}`,
      ],
      "a bucket's name with capitals": [
        arcgisWith({ bucket: "Arcgis-Data" }),
        `esteira:arcgis.bucket: found "Arcgis-Data"; ${bucket}`,
      ],
      "a bucket's name that Google keeps": [
        arcgisWith({ bucket: "goog-data" }),
        `esteira:arcgis.bucket: found "goog-data"; ${bucket}`,
      ],
      "a folder outside of the repository": [
        arcgisWith({ package: "../pipelines" }),
        `esteira:arcgis.package: found "../pipelines"; ${pythonPackage}`,
      ],
      ...Object.fromEntries(
        [
          "pipelines/arc-gis",
          "pipelines.arcgis",
          "2nd/arcgis",
          "pipelines//arcgis",
          "pipelines/",
          "/pipelines",
          "",
        ].map((folder) => [
          `a folder that Python cannot import: ${folder}`,
          [arcgisWith({ package: folder }), `esteira:arcgis.package: found "${folder}"; ${pythonPackage}`],
        ]),
      ),
      "a dbt project outside of the repository": [
        arcgisWith({ dbt: "../queries" }),
        'esteira:arcgis.dbt: found "../queries"; expected a path of the repository, from its root, such as src/app',
      ],
      "an expression of GitHub's in what installs": [
        arcgisWith({ install: "pip install ${{ github.head_ref }}" }),
        `esteira:arcgis.install: found "pip install \${{ github.head_ref }}"; ${command}`,
      ],
      "an expression of GitHub's in a check": [
        arcgisWith({ checks: ["pytest", "${{github.token}}"] }),
        `esteira:arcgis.checks[1]: found "\${{github.token}}"; ${command}`,
      ],
      "a check on two lines": [arcgisWith({ checks: ["a\nb"] }), `esteira:arcgis.checks[0]: found "a\\nb"; ${command}`],
      "a folder of the image that is not told from its root": [
        arcgisWith({ workdir: "app" }),
        'esteira:arcgis.workdir: found "app"; expected an absolute path',
      ],
      "a folder of the image with an expression of GitHub's": [
        arcgisWith({ workdir: "/${{ github.head_ref }}" }),
        'esteira:arcgis.workdir: found "/${{ github.head_ref }}"; expected an absolute path',
      ],
      "a developer by e-mail alone": [
        arcgisWith({ developers: ["user:ana@example.org", "bia@example.org"] }),
        `esteira:arcgis.developers[1]: found "bia@example.org"; ${principal}`,
      ],
      "developers that are no list": [
        arcgisWith({ developers: "user:ana@example.org" }),
        'esteira:arcgis.developers: found "user:ana@example.org"; expected a list of IAM principals',
      ],
      "an empty arcgis": [arcgisWith({}, { "esteira:arcgis": null }), "esteira:arcgis: found null; expected an object"],
      "several at once, all told": [
        stackWith({ project: "x", functions: ["a", { name: "b", memory: "lots" }] }),
        `esteira:equidade.project: found "x"; ${project}`,
        'esteira:equidade.functions[1].memory: found "lots"; expected an amount of memory in Mi or Gi, such as 256Mi or 1Gi',
      ],
    };
    itRefuses(refused, stackOf);
  });

  describe("is refused by the program alone where a schema cannot say it", () => {
    const timezone = "esteira:arcgis.flows[0].timezone: found ";
    const zone = "expected a time zone of the IANA database, such as America/Sao_Paulo";
    const docker = (stack: string) =>
      `docker:host: missing; expected where a Docker engine answers: ssh://USER@HOST, or unix:///var/run/docker.sock for this machine's: pulumi config set --stack ${stack} docker:host ssh://USER@HOST`;
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
      "a schedule of an hour that no day has": [
        withFlow({ schedule: "0 25 * * *" }),
        'esteira:arcgis.flows[0].schedule: found "0 25 * * *"; expected a schedule in cron\'s five fields, such as 0 5 * * 1-5',
      ],
      "a time zone that nobody knows": [withFlow({ timezone: "America/Rio" }), `${timezone}"America/Rio"; ${zone}`],
      "an offset for a time zone": [withFlow({ timezone: "-03:00" }), `${timezone}"-03:00"; ${zone}`],
      ...Object.fromEntries(
        ["america/sao_paulo", "America/sao_paulo", "AMERICA/SAO_PAULO", "utc", "UtC"].map((name) => [
          `a time zone in other capitals than its own: ${name}`,
          [withFlow({ timezone: name }), `${timezone}"${name}"; ${zone}`],
        ]),
      ),
      "a time zone that nobody knows, for all flows": [
        arcgisWith({ defaults: { timezone: "Mars" } }),
        `esteira:arcgis.defaults.timezone: found "Mars"; ${zone}`,
      ],
      "the same flow twice": [
        arcgisWith({ flows: ["a", "b", "a"] }),
        'esteira:arcgis.flows[2]: found "a"; expected a name of its own: flows[0] has it already',
      ],
      "the same flow twice, once as an object": [
        arcgisWith({ flows: ["a", { name: "a" }] }),
        'esteira:arcgis.flows[1].name: found "a"; expected a name of its own: flows[0] has it already',
      ],
      "the same flow twice beside another problem": [
        arcgisWith({ region: "mars", flows: ["a", "a"] }),
        'esteira:arcgis.region: found "mars"; expected a Google Cloud region',
        'esteira:arcgis.flows[1]: found "a"; expected a name of its own: flows[0] has it already',
      ],
      "a host without flows": [
        arcgisWith({ flows: undefined }),
        "esteira:arcgis.flows: missing; expected the list of flows that this host runs",
      ],
      "flows without a host": [
        arcgisWith({ prefect: undefined, flows: ["a"] }),
        'esteira:arcgis.flows: found ["a"]; expected nothing here: the stack that owns the host has the flows, in staging and in prod',
      ],
      "flows of another stack's host": [
        arcgisWith({ prefect: { stack: "prod" }, flows: ["a"] }),
        'esteira:arcgis.flows: found ["a"]; expected nothing here: the stack that owns the host has the flows, in staging and in prod',
      ],
      "a host and no Docker host": [arcgisWith({}, { "docker:host": undefined }), docker("prod")],
      "another stack's host and no Docker host": [{ ...withReference(), "docker:host": undefined }, docker("staging")],
      "a secret for images that are public": [
        arcgisWith({}, { "esteira:secrets": { arcgis: { GHCR_TOKEN: "hunter2" } } }),
        "esteira:secrets.arcgis.GHCR_TOKEN: unknown key; known are none",
      ],
      "two of one name beside another problem": [
        stackWith({ region: "mars", functions: ["a", "a"] }),
        'esteira:equidade.region: found "mars"; expected a Google Cloud region',
        'esteira:equidade.functions[1]: found "a"; expected a name of its own: functions[0] has "a" already',
      ],
    };
    itRefusesAlone(refused, stackOf);
  });

  describe("is refused in the stack where it makes no sense", () => {
    const dev = "esteira:arcgis.prefect: found in dev; expected nothing: its flows run by hand, with MODE=dev";
    const owner =
      "esteira:arcgis.prefect.domain: found in staging; expected in prod, which staging refers to by `stack: prod`";
    const itself = (name: string) =>
      `esteira:arcgis.prefect.stack: found "${name}", which is this stack; expected the one that owns the host`;
    const reviewers =
      "esteira:arcgis.reviewers: found without prefect; expected beside it: nothing is deployed otherwise";
    const branch = (name: string) =>
      `esteira:arcgis.branch: found "${name}"; expected another name: pushes to staging/** go to staging`;
    const alone = { prefect: undefined, flows: undefined };
    const cases: Record<string, [stack: string, config: Record<string, unknown>, ...problems: string[]]> = {
      "dev with a host": ["dev", arcgisWith({}), dev],
      "dev with another stack's host": ["dev", withReference(), dev],
      "staging with a host": ["staging", arcgisWith({}), owner],
      "prod with its own host by reference": ["prod", withReference(), itself("prod")],
      "staging with its own host by reference": ["staging", withReference({ stack: "staging" }), itself("staging")],
      "a stack with its own host by its whole name": [
        "prod",
        withReference({ stack: "acme/esteira/prod" }),
        itself("acme/esteira/prod"),
      ],
      "reviewers and no host": ["dev", arcgisWith({ ...alone, reviewers: { users: [1] } }), reviewers],
      "the default branch staging": ["prod", arcgisWith({ branch: "staging" }), branch("staging")],
      "a default branch below staging": ["dev", arcgisWith({ ...alone, branch: "staging/v2" }), branch("staging/v2")],
      "several at once, all told": [
        "staging",
        { ...arcgisWith({ branch: "staging/v2" }), "docker:host": "x" },
        'docker:host: found "x"; expected where a Docker engine answers: ssh://USER@HOST, or unix:///var/run/docker.sock for this machine\'s: pulumi config set --stack staging docker:host ssh://USER@HOST',
        owner,
        branch("staging/v2"),
      ],
    };
    for (const [name, [stack, config, ...problems]] of Object.entries(cases)) {
      it(name, () => {
        assert.deepEqual(problemsOf(config, stack), problems);
        assert.equal(parseConfig(asPulumi(config), stack).config, undefined);
      });
    }
  });

  it("has arcgis in the stacks that are values of MODE, and in no other", () => {
    const alone = arcgisWith({ prefect: undefined, flows: undefined });
    for (const stack of ["dev", "staging", "prod"]) assert.deepEqual(problemsOf(alone, stack), []);
    assert.deepEqual(problemsOf(withReference(), "staging"), []);
    assert.deepEqual(problemsOf(arcgisWith({}), "prod"), []);
    for (const stack of ["homolog", "preprod", "production"]) {
      assert.deepEqual(problemsOf(withReference(), stack), [
        `esteira:arcgis: found in the stack ${stack}; expected in dev, staging, prod alone`,
      ]);
    }
  });

  it("asks for the token of who pulls the flows' images, where somebody has to", () => {
    const needs = (config: Record<string, unknown>) => parseConfig(asPulumi(config), "prod").needs;
    assert.deepEqual(needs(arcgisWith({})), []);
    const need = {
      path: "arcgis.GHCR_TOKEN",
      optional: false,
      purpose: "personal access token of puller with scope read:packages, which pulls the flows' images",
    };
    const config = withHost({ registryUser: "puller" });
    assert.deepEqual(needs(config), [{ ...need, given: false }]);
    const given = { ...config, "esteira:secrets": { arcgis: { GHCR_TOKEN: "x" } } };
    assert.deepEqual(needs(given), [{ ...need, given: true }]);
    assert.deepEqual(problemsOf(given), []);
  });

  it("gives arcgis what follows from the environment and from other keys", () => {
    const of = (config: Record<string, unknown>, stack: string) =>
      parseConfig(asPulumi(config), stack).config!.arcgis!.config;
    assert.deepEqual(of(arcgisWith({ defaults: { memory: "1Gi", concurrency: 2 } }), "prod"), {
      project: "rj-smas",
      region: "southamerica-east1",
      endpoint: "https://arcgis.example.org/portal",
      mode: "prod",
      bucket: "rj-smas-arcgis",
      dataset: "arcgis",
      repository: "pipelines-arcgis",
      branch: "main",
      package: "pipelines/arcgis",
      via: "push",
      developers: [],
      deletionPolicy: "PREVENT",
      workdir: "/app",
      python: "3.12",
      install: "pip install -r requirements.txt",
      checks: ["ruff check .", "pytest"],
      dbt: "queries",
      prefectImage: images.prefect,
      host: { ...prefect, pool: "docker-pool", webSockets: false, backupAt: "06:00", backupDays: 14 },
      flows: ["abordagem", "equipamentos"].map((name) => ({
        name,
        entrypoint: `pipelines/arcgis/${name}/flows.py:${name}_flow`,
        timezone: "America/Sao_Paulo",
        concurrency: 2,
        memory: "1Gi",
      })),
    });
    const staging = of(withReference(), "staging");
    assert.deepEqual(
      [staging.mode, staging.deletionPolicy, staging.host, staging.hostOf, staging.prefectImage, staging.flows],
      ["staging", "DELETE", undefined, "prod", images.prefect, []],
    );
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

describe("Whatever is wrong with any key", () => {
  type Node = boolean | { properties?: Nodes; items?: Node; additionalProperties?: Node; anyOf?: Node[] };
  type Nodes = Record<string, Node>;
  type Place = [path: string, wrap: (value: unknown) => unknown];

  /** Every place of a schema, and how a value is put there. */
  function* places(node: Node, path: string, wrap: (value: unknown) => unknown): Generator<Place> {
    if (typeof node === "boolean") return;
    yield [path, wrap];
    for (const [key, each] of Object.entries(node.properties ?? {})) {
      yield* places(each, `${path}.${key}`, (value) => wrap({ [key]: value }));
    }
    yield* places(node.items ?? false, `${path}[]`, (value) => wrap([value]));
    // Names of a variable and of a service: each record takes one of them.
    yield* places(node.additionalProperties ?? false, `${path}.*`, (value) => wrap({ A: value, slack: value }));
    for (const each of node.anyOf ?? []) yield* places(each, path, wrap);
  }

  /** Of each type, and what only a refinement refuses: each is wrong somewhere. */
  const wrong = [
    ...[null, true, 7, -1, 0.5, 1e20, "", "no such", "a\nb", [], [null], {}, { nonsense: 1 }, { "": "a" }],
    ...["0 0 30 2 *", "* * * * *", "0 0 * * 7", "2026-02-30T00:00Z"],
    ...[{ min: 2, max: 1 }, { users: [1, 2, 3, 4, 5, 6, 7] }, { role: "roles/a.b" }],
  ];
  const { properties } = (stackFileSchema() as { properties: { config: { properties: Nodes } } }).properties.config;
  /** What makes the settings of providers needed. */
  const beside = { ...arcgisWith({}), "esteira:python-api": { argocd: { url: "https://argocd.example.org" } } };
  const all = Object.entries(properties).map(([key, node]) => ({ key, at: [...places(node, key, (value) => value)] }));

  for (const { key, at } of all) {
    it(`is told in words of ours: ${key}`, () => {
      for (const [, wrap] of at) {
        for (const value of wrong) {
          for (const problem of problemsOf({ ...beside, [key]: wrap(value) }, "prod")) {
            assert.doesNotMatch(problem, /Invalid |Too (small|big)|Unrecognized|undefined|\/\^/);
          }
        }
      }
    });
  }

  it("is looked for at the end of every kind of path", () => {
    const paths = all.flatMap(({ at }) => at.map(([path]) => path));
    for (const path of [
      "esteira:arcgis.prefect.images.redis",
      "esteira:equidade.functions[].roles[].project",
      "esteira:python-api.notifications.*",
      "esteira:school-scheduler.replicas.min",
    ]) {
      assert.ok(paths.includes(path), path);
    }
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
