# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py bench engine``: runs the parts that have no result yet, then prints and writes everything."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

from ...engine.machine import cuda_device, torch_has_cuda
from ..bench_record import DOCUMENT, RESULT_FILE, document, kept_results, report
from ..console import BUILD, CommandError, say
from .figures import figures_of
from .plan import FULL, RANDOM_SET, SMALL, chosen, parts_of
from .tables import markdown

FOLDER = BUILD / "bench" / "engine"
MARKS = ("<!-- engine -->\n", "<!-- end of engine -->")
KINDS = {
    FULL: "Full-size networks with random weights. Times are of the device, medians of several repetitions.",
    SMALL: "No GPU: full width, but few blocks, few tokens and four steps; whole runs are of networks that are hardly "
    "anything. Times are processor time of one thread, medians of several repetitions; those of whole runs are seconds "
    "of the clock. No figure for a GPU can be read off this.",
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
    results = kept_results(folder, [part.name for part in parts], machine)
    if all(results.get(part.name, {}).get("status") == "finished" for part in parts):
        shutil.rmtree(folder / RANDOM_SET, ignore_errors=True)  # 16 GB
    figures = figures_of(results if plan is FULL else {})
    text = markdown(machine, KINDS[plan], figures, results)
    report(machine, folder, figures, results, text)
    if options.document:
        document(DOCUMENT, text, MARKS)
        say(f"The tables are in {DOCUMENT}.")
    return 0
