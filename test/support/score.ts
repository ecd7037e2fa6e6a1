/** kube-score, over the objects of one namespace: it compares them with each other. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../../cli/engine.ts";

/** What is not asked for, and why. No object can leave a check out by itself. */
const exceptions = [
  // A limit of cores would only slow down what has them beside it: components/kubernetes/pods.ts.
  "--ignore-container-cpu-limit",
];

/** Findings of single objects that are meant, and why. */
export const meant: readonly [finding: RegExp, why: string][] = [
  [/^Deployment\/.*-dev\/.*: deployment-replicas:/, "dev is of the size small: one pod"],
  [/^Deployment\/.*-canary: deployment-replicas:/, "a rollout gives it pods, and takes them away"],
  [/-certificates: networkpolicy-targets-pod:/, "cert-manager's pods come when a certificate is due, and go"],
];

interface Scored {
  object_name: string;
  checks: {
    check: { id: string };
    grade: number;
    skipped: boolean;
    comments: { path: string; summary: string }[] | null;
  }[];
}

/** kube-score's own number; what is below is critical. */
const warning = 5;

/**
 * What kube-score finds, critical or to be warned of, as `object: check: path: what`.
 * @param files of one namespace
 * @param options the exceptions, unless a test asks for others
 * @returns besides, how many objects it knows how to score
 * @throws Error with its words where it cannot read one of them
 */
export function score(files: readonly string[], options = exceptions): { scored: number; findings: string[] } {
  const { stdout, stderr, error } = spawnSync(
    join(root, ".tools/bin/kube-score"),
    [
      "score",
      "--output-format=json",
      "--kubernetes-version=v1.36",
      "--disable-ignore-checks-annotations",
      ...options,
      ...files,
    ],
    { encoding: "utf8" },
  );
  if (error) throw new Error("kube-score is not built: run `make test`, which builds it", { cause: error });
  // With findings it ends with 1, as with a file that it cannot read.
  if (!/^(\[|null)/.test(stdout)) throw new Error(`kube-score: ${stderr}${stdout}`);
  const objects = (JSON.parse(stdout) ?? []) as Scored[];
  const findings = objects.flatMap(({ object_name: object, checks }) =>
    checks
      .filter(({ grade, skipped }) => !skipped && grade <= warning)
      .flatMap(({ check: { id }, comments }) =>
        // Not every check says more than that it is not met.
        (comments?.length ? comments : [{ path: "", summary: "" }]).map(({ path, summary }) =>
          [object, id, path, summary].filter(Boolean).join(": "),
        ),
      ),
  );
  return { scored: objects.length, findings: findings.sort() };
}
