import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { stackFileSchema } from "../config.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const documents = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"], {
  cwd: root,
  encoding: "utf8",
})
  .trim()
  .split("\n");
const blocks = (text: string, language: string) =>
  [...text.matchAll(new RegExp(`^ *\`\`\`${language}\n([\\s\\S]*?)^ *\`\`\`$`, "gm"))].map((match) => match[1]!);
const targets = new Set([...read("Makefile").matchAll(/^([a-z -]+):/gm)].flatMap((match) => match[1]!.split(" ")));

describe("The documents", () => {
  for (const document of documents) {
    describe(document, () => {
      const text = read(document);

      it("names only targets that the Makefile has", () => {
        const named = [...text.matchAll(/(?:`|\$ )make ([a-z-]+)/g)].map((match) => match[1]!);
        assert.deepEqual(
          named.filter((target) => !targets.has(target)),
          [],
        );
      });

      it("links only to what is there", () => {
        const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map((match) => match[1]!);
        assert.deepEqual(
          links.filter((link) => !existsSync(join(root, dirname(document), link))),
          [],
        );
      });

      it("shows stack files that the schema takes", () => {
        const validate = new Ajv({ strict: false }).compile(stackFileSchema());
        for (const block of blocks(text, "yaml"))
          assert.ok(validate(parse(block)), `${JSON.stringify(validate.errors)}\n${block}`);
      });
    });
  }
});

describe("README.md shows the real output of", () => {
  const shown = (command: string) =>
    blocks(read("README.md"), "console")
      .find((block) => block.startsWith(`$ ${command}\n`))!
      .split("\n")
      .slice(1)
      .join("\n");

  it("make render STACK=prod", () => {
    const out = mkdtempSync(join(tmpdir(), "esteira-docs-"));
    const script = join(root, "cli/render.ts");
    const printed = execFileSync(
      process.execPath,
      ["--import", join(root, "cli/start.mjs"), script, "--stack", "prod", "--out", "rendered"],
      {
        cwd: out,
        encoding: "utf8",
      },
    );
    rmSync(out, { recursive: true });
    assert.equal(shown("make render STACK=prod"), printed);
  });

  it("make help", () => {
    const help = read("Makefile").matchAll(/^([a-z -]+):.*## (.*)$/gm);
    assert.equal(
      shown("make help"),
      [...help].map(([, target, text]) => `  make ${target!.padEnd(15)} ${text}\n`).join(""),
    );
  });

  it("make test, in part", () => {
    const tests = execFileSync("git", ["grep", "-h", "-E", "(describe|it)\\(", "--", "test"], {
      cwd: root,
      encoding: "utf8",
    });
    const titles = shown("make test")
      .split("\n")
      .map((line) => line.replace(/^[ ✔.]*/, ""))
      .filter(Boolean);
    assert.deepEqual(
      titles.filter((title) => !tests.includes(`"${title}"`)),
      [],
    );
  });
});
