# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier jobs``: the jobs that are kept, what they were, what they take, and removing them."""

from __future__ import annotations

import argparse
import json
import time
import traceback
from pathlib import Path

from ...engine import protocol
from .. import cli, preferences
from ..client import ClientError, JobStore
from ..client.store import StoredJob
from ..request import FINISHING, MATTINGS
from ..stages import duration

_DAY = 86_400.0


def add_to(commands):
    """Add the command to the command line."""
    jobs = commands.add_parser("jobs", help="list, show or delete the jobs that are kept")
    _add_common(jobs, None, False)
    jobs.set_defaults(start=Jobs, action="list")
    actions = jobs.add_subparsers(dest="action", metavar="{list,show,delete,clean}")
    _action(actions, "list", "what is kept, newest first (this is what “jobs” alone does)")
    _action(actions, "show", "all about one job").add_argument("ids", nargs=1, metavar="ID")
    _action(actions, "delete", "delete jobs with all their files").add_argument("ids", nargs="+", metavar="ID")
    clean = _action(actions, "clean", "delete ended jobs by age or number")
    clean.add_argument("--older-than", type=_days, metavar="DAYS", help="those that are older than so many days")
    clean.add_argument("--keep", type=_count, metavar="N", help="not the newest N")
    clean.add_argument("--yes", action="store_true", help="delete, instead of only saying what would be deleted")


class Jobs:
    """Runs the command. ``options`` are the parsed arguments, ``reporter`` is told what there is."""

    def __init__(self, options, reporter):
        self.options = options
        self.reporter = reporter
        folder = options.output.absolute() / cli.JOBS_FOLDER if options.output else preferences.data()
        self.store = JobStore(folder / "jobs")
        self.failed = 0

    def run(self):
        """Do what was asked for and return the exit code."""
        named = self.options.output
        if named and not named.is_dir():
            return self._refuse("", f"There is no folder {named.absolute()}. Name one that commands have written into.")
        action = {"list": self._list, "show": self._show, "delete": self._delete, "clean": self._clean}
        return action[self.options.action or "list"]()

    def close(self):
        """There is nothing to end."""

    def log_trace(self):
        """Write the exception at hand into a log and return the file."""
        log = preferences.data() / "logs" / "jobs.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
        return log

    def _list(self):
        jobs = self.store.list()
        sizes = [self.store.size(job.folder) for job in jobs]
        for job, size in zip(jobs, sizes):
            self.reporter.event("job", text=_line(job, size), **_fields(job, size))
        text = f"{_jobs(jobs)} in {self.store.folder}, {_bytes(sum(sizes))}"
        self.reporter.event("total", text=text, jobs=len(jobs), bytes=sum(sizes), folder=str(self.store.folder))
        return cli.DONE

    def _show(self):
        job = self._find(self.options.ids[0])
        if job is None:
            return cli.BAD_INPUT
        size = self.store.size(job.folder)
        problem = f"{job.problem.code}: {job.problem.sentence}" if job.problem is not None else ""
        seconds = ", ".join(f"{stage} {duration(value)}" for stage, value in job.seconds.items())
        files = sorted(path.name for path in job.folder.iterdir())
        shown = {
            "name": job.name,
            "state": _state(job),
            "problem": problem,
            "made": _time(job.created),
            "kind": job.request.get("kind"),
            "image": job.request.get("image"),
            "model": _model(job),
            "seed": job.request.get("seed"),
            "settings": _settings(job),
            "took": seconds,
            "size": _bytes(size),
            "folder": job.folder,
            "files": ", ".join(files),
        }
        text = "\n".join(f"{what:9} {value}" for what, value in shown.items() if value not in (None, ""))
        more = {"problem": problem, "seconds": job.seconds, "files": files}
        self.reporter.event("job", text=text, **_fields(job, size), **more)
        return cli.DONE

    def _delete(self):
        found = [(name, self._find(name)) for name in dict.fromkeys(self.options.ids)]
        jobs = [job for _, job in found if job is not None]
        removed = sum(self._remove(job) for job in jobs if not self._is_running(job))
        return self._code(removed, len(found))

    def _clean(self):
        options = self.options
        if options.older_than is None and options.keep is None:
            return self._refuse("", "Say which jobs: those --older-than DAYS, or all but the newest --keep N.")
        before = time.time() - (options.older_than or 0.0) * _DAY
        ended = [job for job in self.store.list() if job.ended]
        chosen = [job for job in ended[options.keep or 0 :] if job.created <= before]
        if not options.yes:
            sizes = [self.store.size(job.folder) for job in chosen]
            for job, size in zip(chosen, sizes):
                self.reporter.event("would_delete", text=_line(job, size), **_fields(job, size))
            text = f"{_jobs(chosen)} would be deleted, {_bytes(sum(sizes))}. Add --yes to do so."
            self.reporter.event("total", text=text, jobs=len(chosen), bytes=sum(sizes), folder=str(self.store.folder))
            return cli.DONE
        removed = sum(self._remove(job) for job in chosen)
        return self._code(removed, len(chosen))

    def _find(self, name):
        """The job of that name; None when there is none, which has been reported then."""
        # A name is no path: it must not lead out of the store.
        folder = self.store.folder / Path(name).name
        if folder.name == name and (folder / protocol.REQUEST_FILE).is_file():
            return self.store.read(folder)
        self._refuse(name, f"There is no job {name} in {self.store.folder}. “jobs” lists what there is.")
        return None

    def _is_running(self, job):
        """Whether somebody works on the job or is about to, which is reported then."""
        in_hands = job.in_hands
        if in_hands:
            self._refuse(job.id, f"The job {job.id} is {job.state}. Cancel it first, in the Blender that has it.")
        return in_hands

    def _remove(self, job):
        """Delete a job and say so; False when that cannot be, which is reported then."""
        size = self.store.size(job.folder)
        try:
            self.store.delete(job.folder)
        except ClientError as error:
            self.failed += 1
            self.reporter.event("failed", text=error.sentence, job=job.id, code=error.code, sentence=error.sentence)
            return False
        self.reporter.event("deleted", text=f"{job.id}: deleted, {_bytes(size)}", job=job.id, bytes=size)
        return True

    def _code(self, done, asked):
        if done == asked:
            return cli.DONE
        if done:
            return cli.SOME_FAILED
        return cli.FAILED if self.failed else cli.BAD_INPUT

    def _refuse(self, name, sentence):
        self.reporter.event("bad_input", text=sentence, job=name, code="bad_input", sentence=sentence)
        return cli.BAD_INPUT


