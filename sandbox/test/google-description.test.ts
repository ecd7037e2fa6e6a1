/** Google's discovery documents as descriptions: which request is what, and what is wrong with one. */
import assert from "node:assert/strict";
import type { Call } from "../stand-in/api.ts";
import { discovery } from "../stand-in/discovery.ts";

const storage = discovery("storage.v1");
const functions = discovery("cloudfunctions.v2");
const secrets = discovery("secretmanager.v1");
const iam = discovery("iam.v1", "/iam");

const problems = (description: typeof iam, method: string, url: string, body?: unknown, type = "application/json") => {
  const { pathname, searchParams } = new URL(url, "http://127.0.0.1");
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body === undefined ? "" : JSON.stringify(body));
  const match = description.match(method, pathname)!;
  const headers = { "content-type": type };
  const call: Call = {
    ...match,
    method,
    url,
    query: searchParams,
    headers,
    body: Buffer.isBuffer(body) ? undefined : body,
    bytes,
  };
  return description.problems(call);
};

const account = "/iam/v1/projects/p/serviceAccounts/a@p.iam.gserviceaccount.com";
const functionsOf = "/v2/projects/p/locations/l/functions";

describe("A discovery document", () => {
  it("finds a method by its path, with the parameters that the path has", () => {
    assert.deepEqual(iam.match("GET", account), {
      operation: "iam.projects.serviceAccounts.get",
      params: { name: "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com" },
    });
    assert.equal(functions.match("POST", functionsOf)?.operation, "cloudfunctions.projects.locations.functions.create");
    assert.deepEqual(storage.match("GET", "/storage/v1/b/src/o/a%2Fb.zip"), {
      operation: "storage.objects.get",
      params: { bucket: "src", object: "a/b.zip" },
    });
    assert.equal(storage.match("GET", "/storage/v1/b/src/anywhereCaches/")?.operation, "storage.anywhereCaches.list");
    assert.equal(storage.match("POST", "/upload/storage/v1/b/src/o")?.operation, "storage.objects.insert");
  });

  it("takes a verb for a verb, and an unknown one for nothing", () => {
    assert.equal(iam.match("POST", `${account}:getIamPolicy`)?.operation, "iam.projects.serviceAccounts.getIamPolicy");
    assert.equal(iam.match("GET", `${account}:getIamPolicy`), undefined);
    const secret = "/v1/projects/p/secrets/s";
    assert.equal(
      secrets.match("GET", `${secret}:getIamPolicy`)?.operation,
      "secretmanager.projects.secrets.getIamPolicy",
    );
    assert.equal(iam.match("GET", account.replace("/iam/", "/")), undefined);
    assert.equal(iam.match("PUT", `${account}/keys`), undefined);
  });

  it("finds nothing wrong with a good request", () => {
    const body = {
      buildConfig: { runtime: "python313", environmentVariables: { A: "b" } },
      serviceConfig: { timeoutSeconds: 60, ingressSettings: "ALLOW_ALL", availableMemory: null },
    };
    assert.deepEqual(problems(functions, "POST", `${functionsOf}?functionId=f&alt=json&prettyPrint=false`, body), []);
    assert.deepEqual(problems(functions, "POST", `${functionsOf}?function_id=f&$alt=json`, body), []);
    assert.deepEqual(problems(iam, "GET", account), []);
  });

  it("names the field that there is not, where it stands", () => {
    const unknown = (body: object) => problems(functions, "POST", functionsOf, body);
    assert.deepEqual(unknown({ serviceConfig: { memory: 1 } }), [
      "Invalid JSON payload received. Unknown name \"memory\" at 'function.service_config': Cannot find field.",
    ]);
    assert.deepEqual(unknown({ eventTrigger: { eventFilters: [{}, { op: "" }] }, x: 1 }), [
      "Invalid JSON payload received. Unknown name \"op\" at 'function.event_trigger.event_filters[1]': Cannot find field.",
      "Invalid JSON payload received. Unknown name \"x\" at 'function': Cannot find field.",
    ]);
  });

  it("names the value that does not fit", () => {
    const serviceConfig = {
      timeoutSeconds: "long",
      ingressSettings: "ALLOW",
      environmentVariables: { A: 1 },
      minInstanceCount: 1.5,
    };
    assert.deepEqual(problems(functions, "POST", functionsOf, { serviceConfig, labels: "a" }), [
      "Invalid value at 'function.service_config.timeout_seconds' (TYPE_INT32), \"long\"",
      "Invalid value at 'function.service_config.ingress_settings' (TYPE_ENUM), \"ALLOW\"",
      "Invalid value at 'function.service_config.environment_variables.A' (TYPE_STRING), 1",
      "Invalid value at 'function.service_config.min_instance_count' (TYPE_INT32), 1.5",
      "Invalid value at 'function.labels' (type.googleapis.com message), \"a\"",
    ]);
  });

  it("names the parameter that there is not, is missing or does not fit", () => {
    assert.deepEqual(problems(storage, "POST", "/storage/v1/b", { name: "b" }), ["Required parameter: project"]);
    assert.deepEqual(problems(functions, "GET", `${functionsOf}?pageSize=many&size=1`), [
      "Invalid value at 'page_size' (TYPE_INT32), \"many\"",
      "Invalid JSON payload received. Unknown name \"size\": Cannot bind query parameter. Field 'size' could not be found in request message.",
    ]);
  });

  it("refuses what is no JSON, and a body where none is asked", () => {
    assert.deepEqual(problems(functions, "POST", functionsOf, Buffer.from("{")), [
      "Invalid JSON payload received. Unexpected token.",
    ]);
    assert.match(problems(iam, "DELETE", account, { name: "x" }).join(), /Unknown name "name"/);
  });

  it("looks into the first part of an upload", () => {
    const upload = (metadata: object) =>
      problems(
        storage,
        "POST",
        "/upload/storage/v1/b/src/o?uploadType=multipart",
        Buffer.from(
          `--x\r\ncontent-type: application/json\r\n\r\n${JSON.stringify(metadata)}\r\n--x\r\ncontent-type: a/b\r\n\r\nabc\r\n--x--`,
        ),
        "multipart/related; boundary=x",
      );
    assert.deepEqual(upload({ name: "a" }), []);
    assert.match(upload({ names: "a" }).join(), /Unknown name "names" at 'object'/);
  });
});
