import assert from "node:assert/strict";
import { stacks } from "../../../systems/school-scheduler/config.ts";
import { quotaOf } from "../../../systems/school-scheduler/quota.ts";
import { sizes } from "../../../systems/school-scheduler/sizes.ts";
import { type Config, itRefuses, itRefusesAlone, itTakes, problemsOf } from "../../support/config.ts";
import { certificateAuthority, configOf, least, stackWith } from "./fixture.ts";

const prod = () => "prod";
const key = "esteira:school-scheduler";
const inProd = (changes: object = {}, beside: Config = {}) => stackWith("prod", changes, beside);
const { backup, cluster, ingress } = least.prod as Record<string, object>;

describe("school-scheduler's config", () => {
  describe("is taken by the program and by the editor's schema", () => {
    for (const stack of stacks) itTakes({ [`in ${stack} with the least`]: stackWith(stack) }, () => stack);
    itTakes(
      {
        "with a cluster by its kubeconfig": inProd(
          {},
          { "kubernetes:context": undefined, "kubernetes:kubeconfig": "/k" },
        ),
        "with a context of its own": inProd({ context: "prod" }, { "kubernetes:context": undefined }),
        "with nobody who approves, said so": inProd({ reviewers: "none" }),
        "with all that else may be said": inProd(
          {
            repository: "scheduler",
            branch: "trunk",
            developBranch: "dev",
            via: "push",
            reviewers: { teams: [1, 2] },
            approvals: 2,
            dockerfile: "docker/Dockerfile",
            namespace: "scheduler",
            size: "medium",
            image: "ghcr.io/sua-org/school_scheduler:v1.0.0",
            registryUser: "puller",
            port: 8080,
            healthPath: "/healthz",
            smoke: ["/", "/api/schedules?limit=1"],
            env: { MODE: "full" },
            application: { cpu: 1.5, memory: "768Mi" },
            replicas: { min: 2, max: 4 },
            database: { cpu: "750m", memory: "2Gi", storage: "100Gi", storageClass: "ssd", image: "mysql:8.4.9" },
            ingress: { ...ingress, className: "traefik", controllerNamespace: "traefik", clusterIssuer: "internal" },
            cluster: { ...cluster, access: "token" },
            backup: { ...backup, bucket: "backups", schedule: "0 */6 * * *", timeZone: "UTC", keptDays: 90 },
            generation: { command: ["python", "-m", "app"], schedule: "0 5 * * MON", timeZone: "UTC" },
            monitoring: { release: "prometheus", namespace: "observability", metricsPath: "/metrics" },
            python: "3.13",
            install: "uv sync",
            pythons: ["3.13"],
            lint: ["uv run ruff check ."],
            tests: ["uv run pytest"],
            integration: [],
            endToEnd: [],
            loadTest: [],
            watchMinutes: 15,
            severity: "high",
            deletionPolicy: "DELETE",
          },
          { "esteira:secrets": { "school-scheduler": { GHCR_TOKEN: "x" } } },
        ),
      },
      prod,
    );
  });

  describe("is refused by both, each problem with key, found, expected and mend", () => {
    itRefuses(
      {
        "quantities that are none": [
          inProd({
            application: { cpu: "fast", memory: "512MB" },
            database: { storage: "20 GB" },
          }),
          `${key}.application.cpu: found "fast"; expected an amount of cores, such as 250m or 2`,
          `${key}.application.memory: found "512MB"; expected an amount of memory in Mi or Gi, such as 256Mi or 1Gi`,
          `${key}.database.storage: found "20 GB"; expected the size of a volume in Mi, Gi or Ti, such as 20Gi`,
        ],
        "a size that there is none of": [
          inProd({ size: "larg" }),
          `${key}.size: found "larg"; expected a size (small, medium, large); did you mean "large"?`,
        ],
        "a host that is an address": [
          inProd({ ingress: { host: "https://app.example.org/" } }),
          `${key}.ingress.host: found "https://app.example.org/"; expected a host's name in lower case, without https:// and path, such as app.example.org`,
        ],
        "an image that may be another one tomorrow": [
          inProd({ image: "ghcr.io/sua-org/school_scheduler:latest", database: { image: "mysql" } }),
          `${key}.image: found "ghcr.io/sua-org/school_scheduler:latest"; expected an image with a tag other than latest, or with its digest, such as mysql:8.4.9`,
          `${key}.database.image: found "mysql"; expected an image with a tag other than latest, or with its digest, such as mysql:8.4.9`,
        ],
        "a cluster without TLS": [
          inProd({ cluster: { ...cluster, server: "http://prod.example.org", certificateAuthority: "prod.pem" } }),
          `${key}.cluster.server: found "http://prod.example.org"; expected the API server's https URL, as GitHub's runners reach it`,
          `${key}.cluster.certificateAuthority: found "prod.pem"; expected the cluster's certificate authority, in PEM`,
        ],
        "the application as root of its database": [
          inProd({ database: { user: "root" } }),
          `${key}.database.user: found "root"; expected a user's name other than root`,
        ],
        "numbers that YAML has read": [
          inProd({ env: { WORKERS: 4 }, pythons: [3.1] }),
          `${key}.env.WORKERS: found 4; expected text; put it in quotes`,
          `${key}.pythons[0]: found 3.1; expected a version of Python in quotes, such as "3.12"`,
        ],
        "forms that are none": [
          inProd({
            reviewers: { users: ["maria"], teams: "core" },
            replicas: "lots",
            env: [],
            backup: { ...backup, projectNumber: 7 },
          }),
          `${key}.reviewers.users[0]: found "maria"; expected a user's numeric id: a whole number from 1 to 9007199254740991`,
          `${key}.reviewers.teams: found "core"; expected a list of teams' numeric ids`,
          `${key}.env: found []; expected variables with their values`,
          `${key}.replicas: found "lots"; expected a whole number of pods, or an object with \`min\` and \`max\``,
          `${key}.backup.projectNumber: found 7; expected a Google Cloud project number, as \`gcloud projects describe PROJECT --format='value(projectNumber)'\` prints it`,
        ],
        "a reviewer by number alone": [
          inProd({ reviewers: 7 }),
          `${key}.reviewers: found 7; expected who approves: \`users\` and \`teams\`; or none`,
        ],
        "what nobody knows": [
          inProd({ replica: 3, database: { size: "1Gi" } }),
          `${key}.database.size: unknown key; known are image, name, user, cpu, memory, storage, storageClass`,
          `${key}.replica: unknown key; did you mean "replicas"?`,
        ],
      },
      prod,
    );
  });

  describe("is refused by the program alone", () => {
    itRefusesAlone(
      {
        "nobody to serve in prod": [
          inProd({ replicas: 0 }),
          `${key}.replicas: found 0 in prod; expected at least 1: nobody would be served`,
        ],
        "a database that would not start": [
          inProd({ database: { memory: "512Mi" } }),
          `${key}.database.memory: found "512Mi"; expected 1024Mi at least, with less MySQL does not start`,
        ],
        "bounds in the wrong order": [
          inProd({ replicas: { min: 4, max: 2 } }),
          `${key}.replicas: found {"min":4,"max":2}; expected \`min\` of at least 1 and no more than \`max\``,
        ],
        "prod without what it must have": [
          inProd({ ingress: undefined, cluster: undefined, backup: undefined, reviewers: undefined }),
          `${key}.ingress.host: missing in prod; expected the host at which it answers, such as app.example.org`,
          `${key}.cluster: missing in prod; expected the cluster as its workflow reaches it: server, certificateAuthority`,
          `${key}.backup: missing in prod; expected project, projectNumber and location: nothing else has a copy of the database`,
          `${key}.reviewers: missing in prod; expected who approves a deployment: users and teams by their numeric ids, or none`,
        ],
        "backups kept for less than from one to the next": [
          inProd({ backup: { ...backup, schedule: "0 3 * * 1", keptDays: 7 } }),
          `${key}.backup.keptDays: found 7, with 7 days from one backup to the next; expected more: at times there would be none`,
        ],
        "a schedule that Kubernetes does not know": [
          inProd({ backup: { ...backup, schedule: "0 3 * * 7" } }),
          `${key}.backup.schedule: found "0 3 * * 7"; expected a schedule in cron's five fields which Kubernetes and Argo CD read likewise: Sunday is 0, and the first day of a range; every step is above 1; * in no list`,
        ],
        "no cluster at all": [
          inProd({}, { "kubernetes:context": undefined }),
          "kubernetes:context: missing; expected a context of your kubeconfig: pulumi config set --stack prod kubernetes:context CONTEXT",
        ],
      },
      prod,
    );

    it("preprod without a host, homolog without a cluster, and reviewers where nothing waits", () => {
      assert.deepEqual(problemsOf(stackWith("preprod", { ingress: undefined }), "preprod"), [
        `${key}.ingress.host: missing in preprod; expected the host at which it answers, such as app.example.org`,
      ]);
      assert.deepEqual(problemsOf(stackWith("homolog", { cluster: undefined, reviewers: { users: [1] } }), "homolog"), [
        `${key}.cluster: missing in homolog; expected the cluster as its workflow reaches it: server, certificateAuthority`,
        `${key}.reviewers: found in homolog; expected in preprod and prod alone: what goes to homolog waits for nobody`,
      ]);
    });

    it("a stack that is no environment of its", () =>
      assert.deepEqual(problemsOf(stackWith("prod"), "staging"), [
        `${key}: found in the stack staging; expected in dev, homolog, preprod, prod alone`,
      ]));
  });

  it("sizes an environment by its name, and key by key by its file", () => {
    assert.deepEqual(
      stacks.map((stack) => configOf(stack).size),
      ["small", "medium", "large", "large"],
    );
    const changes = { size: "small", application: { memory: "1Gi" }, database: { storage: "30Gi" }, replicas: 3 };
    assert.deepEqual(configOf("prod", changes).sizes, {
      ...sizes.small,
      application: { cpu: "100m", memory: "1Gi" },
      storage: "30Gi",
      replicas: 3,
    });
    assert.equal(configOf("prod", { application: { cpu: 2 } }).sizes.application.cpu, "2");
  });

  it("bounds a namespace by all that is in it at its largest", () => {
    assert.deepEqual(quotaOf(sizes.small), {
      // Two of the application and a canary, the database, a generation, a backup, a restore, cert-manager's.
      pods: "8",
      "requests.cpu": "1400m",
      "requests.memory": `${3 * 256 + 1024 + 512 + 2 * 512 + 128}Mi`,
      "limits.memory": `${3 * 256 + 1024 + 512 + 2 * 512 + 128}Mi`,
      persistentvolumeclaims: "2",
    });
    assert.equal(quotaOf(sizes.large).pods, "18");
  });

  it("waits longer in prod, and keeps what it has", () => {
    assert.deepEqual(
      stacks.map((stack) => [configOf(stack).watchMinutes, configOf(stack).deletionPolicy]),
      [
        [2, "DELETE"],
        [2, "DELETE"],
        [2, "DELETE"],
        [10, "PREVENT"],
      ],
    );
    assert.equal(certificateAuthority.trim().split("\n").length, 3);
  });
});
