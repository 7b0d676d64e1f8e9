# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py reliability``: real processes are killed, run for long and side by side; what that costs is counted.

Works with a tiny model set, whose jobs take a fraction of a second, and with the starter for the memory of long runs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from statistics import mean

from ..addon.client import EngineClient, Job, JobQueue, JobStore, Shelf
from ..addon.client import engine as engine_module
from ..addon.request import STARTER, make_request
from ..tests.tiny_set import write_tiny_set
from .console import BUILD, ROOT, CommandError, clean_environment, say
from .demo import SAMPLE

FOLDER = BUILD / "reliability"
RESULTS = ("result.npz", "base_color.png", "orm.png", "result.json")
# One job after the other keeps an engine busy while it is killed again and again.
JOBS_UNDER_FIRE = 6
# An engine whose Blender was killed leaves at once; a machine that is busy with other things may take its time.
OUTLIVES = 20.0


@dataclass(frozen=True)
class Outcome:
    """What one trial came to: a sentence for people, and whether everything was as it has to be."""

    name: str
    text: str
    good: bool


def tiny_request(model: Path, seed: int, name: str = "square") -> dict:
    """The request of a job on the tiny set."""
    request = make_request(name, SAMPLE.name, seed, "tiny", model, texture_size=128, faces=500)
    return {**request, "settings": {**request["settings"], "quality": "starter"}}


def make_queue(folder: Path) -> JobQueue:
    """A queue with an engine of its own; a killed engine may be started again at once."""
    engine_module.RESPAWN_SECONDS = 0.2
    return JobQueue(JobStore(folder / "jobs"), EngineClient(Path(sys.executable), ROOT, folder / "engine.log"))


def pump(queue: JobQueue, until: Callable[[], bool], seconds: float = 300.0) -> None:
    """Poll until the condition holds. Raises CommandError where that takes too long: a hang is what this looks for."""
    deadline = time.monotonic() + seconds
    while not until():
        queue.poll(0.02)
        time.sleep(0.01)
        if time.monotonic() > deadline:
            raise CommandError(f"Nothing moved for {seconds:.0f} s. The folders are kept in {queue.store.folder}.")


def half_files(store: JobStore) -> list[Path]:
    """Files that are not whole: JSON that cannot be read, arrays and pictures that end early."""
    broken = []
    for path in store.folder.rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".npz":
                import numpy as np

                with np.load(path) as arrays:
                    _ = [arrays[name].shape for name in arrays.files]
            elif path.suffix == ".png" and not path.read_bytes().rstrip(b"\0").endswith(b"IEND\xaeB`\x82"):
                broken.append(path)
        except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile):
            broken.append(path)
    return broken


def fingerprint(folder: Path) -> str:
    """The hash of what a job made."""
    return sha256(b"".join(sha256((folder / name).read_bytes()).digest() for name in RESULTS)).hexdigest()


def engine_kills(folder: Path, model: Path, count: int, rng: random.Random) -> Outcome:
    """Kill the engine at ``count`` random moments while it works through jobs that are put back each time."""
    queue = make_queue(folder)
    try:
        jobs = [queue.add(queue.store.create(tiny_request(model, seed), SAMPLE)) for seed in range(JOBS_UNDER_FIRE)]
        undisturbed = queue.add(queue.store.create(tiny_request(model, 0), SAMPLE))
        pump(queue, lambda: undisturbed.ended)
        for _ in range(count):
            for job in [job for job in queue.jobs.values() if job.ended]:
                queue.add(queue.store.read(job.folder))
            pump(queue, lambda: queue.engine.running)
            wait = time.monotonic() + rng.uniform(0.0, 3.0)
            pump(queue, lambda end=wait: time.monotonic() > end)
            link = queue.engine._link
            if link is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(link.process.pid, signal.SIGKILL)
            pump(queue, lambda: not queue.engine.running or queue.engine.hello is None or not queue.waiting)
        ended = _all_finished(queue)
        broken = half_files(queue.store)
        same = fingerprint(jobs[0].folder) == fingerprint(undisturbed.folder)
    finally:
        queue.shutdown()
    text = f"{count} kills of the engine: {ended} of {len(jobs) + 1} jobs finished in the end, {len(broken)} half files"
    return Outcome("engine killed", text, ended == len(jobs) + 1 and not broken and same)


def _all_finished(queue: JobQueue) -> int:
    """Run everything that has not finished once more, in peace; return how many jobs are finished."""
    for job in list(queue.jobs.values()):
        if job.ended and job.state != "finished":
            queue.add(queue.store.read(job.folder))
    pump(queue, lambda: all(job.ended for job in queue.jobs.values()))
    return sum(job.state == "finished" for job in queue.jobs.values())


def blender_kills(folder: Path, model: Path, count: int, rng: random.Random) -> Outcome:
    """Kill Blender (the wheel, with extension and engine) at ``count`` random moments; then let one end the work.

    Every Blender takes over what the one before left, and orders one job more before its time begins to run.
    """
    store, left = JobStore(folder / "jobs"), 0
    for number in range(count):
        before = _ordered(store)
        blender = _blender(folder, model, number)
        while _ordered(store) == before and blender.poll() is None:
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 8.0))
        blender.kill()
        blender.wait()
        left += not _gone(folder, OUTLIVES)
    ordered = _ordered(store)
    last = _blender(folder, model, -1)
    if last.wait(600) != 0:
        raise CommandError(f"The last Blender did not end its work. Its words are in {folder / 'blender.log'}.")
    jobs = store.list()
    done = sum(job.state in ("finished", "built") for job in jobs)
    broken = half_files(store)
    text = (
        f"{count} kills of Blender: {done} of {ordered} ordered jobs finished in the end, {len(broken)} half files, "
        f"{left} engines that outlived their Blender by {OUTLIVES:.0f} s"
    )
    return Outcome("Blender killed", text, done == len(jobs) == ordered > 0 and not broken and not left)


