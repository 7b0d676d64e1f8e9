# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as the add-on sees it: started when needed, watched, ended when it hangs, started again after a crash."""

from __future__ import annotations

import contextlib
import enum
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...engine import protocol
from .errors import ClientError, Problem
from .link import Link
from .process import start_engine

RESPAWN_SECONDS = 5.0
KILL_SECONDS = 5.0
# An engine gone wild must not fill the disk.
MAX_PASSED_OVER = 20
_ENDS = ("finished", "failed", "cancelled")


class EngineState(enum.Enum):
    """What the engine process is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    UNRESPONSIVE = "unresponsive"


@dataclass(frozen=True)
class Event:
    """Something that happened: a message of the engine (``kind`` and ``data`` as in the protocol), or one made up by
    the client.

    The client makes ``failed`` and ``cancelled`` for jobs whose engine is gone, and ``engine`` (no data) when
    ``EngineClient.state`` or ``EngineClient.problem`` changed.
    """

    kind: str
    job: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class EngineClient:
    """Owns at most one engine process. Nothing here blocks except ``shutdown``; call ``poll`` regularly, on one thread.

    The process is started by the first ``submit`` (or ``start``), never twice within five seconds. ``hello`` holds
    the engine's greeting (version, python, torch, device, memory, backends, capabilities), ``stage``, ``seconds``
    and ``memory`` (used, free, device_used, device_free in bytes, as far as known) the last heartbeat, ``problem`` why
    the last process ended or could not be started, ``broken`` is true when that was before its greeting.
    """

    def __init__(self, python: Path | None, extension: Path, log_file: Path) -> None:
        self.python = python
        self.extension = extension
        self.log_file = log_file
        self.state = EngineState.STOPPED
        self.hello: dict[str, Any] | None = None
        self.problem: Problem | None = None
        self.broken = False
        self.stage = ""
        self.seconds = 0.0
        self.memory: dict[str, int] = {}
        self._link: Link | None = None
        self._dying: list[Link] = []
        self._outbox: dict[str, Path] = {}
        self._running: dict[str, Path] = {}
        self._cancels: dict[str, float] = {}
        self._events: deque[Event] = deque()
        self._wanted = False
        self._may_start = 0.0
        self._heard = 0.0
        self._passed_over = 0

    # ---------------------------------------------------------------------------------------------------- what to do

    def start(self) -> None:
        """Ask for a running engine; it starts in the next ``poll``, at the earliest five seconds after the last
        start.
        """
        self._wanted = True

    def submit(self, job: str, folder: Path) -> None:
        """Hand a job folder to the engine, which is started if there is none. What comes of it arrives as events."""
        self._outbox[job] = folder
        self._wanted = True

    def cancel(self, job: str) -> str:
        """Ask for the end of a job.

        Returns "asked" (the engine obeys within one step), "wait" (asked less than five seconds ago), "killed" (asked
        before in vain: the engine process was ended, with everything it was doing), or "unknown" (no such job).
        """
        if self._outbox.pop(job, None) is not None:
            self._events.append(Event("cancelled", job))
            return "asked"
        if job not in self._running:
            return "unknown"
        now = time.monotonic()
        asked = self._cancels.setdefault(job, now)
        if asked == now:
            if self._link is not None:
                self._link.send("cancel", job=job)
            return "asked"
        if now - asked < KILL_SECONDS:
            return "wait"
        self._running.pop(job)
        self._events.append(Event("cancelled", job))
        self._drop(
            Problem("killed", "The engine did not obey Cancel and was ended. The next Generate starts it again.")
        )
        return "killed"

    def can_kill(self, job: str) -> bool:
        """True when another ``cancel`` of this job would end the engine process."""
        asked = self._cancels.get(job)
        return asked is not None and time.monotonic() - asked >= KILL_SECONDS

    def release(self) -> None:
        """Ask the engine to drop its models and the device memory they hold. Without an engine nothing is held."""
        if self._link is not None:
            self._link.send("release")

    def restart(self) -> None:
        """End the engine now and ask for a new one. Its jobs fail."""
        self._drop(
            Problem("restarted", "The engine was restarted while this job was running. Press Retry to run it again.")
        )
        self._wanted = True

    def shutdown(self, seconds: float = 2.0) -> None:
        """Stop the engine and wait for it, at most ``seconds``. Its jobs are left to their folders; nothing is
        started again.
        """
        self._wanted = False
        self._outbox.clear()
        link, self._link = self._link, None
        if link is not None:
            if self.state is not EngineState.UNRESPONSIVE:
                link.send("shutdown")
            link.close(0.0 if self.state is EngineState.UNRESPONSIVE else max(0.0, seconds - 0.5))
        for dying in self._dying:
            dying.close(0.0)
        self._dying.clear()
        self._forget()
        self._set_state(EngineState.STOPPED)

    # -------------------------------------------------------------------------------------------------- what happened

    @property
    def running(self) -> bool:
        """True while there is an engine process."""
        return self._link is not None

    @property
    def start_in(self) -> float:
        """Seconds until a wanted engine may start; 0 when nothing is held back."""
        if not self._wanted or self._link is not None:
            return 0.0
        return max(0.0, self._may_start - time.monotonic())

    def poll(self, max_seconds: float = 0.02) -> list[Event]:
        """Start, feed and watch the engine, and return what happened since the last call. Takes at most
        ``max_seconds`` or so.
        """
        deadline = time.monotonic() + max_seconds
        self._dying = [link for link in self._dying if not link.reap()]
        if self._link is None and self._wanted and self.start_in == 0.0:
            self._start()
        drained = self._receive(deadline)
        if self._link is not None and drained:
            self._watch()
        if self._link is not None and self.state is EngineState.READY:
            self._send_jobs()
        events = list(self._events)
        self._events.clear()
        return events

    # ------------------------------------------------------------------------------------------------------- insides

    def _start(self) -> None:
        self._wanted = False
        if self.python is None:
            problem = Problem("no_engine", "There is no engine yet. Press Install Engine in the Espalier panel.")
            self._fail_everything(problem)
            return
        try:
            self._link = Link(start_engine(self.python, self.extension, self.log_file))
        except ClientError as error:
            self._fail_everything(error.problem)
            return
        finally:
            self._may_start = time.monotonic() + RESPAWN_SECONDS
        self._heard = time.monotonic()
        self._passed_over = 0
        self.problem = None
        self._set_state(EngineState.STARTING)

    def _receive(self, deadline: float) -> bool:
        """Handle what arrived; true when nothing is left."""
        link = self._link
        if link is None:
            return True
        for message in link.receive(deadline):
            self._heard = time.monotonic()
            if isinstance(message, protocol.BadFrame):
                if message.lost:
                    self._drop(self._problem("garbage", "The engine's messages became unreadable, so it was ended."))
                    return True
                self._pass_over(message)
                continue
            self._handle(message)
            if self._link is not link:
                return True
        if link.ended:
            self._drop(None)
            return True
        return time.monotonic() < deadline

    def _pass_over(self, frame: protocol.BadFrame) -> None:
        """Write into the engine's log what was no message: nobody can do anything about it but us."""
        self._passed_over += 1
        if self._passed_over <= MAX_PASSED_OVER:
            with contextlib.suppress(OSError), self.log_file.open("a", encoding="utf-8") as log:
                log.write(f"Passed over: {frame.sentence}\n")

    def _handle(self, message: protocol.Message) -> None:
        if message.get("kind") == "hello" and message.get("v") != protocol.VERSION:
            sentence = "The engine belongs to another version of Espalier. Restart Blender, then try again."
            self._drop(self._problem("version_mismatch", sentence))
            return
        try:
            kind = protocol.check(message, protocol.FROM_ENGINE)
        except protocol.BadFrame as bad:
            self._pass_over(bad)
            return
        if kind == "hello":
            self.hello, self.broken = message, False
            self._set_state(EngineState.READY)
        elif self.state is EngineState.UNRESPONSIVE:
            self._set_state(EngineState.READY if self.hello else EngineState.STARTING)
        if kind == "heartbeat":
            self.stage, self.seconds = message["stage"], float(message["seconds"])
            memory = message["memory"].items()
            self.memory = {name: value for name, value in memory if type(value) is int and value >= 0}
        job = message.get("job") if isinstance(message.get("job"), str) else ""
        if kind in _ENDS:
            self._running.pop(job, None)
            self._cancels.pop(job, None)
        self._events.append(Event(kind, job, message))

    def _watch(self) -> None:
        """Notice an engine that has been silent for too long."""
        if self.state is EngineState.UNRESPONSIVE or time.monotonic() - self._heard < protocol.SILENCE_SECONDS:
            return
        self.problem = self._problem(
            "unresponsive",
            f"The engine has not answered for {protocol.SILENCE_SECONDS:.0f} seconds. Wait, or restart it.",
        )
        self._set_state(EngineState.UNRESPONSIVE)

    def _send_jobs(self) -> None:
        assert self._link is not None
        for job, folder in list(self._outbox.items()):
            if not self._link.send("submit", job=job, folder=str(folder.absolute())):
                return
            self._running[job] = self._outbox.pop(job)

    def _drop(self, problem: Problem | None) -> None:
        """End the process, however it stands, and fail the jobs it had. Without a reason, the exit status is the
        reason.
        """
        link, self._link = self._link, None
        if link is None:
            return
        was_starting = self.hello is None
        problem = problem or self._obituary(link.process.poll(), was_starting)
        link.kill()
        self._dying.append(link)
        if was_starting:
            self._fail_everything(problem)
        else:
            self._fail(self._running, problem)
        self._wanted = bool(self._outbox)

    def _fail_everything(self, problem: Problem) -> None:
        """An engine that does not start fails the jobs that wait for it too: starting it over and over helps nobody."""
        self._fail({**self._running, **self._outbox}, problem)
        self._outbox.clear()

    def _fail(self, jobs: dict[str, Path], problem: Problem) -> None:
        data = {"code": problem.code, "sentence": problem.sentence, "hint": problem.hint, "log": problem.log}
        self._events.extend(Event("failed", job, data) for job in jobs)
        self.problem = problem
        self.broken = self.hello is None
        self._forget()
        self._set_state(EngineState.STOPPED)

    def _forget(self) -> None:
        self._running.clear()
        self._cancels.clear()
        self.hello, self.stage, self.seconds, self.memory = None, "", 0.0, {}

    def _set_state(self, state: EngineState) -> None:
        self.state = state
        self._events.append(Event("engine"))

    def _problem(self, code: str, sentence: str, hint: str = "") -> Problem:
        return Problem(code, sentence, hint, str(self.log_file))

    def _obituary(self, status: int | None, was_starting: bool) -> Problem:
        """Say why a process ended by itself."""
        last = _last_line(self.log_file)
        if was_starting:
            sentence = "The engine stopped before it was ready. Press Install Engine to repair it, or open its log."
            return self._problem("engine_start", sentence, last or _status(status))
        if status == -signal.SIGINT or status == 0:
            sentence = "The engine ended while this job was running. Press Retry to run it again."
            return self._problem("engine_ended", sentence)
        if status is not None and -status == getattr(signal, "SIGKILL", 0):
            sentence = "The engine was killed, perhaps for want of memory. Press Retry to run this job again."
            return self._problem("engine_killed", sentence, _status(status))
        sentence = "The engine crashed while this job was running. Press Retry to run it again."
        return self._problem("engine_died", sentence, last if (status or 0) > 0 else _status(status))


def _status(status: int | None) -> str:
    if status is None:
        return "It did not say why."
    if status < 0:
        try:
            return f"Ended by {signal.Signals(-status).name}."
        except ValueError:
            return f"Ended by signal {-status}."
    return f"Exit status {status}."


def _last_line(log_file: Path) -> str:
    """Return the last line that the engine printed, which for a Python error is the error itself."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
