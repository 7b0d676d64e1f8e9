# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier batch``: the rows of a manifest one after the other on one engine; rows that are finished are passed over.

Made for farms, too: ``--index`` and ``--shard`` give each task of an array its part, all into the same folder.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import time
from pathlib import Path

from .. import cli, preferences
from ..request import MODEL_NOTES, STARTER
from ..scene import formats
from ..stages import duration
from .job_command import Input, JobCommand
from .manifest import Fault, missing_files, read_manifest
from .model_identity import ModelIdentity, digest_of
from .row_jobs import FAILURES, RowJobs, explain
from .row_result import Occupied, RowResult


def add_to(commands):
    """Add the command to the command line."""
    batch = commands.add_parser("batch", help="make what the lines of a manifest ask for")
    batch.add_argument(
        "--manifest", type=Path, required=True, metavar="FILE", help="one JSON object per line, see the user guide"
    )
    batch.add_argument(
        "--output", type=Path, metavar="DIR", help="where the results are written (default: beside the manifest)"
    )
    batch.add_argument(
        "--format", choices=formats.KINDS, default="glb", help="kind of file where a row names none (default: glb)"
    )
    batch.add_argument(
        "--model", type=Path, metavar="MODEL", help="the model of rows that name none (default: the starter model)"
    )
    part = batch.add_mutually_exclusive_group()
    part.add_argument("--index", type=_from_one, metavar="N", help="only the row in line N of the manifest")
    part.add_argument("--shard", type=_shard, metavar="K/N", help="only every Nth row, beginning with the Kth")
    batch.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="pass over rows that are finished (default), or make them anew",
    )
    batch.add_argument("--keep-going", action="store_true", help="go on with the next row when one fails")
    cli.add_common(batch)
    batch.set_defaults(start=Batch)


