import { root } from "../../cli/engine.ts";
import { stacksIn } from "../../cli/render/stack-file.ts";
import { type Config, configOf } from "../../sandbox/sandbox.ts";

/** Stacks as they are, and what their files could say too. */
export const cases: Record<string, { stack: string; config: Config }> = Object.fromEntries(
  stacksIn(root).map((stack) => [stack, { stack, config: configOf(stack) }]),
);

/** What equidade's files could say instead. */
const equidade: Record<string, object> = {
  "a key instead of federation": { auth: "key", projectNumber: undefined },
  "an app, pull requests and reviewers": {
    triggerApp: "Iv23liabcdefgh",
    via: "pull-request",
    reviewers: { users: [1] },
  },
  "a function in the object form": {
    functions: [
      {
        name: "f",
        memory: "1Gi",
        concurrency: 8,
        invokers: ["allUsers"],
        secrets: { A: "s" },
        environment: { B: "b" },
        roles: [
          { role: "roles/bigquery.dataViewer", dataset: "d" },
          { role: "roles/storage.objectViewer", bucket: "shared-data" },
          { role: "roles/pubsub.publisher", topic: "t" },
        ],
      },
    ],
  },
};
for (const [name, changes] of Object.entries(equidade)) {
  const config = configOf("prod");
  const system = { ...(config["esteira:equidade"] as object), ...changes };
  cases[`prod with ${name}`] = { stack: "prod", config: { ...config, "esteira:equidade": system } };
}
