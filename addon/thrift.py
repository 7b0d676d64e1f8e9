# SPDX-License-Identifier: GPL-3.0-or-later
"""When an engine without work gives back what it holds: a render begins, or nobody has needed it for long."""

from __future__ import annotations

import time

from . import preferences
from .client import JobQueue


class Thrift:
    """``poll`` is called on the main thread; ``make_room`` by any."""

    def __init__(self) -> None:
        self._idle_since: float | None = None
        self._room_wanted = False

    def make_room(self) -> None:
        """Have an engine without work give back the graphics memory that it holds, at the next ``poll``."""
        self._room_wanted = True

    def poll(self, queue: JobQueue) -> bool:
        """Do what is due; true when the engine was stopped."""
        stopped = self._stop_idle(queue)
        wanted, self._room_wanted = self._room_wanted, False
        engine = queue.engine
        if wanted and queue.running is None and engine.hello is not None and engine.hello["device"]["type"] == "cuda":
            engine.release()
        return stopped

    def _stop_idle(self, queue: JobQueue) -> bool:
        """Stop an engine that has had nothing to do for as long as the preferences allow: others need the memory."""
        limit = preferences.idle_seconds()
        if limit is None or not queue.engine.running or queue.running is not None or queue.waiting:
            self._idle_since = None
            return False
        now = time.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        if now - self._idle_since < limit:
            return False
        self._idle_since = None
        # It has nothing to end, and Blender's window must not wait for it.
        queue.engine.shutdown(0.0)
        return True
