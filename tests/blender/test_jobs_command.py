# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier jobs``: listing, showing, deleting and cleaning what is kept."""

import json
import os
import time

import pytest
from espalier.addon import cli, preferences
from espalier.addon.client import JobStore, Problem

DAY = 86_400


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")
    return JobStore(tmp_path / "data" / "jobs")


@pytest.fixture
def jobs(store, capsys):
    """Return a function that runs the command and gives its exit code and its events."""

    def run(*arguments):
        code = cli.main(["jobs", *map(str, arguments), "--json"])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def add(store, name, state, age_days=0.0, size=1000, **more):
    """Put a job of that state, age and about that size into the store."""
    settings = {"faces": 500, "repair": None, "matting": "auto", **more}
    request = {"kind": "generate", "name": name, "seed": 7, "model": {"set": "starter"}, "settings": settings}
    job = store.create(request, b"x" * size, ".png")
    store.set_state(job.folder, state)
    file = job.folder / "state.json"
    record = json.loads(file.read_text())
    created = time.time() - age_days * DAY
    file.write_text(json.dumps({**record, "created": created}))
    os.utime(file, (created, created))
    return job.id


def test_jobs_are_listed_newest_first_with_state_seed_settings_and_size(store, jobs):
    old = add(store, "old", "finished", 3, size=5000)
    broken = add(store, "broken", "running", 1)
    new = add(store, "new", "failed", 0.1)
    code, events = jobs()
    assert code == 0 and [event["job"] for event in events[:-1]] == [new, broken, old]
    assert [event["state"] for event in events[:-1]] == ["failed", "interrupted", "finished"]
    assert events[2]["seed"] == 7 and events[2]["settings"]["faces"] == 500 and events[2]["bytes"] > 5000
    assert "faces=500" in events[2]["text"] and "matting" not in events[2]["text"]
    assert events[-1]["jobs"] == 3 and events[-1]["bytes"] == sum(event["bytes"] for event in events[:-1])
    assert [event["text"] for event in jobs("list")[1]] == [event["text"] for event in events]


def test_a_store_that_does_not_exist_is_empty(store, jobs):
    code, (total,) = jobs()
    assert code == 0 and total["jobs"] == 0 and not store.folder.exists()


def test_one_job_is_shown_with_its_problem_and_files(store, jobs):
    name = add(store, "mug", "finished")
    store.set_state(store.folder / name, "failed", Problem("no_subject", "There is nothing in it."))
    code, (shown,) = jobs("show", name)
    assert code == 0 and shown["problem"] == "no_subject: There is nothing in it."
    assert {"input.png", "request.json", "state.json"} <= set(shown["files"])
    assert all(part in shown["text"] for part in (name, "faces=500", "There is nothing in it.", "seed      7"))


@pytest.mark.parametrize("name", ["missing", "..", "../jobs", "", "."])
def test_what_is_no_job_is_told_and_nothing_is_deleted(store, jobs, name):
    kept = add(store, "mug", "finished")
    for action in ("show", "delete"):
        code, (event,) = jobs(action, name)
        assert code == 4 and event["sentence"].startswith("There is no job")
    assert (store.folder / kept).is_dir()


def test_jobs_are_deleted_but_those_that_run(store, jobs):
    ended, running = add(store, "a", "built"), add(store, "b", "running")
    code, events = jobs("delete", ended, running, "nothing")
    assert code == 2 and sorted(event["event"] for event in events) == ["bad_input", "bad_input", "deleted"]
    assert [job.id for job in store.list()] == [running]
    assert jobs("delete", running)[0] == 4


def test_cleaning_says_what_it_would_delete_and_deletes_only_when_told_to(store, jobs):
    ages = {age: add(store, f"job {age}", "finished", age) for age in (1, 10, 20, 30)}
    add(store, "waiting", "waiting", 40)
    code, events = jobs("clean", "--older-than", 5, "--keep", 2)
    assert code == 0 and [event["job"] for event in events[:-1]] == [ages[20], ages[30]]
    assert events[-1]["bytes"] == sum(event["bytes"] for event in events[:-1]) and "--yes" in events[-1]["text"]
    assert len(store.list()) == 5
    code, events = jobs("clean", "--older-than", 15, "--yes")
    assert code == 0 and [event["job"] for event in events] == [ages[20], ages[30]]
    assert {job.name for job in store.list()} == {"job 1", "job 10", "waiting"}
    assert jobs("clean", "--keep", 0, "--yes")[0] == 0
    assert [job.name for job in store.list()] == ["waiting"]


def test_cleaning_without_saying_what_is_refused(store, jobs):
    add(store, "mug", "finished")
    code, (event,) = jobs("clean", "--yes")
    assert code == 4 and "--older-than" in event["sentence"] and len(store.list()) == 1


@pytest.mark.parametrize("option", [["--older-than", "-1"], ["--older-than", "nan"], ["--keep", "-1"], ["--keep", "x"]])
def test_ages_and_numbers_that_make_no_sense_are_refused(store, option):
    assert cli.main(["jobs", "clean", *option]) == 4


@pytest.mark.parametrize(
    "action", [[], ["list"], ["show", "mug"], ["delete", "mug"], ["clean", "--keep", "1", "--yes"]]
)
def test_a_folder_of_results_that_does_not_exist_is_bad_input_and_not_an_empty_list(store, jobs, tmp_path, action):
    code, (event,) = jobs(*action, "--output", tmp_path / "typo")
    assert code == cli.BAD_INPUT and f"There is no folder {tmp_path / 'typo'}." in event["sentence"]
    assert not (tmp_path / "typo").exists()


def test_the_jobs_of_a_folder_of_results_are_chosen_by_it(store, jobs, tmp_path):
    other = add(JobStore(tmp_path / "out" / ".espalier" / "jobs"), "mug", "built")
    for arguments in (["--output", tmp_path / "out"], ["list", "--output", tmp_path / "out"]):
        assert jobs(*arguments)[1][0]["job"] == other
    assert jobs()[1][-1]["jobs"] == 0
