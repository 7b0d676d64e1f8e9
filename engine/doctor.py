# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ``doctor``: what this machine has, what is missing and what that costs, and whether the engine works.

Each check runs in a thread of its own for a bounded time, and what it raises is a finding: nothing here hangs or stops
the rest. The report may be pasted into a bug report: it shows no user name.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import textwrap
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from . import doctor_checks, doctor_models, doctor_selftest
from .doctor_checks import Check, Finding
from .events import say

LIMIT_SECONDS = 20.0
INDENT, WIDTH = 11, 110
MARKS = {"ok": " ", "note": "!", "broken": "X"}

Named = tuple[str, Check, float]
"""A check with its name and the seconds it may take."""

CHECKS: tuple[Named, ...] = (
    ("system", doctor_checks.system, LIMIT_SECONDS),
    ("device", doctor_checks.device, LIMIT_SECONDS),
    ("memory", doctor_checks.memory, LIMIT_SECONDS),
    ("data", doctor_checks.data_folder, LIMIT_SECONDS),
    ("packages", doctor_checks.packages, LIMIT_SECONDS),
    ("backends", doctor_checks.backends, LIMIT_SECONDS),
)


def checks(trellis2: Path | None = None) -> tuple[Named, ...]:
    """All checks in the order of the report; ``trellis2`` is the folder of TRELLIS.2-4B where it is not in the data."""
    return (
        *CHECKS,
        ("models", partial(doctor_models.models, trellis2=trellis2), LIMIT_SECONDS),
        ("self-test", doctor_selftest.self_test, doctor_selftest.LIMIT_SECONDS + 10),
    )


def examine(data: Path, checks: tuple[Named, ...]) -> Iterator[Finding]:
    """Run the checks one after the other and yield what each found, also when it failed or did not end."""
    for name, check, seconds in checks:
        yield _bounded(name, check, data, seconds)


def line_of(finding: Finding) -> str:
    """A finding for people: a mark ("!" costs something, "X" broken), its name, its text in one or more lines."""
    indent = " " * (INDENT + 2)
    # A folded line goes on a little further in, so that what belongs together is seen.
    folded = [
        textwrap.fill(
            line,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines_of(finding)
    ]
    return f"{MARKS[finding.state]} {finding.name:<{INDENT}}" + "\n".join(folded)[len(indent) :]


def lines_of(finding: Finding) -> list[str]:
    """What a finding says, line by line, with what to do at the end."""
    return [*finding.text.split("\n"), *([finding.advice] if finding.advice else [])]


def without_user(value: Any, home: str | None = None, user: str | None = None) -> Any:
    """Return ``value`` (text, or lists and mappings of it) with the home folder as ``~`` and the user's name, where it
    is a part of another path, as ``user``."""
    home = str(Path.home()) if home is None else home
    user = _user() if user is None else user
    if isinstance(value, dict):
        return {without_user(key, home, user): without_user(entry, home, user) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_user(entry, home, user) for entry in value]
    if not isinstance(value, str):
        return value
    flags = re.IGNORECASE if os.name == "nt" else 0
    if home and Path(home) != Path(Path(home).anchor):
        value = re.sub(rf"{re.escape(home)}(?![^\W_])", "~", value, flags=flags)
    if user:
        value = re.sub(rf"(?<=[\\/]){re.escape(user)}(?=[\\/\s:;,.“”'\")]|$)", "user", value, flags=flags)
    return value


def main(arguments: list[str]) -> int:
    """Print one JSON object per line, a finding or at the end the verdict; 0 when all that is needed works, else 1."""
    parser = argparse.ArgumentParser(prog="engine doctor")
    parser.add_argument("--data", type=Path, help="the data folder")
    parser.add_argument("--self-test", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--trellis2", type=Path, metavar="FOLDER", help="TRELLIS.2-4B, where it is not in the data")
    options = parser.parse_args(arguments)
    if options.self_test is not None:
        return doctor_selftest.run(options.self_test)
    if options.data is None:
        parser.error("--data is needed")
    broken: list[Finding] = []
    for finding in examine(options.data.absolute(), checks(options.trellis2)):
        broken += [finding] if finding.state == "broken" else []
        facts = {"name": finding.name, "state": finding.state, "advice": finding.advice, "facts": finding.facts}
        _tell("finding", line_of(finding), lines=lines_of(finding), **facts)
    if broken:
        text = f"Not usable yet: {broken[0].name}. {broken[0].advice}"
    else:
        text = "Everything that is needed works."
    _tell("verdict", text, usable=not broken, broken=[finding.name for finding in broken])
    return 1 if broken else 0


def _bounded(name: str, check: Check, data: Path, seconds: float) -> Finding:
    """Return what ``check`` finds; a finding of its own where it raises, or has not ended after ``seconds``."""
    found: list[Finding] = []

    def work() -> None:
        try:
            found.append(check(data))
        except Exception as error:
            text = f"could not be looked at: {type(error).__name__}: {str(error)[:300]}"
            found.append(Finding(name, "broken", text, "Report this with what the doctor says."))

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    if found:
        return found[0]
    advice = "Restart the computer, then run the doctor again."
    return Finding(name, "broken", f"did not answer within {seconds:.0f} s", advice)


def _tell(event: str, text: str, **fields: Any) -> None:
    say(event, without_user(text), **without_user(fields))


def _user() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
    # Short names and that of the administrator are parts of ordinary paths.
    return name if len(name) > 2 and name != "root" else ""
