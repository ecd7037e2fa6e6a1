import * as docker from "@pulumi/docker";
import { ComponentResource, type ComponentResourceOptions, type Input } from "@pulumi/pulumi";
import { resourceLabel } from "./names.ts";

/** Arguments of {@link VolumeFiles}. */
export interface VolumeFilesArgs {
  /** The volume's name on the host. */
  volume: string;
  /** Files by name, at the volume's root. */
  files: Readonly<Record<string, Input<string>>>;
  /** An image that the host has or can pull: files come into a volume through a container, which is never started. */
  image: string;
}

/**
 * A volume with files in it, for containers that somebody else starts on the host that the Docker provider is configured for.
 * @example new VolumeFiles("key", { volume: "reader-key", files: { "key.json": key.privateKey }, image: "busybox:1.37.0" })
 */
export class VolumeFiles extends ComponentResource {
  constructor(name: string, args: VolumeFilesArgs, opts?: ComponentResourceOptions) {
    super("esteira:docker:VolumeFiles", name, {}, opts);
    const parent = { parent: this };
    const volume = new docker.Volume(`${name}-volume`, { name: args.volume }, parent);
    const image = new docker.RemoteImage(`${name}-image`, { name: args.image, keepLocally: true }, parent);
    const folder = "/files";
    new docker.Container(
      `${name}-files`,
      {
        name: `${args.volume}-files`,
        image: args.image,
        start: false,
        mustRun: false,
        networkMode: "none",
        labels: [{ label: resourceLabel, value: `${name}-files` }],
        volumes: [{ volumeName: volume.name, containerPath: folder }],
        uploads: Object.entries(args.files).map(([file, content]) => ({
          file: `${folder}/${file}`,
          content,
          // Whatever user its readers run as: only they have the volume.
          permissions: "0444",
        })),
      },
      { parent: this, dependsOn: [image] },
    );
    this.registerOutputs();
  }
}
