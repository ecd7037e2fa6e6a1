/** The audit tells what is declared: nothing of these kinds is left out, and nothing told that is not there. */
import assert from "node:assert/strict";
import { type Audit, auditSchema, type SystemFacts } from "../../audit/schema.ts";
import { root } from "../../cli/engine.ts";
import { type DeclaredResource, declare } from "../../cli/render/program.ts";
import { readStackFile, stacksIn } from "../../cli/render/stack-file.ts";

type Inputs = DeclaredResource["inputs"];

/** Config that has people in it, whom the stacks' own files do not name. */
const people: Record<string, object> = {
  arcgis: { developers: ["user:ana@example.org", "group:data@example.org"] },
  equidade: { reviewers: { users: [1], teams: [2] } },
};

describe("the audit", () => {
  for (const stack of stacksIn(root)) {
    describe(`of ${stack}`, () => {
      let owner: string;
      let resources: readonly DeclaredResource[];
      let systems: Audit["systems"];

      before(async () => {
        const file = readStackFile(root, stack);
        owner = file.config["github:owner"]!;
        const config = { ...file.config };
        for (const [system, more] of Object.entries(people)) {
          const key = `esteira:${system}`;
          if (config[key]) config[key] = JSON.stringify({ ...(JSON.parse(config[key]) as object), ...more });
        }
        const declaration = await declare(root, stack, { ...file, config });
        resources = declaration.resources;
        systems = auditSchema.parse(declaration.outputs["audit"]).systems;
      });

      const of = (type: RegExp): Inputs[] =>
        resources.filter((each) => type.test(each.type)).map(({ inputs }) => inputs);
      const told = <Kind extends keyof SystemFacts>(kind: Kind): SystemFacts[Kind][number][] =>
        Object.values(systems).flatMap((facts) => facts[kind] as SystemFacts[Kind][number][]);
      /** In whatever order: sets are compared by what is in them. */
      const same = (left: readonly object[], right: readonly object[]) =>
        assert.deepEqual(new Set(left), new Set(right));
      const repositoryOf = (inputs: Inputs) => `${owner}/${String(inputs["repository"])}`;

      it("has every file", () =>
        same(
          told("files").map(({ repository, path }) => [repository, path]),
          of(/:RepositoryFile$/).map((inputs) => [repositoryOf(inputs), inputs["file"]]),
        ));

      it("has every environment, with who approves and from where", () => {
        const policies = of(/:RepositoryEnvironmentDeploymentPolicy$/);
        same(
          told("environments").map(({ refs, ...rules }) => ({ ...rules, refs: refs?.toSorted() ?? null })),
          of(/:RepositoryEnvironment$/).map((inputs) => {
            const own = policies.filter((each) =>
              ["repository", "environment"].every((key) => each[key] === inputs[key]),
            );
            const refs = own.map(({ branchPattern, tagPattern }) =>
              branchPattern ? `refs/heads/${String(branchPattern)}` : `refs/tags/${String(tagPattern)}`,
            );
            return {
              repository: repositoryOf(inputs),
              name: inputs["environment"],
              reviewers: (inputs["reviewers"] as object[] | undefined)?.[0] ?? null,
              selfReview: !inputs["preventSelfReview"],
              adminsBypass: inputs["canAdminsBypass"],
              refs: inputs["deploymentBranchPolicy"] ? refs.sort() : null,
            };
          }),
        );
      });

      it("has every rule set", () =>
        same(
          told("rulesets").map(({ repository, name, refs, rules }) => [repository, name, refs, rules.toSorted()]),
          of(/:RepositoryRuleset$/).map((inputs) => {
            const { refName } = inputs["conditions"] as { refName: { includes: string[] } };
            const rules = Object.keys(inputs["rules"] as object);
            return [
              repositoryOf(inputs),
              inputs["name"],
              refName.includes,
              rules.map((rule) => rule.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)).sort(),
            ];
          }),
        ));

      it("has every webhook", () =>
        same(
          told("webhooks"),
          of(/:RepositoryWebhook$/).map((inputs) => ({
            repository: repositoryOf(inputs),
            url: (inputs["configuration"] as { url: string }).url,
            events: inputs["events"],
          })),
        ));

      it("has every role that somebody is given", () => {
        const accounts = told("serviceAccounts").flatMap(({ email, roles }) =>
          roles.map(({ role, on }) => [`serviceAccount:${email}`, role, on]),
        );
        const invokers = told("endpoints").flatMap(({ name, invokers }) =>
          (invokers ?? []).map((invoker) => [invoker, "roles/run.invoker", `function ${name}`]),
        );
        same(
          [...accounts, ...told("grants").map(({ principal, role, on }) => [principal, role, on]), ...invokers],
          resources
            .filter(({ inputs }) => "member" in inputs && "role" in inputs)
            .map(({ inputs }) => [inputs["member"], inputs["role"], targetOf(inputs)]),
        );
      });

      it("has all who may act as an account without a key", () =>
        same(
          told("federation").flatMap(({ serviceAccount, repositories }) =>
            repositories.map((repository) => [serviceAccount, repository]),
          ),
          of(/:IAMBinding$/).flatMap((inputs) =>
            (inputs["members"] as string[]).map((member) => [
              emailIn(String(inputs["serviceAccountId"])),
              member.split("/attribute.repository/")[1],
            ]),
          ),
        ));

      it("has every secret that workflows read", () => {
        const names = told("secrets").map(({ name }) => name);
        for (const { secretName } of of(/:Actions\w*Secret$/)) assert.ok(names.includes(String(secretName)));
      });

      it("has every namespace, and all that a workflow may do in one", () => {
        same(
          told("namespaces").map(({ name }) => [name]),
          of(/:Namespace$/).map((inputs) => [(inputs["metadata"] as { name: string }).name]),
        );
        const roles = of(/:Role$/).map((inputs) => ({
          namespace: (inputs["metadata"] as { namespace: string }).namespace,
          rules: inputs["rules"],
        }));
        same(
          told("clusterAccess").map(({ namespace, rules }) => ({ namespace, rules })),
          roles,
        );
      });
    });
  }
});

const emailIn = (fullName: string): string => fullName.split("/serviceAccounts/")[1]!;

/** What a role is given on, as the audit calls it: the narrowest that the resource names. */
const targetOf = (inputs: Inputs): string => {
  const { bucket, datasetId, secretId, topic, serviceAccountId, name, project, condition } = inputs;
  if (condition) return `buckets ${/buckets\/([^"]+)"/.exec((condition as { expression: string }).expression)![1]}*`;
  if (bucket) return `bucket ${String(bucket)}`;
  if (datasetId) return `dataset ${String(datasetId)}`;
  if (secretId) return `secret ${String(secretId)}`;
  if (topic) return `topic ${String(topic)}`;
  if (serviceAccountId) return `service account ${emailIn(String(serviceAccountId))}`;
  if (name) return `function ${String(name)}`;
  return `project ${String(project)}`;
};
