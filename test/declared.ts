import { type DeclaredResource, observe, type ResourceOptions } from "../cli/render/program.ts";

/** Inputs by type and name, for assertions that name a resource: `gcp:storage/bucket:Bucket::x` is `Bucket x`. */
export type Declared = Record<string, Record<string, unknown>>;

/** What a piece of program declares, without the stack itself. */
export async function declared(program: () => unknown): Promise<Declared> {
  const { resources } = await observe(async () => {
    program();
    return {};
  }, "test");
  return Object.fromEntries(
    resources
      .filter(({ parent }) => parent !== undefined)
      .map((each) => [`${typeName(each)} ${each.name}`, each.inputs]),
  );
}

/** The last word of a type. */
export const typeName = ({ type }: Pick<DeclaredResource, "type">): string => type.split(":").at(-1)!;

/** The options of what a piece of program declares, by name; what it waits for by name, too. */
export async function optionsOf(program: () => unknown): Promise<Record<string, ResourceOptions>> {
  const { resources } = await observe(async () => {
    program();
    return {};
  }, "test");
  return Object.fromEntries(resources.map(({ name, options }) => [name, withNames(options)]));
}

/** Options with names in the place of URNs, in one order. */
export const withNames = ({ dependsOn, ...options }: ResourceOptions): ResourceOptions => ({
  ...options,
  ...(dependsOn && { dependsOn: dependsOn.map((urn) => urn.split("::").at(-1)!).sort() }),
});
