/** BigQuery's datasets, whose grants are a list in the dataset itself. @see https://cloud.google.com/bigquery/docs/reference/rest/v2/datasets */
import type { Call, Drift, Handler, Reply } from "../stand-in/api.ts";
import { GoogleError } from "./errors.ts";
import { newEtag, type Project, page, type Service, type World } from "./world.ts";

interface Access {
  role?: string;
  userByEmail?: string;
  groupByEmail?: string;
  domain?: string;
  specialGroup?: string;
  iamMember?: string;
  condition?: object;
}

/** What a program can say of a dataset. */
interface Settings {
  location: string;
  access: Access[];
  description?: string;
  labels?: Record<string, string>;
  [setting: string]: unknown;
}

/** What only Google says of it. */
interface Output {
  kind: "bigquery#dataset";
  id: string;
  selfLink: string;
  etag: string;
  datasetReference: { projectId: string; datasetId: string };
  type: "DEFAULT";
  creationTime: string;
  lastModifiedTime: string;
}

interface Dataset {
  output: Output;
  settings: Settings;
  /** IDs of its tables. */
  tables: Set<string>;
  /** Whether it was there before: then only the grants on it are a program's. */
  given: boolean;
}

/** Roles that are told by their older names. */
const legacy: Record<string, string> = {
  "roles/bigquery.dataOwner": "OWNER",
  "roles/bigquery.dataEditor": "WRITER",
  "roles/bigquery.dataViewer": "READER",
};

/** What a new dataset grants, the last to whom creates it. */
const initial: Access[] = [
  { role: "WRITER", specialGroup: "projectWriters" },
  { role: "OWNER", specialGroup: "projectOwners" },
  { role: "READER", specialGroup: "projectReaders" },
  { role: "OWNER", userByEmail: "owner@example.com" },
];

const defaults = { location: "US", maxTimeTravelHours: "168" };

const outputOnly = /^(kind|id|selfLink|etag|datasetReference|type|(creation|lastModified)Time)$/;

export class BigQuery implements Service {
  readonly #world: World;
  /** By ID; undefined is one that was deleted. */
  readonly #held = new Map<string, Dataset | undefined>();

  constructor(world: World) {
    this.#world = world;
  }

