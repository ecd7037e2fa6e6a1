"""What a run says: lines, annotations, outputs, the summary. What was told to `hide` stands in none of them."""

import os
import re
import sys
import traceback
from pathlib import Path

ENV = {name: value.strip() for name, value in os.environ.items()}
hidden: set[str] = set()


class Failed(Exception):
    """The end of a run: what is wrong, and the mend."""

    def __init__(self, title, message):
        super().__init__(message)
        self.title = title


def hide(*texts):
    hidden.update(text for text in texts if len(text) > 3)


def clean(text, length=1000):
    """One line without what is hidden, and which the runner takes for no command: it finds "##[" anywhere, "::" in front."""
    for each in sorted(hidden, key=len, reverse=True):
        text = text.replace(each, "***")
    text = re.sub(r"\s+", " ", re.sub(r"[^ -~\n]", " ", text))
    return re.sub(r"##+\[", "#[", text).lstrip(" :").rstrip()[:length]


def plain(text):
    """Text from outside, as a cell of a table: nothing in it is markup, or calls anybody."""
    return re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9 .,:;/_+-]", " ", str(text))).strip()[:100] or "unknown"


def say(text):
    print(clean(text), flush=True)


def annotate(level, title, message):
    print(f"::{level} title={title}::" + clean(message, 2000).replace("%", "%25"), flush=True)
    summary(f"**{title}**: {clean(message, 2000)}")


def summary(text):
    write("GITHUB_STEP_SUMMARY", f"{text}\n\n")


def output(**values):
    write("GITHUB_OUTPUT", "".join(f"{name.replace('_', '-')}={value}\n" for name, value in values.items()))


def write(variable, text):
    if path := ENV.get(variable):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


def needed(name):
    if not ENV.get(name):
        raise Failed("Not configured", f"{name} is empty or not set: it comes from the workflow's step")
    return ENV[name]


def number(name, default):
    """A number out of the environment. Seconds may have fractions, so that tests have a faster clock."""
    return float(ENV.get(name) or default)


def program(main):
    """Runs a program; its failure is one annotation, and exit code 1."""
    try:
        main()
    except Failed as failed:
        annotate("error", failed.title, str(failed))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001
        # Its text may hold anything, a key among it: where it came about says enough.
        places = [f"{Path(each.filename).name}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
        annotate("error", "Mistake in the program", f"{type(error).__name__} at {', '.join(places)}")
        sys.exit(1)
