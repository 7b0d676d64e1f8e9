# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run jobs: what they tell of them, and an engine that does not start."""

from types import SimpleNamespace

import pytest
from espalier.addon import cli, preferences
from espalier.addon.client import JobQueue, JobStore
from espalier.addon.client.engine import Event
from espalier.addon.commands.job_command import Input, JobCommand


class Engine:
    """Fails every job as one that does not start, or notes something and finishes it."""

    def __init__(self, works):
        self.works, self.broken, self.events = works, not works, []

    def submit(self, job, _folder):
        if self.works:
            self.events.append(Event("log", job, {"level": "info", "text": "The background is not plain."}))
            self.events.append(Event("finished", job, {"seconds": {}, "peak_memory": {}}))
        else:
            problem = {"code": "engine_broken", "sentence": "The engine does not start.", "hint": "", "log": ""}
            self.events.append(Event("failed", job, problem))

    def poll(self, _max_seconds):
        events, self.events = self.events, []
        return events


class Hasty(Engine):
    """Is through all its stages before anybody looks."""

    def submit(self, job, folder):
        for stage in ("encode", "material", "finish"):
            of = {"stage": stage, "step": 0, "of": 12, "eta_s": 2.0}
            self.events += [Event("progress", job, of), Event("progress", job, {**of, "step": 7})]
        super().submit(job, folder)


class Told(JobCommand):
    """Collects events; results are not taken over."""

    def __init__(self, folder, works, engine=Engine):
        self.events = []
        super().__init__(SimpleNamespace(), self)
        self.queue = JobQueue(JobStore(folder), engine(works))

    def event(self, kind, text="", **fields):
        self.events.append((kind, text))

    def finish(self, job, about):
        self.event("finished", about.label)

    def order(self, *names):
        jobs = [self.queue.add(self.queue.store.create({"name": name}, b"image", ".png")) for name in names]
        return {job.id: Input(job.name, {}) for job in jobs}


def test_what_the_engine_notes_is_told_before_the_result(tmp_path):
    command = Told(tmp_path, works=True)
    command.pump(command.order("vase"))
    assert command.events == [("note", "vase: The background is not plain."), ("finished", "vase")]


def test_every_stage_is_told_however_short_it_was(tmp_path):
    command = Told(tmp_path, works=True, engine=Hasty)
    command.pump(command.order("vase"))
    told = [("progress", f"vase: {stage}") for stage in ("Reading the mesh", "Material", "Finishing")]
    assert [event for event in command.events if event[0] != "note"] == [*told, ("finished", "vase")]


def test_jobs_that_never_began_are_told_once_and_do_not_begin_with_the_next_file(tmp_path):
    command = Told(tmp_path, works=False)
    command.pump(command.order("first", "second"))
    command.pump(command.order("third"))
    assert command.events == [
        ("failed", f"{name}: The engine does not start.") for name in ("first", "second", "third")
    ]


@pytest.mark.parametrize("place", ["named", "downloaded", "nowhere"])
def test_a_model_is_named_by_its_folder_or_as_it_was_downloaded(tmp_path, monkeypatch, place):
    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    downloaded = tmp_path / "data" / "models" / "TRELLIS.2-4B"
    downloaded.mkdir(parents=True)
    name = {"named": "mine", "downloaded": "TRELLIS.2-4B", "nowhere": "other"}[place]
    (tmp_path / "mine").mkdir()
    command = Told(tmp_path / "jobs", works=True)
    command.options = cli.parser().parse_args(["generate", "cup.png", "--output", "out", "--model", name])
    choices = command.choices()
    assert choices["model"] == name
    assert choices["model_path"] == (downloaded if place == "downloaded" else tmp_path / name)


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("bad_input", 4), ("bad_request", 4), ("bad_settings", 4), ("missing_model", 4), ("out_of_memory", 1)],
)
def test_what_lies_in_what_was_asked_for_is_bad_input(tmp_path, code, exit_code):
    command = Told(tmp_path, works=True)
    command.total = 1
    command.refuse(Input("vase", {}), code, "That cannot be.")
    assert command.events == [("bad_input" if exit_code == 4 else "failed", "vase: That cannot be.")]
    assert command._exit_code() == exit_code
