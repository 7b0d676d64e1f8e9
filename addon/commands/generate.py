# SPDX-License-Identifier: GPL-3.0-or-later
"""Many images, one after the other on one engine, pumped in a loop: there are no timers without a window."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

from .. import cli, preferences
from ..client import ClientError, EngineClient, JobQueue, JobStore, find_python
from ..request import MODEL_NOTES, STARTER, make_request, new_seed, object_name
from ..stages import duration, label


def add_to(commands):
    """Add the command to the command line."""
    generate = commands.add_parser("generate", help="make one object of each image")
    generate.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    generate.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the objects are written")
    generate.add_argument("--format", choices=("glb", "blend"), default="glb", help="kind of file (default: glb)")
    generate.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed makes the same object (0)")
    generate.add_argument("--random-seed", action="store_true", help="draw a seed for each image")
    generate.add_argument(
        "--model", type=Path, metavar="DIR", help="folder of a model set (default: the starter model)"
    )
    generate.add_argument("--quality", metavar="KIND", help="one of the model's: 512, 1024_cascade, 1536_cascade")
    generate.add_argument("--size", type=float, default=1.0, metavar="M", help="longest side in metres (default: 1)")
    generate.add_argument("--texture-size", type=int, default=1024, choices=(512, 1024, 2048, 4096))
    generate.add_argument("--faces", type=int, metavar="N", help="at most about this many triangles")
    cli.add_common(generate)
    generate.set_defaults(start=Batch)


class Batch:
    """Runs the ``generate`` command. ``options`` are the parsed arguments, ``reporter`` is told what happens."""

    def __init__(self, options, reporter):
        self.options = options
        self.reporter = reporter
        self.queue: JobQueue | None = None
        self.failed = 0
        self.bad = 0

    def run(self):
        """Make every object and return the exit code."""
        self.queue = self._connect()
        if self.queue is None:
            return cli.FAILED
        model, note = str(self.options.model or STARTER), ""
        if self.options.model is None:
            note = f"Starter model: {MODEL_NOTES[STARTER]}"
        self.reporter.event("model", text=note, model=model)
        orders = {}
        for image in self.options.images:
            job = self._submit(image)
            if job is not None:
                orders[job.id] = image
        self._pump(orders)
        return self._exit_code()

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

    def _exit_code(self):
        total = len(self.options.images)
        if self.bad == total:
            return cli.BAD_INPUT
        if not self.failed and not self.bad:
            return cli.DONE
        return cli.FAILED if self.failed + self.bad == total else cli.SOME_FAILED

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
            return self._refuse(error.sentence)
        if python is None:
            return self._refuse(
                "There is no engine yet. Press Install Engine in the Espalier panel, or name one with --engine-python."
            )
        return JobQueue(store, EngineClient(python.path, preferences.EXTENSION, store.folder.parent / "engine.log"))

    def _refuse(self, sentence):
        self.reporter.event("failed", text=sentence, sentence=sentence)

    def _submit(self, image):
        """Store and queue one image; None when it cannot be read, which has been reported then."""
        from ..scene.pixels import BadImage, source_of_file

        options = self.options
        request = make_request(
            object_name(image.name),
            image.name,
            new_seed() if options.random_seed else options.seed,
            model=STARTER if options.model is None else options.model.name,
            model_path=options.model.absolute() if options.model is not None else None,
            quality=options.quality or STARTER,
            texture_size=options.texture_size,
            faces=options.faces,
        )
        try:
            source, suffix = source_of_file(image.absolute())
            return self.queue.add(self.queue.store.create(request, source, suffix))
        except BadImage as error:
            self._count_failure(image, "bad_input", str(error))
        except ClientError as error:
            self._count_failure(image, error.code, error.sentence)
        return None

    def _count_failure(self, image, code, sentence, hint="", log=""):
        if code in {"bad_input", "missing_file"}:
            self.bad += 1
        else:
            self.failed += 1
        kind = "bad_input" if code in {"bad_input", "missing_file"} else "failed"
        text = f"{image.name}: {sentence}" + (f" ({hint})" if hint else "")
        self.reporter.event(kind, text=text, image=str(image), code=code, sentence=sentence, hint=hint, log=log)

    def _pump(self, orders):
        """Run the queue until nothing is left to do."""
        stages: dict[str, str] = {}
        while self.queue.busy:
            for job in self.queue.poll(cli.PUMP_SECONDS):
                self._tell(job, orders[job.id], stages)
            time.sleep(cli.PUMP_SECONDS)
        for job in self.queue.waiting:
            # The engine could not be started, so these never had their turn.
            problem = self.queue.paused
            self._count_failure(orders[job.id], problem.code, problem.sentence, problem.hint, problem.log)

    def _tell(self, job, image, stages):
        if job.state == "running" and job.stage:
            first = stages.get(job.id) != job.stage
            stages[job.id] = job.stage
            left = f", {duration(job.eta_s)} left" if job.eta_s else ""
            text = f"{image.name}: {job.text or label(job.stage)}{left}" if first else ""
            self.reporter.event(
                "progress",
                text=text,
                image=str(image),
                stage=job.stage,
                step=job.step,
                of=job.of,
                fraction=job.fraction,
                eta_s=job.eta_s,
            )
        elif job.state == "failed":
            problem = job.problem
            self._count_failure(image, problem.code, problem.sentence, problem.hint, problem.log)
        elif job.state == "finished":
            self._write(job, image)

    def _write(self, job, image):
        from ..scene import export
        from ..scene.asset import BadResult

        stored = self.queue.store.read(job.folder)
        target = export.unused(self.options.output.absolute() / f"{job.name}.{self.options.format}")
        try:
            faces = export.write(job.folder, stored.request, job.id, target, self.options.size)
            self.queue.mark_built(job.id)
        except BadResult as error:
            return self._count_failure(image, "bad_result", str(error))
        except OSError as error:
            return self._count_failure(image, "not_writable", f"{target} cannot be written: {error.strerror or error}.")
        except ClientError as error:
            return self._count_failure(image, error.code, error.sentence)
        seconds = round(sum(job.seconds.values()), 1)
        self.reporter.event(
            "finished",
            text=f"{image.name}: {target}, {faces} faces, {duration(seconds)}",
            image=str(image),
            file=str(target),
            job=job.id,
            seed=stored.request.get("seed"),
            faces=faces,
            seconds=job.seconds,
        )
