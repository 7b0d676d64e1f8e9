# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a job store, read a few folders at a time so that no tick is held up by thousands of them."""

from __future__ import annotations

import bisect
import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...engine import protocol
from .store import JobStore, StoredJob

RESCAN_SECONDS = 5.0


@dataclass(frozen=True)
class Entry:
    """A job and the bytes that its folder takes."""

    job: StoredJob
    size: int


class Shelf:
    """The jobs of a store as they were when last read; ``poll`` reads on."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self.entries: dict[str, Entry] = {}
        self._unread: dict[str, None] = {}
        # Oldest first. Panels ask for it many times between two changes.
        self._ended: list[Entry] | None = None
        self._scanned = float("-inf")
        self._scanning: Iterator[str] | None = None
        self._seen: set[str] = set()
        # What was there when the listing began: a job that is made meanwhile may not be in it.
        self._known: set[str] = set()

    @property
    def is_reading(self) -> bool:
        """True while there are jobs that ``poll`` has still to read."""
        return bool(self._unread) or self._scanning is not None

    def touch(self, job_id: str) -> None:
        """Read a job anew at the next ``poll``: it has changed."""
        self._unread[job_id] = None

    def poll(self, max_seconds: float) -> bool:
        """Read for at most ``max_seconds`` or so; true when something is other than it was."""
        deadline = time.monotonic() + max_seconds
        changed = self._scan(deadline)
        # At least one, however slow the disk is.
        while self._unread:
            changed |= self._read(self._unread.popitem()[0])
            if time.monotonic() >= deadline:
                break
        return changed

    def ended(self) -> list[Entry]:
        """The jobs to which nothing more happens by itself, newest first."""
        if self._ended is None:
            self._ended = sorted((entry for entry in self.entries.values() if entry.job.ended), key=_age)
        return self._ended[::-1]

    def forsaken(self) -> list[StoredJob]:
        """The jobs that wait for a Blender that is gone, in the order in which they were made."""
        jobs = [entry.job for entry in self.entries.values() if entry.job.forsaken]
        return sorted(jobs, key=lambda job: (job.created, job.id))

    def size(self) -> int:
        """The bytes of all jobs that have been read."""
        return sum(entry.size for entry in self.entries.values())

    def oldest_over(self, limit: int) -> list[Entry]:
        """The ended jobs, oldest first, that would have to go for the rest to take at most ``limit`` bytes."""
        surplus, chosen = self.size() - limit, []
        for entry in reversed(self.ended()):
            if surplus <= 0:
                break
            chosen.append(entry)
            surplus -= entry.size
        return chosen

    def delete(self, job_id: str) -> None:
        """Delete a job from store and shelf. Raises ClientError when it cannot be."""
        try:
            self.store.delete(self.store.folder / job_id)
        finally:
            self.touch(job_id)

    def _scan(self, deadline: float) -> bool:
        """Note which folders came and went, every few seconds; jobs that have not ended are read anew. True when some
        went. A large store takes several calls, each until ``deadline``.
        """
        if self._scanning is None:
            if time.monotonic() - self._scanned <= RESCAN_SECONDS:
                return False
            self._scanned, self._scanning = time.monotonic(), _names_in(self.store.folder)
            self._seen, self._known = set(), set(self.entries)
        for name in self._scanning:
            self._seen.add(name)
            if time.monotonic() >= deadline:
                return False
        names, self._scanning = self._seen, None
        gone = [name for name in self._known - names if name in self.entries]
        for name in gone:
            del self.entries[name]
            self._ended = None
        # The last noted is read first, and names begin with the time.
        for name in sorted(names):
            known = self.entries.get(name)
            if known is None or known.job.state not in protocol.ENDED:
                self.touch(name)
        return bool(gone)

    def _read(self, name: str) -> bool:
        folder, before = self.store.folder / name, self.entries.get(name)
        self.entries.pop(name, None)
        # A folder that is not ours to read, or a network disk that is away, has no job for us.
        with contextlib.suppress(OSError):
            if (folder / protocol.REQUEST_FILE).is_file():
                self.entries[name] = Entry(self.store.read(folder), self.store.size(folder))
        now = self.entries.get(name)
        if before == now:
            return False
        if before is None and self._ended is not None:
            if now.job.ended:
                bisect.insort(self._ended, now, key=_age)
        else:
            self._ended = None
        return True


def _age(entry: Entry) -> tuple[float, str]:
    return entry.job.created, entry.job.id


def _names_in(folder: Path) -> Iterator[str]:
    """The names of what lies in a folder, hidden things left out; none where it cannot be read."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                yield entry.name
