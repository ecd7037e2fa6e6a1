import assert from "node:assert/strict";
import { PYTHON } from "../../support/sandbox.ts";
import { scriptSuite } from "../../support/script-suite.ts";

const PIPELINE = new URL("../../../components/render/pipeline", import.meta.url).pathname;
const ROUTE = "GET /repos/sua-org/mining/actions/jobs/7/logs";

describe("github.py", () => {
  const suite = scriptSuite();

  /** What is read of job 7's log. */
  const log = async () => {
    const { code, output } = await suite.box.run(PYTHON, ["-c", "import github; print(repr(github.GitHub().log(7)))"], {
      env: {
        PYTHONPATH: PIPELINE,
        PYTHONDONTWRITEBYTECODE: "1",
        GITHUB_API_URL: suite.github.url,
        GITHUB_SERVER_URL: suite.github.url,
        GITHUB_REPOSITORY: "sua-org/mining",
        GITHUB_TOKEN: "ghs_canaryOfLogs",
        BRANCH: "main",
        RETRY_BASE_SECONDS: "0",
      },
    });
    assert.equal(code, 0, output);
    return output;
  };

  it("reads a log where GitHub says that it stands, without the token", async () => {
    suite.github.on(ROUTE, { status: 302, headers: { location: `${suite.github.url}/store?sig=1` } });
    suite.github.on("GET /store?sig=1", { body: "the log" });
    assert.equal(await log(), "'the log'\n");
    assert.deepEqual(
      suite.github.requests.map(({ headers }) => headers.authorization),
      ["Bearer ghs_canaryOfLogs", undefined],
    );
  });

  for (const location of ["", "elsewhere", "file://FILE", "ftp://127.0.0.1/x"]) {
    it(`reads none at ${JSON.stringify(location)}, where no log of GitHub's stands`, async () => {
      const file = suite.box.write("secret", "of this machine");
      suite.github.on(ROUTE, { status: 302, headers: { location: location.replace("FILE", file) } });
      assert.equal(await log(), "The log of job 7 cannot be read: status 302, at attempt 1\nNone\n");
    });
  }
});
