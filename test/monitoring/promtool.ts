/** Prometheus' own tool for rules and expressions: Debian's package prometheus has it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Alert } from "../../components/kubernetes/monitoring/alerts.ts";
import { commandPath, Missing } from "../../sandbox/daemon.ts";

/** Values by minute, in promtool's notation, by series. @see https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/#series */
export type Series = Readonly<Record<string, string>>;

/** What a file of tests holds for some series. */
export interface Test {
  series: Series;
  alerts?: {
    alertname: string;
    eval_time: string;
    exp_alerts: { exp_labels: Record<string, string>; exp_annotations: Record<string, string> }[];
  }[];
  expressions?: { expr: string; eval_time: string; exp_samples: { labels: string; value: number }[] }[];
}

/** @throws Missing where it is not installed */
export function findPromtool(): string {
  const path = commandPath("promtool");
  if (!path) throw new Missing("there is no promtool, which Debian's package prometheus has");
  return path;
}

/** What is wrong with rules, in promtool's words; nothing if they are right. */
export const checkRules = (promtool: string, rules: readonly Alert[]): string =>
  withFiles({ "rules.json": rulesFile(rules) }, (folder) =>
    run(promtool, ["check", "rules", "--lint=all", "--lint-fatal", join(folder, "rules.json")]),
  );

/** What comes out otherwise than it should, in promtool's words; nothing if all does. */
export const testRules = (promtool: string, rules: readonly Alert[], tests: readonly Test[]): string =>
  withFiles({ "rules.json": rulesFile(rules), "tests.json": testsFile(tests) }, (folder) =>
    run(promtool, ["test", "rules", join(folder, "tests.json")]),
  );

/** Whether an answer of {@link testRules} is of something that came out otherwise, and not of rules that cannot be read. */
export const otherwise = (answer: string): boolean => /^ +got:/m.test(answer);

const rulesFile = (rules: readonly Alert[]) => ({ groups: rules.length > 0 ? [{ name: "shop", rules }] : [] });

const testsFile = (tests: readonly Test[]) => ({
  rule_files: ["rules.json"],
  evaluation_interval: "1m",
  tests: tests.map(({ series, alerts, expressions }) => ({
    interval: "1m",
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: alerts,
    promql_expr_test: expressions,
  })),
});

function run(command: string, args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (error) throw error;
  return status === 0 ? "" : `${stdout}${stderr}`;
}

function withFiles<T>(files: Record<string, unknown>, use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "promtool-"));
  try {
    // JSON is YAML.
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), JSON.stringify(content));
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
