/** Linters of workflows, as `make check` calls them. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { root } from "../../cli/engine.ts";
import { Sandbox } from "./sandbox.ts";

export function assertLintersTake(path: string, text: string): void {
  const box = new Sandbox();
  try {
    const file = box.write(path, text);
    const env = { ...process.env, PATH: [join(root, ".tools/bin"), process.env["PATH"]].join(delimiter) };
    for (const [tool, ...args] of [
      ["actionlint", "-config-file", join(root, ".github/actionlint.yaml"), file],
      ["zizmor", "--offline", "--no-progress", "--quiet", file],
    ] as const) {
      const { status, stdout, stderr, error } = spawnSync(tool, args, { env, encoding: "utf8" });
      assert.equal(error, undefined, `${tool} is not built: run \`make test\`, which builds it before the tests`);
      assert.equal(status, 0, `${tool}: ${stdout}${stderr}`);
    }
  } finally {
    box.dispose();
  }
}