  readonly handlers: Record<string, Handler> = {
    "bigquery.datasets.insert": ({ params, body }) => {
      const { id: projectId } = this.#world.project(params["projectId"]!);
      const { datasetReference, ...wanted } = (body ?? {}) as Partial<Settings & Output>;
      const datasetId = datasetReference?.datasetId ?? "";
      if (!/^\w{1,1024}$/.test(datasetId)) {
        const message = `Invalid dataset ID "${datasetId}". Dataset IDs must be alphanumeric (plus underscores) and must be at most 1024 characters long.`;
        throw new GoogleError(400, message, { reason: "invalid" });
      }
      const id = `${projectId}:${datasetId}`;
      if (this.#held.get(id)) throw duplicate(`Dataset ${id}`);
      return told(this.#create(projectId, datasetId, false, settingsOf(wanted)));
    },
    "bigquery.datasets.get": (call) => told(this.#find(call)),
    "bigquery.datasets.list": (call) => {
      if (call.query.has("filter")) throw new GoogleError(501, "The stand-in filters no datasets.");
      const { id } = this.#world.project(call.params["projectId"]!);
      const all = this.#all().filter(
        ({ output: { datasetReference: of } }) =>
          of.projectId === id && (call.query.get("all") === "true" || !of.datasetId.startsWith("_")),
      );
      const [shown, nextPageToken] = page(all, call, 1000, "maxResults");
      const datasets = shown.map(({ output, settings: { labels, friendlyName, location } }) => {
        const { kind, id: name, datasetReference, type } = output;
        return { kind, id: name, datasetReference, labels, friendlyName, location, type };
      });
      return { body: { kind: "bigquery#datasetList", etag: newEtag(), datasets, nextPageToken } };
    },
    "bigquery.datasets.patch": (call) => {
      const { settings } = this.#find(call);
      const wanted = (call.body ?? {}) as Partial<Settings>;
      const labels = wanted.labels && withoutEmpty({ ...settings.labels, ...wanted.labels });
      return this.#change(call, { ...settings, ...wanted, ...(labels && { labels }) });
    },
    // All that it does not say goes, but for the grants.
    "bigquery.datasets.update": (call) => {
      const { access, location } = this.#find(call).settings;
      return this.#change(call, { access, location, ...(call.body as Partial<Settings> | undefined) });
    },
    "bigquery.datasets.delete": (call) => {
      const { output, tables } = this.#find(call);
      if (tables.size > 0 && call.query.get("deleteContents") !== "true") {
        throw new GoogleError(400, `Dataset ${output.id} is still in use`, { reason: "resourceInUse" });
      }
      this.#held.set(output.id, undefined);
      return { status: 204 };
    },
    // Without tables there would be no contents to delete.
    "bigquery.tables.insert": (call) => {
      const { output, tables } = this.#find(call);
      const { tableId = "" } = (call.body as { tableReference?: { tableId?: string } }).tableReference ?? {};
      if (tables.has(tableId)) throw duplicate(`Table ${output.id}.${tableId}`);
      tables.add(tableId);
      return { body: tableOf(output, tableId) };
    },
    "bigquery.tables.list": (call) => {
      const { output, tables: all } = this.#find(call);
      const [shown, nextPageToken] = page([...all], call, 1000, "maxResults");
      const tables = shown.map((tableId) => tableOf(output, tableId));
      return { body: { kind: "bigquery#tableList", tables, nextPageToken, totalItems: all.size } };
    },
  };

  snapshot(): unknown {
    return Object.fromEntries(
      this.#all()
        .map(({ output, settings: { access, ...settings }, tables, given }): [string, object] => {
          const grants = access
            .filter((each) => !given || isOwn(each))
            .map((each) => JSON.stringify(each))
            .sort();
          return [output.id, { ...(!given && { ...settings, tables: [...tables] }), ...(grants[0] && { grants }) }];
        })
        .filter(([, told]) => Object.keys(told).length > 0)
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  }

  expect({ id, datasets = [] }: Project): void {
    for (const datasetId of datasets) this.#create(id, datasetId, true);
  }

  drifts(): Drift[] {
    return this.#all().flatMap(({ output, settings, given }) => {
      const object = output.datasetReference.datasetId;
      const drift = (what: string, kind: string, change: () => void): Drift => ({
        what: `dataset ${output.id}: ${what}`,
        kind,
        object,
        apply: () => {
          change();
          Object.assign(output, modified());
        },
      });
      const own = [
        drift("description", "dataset description changed", () => {
          settings.description = `${settings.description ?? ""} (changed)`;
        }),
        ...Object.keys(settings.labels ?? {}).map((label) =>
          drift(`label ${label}`, "dataset label changed", () => {
            settings.labels![label] = "changed";
          }),
        ),
        drift("deleted", "dataset deleted", () => this.#held.set(output.id, undefined)),
      ];
      const grants = settings.access.filter(isOwn).map((access) => {
        const { role, userByEmail, iamMember, groupByEmail } = access;
        return drift(`${userByEmail ?? iamMember ?? groupByEmail} loses ${role}`, "dataset grant removed", () => {
          settings.access = settings.access.filter((each) => each !== access);
        });
      });
      return [...(given ? [] : own), ...grants];
    });
  }

  #all(): Dataset[] {
    return [...this.#held.values()].filter((dataset) => dataset !== undefined);
  }

  #find({ params }: Call): Dataset {
    const { id: projectId, datasets } = this.#world.project(params["projectId"]!);
    const datasetId = params["datasetId"]!;
    const id = `${projectId}:${datasetId}`;
    // Unless the project says what it has, a dataset that nobody has deleted is there for whom asks.
    const found =
      this.#held.get(id) ?? (datasets || this.#held.has(id) ? undefined : this.#create(projectId, datasetId));
    if (!found) throw new GoogleError(404, `Not found: Dataset ${id}`, { reason: "notFound" });
    return found;
  }

  #create(projectId: string, datasetId: string, given = true, wanted: Partial<Settings> = {}): Dataset {
    const id = `${projectId}:${datasetId}`;
    const { access, ...rest } = wanted;
    const dataset: Dataset = {
      output: {
        kind: "bigquery#dataset",
        id,
        selfLink: `https://bigquery.googleapis.com/bigquery/v2/projects/${projectId}/datasets/${datasetId}`,
        datasetReference: { projectId, datasetId },
        type: "DEFAULT",
        creationTime: String(Date.now()),
        ...modified(),
      },
      settings: {
        ...defaults,
        ...rest,
        location: regionOf(rest.location ?? defaults.location),
        access: access?.length ? this.#checked(id, access) : structuredClone(initial),
      },
      tables: new Set(),
      given,
    };
    this.#held.set(id, dataset);
    return dataset;
  }

