# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the engine at random moments, or stops it, while it works through jobs that are put back each time."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections import Counter
from pathlib import Path
from statistics import median

from ...addon.client import EngineState, JobQueue, JobStore
from ...engine import protocol
from ..console import CommandError
from .figures import Figure, Outcome
from .rig import OUTLIVES, fingerprint, gone_within, half_files, make_queue, order, pump, pump_for, tiny_request

# One job after the other keeps an engine busy while it is killed again and again.
JOBS = 4
# Every so many deaths, a job that the engine begins is left to run this many times as long as one takes.
STARTING = 6
REACH = 1.6


class _Counts:
    """What went wrong, over all kills."""

    def __init__(self) -> None:
        self.half = self.lost = self.untold = self.left = 0
        self.moments: Counter[str] = Counter()
        self.slowest = 0.0

    def look(self, queue: JobQueue, group: int) -> None:
        """Count what is not as it has to be, right after a death."""
        self.half += len(half_files(queue.store))
        # What the next start would offer: it reads the folders and nothing else.
        offered = {job.id: job for job in JobStore(queue.store.folder).list()}
        for job in queue.jobs.values():
            stored = offered.get(job.id)
            states = (job.state,) if job.ended else (protocol.WAITING, protocol.RUNNING)
            self.lost += stored is None or not stored.request or stored.state not in states
            self.untold += job.state == "failed" and (job.problem is None or not job.problem.sentence)
        took = gone_within(group, OUTLIVES)
        self.left += took is None
        self.slowest = max(self.slowest, took or 0.0)


def engine_kills(folder: Path, model: Path, kills: int, stops: int, rng: random.Random) -> Outcome:
    """Kill the engine ``kills`` times by SIGKILL, and stop it ``stops`` times by SIGSTOP."""
    queue, counts = make_queue(folder), _Counts()
    try:
        jobs = [order(queue, tiny_request(model, seed)) for seed in range(JOBS)]
        pump(queue, lambda: all(job.ended for job in queue.jobs.values()))
        usual = median(sum(job.seconds.values()) for job in jobs)
        undisturbed = {job.id: fingerprint(job.folder) for job in jobs if job.state == "finished"}
        for number in range(kills):
            _put_back(queue)
            _wait_for_a_moment(queue, rng, usual, number % STARTING == 0)
            _kill(queue, counts)
        for number in range(stops):
            _put_back(queue)
            _wait_for_a_moment(queue, rng, usual, False)
            _stop(queue, counts, number)
        _put_back(queue)
        pump(queue, lambda: all(job.ended for job in queue.jobs.values()))
        finished = [job for job in queue.jobs.values() if job.state == "finished"]
        other = sum(undisturbed.get(job.id) != fingerprint(job.folder) for job in finished)
        rests = len(list(queue.store.folder.glob("*/.*.part")))
    finally:
        queue.shutdown()
    deaths = f"{kills} × SIGKILL, {stops} × SIGSTOP"
    moments = ", ".join(f"{name} {count}" for name, count in counts.moments.most_common())
    return Outcome(
        [
            Figure("Engine killed: jobs lost, or other on disk than told", counts.lost, 0, "", deaths),
            Figure("Engine killed: half files", counts.half, 0, "", "looked for after every death"),
            Figure("Engine killed: failures without a sentence", counts.untold, 0),
            Figure("Engine killed: jobs that did not finish when run again", JOBS - len(finished), 0, "", f"of {JOBS}"),
            Figure("Engine killed: results that are not, byte by byte, those of an undisturbed run", other, 0),
            Figure("Engine killed: processes left behind, temporary files left behind", counts.left + rests, 0),
        ],
        [f"The engine died while: {moments}. Its helpers were gone {counts.slowest:.1f} s later at most."],
    )


def _put_back(queue: JobQueue) -> None:
    """Have everything that ended run again, and the engine started."""
    for job in [job for job in queue.jobs.values() if job.ended]:
        queue.add(queue.store.read(job.folder))
    queue.resume()
    pump(queue, lambda: queue.engine.running)


def _wait_for_a_moment(queue: JobQueue, rng: random.Random, usual: float, starting: bool) -> None:
    """Wait for a random moment of the engine's start, or of the job that it begins next."""
    if starting:
        pump_for(queue, rng.uniform(0.0, 0.5))
        return
    pump(queue, lambda: not queue.busy or (queue.running is not None and queue.running.stage != ""))
    if not queue.busy:
        told = "; ".join(sorted({job.problem.sentence for job in queue.jobs.values() if job.problem is not None}))
        raise CommandError(f"The engine cannot do the jobs it is to be killed in: {told}")
    pump_for(queue, rng.uniform(0.0, REACH * usual))
    if not queue.engine.running:
        _put_back(queue)


def _moment(queue: JobQueue) -> str:
    if queue.engine.hello is None:
        return "starting"
    job = queue.running
    return (job.stage or "taking up a job") if job is not None else "between jobs"


def _process(queue: JobQueue) -> int | None:
    link = queue.engine._link
    return link.process.pid if link is not None else None


def _kill(queue: JobQueue, counts: _Counts) -> None:
    process = _process(queue)
    if process is None:
        return
    counts.moments[_moment(queue)] += 1
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    pump(queue, lambda: _process(queue) != process)
    counts.look(queue, process)


def _stop(queue: JobQueue, counts: _Counts, number: int) -> None:
    """Stop the engine until it counts as unresponsive; then wake it, press Restart, or kill it, in turn."""
    process = _process(queue)
    if process is None:
        return
    counts.moments[f"stopped in {_moment(queue)}"] += 1
    os.kill(process, signal.SIGSTOP)
    pump(queue, lambda: queue.engine.state is EngineState.UNRESPONSIVE or _process(queue) != process)
    if number % 3 == 0:
        os.kill(process, signal.SIGCONT)
        pump(queue, lambda: queue.engine.state is EngineState.READY)
        return
    if number % 3 == 1:
        queue.engine.restart()
    else:
        os.kill(process, signal.SIGKILL)
    pump(queue, lambda: _process(queue) != process)
    counts.look(queue, process)
