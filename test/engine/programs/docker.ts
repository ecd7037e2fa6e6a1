/** A container that keeps what it has in a volume and is reached in a network. */
import * as docker from "@pulumi/docker";
import { Config, interpolate } from "@pulumi/pulumi";

const password = new Config().requireSecret("password");

const network = new docker.Network("shop-net", { name: "shop-net" });
const volume = new docker.Volume("shop-data", { name: "shop-data" });
const image = new docker.RemoteImage("orders", { name: `orders:1@sha256:${"1".repeat(64)}`, keepLocally: true });
new docker.Container("shop-orders", {
  name: "shop-orders",
  image: image.imageId,
  command: ["httpd", "-f", "-p", "8080", "-h", "/data"],
  envs: [interpolate`PASSWORD=${password}`],
  networksAdvanced: [{ name: network.name, aliases: ["orders"] }],
  volumes: [{ volumeName: volume.name, containerPath: "/data" }],
});
