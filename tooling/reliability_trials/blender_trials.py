# SPDX-License-Identifier: GPL-3.0-or-later
"""Trials with Blender itself: killed at random moments, two at once on one store, for long."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ...addon.client import JobStore
from ...engine import protocol
from ..console import CommandError
from ..demo import SAMPLE
from .blender_app import WITHOUT_ADDON, Blender, wait_for
from .figures import Figure, Outcome
from .rig import OUTLIVES, gone_within, half_files, memory_of, tiny_request

# What a Blender is doing when it is killed, in turn, and how long at most that is let go on, in seconds.
MOMENTS = (("job", 8.0), ("building", 0.05), ("job", 8.0), ("ordering", 0.1))
ORDERS = {"job": 2, "building": 2, "ordering": 8}


def _noted(folder: Path, name: str) -> Any:
    """What a Blender noted; None when it has not."""
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except OSError:
        return None


def _work(blender: Blender, name: str, model: Path, **task: Any) -> subprocess.Popen[bytes]:
    return blender.start(name, job="work", model=str(model), image=str(SAMPLE), **task)


def _states(store: JobStore) -> dict[str, str]:
    return {job.id: job.state for job in store.list()}


def _broken(store: JobStore) -> int:
    """Jobs that failed, other than by the end of their engine, which says so and is offered again."""
    failed = [job.problem for job in store.list() if job.state == protocol.FAILED]
    return sum(problem is None or problem.code != "interrupted" for problem in failed)


def blender_kills(folder: Path, model: Path, count: int, rng: random.Random) -> Outcome:
    """Kill Blender ``count`` times; each one takes up what the one before left. The last one ends all the work."""
    blender = Blender(folder)
    store, seen = JobStore(blender.data / "jobs"), set()
    lost = half = left = missing = 0
    slowest, moments = 0.0, Counter()
    try:
        for number in range(count):
            kind, longest = MOMENTS[number % len(MOMENTS)]
            expected = {job for job, state in _states(store).items() if state != protocol.BUILT}
            name = f"blender-{number}"
            notes = blender.folder / name
            process = _work(blender, name, model, seed=number + 1, orders=ORDERS[kind], endless=True)
            waited = {"job": "ordered", "building": "building", "ordering": "ordering"}[kind]
            if not wait_for(lambda: (notes / waited).exists(), process):  # noqa: B023 - called at once
                raise CommandError(f"Blender ended by itself; its words are in {notes / 'blender.log'}.")
            time.sleep(rng.uniform(0.0, longest))
            process.kill()
            process.wait()
            moments[kind] += 1
            missing += len(expected - set(_noted(notes, "offered") or {}))
            engine = _noted(notes, "engine")
            took = gone_within(engine, OUTLIVES) if engine is not None else 0.0
            left += took is None
            slowest = max(slowest, took or 0.0)
            half += len(half_files(store))
            now = _states(store)
            lost += len(seen - set(now)) + _broken(store)
            seen |= set(now)
        expected = {job for job, state in _states(store).items() if state != protocol.BUILT}
        last = _work(blender, "last", model, seed=0, orders=0, endless=False)
        wait_for(lambda: False, last)
        missing += len(expected - set(_noted(blender.folder / "last", "offered") or {}))
        states = _states(store)
        done = sum(states.get(job) == protocol.BUILT for job in seen)
        rests = len([*store.folder.glob("*/.*.part"), *store.folder.glob(".*.part")])
    finally:
        blender.close()
    of = ", ".join(f"{kind} {number}" for kind, number in moments.items())
    return Outcome(
        [
            Figure("Blender killed: jobs lost or broken", lost + len(seen) - done, 0, "", f"{count} × SIGKILL; {of}"),
            Figure("Blender killed: half files", half, 0, "", "looked for after every death"),
            Figure("Blender killed: jobs that the next start did not offer at once", missing, 0),
            Figure("Blender killed: engines that outlived it", left, 0, "", f"by {OUTLIVES:.0f} s"),
        ],
        [
            f"Killed was {blender.kind}, {count} times; in the end {done} of {len(seen)} jobs stood in scenes. "
            f"The slowest engine was gone {slowest:.1f} s after its Blender; {rests} unfinished files were left.",
        ],
    )


def two_blenders(folder: Path, model: Path, count: int) -> Outcome:
    """Let two Blenders take up the same ``count`` forsaken jobs at once, and order as many more each."""
    blender = Blender(folder, window=False)
    store, go = JobStore(blender.data / "jobs"), folder / "go"
    try:
        for number in range(count):
            store.create(tiny_request(model, number), SAMPLE)
        store.close()
        names, pair = ("first", "second"), []
        for place, name in enumerate(names):
            pair.append(_work(blender, name, model, seed=7 + place, orders=count, endless=False, go=str(go)))
            # One after the other: Blender refuses to install into a repository that another one is installing into.
            wait_for(lambda: (folder / name / "offered").exists(), pair[-1])  # noqa: B023 - called at once
        go.touch()
        for process in pair:
            wait_for(lambda: False, process)
        done = [_noted(folder / name, "done") or {} for name in names]
        states = _states(store)
        half = len(half_files(store))
    finally:
        blender.close()
    orphans = 3 * count - sum(state == protocol.BUILT for state in states.values())
    codes = sum(process.returncode != 0 for process in pair)
    return Outcome(
        [
            Figure("Two Blenders: jobs that did not end in a scene", orphans + codes, 0, "", f"of {3 * count}"),
            Figure("Two Blenders: jobs that both took up", len(done[0].keys() & done[1].keys()), 0, "", f"of {count}"),
            Figure("Two Blenders: half files", half, 0),
        ],
        [f"The two Blenders were {blender.kind}."],
    )


def long_run(folder: Path, model: Path, count: int, starters: int) -> Outcome:
    """Make ``count`` objects in a row in one Blender, ``starters`` with the starter model; compare memory over time.

    Beside it a Blender without the extension builds the same results by itself.
    """
    blender, used = Blender(folder, window=False), []
    notes, rest = blender.folder / "long", -1
    try:
        every = max(count // max(starters, 1), 2)
        process = blender.start("long", job="repeat", model=str(model), image=str(SAMPLE), jobs=count, every=every)

        def moved() -> bool:
            noted = _noted(notes, "rest")
            return (noted is not None and noted[0] != rest) or (notes / "done").exists()

        while wait_for(moved, process) and not (notes / "done").exists():
            rest, engine, own = _noted(notes, "rest")
            used.append((memory_of(engine), memory_of(own)))
            (notes / f"measured-{rest}").touch()
        wait_for(lambda: False, process)
        failed = _noted(notes, "failed")
        alone = blender.start("alone", WITHOUT_ADDON, results=str(blender.data / "jobs"))
        wait_for(lambda: False, alone)
        without = np.array(_noted(blender.folder / "alone", "done") or []) / 1e6
    finally:
        blender.close()
    if failed or len(used) < 8 or len(without) < 8:
        raise CommandError(f"The long run ended early: {failed or 'Blender ended'}.")
    figures, ranges = [], []
    for column, who in enumerate(("the engine", "Blender")):
        values, files = (np.array([row[column][kind] for row in used]) / 1e6 for kind in (0, 1))
        growth, size = _growth(values)
        name = f"{count} jobs in a row: memory of {who}, last quarter against second"
        figures.append(Figure(name, growth, 5.0, "%", size))
        ranges.append(f"{files.min():.0f} to {files.max():.0f} MB for {who}")
    (folder.parent / "memory.json").write_text(json.dumps(used), encoding="utf-8")
    return Outcome(
        figures,
        [
            f"The long run was in {blender.kind}. Memory is what a process works with, in memory or swapped out; pages "
            f"of program files, which the system drops and shares as it likes ({' and '.join(ranges)} during the run), "
            "are not counted.",
            "Blender's allocator (oneTBB's from Blender 5.1 on) keeps freed memory for later. A Blender without the "
            f"extension, which built the same {len(without)} meshes and images, changed by "
            f"{_growth(without)[0]:+.1f} % ({_growth(without)[1]}).",
        ],
    )


def _growth(values: np.ndarray) -> tuple[float, str]:
    """By how many percent the last quarter of ``values``, in MB, lies above the second; both in words."""
    quarter = len(values) // 4
    second, last = values[quarter : 2 * quarter], values[-quarter:]
    text = f"{second.mean():.0f} → {last.mean():.0f} MB, at most {second.max():.0f} → {last.max():.0f} MB"
    return 100 * (last.mean() / second.mean() - 1), text
