import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { FunctionBuild } from "../../../components/functions/function-build.ts";
import { declared } from "../../declared.ts";

const build = (entryPoints?: string[]) =>
  declared(
    () =>
      new FunctionBuild("ci-build", {
        project: "my-project",
        location: "us-east1",
        bucketName: "my-sources",
        entryPoints,
      }),
  );

const objectOf = async (entryPoints?: string[]) => {
  const { name, source } = (await build(entryPoints))["BucketObject ci-build-object"] as {
    name: string;
    source: { assets: Record<string, { text: string }> };
  };
  return { name, mainPy: source.assets["main.py"]!.text };
};

describe("FunctionBuild", () => {
  it("declares an account that can build, and the source that functions are created with", async () => {
    const { "BucketObject ci-build-object": object, ...rest } = await build();
    const member = "serviceAccount:ci-build@my-project.iam.gserviceaccount.com";
    const role = (name: string) => ({
      [`IAMMember ci-build-${name}`]: { project: "my-project", role: `roles/${name}`, member },
    });
    assert.deepEqual(rest, {
      "FunctionBuild ci-build": {},
      "Account ci-build-account": {
        accountId: "ci-build",
        project: "my-project",
        displayName: "ci-build (Cloud Build)",
      },
      ...role("artifactregistry.writer"),
      ...role("logging.logWriter"),
      "IAMMember ci-build-storage.objectViewer": {
        project: "my-project",
        role: "roles/storage.objectViewer",
        member,
        condition: {
          title: "sources of functions",
          expression: 'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-")',
        },
      },
      "Bucket ci-build-bucket": {
        name: "my-sources",
        project: "my-project",
        location: "us-east1",
        uniformBucketLevelAccess: true,
        publicAccessPrevention: "enforced",
        forceDestroy: true,
      },
    });
    assert.equal(object!["bucket"], "my-sources");
    assert.match(String(object!["name"]), /^first-source-[0-9a-f]{16}\.zip$/);
  });

  it("names the archive by its content: the same for the same entry points, in whatever order", async () => {
    const [one, other, more] = [
      await objectOf(["a", "b"]),
      await objectOf(["b", "a", "b"]),
      await objectOf(["a", "b", "c"]),
    ];
    assert.equal(one.name, other.name);
    assert.notEqual(one.name, more.name);
  });

  it("starts as a program and answers 503 at every entry point", async () => {
    const { mainPy } = await objectOf(["main", "handle"]);
    const framework =
      "import sys, types; m = types.ModuleType('functions_framework'); m.http = lambda f: f; sys.modules['functions_framework'] = m";
    const script = `${framework}\n${mainPy}\nprint(main(None), handle(None))`;
    assert.equal(
      execFileSync("python3", ["-c", script], { encoding: "utf8" }),
      "('No version has been deployed yet.\\n', 503) ('No version has been deployed yet.\\n', 503)\n",
    );
  });
});
