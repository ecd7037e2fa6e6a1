import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { textBeside } from "../../components/beside.ts";
import { Sandbox } from "../support/sandbox.ts";

describe("textBeside", () => {
  it("reads below the module that asks, wherever the program was started, whatever its folder is called", () => {
    const box = new Sandbox();
    try {
      box.write("a folder, 100%/scripts/greet.sh", "echo São Paulo\n");
      const module = pathToFileURL(box.path("a folder, 100%/module.ts")).href;
      assert.equal(textBeside(module, "./scripts/greet.sh"), "echo São Paulo\n");
    } finally {
      box.dispose();
    }
  });
});
