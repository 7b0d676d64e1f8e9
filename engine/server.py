# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's side of the process link: one job at a time, with progress, cancel, and failures that can be read.

Three threads. The main one works on jobs. One reads messages, so a cancel is taken at any time. One sends a heartbeat
every two seconds, so that silence means trouble. The process leaves when its stdin closes: whoever started it is
gone.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import FileIO, RawIOBase
from types import MappingProxyType
from typing import Any

from . import device_lock, machine, protocol, scratch
from .errors import Cancelled, EspalierError
from .failure import explain
from .jobs import JobFolder
from .progress import StageClock, earlier_seconds

# Progress messages within a stage are at least this far apart, so that a fast stage does not flood the link.
PROGRESS_SECONDS = 0.1
LEAVE_SECONDS = 1.2
WAITING_STAGE = "waiting"
# Seconds per stage of the starter model on two cores: what a first job is compared with while it shows its own speed.
TYPICAL_SECONDS = {
    "generate": {
        "prepare": 0.05,
        "condition": 0.05,
        "structure": 0.35,
        "shape": 0.8,
        "material": 0.8,
        "decode": 0.15,
        "finish": 4.0,
    },
    "texture": {"condition": 0.1, "encode": 0.1, "material": 0.15, "decode": 0.15, "finish": 3.3},
    "refinish": {"finish": 4.0},
}
_PIECE = 1 << 16
_LONGEST = 1000

Handler = Callable[[JobFolder, Callable[[str, int, int], None], Callable[[], bool]], Mapping[str, Any]]


@dataclass
class _Submitted:
    """A job that was handed in and has not ended."""

    id: str
    folder: JobFolder
    cancel: threading.Event = field(default_factory=threading.Event)
    begun: bool = False


class Report:
    """What a handler calls: ``report(stage, step, of)`` at every step. It raises Cancelled once the user cancelled.

    ``report.tell(text)`` says what the step is about, ``report.preview(stage, file)`` announces a picture in the
    job folder, ``report.log(level, text)`` writes to log.txt and tells Blender.
    """

    def __init__(self, job: _Submitted, clock: StageClock, send: Callable[..., None]) -> None:
        self._job, self._clock, self._send = job, clock, send
        self._sent = 0.0
        self._step = (0, 0)

    def __call__(self, stage: str, step: int, of: int) -> None:
        """Report that ``step`` of ``of`` steps of ``stage`` are done. Raises Cancelled; OSError on a full disk."""
        if self._job.cancel.is_set():
            raise Cancelled
        entered = self._clock.enter(stage)
        if entered:
            self._job.folder.enter_stage(stage, self._clock.seconds())
        self._step = (int(step), int(of))
        now = time.monotonic()
        if entered or step >= of or now - self._sent >= PROGRESS_SECONDS:
            self._sent = now
            self._progress()

    def _progress(self, **more: str) -> None:
        step, of = self._step
        fraction, eta = self._clock.estimate(step, of)
        told = {"step": step, "of": of, "eta_s": eta, "fraction": fraction, **more}
        self._send("progress", job=self._job.id, stage=self._clock.stage, **told)

    def tell(self, text: str) -> None:
        """Say ``text`` in place of the stage's name until the next step."""
        self._progress(text=text[:_LONGEST])

    def preview(self, stage: str, file: str) -> None:
        """Announce a picture of the job after ``stage``. Raises EspalierError for a name outside the folder."""
        self._send("preview", job=self._job.id, stage=stage, file=self._job.folder.file(file).name)

    def log(self, level: str, text: str) -> None:
        """Note something for the user's eyes; ``level`` is "info" or "warning", or "detail" for the log.txt only."""
        self._job.folder.log(f"{level}: {text}")
        if level != "detail":
            self._send("log", job=self._job.id, level=level, text=text[:_LONGEST])


