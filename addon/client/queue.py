# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of this session, in order, and what each is doing. One runs at a time."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...engine import protocol
from .engine import EngineClient, Event
from .errors import ClientError, Problem
from .store import JobStore, StoredJob

# A job has a handful of notes and of stages; an engine gone wild must not fill the panel.
MAX_NOTES = MAX_STAGES = 20


@dataclass
class Job:
    """A job of this session. ``state`` is one of protocol.STATES; the rest is what the engine said last: ``preview``
    a picture, ``live`` a light mesh of what there is so far, in ``stages`` those that it has entered, in their order,
    however short, and in ``notes`` all that it noted for the user.
    """

    id: str
    folder: Path
    name: str
    state: str = protocol.WAITING
    stage: str = ""
    step: int = 0
    of: int = 0
    fraction: float | None = None
    eta_s: float | None = None
    text: str = ""
    preview: Path | None = None
    live: Path | None = None
    problem: Problem | None = None
    stages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_memory: dict[str, Any] = field(default_factory=dict)
    cancelling: bool = False

    @property
    def ended(self) -> bool:
        """True when nothing more will happen to the job unless someone asks."""
        return self.state in protocol.ENDED

    @property
    def result(self) -> Path:
        """The result.json of a finished job."""
        return self.folder / protocol.RESULT_FILE


class JobQueue:
    """Runs stored jobs one after the other on an engine. Call ``poll`` regularly, on one thread.

    ``paused`` is the problem that stopped the queue: the engine could not be started, so the jobs that wait keep
    waiting until ``add`` or ``resume``. ``on_hold`` is the user's wish: what runs ends, what waits does not begin.
    """

    def __init__(self, store: JobStore, engine: EngineClient) -> None:
        self.store = store
        self.engine = engine
        self.jobs: dict[str, Job] = {}
        self.paused: Problem | None = None
        self.on_hold = False

    @property
    def running(self) -> Job | None:
        """The job that the engine has."""
        return next((job for job in self.jobs.values() if job.state == protocol.RUNNING), None)

    @property
    def waiting(self) -> list[Job]:
        """The jobs that have not begun, in their order."""
        return [job for job in self.jobs.values() if job.state == protocol.WAITING]

    @property
    def busy(self) -> bool:
        """True while a job runs or is about to."""
        return self.running is not None or (bool(self.waiting) and self._may_begin)

    @property
    def _may_begin(self) -> bool:
        return self.paused is None and not self.on_hold

    def add(self, stored: StoredJob) -> Job:
        """Put a job of the store at the end of the queue: a new one, or an ended or interrupted one to be run again.

        Raises ClientError when it cannot be, "busy" where another Blender has it.
        """
        job = Job(stored.id, stored.folder, stored.name)
        self.store.adopt(stored.folder)
        self.jobs.pop(job.id, None)
        self.jobs[job.id] = job
        self.resume()
        return job

    def resume(self) -> None:
        """Go on after a pause."""
        self.paused = None

    def move(self, job_id: str, places: int) -> None:
        """Move a job that waits by so many places, later ones positive; not past the ends."""
        order = [job.id for job in self.waiting]
        if job_id not in order:
            return
        place = order.index(job_id)
        order.insert(max(place + places, 0), order.pop(place))
        rest = {name: job for name, job in self.jobs.items() if job.state != protocol.WAITING}
        self.jobs = {**rest, **{name: self.jobs[name] for name in order}}

    def cancel(self, job_id: str) -> str:
        """Cancel a job; the answer is that of EngineClient.cancel. One that waits is cancelled at once."""
        job = self.jobs.get(job_id)
        if job is None or job.ended:
            return "unknown"
        if job.state == protocol.WAITING:
            self._end(job, protocol.CANCELLED, None)
            self._end_hold()
            return "asked"
        job.cancelling = True
        return self.engine.cancel(job_id)

    def clear_waiting(self) -> None:
        """Cancel every job that has not begun."""
        for job in self.waiting:
            self._end(job, protocol.CANCELLED, None)
        self._end_hold()

    def mark_built(self, job_id: str) -> None:
        """Record that the result of a job stands in the scene. Raises ClientError when that cannot be written."""
        job = self.jobs.get(job_id)
        folder = job.folder if job is not None else self.store.folder / job_id
        self.store.set_state(folder, protocol.BUILT)
        if job is not None:
            job.state = protocol.BUILT

    def poll(self, max_seconds: float = 0.02) -> list[Job]:
        """Move everything on, for at most ``max_seconds`` or so, and return the jobs that changed."""
        changed: dict[str, Job] = {}
        for event in self.engine.poll(max_seconds):
            job = self._apply(event)
            if job is not None:
                changed[job.id] = job
        if self.running is None and self._may_begin and self.waiting:
            job = self.waiting[0]
            job.state, job.text = protocol.RUNNING, ""
            self.engine.submit(job.id, job.folder)
            changed[job.id] = job
        return list(changed.values())

    def shutdown(self, seconds: float = 2.0) -> None:
        """Stop the engine within ``seconds``. The running job is left as interrupted; those that wait stay waiting in
        the store, for any Blender to offer them.
        """
        job = self.running
        self.engine.shutdown(seconds)
        if job is not None:
            self._end(
                job, protocol.FAILED, Problem("interrupted", "Blender stopped the engine while this job was running.")
            )
        self.store.close()

    def _end_hold(self) -> None:
        """With nothing left to hold back, the next job shall begin by itself: nobody sees then that it would not."""
        self.on_hold = self.on_hold and bool(self.waiting)

    def _apply(self, event: Event) -> Job | None:
        job = self.jobs.get(event.job)
        if job is None or job.ended:
            return None
        data = event.data
        if event.kind == "progress":
            job.stage, job.step, job.of, job.eta_s = data["stage"], data["step"], data["of"], data["eta_s"]
            if job.stages[-1:] != [job.stage] and len(job.stages) < MAX_STAGES:
                job.stages.append(job.stage)
            fraction = data.get("fraction")
            job.fraction = float(fraction) if isinstance(fraction, int | float) else None
            job.text = data["text"] if isinstance(data.get("text"), str) else ""
        elif event.kind == "preview":
            file = job.folder / Path(data["file"]).name
            if file.suffix == ".npz":
                job.live = file
            else:
                job.preview = file
        elif event.kind == "log" and len(job.notes) < MAX_NOTES:
            job.notes.append(str(data["text"]))
        elif event.kind == "finished":
            job.seconds, job.peak_memory = data["seconds"], data["peak_memory"]
            job.fraction, job.eta_s = 1.0, 0.0
            self._end(job, protocol.FINISHED, None)
        elif event.kind == "failed":
            problem = Problem(data["code"], data["sentence"], data["hint"], data["log"])
            if self.engine.broken:
                self.paused = problem
            self._end(job, protocol.FAILED, problem)
        elif event.kind == "cancelled":
            self._end(job, protocol.CANCELLED, None)
        return job

    def _end(self, job: Job, state: str, problem: Problem | None) -> None:
        """End a job, in the store too when its engine did not get to write it. A full disk does not change what
        happened.
        """
        job.state, job.problem, job.cancelling = state, problem, False
        if self.store.read(job.folder).state != state:
            with contextlib.suppress(ClientError):
                self.store.set_state(job.folder, state, problem)
