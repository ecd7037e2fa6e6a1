"""Counts the tests that passed, and fails where they are fewer than expected: one that vanished or is skipped proves nothing.

Reads SUITE, EXPECTED, REPORT (JUnit's XML, as pytest writes it) and GITHUB_STEP_SUMMARY.
"""

import os
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

suite, expected = os.environ["SUITE"], int(os.environ["EXPECTED"])


def end(level, message):
    text = re.sub(r"[^ -~]", " ", message)
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as file:
        file.write(f"- {suite}: {text}\n")
    if level:
        print(f"::{level} title={suite}::" + text.replace("%", "%25"))
    else:
        print(f"{suite}: {text}")
    sys.exit(level == "error")


try:
    cases = list(ElementTree.parse(os.environ["REPORT"]).iter("testcase"))
except (OSError, ElementTree.ParseError):
    end("error", "there is no report of the tests: they did not run to their end")
missed = [each.get("name", "") for each in cases if each.find("skipped") is not None]
# One may have two of them: a test that was skipped, and then failed to clean up.
passed = sum(all(each.find(mark) is None for mark in ("skipped", "failure", "error")) for each in cases)
if passed < expected:
    skipped = f" ({len(missed)} skipped: {', '.join(missed)[:300]})" if missed else ""
    end(
        "error",
        f"{passed} tests passed{skipped}; expected {expected}. Bring back what is missing, or change the number in the "
        "infrastructure's stack file, where it is `tests` of the suite",
    )
if passed > expected:
    end(
        "notice",
        f"{passed} tests passed, {expected} are expected: raise the number, or a test that vanishes is not noticed",
    )
end("", f"{passed} tests passed, as expected")