  #change(call: Call, wanted: Partial<Settings>): Reply {
    const dataset = this.#find(call);
    const { output, settings } = dataset;
    const asked = call.headers["if-match"];
    if (asked && asked !== output.etag) {
      throw new GoogleError(412, "Precondition check failed.", { reason: "conditionNotMet" });
    }
    const { access = settings.access, location = settings.location, ...rest } = settingsOf(wanted);
    if (regionOf(location) !== settings.location) {
      const message = `Cannot change the location of dataset ${output.id} from ${settings.location} to ${location}`;
      throw new GoogleError(400, message, { reason: "invalid" });
    }
    dataset.settings = {
      ...defaults,
      ...rest,
      location: settings.location,
      access: this.#checked(output.id, access),
    };
    Object.assign(output, modified());
    return told(dataset);
  }

  /** Grants as they are kept: none twice, roles by their older names, e-mails in lower case, of accounts that exist. */
  #checked(id: string, all: Access[]): Access[] {
    const kept = all.map(({ role, ...access }): Access => {
      const email = access.userByEmail?.toLowerCase();
      if (email?.endsWith("gserviceaccount.com") && !this.#world.hasAccount(email)) {
        const message = `IAM setPolicy failed for Dataset ${id}: Service account ${email} does not exist.`;
        throw new GoogleError(400, message, { reason: "invalid" });
      }
      return { ...(role && { role: legacy[role] ?? role }), ...access, ...(email && { userByEmail: email }) };
    });
    return [...new Map(kept.map((each) => [JSON.stringify(each), each])).values()];
  }
}

const told = ({ output, settings }: Dataset): Reply => ({ body: { ...output, ...settings } });

const modified = () => ({ etag: newEtag(), lastModifiedTime: String(Date.now()) });

const duplicate = (what: string) => new GoogleError(409, `Already Exists: ${what}`, { reason: "duplicate" });

const isInitial = new Set(initial.map((each) => JSON.stringify(each)));

const isOwn = (access: Access) => !isInitial.has(JSON.stringify(access));

const tableOf = ({ id, datasetReference }: Output, tableId: string) => ({
  kind: "bigquery#table",
  id: `${id}.${tableId}`,
  tableReference: { ...datasetReference, tableId },
  type: "TABLE",
});

/** Multi-regions are told in capitals, regions are not. */
const regionOf = (location: string) => (/^(us|eu)$/i.test(location) ? location.toUpperCase() : location.toLowerCase());

/** What a request says of a dataset: 64-bit numbers are text, and what is empty is not there. */
function settingsOf(wanted: Partial<Settings>): Partial<Settings> {
  const entries = Object.entries(structuredClone(wanted)).filter(([key]) => !outputOnly.test(key));
  const settings = withoutEmpty(Object.fromEntries(entries)) as Partial<Settings>;
  for (const [key, value] of Object.entries(settings)) if (typeof value === "number") settings[key] = String(value);
  return settings.labels ? { ...settings, labels: withoutEmpty(settings.labels) } : settings;
}

function withoutEmpty<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null && each !== "")) as T;
}
