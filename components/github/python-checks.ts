/** What a Python repository is tested by: keys of a config, and the steps that come of them. */
import { z } from "zod";
import { textBeside } from "../beside.ts";
import { pattern, whole } from "../schema.ts";
import { setupPython } from "./actions.ts";
import { type DeliveredFile, programFile } from "./delivered-file.ts";
import { command, repositoryPath } from "./names.ts";
import type { Step } from "./workflow.ts";

/** A version of Python. YAML reads 3.10 as 3.1. */
export const pythonVersion = pattern(/^3\.[0-9]+$/, 'a version of Python in quotes, such as "3.12"');

/** Keys of a config schema. */
export const pythonChecks = {
  python: pythonVersion.default("3.12"),
  install: command.default("pip install -r requirements.txt").describe("Installs what the checks need"),
  checks: z
    .array(command, { error: () => "a list of commands" })
    .min(1, { error: () => "at least one command" })
    .default(["ruff check .", "pytest"])
    .describe("Unit tests, linters, checks of quality"),
};

/** {@link pythonChecks} as a config has them. */
export interface PythonChecks {
  /** Version of Python that the checks run on. */
  python: string;
  /** Command that installs what the checks need. */
  install: string;
  /** Commands that must succeed, each a step. */
  checks: readonly string[];
}

/** After a checkout: Python, and what the checks need. */
export const installSteps = ({ python, install }: Pick<PythonChecks, "python" | "install">): [Step, ...Step[]] => [
  setUpPython(python),
  { name: "Install", run: install },
];

export const setUpPython = (version: string): Step => ({
  name: "Set up Python",
  uses: setupPython.uses,
  with: { "python-version": version },
});

/** The checks, each a step. */
export const checkSteps = ({ checks }: Pick<PythonChecks, "checks">): Step[] => checks.map((run): Step => ({ run }));

/** Key of a config schema: a file of tests, and how many of them must pass. */
export const countedSuite = z.strictObject(
  {
    name: pattern(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,49}$/, "a suite's name: letters, digits, blanks, '.', '_' or '-'"),
    path: repositoryPath.describe("Its file or folder, for pytest"),
    tests: whole(1, 100_000, "how many of its tests must pass"),
  },
  { error: () => "an object with `name`, `path` and `tests`" },
);

/** {@link countedSuite} as a config has it. */
export type CountedSuite = z.output<typeof countedSuite>;

const countTestsPath = ".github/scripts/count_tests.py";

/** The program by which {@link countedSuiteSteps} count: the repository has to have it. */
export const countTests = (): DeliveredFile =>
  programFile(countTestsPath, textBeside(import.meta.url, "./count_tests.py"), "components/github/count_tests.py");

/**
 * Runs a suite, and fails where fewer tests pass than are expected: else nobody notices one that vanished or is skipped.
 * @param given what the tests are given, beside what the step needs; such as secrets, which nothing else of the job sees
 */
export const countedSuiteSteps = (
  { name, path, tests }: CountedSuite,
  given: Readonly<Record<string, string>> = {},
): [Step, Step] => {
  const REPORT = `\${{ runner.temp }}/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.xml`;
  return [
    { name, env: { ...given, SUITE: path, REPORT }, run: 'python -m pytest -v --junitxml="$REPORT" "$SUITE"' },
    {
      name: `Count ${name}`,
      env: { SUITE: name, EXPECTED: `${tests}`, REPORT },
      run: `python ${countTestsPath}`,
    },
  ];
};
