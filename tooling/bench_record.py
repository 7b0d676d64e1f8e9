# SPDX-License-Identifier: GPL-3.0-or-later
"""What measurements in parts have in common: results that are kept, what is said of them, their place in the docs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import ROOT, CommandError, say

if TYPE_CHECKING:
    from .finishing_bench.figures import Figure

RESULT_FILE = "result.json"
DOCUMENT = ROOT / "docs" / "benchmarks.md"


def kept_results(folder: Path, names: list[str], machine: str) -> dict[str, dict[str, Any]]:
    """Read the results there are of the parts ``names``, and say so when another machine made some of them."""
    paths = [(name, folder / name / RESULT_FILE) for name in names]
    results = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths if path.exists()}
    others = sorted({result["machine"] for result in results.values()} - {machine})
    if others:
        say(f"Some kept results are of another machine ({', '.join(others)}): --fresh measures them again.")
    return results


def report(machine: str, folder: Path, figures: list[Figure], results: dict[str, dict[str, Any]], text: str) -> None:
    """Print the tables ``text``, write them and everything behind them beside ``folder``, and say what is missed."""
    record = {"machine": machine, "figures": [{**asdict(f), "reached": f.reached} for f in figures], "parts": results}
    folder.with_suffix(".json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    folder.with_suffix(".md").write_text(text, encoding="utf-8")
    say("\n" + text)
    missed = [figure.name for figure in figures if figure.reached is False]
    say(f"Missed: {'; '.join(missed)}." if missed else "No measured figure misses its limit.")
    say(f"Written to {folder.with_suffix('.md')} and {folder.with_suffix('.json').name}.")


def document(path: Path, text: str, marks: tuple[str, str]) -> None:
    """Put ``text`` in place of what stands between the marks in the document. Raises CommandError without marks."""
    head, begin, rest = path.read_text(encoding="utf-8").partition(marks[0])
    _, end, tail = rest.partition(marks[1])
    if not begin or not end:
        raise CommandError(f"{path.name} lacks the marks {marks[0]} and {marks[1]} that the tables belong between.")
    path.write_text(f"{head}{begin}\n{text}{end}{tail}", encoding="utf-8")
