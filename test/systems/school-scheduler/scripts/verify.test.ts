import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import type { Workflow } from "../../../../components/github/workflow.ts";
import { deliveredFiles } from "../../../../systems/school-scheduler/repository/files.ts";
import { scriptSuite } from "../../../support/script-suite.ts";
import { configOf } from "../fixture.ts";

const SCRIPT = fileURLToPath(new URL("../../../../systems/school-scheduler/repository/verify.sh", import.meta.url));
const IMAGE = `ghcr.io/sua-org/school_scheduler@sha256:${"a".repeat(64)}`;

/** Who must have signed, as prod's workflow gives it to the script. */
const signer = (changes: object = {}): string => {
  const [file] = deliveredFiles(configOf("prod", changes), "sua-org");
  const { jobs } = parse(file!.text) as Workflow;
  const { env } = jobs["image"]!.steps!.find(({ name }) => name === "Verify the signature")!;
  assert.deepEqual(Object.keys(env as object), ["IMAGE", "SIGNER"]);
  return (env as { SIGNER: string }).SIGNER;
};

describe("verify.sh", () => {
  const suite = scriptSuite();
  /** cosign as it answers to a signature that this workflow has made at this ref; `undefined`: there is none. */
  const signedBy = (identity: string | undefined) =>
    suite.box.stub(
      "cosign",
      identity === undefined
        ? "echo 'Error: no signatures found' >&2; exit 10"
        : `echo '[{"critical":{}}]'
grep -qP "$5" <<<'${identity}' || { echo 'Error: none of the expected identities matched' >&2; exit 12; }`,
    );
  const run = (SIGNER = signer()) => suite.box.bash(SCRIPT, { IMAGE, SIGNER });
  const takes = async (identity: string, changes?: object) => {
    signedBy(identity);
    const { code, output } = await run(signer(changes));
    assert.deepEqual([code, output], [0, ""], identity);
  };
  const refuses = async (cause: RegExp, SIGNER?: string) => {
    const { code, stdout, stderr } = await run(SIGNER);
    assert.equal(code, 1);
    const [error, ...more] = stdout.split("\n").filter((line) => line.startsWith("::"));
    assert.deepEqual(more, []);
    assert.match(
      error!,
      /^::error title=Not signed by preprod::ghcr\.io\/sua-org\/school_scheduler@sha256:a{64} has no/,
    );
    assert.match(
      error!,
      /Nothing was deployed\. Run preprod's workflow on this commit, wait until its gate has passed/,
    );
    assert.match(stderr, cause);
  };
  const preprod = "https://github.com/sua-org/school_scheduler/.github/workflows/ci-preprod.yml@refs/";

  it("asks cosign for the signature of GitHub's own identity on the digest", async () => {
    await takes(`${preprod}heads/main`);
    assert.deepEqual(
      suite.box.calls("cosign").map(({ argv }) => argv),
      [
        [
          ...["verify", "--certificate-oidc-issuer", "https://token.actions.githubusercontent.com"],
          ...["--certificate-identity-regexp", signer(), IMAGE],
        ],
      ],
    );
  });

  it("takes what preprod's workflow has signed, on the branch or a tag preprod/*, however GitHub spells the owner", async () => {
    await takes(`${preprod}heads/main`);
    await takes(`${preprod}tags/preprod/2026-11-22`);
    await takes(`${preprod.replace("sua-org/school_s", "Sua-Org/School_S")}heads/main`);
    await takes(`${preprod}heads/rel/1.0`, { branch: "rel/1.0" });
  });

  for (const [what, identity, changes] of [
    ["another workflow", `${preprod.replace("preprod.yml", "homolog.yml")}heads/main`],
    ["a workflow of another spelling", `${preprod.replace("ci-preprod", "CI-preprod")}heads/main`],
    ["another repository", `${preprod.replace("scheduler", "scheduler2")}heads/main`],
    ["another owner", `${preprod.replace("sua-org", "somebody")}heads/main`],
    ["another host", `${preprod.replace("github.com", "githubXcom")}heads/main`],
    ["another branch", `${preprod}heads/feature/x`],
    ["a branch that begins so", `${preprod}heads/main2`],
    ["a branch of a tag's name", `${preprod}heads/preprod/1`],
    ["a tag that starts no run of preprod", `${preprod}tags/preprod/1/2`],
    ["a version's tag", `${preprod}tags/v1.2.3`],
    ["a pull request", `${preprod}pull/7/merge`],
    ["one that ends so", `https://example.org/?${preprod}heads/main`],
    ["a branch in which a dot is another character", `${preprod}heads/rel/1x0`, { branch: "rel/1.0" }],
  ] as const) {
    it(`refuses what ${what} has signed`, () => {
      signedBy(identity);
      return refuses(/none of the expected identities matched/, signer(changes));
    });
  }

  it("refuses what nobody has signed", () => {
    signedBy(undefined);
    return refuses(/no signatures found/);
  });

  it("refuses what cannot be checked, and lets cosign say why", () => {
    suite.box.stub("cosign", "echo 'Error: dial tcp: lookup rekor.sigstore.dev: no such host' >&2; exit 1");
    return refuses(/no such host/);
  });

  it("refuses where cosign is missing", () => refuses(/cosign: command not found/));

  it("refuses to run without an image", async () => {
    signedBy(`${preprod}heads/main`);
    const { code, stderr } = await suite.box.bash(SCRIPT, { SIGNER: signer() });
    assert.notEqual(code, 0);
    assert.match(stderr, /IMAGE: unbound variable/);
  });
});
