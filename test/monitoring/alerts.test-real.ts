/** Every alert, by Prometheus' own evaluation of it: two minutes. */
import assert from "node:assert/strict";
import { type Alert, alertsOf } from "../../components/kubernetes/monitoring/alerts.ts";
import { runbook, shop } from "../components/kubernetes/monitoring/shop.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { type Case, type Subject, subjects } from "./cases.ts";
import { mutantsOf } from "./mutants.ts";
import { checkRules, findPromtool, otherwise, type Test, testRules } from "./promtool.ts";

describe("Prometheus", () => {
  let promtool: string;
  const rules = alertsOf(shop, runbook);

  before(async function () {
    promtool = await startedOrSkipped(this, async () => findPromtool());
  });

  it("takes the rules, and would not take one with a mistake", () => {
    assert.equal(checkRules(promtool, rules), "");
    assert.match(
      checkRules(promtool, [{ ...rules[0]!, expr: "sum by (namespace (up)" }]),
      /unclosed left parenthesis|unexpected/,
    );
  });

  it("is given cases for every alert", () => {
    assert.deepEqual(Object.keys(subjects).sort(), rules.map(({ alert }) => alert).sort());
  });

  for (const [alertname, subject] of Object.entries(subjects)) {
    describe(alertname, () => {
      for (const each of subject.cases) {
        it(`${each.fires ? "fires of" : "does not fire of"} ${each.what}`, () => {
          assert.equal(testRules(promtool, rules, [testOf(alertname, each, rules)]), "");
        });
      }

      it("says nothing of another namespace, nor of other names", () => {
        const tests = elsewhere(alertname, subject);
        assert.ok(tests.length > 0);
        assert.equal(testRules(promtool, rules, tests), "");
      });

      it("fires once of what is told twice", () => {
        const tests = subject.cases.flatMap((each) => {
          const twice = Object.entries(each.series).flatMap(([name, values]) =>
            /^(kube_|kubelet_)/.test(name)
              ? ["a", "b"].map((instance) => [name.replace("{", `{instance="${instance}",`), values])
              : [[name, values]],
          );
          return testOf(alertname, { ...each, series: Object.fromEntries(twice) }, rules);
        });
        assert.equal(testRules(promtool, rules, tests), "");
      });

      it("is tested so that any other comparison, number, range, duration or label would be seen", function () {
        this.timeout(300_000);
        const rule = rules.find(({ alert }) => alert === alertname)!;
        const tests = [
          ...subject.cases.map((each) => testOf(alertname, each, [rule])),
          ...elsewhere(alertname, subject),
        ];
        assert.equal(testRules(promtool, [rule], tests), "");
        const mutants = mutantsOf(rule);
        assert.ok(mutants.length > 1);
        const unseen = mutants.filter((mutant) => !otherwise(testRules(promtool, [mutant.rule], tests)));
        assert.deepEqual(
          unseen.map(({ what }) => what),
          [],
        );
      });
    });
  }
});

/** What a case says of an alert, and that of the others none fires at that time. */
function testOf(alertname: string, { series, silent = [], fires, besides = [] }: Case, rules: readonly Alert[]): Test {
  const { severity, summary } = subjects[alertname]!;
  const others = rules.map(({ alert }) => alert).filter((other) => other !== alertname && !besides.includes(other));
  return {
    series,
    alerts: [
      ...[...silent, ...(fires ? [fires.at] : [])].flatMap((eval_time) =>
        others.map((other) => ({ alertname: other, eval_time, exp_alerts: [] })),
      ),
      ...silent.map((eval_time) => ({ alertname, eval_time, exp_alerts: [] })),
      ...(fires
        ? [
            {
              alertname,
              eval_time: fires.at,
              exp_alerts: [
                {
                  exp_labels: { severity, ...fires.labels },
                  exp_annotations: {
                    summary,
                    description: fires.description,
                    runbook_url: `${runbook}#${alertname.toLowerCase()}`,
                  },
                },
              ],
            },
          ]
        : []),
    ],
  };
}

/** What fires, under names that are others': there it does not. Containers and autoscalers are watched whatever they are called. */
const elsewhere = (alertname: string, { cases }: Subject): Test[] =>
  cases.flatMap(({ fires, series }) =>
    ['namespace="shop-prod"', ...(/^(Container|Autoscaler)/.test(alertname) ? [] : ['="shop"', "mysql"])]
      .filter((name) => fires && Object.keys(series).some((each) => each.includes(name)))
      .map((name) => ({
        series: Object.fromEntries(
          Object.entries(series).map(([each, values]) => [
            each.replaceAll(name, name.replace(/shop|mysql/, "other")),
            values,
          ]),
        ),
        alerts: [{ alertname, eval_time: fires!.at, exp_alerts: [] }],
      })),
  );
