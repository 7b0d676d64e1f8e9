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
        self._inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._decoder = protocol.FrameDecoder()
        self._ended = False
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
        """True once the process closed its output and everything before that was received."""
        return self._ended

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
                self._ended = True
                return
            self._decoder.feed(data)

    def close(self, seconds: float) -> int | None:
        """Close the process's stdin, wait for it, then kill it with all it started. Return its exit status."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        with contextlib.suppress(OSError):
            stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, seconds))
        processes.kill(self.process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        self._reader.join(0.5)
        if not self._reader.is_alive():
            stdout.close()
        return self.process.returncode
