import * as gcp from "@pulumi/gcp";
import { type CustomResourceOptions, type Output, type Resource, secret } from "@pulumi/pulumi";
import type { ServiceAccount } from "./account.ts";

/** Makes a key of an account. @returns the key as the JSON text that Google's libraries take */
export function createKey(
  name: string,
  account: ServiceAccount,
  opts?: CustomResourceOptions,
): { resource: Resource; json: Output<string> } {
  const resource = new gcp.serviceaccount.Key(name, { serviceAccountId: account.fullName }, opts);
  const decoded = resource.privateKey.apply((base64) => Buffer.from(base64, "base64").toString("utf8"));
  return { resource, json: secret(decoded) };
}
