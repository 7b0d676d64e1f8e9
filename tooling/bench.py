# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py bench``: the figures that the README states, beside their limits, in one run on a named machine."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..addon.client import ClientError, EngineClient, EngineState, Job, JobQueue, JobStore
from ..addon.request import STARTER, make_request
from ..engine.machine import describe
from . import package
from .console import BUILD, ROOT, CommandError, clean_environment, say
from .demo import SAMPLE
from .engine_bench import command as engine
from .finishing_bench import command as finishing

FOLDER = BUILD / "bench"
STARTS = 4
# What the add-on gives its timer, and the pause between two ticks.
TICK_SECONDS, TICK_PAUSE = 0.02, 0.03


@dataclass(frozen=True)
class Figure:
    """One measured number with its unit and the limit it is to keep."""

    name: str
    value: float
    unit: str
    limit: float


def _engine(folder: Path) -> EngineClient:
    return EngineClient(Path(sys.executable), ROOT, folder / "engine.log")


def engine_start(folder: Path) -> list[float]:
    """Seconds from starting the process to its greeting, several times; the first one also warms the files."""
    seconds = []
    for _ in range(STARTS):
        engine = _engine(folder)
        start = time.perf_counter()
        engine.start()
        try:
            while engine.state is not EngineState.READY:
                engine.poll(0.02)
                if engine.problem is not None:
                    raise ClientError(engine.problem.code, engine.problem.sentence, engine.problem.hint)
                time.sleep(0.005)
            seconds.append(time.perf_counter() - start)
        finally:
            engine.shutdown()
    return seconds


def _run(queue: JobQueue, image: Path, seed: int, model: Path | None) -> tuple[Job, float, float]:
    """One job to its end; the job, its seconds without waiting for other jobs, and the longest tick of the client."""
    request = make_request(image.stem, image.name, seed, STARTER if model is None else model.name, model)
    job = queue.add(queue.store.create(request, image))
    seconds = longest = 0.0
    while not job.ended:
        begin = time.perf_counter()
        queue.poll(TICK_SECONDS)
        longest = max(longest, time.perf_counter() - begin)
        time.sleep(TICK_PAUSE)
        # Another program's job may have the device; that is no part of this one's time.
        seconds += time.perf_counter() - begin if job.stage != "waiting" else 0.0
    if job.problem is not None:
        raise ClientError(job.problem.code, job.problem.sentence, job.problem.hint, job.problem.log)
    return job, seconds, longest


def generation(folder: Path, image: Path, model: Path | None) -> tuple[dict[str, Any], list[Figure]]:
    """Image to finished arrays: on a fresh engine, then again with the networks loaded."""
    queue = JobQueue(JobStore(folder / "jobs"), _engine(folder))
    try:
        first, first_seconds, first_tick = _run(queue, image, 1, model)
        again, again_seconds, again_tick = _run(queue, image, 2, model)
    finally:
        queue.shutdown()
    peak = max(job.peak_memory.get("host", 0) for job in (first, again)) / 1e9
    figures = [
        Figure("Generation, image to finished arrays, engine just started", first_seconds, "s", 30.0),
        Figure("The same with the networks loaded", again_seconds, "s", 30.0),
        Figure("Peak memory of the engine", peak, "GB", 4.0),
        Figure(
            "Longest tick of Blender's main thread while a job runs", 1000 * max(first_tick, again_tick), "ms", 50.0
        ),
    ]
    return {"first": first.seconds, "again": again.seconds}, figures


