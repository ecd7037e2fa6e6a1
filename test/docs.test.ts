import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
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
const isFile = (path: string) => statSync(join(root, path), { throwIfNoEntry: false })?.isFile() === true;
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

/** The rows of a system's table that leads from its document's sentences to the code, header included. */
const rowsOf = (text: string) =>
  /^## From the document to the line\n[^|]*((?:\|.*\n)+)/m
    .exec(text)![1]!
    .trim()
    .split("\n")
    .map((line) => line.slice(2, -2).split(" | "));
const inBackticks = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
const isPath = (text: string) => /\/|\.(ts|py|sh|yaml)$/.test(text);

describe("From the document to the line", () => {
  for (const system of readdirSync(join(root, "systems"))) {
    describe(system, () => {
      const [header, , ...rows] = rowsOf(read(`systems/${system}/README.md`));
      /** Relative to the system's folder, else to the repository's root. */
      const found = (path: string) => [`systems/${system}/${path}`, path].find(isFile);

      it("says of each sentence what keeps it, and what fails when it is broken", () => {
        assert.deepEqual(header, ["the document says", "kept by", "fails when it is broken"]);
        assert.deepEqual(
          rows.filter((row) => row.length !== 3 || row.includes("")),
          [],
        );
      });

      it("names files that are there", () => {
        const paths = rows.flatMap(([, code]) => inBackticks(code!)).filter(isPath);
        assert.deepEqual(
          paths.filter((path) => !found(path)),
          [],
        );
      });

      it("names what stands in them", () => {
        const named = rows.flatMap(([, code]) => [...code!.matchAll(/`([^`]+)` in `([^`]+)`/g)]);
        const stands = (name: string, file = "") => !isFile(file) || read(file).includes(name);
        assert.deepEqual(
          named.filter(([, name, path]) => !stands(name!, found(path!))).map(([both]) => both),
          [],
        );
      });

      it("names nothing but files of tests in the third column", () => {
        const isTest = (path: string) => /^test\/.*\.test(-real)?\.ts$/.test(path) && isFile(path);
        assert.deepEqual(
          rows.flatMap(([, , tests]) => tests!.split(", ")).filter((each) => !isTest(/^`(.*)`$/.exec(each)?.[1] ?? "")),
          [],
        );
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