def _ordered(store: JobStore) -> int:
    return sum(not path.name.startswith(".") for path in store.folder.iterdir()) if store.folder.is_dir() else 0


def two_blenders(folder: Path, model: Path, count: int) -> Outcome:
    """Let two Blenders order ``count`` jobs each in one store at the same time."""
    blenders = [_blender(folder, model, count, orders=count) for _ in range(2)]
    codes = [blender.wait(900) for blender in blenders]
    jobs = JobStore(folder / "jobs").list()
    done = sum(job.state in ("finished", "built") for job in jobs)
    text = f"Two Blenders at once: {done} of {2 * count} jobs finished"
    return Outcome("two Blenders", text, codes == [0, 0] and done == len(jobs) == 2 * count)


def _blender(folder: Path, model: Path, seed: int, orders: int = 1) -> subprocess.Popen[bytes]:
    """Start a Blender that takes over forsaken jobs, orders ``orders`` more (none for seed -1) and works them off."""
    folder.mkdir(parents=True, exist_ok=True)
    tool = [sys.executable, "-I", "-X", "utf8", str(ROOT / "tooling" / "__main__.py"), "reliability_blender"]
    with (folder / "blender.log").open("ab") as log:
        return subprocess.Popen(
            [*tool, str(folder), str(model), str(seed), str(orders if seed >= 0 else 0)],
            stdout=log,
            stderr=log,
            env=clean_environment(BLENDER_USER_RESOURCES=str(folder / "blender")),
            start_new_session=True,
        )


def _gone(folder: Path, seconds: float) -> bool:
    """Whether no engine is left that a killed Blender had started, after at most so many seconds."""
    note, deadline = folder / "engine.pid", time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{note.read_text()}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def long_run(folder: Path, model: Path, count: int, starters: int) -> Outcome:
    """Run ``count`` jobs, ``starters`` of them with the starter model, and compare memory early and late."""
    queue, used = make_queue(folder), []
    every = max(count // max(starters, 1), 1)
    try:
        for number in range(count):
            with_starter = starters > 0 and number % every == 0
            request = make_request("house", SAMPLE.name, number, STARTER, None) if with_starter else None
            job: Job = queue.add(queue.store.create(request or tiny_request(model, number), SAMPLE))
            pump(queue, lambda job=job: job.ended)
            if job.state != "finished":
                raise CommandError(f"Job {number} of the long run failed: {job.problem and job.problem.sentence}")
            link = queue.engine._link
            if link is not None and not with_starter:
                used.append((_resident(link.process.pid), _resident(os.getpid())))
    finally:
        queue.shutdown()
    quarter = len(used) // 4
    growth = []
    for column in range(2):
        values = [row[column] for row in used]
        growth.append(mean(values[-quarter:]) / mean(values[quarter : 2 * quarter]) - 1)
    text = (
        f"{count} jobs in a row, {starters} with the starter: memory of the last quarter against the second "
        f"{growth[0]:+.1%} (engine), {growth[1]:+.1%} (client)"
    )
    return Outcome("long run", text, max(growth) <= 0.05)


def _resident(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def store_is_readable(folder: Path) -> Outcome:
    """Read all that the trials left as the panel does."""
    shelf = Shelf(JobStore(folder / "jobs"))
    while shelf.poll(1.0):
        pass
    damaged = [entry for entry in shelf.ended() if entry.job.problem and entry.job.problem.code == "damaged"]
    return Outcome("store", f"{len(shelf.entries)} job folders, {len(damaged)} damaged", not damaged)


def main(arguments: list[str]) -> int:
    """Run the trials, print what came out and write it; 1 when anything was not as it has to be."""
    parser = argparse.ArgumentParser(prog="build.py reliability", description="Kill, repeat and run side by side.")
    parser.add_argument("--kills", type=int, default=100, help="kills of the engine (default: 100)")
    parser.add_argument("--blender-kills", type=int, default=20, help="kills of Blender (default: 20)")
    parser.add_argument("--jobs", type=int, default=200, help="jobs in a row (default: 200)")
    parser.add_argument("--starter-jobs", type=int, default=10, help="of these with the starter model (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    FOLDER.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_tiny_set(folder / "set")
        trials: list[Callable[[], Outcome]] = [
            lambda: engine_kills(folder / "kills", model, options.kills, rng),
            lambda: store_is_readable(folder / "kills"),
            lambda: blender_kills(folder / "blender", model, options.blender_kills, rng),
            lambda: two_blenders(folder / "two", model, 5),
            lambda: long_run(folder / "long", model, options.jobs, options.starter_jobs),
        ]
        for trial in trials:
            try:
                outcomes.append(trial())
            except CommandError as error:
                outcomes.append(Outcome("hang", str(error), False))
            say(f"{'  ' if outcomes[-1].good else 'X '}{outcomes[-1].text}")
    record = [asdict(outcome) for outcome in outcomes]
    (FOLDER / "reliability.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    say(f"Written to {FOLDER / 'reliability.json'}.")
    return 0 if all(outcome.good for outcome in outcomes) else 1
