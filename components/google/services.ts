import * as gcp from "@pulumi/gcp";
import { ComponentResource, type ComponentResourceOptions } from "@pulumi/pulumi";

/** Arguments of {@link ProjectServices}. */
export interface ProjectServicesArgs {
  /** ID of the project. */
  project: string;
  /** API names without `.googleapis.com`, such as `run`. */
  services: readonly string[];
}

/**
 * The Google APIs that a project must have switched on. They stay on when the stack goes: something else in
 * the project may have come to need them.
 * @example new ProjectServices("delivery", { project: "my-project", services: ["run", "storage"] })
 */
export class ProjectServices extends ComponentResource {
  constructor(name: string, args: ProjectServicesArgs, opts?: ComponentResourceOptions) {
    super("esteira:google:ProjectServices", name, {}, opts);
    for (const service of args.services) {
      new gcp.projects.Service(
        `${name}-${service}`,
        { project: args.project, service: `${service}.googleapis.com`, disableOnDestroy: false },
        { parent: this },
      );
    }
    this.registerOutputs();
  }
}
