import assert from "node:assert/strict";
import type { Declaration } from "../../../cli/render/program.ts";
import { type Environment, stacks } from "../../../systems/school-scheduler/config.ts";
import { checkNames } from "../../../systems/school-scheduler/names.ts";
import { typeName, withNames } from "../../declared.ts";
import { configOf, declare, least } from "./fixture.ts";

type Inputs = Record<string, unknown>;

/** The inputs of resources of a type, by name. */
const ofType = ({ resources }: Declaration, type: string): Record<string, Inputs> =>
  Object.fromEntries(resources.filter((each) => typeName(each) === type).map(({ name, inputs }) => [name, inputs]));

/** Names of objects that Kubernetes gets, by kind. */
const namesOf = (declaration: Declaration, kind: string): string[] =>
  Object.values(ofType(declaration, kind)).map(({ metadata }) => (metadata as { name: string }).name);

const factsOf = ({ outputs }: Declaration) => outputs["facts"] as Record<string, Inputs[]>;

describe("school-scheduler", () => {
  const declared = {} as Record<Environment, Declaration>;
  const monitored = { monitoring: { metricsPath: "/metrics" } };
  before(async () => {
    for (const stack of stacks) {
      const backup = { backup: { ...(least.prod as { backup: object }).backup, project: `school-${stack}` } };
      declared[stack] = await declare(stack, stack === "dev" ? {} : { ...monitored, ...backup });
    }
  });

  it("has in each environment what it needs there", () => {
    const counts = (stack: Environment) => {
      const groups = Map.groupBy(declared[stack].resources, typeName);
      return Object.fromEntries(
        [...groups].filter(([type]) => type !== "Stack").map(([type, all]) => [type, all.length]),
      );
    };
    const dev = {
      SchoolScheduler: 1,
      IsolatedNamespace: 1,
      Namespace: 1,
      ResourceQuota: 1,
      LimitRange: 1,
      NetworkPolicy: 5,
      MySql: 1,
      StatefulSet: 1,
      RandomPassword: 4,
      Secret: 2,
      ConfigMap: 1,
      Service: 2,
      WebApplication: 1,
      ServiceAccount: 1,
      Deployment: 1,
      ScheduledTask: 1,
      CronJob: 1,
      RepositoryDelivery: 1,
      RepositoryEnvironment: 1,
      RepositoryEnvironmentDeploymentPolicy: 1,
      ActionsSecret: 1,
      Branch: 1,
      RepositoryFile: 1,
      RepositoryPullRequest: 1,
    };
    assert.deepEqual(counts("dev"), dev);
    const { ActionsSecret: _, ...both } = dev;
    const homolog = {
      ...both,
      NetworkPolicy: 7,
      ConfigMap: 3,
      CronJob: 3,
      ServiceAccount: 3,
      PodDisruptionBudget: 1,
      Deployer: 1,
      Role: 1,
      RoleBinding: 1,
      ActionsEnvironmentSecret: 2,
      RepositoryEnvironmentDeploymentPolicy: 2,
      MySqlBackups: 1,
      Bucket: 1,
      BucketIAMMember: 2,
      Monitoring: 1,
      PrometheusRule: 1,
      ServiceMonitor: 1,
    };
    assert.deepEqual(counts("homolog"), homolog);
    const preprod = {
      ...homolog,
      NetworkPolicy: 8,
      Deployment: 2,
      HorizontalPodAutoscaler: 1,
      Ingress: 1,
      RepositoryEnvironment: 2,
      RepositoryEnvironmentDeploymentPolicy: 4,
    };
    assert.deepEqual(counts("preprod"), preprod);
    assert.deepEqual(counts("prod"), {
      ...preprod,
      Deployment: 1,
      // Nothing is tested there.
      RandomPassword: 3,
      ActionsEnvironmentSecret: 1,
      RepositoryEnvironment: 1,
      RepositoryEnvironmentDeploymentPolicy: 1,
      RepositoryRuleset: 2,
    });
  });

  it("puts everything of an environment into its own namespace, under the document's names", () => {
    for (const stack of stacks) {
      const objects = declared[stack].resources.map(({ inputs }) => inputs["metadata"] as Inputs | undefined);
      const namespaces = new Set(objects.filter((each) => each !== undefined).map(({ namespace }) => namespace));
      assert.deepEqual(namespaces, new Set([undefined, `school-scheduler-${stack}`]));
      assert.deepEqual(namesOf(declared[stack], "Namespace"), [`school-scheduler-${stack}`]);
      assert.deepEqual(namesOf(declared[stack], "StatefulSet"), ["mysql"]);
      assert.ok(namesOf(declared[stack], "Deployment").includes("school-scheduler"));
      assert.ok(namesOf(declared[stack], "Secret").includes("db-credentials"));
    }
  });

  it("lets nobody but the application, the generation and the backups reach the database", () => {
    const { spec } = ofType(declared.prod, "NetworkPolicy")["school-scheduler-mysql-policy"] as { spec: Inputs };
    assert.deepEqual(spec["ingress"], [
      {
        from: [
          {
            podSelector: {
              matchExpressions: [
                {
                  key: "app.kubernetes.io/name",
                  operator: "In",
                  values: ["school-scheduler", "school-scheduler-generation", "mysql-backup", "mysql-restore"],
                },
              ],
            },
          },
        ],
        ports: [{ protocol: "TCP", port: 3306 }],
      },
    ]);
    for (const stack of stacks) {
      for (const { spec } of Object.values(ofType(declared[stack], "Service"))) {
        const { type, clusterIP } = spec as Inputs;
        assert.ok(type === "ClusterIP" || clusterIP === "None", stack);
      }
    }
  });

  it("tells the application where its database is, and by which secret", () => {
    const { spec } = Object.values(ofType(declared.homolog, "Deployment"))[0] as {
      spec: { template: { spec: { containers: { env: Inputs[] }[] } } };
    };
    const from = (key: string) => ({ valueFrom: { secretKeyRef: { name: "db-credentials", key } } });
    assert.deepEqual(spec.template.spec.containers[0]!.env, [
      { name: "DB_HOST", value: "mysql" },
      { name: "DB_PORT", value: "3306" },
      { name: "DB_NAME", value: "school_scheduler" },
      { name: "DB_USER", ...from("user") },
      { name: "DB_PASSWORD", ...from("password") },
    ]);
  });

  it("generates schedules by the document's program, headless", () => {
    const generation = Object.entries(ofType(declared.prod, "CronJob")).find(([name]) => name.includes("generation"))!;
    const { spec } = generation[1] as {
      spec: { jobTemplate: { spec: { template: { spec: { containers: { command: string[] }[] } } } } };
    };
    const { command } = spec.jobTemplate.spec.template.spec.containers[0]!;
    assert.deepEqual(command, ["python", "app/school_schedule.py", "--headless"]);
  });

  it("gives each workflow its secrets in its own environment, made by nobody's hand", () => {
    const secrets = (stack: Environment) =>
      Object.values(ofType(declared[stack], "ActionsEnvironmentSecret")).map(
        ({ environment, secretName, value }) => [environment, secretName, value] as unknown[],
      );
    const made = "[secret]";
    assert.deepEqual(secrets("dev"), []);
    // dev's environment is closed to pull requests, and their tests want it.
    const [ofRepository] = Object.values(ofType(declared.dev, "ActionsSecret"));
    assert.deepEqual([ofRepository!["secretName"], ofRepository!["value"]], ["DB_PASSWORD", made]);
    assert.deepEqual(secrets("homolog").sort(), [
      ["homolog", "DB_PASSWORD_HOMOLOG", made],
      ["homolog", "KUBECONFIG_HOMOLOG", made],
    ]);
    assert.deepEqual(secrets("preprod").sort(), [
      ["preprod", "DB_PASSWORD_PREPROD", made],
      ["preprod", "KUBECONFIG_PREPROD", made],
    ]);
    assert.deepEqual(secrets("prod"), [["prod", "KUBECONFIG_PROD", made]]);
  });

  it("lets GitHub's own token of the environment's jobs deploy, and says so; a token that lasts only where it is asked for", async () => {
    const subjects = (declaration: Declaration) =>
      Object.values(ofType(declaration, "RoleBinding")).flatMap(({ subjects }) => subjects as unknown[]);
    const user = "github:repo:Sua-Org/school_scheduler:environment:prod";
    assert.deepEqual(subjects(declared.prod), [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: user }]);
    const access = { repository: "Sua-Org/school_scheduler", environment: "prod", namespace: "school-scheduler-prod" };
    const rules = Object.values(ofType(declared.prod, "Role"))[0]!["rules"];
    assert.deepEqual(factsOf(declared.prod)["clusterAccess"], [
      { ...access, subject: `User ${user}`, rules, lasting: false },
    ]);

    const { cluster } = least.prod as { cluster: object };
    const named = await declare("prod", { cluster: { ...cluster, user: "ci" } });
    assert.equal(factsOf(named)["clusterAccess"]![0]!["subject"], "User ci");

    const lasting = await declare("prod", { cluster: { ...cluster, access: "token" } });
    assert.deepEqual(factsOf(lasting)["clusterAccess"], [
      { ...access, subject: "ServiceAccount school-scheduler-prod/school-scheduler-deployer", rules, lasting: true },
    ]);
    assert.deepEqual(factsOf(declared.dev)["clusterAccess"], []);
  });

  it("lets only the refs of an environment into it, and prod and what leaves preprod by approval", () => {
    const environments = (stack: Environment) =>
      Object.values(ofType(declared[stack], "RepositoryEnvironment")).map(({ environment, reviewers }) => [
        environment,
        reviewers ?? null,
      ]);
    assert.deepEqual(environments("homolog"), [["homolog", null]]);
    assert.deepEqual(environments("preprod").sort(), [
      ["preprod", null],
      ["preprod-gate", null],
    ]);
    assert.deepEqual(environments("prod"), [["prod", [{ users: [23], teams: [] }]]]);
    const policies = (stack: Environment) =>
      Object.values(ofType(declared[stack], "RepositoryEnvironmentDeploymentPolicy"))
        .map(({ environment, branchPattern, tagPattern }) => `${environment} ${branchPattern ?? `tag ${tagPattern}`}`)
        .sort();
    assert.deepEqual(policies("dev"), ["dev develop"]);
    assert.deepEqual(policies("homolog"), ["homolog homolog", "homolog release/*"]);
    assert.deepEqual(policies("preprod"), [
      "preprod main",
      "preprod tag preprod/*",
      "preprod-gate main",
      "preprod-gate tag preprod/*",
    ]);
    assert.deepEqual(policies("prod"), ["prod tag v*"]);
  });

  it("asks for reviews and for the checks of a pull request on main, and keeps versions what they are", () => {
    const { main, ...others } = Object.fromEntries(
      Object.values(ofType(declared.prod, "RepositoryRuleset")).map(({ name, rules }) => [name as string, rules]),
    );
    assert.deepEqual(Object.keys(others), ["released versions"]);
    assert.deepEqual(main, {
      deletion: true,
      nonFastForward: true,
      pullRequest: { dismissStaleReviewsOnPush: true, requireLastPushApproval: true, requiredApprovingReviewCount: 1 },
      requiredStatusChecks: {
        strictRequiredStatusChecksPolicy: true,
        requiredChecks: checkNames(configOf("prod")).map((context) => ({ context, integrationId: 15368 })),
      },
    });
  });

  it("keeps prod's namespace, database and backups, and lets the others' go", () => {
    const kept = (stack: Environment) =>
      declared[stack].resources
        .filter(({ options }) => options.protect)
        .map(typeName)
        .sort();
    assert.deepEqual(kept("preprod"), []);
    assert.deepEqual(kept("prod"), [
      "Bucket",
      "Namespace",
      "RandomPassword",
      "RandomPassword",
      "RandomPassword",
      "Secret",
      "Secret",
      "StatefulSet",
    ]);
  });

  it("is put into the namespace once that is bounded, and the application after its database", () => {
    const waitsFor = (name: string) => {
      const { options } = declared.prod.resources.find((each) => each.name === name)!;
      return withNames(options).dependsOn ?? [];
    };
    const bounds = ["default-deny", "defaults", "dns", "namespace", "quota"].map(
      (each) => `school-scheduler-space-${each}`,
    );
    for (const each of bounds) assert.ok(waitsFor("school-scheduler-mysql").includes(each), each);
    assert.ok(waitsFor("school-scheduler-application").includes("school-scheduler-mysql-set"));
    const before = waitsFor("school-scheduler-repository");
    for (const each of ["deployer-binding", "application-deployment", "generation-job"]) {
      assert.ok(before.includes(`school-scheduler-${each}`), before.join());
    }
  });

  it("goes to a cluster of its own where the file names its context", async () => {
    const own = await declare("dev", { context: "docker-desktop" });
    assert.deepEqual(ofType(own, "kubernetes")["school-scheduler-cluster"], { context: "docker-desktop" });
    assert.deepEqual(factsOf(own)["namespaces"], [
      { name: "school-scheduler-dev", context: "docker-desktop", podSecurity: "restricted" },
    ]);
    assert.deepEqual(ofType(declared.dev, "kubernetes"), {});
  });

  it("is told when a backup is late by what its schedule allows", async () => {
    const backup = { ...(least.prod as { backup: object }).backup, schedule: "0 3 * * 1-5" };
    const rules = JSON.stringify(ofType(await declare("prod", { backup, ...monitored }), "PrometheusRule"));
    // Over a weekend, and two hours.
    assert.match(rules, new RegExp(`${(3 * 24 + 2) * 3600}|${3 * 24 + 2}\\b`));
  });

  it("tells the audit of its backups, secrets and images, and of no value", () => {
    const facts = factsOf(declared.prod);
    assert.deepEqual(facts["backups"], [
      {
        of: "database school-scheduler-prod/mysql/school_scheduler",
        to: "gs://school-prod-mysql-backups-prod",
        schedule: "0 3 * * * America/Sao_Paulo",
        keptDays: 30,
      },
    ]);
    assert.deepEqual(facts["images"], [{ name: "mysql", reference: "mysql:8.4.10" }]);
    assert.deepEqual(
      facts["secrets"]!.map(({ name, destination }) => `${name}: ${destination}`),
      [
        "password: Secret school-scheduler-prod/db-credentials",
        "rootpassword: Secret school-scheduler-prod/db-credentials",
        "password: Secret school-scheduler-prod/mysql-backup-credentials",
        "KUBECONFIG_PROD: environment prod of Sua-Org/school_scheduler",
      ],
    );
  });
});
