# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py bench finishing``: runs the parts that have no result yet, then prints and writes everything."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from ...addon.client import ClientError
from ...engine.weights.configuration import read_configuration
from ..bench_record import DOCUMENT, RESULT_FILE, document, kept_results, report
from ..console import BUILD, ROOT, CommandError, say
from ..demo import SAMPLE, generate
from .figures import ended_early, figures_of
from .parts import FULL, QUICK, Part, chosen, parts_of
from .pictures import make_picture
from .tables import markdown
from .watch import NOT_BEGUN

FOLDER = BUILD / "bench" / "finishing"
STARTER_WEIGHTS = ROOT / "engine" / "starter" / "weights"
MARKS = ("<!-- finishing -->\n", "<!-- end of finishing -->")


def main(arguments: list[str], machine: str) -> int:
    """Measure, print the tables and write them beside the results; ``machine`` is what ran it, in words."""
    parser = argparse.ArgumentParser(prog="build.py bench finishing", description="Measure finishing on a fixed set.")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="run this part (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="small objects, in two minutes: a check, no measurement")
    parser.add_argument("--fresh", action="store_true", help="measure again what has a result already")
    parser.add_argument("--list", action="store_true", help="name the parts and stop")
    parser.add_argument("--pictures", action="store_true", help="make the pictures of docs/benchmarks.md and stop")
    parser.add_argument("--document", action="store_true", help="also put the tables into docs/benchmarks.md")
    parser.add_argument("--output", type=Path, help="folder for results (default: build/bench/finishing)")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    folder = (options.output or FOLDER.with_name("finishing-quick" if options.quick else "finishing")).absolute()
    parts = parts_of(plan, _generated)
    try:
        if options.pictures:
            _pictures(folder.with_name("finishing-pictures"))
            return 0
        wanted = chosen(parts, options.only)
    except CommandError as error:
        say(f"build.py bench finishing: {error}")
        return 2
    if options.list:
        say("\n".join(part.name for part in parts))
        return 0
    say(f"Measuring on {machine}; best with nothing else running. Stopped, it goes on where it was.")
    for part in wanted:
        kept = folder / part.name / RESULT_FILE
        if kept.exists() and not options.fresh and not ended_early(json.loads(kept.read_text(encoding="utf-8"))):
            say(f"  {part.name}: kept from an earlier run")
            continue
        shutil.rmtree(folder / part.name, ignore_errors=True)
        began = time.monotonic()
        result = {"machine": machine, "request_target": plan.target, **_run(part, folder / part.name)}
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(result, indent=1), encoding="utf-8")
        ended = ", ".join(f"{n} {r['status']}" for n, r in result.items() if isinstance(r, dict))
        say(f"  {part.name}: {time.monotonic() - began:.0f} s ({ended})")
    results = kept_results(folder, [part.name for part in parts], machine)
    figures = figures_of(results)
    text = markdown(machine, figures, results)
    report(machine, folder, figures, results, text)
    if options.document:
        document(DOCUMENT, text, MARKS)
        say(f"The tables are in {DOCUMENT}.")
    return 0


def _run(part: Part, folder: Path) -> dict[str, Any]:
    """Measure a part; one that cannot even begin is a result, too."""
    try:
        return part.run(folder)
    except CommandError as error:
        return {"finish": {**NOT_BEGUN, "status": f"did not begin ({error})"}}


def _pictures(folder: Path) -> None:
    """Write docs/images/finish-*.png: the knot as it may be generated, and an object of the starter model, finished as
    its model set suggests."""
    sizes = {"faces": 60_000, "low_faces": 2000, "texture_size": 1024}
    for name in ("knot", "starter"):
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        if name == "starter":
            suggested = read_configuration(STARTER_WEIGHTS)
            finishing = {"repair": suggested.repair, "smoothing": suggested.smoothing}
            request = {"job": str(_generated(place, 1)), "finishing": finishing}
        else:
            request = {"object": name, "resolution": 224}
        target = ROOT / "docs" / "images" / f"finish-{name}.png"
        make_picture(place, target, {**request, **sizes})
        say(f"  {target}")


def _generated(folder: Path, seed: int) -> Path:
    """The job folder of an object that the starter model made of the sample picture."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return generate(SAMPLE, seed, None, folder).folder
    except ClientError as error:
        raise CommandError(error.problem.sentence) from error
