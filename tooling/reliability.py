# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py reliability``: real processes are killed, run for long and side by side; what that costs is counted.

Works with a tiny model set, whose jobs take a fraction of a second, and with the starter where that matters. Blender is
the application where it can be set up, else the bpy wheel. Every part keeps its result, so that a run that was stopped
goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..engine.machine import describe
from ..tests.tiny_set import write_tiny_set
from .bench_record import DOCUMENT, document
from .console import BUILD, CommandError, say
from .reliability_trials.blender_trials import blender_kills, long_run, two_blenders
from .reliability_trials.engine_kills import engine_kills
from .reliability_trials.figures import Figure, Outcome, table
from .reliability_trials.fuzzed_frames import fuzzed_frames
from .reliability_trials.main_thread import main_thread

FOLDER = BUILD / "reliability"
MARKS = ("<!-- reliability -->\n", "<!-- end of reliability -->")


@dataclass(frozen=True)
class Part:
    """A trial by its name; ``run`` gets an empty folder and the tiny model set."""

    name: str
    about: str
    run: Callable[[Path, Path], Outcome]


def parts(share: float, seed: int) -> list[Part]:
    """All trials, in the order of the table; ``share`` of the full counts."""

    def some(count: int) -> int:
        return max(round(share * count), 1)

    def moments(name: str) -> random.Random:
        return random.Random(f"{seed} {name}")

    return [
        Part(
            "engine-kills",
            "the engine is killed at random moments",
            lambda folder, model: engine_kills(folder, model, some(100), some(12), moments("engine-kills")),
        ),
        Part(
            "fuzzed-frames",
            "altered messages arrive on either side",
            lambda folder, model: fuzzed_frames(folder, model, some(2000)),
        ),
        Part(
            "blender-kills",
            "Blender is killed at random moments",
            lambda folder, model: blender_kills(folder, model, some(20), moments("blender-kills")),
        ),
        Part(
            "two-blenders",
            "two Blenders share one store",
            lambda folder, model: two_blenders(folder, model, some(5)),
        ),
        Part(
            "long-run",
            "many jobs in a row",
            lambda folder, model: long_run(folder, model, some(200), some(10)),
        ),
        Part(
            "main-thread",
            "the add-on's ticks are timed",
            lambda folder, model: main_thread(folder, model, some(4), some(1), some(3)),
        ),
    ]


def main(arguments: list[str]) -> int:
    """Run the parts that have no result yet, print and write the table; 1 when anything was not as it has to be."""
    parser = argparse.ArgumentParser(prog="build.py reliability", description="Kill, repeat and run side by side.")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="run this part (may be repeated)")
    parser.add_argument("--share", type=float, default=1.0, help="of the full counts (default: 1, about an hour)")
    parser.add_argument("--fresh", action="store_true", help="run again what has a result already")
    parser.add_argument("--list", action="store_true", help="name the parts and stop")
    parser.add_argument("--document", action="store_true", help="also put the table into docs/benchmarks.md")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    options = parser.parse_args(arguments)
    known = parts(options.share, options.seed)
    if options.list:
        say("\n".join(f"{part.name:14} {part.about}" for part in known))
        return 0
    unknown = sorted(set(options.only) - {part.name for part in known})
    if unknown:
        say(f"build.py reliability: there is no part {', '.join(unknown)}; --list names them.")
        return 2
    folder = FOLDER if options.share == 1.0 else FOLDER.with_name("reliability-small")
    folder.mkdir(parents=True, exist_ok=True)
    for part in known:
        kept = folder / f"{part.name}.json"
        if not options.only or part.name in options.only:
            if kept.exists() and not (options.fresh or options.only):
                say(f"{part.name}: kept from an earlier run")
                continue
            kept.unlink(missing_ok=True)
            _run(part, kept)
    outcomes = [_read(kept) for part in known if (kept := folder / f"{part.name}.json").exists()]
    text = f"Machine: {machine()}\n\n{table(outcomes)}"
    (folder / "reliability.md").write_text(text, encoding="utf-8")
    say("\n" + text)
    if options.document:
        document(DOCUMENT, text, MARKS)
        say(f"The table is in {DOCUMENT}.")
    return 0 if outcomes and all(outcome.good for outcome in outcomes) else 1


def _run(part: Part, kept: Path) -> None:
    """Run one part and keep what it came to; one that hangs is a figure of its own."""
    say(f"{part.name}: {part.about}")
    begun, place = time.monotonic(), Path(tempfile.mkdtemp(prefix=f"espalier-{part.name}-"))
    (place / "tmp").mkdir()
    # Engines wait for each other by a file in there: those of other programs are not to be waited for.
    os.environ["TMPDIR"] = str(place / "tmp")
    try:
        outcome = part.run(place / "trial", write_tiny_set(place / "set"))
    except CommandError as error:
        outcome = Outcome([Figure(f"{part.about.capitalize()}: ended early", 1, 0, "", str(error))])
    say(f"{outcome.text}\n  took {time.monotonic() - begun:.0f} s")
    kept.write_text(json.dumps(outcome.record(), indent=1), encoding="utf-8")
    if outcome.good:
        shutil.rmtree(place, ignore_errors=True)
    else:
        say(f"  The folders are kept in {place}.")


def _read(kept: Path) -> Outcome:
    return Outcome.of(json.loads(kept.read_text(encoding="utf-8")))


def machine() -> str:
    """This machine and Python in one line."""
    facts = describe()
    return f"{facts['device']['name']}, Python {facts['python']}, torch {facts['torch']}"