class Server:
    """Serves one client over two byte streams. ``run`` returns the exit status when the client leaves."""

    def __init__(
        self,
        stdin: RawIOBase,
        stdout: RawIOBase,
        handlers: Mapping[str, Handler],
        release: Callable[[], None] | None,
        typical: Mapping[str, Mapping[str, float]],
    ) -> None:
        self._stdin, self._stdout = stdin, stdout
        self._handlers, self._release, self._typical = handlers, release, typical
        self._sending = threading.Lock()
        self._work: queue.SimpleQueue[_Submitted | str] = queue.SimpleQueue()
        self._jobs: dict[str, _Submitted] = {}
        self._current: tuple[_Submitted, StageClock] | None = None
        self._leaving = threading.Event()
        self._left = threading.Event()
        self._status = 0
        self._device = "cpu"

    def run(self) -> int:
        """Greet, then work on what arrives until the client shuts the engine down or goes away."""
        facts = machine.describe()
        self._device = facts["device"]["type"]
        self._send("hello", version=machine.extension_version(), capabilities=sorted(self._handlers), **facts)
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        threading.Thread(target=scratch.clear_left_behind, name="scratch", daemon=True).start()
        while not self._leaving.is_set():
            work = self._work.get()
            if isinstance(work, _Submitted):
                self._run_job(work)
                machine.give_back_memory()
            elif work == "release" and self._release is not None:
                try:
                    self._release()
                except Exception:
                    traceback.print_exc()
        self._left.set()
        return self._status

    # ------------------------------------------------------------------------------------------------------- messages

    def _send(self, kind: str, **fields: Any) -> None:
        """Send one message. A client that went away is noticed by the reader, so a broken pipe is not an error here."""
        frame = protocol.encode(kind, **fields)
        with self._sending, contextlib.suppress(OSError, ValueError):
            protocol.write_all(self._stdout, frame)

    def _fail(self, code: str, sentence: str, hint: str = "", log: str = "", **fields: Any) -> None:
        # What is answered may quote what was received, which may fill a frame by itself.
        self._send("failed", code=code, sentence=sentence[:_LONGEST], hint=hint[:_LONGEST], log=log, **fields)

    def _read(self) -> None:
        decoder = protocol.FrameDecoder()
        descriptor = self._stdin.fileno()
        while not self._leaving.is_set():
            try:
                data = os.read(descriptor, _PIECE)
            except OSError:
                data = b""
            if not data:
                break
            decoder.feed(data)
            self._take_messages(decoder)
        self._leave()

    def _take_messages(self, decoder: protocol.FrameDecoder) -> None:
        while not self._leaving.is_set():
            try:
                message = decoder.next()
            except protocol.BadFrame as bad:
                self._fail("bad_message", bad.sentence)
                if bad.lost:
                    self._status = 3
                    self._leaving.set()
                continue
            if message is None:
                return
            try:
                kind = protocol.check(message, protocol.TO_ENGINE)
            except protocol.BadFrame as bad:
                job = message.get("job") if message.get("kind") == "submit" else None
                self._fail("bad_message", bad.sentence, **({"job": job} if _is_name(job) else {}))
                continue
            self._take(kind, message)

    def _take(self, kind: str, message: protocol.Message) -> None:
        if kind == "submit":
            job = _Submitted(message["job"], JobFolder(message["folder"]))
            if not _is_name(job.id):
                self._fail("bad_request", f"The name of a job has {len(job.id)} letters; {_LONGEST} may be.")
                return
            if job.id in self._jobs:
                self._send("log", job=job.id, level="warning", text="This job was handed in twice; it runs once.")
                return
            if not job.folder.path.is_absolute():
                self._fail("bad_request", f"The job folder {job.folder.path} is not an absolute path.", job=job.id)
                return
            self._jobs[job.id] = job
            self._work.put(job)
        elif kind == "cancel":
            job = self._jobs.get(message["job"])
            if job is not None:
                job.cancel.set()
        elif kind == "release":
            self._work.put("release")
        elif kind == "shutdown":
            self._leaving.set()

    def _leave(self) -> None:
        """End the process within ``LEAVE_SECONDS``: politely by cancelling the job, else with everything it started."""
        self._leaving.set()
        for job in list(self._jobs.values()):
            job.cancel.set()
        self._work.put("leave")
        if self._left.wait(LEAVE_SECONDS):
            return
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(self._status)

    def _beat(self) -> None:
        while not self._left.wait(protocol.HEARTBEAT_SECONDS):
            current = self._current
            if current is None:
                self._send("heartbeat", stage="", seconds=0.0, memory=machine.memory_now())
                continue
            job, clock = current
            job.folder.touch()
            seconds = round(clock.in_stage(), 3)
            self._send("heartbeat", job=job.id, stage=clock.stage, seconds=seconds, memory=machine.memory_now())

    # ----------------------------------------------------------------------------------------------------------- jobs

    def _run_job(self, job: _Submitted) -> None:
        """Take one job from its request to finished, failed or cancelled."""
        # The device is kept until the end is written: another engine may wait for it to work in this very folder.
        with contextlib.ExitStack() as device:
            end, fields = self._to_its_end(job, device)
        self._send(end, job=job.id, **fields)

    def _to_its_end(self, job: _Submitted, device: contextlib.ExitStack) -> tuple[str, dict[str, Any]]:
        """Run a job and write how it ended; return its last message."""
        state = protocol.FAILED
        try:
            return protocol.FINISHED, self._finish(job, device)
        except Cancelled:
            if self._leaving.is_set():
                failure = EspalierError("interrupted", "The engine was stopped while this job was running.")
            else:
                state, failure = protocol.CANCELLED, EspalierError("cancelled", "The job was cancelled.")
        except (Exception, SystemExit) as error:
            job.folder.log(traceback.format_exc())
            traceback.print_exc()
            failure = explain(error, job.folder.path)
        finally:
            self._current = None
            self._jobs.pop(job.id, None)
        sentence, hint = failure.sentence[:_LONGEST], failure.hint[:_LONGEST]
        problem = {"code": failure.code, "sentence": sentence, "hint": hint}
        with contextlib.suppress(OSError, ValueError, EspalierError):
            # Where this cannot be written (full disk) Blender still hears it. A job that was not begun here and waits
            # no longer is another engine's.
            if job.begun or job.folder.state().get("state") == protocol.WAITING:
                job.folder.set_state(state, problem=problem)
        log = job.folder.path / protocol.LOG_FILE
        return state, {"log": str(log) if os.path.isfile(log) else "", **problem}

    def _finish(self, job: _Submitted, device: contextlib.ExitStack) -> dict[str, Any]:
        """Run a job to its end on the device, which is entered into ``device``; return what to tell of it.

        Raises what its handler raises, Cancelled, EspalierError, OSError.
        """
        if job.cancel.is_set():
            raise Cancelled
        folder = job.folder
        if not os.path.isdir(folder.path):
            raise EspalierError("bad_request", f"The job folder {folder.path} does not exist. Start the job again.")
        request = folder.request()
        kind = str(request.get("kind"))
        handler = self._handlers.get(kind)
        if handler is None:
            raise EspalierError("bad_request", f"This engine cannot do jobs of the kind {request.get('kind')!r}.")
        waiting = StageClock({})
        self._current = (job, waiting)
        self._send("started", job=job.id)

        def wait(sentence: str) -> None:
            if job.cancel.is_set():
                raise Cancelled
            if waiting.enter(WAITING_STAGE):
                self._send("progress", job=job.id, stage=WAITING_STAGE, step=0, of=0, eta_s=None, text=sentence)

        lock = device_lock.lock_file(self._device)
        device.enter_context(device_lock.hold(lock, str(request.get("name") or job.id), wait))
        # Not before: another engine may be at work in this very folder.
        folder.begin()
        job.begun = True
        clock = StageClock(earlier_seconds(folder.path, request) or self._typical.get(kind, {}))
        self._current = (job, clock)
        memory = machine.PeakMemory()
        result = handler(folder, Report(job, clock, self._send), job.cancel.is_set)
        file = str(result.get("result") or protocol.RESULT_FILE)
        seconds, peak = {k: round(v, 3) for k, v in clock.seconds().items()}, memory.read()
        folder.set_state(protocol.FINISHED, stage="", seconds=seconds, peak_memory=peak)
        return {"result": file, "seconds": seconds, "peak_memory": peak}


