# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs, engine and messages of this Blender. One object; panels read it, operators and the pump change it.

Nothing of it is stored in a .blend, so undo, loading a file and deleting objects do not touch it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from . import preferences
from .client import ClientError, EngineClient, EngineTask, Job, JobQueue, JobStore, Problem, Shelf
from .client.install import EngineInstall
from .client.store import StoredJob, of_another
from .languages import rpt_, told
from .order import AnyOrder
from .planning import Planning
from .remedies import Remedy, remedies
from .thrift import Thrift

if TYPE_CHECKING:
    from .intake import Intake

LOG_NAME = "engine.log"


@dataclass(frozen=True)
class Message:
    """Something to tell the user; ``hint`` has a line for each further thing. ``job`` is the job that it is about, if
    any; ``remedies`` are what helps after an error; ``is_kept`` says that what it had so far can become an object,
    ``is_cancelled`` that it is about something that the user has ended; ``hider`` is the name of the object that a new
    one stands hidden in.
    """

    text: str
    hint: str = ""
    is_error: bool = False
    log: str = ""
    job: str = ""
    remedies: tuple[Remedy, ...] = ()
    is_kept: bool = False
    is_cancelled: bool = False
    hider: str = ""


class Session:
    """``opened`` counts the files opened since Blender started: a result belongs to the file it was asked for in.
    ``models`` is the engine's list of model sets, None until it was asked; ``findings`` what the self-test said;
    ``planning`` how much memory the published model takes on this machine; ``thrift`` has an engine without work give
    back what it holds.
    """

    def __init__(self):
        self.queue: JobQueue | None = None
        self.install: EngineInstall | None = None
        self.shelf: Shelf | None = None
        self.task: EngineTask | None = None
        self.models: list[dict] | None = None
        self.findings: list[dict] = []
        self.planning = Planning()
        self.orders: dict[str, AnyOrder] = {}
        self.ready: list[str] = []
        self.intake: Intake | None = None
        self.messages: list[Message] = []
        self.opened = 0
        self._models_wanted = False
        self._models_asked: Path | None = None
        self.thrift = Thrift()

    # --------------------------------------------------------------------------------------------------- for operators

    def connect(self) -> JobQueue:
        """Return the queue, made anew when the preferences name another data folder or engine and nothing runs.

        Raises ClientError when there is no engine to run jobs with.
        """
        python = preferences.engine_python()
        if python is None:
            raise ClientError("no_engine", "There is no engine yet. Press Install Engine in the Espalier panel.")
        folder = preferences.data()
        queue = self.queue
        if queue is not None and (queue.busy or self.ready):
            return queue
        if queue is None or queue.store.folder != folder / "jobs" or queue.engine.python != python.path:
            if queue is not None:
                queue.shutdown()
            engine = EngineClient(python.path, preferences.EXTENSION, folder / "logs" / LOG_NAME)
            self.queue = JobQueue(JobStore(folder / "jobs"), engine)
        return self.queue

    @property
    def message(self) -> Message | None:
        """What was told last; to set it takes back what was told before."""
        return self.messages[-1] if self.messages else None

    @message.setter
    def message(self, message: Message | None) -> None:
        self.messages = [message] if message is not None else []

    def submit(
        self,
        source: Path | bytes | None,
        suffix: str,
        request: dict,
        order: AnyOrder,
        files: Mapping[str, bytes] | None = None,
    ) -> Job:
        """Store a job, with further ``files`` in its folder, and queue it; what was told before is taken back. Raises
        ClientError.
        """
        job = self.enqueue(source, suffix, request, order, files)
        self.message = None
        return job

    def enqueue(
        self,
        source: Path | bytes | None,
        suffix: str,
        request: dict,
        order: AnyOrder,
        files: Mapping[str, bytes] | None = None,
    ) -> Job:
        """The same, and what was told before stays."""
        queue = self.connect()
        job = queue.add(queue.store.create(request, source, suffix, files))
        self.orders[job.id] = order
        return job

    def take_in(self, intake: Intake) -> None:
        """Have the images of ``intake`` read, as far as they have not been, and told what was refused."""
        self.intake = intake
        self._end_intake()

    def leave(self, job_id: str) -> None:
        """Forget that a result shall enter a scene; it stays among the results."""
        self.ready.remove(job_id)
        self.orders.pop(job_id, None)

    def look(self) -> None:
        """Have what is kept on this computer read from now on, without an engine too: the panel shows it."""
        folder = preferences.data() / "jobs"
        if self.shelf is None or self.shelf.store.folder != folder:
            self.shelf = Shelf(JobStore(folder))

    def begin(self, name: str, arguments: list[str]) -> EngineTask:
        """Start a command of the engine beside its jobs; one at a time. Raises ClientError."""
        if self.task is not None:
            raise ClientError("busy", "Wait until what runs in the preferences is done.")
        python = preferences.engine_python()
        if python is None:
            raise ClientError("no_engine", "There is no engine yet. Press Install Engine first.")
        log = preferences.data() / "logs" / f"{name}.log"
        self.task = EngineTask(name, arguments, python.path, preferences.EXTENSION, log)
        return self.task

    def want_models(self) -> None:
        """Have the model sets listed, unless they are or this engine was asked already."""
        self._models_wanted = True

    def obstacle(self, stored: StoredJob) -> str:
        """Why a job can neither be deleted nor run again now, as a sentence; "" when it can. ``stored`` is to be what
        its folder says at this moment: another Blender may have begun it since the list was read.
        """
        job = self.queue.jobs.get(stored.id) if self.queue is not None else None
        if job is not None and not job.ended:
            return rpt_("“{name}” is in the queue. Cancel it first.", name=stored.name)
        return told(of_another(stored).sentence) if stored.in_hands else ""

    def forget(self, job_id: str) -> None:
        """Delete a job that has ended. Raises ClientError when it cannot be."""
        obstacle = self.obstacle(self.shelf.store.read(self.shelf.store.folder / job_id))
        if obstacle:
            raise ClientError("busy", obstacle)
        self.shelf.delete(job_id)
        if job_id in self.ready:
            self.ready.remove(job_id)
        self.orders.pop(job_id, None)

    def current(self) -> Job | None:
        """The job that runs or is about to; None when nothing moves."""
        if self.queue is None or not self.queue.busy:
            return None
        return self.queue.running or self.queue.waiting[0]

    def waiting(self) -> list[Job]:
        """The jobs that wait behind the current one, or for an engine that can be started, in their order."""
        current = self.current()
        return [job for job in self.queue.waiting if job is not current] if self.queue is not None else []

    def tell(self, problem: Problem, job: str = "") -> None:
        """Show a failure in the panel."""
        helps = remedies(problem.code, self._kind_of(job))
        self.message = Message(problem.sentence, problem.hint, True, problem.log, job, helps)

    def refuse(self, sentence: str) -> None:
        """Show why one of several objects was left out."""
        self.messages.append(Message(sentence, is_error=True))

    def built(self, job_id: str, text: str, hider: str = "") -> None:
        """Record that a result stands in the scene, hidden in the object ``hider`` if that is named."""
        self.leave(job_id)
        job = self.queue.jobs.get(job_id) if self.queue is not None else None
        notes = "\n".join(map(told, job.notes)) if job is not None else ""
        self.messages.append(Message(text, notes, job=job_id, hider=hider))
        if self.queue is not None:
            # The object stands; only the note that it does could not be written.
            with contextlib.suppress(ClientError):
                self.queue.mark_built(job_id)
        if self.shelf is not None:
            self.shelf.touch(job_id)

    def not_built(self, job_id: str, sentence: str, can_retry: bool = True) -> None:
        """Record that a result cannot be built from; ``can_retry`` says whether to compute it again would help."""
        self.ready.remove(job_id)
        job = self.queue.jobs.get(job_id) if self.queue is not None else None
        log = str(job.folder / "log.txt") if job is not None else ""
        helps = (Remedy.RETRY,) if can_retry else ()
        self.messages.append(Message(sentence, "", True, log, job_id, helps))

    # ---------------------------------------------------------------------------------------------------- for the pump

    def poll(self, max_seconds: float) -> bool:
        """Move jobs and installation on; true when what the panel shows has changed. Reading has what the jobs leave of
        ``max_seconds``.
        """
        deadline = time.monotonic() + max_seconds
        changed = False
        if self.install is not None:
            changed = self.install.poll()
            if self.install.done:
                self._installed()
        if self.task is not None:
            changed |= self.task.poll()
            if self.task.done:
                self._task_ended(self.task)
        if self.install is None:
            changed |= self.planning.poll()
            changed |= self._look_for_models()
        if self.queue is not None:
            state = self.queue.engine.state, self.queue.engine.problem
            for job in self.queue.poll(max_seconds):
                changed = True
                self._moved(job)
            changed |= state != (self.queue.engine.state, self.queue.engine.problem)
            changed |= self.thrift.poll(self.queue)
        changed |= self._take_in(deadline)
        if self.shelf is not None:
            changed |= self.shelf.poll(deadline - time.monotonic())
        return changed

    def _look_for_models(self) -> bool:
        """Ask the engine for its list of model sets when it is wanted; true when it was asked now."""
        wanted, self._models_wanted = self._models_wanted, False
        if not wanted or self.models is not None or self.task is not None:
            return False
        with contextlib.suppress(ClientError):
            python = preferences.engine_python()
            if python is not None and python.path != self._models_asked:
                self._models_asked = python.path
                self._list_models()
                return True
        return False

    def _list_models(self) -> None:
        self.begin("models", ["--models", str(preferences.data() / "models"), "list"])

    def _take_in(self, deadline: float) -> bool:
        """Read further images until the monotonic time ``deadline``, at least one."""
        if self.intake is None:
            return False
        while self.intake.left:
            self.intake.step()
            if time.monotonic() >= deadline:
                break
        self._end_intake()
        return True

    def _end_intake(self) -> None:
        if self.intake is not None and not self.intake.left:
            for sentence in self.intake.refused:
                self.refuse(sentence)
            self.intake = None

    def is_busy(self) -> bool:
        """True while something moves by itself; a result that waits for the user does not."""
        return (
            self.install is not None
            or self.task is not None
            or self.intake is not None
            or (self.queue is not None and self.queue.busy)
        )

    def is_reading(self) -> bool:
        """True while a part of what is kept on this computer has not been read."""
        return self.shelf is not None and self.shelf.is_reading

    def _moved(self, job: Job) -> None:
        if self.shelf is not None and job.ended:
            self.shelf.touch(job.id)
        if job.state == "finished" and job.id not in self.ready:
            self.ready.append(job.id)
        elif job.state == "failed" and job.problem is not None:
            problem = job.problem
            text = f"{job.name}: {told(problem.sentence)}"
            helps = remedies(problem.code, self._kind_of(job.id))
            self.messages.append(Message(text, problem.hint, True, problem.log, job.id, helps))
        elif job.state == "cancelled":
            text = rpt_("{name}: cancelled", name=job.name)
            self.messages.append(Message(text, job=job.id, is_kept=job.live is not None, is_cancelled=True))

    def _kind_of(self, job_id: str) -> str:
        """The kind of a job as its request says; "" without a job."""
        if not job_id or self.queue is None:
            return ""
        return str(self.queue.store.read(self.queue.store.folder / job_id).request.get("kind") or "job")

    def _task_ended(self, task: EngineTask) -> None:
        self.task = None
        if task.problem is not None:
            self.tell(task.problem)
        if task.name == "doctor":
            self.findings = task.events
            return
        self.models = [event for event in task.events if event["event"] == "set"] or None
        if self.models is None and task.problem is None and not task.cancelled:
            # What was fetched or removed shows in a new list.
            with contextlib.suppress(ClientError):
                self._list_models()

    def _installed(self) -> None:
        install, self.install = self.install, None
        self.planning.forget()
        self._models_asked = None
        if install.problem is not None:
            self.tell(install.problem)
        elif install.cancelled:
            self.message = Message("The installation was cancelled. What was downloaded is kept.", is_cancelled=True)
        else:
            self.message = Message("The engine is installed.")

    def close(self) -> None:
        """Stop everything that runs, within about two seconds."""
        if self.install is not None:
            self.install.cancel()
            self.install = None
        if self.task is not None:
            self.task.cancel()
            self.task = None
        self.planning.close()
        if self.queue is not None:
            self.queue.shutdown()
            self.queue = None
        self.shelf = None
        self.intake = None
        self.ready.clear()


session = Session()


def close() -> None:
    """Stop everything that runs; for Blender's exit and our unregistering."""
    session.close()


@bpy.app.handlers.persistent
def before_render(*_arguments) -> None:
    """A render begins, and may want the graphics card; Blender says so on a thread of its own."""
    session.thrift.make_room()


@bpy.app.handlers.persistent
def after_load(*_arguments) -> None:
    """A file was opened: results that were asked for in another one wait for the user's word."""
    session.opened += 1