def _last_json(command: list[str | Path], **variables: str) -> dict[str, Any]:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=clean_environment(**variables)
    )
    if done.returncode:
        raise CommandError(f"{Path(command[-1]).name}: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def blender(folder: Path) -> list[Figure]:
    """Registration of the packed extension, and the scene's share of a 100,000-face result, in the bpy wheel."""
    target = folder / "espalier.zip"
    package.write_package(target)
    tool = [sys.executable, "-I", "-X", "utf8", ROOT / "tooling" / "__main__.py", "bench_blender", target]
    figures = _last_json(tool, BLENDER_USER_RESOURCES=str(folder / "blender"))
    return [
        Figure("Building a result of 100,000 faces in the scene", max(figures["build_s"]), "s", 0.5),
        Figure("Extension registration, import included", figures["registration_s"], "s", 0.3),
    ]


def _markdown(machine: str, figures: list[Figure], stages: dict[str, Any], precision: dict[str, Any]) -> str:
    lines = [f"Machine: {machine}", "", "| figure | measured | limit |", "|---|---|---|"]
    lines += [f"| {f.name} | {f.value:.3g} {f.unit} | {f.limit:g} {f.unit} |" for f in figures]
    lines += ["", "| stage | first, s | again, s |", "|---|---|---|"]
    lines += [
        f"| {name} | {value:.2f} | {stages['again'].get(name, 0):.2f} |" for name, value in stages["first"].items()
    ]
    lines += ["", "| network on the CPU | tokens | float32, s | bfloat16, s | times faster | relative error |"]
    lines += ["|---|---|---|---|---|---|"]
    lines += [
        f"| {row['network']} | {row['tokens']} | {row['float32_s']:.3g} | {row['bfloat16_s']:.3g} "
        f"| {row['speedup']:.2f} | {row['relative_error']:.1e} |"
        for row in precision["precision"]
    ]
    hardware = "has" if precision["hardware_bfloat16"] else "lacks"
    lines += ["", f"{precision['threads']} threads; the processor {hardware} bfloat16 instructions."]
    return "\n".join(lines) + "\n"


def _machine() -> str:
    """This machine and Python in one line."""
    facts = describe()
    memory = facts["memory"]["total"] / 2**30
    return (
        f"{facts['device']['name']}, {os.cpu_count()} processors, {memory:.0f} GiB, "
        f"Python {facts['python']}, torch {facts['torch']}"
    )


def main(arguments: list[str]) -> int:
    """Measure everything, print the table and write it; with ``engine`` or ``finishing`` first, that alone."""
    benches = {"engine": engine.main, "finishing": finishing.main}
    if arguments and arguments[0] in benches:
        return benches[arguments[0]](arguments[1:], _machine())
    parser = argparse.ArgumentParser(prog="build.py bench", description="Measure what the README states.")
    parser.add_argument("--image", type=Path, default=SAMPLE, help="the image to generate from (default: the sample)")
    parser.add_argument("--model", type=Path, help="the folder of a model set (default: the starter model)")
    options = parser.parse_args(arguments)
    model = options.model.absolute() if options.model is not None else None
    FOLDER.mkdir(parents=True, exist_ok=True)
    machine = _machine()
    say(f"Measuring on {machine}; about three minutes, best with nothing else running.")
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            starts = engine_start(folder)
            say(f"  engine start: {', '.join(f'{s:.2f}' for s in starts)} s")
            stages, figures = generation(folder, options.image, model)
            figures.insert(0, Figure("Engine start to its greeting, files warm", max(starts[1:]), "s", 6.0))
            figures += blender(folder)
            precision = _last_json([sys.executable, "-I", "-X", "utf8", ROOT / "engine" / "__main__.py", "bench"])
    except (ClientError, CommandError) as error:
        say(f"build.py bench: {error}")
        return 1
    table = _markdown(machine, figures, stages, precision)
    record = {"machine": machine, "figures": [asdict(f) for f in figures], "stages": stages, **precision}
    (FOLDER / "bench.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    (FOLDER / "bench.md").write_text(table, encoding="utf-8")
    say(table)
    for figure in figures:
        if figure.value > figure.limit:
            say(f"Over its limit: {figure.name}")
    say(f"Written to {FOLDER / 'bench.md'} and bench.json.")
    return 0