def serve(
    stdin: RawIOBase,
    stdout: RawIOBase,
    handlers: Mapping[str, Handler],
    release: Callable[[], None] | None = None,
    typical: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> int:
    """Serve jobs until the client leaves; return the exit status (0, or 3 when the client sent garbage).

    ``handlers`` maps the ``kind`` of a request to ``handler(job: JobFolder, report, cancelled) -> {"result": file
    name}``: ``report(stage, step, of)`` at every step, which raises Cancelled when the job was cancelled;
    ``cancelled()`` tells the same to code that only wants to look. ``release`` drops models and device memory.
    ``typical`` has seconds per stage for each kind, from which the time left of a first job is guessed. Call it on
    the main thread of a process of its own, which it ends when a job does not.
    """
    return Server(stdin, stdout, handlers, release, typical).run()


def take_standard_streams() -> tuple[FileIO, FileIO]:
    """Keep the real stdin and stdout for messages, and return them.

    ``print`` goes to stderr from here on, in this process and in those that it starts, and nobody else can read
    messages.
    """
    stdin, stdout = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    faulthandler.enable(sys.stderr)
    if sys.platform == "win32":
        import msvcrt

        for descriptor in (stdin, stdout):
            msvcrt.setmode(descriptor, os.O_BINARY)
    return FileIO(stdin, "rb"), FileIO(stdout, "wb")


def main(arguments: list[str]) -> int:
    """Serve the product's own jobs on stdin and stdout."""
    if arguments:
        print("usage: engine serve (no arguments)", file=sys.stderr)
        return 2
    machine.share_heaps()
    stdin, stdout = take_standard_streams()
    handlers = {"generate": _generate, "texture": _texture, "refinish": _refinish}
    return serve(stdin, stdout, handlers, _release_models, TYPICAL_SECONDS)


# The jobs are imported with the first of them: that loads torch, and the greeting should not wait for it.
def _generate(
    job: JobFolder, report: Callable[[str, int, int], None], cancelled: Callable[[], bool]
) -> Mapping[str, Any]:
    from .pipelines import generate_job

    return generate_job.run(job, report, cancelled)


def _texture(
    job: JobFolder, report: Callable[[str, int, int], None], cancelled: Callable[[], bool]
) -> Mapping[str, Any]:
    from .pipelines import texture_job

    return texture_job.run(job, report, cancelled)


def _refinish(
    job: JobFolder, report: Callable[[str, int, int], None], cancelled: Callable[[], bool]
) -> Mapping[str, Any]:
    from .pipelines import refinish_job

    return refinish_job.run(job, report, cancelled)


def _release_models() -> None:
    # Before the first job nothing is loaded, and loading it to release nothing would take seconds.
    jobs = sys.modules.get(f"{__package__}.pipelines.job")
    if jobs is not None:
        jobs.release()


def _is_name(job: Any) -> bool:
    return isinstance(job, str) and len(job) <= _LONGEST
