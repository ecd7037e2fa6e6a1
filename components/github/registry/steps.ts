import { buildPush, registryLogin, setupBuildx } from "../actions.ts";
import { type Step, script } from "../workflow.ts";

/** GitHub's registry as a job reaches it: by its own token, which `permissions: packages` makes one that may. */
export const credentials = { username: "${{ github.actor }}", password: "${{ github.token }}" } as const;

/** One image, and the commit that it is to be of. Each may be an expression. */
interface ImageOf {
  /** Without a tag, such as ghcr.io/sua-org/api. In lower case. */
  image: string;
  /** @default the commit of the event */
  revision?: string;
}

/** What {@link look} compares with what is in the registry. */
export interface LookArgs extends ImageOf {
  /** The tag that the commit's image shall have. */
  tag: string;
  /** The tag of the image that gets `tag` too. Empty or absent: the image is to be built. */
  source?: string;
  /** A tag given last of all: where it is found, there is nothing to do, whatever `tag` would be by now. */
  doneTag?: string;
  /** The tags that `tag` stands in line with, as a regular expression of Python's whose groups are numbers. */
  series?: string;
  /** What if `series` has a higher tag already, so that nothing that takes the highest would take this one. @default "refuse" */
  ifLower?: "refuse" | "warn";
  /**
   * An image that may not be read counts as one that is not there, unless it would be the source. For a job that may only
   * read, and only where {@link look} comes again in the job that publishes: what a registry says of a package that does
   * not exist yet to whom may only read is its own affair.
   */
  deniedIsAbsent?: boolean;
}

/**
 * Finds out what is left to do so that the tag is an image of the commit. Refuses a tag that is one of another commit.
 * Outputs `action` (`build`, `tag` or `nothing`), `digest` of what is there, and `source` and `target`: what
 * {@link giveTag} is to be given, after the build if there is one; `target` is empty where there is nothing to give.
 */
export const look = (id: string, args: LookArgs): Step => ({
  name: "Look into the registry",
  id,
  shell: "python",
  env: {
    COMMAND: "look",
    ...environment(args),
    TAG: args.tag,
    ...(args.source !== undefined && { SOURCE: args.source }),
    ...(args.doneTag !== undefined && { DONE_TAG: args.doneTag }),
    ...(args.series !== undefined && { SERIES: args.series, IF_LOWER: args.ifLower ?? "refuse" }),
    ...(args.deniedIsAbsent && { IF_DENIED: "absent" }),
  },
  run: imageTags(),
});

/**
 * Gives the image of one tag another tag, under the same digest and whatever it consists of: a promotion. A tag that is
 * there is left alone if it is the same, else refused. Outputs `digest`.
 */
export const giveTag = (
  id: string,
  args: ImageOf & { name: string; if?: string; source: string; target: string },
): Step => ({
  name: args.name,
  id,
  ...(args.if !== undefined && { if: args.if }),
  shell: "python",
  env: { COMMAND: "tag", ...environment(args), SOURCE: args.source, TAG: args.target },
  run: imageTags(),
});

/** A builder, which a build with provenance needs. */
export const setUpBuilder = (condition?: string): Step => ({
  name: "Set up Buildx",
  ...(condition !== undefined && { if: condition }),
  uses: setupBuildx.uses,
});

/** @param condition a step's `if` */
export const logIn = (condition?: string): Step => ({
  name: "Log in to GHCR",
  ...(condition !== undefined && { if: condition }),
  uses: registryLogin.uses,
  with: { registry: "ghcr.io", ...credentials },
});

/**
 * Builds the checkout and pushes it, with provenance and bill of materials. Outputs `digest`.
 * @param args.revision the commit, written onto the image where {@link look} finds it: as a label, and as an annotation of
 * the index and each manifest. @default not written
 */
export const buildAndPush = (
  id: string,
  args: { tags: string; if?: string; dockerfile?: string; revision?: string },
): Step => ({
  name: "Build and push",
  id,
  ...(args.if !== undefined && { if: args.if }),
  uses: buildPush.uses,
  with: {
    context: ".",
    ...(args.dockerfile !== undefined && { file: args.dockerfile }),
    push: true,
    tags: args.tags,
    ...(args.revision !== undefined && {
      labels: `${revisionKey}=${args.revision}`,
      annotations: `index,manifest:${revisionKey}=${args.revision}`,
    }),
    "cache-from": "type=gha",
    "cache-to": "type=gha,mode=max",
    provenance: "mode=max",
    sbom: true,
  },
});

const revisionKey = "org.opencontainers.image.revision";

const imageTags = () => script(import.meta.url, "./image_tags.py");

const environment = ({ image, revision }: ImageOf) => ({
  IMAGE: image,
  REVISION: revision ?? "${{ github.sha }}",
  REGISTRY_USER: credentials.username,
  REGISTRY_TOKEN: credentials.password,
});
