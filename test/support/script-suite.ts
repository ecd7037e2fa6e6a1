/** What the tests of a script share: a fresh sandbox for each test, and one stub of GitHub's API for all. */
import { Sandbox } from "./sandbox.ts";
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
