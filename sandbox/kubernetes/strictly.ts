import { type Client, type KubernetesObject, Refused, UnknownKind } from "./client.ts";

/**
 * Lets the API try what an apply of an object would come to, and does nothing.
 *
 * An ordinary create drops a field that a kind does not have, without a word; here it is refused, as a wrong type and everything
 * else that a schema or a validation says. An object of Argo CD's own that a stack patches is tried as the patch that it is.
 *
 * @returns the API's words where it refuses; undefined when all is well
 */
export async function strictly(client: Client, object: KubernetesObject): Promise<string | undefined> {
  try {
    const path = await client.pathOf(object);
    const query = "dryRun=All&fieldValidation=Strict&fieldManager=esteira";
    // JSON is YAML.
    await client.request("PATCH", `${path}?${query}`, object, "application/apply-patch+yaml");
    return undefined;
  } catch (error) {
    if (error instanceof Refused || error instanceof UnknownKind) return error.message;
    throw error;
  }
}
