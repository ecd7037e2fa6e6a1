import assert from "node:assert/strict";
import { type Environment, stacks } from "../../../systems/python-api/config.ts";
import { typeName } from "../../declared.ts";
import { declare, filesOf, inputsOf } from "./fixture.ts";

type Spec = Record<string, unknown>;
const specOf = async (changes: object, stack: Environment, kind: string) =>
  inputsOf(await declare(changes, stack), kind)["spec"] as Spec;

const inADay = () => `${new Date(Date.now() + 3 * 3_600_000).toISOString().slice(0, 16)}Z`;
const breakGlass = () => ({ who: "ana@example.org", why: "INC-42: checkout answers 500", until: inADay() });

describe("python-api", () => {
  it("declares one application with its project in each environment", async () => {
    for (const stack of stacks) {
      const declaration = await declare({}, stack);
      const counts = Map.groupBy(declaration.resources, typeName);
      const count = (type: string) => counts.get(type)?.length ?? 0;
      const prod = stack === "prod";
      assert.deepEqual(
        Object.fromEntries([...counts].filter(([type]) => type !== "Stack").map(([type]) => [type, count(type)])),
        {
          PythonApi: 1,
          GitOpsApplication: 1,
          AppProject: 1,
          Application: 1,
          ImageUpdater: 1,
          Secret: 1,
          RepositoryDelivery: 1,
          RepositoryEnvironment: 1,
          RepositoryEnvironmentDeploymentPolicy: 1,
          RepositoryFile: 2,
          ...(prod && {
            WebhookSecret: 1,
            RandomPassword: 1,
            SecretPatch: 1,
            RepositoryWebhook: 1,
            RepositoryRuleset: 1,
          }),
        },
        stack,
      );
      const { metadata } = inputsOf(declaration, "Application") as { metadata: { name: string } };
      assert.equal(metadata.name, `python-api-base-${stack}`);
    }
  });

  it("syncs dev and staging by themselves with prune and self-heal, prod by hand only", async () => {
    const automated = { enabled: true, prune: true, selfHeal: true, allowEmpty: false };
    for (const stack of stacks) {
      const { syncPolicy } = (await specOf({}, stack, "Application")) as { syncPolicy: Spec };
      assert.deepEqual(syncPolicy["automated"], stack === "prod" ? undefined : automated, stack);
    }
    const { syncPolicy } = (await specOf({ automated: false }, "staging", "Application")) as { syncPolicy: Spec };
    assert.equal(syncPolicy["automated"], undefined);
  });

  it("takes the image's tags by environment: dev, release candidates, final versions", async () => {
    const tags = { dev: "-dev\\.[0-9]+$", staging: "-rc\\.[0-9]+$", prod: "[0-9]+$" };
    for (const stack of stacks) {
      const spec = (await specOf({}, stack, "ImageUpdater")) as {
        applicationRefs: { namePattern: string; writeBackConfig: unknown; images: Spec[] }[];
      };
      const [{ namePattern, images, writeBackConfig }] = spec.applicationRefs as [(typeof spec.applicationRefs)[0]];
      assert.equal(namePattern, `python-api-base-${stack}`);
      assert.equal(images[0]!["imageName"], `ghcr.io/sua-org/python-api-base${stack === "prod" ? "" : ":x-0"}`);
      const { allowTags } = images[0]!["commonUpdateSettings"] as { allowTags: string };
      assert.ok(allowTags.startsWith("regexp:^v[0-9]") && allowTags.endsWith(tags[stack]), allowTags);
      assert.deepEqual(writeBackConfig, {
        method: "git:repocreds",
        gitConfig: { branch: "main", writeBackTarget: `helmvalues:/deployments/helm/api/values-${stack}.yaml` },
      });
    }
  });

  it("opens prod from Monday to Friday, 06:00 to 18:00 UTC, and finishes what started in time", async () => {
    const { syncWindows } = await specOf({}, "prod", "AppProject");
    assert.deepEqual(syncWindows, [
      {
        kind: "allow",
        schedule: "0 6 * * 1-5",
        duration: "12h",
        timeZone: "UTC",
        applications: ["python-api-base-prod"],
        syncOverrun: true,
      },
    ]);
    assert.equal((await specOf({}, "dev", "AppProject"))["syncWindows"], undefined);
    assert.equal((await specOf({}, "staging", "AppProject"))["syncWindows"], undefined);
  });

  it("breaks the glass by one window more, and changes nothing else of the project", async () => {
    const given = breakGlass();
    const [before, after] = [await declare(), await declare({ breakGlass: given })];
    const changed = after.resources.filter(
      ({ urn, inputs }) =>
        JSON.stringify(before.resources.find((each) => each.urn === urn)?.inputs) !== JSON.stringify(inputs),
    );
    assert.deepEqual(changed.map(typeName), ["AppProject"]);
    const [was, is] = [before, after].map((each) => inputsOf(each, "AppProject")["spec"] as Spec) as [Spec, Spec];
    const { syncWindows: windows, ...rest } = is;
    const { syncWindows: lasting, ...restBefore } = was;
    assert.deepEqual(rest, restBefore);
    const opens = new Date(Date.parse(given.until) - 24 * 3_600_000);
    const cron = `${opens.getUTCMinutes()} ${opens.getUTCHours()} ${opens.getUTCDate()} ${opens.getUTCMonth() + 1} *`;
    assert.deepEqual(windows, [
      ...(lasting as object[]),
      {
        kind: "allow",
        schedule: cron,
        duration: "24h",
        timeZone: "UTC",
        applications: ["python-api-base-prod"],
        manualSync: true,
        syncOverrun: true,
        description: `Break-glass until ${given.until}, ana@example.org: INC-42: checkout answers 500`,
      },
    ]);
  });

  it("shows windows, and why a glass was broken, in the audit", async () => {
    const given = breakGlass();
    const { facts } = (await declare({ breakGlass: given })).outputs as { facts: { syncWindows: Spec[] } };
    assert.deepEqual(
      facts.syncWindows.map((each) => [each["schedule"] === "0 6 * * 1-5", each["breakGlass"]]),
      [
        [true, null],
        [false, given],
      ],
    );
  });

  it("says in the audit what is delivered, what opens what, and no secret's value", async () => {
    const { outputs } = await declare({ registryUser: "bot" });
    const facts = outputs["facts"] as Record<string, unknown[]>;
    assert.deepEqual(facts["applications"], [
      {
        name: "python-api-base-prod",
        project: "python-api-base-prod",
        source: { repository: "Sua-Org/python-api-base", branch: "main", path: "deployments/helm/api" },
        destination: { server: "https://kubernetes.default.svc", namespace: "python-api-prod" },
        sync: "by hand",
        operators: [],
        viewers: [],
        image: "ghcr.io/sua-org/python-api-base",
        tags: "^v[0-9]+\\.[0-9]+\\.[0-9]+$",
      },
    ]);
    assert.deepEqual(facts["secrets"], [
      {
        name: "GIT_TOKEN",
        destination: "Secret argocd/python-api-base-prod-repository",
        origin: "stack config",
      },
      { name: "GHCR_TOKEN", destination: "Secret argocd/python-api-base-prod-registry", origin: "stack config" },
      {
        name: "webhook.github.secret",
        destination: "Secret argocd/argocd-secret, and the webhook of Sua-Org/python-api-base",
        origin: "made by the program",
      },
    ]);
    const repository = "Sua-Org/python-api-base";
    assert.deepEqual(facts["rulesets"], [
      {
        repository,
        name: "released versions",
        refs: ["refs/tags/v*"],
        rules: ["deletion", "update", "non_fast_forward"],
        approvals: null,
        checks: [],
      },
    ]);
    assert.deepEqual(facts["environments"], [
      { repository, name: "production", reviewers: null, selfReview: true, adminsBypass: true, refs: ["refs/tags/v*"] },
    ]);
    assert.deepEqual(facts["webhooks"], [
      { repository, url: "https://argocd.example.org/api/webhook", events: ["push"] },
    ]);
    assert.equal(JSON.stringify(outputs).includes("canary"), false);
  });

  it("has GitHub tell Argo CD of pushes, by a secret that both get", async () => {
    const declaration = await declare();
    assert.deepEqual(inputsOf(declaration, "RepositoryWebhook"), {
      repository: "python-api-base",
      events: ["push"],
      configuration: { url: "https://argocd.example.org/api/webhook", contentType: "json", secret: "[secret]" },
    });
    const { metadata } = inputsOf(declaration, "SecretPatch") as { metadata: Spec };
    assert.deepEqual([metadata["name"], metadata["namespace"]], ["argocd-secret", "argocd"]);
  });

  it("and the Image Updater of images, where it answers", async () => {
    const argocd = {
      url: "https://argocd.example.org",
      imageUpdaterUrl: "https://updater.example.org",
      namespace: "cd",
    };
    const declaration = await declare({ argocd });
    const webhook = inputsOf(declaration, "RepositoryWebhook", "python-api-repository-image-updater-webhook");
    assert.deepEqual(webhook, {
      repository: "python-api-base",
      events: ["package"],
      configuration: {
        url: "https://updater.example.org/webhook?type=ghcr.io",
        contentType: "json",
        secret: "[secret]",
      },
    });
    const patch = inputsOf(declaration, "SecretPatch", "python-api-image-updater-webhook-patch");
    const { name, namespace } = patch["metadata"] as Spec;
    assert.deepEqual([name, namespace], ["argocd-image-updater-secret", "cd"]);
  });

  it("uses the webhook's secret that Argo CD has already, or no webhook at all", async () => {
    const url = "https://argocd.example.org";
    const given = await declare({ argocd: { url, webhooks: "given" } });
    assert.equal(given.resources.filter((each) => typeName(each) === "SecretPatch").length, 0);
    assert.equal((inputsOf(given, "RepositoryWebhook")["configuration"] as Spec)["secret"], "[secret]");
    const none = await declare({ argocd: { url, webhooks: "none" } });
    assert.equal(none.resources.filter((each) => typeName(each) === "RepositoryWebhook").length, 0);
  });

  it("lets branches and tags publish where they belong, prod with reviewers, and keeps versions what they are", async () => {
    const policies = { dev: { branchPattern: "main" }, staging: { tagPattern: "v*-rc.*" }, prod: { tagPattern: "v*" } };
    for (const stack of stacks) {
      const declaration = await declare({}, stack);
      const environment = { dev: "development", staging: "staging", prod: "production" }[stack];
      assert.deepEqual(inputsOf(declaration, "RepositoryEnvironmentDeploymentPolicy"), {
        repository: "python-api-base",
        environment,
        ...policies[stack],
      });
    }
    const prod = await declare({ reviewers: { users: [7] } });
    assert.deepEqual(inputsOf(prod, "RepositoryEnvironment")["reviewers"], [{ users: [7], teams: [] }]);
    assert.deepEqual(inputsOf(prod, "RepositoryRuleset"), {
      repository: "python-api-base",
      name: "released versions",
      enforcement: "active",
      target: "tag",
      conditions: { refName: { includes: ["refs/tags/v*"], excludes: [] } },
      rules: { deletion: true, update: true, nonFastForward: true },
    });
  });

  it("delivers each environment's workflow and runbook, and no file of another's", async () => {
    const paths = [];
    for (const stack of stacks) paths.push(...Object.keys(filesOf(await declare({}, stack))));
    assert.deepEqual(
      paths.sort(),
      stacks.flatMap((stack) => [`.github/workflows/publish-${stack}.yml`, `docs/runbooks/${stack}.md`]).sort(),
    );
  });

  it("says in the workflow's summary what comes next, as it is declared", async () => {
    const next = async (stack: Environment, changes: object = {}) => {
      const text = filesOf(await declare(changes, stack))[`.github/workflows/publish-${stack}.yml`]!;
      return /THEN: "?(.*?)"?$/m.exec(text)![1];
    };
    assert.equal(await next("dev"), "then Argo CD syncs python-api-base-dev by itself");
    const byHand = "then an operator syncs";
    assert.equal(await next("prod"), `${byHand}, within a window: \`argocd app sync python-api-base-prod\``);
    const staging = await next("staging", { automated: false });
    assert.equal(staging, `${byHand}: \`argocd app sync python-api-base-staging\``);
  });

  it("gives Helm a name that it takes", async () => {
    const { source } = (await specOf({ repository: "Python_API" }, "dev", "Application")) as {
      source: { helm: { releaseName: string } };
    };
    assert.equal(source.helm.releaseName, "python-api");
  });

  it("makes files only once the application waits for what they publish", async () => {
    const { resources } = await declare();
    const { options } = resources.find((each) => typeName(each) === "RepositoryDelivery")!;
    assert.ok(options.dependsOn!.some((urn) => urn.endsWith("::python-api-gitops-application")));
  });
});
