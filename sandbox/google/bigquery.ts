/** BigQuery's datasets, whose grants are a list in the dataset itself. @see https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets */
import type { Call, Drift, Handler } from "../stand-in/api.ts";
import { GoogleError } from "./errors.ts";
import { newEtag, type Service, type World } from "./world.ts";

interface Access {
  role?: string;
  userByEmail?: string;
  groupByEmail?: string;
  domain?: string;
  specialGroup?: string;
  iamMember?: string;
  condition?: object;
}

interface Dataset {
  id: string;
  etag: string;
  datasetReference: { projectId: string; datasetId: string };
  location: string;
  access: Access[];
}

/** Roles that are told by their older names. */
const legacy: Record<string, string> = {
  "roles/bigquery.dataOwner": "OWNER",
  "roles/bigquery.dataEditor": "WRITER",
  "roles/bigquery.dataViewer": "READER",
};

/** What a new dataset grants. */
const initial: Access[] = [
  { role: "WRITER", specialGroup: "projectWriters" },
  { role: "OWNER", specialGroup: "projectOwners" },
  { role: "READER", specialGroup: "projectReaders" },
];

export class BigQuery implements Service {
  readonly #world: World;
  readonly #held = new Map<string, Dataset>();

  constructor(world: World) {
    this.#world = world;
  }

  readonly handlers: Record<string, Handler> = {
    "bigquery.datasets.get": (call) => ({ body: { kind: "bigquery#dataset", ...this.#find(call) } }),
    "bigquery.datasets.patch": (call) => {
      const dataset = this.#find(call);
      const asked = call.headers["if-match"];
      if (asked && asked !== dataset.etag) {
        throw new GoogleError(412, "Precondition check failed.", { reason: "conditionNotMet" });
      }
      const { access, ...rest } = call.body as Partial<Dataset>;
      const { id, datasetReference } = dataset;
      const wanted = access?.map((each) => this.#checked(dataset, each));
      Object.assign(dataset, rest, { id, datasetReference, etag: newEtag() }, wanted && { access: unique(wanted) });
      return { body: { kind: "bigquery#dataset", ...dataset } };
    },
  };

  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#held.values()]
        .map(({ id, access }): [string, string[]] => [
          id,
          access
            .filter(isOwn)
            .map((each) => JSON.stringify(each))
            .sort(),
        ])
        .filter(([, access]) => access.length > 0)
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  }

  drifts(): Drift[] {
    return [...this.#held.values()].flatMap((dataset) =>
      dataset.access.filter(isOwn).map((access) => ({
        what: `dataset ${dataset.id}: ${access.userByEmail ?? access.iamMember ?? access.groupByEmail} loses ${access.role}`,
        kind: "dataset grant removed",
        object: dataset.datasetReference.datasetId,
        apply: () => {
          dataset.access = dataset.access.filter((each) => each !== access);
          dataset.etag = newEtag();
        },
      })),
    );
  }

  #find({ params }: Call): Dataset {
    const { id: projectId, datasets } = this.#world.project(params["projectId"]!);
    const datasetId = params["datasetId"]!;
    const id = `${projectId}:${datasetId}`;
    if (datasets && !datasets.includes(datasetId)) {
      throw new GoogleError(404, `Not found: Dataset ${id}`, { reason: "notFound" });
    }
    const found = this.#held.get(id) ?? {
      id,
      etag: newEtag(),
      datasetReference: { projectId, datasetId },
      location: "US",
      access: structuredClone(initial),
    };
    this.#held.set(id, found);
    return found;
  }

  #checked({ id }: Dataset, { role, ...access }: Access): Access {
    const email = access.userByEmail?.toLowerCase();
    if (email?.endsWith("gserviceaccount.com") && !this.#world.hasAccount(email)) {
      const message = `IAM setPolicy failed for Dataset ${id}: Service account ${email} does not exist.`;
      throw new GoogleError(400, message, { reason: "invalid" });
    }
    return { ...(role && { role: legacy[role] ?? role }), ...access, ...(email && { userByEmail: email }) };
  }
}

const isOwn = ({ specialGroup }: Access) => !specialGroup;

const unique = (all: Access[]): Access[] => [...new Map(all.map((each) => [JSON.stringify(each), each])).values()];
