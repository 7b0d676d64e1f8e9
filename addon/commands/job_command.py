# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs one after the other on one engine, pumped in a loop: there are no timers without a window."""

from __future__ import annotations

import argparse
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from .. import cli, preferences
from ..client import ClientError, EngineClient, JobQueue, JobStore, find_python
from ..request import MATTINGS, MAX_SEED, MODEL_NOTES, STARTER, TEXTURE_SIZES
from ..scene import formats
from ..stages import duration, label
from .finishing import whole
from .sampling import add_sampling, samplers_asked

# Failures that lie in what was asked for rather than in the doing.
BAD_INPUT_CODES = {"bad_input", "busy_background", "missing_file", "bad_request", "bad_settings", "missing_model"}


def add_output(command):
    """Add the arguments that every command with jobs takes."""
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the results are written")
    command.add_argument(
        "--format", type=_kind, default="glb", metavar="KIND", help=f"{', '.join(formats.KINDS)} (default: glb)"
    )
    cli.add_common(command)


def _kind(text):
    if text not in formats.KINDS:
        raise argparse.ArgumentTypeError(f"“{text}” is no kind of file: give one of {', '.join(formats.KINDS)}.")
    obstacle = formats.find_obstacle(text)
    if obstacle:
        raise argparse.ArgumentTypeError(obstacle)
    return text


def add_options(command, kind, texture_size):
    """Add the arguments that every command with a model takes; ``kind`` is that of its jobs."""
    add_output(command)
    command.add_argument(
        "--seed",
        type=whole(0, MAX_SEED),
        default=0,
        metavar="N",
        help="the same seed gives the same result (default: 0)",
    )
    command.add_argument("--random-seed", action="store_true", help="draw a seed for each result")
    command.add_argument(
        "--model",
        type=Path,
        metavar="MODEL",
        help="a downloaded model, or the folder of one (default: the starter model)",
    )
    command.add_argument("--quality", metavar="KIND", help="one of the model's (default: the model's own)")
    command.add_argument(
        "--texture-size",
        type=int,
        default=texture_size,
        choices=TEXTURE_SIZES,
        help=f"texels along a side (default: {texture_size})",
    )
    command.add_argument(
        "--matting", default=MATTINGS[0], choices=MATTINGS, help="how the subject is found (default: auto)"
    )
    add_sampling(command, kind)


@dataclass(frozen=True)
class Input:
    """What an event is about: its ``label`` for people and its ``fields`` for programs."""

    label: str
    fields: dict[str, str]


