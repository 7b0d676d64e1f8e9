# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds altered messages to a real engine, and to the client: each has to go on working as if nothing had been."""

from __future__ import annotations

import json
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...addon.client import EngineClient, JobQueue, JobStore
from ...addon.client.link import Link
from ...addon.client.process import start_engine
from ...engine import protocol
from ...tests.fuzz.mutations import altered, written
from ..console import ROOT, CommandError
from ..demo import SAMPLE
from .figures import Figure, Outcome
from .rig import PATIENCE, is_running, pump, tiny_request

# A proper job after so many altered messages: it has to be done as ever.
BETWEEN_JOBS = 200

_ANY_HEALTH = list(HealthCheck)

# A stand-in for the engine, in a process of its own: greets, and once it is asked for anything, says what a file holds.
_BABBLER = """
import pathlib, sys
out, said = sys.stdout.buffer, pathlib.Path(__file__).with_name("frames").read_bytes()
out.write(pathlib.Path(__file__).with_name("hello").read_bytes())
out.flush()
sys.stdin.buffer.raw.read(4)
out.write(said)
out.flush()
"""


def fuzzed_frames(folder: Path, model: Path, count: int) -> Outcome:
    """Send ``count`` altered messages each way."""
    refused, wrong, jobs = _to_engine(folder / "engine", model, count)
    crashed = _from_engine(folder / "client", count)
    return Outcome(
        [
            Figure("Fuzzed messages: engines that crashed, hung, or lost a proper job", wrong, 0, "", f"{count} sent"),
            Figure("Fuzzed messages: exceptions or hangs of the client", crashed, 0, "", f"{count} received"),
        ],
        [
            f"Of {count} altered messages the engine refused {refused} in a sentence; {jobs} proper jobs between them "
            "finished.",
        ],
    )


def altered_frames(originals: list[bytes], count: int) -> list[bytes]:
    """``count`` frames made from valid ones by changing fields of their messages; the same ones in every run."""
    frames: list[bytes] = []

    @settings(max_examples=2 * count, deadline=None, derandomize=True, database=None, suppress_health_check=_ANY_HEALTH)
    @given(body=st.sampled_from(originals).flatmap(lambda frame: altered(json.loads(frame[4:]))))
    def collect(body: Any) -> None:
        text = written(body)
        # Told to leave, an engine leaves: that is no failure.
        if b"shutdown" not in text and len(text) <= protocol.MAX_FRAME:
            frames.append(struct.pack(">I", len(text)) + text)

    collect()
    if len(frames) < count:
        raise CommandError(f"Only {len(frames)} of {count} altered messages could be made.")
    return frames[:count]


def _to_engine(folder: Path, model: Path, count: int) -> tuple[int, int, int]:
    """Return how many frames were refused, how many things went wrong, and how many proper jobs finished."""
    store = JobStore(folder / "jobs")
    victim = store.create(tiny_request(model, 0), SAMPLE)
    originals = [
        protocol.encode("submit", job="a", folder=str(victim.folder)),
        protocol.encode("cancel", job="a"),
        protocol.encode("release"),
    ]
    frames = altered_frames(originals, count)
    process = start_engine(Path(sys.executable), ROOT, folder / "engine.log")
    link, refused, wrong, jobs = Link(process), 0, 0, 0
    try:
        for start in range(0, count, BETWEEN_JOBS):
            for frame in frames[start : start + BETWEEN_JOBS]:
                assert process.stdin is not None
                process.stdin.write(frame)
            job = store.create(tiny_request(model, start), SAMPLE)
            link.send("submit", job=job.id, folder=str(job.folder))
            ended = ""
            for message in _heard(link, lambda: is_running(process.pid)):
                refused += message.get("kind") == "failed"
                if message.get("job") == job.id and message.get("kind") in ("finished", "failed", "cancelled"):
                    ended = message["kind"]
                    break
            jobs += ended == "finished"
            wrong += ended != "finished"
    except OSError:
        wrong += 1
    finally:
        link.close(2.0)
        store.close()
    return refused, wrong, jobs


def _heard(link: Link, alive: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """What the engine says, until it says nothing for too long or is gone."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for message in link.receive(time.monotonic() + 0.05):
            if isinstance(message, dict):
                yield message
        if link.ended or not alive():
            return
        time.sleep(0.005)


def _from_engine(folder: Path, count: int) -> int:
    """Return how many things went wrong when the client was told ``count`` altered messages."""
    store = JobStore(folder / "jobs")
    stored = store.create({"kind": "generate", "name": "a"}, b"x", ".png")
    job = {"job": stored.id}
    originals = [
        protocol.encode("heartbeat", stage="shape", seconds=1.5, memory={"used": 1, "free": 2}, **job),
        protocol.encode("started", **job),
        protocol.encode("progress", stage="shape", step=1, of=12, eta_s=None, fraction=0.5, **job),
        protocol.encode("preview", stage="shape", file="live-shape.npz", **job),
        protocol.encode("log", level="info", text="A note.", **job),
        protocol.encode("failed", code="x", sentence="It failed.", hint="", log="", **job),
        protocol.encode("finished", result="result.json", seconds={"shape": 1.0}, peak_memory={"host": 1}, **job),
    ]
    babbler = folder / "extension" / "engine"
    babbler.mkdir(parents=True)
    (babbler / "__main__.py").write_text(_BABBLER, encoding="utf-8")
    greeting = {"version": "0", "python": "3", "torch": None, "device": {}, "memory": {}}
    (babbler / "hello").write_bytes(protocol.encode("hello", backends=[], capabilities=[], **greeting))
    (babbler / "frames").write_bytes(b"".join(altered_frames(originals, count)))
    queue = JobQueue(store, EngineClient(Path(sys.executable), babbler.parent, folder / "engine.log"))
    queue.add(stored)
    wrong, deadline = 0, time.monotonic() + PATIENCE
    try:
        pump(queue, lambda: queue.engine.running)
        while queue.engine.running and time.monotonic() < deadline:
            try:
                queue.poll()
            except Exception:
                wrong += 1
                traceback.print_exc()
            time.sleep(0.002)
        # It ends by itself, once everything it said was taken.
        wrong += queue.engine.running or not queue.jobs[stored.id].ended
    finally:
        queue.shutdown()
    return wrong
