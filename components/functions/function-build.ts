import { createHash } from "node:crypto";
import * as gcp from "@pulumi/gcp";
import { asset, ComponentResource, type ComponentResourceOptions } from "@pulumi/pulumi";
import { createAccount, type ServiceAccount } from "../google/account.ts";
import { createBucket } from "../google/bucket.ts";
import { grant } from "../google/grant.ts";
import type { FunctionSource } from "./cloud-function.ts";

/** Arguments of {@link FunctionBuild}. */
export interface FunctionBuildArgs {
  /** ID of the project. */
  project: string;
  /** Region of the bucket: that of the functions. */
  location: string;
  /** Name of the bucket that is made for the sources; unique in all of Google Cloud. */
  bucketName: string;
  /** Names of the Python functions that answer requests: one archive has them all. @default ["main"] */
  entryPoints?: readonly string[];
}

/** What Cloud Build needs to build functions. @see https://cloud.google.com/functions/docs/securing/build-custom-sa */
const buildRoles = ["roles/artifactregistry.writer", "roles/logging.logWriter"];
/** The buckets that Cloud Functions itself keeps sources in: what a build reads, and all that it may read. */
const sources = {
  role: "roles/storage.objectViewer",
  condition: {
    title: "sources of functions",
    expression: 'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-")',
  },
};

/**
 * What the Python functions of one project are built with: the account that Cloud Build acts as, because many
 * organisations leave Google's default account without rights, and the source that functions are created with,
 * so that the first `up` works in an empty project. That source answers 503 and says why; the repository's
 * workflow replaces it with the first deploy. The archive's name carries its content's hash.
 * @example new FunctionBuild("orders", { project: "p", location: "us-east1", bucketName: "p-orders-source" }).source
 */
export class FunctionBuild extends ComponentResource {
  /** The account that builds. */
  readonly account: ServiceAccount;
  /** What its account may do, as an audit tells it. */
  readonly roles: readonly { role: string; on: string }[];
  /** The source to create functions with. */
  readonly source: FunctionSource;

  constructor(name: string, args: FunctionBuildArgs, opts?: ComponentResourceOptions) {
    super("esteira:functions:FunctionBuild", name, {}, opts);
    const { project, location, bucketName: bucketId } = args;
    const parent = { parent: this };

    this.account = createAccount(
      `${name}-account`,
      { id: name, project, displayName: `${name} (Cloud Build)` },
      parent,
    );
    for (const role of buildRoles) {
      grant(
        `${name}-${role.slice("roles/".length)}`,
        this.account.member,
        role,
        { project },
        {
          parent: this,
          dependsOn: [this.account.resource!],
        },
      );
    }

    new gcp.projects.IAMMember(
      `${name}-storage.objectViewer`,
      { project, member: this.account.member, ...sources },
      { parent: this, dependsOn: [this.account.resource!] },
    );

    const bucket = createBucket(
      `${name}-bucket`,
      // What is in it is made here, and needed once.
      { name: bucketId, project, location, deletionPolicy: "DELETE" },
      parent,
    );
    const files = { "main.py": mainPy(args.entryPoints ?? ["main"]), "requirements.txt": "functions-framework==3.*\n" };
    const hash = createHash("sha256").update(JSON.stringify(files)).digest("hex").slice(0, 16);
    const object = new gcp.storage.BucketObject(
      `${name}-object`,
      {
        bucket: bucket.name,
        name: `first-source-${hash}.zip`,
        source: new asset.AssetArchive(
          Object.fromEntries(Object.entries(files).map(([file, text]) => [file, new asset.StringAsset(text)])),
        ),
      },
      parent,
    );
    this.roles = [
      ...buildRoles.map((role) => ({ role, on: `project ${project}` })),
      { role: sources.role, on: "buckets gcf-v2-sources-*" },
    ];
    this.source = { bucket: bucket.name, object: object.name, ready: [this] };
    this.registerOutputs({ serviceAccount: this.account.email });
  }
}

const mainPy = (entryPoints: readonly string[]) =>
  `"""Stands here until the repository's workflow deploys the function's own code."""
import functions_framework


def answer(request):
    return "No version has been deployed yet.\\n", 503

${[...new Set(entryPoints)]
  .sort()
  .map((entry) => `\n${entry} = functions_framework.http(answer)\n`)
  .join("")}`;
