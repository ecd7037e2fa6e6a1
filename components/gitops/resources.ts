import { apiextensions } from "@pulumi/kubernetes";
import type { CustomResourceOptions } from "@pulumi/pulumi";
import type { ApplicationSpec, AppProjectSpec, ImageUpdaterSpec } from "./kinds.ts";

/** What every object has besides its spec. */
export interface ObjectArgs<Spec> {
  metadata: {
    name: string;
    namespace: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
  };
  spec: Spec;
}

/** What applications may do, and when. @see https://argo-cd.readthedocs.io/en/stable/user-guide/projects/ */
export class AppProject extends apiextensions.CustomResource {
  constructor(name: string, args: ObjectArgs<AppProjectSpec>, opts?: CustomResourceOptions) {
    super(name, { apiVersion: "argoproj.io/v1alpha1", kind: "AppProject", ...args }, opts);
  }
}

/** What is delivered from where to where. @see https://argo-cd.readthedocs.io/en/stable/user-guide/application-specification/ */
export class Application extends apiextensions.CustomResource {
  constructor(name: string, args: ObjectArgs<ApplicationSpec>, opts?: CustomResourceOptions) {
    super(name, { apiVersion: "argoproj.io/v1alpha1", kind: "Application", ...args }, opts);
  }
}

/** Which images of applications are kept up to date. @see https://argocd-image-updater.readthedocs.io/en/stable/configuration/applications/ */
export class ImageUpdater extends apiextensions.CustomResource {
  constructor(name: string, args: ObjectArgs<ImageUpdaterSpec>, opts?: CustomResourceOptions) {
    super(name, { apiVersion: "argocd-image-updater.argoproj.io/v1alpha1", kind: "ImageUpdater", ...args }, opts);
  }
}
