import assert from "node:assert/strict";
import { type Env, Sandbox } from "../../../support/sandbox.ts";

const SCRIPT = new URL("../../../../systems/equidade/function-repository/deploy.sh", import.meta.url).pathname;
const SHA = "0123456789abcdef0123456789abcdef01234567";
const WHERE = ["--gen2", "--region=southamerica-east1", "--project=equidade-prod"];

const BUILDER = "projects/equidade-prod/serviceAccounts/equidade-build@equidade-prod.iam.gserviceaccount.com";

interface Function {
  state?: string;
  serviceConfig?: { revision?: string; allTrafficOnLatestRevision?: boolean };
  labels?: Record<string, string>;
  stateMessages?: { severity: string; message: string }[];
}
const OLD: Function = {
  state: "ACTIVE",
  serviceConfig: { revision: "f-00001-old", allTrafficOnLatestRevision: true },
  labels: { team: "data", "equidade-data-package": "0_2_2", commit: "ffffffffffff" },
};
const NEW: Function = {
  ...OLD,
  serviceConfig: { revision: "f-00002-new", allTrafficOnLatestRevision: true },
  labels: { team: "data", "equidade-data-package": "0_2_3", commit: SHA.slice(0, 12) },
};

describe("deploy.sh", () => {
  let box: Sandbox;
  beforeEach(() => {
    box = new Sandbox();
  });
  afterEach(() => box.dispose());

  /** A gcloud whose `describe` gives these in order (an error for a text) and whose `deploy` ends so. */
  const gcloud = (described: (Function | string)[], deployed = "exit 0") => {
    for (const [at, answer] of described.entries()) {
      box.write(`described/${at}`, typeof answer === "string" ? `!${answer}` : JSON.stringify(answer));
    }
    box.stub(
      "gcloud",
      `
[[ $2 == deploy ]] && { ${deployed}; }
n=$(cat ${box.path("n")} 2>/dev/null || echo 0)
echo $(( n < ${described.length - 1} ? n + 1 : n )) >${box.path("n")}
answer=$(cat ${box.path("described")}/$n)
[[ $answer != !* ]] || { echo "ERROR: (gcloud.functions.describe) \${answer#!}" >&2; exit 1; }
printf '%s' "$answer"`,
    );
  };
  const run = (more: Env = {}) =>
    box.bash(SCRIPT, {
      FUNCTION_NAME: "cloud-function-1",
      GCP_PROJECT: "equidade-prod",
      REGION: "southamerica-east1",
      PACKAGE: "equidade-data-package",
      VERSION: "0.2.3",
      LABEL: "0_2_3",
      RUNTIME: "python313",
      ENTRY_POINT: "main",
      BUILD_ACCOUNT: BUILDER,
      ACCESS: "the secret GCP_SA_KEY",
      SHA,
      VERIFY_ATTEMPTS: "3",
      VERIFY_SECONDS: "0",
      ...more,
    });
  const called = () => box.calls("gcloud").map(({ argv }) => argv);
  const deployments = () => called().filter(([, verb]) => verb === "deploy");
  const error = (stdout: string, ...parts: RegExp[]) => {
    const lines = stdout.split("\n").filter((line) => line.startsWith("::"));
    assert.equal(lines.length, 1, stdout);
    for (const part of parts) assert.match(lines[0] ?? "", part);
  };

  it("describes, deploys once, and describes until the new revision serves: with exactly these arguments", async () => {
    gcloud([OLD, { ...NEW, state: "DEPLOYING" }, NEW]);
    const result = await run();
    assert.equal(result.code, 0, result.output);
    const describe = ["functions", "describe", "cloud-function-1", ...WHERE, "--format=json"];
    assert.deepEqual(called(), [
      describe,
      [
        "functions",
        "deploy",
        "cloud-function-1",
        ...WHERE,
        "--source=.",
        "--runtime=python313",
        "--entry-point=main",
        `--build-service-account=${BUILDER}`,
        "--update-labels=equidade-data-package=0_2_3,commit=0123456789ab",
        "--quiet",
      ],
      describe,
      describe,
    ]);
    assert.equal(
      box.read("summary"),
      "- `cloud-function-1`: revision `f-00002-new` is serving with `equidade-data-package==0.2.3`, commit `0123456789ab`\n",
    );
    assert.ok(!result.stdout.includes("::"));
  });

  it("without an exact version gives, and expects, no label for the package", async () => {
    gcloud([OLD, { ...NEW, labels: { ...OLD.labels, commit: SHA.slice(0, 12) } }]);
    const result = await run({ VERSION: "", LABEL: "" });
    assert.equal(result.code, 0, result.output);
    // And none of the version before: it would lie.
    assert.deepEqual(deployments()[0]?.slice(-3), [
      "--update-labels=commit=0123456789ab",
      "--remove-labels=equidade-data-package",
      "--quiet",
    ]);
    assert.equal(
      box.read("summary"),
      "- `cloud-function-1`: revision `f-00002-new` is serving, commit `0123456789ab`\n",
    );
  });

  it("deploys a function that never served", async () => {
    gcloud([{ state: "FAILED" }, NEW]);
    assert.equal((await run()).code, 0);
  });

  it("bears one description that fails while it waits", async () => {
    gcloud([OLD, "ResponseError: status=[503], code=[Service Unavailable]", NEW]);
    assert.equal((await run()).code, 0);
  });

  describe("before the deployment: says what to mend and deploys nothing", () => {
    const errors: [string, string, RegExp][] = [
      [
        "no such function",
        "ResponseError: status=[404], code=[Not Found], message=[Resource 'projects/p/locations/l/functions/f' was not found]",
        /does not exist in equidade-prod, southamerica-east1\. Check FUNCTION_NAME, which comes from the infrastructure's stack file; its program creates the function/,
      ],
      [
        "no permission",
        "ResponseError: status=[403], code=[Forbidden], message=[Permission 'cloudfunctions.functions.get' denied on resource]",
        /roles Cloud Functions Developer and Service Account User/,
      ],
      [
        "no credentials",
        "You do not currently have an active account selected.",
        /credentials of the secret GCP_SA_KEY: not configured, or revoked/,
      ],
      ["anything else", "boom\n::error::x 100%", /gcloud said: .*boom%0A::error::x 100%25$/],
    ];
    for (const [what, words, message] of errors) {
      it(what, async () => {
        gcloud([words]);
        const result = await run();
        assert.equal(result.code, 1);
        error(result.stdout, /^::error title=Not deployed::/, message);
        assert.equal(called().length, 1);
        assert.equal(box.read("summary"), "");
      });
    }

    for (const [name, value] of [
      ["FUNCTION_NAME", ""],
      ["FUNCTION_NAME", "--help"],
      ["REGION", "a b"],
      ["SHA", ""],
      ["LABEL", "x,team=evil"],
      ["GCP_PROJECT", "p\n::error::x"],
    ] as const) {
      it(`${name}=${JSON.stringify(value)}`, async () => {
        gcloud([OLD]);
        const result = await run({ [name]: value });
        assert.equal(result.code, 1);
        error(result.stdout, new RegExp(`^::error title=Not deployed::${name} is `));
        assert.deepEqual(called(), []);
      });
    }
  });

  describe("a deployment that fails is not tried again", () => {
    it("and says which revision is serving still", async () => {
      gcloud(
        [OLD],
        'echo "ERROR: (gcloud.functions.deploy) Build failed: No matching distribution found 100%"; exit 1',
      );
      const result = await run();
      assert.equal(result.code, 1);
      error(
        result.stdout,
        /^::error title=Deployment failed::gcloud said: .*No matching distribution found 100%25 Still serving: f-00001-old\.$/,
      );
      assert.match(
        result.stdout,
        /^ERROR: \(gcloud\.functions\.deploy\) Build failed/m,
        "the words of gcloud are in the log",
      );
      assert.equal(deployments().length, 1);
      assert.equal(box.read("summary"), "");
    });

    it("and names the roles when they are what is missing", async () => {
      gcloud([OLD], "echo \"ERROR: Permission 'iam.serviceaccounts.actAs' denied on service account x\" >&2; exit 1");
      const result = await run();
      assert.equal(result.code, 1);
      error(result.stdout, /roles Cloud Functions Developer and Service Account User.*Still serving: f-00001-old/);
      assert.equal(deployments().length, 1);
    });
  });

  describe("a deployment that says it worked is not believed", () => {
    const messages = [{ severity: "ERROR", message: "Container failed to start\n::warning::x" }];
    const doubts: [string, (Function | string)[], number, RegExp[]][] = [
      [
        "when the state is FAILED",
        [OLD, { ...NEW, state: "FAILED", stateMessages: messages }],
        1,
        [/found state FAILED/, /ERROR: Container failed to start%0A::warning::x/, /Still serving: f-00001-old\.$/],
      ],
      [
        "when it never becomes ACTIVE",
        [OLD, { ...NEW, state: "DEPLOYING" }],
        3,
        [/expected state ACTIVE/, /found state DEPLOYING/, /Still serving: f-00001-old/],
      ],
      [
        "when the old revision still serves",
        [OLD, { ...NEW, serviceConfig: OLD.serviceConfig }],
        3,
        [/a revision other than f-00001-old/, /revision f-00001-old/, /Still serving: f-00001-old/],
      ],
      ["when no revision is named", [OLD, { ...NEW, serviceConfig: {} }], 3, [/revision none/]],
      [
        "when the label of the package is the old one",
        [OLD, { ...NEW, labels: { ...NEW.labels, "equidade-data-package": "0_2_2" } }],
        3,
        [
          /labels equidade-data-package=0_2_3,commit=0123456789ab; found .*equidade-data-package=0_2_2/,
          /Still serving: f-00002-new/,
        ],
      ],
      [
        "when the label of the commit is the old one",
        [OLD, { ...NEW, labels: { ...NEW.labels, commit: "ffffffffffff" } }],
        3,
        [/commit=ffffffffffff/],
      ],
      ["when there are no labels", [OLD, { ...NEW, labels: undefined }], 3, [/labels none/]],
      [
        "when traffic stays on an older revision",
        [OLD, { ...NEW, serviceConfig: { revision: "f-00002-new", allTrafficOnLatestRevision: false } }],
        3,
        [/all traffic on it/, /Still serving: f-00001-old/],
      ],
      [
        "when it cannot be described any more",
        [OLD, "ResponseError: status=[503]"],
        3,
        [/found state unknown: .*status=\[503\]/, /Still serving: f-00001-old/],
      ],
    ];
    for (const [when, described, polls, parts] of doubts) {
      it(when, async () => {
        gcloud(described);
        const result = await run();
        assert.equal(result.code, 1, result.output);
        error(result.stdout, /^::error title=Not verified::cloud-function-1: /, ...parts);
        assert.equal(called().length, 2 + polls);
        assert.equal(deployments().length, 1);
        assert.equal(box.read("summary"), "");
      });
    }
  });
});
