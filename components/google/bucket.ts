import * as gcp from "@pulumi/gcp";
import type { CustomResourceOptions } from "@pulumi/pulumi";
import { type DeletionPolicy, keeps } from "../protection.ts";

/** Arguments of {@link createBucket}: what the provider takes, without what every bucket here has. */
export interface BucketArgs
  extends Omit<gcp.storage.BucketArgs, "uniformBucketLevelAccess" | "publicAccessPrevention" | "forceDestroy"> {
  /** Whether it may be deleted, with all that is in it. @default "PREVENT" */
  deletionPolicy?: DeletionPolicy;
}

/**
 * A bucket that is never public and whose roles alone say who may what in it.
 * @example
 * createBucket("files", { name: "acme-files", project: "p", location: "us-east1" }, { parent: this })
 * @see https://docs.cloud.google.com/storage/docs/public-access-prevention
 */
export function createBucket(
  name: string,
  { deletionPolicy, ...args }: BucketArgs,
  opts?: CustomResourceOptions,
): gcp.storage.Bucket {
  const protect = keeps(deletionPolicy);
  return new gcp.storage.Bucket(
    name,
    { ...args, uniformBucketLevelAccess: true, publicAccessPrevention: "enforced", forceDestroy: !protect },
    { ...opts, protect },
  );
}
