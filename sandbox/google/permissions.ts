/** What a principal may do in a bucket. @see https://cloud.google.com/storage/docs/access-control/iam-roles */
import type { Call } from "../stand-in/api.ts";
import { GoogleError } from "./errors.ts";
import { describedBy, resourceOf } from "./storage.ts";
import type { World } from "./world.ts";

/** Of the roles that are granted on buckets, what they allow on objects. */
const roles: Record<string, readonly string[]> = {
  "roles/storage.objectCreator": ["storage.objects.create"],
  "roles/storage.objectViewer": ["storage.objects.get", "storage.objects.list"],
};

/** @throws GoogleError 403 unless the principal has a role on the bucket that allows what is asked */
export function authorize(world: World, principal: string, call: Call): void {
  const bucket = world.buckets.get(call.params["bucket"] ?? "");
  const held = Object.entries(roles)
    .filter(([role]) => bucket && world.policies.grants(resourceOf(bucket), role, principal))
    .flatMap(([, permissions]) => permissions);
  const lacking = needed(call, (name) => !!bucket?.objects.has(name)).find((each) => !held.includes(each));
  if (!lacking) return;
  const message = `${principal} does not have ${lacking} access to the Google Cloud Storage object. Permission '${lacking}' denied on resource (or it may not exist).`;
  throw new GoogleError(403, message, { reason: "forbidden" });
}

function needed(call: Call, exists: (name: string) => boolean): string[] {
  if (call.operation !== "storage.objects.insert") return [call.operation];
  // To write over an object is to delete it. What goes on with an upload has been asked at its start.
  const overwrites = !call.query.has("upload_id") && exists(describedBy(call).name ?? "");
  return ["storage.objects.create", ...(overwrites ? ["storage.objects.delete"] : [])];
}
