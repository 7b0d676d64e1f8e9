# SPDX-License-Identifier: GPL-3.0-or-later
"""One store, several Blenders: who has a job, whose Blender is gone, and what clocks and damage cannot change of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from espalier.addon.client import ClientError
from espalier.engine import protocol
from espalier.engine.jobs import JobFolder
from espalier.tests.client.fake_engine import ROOT
from espalier.tests.client.helpers import reach, until
from espalier.tests.client.test_server import Talk, start_engine

JOBS = 12
RIVAL = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests" / "client")!r})
import fake_engine
from pathlib import Path
from espalier.addon.client import ClientError, JobStore
store, go = JobStore(Path(sys.argv[1])), Path(sys.argv[2])
jobs = sorted(store.list(), key=lambda job: job.id)
print("ready", flush=True)
while not go.exists():
    pass
taken = []
for job in jobs:
    try:
        store.adopt(job.folder)
        taken.append(job.id)
    except ClientError as error:
        assert error.code == "busy", error
print(",".join(taken), flush=True)
sys.stdin.read()
"""


def rival(*arguments):
    return subprocess.Popen(
        [sys.executable, "-c", RIVAL, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("state", [protocol.WAITING, protocol.RUNNING, protocol.FAILED])
def test_of_two_blenders_that_reach_for_a_job_one_gets_it(store, order, tmp_path, state):
    names = set()
    for _ in range(JOBS):
        job = order()
        names.add(job.id)
        if state != protocol.WAITING:
            JobFolder(job.folder).begin()
            JobFolder(job.folder).set_state(state)
    store.close()
    rivals = [rival(store.folder, tmp_path / "go") for _ in range(2)]
    for process in rivals:
        assert process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    taken = [set(filter(None, process.stdout.readline().strip().split(","))) for process in rivals]
    assert taken[0] | taken[1] == names and not taken[0] & taken[1]
    with pytest.raises(ClientError) as caught:
        store.adopt(store.folder / min(names))
    assert caught.value.code == "busy" and "chair" in caught.value.sentence
    for process in rivals:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()
    assert {job.id for job in store.list() if job.forsaken} == names


@pytest.mark.parametrize("clock", [-86_400, 0, 86_400])
def test_what_a_dead_blender_was_running_is_told_at_once_whatever_the_clock_says(store, order, clock):
    job = order()
    JobFolder(job.folder).begin()
    now = time.time() - clock
    os.utime(job.folder / "state.json", (now, now))
    if clock <= 0:
        assert not store.read(job.folder).interrupted
    store.close()
    assert store.read(job.folder).interrupted


@pytest.mark.parametrize(
    "owner", ["a\0.lock", "../../state.lock", "x" * 5000 + ".lock", "\ud800.lock", "", ".lock", 3, ["a.lock"], None]
)
@pytest.mark.parametrize("state", [protocol.WAITING, protocol.RUNNING])
def test_a_damaged_owner_is_nobody(store, order, owner, state):
    job = order()
    record = {"state": state, "stage": "", "created": 1.0, "owner": owner}
    (job.folder / "state.json").write_text(json.dumps(record))
    stored = store.read(job.folder)
    assert stored.forsaken == (state == protocol.WAITING)
    store.adopt(job.folder) if stored.forsaken else None
    assert store.read(job.folder).state == state


def test_an_owner_that_cannot_be_looked_at_counts_as_alive(store, order):
    job = order()
    name = store.read(job.folder).owner
    store.close()
    (store.folder / ".sessions").mkdir(exist_ok=True)
    (store.folder / ".sessions" / name).symlink_to(name)
    assert not store.read(job.folder).forsaken


def test_a_job_whose_folder_vanished_cannot_be_taken_and_says_so(store, order):
    job = order()
    shutil.rmtree(job.folder)
    with pytest.raises(ClientError) as caught:
        store.adopt(job.folder)
    assert str(job.folder) in caught.value.sentence


@pytest.fixture
def engines(extension, tmp_path):
    """Two engines, each of a Blender of its own."""
    folders = {"first": extension(), "second": extension(name="other")}
    pair = [Talk(start_engine(Path(sys.executable), folder, tmp_path / f"{n}.log")) for n, folder in folders.items()]
    yield pair
    for engine in pair:
        engine.link.close(1)


def test_a_second_engine_leaves_alone_what_the_first_is_writing(engines, order):
    first, second = engines
    job = order(hold="prepare")
    first.submit(job)
    first.hear("progress", job.id, stage="prepare")
    begun = JobFolder(job.folder).state()["started"]
    writing = job.folder / ".shape.bin.1-2.part"
    writing.write_bytes(b"half")
    second.submit(job)
    second.hear("progress", job.id, stage="waiting")
    assert writing.exists() and JobFolder(job.folder).state()["started"] == begun
    second.link.send("cancel", job=job.id)
    second.hear("cancelled", job.id)
    assert writing.exists() and JobFolder(job.folder).state()["started"] == begun
    (job.folder / "go on").touch()
    first.hear("finished", job.id)
    assert (job.folder / "result.json").is_file()


def test_an_engine_that_stops_waiting_leaves_the_job_to_the_one_that_runs_it(engines, order):
    first, second = engines
    job = order(hold="prepare")
    first.submit(job)
    first.hear("progress", job.id, stage="prepare")
    second.submit(job)
    second.hear("progress", job.id, stage="waiting")
    second.link.send("cancel", job=job.id)
    second.hear("cancelled", job.id)
    assert JobFolder(job.folder).state()["state"] == protocol.RUNNING
    first.link.send("cancel", job=job.id)
    first.hear("cancelled", job.id)
    assert JobFolder(job.folder).state()["state"] == protocol.CANCELLED


@pytest.mark.parametrize("settings, end", [({}, protocol.FINISHED), ({"with": "full"}, protocol.FAILED)])
def test_how_a_job_ended_is_written_before_another_engine_begins_in_its_folder(engines, order, settings, end):
    first, second = engines
    job = order(kind="slow_disk", **settings)
    first.submit(job)
    first.hear("progress", job.id, stage="slow_disk")
    second.submit(job)
    first.hear(end, job.id)
    second.hear(end, job.id)
    state = JobFolder(job.folder).state()
    assert state["state"] == end and state["pid"] == second.process.pid


def test_a_folder_that_is_deleted_while_its_job_runs_ends_the_job_in_a_sentence(queue, order, store):
    job = queue.add(order(hold="structure"))
    reach(queue, job, "structure")
    shutil.rmtree(job.folder)
    until(lambda: job.ended, queue.poll)
    assert job.state == "failed" and job.problem.code == "missing_file" and job.problem.sentence.endswith(".")
    assert not job.folder.exists()
    good = queue.add(order(steps=1))
    until(lambda: good.ended, queue.poll)
    assert good.state == "finished"


@pytest.mark.parametrize("gone", ["state.json", "request.json", "input.png"])
def test_a_folder_that_is_half_deleted_while_it_waits_ends_its_job_in_a_sentence(queue, order, store, gone):
    first, job = queue.add(order(steps=3, pause=0.02)), queue.add(order(steps=1))
    (job.folder / gone).unlink()
    until(lambda: first.ended and job.ended, queue.poll)
    assert first.state == "finished"
    if gone == "state.json":
        assert job.state == "finished" and store.read(job.folder).state == "finished"
    else:
        assert job.state == "failed" and job.problem.sentence.endswith(".")
