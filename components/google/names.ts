/**
 * What Google Cloud accepts as names: the vocabulary that config schemas are made of.
 */
import { z } from "zod";
import { expected, oneOf, pattern } from "../schema.ts";

/** @see https://cloud.google.com/resource-manager/docs/creating-managing-projects */
export const projectId = pattern(
  /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/,
  "a Google Cloud project ID: 6 to 30 lower-case letters, digits or hyphens, a letter first, no hyphen last",
);

const projectNumberSentence =
  "a Google Cloud project number, as `gcloud projects describe PROJECT --format='value(projectNumber)'` prints it";

/** The number of a project, written as text or as a number. */
export const projectNumber = z
  .union(
    [pattern(/^[1-9][0-9]{5,14}$/, projectNumberSentence), z.int(expected(projectNumberSentence)).min(100000)],
    expected(projectNumberSentence),
  )
  .describe(projectNumberSentence);

/** Regions that serve Cloud Run functions. @see https://cloud.google.com/run/docs/locations */
const regions = [
  "africa-south1",
  "asia-east1",
  "asia-east2",
  "asia-northeast1",
  "asia-northeast2",
  "asia-northeast3",
  "asia-south1",
  "asia-south2",
  "asia-southeast1",
  "asia-southeast2",
  "asia-southeast3",
  "australia-southeast1",
  "australia-southeast2",
  "europe-central2",
  "europe-north1",
  "europe-north2",
  "europe-southwest1",
  "europe-west1",
  "europe-west2",
  "europe-west3",
  "europe-west4",
  "europe-west6",
  "europe-west8",
  "europe-west9",
  "europe-west10",
  "europe-west12",
  "me-central1",
  "me-central2",
  "me-west1",
  "northamerica-northeast1",
  "northamerica-northeast2",
  "northamerica-south1",
  "southamerica-east1",
  "southamerica-west1",
  "us-central1",
  "us-east1",
  "us-east4",
  "us-east5",
  "us-south1",
  "us-west1",
  "us-west2",
  "us-west3",
  "us-west4",
] as const;

export const region = oneOf(regions, "a Google Cloud region");

/** @see https://cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions */
export const functionName = pattern(
  /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/,
  "a function name: at most 63 lower-case letters, digits or hyphens, a letter first, no hyphen last",
);

/** The e-mail address of a service account. */
export const serviceAccountEmail = pattern(
  /^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9.-]+\.gserviceaccount\.com$/,
  "the e-mail address of a service account, such as reader@my-project.iam.gserviceaccount.com",
);

/** @see https://cloud.google.com/iam/docs/principal-identifiers */
export const principal = pattern(
  /^(allUsers|allAuthenticatedUsers|(user|group|domain|serviceAccount):\S+|principal(Set)?:\/\/\S+)$/,
  "an IAM principal, such as allUsers, user:ana@example.org or serviceAccount:NAME@PROJECT.iam.gserviceaccount.com",
);

/** A predefined role, or a custom one of a project or organisation. */
export const role = pattern(
  /^(roles\/|(projects|organizations)\/[a-z0-9-]+\/roles\/)[A-Za-z0-9_.]+$/,
  "an IAM role, such as roles/bigquery.dataViewer",
);

/** The ID of a Secret Manager secret. */
export const secretId = pattern(/^[A-Za-z0-9_-]{1,255}$/, "the ID of a Secret Manager secret: letters, digits, _ or -");

/** @see https://cloud.google.com/storage/docs/buckets#naming */
export const bucketName = pattern(
  /^(?!goog)[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$/,
  "a bucket's name: 3 to 63 lower-case letters, digits, - or _, a letter or digit at both ends, goog not at the first",
);

/** @see https://cloud.google.com/bigquery/docs/datasets#dataset-naming */
export const datasetId = pattern(/^[A-Za-z0-9_]{1,1024}$/, "the ID of a BigQuery dataset: letters, digits or _");
