import type { ArcgisConfig, Mode } from "./config.ts";

/** The GitHub environment of a mode: the words of the document. */
export const environmentName = (mode: Mode): string => (mode === "prod" ? "production" : mode);

/** What an image's tag begins with, by mode: the branch that it is built from. */
export const tagPrefix = ({ branch }: Pick<ArcgisConfig, "branch">, mode: Mode): string =>
  mode === "prod" ? branch.replaceAll("/", "-") : mode;

/** Branches whose pushes go to staging. */
export const stagingBranches = "staging/**";

/** The volume of the host in which a mode's flows find their Google account's key. */
export const credentialsVolume = (mode: Mode): string => `arcgis-${mode}-google`;

/** Where flows find that volume, and the key in it. */
export const credentials = { folder: "/run/google", file: "key.json" };

/** Where what MODE decides stands in the repository. */
export const settingsPath = ({ package: folder }: Pick<ArcgisConfig, "package">, file: string): string =>
  `${folder}/settings/${file}`;

/**
 * The secret with the API's auth string. The name is the document's; the setting of that name is Prefect Cloud's, and a
 * client that has it sends a bearer token, which a server of one's own refuses.
 */
export const authSecret = "PREFECT_API_KEY";
