# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py bench engine``: runs the parts that have no result yet, then prints and writes everything."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path

from ...engine.machine import cuda_device, torch_has_cuda
from ..console import BUILD, ROOT, CommandError, say
from ..finishing_bench.command import document
from .figures import Results, figures_of
from .plan import FULL, SMALL, Plan, chosen, parts_of
from .tables import markdown

FOLDER = BUILD / "bench" / "engine"
RESULT_FILE = "result.json"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
MARKS = ("<!-- engine -->\n", "<!-- end of engine -->")
KINDS = {
    FULL: "Full-size networks with random weights. Times are of the device, medians of several repetitions.",
    SMALL: "No GPU: full width, but few blocks and few tokens. Times are processor time of one thread, medians of "
    "several repetitions. No figure for a GPU can be read off this.",
}


def main(arguments: list[str], machine: str) -> int:
    """Measure, print the tables and write them beside the results; ``machine`` is what ran it, in words."""
    parser = argparse.ArgumentParser(
        prog="build.py bench engine", description="Measure the networks and what is saved."
    )
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="run this part (may be repeated)")
    parser.add_argument("--small", action="store_true", help="the small sizes on the CPU, also where there is a GPU")
    parser.add_argument("--fresh", action="store_true", help="measure again what has a result already")
    parser.add_argument("--list", action="store_true", help="name the parts and stop")
    parser.add_argument("--document", action="store_true", help="also put the tables into docs/benchmarks.md")
    parser.add_argument("--output", type=Path, help="folder for results (default: build/bench/engine)")
    options = parser.parse_args(arguments)
    plan = FULL if not options.small and torch_has_cuda() and cuda_device() is not None else SMALL
    parts = parts_of(plan)
    try:
        wanted = chosen(parts, options.only)
    except CommandError as error:
        say(f"build.py bench engine: {error}")
        return 2
    if options.list:
        say("\n".join(part.name for part in parts))
        return 0
    folder = (options.output or FOLDER.with_name("engine" if plan is FULL else "engine-small")).absolute()
    say(f"Measuring on {machine}. {KINDS[plan]} Stopped, it goes on where it was.")
    for part in wanted:
        kept = folder / part.name / RESULT_FILE
        if kept.exists() and not options.fresh and json.loads(kept.read_text("utf-8"))["status"] == "finished":
            say(f"  {part.name}: kept from an earlier run")
            continue
        shutil.rmtree(folder / part.name, ignore_errors=True)
        began = time.monotonic()
        result = {"machine": machine, **part.run(folder / part.name)}
        kept.write_text(json.dumps(result, indent=1), encoding="utf-8")
        say(f"  {part.name}: {time.monotonic() - began:.0f} s ({result['status']})")
    text = _report(machine, plan, folder, [part.name for part in parts])
    if options.document:
        document(DOCUMENT, text, MARKS)
        say(f"The tables are in {DOCUMENT}.")
    return 0


def _report(machine: str, plan: Plan, folder: Path, names: list[str]) -> str:
    """Print and write the tables of all results there are; return them."""
    paths = [(name, folder / name / RESULT_FILE) for name in names]
    results: Results = {name: json.loads(path.read_text("utf-8")) for name, path in paths if path.exists()}
    others = sorted({result["machine"] for result in results.values()} - {machine})
    if others:
        say(f"Some kept results are of another machine ({', '.join(others)}): --fresh measures them again.")
    figures = figures_of(results if plan is FULL else {})
    text = markdown(machine, KINDS[plan], figures, results)
    record = {"machine": machine, "figures": [{**asdict(f), "reached": f.reached} for f in figures], "parts": results}
    folder.with_suffix(".json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    folder.with_suffix(".md").write_text(text, encoding="utf-8")
    say("\n" + text)
    missed = [figure.name for figure in figures if figure.reached is False]
    say(f"Missed: {'; '.join(missed)}." if missed else "No measured figure misses its limit.")
    say(f"Written to {folder.with_suffix('.md')} and {folder.with_suffix('.json').name}.")
    return text
