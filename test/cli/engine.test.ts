import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { PassThrough } from "node:stream";
import { Engine, findPulumi, shown } from "../../cli/engine.ts";

describe("the Pulumi CLI", () => {
  const folder = mkdtempSync(join(tmpdir(), "esteira-cli-"));
  const path = process.env["PATH"]!;
  const command = (place: string, body: string): string => {
    const file = join(folder, place, "pulumi");
    mkdirSync(join(folder, place), { recursive: true });
    writeFileSync(file, `#!/bin/sh\n${body}\n`);
    chmodSync(file, 0o755);
    return file;
  };
  afterEach(() => {
    process.env["PATH"] = path;
  });
  after(() => rmSync(folder, { recursive: true }));

  it("is the machine's own, even where npm puts the package's in front", () => {
    const [own, packaged] = [command("own", ":"), command("packaged", ":")];
    process.env["PATH"] = [join(folder, "packaged"), join(folder, "own")].join(delimiter);
    assert.equal(findPulumi(join(folder, "packaged")), own);
    process.env["PATH"] = "/nowhere";
    assert.equal(findPulumi(join(folder, "packaged")), packaged);
  });

  it("is none where the package cannot download it", () => {
    command("offline", "echo 'fetch failed' >&2; exit 1");
    process.env["PATH"] = "/nowhere";
    assert.equal(findPulumi(join(folder, "offline")), undefined);
  });

  it("fails with its errors alone, whether they come as text or as JSON", async () => {
    const text =
      "progress\\n\\nDiagnostics:\\n  a:b (c):\\n    warning: w\\n    error: it is taken\\n\\nOutputs:\\n    secret: 1\\n";
    const json =
      '{"diagnostics": [{"severity": "warning", "message": "w"}, {"severity": "error", "message": "it is taken"}]}';
    for (const printed of [text, json]) {
      const engine = new Engine(command("failing", `printf '${printed}'; exit 4`), folder);
      await assert.rejects(engine.run(["up"]), ({ message }: Error) => {
        assert.match(message, /^pulumi up ended with 4\n/);
        assert.match(message, /it is taken/);
        assert.doesNotMatch(message, /progress|warning|secret/);
        return true;
      });
    }
  });

  /** A command that has said something. */
  const started = async (engine: Engine) => {
    const shown = new PassThrough();
    const running = engine.start(["up"], {}, "", shown);
    await once(shown, "data");
    return running;
  };

  it("shows a type without its module's file, which a Kubernetes kind does not have", () => {
    assert.equal(shown("gcp:storage/bucketObject:BucketObject"), "gcp:storage:BucketObject");
    assert.equal(shown("kubernetes:core/v1:ConfigMap"), "kubernetes:core/v1:ConfigMap");
    assert.equal(shown("pulumi:pulumi:Stack"), "pulumi:pulumi:Stack");
  });

  it("is killed with all that it has started, be it in a group of its own", async () => {
    const engine = new Engine(command("hanging", "setsid sleep 600 & echo $!; wait"), folder);
    const running = await started(engine);
    engine.kill();
    const { code, out } = await running.ended;
    assert.equal(code, undefined);
    // Gone, or not yet taken note of by whoever inherits the dead.
    const state = () => spawnSync("ps", ["-o", "stat=", "-p", out.trim()], { encoding: "utf8" }).stdout.trim();
    const isOver = () => /^(Z.*)?$/.test(state());
    for (let tries = 0; tries < 100 && !isOver(); tries++) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(isOver(), state());
  });

  it("is told to stop by whoever stops this, and has the time to end well", async () => {
    const body = "trap 'echo unlocked; exit 255' INT; echo locked; sleep 1 & wait";
    const engine = new Engine(command("patient", body), folder);
    const running = await started(engine);
    process.emit("SIGINT");
    assert.deepEqual(await running.ended, { code: 255, out: "locked\nunlocked\n", error: "" });
    assert.equal(process.listenerCount("SIGTERM"), 0);
  });
});
