# SPDX-License-Identifier: GPL-3.0-or-later
"""What several trials need: queues with real engines, requests on a tiny model set, and looking for damage."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

from ...addon.client import EngineClient, Job, JobQueue, JobStore
from ...addon.client import engine as engine_module
from ...addon.request import make_request
from ..console import ROOT, CommandError
from ..demo import SAMPLE

RESULTS = ("result.npz", "base_color.png", "orm.png", "result.json")
# A machine that is busy with other things may take its time.
PATIENCE = 1800.0
# An engine whose Blender was killed leaves at once, and so do the helpers of an engine that was killed.
OUTLIVES = 20.0


def tiny_request(model: Path, seed: int, name: str = "square") -> dict:
    """The request of a job on the tiny set."""
    request = make_request(name, SAMPLE.name, seed, "tiny", model, texture_size=128, faces=500)
    return {**request, "settings": {**request["settings"], "quality": "starter"}}


def make_queue(folder: Path) -> JobQueue:
    """A queue with an engine of its own; a killed engine may be started again at once."""
    engine_module.RESPAWN_SECONDS = 0.2
    return JobQueue(JobStore(folder / "jobs"), EngineClient(Path(sys.executable), ROOT, folder / "engine.log"))


def order(queue: JobQueue, request: dict) -> Job:
    """Store a job made from the sample picture and queue it."""
    return queue.add(queue.store.create(request, SAMPLE))


def pump(queue: JobQueue, until: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Poll until the condition holds. Raises CommandError where that takes too long: a hang is what this looks for."""
    deadline = time.monotonic() + seconds
    while not until():
        queue.poll(0.02)
        time.sleep(0.005)
        if time.monotonic() > deadline:
            raise CommandError(f"Nothing moved for {seconds:.0f} s; the jobs are in {queue.store.folder}.")


def pump_for(queue: JobQueue, seconds: float) -> None:
    """Poll for so many seconds."""
    end = time.monotonic() + seconds
    pump(queue, lambda: time.monotonic() > end)


def half_files(store: JobStore) -> list[Path]:
    """Files that are not whole: JSON that cannot be read, arrays, tensors and pictures that end early."""
    return [path for path in _files(store.folder) if not _is_whole(path)]


def _files(folder: Path) -> Iterable[Path]:
    """The files of all jobs, but for those that are still being written, whose names begin with a dot."""
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _is_whole(path: Path) -> bool:
    try:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".npz":
            with zipfile.ZipFile(path) as arrays:
                return arrays.testzip() is None
        elif path.suffix == ".safetensors":
            return _holds_its_tensors(path)
        elif path.suffix == ".png":
            return path.read_bytes().rstrip(b"\0").endswith(b"IEND\xaeB`\x82")
    except FileNotFoundError:
        # Taken away while we looked.
        return True
    except (ValueError, OSError, KeyError, EOFError, struct.error, zipfile.BadZipFile):
        return False
    return True


def _holds_its_tensors(path: Path) -> bool:
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return len(data) == 8 + length + max(ends, default=0)


def fingerprint(folder: Path) -> str:
    """The hash of what a job made."""
    return sha256(b"".join(sha256((folder / name).read_bytes()).digest() for name in RESULTS)).hexdigest()


def is_running(process: int) -> bool:
    """Whether a process is there and has not ended."""
    fields = _stat(process)
    return fields is not None and fields[0] != "Z"


def group_members(group: int) -> list[int]:
    """The processes of a process group that have not ended."""
    members = []
    for name in os.listdir("/proc"):
        fields = _stat(int(name)) if name.isdigit() else None
        if fields is not None and fields[0] != "Z" and int(fields[2]) == group:
            members.append(int(name))
    return members


def _stat(process: int) -> list[str] | None:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def gone_within(group: int, seconds: float) -> float | None:
    """Wait for the end of a process group; return how long that took, None when it outlives ``seconds``."""
    begun = time.monotonic()
    while group_members(group):
        if time.monotonic() - begun > seconds:
            return None
        time.sleep(0.05)
    return time.monotonic() - begun


def memory_of(process: int) -> tuple[int, int]:
    """The bytes that a process works with, in memory or swapped out, and those of files that only it has in memory;
    0 when it is gone.

    The second is no measure of the process: the system drops such pages when it needs room, and counts them no longer
    as soon as another process opens the same program.
    """
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines[1:]}
    return sizes["Anonymous"] + sizes["Swap"], sizes["Private_Clean"]
