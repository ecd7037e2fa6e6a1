import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { Engine, findPulumi } from "../../cli/engine.ts";

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

  it("is killed with all that it has started", async () => {
    const engine = new Engine(command("hanging", "sleep 600 & echo started; wait"), folder);
    const running = engine.start(["up"]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    engine.kill();
    assert.deepEqual(await running.ended, { code: undefined, out: "started\n", error: "" });
  });
});