class Batch(JobCommand):
    """Runs the command."""

    def __init__(self, options, reporter):
        options.output = options.output or options.manifest.absolute().parent
        super().__init__(options, reporter)
        self.output = options.output.absolute()
        self.engine_log = f"engine-{_part(options)}.log"
        self.identity = ModelIdentity(self.output / cli.JOBS_FOLDER / "models.json")
        self.jobs = RowJobs(self)
        self.done = self.skipped = 0
        self._told_starter = False

    def run(self):
        """Do everything and return the exit code."""
        rows, faults = self._read()
        for fault in faults:
            label = f"{self.options.manifest}, line {fault.line}" if fault.line else str(self.options.manifest)
            self.reporter.event(
                "bad_input", text=f"{label}: {fault.sentence}", line=fault.line, code="bad_row", sentence=fault.sentence
            )
        if faults:
            return cli.BAD_INPUT
        self.reporter.event("batch", text=f"{self.options.manifest}: {_count(rows)} to look at", rows=len(rows))
        for number, row in enumerate(rows, 1):
            self._do(row)
            if self.failed + self.bad and number < len(rows) and self._must_stop():
                left = len(rows) - number
                sentence = f"{_count(rows[number:])} left out after this failure"
                self.reporter.event("stopped", text=f"{sentence}; --keep-going goes on with them.", left=left)
                break
        counts = {"made": self.done, "skipped": self.skipped, "failed": self.failed + self.bad}
        text = ", ".join(f"{count} {what}" for what, count in counts.items())
        self.reporter.event("done", text=f"{_count(rows)}: {text}", rows=len(rows), **counts)
        return self._exit_code()

    def finish(self, job, about):
        """Take over the result of a job."""
        self.jobs.finish(job)

    def model_folder(self, row):
        """The folder of a row's model set; None is the starter. It need not be there."""
        named, base = (row.model, self._base) if row.model else (self.options.model or STARTER, Path.cwd())
        if str(named) == STARTER:
            return None
        beside = base / named
        return beside if beside.is_dir() else preferences.data() / "models" / named

    @property
    def _base(self):
        """What the paths in the manifest are relative to."""
        return self.options.manifest.absolute().parent

    def _read(self):
        """The rows of this run's part, and what is wrong with them."""
        manifest, index, shard = self.options.manifest, self.options.index, self.options.shard
        try:
            rows, faults = read_manifest(manifest, self.options.format)
        except OSError as error:
            return [], [Fault(0, f"The manifest cannot be read: {error.strerror or error}.")]
        lines = sorted({row.line for row in rows} | {fault.line for fault in faults})
        if not lines:
            return [], [Fault(0, "The manifest has no rows. Write one JSON object per line.")]
        if index is not None and index not in lines:
            return [], [Fault(index, "There is no row in this line.")]
        if index is not None:
            lines = [index]
        elif shard is not None:
            lines = lines[shard[0] - 1 :: shard[1]]
        rows = [row for row in rows if row.line in lines]
        faults = [fault for fault in faults if fault.line in lines]
        faults += [Fault(row.line, sentence) for row in rows for sentence in self._check(row)]
        return rows, sorted(faults, key=lambda fault: fault.line)

    def _check(self, row):
        """What stands in the way of a row, as sentences."""
        try:
            return [*missing_files(row), *self._missing_model(row), *self._unwritable(row)]
        except OSError as error:
            return [f"The path {error.filename} cannot be used: {error.strerror or error}."]

    def _missing_model(self, row):
        folder = None if row.kind == "finish" else self.model_folder(row)
        if folder is None or folder.is_dir():
            return []
        name = row.model or self.options.model
        return [f"The model {name} is neither downloaded nor a folder. Fetch it with “models download”."]

    def _unwritable(self, row):
        obstacle = formats.find_obstacle(row.format)
        if obstacle:
            return [obstacle]
        result = RowResult(self.output / row.output)
        if result.is_foreign():
            return [f"{result.target} is there already, and no batch made it. Move it away or name another output."]
        return []

    def _do(self, row):
        """Make one row's result, or report why not."""
        result = RowResult(self.output / row.output)
        about = Input(f"line {row.line}, {row.output}", {"line": row.line, "name": row.name})
        began = time.time()
        try:
            result.carry_through()
            asked = self.jobs.ask(row)
            key = digest_of({"made": asked, "name": row.name, "size": row.size, "format": row.format})
            if self.options.resume and result.is_finished(key):
                self.skipped += 1
                self.reporter.event(
                    "skipped", text=f"{about.label}: finished before", **about.fields, file=str(result.target)
                )
                return
            result.check_place()
            if not self._ready(row):
                self.failed += 1
                return
            made = self.jobs.make(row, asked, about)
            if made is None:
                return
            with _uninterrupted():
                record = result.write(lambda folder: {"key": key, **made.write(folder, result, began)})
                self.jobs.mark_built(made)
        except Occupied as error:
            return self.refuse(about, "bad_input", str(error))
        except FAILURES as error:
            return self.refuse(about, *explain(error, result.target))
        self.done += 1
        seconds = time.time() - began
        self.reporter.event(
            "finished",
            text=f"{about.label}: {record['faces']} faces, {duration(seconds)}",
            **about.fields,
            file=str(result.target),
            record=str(result.record_file),
            jobs=record["jobs"],
            seed=record["seed"],
            faces=record["faces"],
            seconds=record["seconds"],
        )

    def _ready(self, row):
        """Whether there is an engine, which the first row that needs one connects; and tell what the starter is for."""
        if self.queue is None:
            self.queue = self._connect()
        if self.queue is not None and not self._told_starter and row.kind != "finish" and not self.model_folder(row):
            self._told_starter = True
            self.reporter.event("model", text=f"Starter model: {MODEL_NOTES[STARTER]}", model=STARTER)
        return self.queue is not None

    def _must_stop(self):
        """Whether a failure ends the run: unless asked to go on, and for want of an engine, which the rest needs."""
        return not self.options.keep_going or self.queue is None or self.queue.engine.broken

    def _exit_code(self):
        if not self.failed and not self.bad:
            return cli.DONE
        if self.done or self.skipped:
            return cli.SOME_FAILED
        return cli.FAILED if self.failed else cli.BAD_INPUT


@contextlib.contextmanager
def _uninterrupted():
    """Put off an interrupt until what must be whole is done: a few seconds at most."""
    asked = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, lambda *_: asked.append(True)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if asked:
        raise cli.Interrupted


def _from_one(text):
    if not re.fullmatch(r"[1-9]\d{0,9}", text):
        raise argparse.ArgumentTypeError(f"“{text}” is no line of a file: give a whole number from 1.")
    return int(text)


def _shard(text):
    match = re.fullmatch(r"([1-9]\d{0,9})/([1-9]\d{0,9})", text)
    if match is None or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(f"“{text}” is no part of a batch: give K/N with K from 1 to N, such as 2/8.")
    return int(match[1]), int(match[2])


def _part(options):
    """What part of the manifest this run does, as a piece of a file's name."""
    if options.index is not None:
        return f"line-{options.index}"
    return "all" if options.shard is None else "{}-of-{}".format(*options.shard)


def _count(rows):
    return f"{len(rows)} row" if len(rows) == 1 else f"{len(rows)} rows"
