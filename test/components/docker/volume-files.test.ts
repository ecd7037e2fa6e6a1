import assert from "node:assert/strict";
import { secret } from "@pulumi/pulumi";
import { VolumeFiles } from "../../../components/docker/volume-files.ts";
import { declared, optionsOf } from "../../declared.ts";

const make = () =>
  new VolumeFiles("key", {
    volume: "reader-key",
    files: { "key.json": secret("{}"), "motd.txt": "hello" },
    image: "busybox:1.37.0",
  });

describe("VolumeFiles", () => {
  it("puts files into a volume by a container that never runs, and shows nobody what is secret", async () => {
    assert.deepEqual(await declared(make), {
      "VolumeFiles key": {},
      "Volume key-volume": { name: "reader-key" },
      "RemoteImage key-image": { name: "busybox:1.37.0", keepLocally: true },
      "Container key-files": {
        name: "reader-key-files",
        image: "busybox:1.37.0",
        start: false,
        mustRun: false,
        networkMode: "none",
        labels: [{ label: "io.esteira.resource", value: "key-files" }],
        volumes: [{ volumeName: "reader-key", containerPath: "/files" }],
        uploads: [
          { file: "/files/key.json", content: "[secret]", permissions: "0444" },
          { file: "/files/motd.txt", content: "hello", permissions: "0444" },
        ],
      },
    });
  });

  it("makes the container once its volume and image are there", async () => {
    assert.deepEqual(await optionsOf(make), {
      "esteira-test": {},
      key: {},
      "key-volume": {},
      "key-image": {},
      "key-files": { dependsOn: ["key-image", "key-volume"] },
    });
  });
});
