# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a job store, read a few folders at a time so that no tick is held up by thousands of them."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass

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
        # Panels ask for it many times between two changes.
        self._ended: list[Entry] | None = None
        self._scanned = float("-inf")

    def touch(self, job_id: str) -> None:
        """Read a job anew at the next ``poll``: it has changed."""
        self._unread[job_id] = None

    def poll(self, max_seconds: float) -> bool:
        """Read for at most ``max_seconds`` or so; true when something is other than it was."""
        deadline = time.monotonic() + max_seconds
        changed = self._scan() if time.monotonic() - self._scanned > RESCAN_SECONDS else False
        while self._unread and time.monotonic() < deadline:
            changed |= self._read(self._unread.popitem()[0])
        return changed

    def ended(self) -> list[Entry]:
        """The jobs to which nothing more happens by itself, newest first."""
        if self._ended is None:
            entries = [
                entry for entry in self.entries.values() if entry.job.state in protocol.ENDED or entry.job.interrupted
            ]
            self._ended = sorted(entries, key=lambda entry: (entry.job.created, entry.job.id), reverse=True)
        return self._ended

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

    def _scan(self) -> bool:
        """Note which folders came and went; jobs that have not ended are read anew."""
        self._scanned = time.monotonic()
        try:
            names = {entry.name for entry in os.scandir(self.store.folder) if not entry.name.startswith(".")}
        except OSError:
            names = set()
        gone = [name for name in self.entries if name not in names]
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
        if before == self.entries.get(name):
            return False
        self._ended = None
        return True
