# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process a waiting job belongs to: a file that its owner keeps locked for as long as it lives."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from ...engine.protocol import try_lock

_NAME = re.compile(r"[0-9a-f]{16}\.lock")
_LOCK_SECONDS = 0.5


class Claim:
    """A locked file in ``folder`` whose ``name`` this process writes into its jobs. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = f"{secrets.token_hex(8)}.lock"
        self._path = folder / self.name
        self._descriptor: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        # A shared disk without locks: nobody can tell then whether we live, and our jobs count as ours.
        with contextlib.suppress(OSError):
            try_lock(self._descriptor)

    def close(self) -> None:
        """End the claim; a second call does nothing. The system does the same for a process that dies."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with contextlib.suppress(OSError):
                self._path.unlink()
                self._path.parent.rmdir()


def is_alive(folder: Path, name: str) -> bool:
    """Tell whether the process that made the claim ``name`` still has it; false for a name that is no claim.

    Where nobody can tell, on a file system without locks or without leave to look, it counts as held.
    """
    if not _NAME.fullmatch(name):
        return False
    try:
        descriptor = os.open(folder / name, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        free = try_lock(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    if free:
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    return not free


@contextlib.contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Keep the other processes that ask for the same file waiting; false when one of them has it for long.

    What happens within is to take milliseconds. Where the file system has no locks, nobody waits. Raises OSError when
    the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        try:
            while not (mine := try_lock(descriptor)) and time.monotonic() < deadline:
                time.sleep(0.002)
        except OSError:
            mine = True
        yield mine
    finally:
        os.close(descriptor)
