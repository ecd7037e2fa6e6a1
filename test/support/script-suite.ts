/** What the tests of a script share: a fresh sandbox for each test, and one stub of GitHub's API for all. */
import assert from "node:assert/strict";
import { type Result, Sandbox } from "./sandbox.ts";
import { StubServer } from "./stub-server.ts";

/** Sets both up by the hooks of the suite that calls it; they are there once a test runs. */
export function scriptSuite(): { box: Sandbox; github: StubServer } {
  const suite = {} as { box: Sandbox; github: StubServer };
  before(async () => {
    suite.github = await StubServer.start();
  });
  after(() => suite.github.close());
  beforeEach(() => {
    suite.box = new Sandbox();
    suite.github.reset();
  });
  afterEach(() => suite.box.dispose());
  return suite;
}

/** The text of the one annotation by which a step is refused, without an output and a word of error. */
export function refusalOf({ code, stdout, stderr }: Result, box: Sandbox, title: string): string {
  assert.equal(code, 1, stdout + stderr);
  assert.equal(stderr, "");
  assert.equal(box.read("output"), "");
  const errors = stdout.split("\n").filter((line) => line.startsWith("::"));
  assert.equal(errors.length, 1, stdout);
  const [, itsTitle, text = ""] = /^::error title=([^:]+)::(.*)$/.exec(errors[0]!) ?? [];
  assert.equal(itsTitle, title, stdout);
  return text;
}
