/** Secrets and variables of a repository, an environment or the organisation. */
import sodium from "libsodium-wrappers";
import { Refusal } from "../stand-in/api.ts";

await sodium.ready;

export interface Item {
  /** In capitals, as GitHub keeps it. */
  name: string;
  value: string;
  created_at: string;
  updated_at: string;
  /** Of the organisation's only. */
  visibility?: "all" | "private" | "selected";
  /** Ids of the repositories that may read it, with visibility `selected`. */
  selected: Set<number>;
}

export type Kind = "secrets" | "variables";

export class Vault {
  readonly #keys = sodium.crypto_box_keypair();
  /** Digits, as GitHub's. */
  readonly keyId = Buffer.from(this.#keys.publicKey).readBigUInt64BE().toString();
  readonly key = sodium.to_base64(this.#keys.publicKey, sodium.base64_variants.ORIGINAL);
  readonly secrets = new Map<string, Item>();
  readonly variables = new Map<string, Item>();

  /** Opens what was sealed with the public key. @throws Refusal 422 */
  open(keyId: string | undefined, sealed: string): string {
    try {
      if (keyId !== this.keyId) throw new Error("another key");
      const bytes = sodium.from_base64(sealed, sodium.base64_variants.ORIGINAL);
      return sodium.to_string(
        sodium.crypto_box_seal_open(bytes, this.#keys.publicKey, this.#keys.privateKey) as Uint8Array,
      );
    } catch {
      throw new Refusal(422, "Bad request - validation failed due to an improperly encrypted secret");
    }
  }

  /** What it holds, without times. @param nameOf the name of a repository by its id */
  snapshot(nameOf: (id: number) => string) {
    const plain = (items: Map<string, Item>) =>
      Object.fromEntries(
        [...items.values()].map(({ name, value, visibility, selected }) => [
          name,
          { value, ...(visibility && { visibility, repositories: [...selected].map(nameOf).sort() }) },
        ]),
      );
    return { secrets: plain(this.secrets), variables: plain(this.variables) };
  }
}