def _action(actions, name, text):
    action = actions.add_parser(name, help=text)
    # The default of an action would take the place of what was said before it.
    _add_common(action, argparse.SUPPRESS, argparse.SUPPRESS)
    return action


def _add_common(command, output, as_json):
    command.add_argument(
        "--output",
        type=Path,
        default=output,
        metavar="DIR",
        help="the jobs of commands that wrote into this folder (default: those of the panel)",
    )
    command.add_argument("--json", action="store_true", default=as_json, help="one JSON object per event, one per line")


def _fields(job: StoredJob, size: int) -> dict:
    return {
        "job": job.id,
        "name": job.name,
        "state": _state(job),
        "job_kind": job.request.get("kind"),
        "created": job.created,
        "seed": job.request.get("seed"),
        "model": _model(job),
        "settings": job.request.get("settings"),
        "bytes": size,
        "folder": str(job.folder),
    }


def _line(job, size):
    parts = [job.id, f"{_state(job):11}", f"{_bytes(size):>9}", f"seed {job.request.get('seed')}", _settings(job)]
    return "  ".join([*parts, job.name])


def _state(job):
    return "interrupted" if job.interrupted else job.state


def _model(job):
    model = job.request.get("model")
    return model.get("set") if isinstance(model, dict) else None


def _settings(job):
    """The settings that are not as they are by themselves, for people."""
    settings = job.request.get("settings")
    if not isinstance(settings, dict):
        return ""
    usual = {**FINISHING, "matting": MATTINGS[0]}
    return " ".join(
        f"{name}={json.dumps(value)}"
        for name, value in settings.items()
        if value is not None and value != usual.get(name)
    )


def _time(seconds):
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _bytes(size):
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def _jobs(jobs):
    return "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"


def _days(text):
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days <= 1e6:
        raise argparse.ArgumentTypeError(f"“{text}” is no number of days.")
    return days


def _count(text):
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"“{text}” is no number of jobs.")
    return int(text)
