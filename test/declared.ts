import { type DeclaredResource, observe } from "../cli/render/program.ts";

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
