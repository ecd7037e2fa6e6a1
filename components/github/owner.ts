import * as github from "@pulumi/github";
import { type ComponentResource, type Input, type Output, output } from "@pulumi/pulumi";

/** Whose repositories they are. */
export interface RepositoryOwner {
  /** Login, spelled as GitHub spells it. */
  owner: string;
  /** What the owner is: some things exist only in organisations. */
  ownerType: "organization" | "user";
  /** Numeric id. @default looked up by the login, when it is asked for */
  ownerId?: Input<string>;
}

/** The owner's numeric id: a login can be given up and taken by somebody else, an id cannot. */
export function ownerIdOf({ owner, ownerType, ownerId }: RepositoryOwner, parent: ComponentResource): Output<string> {
  if (ownerId !== undefined) return output(ownerId);
  return ownerType === "organization"
    ? github.getOrganizationOutput({ name: owner, summaryOnly: true }, { parent }).id
    : github.getUserOutput({ username: owner }, { parent }).id;
}
