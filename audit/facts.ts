import { createHash } from "node:crypto";
import type { RepositoryDelivery } from "../components/github/repository-delivery.ts";
import type { SystemFacts } from "./schema.ts";

/** The facts of a system that has nothing of any kind; what it has is put in their place. */
export const nothing: SystemFacts = {
  projects: [],
  endpoints: [],
  serviceAccounts: [],
  grants: [],
  federation: [],
  secrets: [],
  files: [],
  environments: [],
  rulesets: [],
  webhooks: [],
  images: [],
  backups: [],
  applications: [],
  syncWindows: [],
  namespaces: [],
  clusterAccess: [],
};

type FileFact = SystemFacts["files"][number];

/** The fact of a delivered file: its digest stands for its content. */
export const fileFact = ({
  text,
  actions = [],
  ...where
}: Omit<FileFact, "sha256" | "actions"> & { text: string; actions?: FileFact["actions"] }): FileFact => ({
  ...where,
  sha256: createHash("sha256").update(text).digest("hex"),
  actions,
});

type SecretFact = SystemFacts["secrets"][number];

/** A secret that the stack's file has, and where its readers find it. */
export const given = (name: string, destination: string): SecretFact => ({ name, destination, origin: "stack config" });

/** A secret that nobody was asked for. */
export const made = (name: string, destination: string): SecretFact => ({
  name,
  destination,
  origin: "made by the program",
});

/** Where an environment's jobs find a secret. @param repository OWNER/NAME */
export const inEnvironment = (environment: string, repository: string): string =>
  `environment ${environment} of ${repository}`;

type Delivered = Pick<RepositoryDelivery, "repository" | "environments" | "rulesets" | "webhooks">;

/** Who may deploy, what is protected and who is told: of what is delivered itself. */
export const deliveryFacts = (
  owner: string,
  { environments, rulesets, webhooks, ...delivered }: Delivered,
): Pick<SystemFacts, "environments" | "rulesets" | "webhooks"> => {
  const repository = `${owner}/${delivered.repository}`;
  return {
    environments: environments.map(({ reviewers, ...rules }) => ({
      repository,
      ...rules,
      reviewers: reviewers && { users: [...reviewers.users], teams: [...reviewers.teams] },
    })),
    rulesets: Object.entries(rulesets).map(([name, { conditions, rules }]) => ({
      repository,
      name,
      refs: conditions.refName.includes,
      rules: Object.entries(rules)
        .filter(([, rule]) => rule)
        .map(([rule]) => rule.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
      approvals: rules.pullRequest?.requiredApprovingReviewCount ?? null,
      checks: rules.requiredStatusChecks?.requiredChecks.map(({ context }) => context) ?? [],
    })),
    webhooks: Object.values(webhooks).map(({ url, events }) => ({ repository, url, events: [...events] })),
  };
};
