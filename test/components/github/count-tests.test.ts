/** The counting of a suite's tests, run as a step runs it, on what pytest 9 writes. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { countedSuite, countedSuiteSteps, countTests } from "../../../components/github/python-checks.ts";
import { PYTHON, Sandbox } from "../../support/sandbox.ts";
import { refusalOf } from "../../support/script-suite.ts";

const program = join(import.meta.dirname, "../../../components/github/count_tests.py");

/** A test's element, with what came of it; nothing, if it passed. */
const testcase = (name: string, ...results: string[]) =>
  `<testcase classname="test_x" name="${name}" time="0.001">${results.join("")}</testcase>`;
const passing = (count: number) => Array.from({ length: count }, (_, index) => testcase(`test_p[${index}]`));
const report = (...cases: string[]) =>
  `<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" tests="${cases.length}">${cases.join("")}</testsuite></testsuites>`;

const skipped = '<skipped type="pytest.skip" message="no &lt;key&gt;">/tests/test_x.py:4: no &lt;key&gt;</skipped>';
const xfailed = '<skipped type="pytest.xfail" message="" />';
const xpassedStrictly = '<failure message="[XPASS(strict)] ">[XPASS(strict)] </failure>';
const failed = '<failure message="assert 0">def test_f(): assert 0</failure>';
const notSetUp = '<error message="failed on setup with &quot;RuntimeError: setup&quot;">RuntimeError</error>';
const notTornDown = '<error message="failed on teardown with &quot;RuntimeError: end&quot;">RuntimeError</error>';

describe("count_tests.py", () => {
  let box: Sandbox;
  beforeEach(() => {
    box = new Sandbox();
  });
  afterEach(() => box.dispose());

  /** @param xml the report; undefined where there is none */
  const count = (expected: number, xml: string | undefined) => {
    if (xml !== undefined) box.write("report.xml", xml);
    const env = { SUITE: "Bridge AI", EXPECTED: `${expected}`, REPORT: box.path("report.xml") };
    return box.run(PYTHON, [program], { env });
  };

  it("takes as many as are expected, by whatever names", async () => {
    const xml = report(
      ...passing(2),
      testcase("test_p[a&lt;b&amp;&quot;c&quot;]"),
      testcase("test_p[\\xe9]"),
      // Of a class, and one that passed though it was not expected to: pytest marks neither.
      '<testcase classname="test_x.TestC" name="test_in" time="0.000" />',
      testcase("test_xpassed"),
    );
    const { code, output } = await count(6, xml);
    assert.deepEqual([code, output], [0, "Bridge AI: 6 tests passed, as expected\n"]);
    assert.equal(box.read("summary"), "- Bridge AI: 6 tests passed, as expected\n");
  });

  it("says that there are more, or the next that vanishes is not noticed", async () => {
    const { code, output } = await count(15, report(...passing(16)));
    assert.equal(code, 0);
    assert.match(output, /^::notice title=Bridge AI::16 tests passed, 15 are expected: raise the number, .*\n$/);
    assert.match(box.read("summary"), /^- Bridge AI: 16 tests passed, 15 are expected/);
  });

  for (const [what, ...cases] of [
    ["that vanished"],
    ["that is skipped", testcase("test_s", skipped)],
    ["that is expected to fail, and does", testcase("test_xf", xfailed)],
    ["that passes against its strict mark", testcase("test_xps", xpassedStrictly)],
    ["that fails", testcase("test_f", failed)],
    ["that cannot be set up", testcase("test_e", notSetUp)],
    ["that cannot clean up", testcase("test_t", notTornDown)],
    [
      "that fails, and then cannot clean up: pytest tells it twice",
      testcase("test_ft", failed),
      testcase("test_ft", notTornDown),
    ],
    ["that is skipped, and then cannot clean up: it has two marks", testcase("test_st", skipped, notTornDown)],
    [
      "whose module cannot be imported",
      '<testcase classname="" name="test_x" time="0"><error message="collection failure">E</error></testcase>',
    ],
  ] as const) {
    it(`misses one ${what}`, async () => {
      const text = refusalOf(await count(16, report(...passing(15), ...cases)), box, "Bridge AI");
      assert.match(
        text,
        /^15 tests passed( \(1 skipped: [a-z_]+\))?; expected 16\. Bring back what is missing, or change /,
      );
      assert.equal(
        text.includes("skipped:"),
        cases.some((each) => each.includes("<skipped")),
      );
      assert.equal(box.read("summary"), `- Bridge AI: ${text}\n`);
    });
  }

  it("counts none in an empty suite, in a report of nothing, and where there is no report", async () => {
    assert.match(refusalOf(await count(1, report()), box, "Bridge AI"), /^0 tests passed; expected 1\./);
    assert.match(refusalOf(await count(1, "<testsuites />"), box, "Bridge AI"), /^0 tests passed; expected 1\./);
    for (const xml of [undefined, "", report(...passing(9)).slice(0, -20), "pytest: error", "\u0000"]) {
      await box.run("rm", ["-f", box.path("report.xml")]);
      const text = refusalOf(await count(1, xml), box, "Bridge AI");
      assert.equal(text, "there is no report of the tests: they did not run to their end");
    }
  });

  it("names what is skipped on one line that commands nothing, however many and whatever they are called", async () => {
    const names = ["a%0A::error::b", "x&#10;::set-output name=y::z", "é&lt;&amp;", ...Array(200).fill("test_long")];
    const result = await count(1, report(...names.map((each) => testcase(each, skipped))));
    const text = refusalOf(result, box, "Bridge AI");
    assert.ok(
      text.startsWith("0 tests passed (203 skipped: a%250A::error::b, x ::set-output name=y::z,  <&, test_long"),
      text,
    );
    assert.ok(text.length < 600, `${text.length}`);
  });

  it("is given each suite's own report and number", () => {
    const suite = countedSuite.parse({ name: "Validator AI 2.0", path: "tests/test_v.py", tests: 12 });
    const [run, counted] = countedSuiteSteps(suite);
    const REPORT = "${{ runner.temp }}/validator-ai-2-0.xml";
    assert.deepEqual(run.env, { SUITE: "tests/test_v.py", REPORT });
    assert.deepEqual(counted.env, { SUITE: "Validator AI 2.0", EXPECTED: "12", REPORT });
    assert.equal(counted.run, `python ${countTests().path}`);
    // A step that fails ends the job: what is counted are tests of which none failed.
    assert.deepEqual([run.if, counted.if, run["continue-on-error"]], [undefined, undefined, undefined]);
  });
});
