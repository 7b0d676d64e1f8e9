# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runner compares which case: chosen by the class and the call that its case.json names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .case import Case

Runner = Callable[[Case], None]


class NoRunnerError(LookupError):
    """No runner is known for a case's class or call; the message says which."""


@dataclass(frozen=True)
class Entry:
    """``begins``: how the class begins. ``calls``: a word of the call."""

    begins: str
    calls: str
    run: Runner


_ENTRIES: list[Entry] = []


def compares(begins: str, calls: str) -> Callable[[Runner], Runner]:
    """Register the decorated runner for the cases whose class begins with ``begins`` and whose call has ``calls``."""

    def register(run: Runner) -> Runner:
        _ENTRIES.append(Entry(begins, calls, run))
        return run

    return register


def find(case: Case) -> Runner:
    """The runner of a case. Raises ``NoRunnerError``."""
    kind, call = str(case.about.get("class", "")), str(case.about.get("call", ""))
    known = [entry for entry in _ENTRIES if kind.startswith(entry.begins)]
    if not known:
        raise NoRunnerError(f"no runner is known for the class {kind!r}")
    for entry in known:
        if entry.calls in call:
            return entry.run
    raise NoRunnerError(f"no runner of the class {kind!r} is known for the call {call!r}")
