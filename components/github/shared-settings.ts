import * as github from "@pulumi/github";
import { ComponentResource, type ComponentResourceOptions, type Input } from "@pulumi/pulumi";
import type { RepositoryOwner } from "./owner.ts";

/** Arguments of {@link SharedSettings}. */
export interface SharedSettingsArgs extends RepositoryOwner {
  /** The repositories, without owner, whose workflows can read the secrets; no others can. */
  repositories: readonly string[];
  /** Secrets by name. */
  secrets: Readonly<Record<string, Input<string>>>;
}

/**
 * Secrets that many repositories share, in the fewest writes: with an organisation one write a
 * secret, however many repositories are selected, and one more repository is a change of that one write.
 * @example
 * new SharedSettings("ci", { owner: "acme", ownerType: "organization", repositories: ["a", "b"], secrets: { NPM_TOKEN: token } })
 * @see https://docs.github.com/rest/actions/secrets
 */
export class SharedSettings extends ComponentResource {
  constructor(name: string, args: SharedSettingsArgs, opts?: ComponentResourceOptions) {
    super("esteira:github:SharedSettings", name, {}, opts);
    const { owner, repositories } = args;
    const secrets = Object.entries(args.secrets);
    const parent = { parent: this };

    if (args.ownerType === "organization") {
      const selectedRepositoryIds = repositories.map(
        (repository) => github.getRepositoryOutput({ fullName: `${owner}/${repository}` }, parent).repoId,
      );
      const selected = { visibility: "selected", selectedRepositoryIds };
      for (const [secretName, value] of secrets) {
        new github.ActionsOrganizationSecret(`${name}-${secretName}`, { secretName, value, ...selected }, parent);
      }
    } else {
      for (const repository of repositories) {
        for (const [secretName, value] of secrets) {
          new github.ActionsSecret(`${name}-${repository}-${secretName}`, { repository, secretName, value }, parent);
        }
      }
    }
    this.registerOutputs();
  }
}
