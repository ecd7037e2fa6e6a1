/** school-scheduler as the document has it, as tests declare it: whatever the project's own stacks have. */
import assert from "node:assert/strict";
import { secret } from "@pulumi/pulumi";
import { type Declaration, observe } from "../../../cli/render/program.ts";
import { parseConfig } from "../../../config.ts";
import type { Environment, SchoolSchedulerConfig } from "../../../systems/school-scheduler/config.ts";
import { SchoolScheduler } from "../../../systems/school-scheduler/index.ts";
import { asPulumi, type Config } from "../../support/config.ts";

export const certificateAuthority = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

/** The least that each environment's file must say. */
export const least: Readonly<Record<Environment, object>> = {
  dev: {},
  homolog: { cluster: { server: "https://homolog.example.org", certificateAuthority } },
  preprod: {
    ingress: { host: "app.preprod.example.org" },
    cluster: { server: "https://preprod.example.org", certificateAuthority },
  },
  prod: {
    ingress: { host: "app.example.org" },
    cluster: { server: "https://prod.example.org:6443", certificateAuthority },
    backup: { project: "school-prod", projectNumber: 678901234567, location: "southamerica-east1" },
    reviewers: { users: [23] },
  },
};

/** What a file says where a workflow deploys: in dev too, and at a host everywhere else. */
export const deployed: Readonly<Record<Environment, object>> = {
  dev: { cluster: { server: "https://dev.example.org", certificateAuthority } },
  homolog: { ...least.homolog, ingress: { host: "app.homolog.example.org" } },
  preprod: least.preprod,
  prod: least.prod,
};

/** A stack's config with school-scheduler changed and other keys put beside it. */
export const stackWith = (stack: Environment, changes: object = {}, beside: Config = {}): Config => ({
  "github:owner": "Sua-Org",
  "kubernetes:context": stack,
  "esteira:school-scheduler": { ...least[stack], ...changes },
  ...beside,
});

/** The system's part of a stack's config, resolved. */
export function configOf(stack: Environment, changes: object = {}): SchoolSchedulerConfig {
  return parsed(stack, changes).config["school-scheduler"]!.config;
}

function parsed(stack: Environment, changes: object) {
  const { config, needs, problems } = parseConfig(asPulumi(stackWith(stack, changes)), stack);
  assert.deepEqual(problems, []);
  return { config: config!, needs };
}

/** What a stack declares with school-scheduler changed. */
export function declare(stack: Environment, changes: object = {}): Promise<Declaration> {
  const { config, needs } = parsed(stack, changes);
  const secrets = Object.fromEntries(needs.map(({ path }) => [path.split(".")[1]!, secret("canary")]));
  return observe(async () => {
    const { facts } = new SchoolScheduler("school-scheduler", {
      ...config["school-scheduler"]!,
      secrets,
      github: config.github,
    });
    return { facts };
  }, stack);
}
