# SPDX-License-Identifier: GPL-3.0-or-later
"""A command of the engine in a process of its own, such as fetching models or the self-test, beside Blender's work."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import Problem
from .process import engine_command, kill, start_process

# An engine gone wild must not fill the memory.
MAX_EVENTS = 200
_UNEXPLAINED = "The engine stopped by itself. Open the log to see why."


class EngineTask:
    """``engine/__main__.py NAME ARGUMENTS``, moved on by ``poll`` without ever waiting.

    ``text`` is the last line for people and ``fraction`` (0 to 1, None while unknown) how far it is; ``events`` what
    the engine said, as dictionaries with ``event``. Once ``done``, ``problem`` says why it failed, if it did. Raises
    ClientError where the process cannot be started.
    """

    def __init__(self, name: str, arguments: Sequence[str], python: Path, extension: Path, log_file: Path) -> None:
        self.name, self.log_file = name, log_file
        self.text = ""
        self.events: list[dict[str, Any]] = []
        self.done = self.cancelled = False
        self.problem: Problem | None = None
        self.fraction: float | None = None
        command = engine_command(python, extension, name, *arguments)
        # Its stdin ends with us, however we end.
        self._process = start_process(command, log_file, {"ESPALIER_LEAVE_WITH_STDIN": "1"})
        self._inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="espalier-task-reader", daemon=True).start()

    def poll(self) -> bool:
        """Take what was said; true when something is other than before."""
        changed = False
        while not self.done:
            try:
                line = self._inbox.get_nowait()
            except queue.Empty:
                break
            changed = True
            if line is None:
                self._end()
            else:
                self._hear(line)
        return changed

    def cancel(self) -> None:
        """End the process and what it started, now. What it has finished stays."""
        if not self.done:
            self.cancelled = self.done = True
            kill(self._process)
            self._process.wait()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with contextlib.suppress(OSError, ValueError):
            buffer = b""
            while data := stream.read(1 << 16):
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._inbox.put(line)
        self._inbox.put(None)

    def _hear(self, line: bytes) -> None:
        try:
            event = json.loads(line.decode("utf-8", "replace"))
            kind, text = event["event"], event.get("text", "")
        except (ValueError, KeyError, TypeError):
            return
        if not isinstance(kind, str) or not isinstance(text, str):
            return
        self.events = [*self.events, event][-MAX_EVENTS:]
        done, total = event.get("done"), event.get("total")
        if kind == "progress" and isinstance(done, int | float) and isinstance(total, int | float) and total > 0:
            self.fraction = min(max(done / total, 0.0), 1.0)
        if text:
            self.text = text
        if kind in ("failed", "bad_input"):
            sentence, hint = event.get("sentence"), event.get("hint")
            self.problem = Problem(
                str(event.get("code") or "engine"), str(sentence or text), str(hint or ""), str(self.log_file)
            )

    def _end(self) -> None:
        self.done = True
        code = self._process.wait()
        verdict = any(event["event"] == "verdict" for event in self.events)
        if code != 0 and self.problem is None and not verdict:
            self.problem = Problem("engine_died", _UNEXPLAINED, "", str(self.log_file))
