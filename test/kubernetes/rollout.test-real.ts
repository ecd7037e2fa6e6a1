/** rollout.py with a deployer's own kubeconfig, kubectl and Role, at a real API server. A minute of a rollout is 0.4 s here. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PolicyRule } from "../../components/kubernetes/deployer.ts";
import { sleep, until } from "../../sandbox/daemon.ts";
import { startedOrSkipped } from "../support/skip.ts";
import { Delivery } from "./delivery.ts";
import { canary, image, name, type Options, old, type Run, Shop } from "./shop.ts";

/** So many at a time: more would have each wait for the others' programs. */
const atOnce = 3;
const missing = "missing.invalid/shop:v2";
const minute = 400;
/** Pods are not available before, so that a rollout takes its time. */
const slow = { minReadySeconds: 60 };

describe("rollout.py at a real API server", function () {
  this.timeout(300_000);
  let folder: string;
  let delivery: Delivery;
  const scenarios: { title: string; run(namespace: string): Promise<void>; done?: Promise<unknown> }[] = [];

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), "rollout-"));
    delivery = await startedOrSkipped(this, () => Delivery.start(folder));
    const busy = new Set<Promise<unknown>>();
    void (async () => {
      for (const [index, scenario] of scenarios.entries()) {
        while (busy.size >= atOnce) await Promise.race(busy);
        const done = scenario.run(`shop-${index}`).then(
          () => undefined,
          (error: unknown) => error,
        );
        scenario.done = done;
        busy.add(done);
        void done.then(() => busy.delete(done));
      }
    })();
  });
  after(async () => {
    await delivery?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A test that runs beside the others, in a namespace of its own. */
  const scenario = (title: string, options: Options, body: (shop: Shop) => Promise<void>) => {
    const made: (typeof scenarios)[number] = {
      title,
      run: async (namespace) => {
        const shop = await Shop.open(delivery, namespace, options);
        try {
          await body(shop);
          assert.deepEqual(readdirSync(shop.box.path("runner")), [], "no file is left on the runner");
        } finally {
          shop.close();
        }
      },
    };
    scenarios.push(made);
    it(title, async () => {
      while (!made.done) await sleep(50);
      const error = await made.done;
      if (error) throw error;
    });
  };

  /** How a run ended, in one line and the summary. */
  const ends = async (run: Run, code: number, annotation: RegExp, result?: string) => {
    assert.equal(await run.ended, code, run.output);
    assert.match(run.annotation, annotation, run.output);
    if (result) assert.equal(run.outputs["result"], result);
    assert.ok(!run.output.includes("Traceback"), run.output);
    for (const secret of ["secret-of-job", "eyJ"]) assert.ok(!`${run.output}${run.summary}`.includes(secret));
  };
  const rolledBack = async (shop: Shop, run: Run, reason: RegExp, pods = 2) => {
    await ends(run, 1, /^::error title=Rolled back::registry\.invalid\/shop:v2 is (bad|in doubt): /, "rolled-back");
    const before = { revision: run.outputs["previous-revision"], set: run.outputs["previous-replica-set"] };
    assert.match(run.annotation, reason, run.output);
    assert.match(run.summary, reason);
    assert.match(
      run.summary,
      new RegExp(
        `^\\| Rolled back to \\| revision ${before.revision} \\(now \\d+\\), ReplicaSet ${before.set}, \`${old}\` \\|$`,
        "m",
      ),
    );
    const { image: now, set } = await shop.now();
    assert.deepEqual([now, set], [old, before.set]);
    await shop.runs(old, pods);
  };
  /** It runs this, once its controller has seen it. */
  const left = async (shop: Shop, of: string, revision: string) => {
    await until(`${of} is revision ${revision}`, async () => (await shop.now()).revision === revision, 10);
    assert.equal((await shop.now()).image, of);
  };
  const watching = /::group::Watch/;

  scenario("deploys what is good, and says what there was before it", { smokePaths: ["/", "/api"] }, async (shop) => {
    const before = await shop.now();
    const run = shop.deploy();
    await ends(run, 0, /^::notice title=Deployed::registry\.invalid\/shop:v2 is deployed, and was good for 2 s\.$/);
    assert.deepEqual(run.outputs, {
      "previous-revision": "1",
      "previous-image": old,
      "previous-replica-set": before.set,
      result: "deployed",
    });
    await left(shop, image, "2");
    assert.match(run.summary, /^### Deployed: shop in shop-\d+\n\n/);
    assert.match(run.summary, /^\| Image \| `registry\.invalid\/shop:v2` \|$/m);
    assert.match(run.summary, /^\| Probes \| ([2-9]|1[01]) good, 0 lost \|$/m);
    assert.deepEqual(shop.asked.slice(0, 2), ["/", "/api"]);
    const groups = run.output.split("\n").filter((line) => line.startsWith("::group::"));
    assert.deepEqual(groups, [`::group::Rollout of ${image}`, "::group::Smoke test", "::group::Watch for 2 s"]);
    // Not a line for each probe.
    assert.ok(run.output.split("\n").length < 15, run.output);
  });
  scenario(
    "asks through the API server where nothing outside is reached",
    { health: "proxy", smokePaths: ["/"], ready: ["statefulset/mysql"] },
    async (shop) => {
      await ends(shop.deploy(), 0, /Deployed/, "deployed");
      assert.deepEqual([...new Set(shop.asked)], ["/", "/health"]);
      await left(shop, image, "2");
    },
  );

  for (const at of [1, 5, 9]) {
    scenario(`goes back from what turns bad in minute ${at}`, {}, async (shop) => {
      const run = shop.deploy({ WATCH_SECONDS: `${(10 * minute) / 1000}`, PROBE_SECONDS: "0.1" });
      await run.says(watching);
      await sleep(at * minute);
      shop.answer = () => 500;
      await rolledBack(shop, run, /\/health failed 3 times in a row, at last: status 500/);
      assert.match(run.summary, /^\| Probes \| \d+ good, 3 lost \(3 x status 500\) \|$/m);
    });
  }
  scenario("goes back from what flaps", { health: "proxy" }, async (shop) => {
    let count = 0;
    const run = shop.deploy({ WATCH_SECONDS: "20" });
    await run.says(watching);
    shop.answer = () => (count++ % 2 ? 503 : 200);
    await rolledBack(shop, run, /\/health failed 4 of the last \d+ times, at last: status 503/);
  });
  for (const [what, lost, good] of [
    ["one lost probe", 1, true],
    ["two in a row", 2, true],
    ["three, one by one", 5, true],
  ] as const) {
    scenario(`does not go back for ${what}`, {}, async (shop) => {
      let count = 0;
      const run = shop.deploy({ WATCH_SECONDS: "4" });
      await run.says(watching);
      shop.answer = () => (count++ < lost && (lost < 3 || count % 2) ? 500 : 200);
      await ends(run, good ? 0 : 1, /Deployed/, "deployed");
      assert.match(run.summary, new RegExp(`\\b${Math.min(lost, 3)} lost \\(${Math.min(lost, 3)} x status 500\\)`));
    });
  }
  scenario("does not end between two lost probes", {}, async (shop) => {
    const run = shop.deploy({ WATCH_SECONDS: "1" });
    await run.says(watching);
    await sleep(750);
    shop.answer = () => 500;
    await rolledBack(shop, run, /3 times in a row/);
  });
  for (const health of ["url", "proxy"] as const) {
    scenario(`follows no redirect, asking by ${health}`, { health }, async (shop) => {
      const run = shop.deploy();
      await run.says(watching);
      shop.answer = (path) => (path === "/health" ? { to: "/login" } : 200);
      await rolledBack(shop, run, /at last: status 302, a redirect/);
      assert.ok(!shop.asked.includes("/login"));
    });
    scenario(`does not wait for what hangs, asking by ${health}`, { health }, async (shop) => {
      const run = shop.deploy();
      await run.says(watching);
      shop.answer = () => "hangs";
      await rolledBack(shop, run, /at last: no answer within 0\.5 s/);
    });
  }

  scenario("goes back from what is never ready", { spec: { progressDeadlineSeconds: 600 } }, async (shop) => {
    await shop.runs(old);
    const run = shop.deploy({ IMAGE: missing, ROLLOUT_SECONDS: "2" });
    assert.equal(await run.ended, 1);
    assert.match(run.annotation, /^::error title=Rolled back::missing.* was not rolled out within 2 s: 1 of 2 pods/);
    assert.match(run.annotation, /shop: ImagePullBackOff Back-off pulling image/);
    await shop.runs(old);
  });
  scenario("goes back once a rollout does not progress", { spec: { progressDeadlineSeconds: 10 } }, async (shop) => {
    await shop.runs(old);
    const run = shop.deploy({ IMAGE: missing, ROLLOUT_SECONDS: "60" });
    assert.equal(await run.ended, 1);
    assert.match(run.annotation, /Rolled back::.*did not progress any more \(progressDeadlineSeconds\)/);
    assert.ok(run.took < 20);
    await shop.runs(old);
  });
  for (const [what, container, words] of [
    ["restarts twice", { restartCount: 2 }, /a container shop of shop restarted 2 times/],
    [
      "waits in CrashLoopBackOff",
      { restartCount: 1, state: { waiting: { reason: "CrashLoopBackOff" } } },
      /shop of shop-\S+ crashes again and again \(CrashLoopBackOff\)/,
    ],
  ] as const) {
    scenario(`goes back from what ${what}`, {}, async (shop) => {
      const run = shop.deploy();
      await run.says(watching);
      await shop.setStatus(image, container);
      await rolledBack(shop, run, words);
    });
  }
  scenario("does not go back for one restart", {}, async (shop) => {
    const run = shop.deploy();
    await run.says(watching);
    await shop.setStatus(image, { restartCount: 1 });
    await ends(run, 0, /Deployed/, "deployed");
  });
  scenario("goes back when pods are unavailable for too long", {}, async (shop) => {
    const run = shop.deploy();
    await run.says(watching);
    await shop.setStatus(image, {}, false);
    await rolledBack(shop, run, /shop had too few pods for 1 s: 2 of 2 pods have its template, 0 are available/);
  });
  scenario("does not go back when they are for a moment", {}, async (shop) => {
    const run = shop.deploy({ UNAVAILABLE_SECONDS: "20" });
    await run.says(watching);
    await shop.setStatus(image, {}, false);
    await run.says(/ are available/);
    await shop.setStatus(image, {});
    await ends(run, 0, /Deployed/, "deployed");
    assert.match(run.output, /all 2 pods are available/);
  });

  scenario("goes back where the smoke test fails", { smokePaths: ["/api"] }, async (shop) => {
    shop.answer = (path) => (path === "/api" ? 404 : 200);
    await rolledBack(shop, shop.deploy(), /the smoke test did not succeed within 1 s: \/api: status 404/);
  });
  scenario("gives an ingress its time", { smokePaths: ["/api"] }, async (shop) => {
    let count = 0;
    shop.answer = (path) => (path === "/api" && count++ < 3 ? 503 : 200);
    await ends(shop.deploy({ SMOKE_SECONDS: "30" }), 0, /Deployed/, "deployed");
  });
  scenario("goes back where what it needs is not ready", { ready: ["statefulset/mysql"] }, async (shop) => {
    await shop.client.request("PATCH", shop.path("statefulsets/mysql/scale"), { spec: { replicas: 0 } }, merge);
    await shop.patch("statefulsets/mysql", {
      spec: { replicas: 1, template: { spec: { containers: [{ name, image: missing }] } } },
    });
    await rolledBack(shop, shop.deploy(), /statefulset\/mysql: 0 of 1 ready/);
  });

  const own = { deployment: canary, service: { name: canary, port: "http" }, replicas: 2 };
  scenario("tries a canary first, and takes it away", { canary: own }, async (shop) => {
    const run = shop.deploy();
    await run.says(/the canary is good/);
    await ends(run, 0, /Deployed/, "deployed");
    assert.ok(shop.asked.filter((path) => path === "canary/health").length >= 2);
    const { spec } = await shop.deployment(canary);
    assert.deepEqual([spec.replicas, spec.template.spec.containers[0]!.image], [0, image]);
    assert.match(run.summary, /^\| Canary \| shop-canary, scaled back to 0 \|$/m);
    await left(shop, image, "2");
  });
  scenario("touches nothing else where the canary is bad", { canary: own }, async (shop) => {
    shop.answer = (path) => (path.startsWith("canary") ? 500 : 200);
    const run = shop.deploy();
    await ends(
      run,
      1,
      /^::error title=Not deployed::.*\/health of http:shop-canary:http failed 3 times.* not touched\.$/,
    );
    assert.equal((await shop.deployment(canary)).spec.replicas, 0);
    await left(shop, old, "1");
  });
  scenario("touches nothing else where the canary never starts", { canary: { deployment: canary } }, async (shop) => {
    const run = shop.deploy({ IMAGE: missing, ROLLOUT_SECONDS: "1" });
    await run.says(/::group::Canary/);
    assert.deepEqual([run.outputs["previous-revision"], run.outputs["previous-image"]], ["1", old]);
    await ends(run, 1, /Not deployed::.*shop-canary was not rolled out within 1 s/, "failed");
    assert.equal((await shop.deployment(canary)).spec.replicas, 0);
    await left(shop, old, "1");
  });
  scenario(
    "takes the canary away where the rollout after it is bad",
    { canary: { deployment: canary } },
    async (shop) => {
      const run = shop.deploy();
      await run.says(watching);
      shop.answer = () => 500;
      await rolledBack(shop, run, /3 times in a row/);
      assert.equal((await shop.deployment(canary)).spec.replicas, 0);
    },
  );

  scenario("only looks at an image that is there already", {}, async (shop) => {
    await shop.setImage(image);
    await shop.runs(image);
    const run = shop.deploy();
    await ends(run, 0, /^::notice title=Nothing to roll out::/, "unchanged");
    assert.equal(run.outputs["previous-revision"], "");
    await left(shop, image, "2");
  });
  scenario("never goes back further than to before itself", {}, async (shop) => {
    await shop.setImage(image);
    await shop.runs(image);
    shop.answer = () => 500;
    await ends(shop.deploy(), 1, /^::error title=Not good::.*3 times in a row.* no revision of before/, "failed");
    await left(shop, image, "2");
  });
  scenario("leaves alone what somebody else has deployed meanwhile", {}, async (shop) => {
    const run = shop.deploy();
    await run.says(watching);
    shop.answer = () => 500;
    await shop.setImage("registry.invalid/shop:theirs");
    await ends(run, 1, /^::error title=Changed by somebody else::.*now revision \d, registry\.invalid\/shop:theirs/);
    await left(shop, "registry.invalid/shop:theirs", "3");
  });
  scenario("leaves alone what somebody else has restarted meanwhile", {}, async (shop) => {
    const run = shop.deploy();
    await run.says(watching);
    await shop.patch(`deployments/${name}`, {
      spec: { template: { metadata: { annotations: { restarted: "now" } } } },
    });
    await ends(run, 1, /Changed by somebody else/, "failed");
    await left(shop, image, "3");
  });
  scenario("leaves alone what somebody else has restarted before it was rolled out", { spec: slow }, async (shop) => {
    const run = shop.deploy();
    await run.says(/::group::Rollout/);
    await until("a new image", async () => (await shop.now()).image === image);
    await shop.patch(`deployments/${name}`, {
      spec: { minReadySeconds: 0, template: { metadata: { annotations: { restarted: "now" } } } },
    });
    await ends(run, 1, /Changed by somebody else/, "failed");
    await left(shop, image, "3");
  });
  scenario("says what to do where the revision is gone", {}, async (shop) => {
    const { set } = await shop.now();
    const run = shop.deploy();
    await run.says(watching);
    await shop.client.request("DELETE", shop.path(`replicasets/${set}`));
    shop.answer = () => 500;
    await ends(
      run,
      1,
      /^::error title=NOT ROLLED BACK::.*3 times in a row.*revision 1 is not there any more/,
      "failed",
    );
    const command = `kubectl --namespace ${shop.namespace} set image deployment/shop shop=${old}\n`;
    assert.ok(run.annotation.includes("A person has to do it:"), run.annotation);
    assert.ok(run.summary.includes(command));
    await left(shop, image, "2");
  });
  scenario("says what to do where the revision of before does not start", {}, async (shop) => {
    await shop.setImage(missing);
    await shop.client.request("DELETE", shop.path(`replicasets/${(await shop.now()).set}`)).catch(() => {});
    await shop.patch(`deployments/${name}`, { spec: { strategy: { type: "Recreate", rollingUpdate: null } } });
    const run = shop.deploy({ ROLLBACK_SECONDS: "1" });
    await run.says(watching);
    shop.answer = () => 500;
    await ends(run, 1, /NOT ROLLED BACK::.*And the rollback failed: shop was not rolled out within 1 s/, "failed");
    assert.match(
      run.summary,
      /rollout undo deployment\/shop --to-revision=\d\nkubectl .* rollout status deployment\/shop/,
    );
  });

  scenario("refuses a Deployment that keeps no revisions", { spec: { revisionHistoryLimit: 0 } }, async (shop) => {
    await ends(shop.deploy(), 1, /^::error title=No way back::.*revisionHistoryLimit 0/, "failed");
    await left(shop, old, "1");
  });
  scenario("refuses a paused one", { spec: { paused: true } }, async (shop) => {
    const words = /^::error title=Paused::.*`kubectl --namespace shop-\d+ rollout resume deployment\/shop`/;
    await ends(shop.deploy(), 1, words, "failed");
    assert.equal((await shop.deployment()).spec.template.spec.containers[0]!.image, old);
  });
  scenario("says what to do where somebody has paused it meanwhile", {}, async (shop) => {
    const run = shop.deploy();
    await run.says(watching);
    await shop.patch(`deployments/${name}`, { spec: { paused: true } });
    shop.answer = () => 500;
    await ends(run, 1, /NOT ROLLED BACK::.*was paused by somebody else/, "failed");
    assert.match(run.summary, /rollout resume deployment\/shop\nkubectl .* rollout undo .*--to-revision=1\n/);
  });
  scenario("refuses where there is no Deployment", {}, async (shop) => {
    await shop.client.request("DELETE", shop.path(`deployments/${name}`));
    await ends(shop.deploy(), 1, /^::error title=No Deployment::.*"shop" not found.*`pulumi up` makes it/, "failed");
  });
  scenario("refuses a container that is not there", {}, async (shop) => {
    await ends(shop.deploy({ CONTAINER: "web" }), 1, /No such container::.*no container web/, "failed");
    await left(shop, old, "1");
  });

  scenario("remembers what serves where an earlier rollout got stuck", {}, async (shop) => {
    const before = await shop.now();
    await shop.setImage("missing.invalid/shop:v1b");
    const run = shop.deploy();
    await run.says(watching);
    shop.answer = () => 500;
    assert.equal(run.outputs["previous-revision"], "1");
    await rolledBack(shop, run, /3 times in a row/);
    assert.equal((await shop.now()).set, before.set);
    assert.match(run.output, /revision 2, missing\.invalid\/shop:v1b, never took over; revision 1 serves/);
  });

  scenario(
    "is not misled by the deadline that an earlier one missed",
    { spec: { progressDeadlineSeconds: 10 } },
    async (shop) => {
      await shop.runs(old);
      await shop.setImage("missing.invalid/shop:v1b");
      await until("a missed deadline", async () => {
        const { conditions = [] } = (await shop.deployment()).status;
        return conditions.some(({ reason }) => reason === "ProgressDeadlineExceeded");
      });
      const run = shop.deploy();
      await ends(run, 0, /Deployed/, "deployed");
      assert.equal(run.outputs["previous-revision"], "1");
    },
  );

  /** As GitHub cancels, but for the time between its signals: the second comes whenever it can. */
  const cancel = async (run: Run, text: RegExp) => {
    const started = Date.now();
    run.signal("SIGINT");
    const again = setInterval(() => run.signal("SIGTERM"), 3);
    await ends(run, 1, text, "failed").finally(() => clearInterval(again));
    assert.ok(Date.now() - started < 9000);
  };
  const started = /^::error title=Cancelled::.*the rollback to revision 1 was started, and not waited for\.$/;
  scenario("starts to go back when it is cancelled in the watch", {}, async (shop) => {
    const run = shop.deploy({ WATCH_SECONDS: "60" });
    await run.says(watching);
    await sleep(1000);
    await cancel(run, started);
    await shop.runs(old);
  });
  scenario(
    "starts to go back and takes the canary away when it is cancelled in the rollout",
    { canary: { deployment: canary }, spec: slow },
    async (shop) => {
      const run = shop.deploy({ ROLLOUT_SECONDS: "60" });
      await run.says(/::group::Rollout/);
      await until("a new image", async () => (await shop.now()).image === image);
      await cancel(run, started);
      assert.match(run.annotation, /shop-canary is scaled back to 0; the rollback/);
      assert.equal((await shop.deployment(canary)).spec.replicas, 0);
      assert.equal((await shop.now()).image, old);
    },
  );
  scenario("goes on going back when it is cancelled in that", { spec: slow }, async (shop) => {
    const run = shop.deploy({ ROLLOUT_SECONDS: "1", ROLLBACK_SECONDS: "60" });
    await run.says(/rolling back to revision 1/);
    await until("the old image", async () => (await shop.now()).image === old);
    await sleep(500);
    await cancel(run, /Cancelled::.*the rollback to revision 1 was under way, and was not waited for\.$/);
    assert.equal((await shop.now()).image, old);
  });
  scenario("leaves alone what somebody else has deployed during the canary", { canary: own }, async (shop) => {
    const run = shop.deploy();
    await run.says(/shop-canary has 2 pods of it/);
    await shop.setImage("registry.invalid/shop:theirs");
    await ends(run, 1, /Changed by somebody else::.*now registry\.invalid\/shop:theirs/, "failed");
    await left(shop, "registry.invalid/shop:theirs", "2");
    assert.equal((await shop.deployment(canary)).spec.replicas, 0);
  });
  scenario("says what to do where the canary cannot be taken away", { canary: own, gate: true }, async (shop) => {
    const run = shop.deploy({ CANARY_SECONDS: "20", BLIND_SECONDS: "1" });
    await run.says(/shop-canary has 2 pods of it/);
    shop.gate.shut();
    await ends(run, 1, /Not deployed::.*not touched\. The canary shop-canary STILL RUNS/, "failed");
    assert.ok(run.summary.includes(`kubectl --namespace ${shop.namespace} scale --replicas=0 deployment/${canary}\n`));
  });
  scenario("leaves no canary behind when it is cancelled", { canary: { deployment: canary } }, async (shop) => {
    const run = shop.deploy({ CANARY_SECONDS: "60" });
    await run.says(/shop-canary has 1 pods of it/);
    run.signal("SIGTERM");
    await ends(run, 1, /Cancelled::.*deployment\/shop was not touched; shop-canary is scaled back to 0\./, "failed");
    assert.equal((await shop.deployment(canary)).spec.replicas, 0);
    await left(shop, old, "1");
  });
  scenario("changes nothing when it is cancelled before it has", {}, async (shop) => {
    await shop.setImage("missing.invalid/shop:v1b");
    const run = shop.deploy({ SETTLE_SECONDS: "60" });
    await run.says(/an earlier rollout is still in progress/);
    run.signal("SIGINT");
    await ends(run, 1, /Cancelled::The run was cancelled before anything was changed/);
    await left(shop, "missing.invalid/shop:v1b", "2");
  });

  scenario("lets an autoscaler change the number of pods", {}, async (shop) => {
    const run = shop.deploy();
    await run.says(watching);
    await shop.client.request("PATCH", shop.path(`deployments/${name}/scale`), { spec: { replicas: 3 } }, merge);
    await sleep(800);
    shop.answer = () => 500;
    await rolledBack(shop, run, /3 times in a row/, 3);
  });

  scenario("bears an API server that is away for a moment", { gate: true, health: "proxy" }, async (shop) => {
    const run = shop.deploy({ WATCH_SECONDS: "3", BLIND_SECONDS: "5" });
    await run.says(watching);
    shop.gate.shut();
    await run.says(/the API server cannot be asked/);
    await sleep(1200);
    shop.gate.open();
    await run.says(/the API server answers again/);
    await ends(run, 0, /Deployed/, "deployed");
  });
  scenario("goes back when it could not be watched for long", { gate: true }, async (shop) => {
    const run = shop.deploy({ WATCH_SECONDS: "10", BLIND_SECONDS: "1.5" });
    await run.says(watching);
    shop.gate.shut();
    await run.says(/BAD: it cannot be watched: for 1\.5 s/);
    shop.gate.open();
    await rolledBack(shop, run, /is in doubt: it cannot be watched: for 1\.5 s the API server could not be asked/);
  });
  scenario("says what to do when the API server stays away", { gate: true }, async (shop) => {
    const run = shop.deploy({ WATCH_SECONDS: "10", BLIND_SECONDS: "1" });
    await run.says(watching);
    shop.gate.shut();
    await ends(run, 1, /NOT ROLLED BACK::.*cannot be watched.*And the rollback failed: it cannot be watched/, "failed");
    await left(shop, image, "2");
  });
  scenario("lets kubectl renew a token that ends", { lasts: 32 }, async (shop) => {
    const run = shop.deploy({ WATCH_SECONDS: "5" });
    await run.says(watching);
    const { asked } = shop.job;
    await ends(run, 0, /Deployed/, "deployed");
    assert.ok(shop.job.asked > asked);
  });
  scenario("cannot watch when it has no token any more", { lasts: 31, health: "proxy" }, async (shop) => {
    const run = shop.deploy({ WATCH_SECONDS: "20", BLIND_SECONDS: "1" });
    await run.says(watching);
    shop.job.refusals = Array(200).fill(403) as number[];
    const why = /NOT ROLLED BACK::.*cannot be watched: for 1 s .*GitHub gave no token .*: status 403/;
    await ends(run, 1, why, "failed");
    assert.ok(!run.output.includes("failed 3 times"));
  });
  scenario("says which permission the job lacks", {}, async (shop) => {
    const words = /Cluster not reached::.*needs `permissions: id-token: write`/;
    await ends(shop.deploy({ ACTIONS_ID_TOKEN_REQUEST_URL: undefined }), 1, words, "failed");
  });
  scenario("deploys by a service account's token too", { access: "token" }, async (shop) => {
    const run = shop.deploy({ ACTIONS_ID_TOKEN_REQUEST_URL: undefined });
    await ends(run, 0, /Deployed/, "deployed");
  });

  for (const [what, kubeconfig, words] of [
    ["no YAML", Buffer.from("a: [canary-secret\n- b: canary-secret").toString("base64"), /cannot be read/],
    ["another type", Buffer.from("clusters: canary-secret").toString("base64"), /cannot be read/],
    ["no kubeconfig", Buffer.from("canary-secret").toString("base64"), /cannot be read/],
  ] as const) {
    scenario(`shows nothing of a kubeconfig that is ${what}`, {}, async (shop) => {
      const run = shop.deploy({ KUBECONFIG_BASE64: kubeconfig });
      await ends(run, 1, words, "failed");
      const told = run.output + run.summary;
      assert.ok(!told.includes("canary-secret") && !told.includes(kubeconfig), told);
    });
  }
  scenario("goes back for a step that fails later", {}, async (shop) => {
    const { set } = await shop.now();
    const first = shop.deploy({ WATCH_SECONDS: "0.1" });
    await ends(first, 0, /Deployed/);
    const revision = first.outputs["previous-revision"]!;
    const run = shop.rollback(revision);
    await ends(run, 0, /^::warning title=Rolled back::A later step failed, so revision 1 runs again/, "rolled-back");
    const now = await shop.now();
    assert.deepEqual([now.image, now.set], [old, set]);
    const again = shop.rollback(revision);
    await ends(again, 0, /^::notice title=Nothing rolled back::.*any more, but registry\.invalid\/shop:v1/, "nothing");
  });
  scenario("goes back from nothing where nothing was rolled out", {}, async (shop) => {
    await shop.setImage(image);
    await shop.runs(image);
    await ends(shop.rollback(""), 0, /^::notice title=Nothing rolled back::/, "nothing");
    await left(shop, image, "2");
  });
  scenario("says where a revision to go back to is not there", {}, async (shop) => {
    await shop.setImage(image);
    await shop.runs(image);
    await ends(shop.rollback("7"), 1, /NOT ROLLED BACK::revision 7 is not there any more/, "failed");
    await ends(shop.rollback("latest"), 1, /Not rolled back::PREVIOUS_REVISION is 'latest'/, "failed");
    await left(shop, image, "2");
  });

  const without = (resource: string, verbs?: readonly string[]) => (rules: PolicyRule[]) =>
    rules.flatMap((rule) => {
      if (!(rule.resources as string[]).includes(resource)) return [rule];
      return verbs ? [{ ...rule, verbs: (rule.verbs as string[]).filter((each) => !verbs.includes(each)) }] : [];
    });
  const all: Options = {
    health: "proxy",
    canary: { deployment: canary },
    ready: ["statefulset/mysql"],
  };
  for (const [resource, verbs, words, at] of [
    ["deployments", ["get"], /Not allowed::.*cannot get resource "deployments"/, old],
    // One of them does for kubectl of this version, and others want the other.
    ["deployments", ["list", "watch"], /shop-canary was not rolled out within 4 s.*forbidden/, old],
    ["deployments", ["patch"], /No canary::.*cannot patch resource "deployments"/, old],
    ["deployments/scale", undefined, /No canary::.*cannot patch resource "deployments\/scale"/, old],
    ["replicasets", undefined, /Not allowed::.*cannot list resource "replicasets"/, old],
    ["pods", undefined, /Not allowed::.*cannot list resource "pods"/, old],
    ["services/proxy", undefined, /Not deployed::.*\/health failed 3 times in a row, at last: status 403/, old],
    ["statefulsets", undefined, /Rolled back::.*statefulset\/mysql: status 403/, old],
  ] as const) {
    const right = `the right to ${verbs?.join(" and ") ?? "use"} ${resource}`;
    scenario(`cannot do without ${right}`, { ...all, rules: without(resource, verbs) }, async (shop) => {
      await ends(
        shop.deploy(resource === "deployments" && verbs[0] === "list" ? { ROLLOUT_SECONDS: "4" } : {}),
        1,
        words,
      );
      assert.equal((await shop.now()).image, at);
    });
  }
});

const merge = "application/merge-patch+json";
