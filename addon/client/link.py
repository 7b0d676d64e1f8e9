# SPDX-License-Identifier: GPL-3.0-or-later
"""One engine process and the bytes between it and us."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from io import RawIOBase
from typing import Any, cast

from ...engine import protocol
from . import process as processes

_PIECE = 1 << 16


class Link:
    """A running process that speaks the protocol on its stdin and stdout.

    A thread reads bytes into a queue and does nothing else; they are decoded by ``receive`` on the caller's thread.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        # Bounded: an engine that floods us has to wait, and Blender's memory does not grow.
        self._inbox: queue.Queue[bytes] = queue.Queue(maxsize=64)
        self._decoder = protocol.FrameDecoder()
        self._ended_at: float | None = None
        self._reader = threading.Thread(target=self._read, name="espalier-engine-reader", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        with contextlib.suppress(OSError, ValueError):
            while data := stream.read(_PIECE):
                self._inbox.put(data)
        self._inbox.put(b"")

    @property
    def ended(self) -> bool:
        """True once the process closed its output, everything before that was received, and its exit status is known.

        A process that closes its output and lives on is not waited for longer than half a second.
        """
        if self._ended_at is None:
            return False
        return self.process.poll() is not None or time.monotonic() - self._ended_at > 0.5

    def send(self, kind: str, **fields: Any) -> bool:
        """Send one message; false when the process does not take any more."""
        stream = self.process.stdin
        assert stream is not None
        try:
            protocol.write_all(cast(RawIOBase, stream), protocol.encode(kind, **fields))
        except (OSError, ValueError):
            return False
        return True

    def receive(self, deadline: float) -> Iterator[protocol.Message | protocol.BadFrame]:
        """Yield what has arrived, damaged frames as BadFrame, until nothing is left or the monotonic time
        ``deadline``.
        """
        while time.monotonic() < deadline:
            try:
                message = self._decoder.next()
            except protocol.BadFrame as bad:
                yield bad
                if bad.lost:
                    return
                continue
            if message is not None:
                yield message
                continue
            try:
                data = self._inbox.get_nowait()
            except queue.Empty:
                return
            if not data:
                self._ended_at = time.monotonic()
                return
            self._decoder.feed(data)

    def kill(self) -> None:
        """End the process and all it started. It is gone once ``reap`` says so."""
        processes.kill(self.process)

    def reap(self) -> bool:
        """Return whether the process is gone; its pipes are closed then. Does not wait."""
        if self.process.poll() is None:
            return False
        with contextlib.suppress(queue.Empty):
            while self._reader.is_alive():
                self._inbox.get_nowait()
        if self._reader.is_alive():
            return False
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        return True

    def close(self, seconds: float) -> None:
        """Close the process's stdin, give it ``seconds`` to leave, then kill it with all it started; wait half a
        second.
        """
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, seconds))
        self.kill()
        deadline = time.monotonic() + 0.5
        while not self.reap() and time.monotonic() < deadline:
            time.sleep(0.002)