class JobCommand:
    """A command that runs jobs. ``options`` are the parsed arguments, ``reporter`` is told what happens.

    A command gives ``work`` (submit, ``pump``, write) and ``finish``. ``total`` counts the inputs, for the exit code.
    ``engine_log`` is the engine's log in the folder beside the results that holds the jobs.
    """

    engine_log = "engine.log"

    def __init__(self, options, reporter):
        self.options = options
        self.reporter = reporter
        self.queue: JobQueue | None = None
        self.total = 0
        self.failed = 0
        self.bad = 0

    def run(self):
        """Do everything and return the exit code."""
        self.queue = self._connect()
        if self.queue is None:
            return cli.FAILED
        self.tell_model()
        self.work()
        return self._exit_code()

    def tell_model(self):
        """Say which model works, and what the starter is good for."""
        note = f"Starter model: {MODEL_NOTES[STARTER]}" if self.options.model is None else ""
        self.reporter.event("model", text=note, model=str(self.options.model or STARTER))

    def log_trace(self):
        """Write the exception at hand into the log beside the jobs and return the file."""
        log = self.options.output.absolute() / cli.JOBS_FOLDER / "blender.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
        return log

    def close(self):
        """Stop the engine."""
        if self.queue is not None:
            self.queue.shutdown()

    def work(self):
        """Submit, pump and write."""
        raise NotImplementedError

    def finish(self, job, about):
        """Take over the result of a finished job that was made of the Input ``about``."""
        raise NotImplementedError

    def choices(self):
        """What every request takes from the options."""
        options, model = self.options, self._model()
        return {
            "model": STARTER if model is None else model.name,
            "model_path": model,
            "quality": options.quality or STARTER,
            "texture_size": options.texture_size,
            "matting": options.matting,
            "models_folder": preferences.data() / "models",
            "samplers": samplers_asked(options),
            "fast": options.fast,
            "int8": options.int8,
            "fp8": options.fp8,
        }

    def refuse(self, about, code, sentence, hint="", log=""):
        """Report and count an Input that came to nothing."""
        kind = "bad_input" if code in BAD_INPUT_CODES else "failed"
        if kind == "bad_input":
            self.bad += 1
        else:
            self.failed += 1
        text = f"{about.label}: {sentence}" + (f" ({hint})" if hint else "")
        self.reporter.event(kind, text=text, **about.fields, code=code, sentence=sentence, hint=hint, log=log)

    def pump(self, orders):
        """Run the queue until nothing is left to do. ``orders`` gives the Input of each job by its id."""
        entered: dict[str, int] = {}
        noted: dict[str, int] = {}
        while self.queue.busy:
            for job in self.queue.poll(cli.PUMP_SECONDS):
                self._tell_notes(job.notes[noted.get(job.id, 0) :], orders[job.id])
                noted[job.id] = len(job.notes)
                new = job.stages[entered.get(job.id, 0) :]
                entered[job.id] = len(job.stages)
                self._tell(job, orders[job.id], new)
            time.sleep(cli.PUMP_SECONDS)
        for job in self.queue.waiting:
            # The engine could not be started, so these never had their turn.
            problem = self.queue.paused
            self.refuse(orders[job.id], problem.code, problem.sentence, problem.hint, problem.log)
        # The next file's jobs may start the engine again, and nothing is known of these any more then.
        self.queue.clear_waiting()

    def _model(self):
        """The folder of the model: as it was named, else the downloaded one of that name; None is the starter."""
        named = self.options.model
        if named is None:
            return None
        downloaded = preferences.data() / "models" / named
        return downloaded if downloaded.is_dir() and not named.is_dir() else named.absolute()

    def _exit_code(self):
        if self.bad == self.total:
            return cli.BAD_INPUT
        if not self.failed and not self.bad:
            return cli.DONE
        return cli.FAILED if self.failed + self.bad == self.total else cli.SOME_FAILED

    def _connect(self):
        data = preferences.data()
        store = JobStore(self.options.output.absolute() / cli.JOBS_FOLDER / "jobs")
        try:
            named = (
                find_python(self.options.engine_python, data, preferences.EXTENSION)
                if self.options.engine_python
                else None
            )
            python = named or preferences.engine_python()
        except ClientError as error:
            return self._no_engine(error.sentence)
        if python is None:
            return self._no_engine(
                "There is no engine yet. Run the command “install”, or name one with --engine-python."
            )
        return JobQueue(store, EngineClient(python.path, preferences.EXTENSION, store.folder.parent / self.engine_log))

    def _no_engine(self, sentence):
        self.reporter.event("failed", text=sentence, sentence=sentence)

    def _tell_notes(self, notes, about):
        for note in notes:
            self.reporter.event("note", text=f"{about.label}: {note}", **about.fields, note=note)

    def _tell(self, job, about, new):
        """Report what became of a job that changed. ``new``: the stages that it has entered since it changed last."""
        runs = job.state == "running" and job.stage
        for stage in new:
            if not runs or stage != job.stage:
                # Over before it was seen.
                passed = {"stage": stage, "step": 0, "of": 0, "fraction": None, "eta_s": None}
                self.reporter.event("progress", text=f"{about.label}: {label(stage)}", **about.fields, **passed)
        if runs:
            left = f", {duration(job.eta_s)} left" if job.eta_s else ""
            text = f"{about.label}: {job.text or label(job.stage)}{left}" if job.stage in new else ""
            self.reporter.event(
                "progress",
                text=text,
                **about.fields,
                stage=job.stage,
                step=job.step,
                of=job.of,
                fraction=job.fraction,
                eta_s=job.eta_s,
            )
        elif job.state == "failed":
            problem = job.problem
            self.refuse(about, problem.code, problem.sentence, problem.hint, problem.log)
        elif job.state == "finished":
            self.finish(job, about)
