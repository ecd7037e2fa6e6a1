import assert from "node:assert/strict";
import { parseConfig } from "../../../config.ts";
import { defaultTags, problemsIn, stacks } from "../../../systems/python-api/config.ts";
import { asPulumi, type Config, itRefuses, itRefusesAlone, itTakes, problemsOf } from "../../support/config.ts";
import { configOf } from "./fixture.ts";

const argocd = { url: "https://argocd.example.org" };

/** A stack's config with python-api changed and other keys put beside it. */
const stackWith = (changes: object = {}, beside: Config = {}): Config => ({
  "github:owner": "sua-org",
  "kubernetes:context": "argocd",
  "esteira:python-api": { argocd, ...changes },
  ...beside,
});

const prod = () => "prod";
const dev = () => "dev";
const allow = (changes: object = {}) => ({ kind: "allow", schedule: "0 6 * * 1-5", duration: "12h", ...changes });
const windows = (...changes: object[]) => stackWith({ windows: changes.map(allow) });
const soon = (hours: number) => `${new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 16)}Z`;
const breakGlass = (changes: object = {}) => ({
  who: "ana@example.org",
  why: "INC-42: it is down",
  until: soon(4),
  ...changes,
});

describe("python-api's config", () => {
  describe("is taken by the program and by the editor's schema", () => {
    itTakes(
      {
        "with only what has no default": stackWith(),
        "with a cluster by its kubeconfig": stackWith(
          {},
          { "kubernetes:context": undefined, "kubernetes:kubeconfig": "/k" },
        ),
        "with no window at all": stackWith({ windows: [] }),
        "with windows of all forms": windows(
          { schedule: "*/15 5-7 1,15 * MON-FRI", duration: "1h30m", timeZone: "America/Sao_Paulo", manualSync: true },
          {
            kind: "deny",
            schedule: "0 12 24 DEC *",
            duration: "48h",
            applications: ["*-prod"],
            description: "Christmas",
          },
          {
            namespaces: ["python-api-*"],
            clusters: ["https://*"],
            andOperator: true,
            syncOverrun: false,
            duration: "45m",
          },
        ),
        "with a broken glass": stackWith({ breakGlass: breakGlass() }),
        "with all that else may be said": stackWith({
          argocd: {
            ...argocd,
            namespace: "cd",
            webhooks: "given",
            imageUpdaterUrl: "https://updater.example.org:8443",
          },
          repository: "api",
          branch: "trunk",
          via: "pull-request",
          reviewers: { users: [1] },
          chart: "chart",
          dockerfile: "docker/Dockerfile",
          namespace: "api",
          server: "https://10.0.0.1:6443",
          kinds: ["Service", "apps/Deployment", "argoproj.io/Rollout"],
          automated: false,
          tags: "^v1\\.[0-9]+\\.[0-9]+$",
          ignoreTags: ["v1.2.1", "v1.3.*"],
          groups: { viewers: ["acme:all"], operators: ["6cd3b8b0-5d10-4b1c-9c5f-0d8f5f3a1c11"] },
          notifications: { slack: "deploys", pager: "x" },
          gitApp: { id: 12, installation: 34 },
          registryUser: "puller",
          python: "3.13",
          install: "uv sync",
          checks: ["uv run pytest"],
          deletionPolicy: "DELETE",
        }),
      },
      prod,
    );
  });

  describe("is refused by both, each problem with key, found, expected and mend", () => {
    const duration = "expected a duration in whole hours and minutes, such as 12h or 1h30m; a day is 24h";
    const at = (key: string) => `esteira:python-api.${key}: `;
    itRefuses(
      {
        "no Argo CD": [stackWith({ argocd: undefined }), `${at("argocd")}missing; expected an object with \`url\``],
        "an address without https": [
          stackWith({ argocd: { url: "argocd.example.org" } }),
          `${at("argocd.url")}found "argocd.example.org"; expected an https URL without a slash at its end, such as https://argocd.example.org`,
        ],
        "an unknown key": [stackWith({ window: [] }), `${at("window")}unknown key; did you mean "windows"?`],
        "a misspelt kind, which Argo CD would ignore": [
          windows({ kind: "alow" }),
          `${at("windows[0].kind")}found "alow"; expected what the window does to syncs (allow, deny); did you mean "allow"?`,
        ],
        "a duration in days, which would block every sync": [
          windows({ duration: "1d" }),
          `${at("windows[0].duration")}found "1d"; ${duration}`,
        ],
        "a duration of nothing": [windows({ duration: "0h" }), `${at("windows[0].duration")}found "0h"; ${duration}`],
        "a duration that is left out": [
          windows({ duration: undefined }),
          `${at("windows[0].duration")}missing; ${duration}`,
        ],
        "an empty list of applications": [
          windows({ applications: [] }),
          `${at("windows[0].applications")}found []; expected at least one name`,
        ],
        "a glob of another kind": [
          windows({ applications: ["{a,b}"] }),
          `${at("windows[0].applications[0]")}found "{a,b}"; expected a name, in which * and ? may stand for others`,
        ],
        "a webhook that is neither": [
          stackWith({ argocd: { ...argocd, webhooks: "mad" } }),
          `${at("argocd.webhooks")}found "mad"; expected whether GitHub tells Argo CD of a push: by a secret that is made, by the one that is there, or not (made, given, none); did you mean "made"?`,
        ],
        "a reason of one word": [
          stackWith({ breakGlass: breakGlass({ why: "urgent" }) }),
          `${at("breakGlass.why")}found "urgent"; expected why it cannot wait, with the incident's number: 8 to 120 characters`,
        ],
        "an end without a zone": [
          stackWith({ breakGlass: breakGlass({ until: "2026-11-28 07:00" }) }),
          `${at("breakGlass.until")}found "2026-11-28 07:00"; expected a time in UTC, to the minute and in quotes, such as "2026-11-28T07:00Z"`,
        ],
        "a channel with its #, which YAML takes for a comment": [
          stackWith({ notifications: { slack: null } }),
          `${at("notifications.slack")}found null: it is empty, or begins with #, which is a comment unless in quotes; expected a recipient, such as a channel's name`,
        ],
        "a notification service with a dot, of which Argo CD would read the first half": [
          stackWith({ notifications: { "webhook.pager": "x" } }),
          `${at("notifications.webhook.pager")}expected a notification service, such as slack; a webhook by its own name alone`,
        ],
        ...Object.fromEntries(
          [
            "^[a-z0-9.]+$",
            "v[0-9]+",
            "^v1$|^latest$",
            "^v(?!0)[0-9]+$",
            "^\\Qlatest\\E$",
            "^\\Av[0-9]+\\.[0-9]+\\.[0-9]+$",
            "^[]l]atest$",
            "^v1\\.4\\..*$",
            "^v[0-9.]+$",
            "^v1\\.4\\.[0-9]{2000}$",
            "^v1\\.4\\.[0-9]+-.+$",
          ].map((tags) => [
            `tags that could be anything: ${tags}`,
            [
              stackWith({ tags }),
              `${at("tags")}found ${JSON.stringify(tags)}; expected a regular expression from ^v to $ for versions alone, so never latest: three numbers as digits or [0-9]+ with \\\\. between, then nothing or the like of -rc\\\\.[0-9]+`,
            ] satisfies [Config, string],
          ]),
        ),
        "a kind without its group's form": [
          stackWith({ kinds: ["deployment"] }),
          `${at("kinds[0]")}found "deployment"; expected a kind with its group, such as apps/Deployment, or Service`,
        ],
      },
      prod,
    );
  });

  describe("is refused by the program alone where a schema cannot say it", () => {
    const at = (key: string) => `esteira:python-api.${key}: `;
    const cron =
      "expected a schedule in cron's five fields which Kubernetes and Argo CD read likewise: Sunday is 0, and the first day of a range; every step is above 1; * in no list";
    const hours = "expected at most 24 hours from now: ";
    itRefusesAlone(
      {
        "no cluster": [
          stackWith({}, { "kubernetes:context": undefined }),
          "kubernetes:context: missing; expected a context of your kubeconfig: pulumi config set --stack prod kubernetes:context CONTEXT",
        ],
        "a schedule that is none": [
          windows({ schedule: "0 6 * * mo-fr" }),
          `${at("windows[0].schedule")}found "0 6 * * mo-fr"; expected a schedule in cron's five fields, such as 0 5 * * 1-5`,
        ],
        "a Sunday that Argo CD does not know": [
          windows({ schedule: "0 6 * * 5-7" }),
          `${at("windows[0].schedule")}found "0 6 * * 5-7"; ${cron}`,
        ],
        "a step of 1, which Argo CD reads as *": [
          windows({ schedule: "0 6 */1 * 1" }),
          `${at("windows[0].schedule")}found "0 6 */1 * 1"; ${cron}`,
        ],
        "a schedule that never comes, which Argo CD takes for always": [
          windows({ schedule: "0 6 30 2 *" }),
          `${at("windows[0].schedule")}found "0 6 30 2 *"; expected a schedule that comes, which 0 0 30 2 * never does`,
        ],
        "a range that ends on Sunday, which Argo CD refuses": [
          windows({ schedule: "0 6 * * SAT-SUN" }),
          `${at("windows[0].schedule")}found "0 6 * * SAT-SUN"; ${cron}`,
        ],
        ...Object.fromEntries(
          ["PST", "IST", "SystemV/PST8", "US/pacific", "Asia/kolkata"].map((timeZone) => [
            `${timeZone}, which to Argo CD is no time zone and so UTC`,
            [
              windows({ timeZone }),
              `${at("windows[0].timeZone")}found "${timeZone}"; expected a time zone of the IANA database, such as America/Sao_Paulo`,
            ] satisfies [Config, string],
          ]),
        ),
        "a time zone that would silently be UTC": [
          windows({ timeZone: "America/Sao_Paolo" }),
          `${at("windows[0].timeZone")}found "America/Sao_Paolo"; expected a time zone of the IANA database, such as America/Sao_Paulo`,
        ],
        "a window that matches no application": [
          windows({}, { applications: ["python-api-prod"] }),
          `${at("windows[1]")}matches no application; expected one that matches python-api-base-prod to python-api-prod at https://kubernetes.default.svc`,
        ],
        "a window of which not every list matches": [
          windows({ applications: ["*"], namespaces: ["other"], andOperator: true }),
          `${at("windows[0]")}matches no application; expected one that matches python-api-base-prod to python-api-prod at https://kubernetes.default.svc`,
        ],
        "allow windows that deny windows cover": [
          windows({}, { kind: "deny", schedule: "0 5 * * *", duration: "14h" }),
          `${at("windows")}leave no time at all for a sync by hand within a year; expected an allow window that no deny window covers`,
        ],
        "automated sync in prod": [
          stackWith({ automated: true }),
          `${at("automated")}found true in prod; expected false: an operator starts each sync there`,
        ],
        "tags that are another environment's": [
          stackWith({ tags: "^v1\\.4\\.[0-9]+-rc\\.[0-9]+$" }),
          `${at("tags")}found "^v1\\\\.4\\\\.[0-9]+-rc\\\\.[0-9]+$"; expected prod's versions alone: nothing after the three numbers`,
        ],
        "Argo CD's own namespace": [
          stackWith({ namespace: "argocd" }),
          `${at("namespace")}found "argocd", where Argo CD runs; expected another: what is in Git would rule over it`,
        ],
        "windows that are closed but for a second": [
          stackWith({ windows: [{ kind: "deny", schedule: "0 0 * * *", duration: "24h" }] }),
          `${at("windows")}leave no time at all for a sync by hand within a year; expected an allow window that no deny window covers`,
        ],
        "a broken glass where a freeze alone closes": [
          stackWith({ windows: [{ kind: "deny", schedule: "0 0 * * *", duration: "12h" }], breakGlass: breakGlass() }),
          `${at("breakGlass")}found without an allow window; expected nothing: without one every time is open that no deny window closes, and that it cannot open`,
        ],
        "a broken glass where nothing is closed": [
          stackWith({ windows: [allow({ manualSync: true })], breakGlass: breakGlass() }),
          `${at("breakGlass")}would open nothing: no time till then is closed to a sync by hand; expected nothing`,
        ],
        "a broken glass that is over": [
          stackWith({ breakGlass: breakGlass({ until: "2026-01-02T03:04Z" }) }),
          `${at("breakGlass.until")}found "2026-01-02T03:04Z", which is over; take breakGlass out, or say a new end and why`,
        ],
        "a name that is none of an Application": [
          stackWith({ repository: "A.B" }),
          `${at("repository")}gives the Application's name "a.b-prod"; expected at most 53 lower-case letters, digits or hyphens`,
        ],
        "an Image Updater that nobody calls": [
          stackWith({ argocd: { ...argocd, webhooks: "none", imageUpdaterUrl: "https://u.example.org" } }),
          `${at("argocd.imageUpdaterUrl")}found beside webhooks "none"; expected nothing: nobody would call it`,
        ],
      },
      prod,
    );

    it("a broken glass of more than a day", () => {
      const until = soon(30);
      const [problem = "", ...others] = problemsOf(stackWith({ breakGlass: breakGlass({ until }) }), "prod");
      assert.deepEqual(others, []);
      assert.ok(problem.startsWith(`${at("breakGlass.until")}found "${until}"; ${hours}20`), problem);
    });

    it("a broken glass over which a deny window stands", () => {
      const now = new Date("2026-11-28T12:00:00Z");
      const deny = { kind: "deny", schedule: "0 0 * * 6", duration: "48h" } as const;
      const weekend = (changes: object) => ({
        ...configOf({ windows: [allow(), { ...deny, ...changes }] }),
        breakGlass: breakGlass({ until: "2026-11-29T07:00Z" }),
      });
      assert.deepEqual(problemsIn(weekend({}), now), [
        {
          key: "breakGlass",
          message:
            'would open nothing: the deny window "0 0 * * 6" (48h) stands over it; expected that window with manualSync: true, or out of the list',
        },
      ]);
      // Whom the deny window lets pass by hand needs no glass.
      assert.deepEqual(problemsIn(weekend({ manualSync: true }), now), [
        {
          key: "breakGlass",
          message: "would open nothing: no time till then is closed to a sync by hand; expected nothing",
        },
      ]);
      assert.deepEqual(problemsIn(weekend({ duration: "14h" }), now), []);
    });
  });

  describe("is refused outside prod where it is prod's", () => {
    const at = (key: string) => `esteira:python-api.${key}: `;
    itRefusesAlone(
      {
        "a webhook": [
          stackWith({ argocd: { ...argocd, webhooks: "made" } }),
          `${at("argocd.webhooks")}found "made" in dev; expected none: a repository has them once, and prod's stack owns them`,
        ],
        reviewers: [
          stackWith({ reviewers: { users: [1] } }),
          `${at("reviewers")}found in dev; expected in prod alone: nobody has to approve an image otherwise`,
        ],
      },
      dev,
    );
  });

  it("is of the document's environments, and of no other stack", () => {
    for (const stack of stacks) assert.deepEqual(problemsOf(stackWith(), stack), []);
    assert.deepEqual(problemsOf(stackWith(), "homolog"), [
      "esteira:python-api: found in the stack homolog; expected in dev, staging, prod alone",
    ]);
  });

  it("asks for the secrets that it has a use for", () => {
    const needs = (changes: object) => parseConfig(asPulumi(stackWith(changes)), "prod").needs.map(({ path }) => path);
    assert.deepEqual(needs({}), ["python-api.GIT_TOKEN"]);
    assert.deepEqual(needs({ gitApp: { id: 1, installation: 2 }, registryUser: "bot" }), [
      "python-api.GIT_APP_KEY",
      "python-api.GHCR_TOKEN",
    ]);
    assert.deepEqual(needs({ argocd: { ...argocd, webhooks: "given", imageUpdaterUrl: "https://u.example.org" } }), [
      "python-api.GIT_TOKEN",
      "python-api.ARGOCD_WEBHOOK_SECRET",
      "python-api.IMAGE_UPDATER_WEBHOOK_SECRET",
    ]);
  });

  it("takes by default each the tags of its own environment, and never latest", () => {
    const tags = {
      dev: ["v0.1.0-dev.1", "v1.20.3-dev.140"],
      staging: ["v1.2.0-rc.1", "v10.0.0-rc.12"],
      prod: ["v1.2.0", "v0.0.1", "v10.20.30"],
    };
    const nobodys = [
      "latest",
      "main",
      "v1",
      "v1.2",
      "1.2.0",
      "v1.2.0-rc",
      "v1.2.0-dev.1-x",
      "v1.2.0-beta.1",
      "sha-0a1b",
      "xv1.2.0",
    ];
    for (const environment of stacks) {
      const pattern = new RegExp(defaultTags[environment]);
      for (const [whose, each] of Object.entries({ ...tags, nobody: nobodys })) {
        for (const tag of each) assert.equal(pattern.test(tag), whose === environment, `${tag} in ${environment}`);
      }
    }
  });
});
