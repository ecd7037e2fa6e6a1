import assert from "node:assert/strict";
import { stacks } from "../../../systems/python-api/config.ts";
import { runbook } from "../../../systems/python-api/repository/runbook.ts";
import { configOf } from "./fixture.ts";

// That each command is one of Argo CD's is shown by test/argo-cd/python-api.test-real.ts.

const of = (stack: (typeof stacks)[number], changes: object = {}) => runbook(configOf(changes, stack), "Sua-Org");

/** The lines of its code blocks, without comments. */
const commands = (text: string) =>
  [...text.matchAll(/```bash\n([\s\S]*?)```/g)]
    .flatMap(([, block = ""]) => block.split("\n").map((line) => line.trim()))
    .filter((line) => line !== "" && !line.startsWith("#"));

describe("python-api's runbooks", () => {
  it("of dev and staging leave syncs to Argo CD, and roll back by Git", () => {
    for (const stack of ["dev", "staging"] as const) {
      const text = of(stack);
      assert.deepEqual(
        commands(text).filter((line) => /^argocd app (sync|wait|rollback)/.test(line)),
        ["sync X --dry-run", "sync X", "wait X --sync --health --timeout 600"].map(
          (each) => `argocd app ${each.replace("X", `python-api-base-${stack}`)}`,
        ),
      );
      assert.match(text, /`argocd app rollback` is refused here: automated sync is on/);
      assert.doesNotMatch(text, /## When a sync may start|## Hotfix|breakGlass/);
    }
  });

  it("of staging has the document's promotion", () => {
    assert.deepEqual(
      commands(of("staging")).filter((line) => line.startsWith("git ") && line.includes("rc")),
      ["git tag v1.2.0-rc.1", "git push origin v1.2.0-rc.1"],
    );
  });

  it("of prod goes diff, dry run, sync, wait", () => {
    const steps = ["diff", "sync", "sync", "wait"].map((verb) => `argocd app ${verb} python-api-base-prod`);
    const expected = [steps[0]!, `${steps[1]} --dry-run`, steps[2]!, `${steps[3]} --health --timeout 600`];
    const text = of("prod");
    const section = text.slice(text.indexOf("\n## Sync\n"), text.indexOf("\n## When a sync may start"));
    assert.deepEqual(commands(section), expected);
    assert.match(section, /needs an open sync window, the dry run too/);
  });

  it("of prod has a way out of hours that works, and says that --force is none", () => {
    const text = of("prod");
    assert.equal(commands(text).filter((line) => line.includes("--force")).length, 0);
    assert.match(text, /`argocd app sync python-api-base-prod --force` does \*\*not\*\* pass a window/);
    assert.match(text, /\n {3}breakGlass:\n {5}who: .*\n {5}why: ".*"\n {5}until: ".*"\n/);
    assert.ok(commands(text).includes("npm run windows -- --stack prod --manual"));
  });

  it("of prod rolls back by Git and by Argo CD, and never by Helm", () => {
    const text = of("prod");
    assert.ok(commands(text).includes("git revert --no-edit COMMIT"));
    assert.ok(commands(text).includes("argocd app rollback python-api-base-prod ID --prune"));
    assert.equal(commands(text).filter((line) => line.startsWith("helm")).length, 0);
    assert.match(text, /ignoreTags: \[v1\.2\.1\]/);
    assert.match(text, /in a closed one `argocd app rollback` is not refused\. It waits/);
  });

  it("of prod has the document's hotfix, whose tag says why", () => {
    const section = of("prod").split("## Hotfix")[1]!;
    assert.deepEqual(commands(section).slice(0, 6), [
      "git checkout -b hotfix/critical-fix main",
      'git commit -m "fix: critical bug"',
      "git push origin hotfix/critical-fix",
      "git checkout main && git pull",
      'git tag -a vX.Y.Z -m "fix: critical bug" -m "Hotfix: INC-42 checkout answers 500"',
      "git push origin vX.Y.Z",
    ]);
  });

  it("speaks of windows only where there are some", () => {
    const text = of("prod", { windows: [] });
    assert.doesNotMatch(text, /window/);
    assert.match(
      of("dev", { windows: [{ kind: "deny", schedule: "0 0 * * 6", duration: "48h" }] }),
      /\| deny \| `0 0 \* \* 6` for 48h/,
    );
  });

  it("has the values that are declared", () => {
    const text = of("prod", {
      namespace: "api",
      server: "https://10.0.0.1:6443",
      chart: "charts/api",
      branch: "trunk",
      argocd: { url: "https://cd.example.org", namespace: "cd" },
      groups: { operators: ["acme:ops"] },
      notifications: { slack: "alerts" },
    });
    for (const part of [
      "argocd login cd.example.org --sso",
      "https://cd.example.org/applications/cd/python-api-base-prod",
      "namespace `api` of https://10.0.0.1:6443",
      "`charts/api` of `trunk`",
      "(acme:ops)",
      "slack: alerts",
      "git push origin trunk",
      "kubectl describe pods -n api",
      "-n cd ",
    ]) {
      assert.ok(text.includes(part), part);
    }
    assert.match(of("prod"), /Argo CD's administrators/);
    assert.match(of("prod"), /go to nobody: `notifications` in the stack's file is empty/);
  });

  it("promises that a sync is finished only where it is, and speaks of windows where an automatic sync has some", () => {
    const window = { kind: "allow", schedule: "0 6 * * 1-5", duration: "12h" };
    assert.match(of("prod"), /A sync that started in time is finished/);
    assert.doesNotMatch(of("prod", { windows: [{ ...window, syncOverrun: false }] }), /is finished/);
    assert.match(of("staging", { windows: [window] }), /All but the waiting needs an open sync window/);
  });

  it("logs in below a path, and keeps a bar out of a table's cells", () => {
    const text = of("prod", {
      argocd: { url: "https://example.org/argocd" },
      windows: [{ kind: "allow", schedule: "0 6 * * *", duration: "1h", description: "a | b" }],
    });
    assert.ok(commands(text).includes("argocd login example.org --grpc-web-root-path /argocd --sso"));
    assert.ok(text.includes("| a \\| b |"));
  });

  it("says nothing twice as undefined or empty", () => {
    for (const stack of stacks) assert.doesNotMatch(of(stack), /undefined|\[object|\n\n\n/);
  });
});
