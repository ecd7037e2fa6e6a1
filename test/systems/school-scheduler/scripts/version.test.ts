import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { refusalOf, scriptSuite } from "../../../support/script-suite.ts";

const SCRIPT = fileURLToPath(new URL("../../../../systems/school-scheduler/repository/version.sh", import.meta.url));

describe("version.sh", () => {
  const suite = scriptSuite();
  const run = (TAG?: string) => suite.box.bash(SCRIPT, { TAG });

  for (const tag of ["v0.0.0", "v1.2.3", "v10.20.30", "v999999999.999999999.999999999"]) {
    it(`takes ${tag}, silently`, async () => {
      const { code, output } = await run(tag);
      assert.deepEqual([code, output], [0, ""]);
      // What comes of it is a tag that a registry takes.
      assert.match(tag, /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/);
    });
  }

  for (const tag of [
    ...[
      "v1.2",
      "v1.2.3.4",
      "1.2.3",
      "V1.2.3",
      "vv1.2.3",
      "v",
      "v.1.2",
      "v1..2",
      "vnext",
      "v1.2.3-rc.1",
      "v1.2.3+build",
    ],
    ...["v01.2.3", "v1.02.3", "v1.2.03", "v00.0.0", "v-1.2.3", "v1x2x3", "v1.2.x", "xv1.2.3", "v1.2.3x", ""],
    ...["v1.2.1234567890", `v1.2.${"1".repeat(200)}`, "v٠.١.٢", "v1.2.３", "v1.2.3é"],
    ...[" v1.2.3", "v1.2.3 ", "v1.2.3\n", "v1.2.3\nv1.2.4", "\nv1.2.3"],
  ]) {
    it(`refuses ${JSON.stringify(tag).slice(0, 40)}, and says what to do`, async () =>
      assert.match(
        refusalOf(await run(tag), suite.box, "Not a version"),
        /^the tag .* is no version: expected vX\.Y\.Z.* Nothing was deployed\. Delete it \(git push --delete origin TAG\)/,
      ));
  }

  it("runs nothing that a tag is called after, and lets it say no more than its name", async () => {
    suite.box.stub("touch");
    for (const tag of [
      "v$(touch$IFS'PWNED')",
      "v`touch`",
      "v1;touch",
      "v1.2.3&&touch",
      "v1|touch",
      "v'\"touch",
      "v${x:=touch}",
    ]) {
      refusalOf(await run(tag), suite.box, "Not a version");
      assert.deepEqual(suite.box.calls("touch"), []);
    }
    assert.match(
      refusalOf(await run("v%0A::warning::x"), suite.box, "Not a version"),
      /^the tag 'v%250A::warning::x' is no version/,
    );
  });

  it("refuses to run without a tag", async () => {
    const { code, stderr } = await run(undefined);
    assert.notEqual(code, 0);
    assert.match(stderr, /TAG: unbound variable/);
  });
});
