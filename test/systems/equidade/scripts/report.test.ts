import assert from "node:assert/strict";
import { real } from "../../../support/sandbox.ts";
import { scriptSuite } from "../../../support/script-suite.ts";

const SCRIPT = new URL("../../../../systems/equidade/package-repository/report.sh", import.meta.url).pathname;
const CANARY = "ghs_canaryOfReport";
const route = (page: number) =>
  `GET /repos/org/equidade-data-package/actions/runs/12345/attempts/2/jobs?per_page=100&page=${page}`;

interface Job {
  name: string;
  status: string;
  conclusion: string | null;
  html_url: string;
}
const job = (name: string, conclusion: string | null = "success"): Job => ({
  name,
  conclusion,
  status: conclusion ? "completed" : "in_progress",
  html_url: `https://github.com/job/${encodeURIComponent(name)}`,
});
const functions = (count: number): Job[] =>
  Array.from({ length: count }, (_, at) =>
    job(`${at < 256 ? "dispatch" : `dispatch-${Math.floor(at / 256) + 1}`} (cloud-function-${at + 1})`),
  );

describe("report.sh", () => {
  const suite = scriptSuite();

  const serve = (jobs: Job[]) => {
    for (let page = 1; page <= Math.ceil(jobs.length / 100) + 1; page++) {
      suite.github.on(route(page), {
        body: { total_count: jobs.length, jobs: jobs.slice(page * 100 - 100, page * 100) },
      });
    }
  };
  const run = () =>
    suite.box.bash(SCRIPT, {
      GITHUB_API_URL: suite.github.url,
      GITHUB_REPOSITORY: "org/equidade-data-package",
      GITHUB_RUN_ID: "12345",
      GITHUB_RUN_ATTEMPT: "2",
      GITHUB_TOKEN: CANARY,
      VERSION: "v0.2.3",
    });

  it("says that all were notified", async () => {
    serve([job("version"), ...functions(3), job("report", null)]);
    const result = await run();
    assert.equal(result.code, 0, result.output);
    assert.equal(result.output, "all 3 repositories notified\n");
    assert.equal(
      suite.box.read("summary"),
      "### Release v0.2.3\n\n| Repositories | |\n| --- | ---: |\n| notified | 3 |\n| not notified | 0 |\n",
    );
  });

  it("names every repository that was not notified, whatever the reason", async () => {
    const ends = ["failure", "cancelled", "skipped", "timed_out", "action_required", null] as const;
    serve([...functions(2), ...ends.map((end, at) => job(`dispatch-2 (f-${at})`, end))]);
    const result = await run();
    assert.equal(result.code, 1);
    assert.equal(
      result.stdout.split("::")[2]?.split(". Run")[0],
      "6 of 8 not notified: f-0 (failure), f-1 (cancelled), f-2 (skipped), f-3 (timed_out), f-4 (action_required), f-5 (in_progress)",
    );
    const summary = suite.box.read("summary");
    assert.match(summary, /\| notified \| 2 \|\n\| not notified \| 6 \|\n\n\| Not notified \| Job \|\n/);
    assert.match(summary, /\n\| f-3 \| \[timed_out\]\(https:\/\/github\.com\/job\/dispatch-2%20\(f-3\)\) \|\n/);
    assert.ok(!summary.includes("cloud-function-1"), "who was notified is not in the table of failures");
  });

  it("reads all pages of 1,000 jobs, each once", async () => {
    const jobs = [...functions(999), job("dispatch-4 (last)", "failure")];
    serve(jobs);
    const result = await run();
    assert.equal(result.code, 1);
    assert.match(result.stdout, /1 of 1000 not notified: last \(failure\)\./);
    assert.deepEqual(
      suite.github.requests.map(({ method, path }) => `${method} ${path}`),
      Array.from({ length: 10 }, (_, at) => route(at + 1)),
    );
  });

  it("stops at an empty page even if GitHub counts more", async () => {
    suite.github
      .on(route(1), { body: { total_count: 3, jobs: functions(2) } })
      .on(route(2), { body: { total_count: 3, jobs: [] } });
    assert.equal((await run()).stdout, "all 2 repositories notified\n");
  });

  it("counts only the jobs of the dispatch", async () => {
    serve([
      ...functions(1),
      job("dispatch", "skipped"),
      job("dispatcher (x)", "failure"),
      job("my dispatch (x)", "failure"),
      job("dispatch-x (y)", "failure"),
    ]);
    assert.equal((await run()).stdout, "all 1 repositories notified\n");
  });

  it("fails when no dispatch job ran at all", async () => {
    serve([job("version", "failure"), job("dispatch", "skipped")]);
    const result = await run();
    assert.equal(result.code, 1);
    assert.match(result.stdout, /^::error title=Nobody was notified::/);
  });

  it("asks again after a 502", async () => {
    serve(functions(1));
    suite.github.on(route(1), { status: 502 }, { body: { total_count: 1, jobs: functions(1) } });
    assert.equal((await run()).code, 0);
    assert.equal(suite.github.requests.length, 2);
  });

  for (const [what, answer] of [
    ["a refusal", { status: 403 }],
    ["something that is no list", { body: "hello" }],
  ] as const) {
    it(`fails on ${what}, without asking again`, async () => {
      suite.github.on(route(1), answer);
      const result = await run();
      assert.equal(result.code, 1);
      assert.match(result.stdout, /^::error title=No report::/);
      assert.equal(suite.github.requests.length, 1);
    });
  }

  it("takes no workflow command and no table from the name of a job", async () => {
    serve([job("dispatch (a%0A::error::b|c)", "failure")]);
    const result = await run();
    assert.match(result.stdout, /: a%250A::error::b\|c \(failure\)/);
    assert.match(suite.box.read("summary"), /\n\| a%0A::error::b c \| \[/);
  });

  it("shows the token to nobody", async () => {
    for (const tool of ["curl", "jq"]) suite.box.stub(tool, `exec ${real(tool)} "$@"`);
    suite.box.stub("curl", `exec ${real("curl")} "$@"`);
    serve(functions(2));
    const result = await run();
    assert.equal(result.code, 0, result.output);
    assert.equal(suite.github.requests[0]?.headers.authorization, `Bearer ${CANARY}`);
    assert.ok(!result.output.includes(CANARY));
    assert.deepEqual(suite.box.filesWith(CANARY), []);
  });
});
