"""Stands in for pytest: a suite's file says of each test what comes of it; what the run was given is noted.

Reads PYTEST_LOG, DATABASE_URL and OPENAI_API_KEY.
"""

import json
import os
import re
import sys
from pathlib import Path

RESULTS = {"pass": "", "skip": "<skipped/>", "fail": "<failure/>"}

_, _, report, path = sys.argv
found = re.findall(r"def (\w+)\(\): (\w+)", Path(path).read_text(encoding="utf-8"))
cases = (f'<testcase name="{name}">{RESULTS[what]}</testcase>' for name, what in found)
Path(report.removeprefix("--junitxml=")).write_text(
    f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>", encoding="utf-8"
)
with Path(os.environ["PYTEST_LOG"]).open("a", encoding="utf-8") as log:
    log.write(json.dumps([path, os.environ["DATABASE_URL"], os.environ["OPENAI_API_KEY"]]) + "\n")
sys.exit(any(what == "fail" for _, what in found))
