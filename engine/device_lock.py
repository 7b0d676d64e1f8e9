# SPDX-License-Identifier: GPL-3.0-or-later
"""One job at a time on a device, over all engine processes of a user: the file lock that a second Blender waits for."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .protocol import try_lock

POLL_SECONDS = 0.2


def lock_file(device: str) -> Path:
    """Return the lock file of a device ("cpu", "cuda"), in a folder of this user. Raises OSError."""
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"espalier-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"device-{device}.lock"


@contextlib.contextmanager
def hold(path: Path, job: str, waiting: Callable[[str], Any]) -> Iterator[None]:
    """Hold the lock of a device while working on ``job``.

    While another process has it, ``waiting`` is called about five times a second with a sentence that says whom we
    wait for; an exception it raises (a cancel) ends the waiting. The system frees the lock of a process that dies.
    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not try_lock(descriptor):
            waiting(_holder(descriptor))
            time.sleep(POLL_SECONDS)
        note = json.dumps({"pid": os.getpid(), "job": job}).encode("utf-8")
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, note)
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    """Say who has the lock, from the note it left in the file."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        note = json.loads(os.read(descriptor, 4096).decode("utf-8"))
        return f"Waiting for another Blender, which is working on {note['job']} (engine process {note['pid']})."
    except (OSError, ValueError, KeyError, TypeError):
        return "Waiting for another Blender, which is using the device."
