import { ComponentResource, type ComponentResourceOptions } from "@pulumi/pulumi";
import type { SystemFacts } from "../../audit/schema.ts";
import { arrival, filesOf } from "../../components/github/delivered-file.ts";
import { RepositoryDelivery } from "../../components/github/repository-delivery.ts";
import type { QivoArgs } from "./config.ts";
import { factsOf } from "./facts.ts";
import { rulesets } from "./names.ts";
import { deliveredFiles } from "./repository/files.ts";

/**
 * qivo: an application that its repository's workflows test, deploy to Render, look at and repair. dev has the environment that
 * tests run in; prod has what the repository has once, and the environment that deploys.
 */
export class Qivo extends ComponentResource {
  /** What the audit says of it. */
  readonly facts: SystemFacts;

  constructor(name: string, args: QivoArgs, opts?: ComponentResourceOptions) {
    super("esteira:systems:Qivo", name, {}, opts);
    const { config, secrets, github: hub } = args;
    const { environment, repository, branch } = config;
    const files = deliveredFiles(config, hub.owner);
    const delivery = new RepositoryDelivery(
      `${name}-repository`,
      {
        repository,
        ...arrival(name, environment, config),
        environments: {
          // Tests are of any branch; who deploys, or has the key of it, runs from the one that is deployed.
          [environment]: { secrets, ...(environment === "prod" && { branches: [branch] }) },
        },
        rulesets: rulesets(config),
        files: filesOf(files),
      },
      { parent: this },
    );
    this.facts = factsOf(args, files, delivery);
    this.registerOutputs();
  }
}
