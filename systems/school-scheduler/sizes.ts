import type { Size } from "../../components/kubernetes/pods.ts";
import type { Replicas } from "../../components/kubernetes/web-application.ts";
import type { Environment } from "./config.ts";

/** The names of sizes. */
export const sizeNames = ["small", "medium", "large"] as const;

/** The name of a size. */
export type SizeName = (typeof sizeNames)[number];

/** How large an environment is. */
export interface EnvironmentSize {
  application: Size;
  replicas: Replicas;
  database: Size;
  /** Of the database's volume. */
  storage: string;
  /** Of a generation of schedules, which takes more than a request does. */
  generation: Size;
}

/** What each size means; a stack's file may say otherwise key by key. */
export const sizes: Readonly<Record<SizeName, EnvironmentSize>> = {
  small: {
    application: { cpu: "100m", memory: "256Mi" },
    replicas: 1,
    database: { cpu: "250m", memory: "1Gi" },
    storage: "5Gi",
    generation: { cpu: "250m", memory: "512Mi" },
  },
  medium: {
    application: { cpu: "250m", memory: "512Mi" },
    replicas: 2,
    database: { cpu: "500m", memory: "2Gi" },
    storage: "20Gi",
    generation: { cpu: "500m", memory: "1Gi" },
  },
  large: {
    application: { cpu: "500m", memory: "1Gi" },
    replicas: { min: 3, max: 9 },
    database: { cpu: "2", memory: "4Gi" },
    storage: "50Gi",
    generation: { cpu: "1", memory: "2Gi" },
  },
};

/** The size of an environment whose file names none: preprod is as large as prod, or its load tests would say little of it. */
export const sizeOf: Readonly<Record<Environment, SizeName>> = {
  dev: "small",
  homolog: "medium",
  preprod: "large",
  prod: "large",
};
