/** A database in a cluster, of a size, an image and a volume that its config says. */
import * as kubernetes from "@pulumi/kubernetes";
import { Config } from "@pulumi/pulumi";
import { MySql } from "../../../components/kubernetes/mysql/mysql.ts";
import type { DeletionPolicy } from "../../../components/protection.ts";

const config = new Config();
const namespace = new kubernetes.core.v1.Namespace("shop", {
  metadata: { name: "shop", labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
});
new MySql(
  "db",
  {
    namespace: "shop",
    partOf: "shop",
    image: config.require("image"),
    database: "shop",
    user: "shop",
    size: { cpu: "500m", memory: config.require("memory") },
    storage: { size: config.require("volume"), storageClass: config.require("class") },
    clients: ["shop"],
    deletionPolicy: config.require("deletionPolicy") as DeletionPolicy,
  },
  { dependsOn: [namespace] },
);
