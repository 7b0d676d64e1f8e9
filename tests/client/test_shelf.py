# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that a store keeps between Blenders: whose they are, in what order, and how much room they take."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from espalier.addon.client import ClientError, JobQueue, JobStore, Shelf
from espalier.addon.client import claim as claims
from espalier.addon.client import shelf as shelves
from espalier.engine import protocol
from espalier.tests.client.fake_engine import ROOT

OTHER = f"""
import importlib.util, sys, time
from pathlib import Path
root = {str(ROOT)!r}
spec = importlib.util.spec_from_file_location("espalier", root + "/__init__.py", submodule_search_locations=[root])
sys.modules["espalier"] = importlib.util.module_from_spec(spec)
from espalier.addon.client.store import JobStore
job = JobStore(Path(sys.argv[1])).create({{"name": "cup"}}, b"x", ".png")
print(job.id, flush=True)
time.sleep(60)
"""


class Idle:
    """An engine that takes jobs and says nothing."""

    broken = False

    def __init__(self):
        self.submitted = []

    def submit(self, job, _folder):
        self.submitted.append(job)

    def poll(self, _seconds):
        return []

    def shutdown(self, _seconds):
        pass


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path / "jobs")


def make(store, name, state=protocol.WAITING, size=100, created=None):
    job = store.create({"name": name}, b"x" * size, ".png")
    if state != protocol.WAITING:
        store.set_state(job.folder, state)
    if created is not None:
        path = job.folder / protocol.STATE_FILE
        path.write_text(json.dumps({**json.loads(path.read_text()), "created": created}))
    return job


def read(store):
    shelf = Shelf(store)
    while shelf.poll(1.0):
        pass
    return shelf


def test_a_waiting_job_is_offered_when_its_blender_was_killed_and_not_before(store):
    other = subprocess.Popen([sys.executable, "-c", OTHER, store.folder], stdout=subprocess.PIPE, text=True)
    name = other.stdout.readline().strip()
    assert name and not read(store).forsaken()
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.stdout.close()
    assert [job.id for job in read(store).forsaken()] == [name]


def test_closing_leaves_the_waiting_jobs_to_the_next_blender(store):
    queue = JobQueue(store, Idle())
    job = queue.add(make(store, "cup"))
    assert not read(JobStore(store.folder)).forsaken()
    queue.shutdown()
    after = JobStore(store.folder)
    (offered,) = read(after).forsaken()
    assert offered.id == job.id
    JobQueue(after, Idle()).add(offered)
    assert not read(JobStore(store.folder)).forsaken()


def test_a_store_that_is_closed_leaves_no_rests(store):
    make(store, "cup")
    store.close()
    assert not (store.folder / ".sessions").exists()


def test_ended_jobs_come_newest_first(store):
    jobs = [make(store, name, protocol.FINISHED, created=when) for name, when in (("a", 20), ("b", 30), ("c", 10))]
    make(store, "still waiting")
    assert [entry.job.name for entry in read(store).ended()] == ["b", "a", "c"]
    assert {entry.job.id for entry in read(store).ended()} == {job.id for job in jobs}


def test_reading_goes_on_where_it_stopped(store):
    for number in range(30):
        make(store, f"job {number}", protocol.BUILT)
    shelf, counts = Shelf(store), []
    while len(shelf.entries) < 30:
        shelf.poll(0.0005)
        counts.append(len(shelf.entries))
    assert counts == sorted(counts) and shelf.size() > 3000


def test_a_store_of_many_jobs_is_listed_in_pieces_and_nothing_is_lost(store):
    for number in range(30):
        make(store, f"cup{number}", protocol.BUILT, created=float(number))
    shelf = Shelf(store)
    calls = 0
    while not shelf.entries or shelf.is_reading:
        shelf.poll(1e-9)
        calls += 1
        ended = [entry.job.created for entry in shelf.ended()]
        assert ended == sorted(ended, reverse=True)
    assert len(shelf.entries) == 30 and calls >= 30


def test_a_job_that_is_made_while_the_store_is_listed_stays(store):
    make(store, "old", protocol.BUILT)
    make(store, "older", protocol.BUILT)
    shelf = Shelf(store)
    shelf.poll(1e-9)
    assert shelf.is_reading
    job = make(store, "new", protocol.BUILT)
    shelf.touch(job.id)
    for _ in range(4):
        shelf.poll(1e-9)
    assert job.id in shelf.entries
    for _ in range(4):
        shelf.poll(1e-9)
    assert len(shelf.entries) == 3


def test_what_another_blender_deleted_leaves_the_shelf(store, monkeypatch):
    job = make(store, "cup", protocol.BUILT)
    shelf = read(store)
    monkeypatch.setattr(shelves, "RESCAN_SECONDS", -1.0)
    JobStore(store.folder).delete(job.folder)
    assert shelf.poll(1.0) and not shelf.entries


def test_a_deletion_that_is_cut_leaves_no_half_job(store, monkeypatch):
    job = make(store, "cup", protocol.BUILT)

    def cut(folder, **_options):
        (folder / "state.json").unlink()
        raise OSError(5, "Input/output error", str(folder))

    with monkeypatch.context() as patch, pytest.raises(ClientError):
        patch.setattr("shutil.rmtree", cut)
        store.delete(job.folder)
    assert store.list() == [] and not read(store).entries
    (rest,) = (path for path in store.folder.glob(".*.part"))
    os.utime(rest, (1, 1))
    make(store, "next")
    assert not rest.exists()


def test_a_store_in_which_nobody_can_be_named_is_told_in_a_sentence(store):
    job = make(store, "cup", protocol.FAILED)
    store.close()
    (store.folder / ".sessions").write_text("no folder")
    with pytest.raises(ClientError, match="cannot be used"):
        store.set_state(job.folder, protocol.WAITING)
    assert store.read(job.folder).state == protocol.FAILED


@pytest.mark.parametrize("place", ["is_file", "stat"])
def test_a_folder_that_cannot_be_read_stops_nothing(store, monkeypatch, place):
    make(store, "cup", protocol.BUILT)
    away = make(store, "away", protocol.BUILT)
    real = getattr(Path, place)

    def refuse(path, *arguments, **more):
        if away.id in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **more)

    monkeypatch.setattr(Path, place, refuse)
    assert [entry.job.name for entry in read(store).ended()][-1] == "cup"


def test_deleting_takes_the_entry_and_the_folder(store):
    job = make(store, "cup", protocol.BUILT)
    shelf = read(store)
    shelf.delete(job.id)
    shelf.poll(1.0)
    assert not shelf.entries and not job.folder.exists()
    with pytest.raises(ClientError):
        shelf.delete("../jobs")


def test_the_oldest_go_first_and_no_more_than_needed(store):
    for name, when in (("new", 3), ("old", 1), ("middle", 2)):
        make(store, name, protocol.BUILT, size=10_000, created=when)
    shelf = read(store)
    each = shelf.size() / 3
    assert [entry.job.name for entry in shelf.oldest_over(int(1.5 * each))] == ["old", "middle"]
    assert shelf.oldest_over(int(4 * each)) == []


def test_waiting_jobs_are_never_among_those_to_delete(store):
    make(store, "waiting", size=10_000)
    assert read(store).oldest_over(0) == []


def test_jobs_move_within_the_queue(store):
    queue = JobQueue(store, Idle())
    jobs = [queue.add(make(store, name)) for name in "abc"]
    queue.move(jobs[2].id, -1)
    assert [job.name for job in queue.waiting] == ["a", "c", "b"]
    queue.move(jobs[0].id, 5)
    assert [job.name for job in queue.waiting] == ["c", "b", "a"]
    queue.move(jobs[0].id, -5)
    assert [job.name for job in queue.waiting] == ["a", "c", "b"]
    queue.poll()
    queue.move(jobs[0].id, 1)
    assert queue.running.name == "a" and [job.name for job in queue.waiting] == ["c", "b"]


def test_a_queue_on_hold_begins_nothing_and_goes_on_when_let(store):
    engine = Idle()
    queue = JobQueue(store, engine)
    queue.on_hold = True
    job = queue.add(make(store, "cup"))
    queue.poll()
    assert engine.submitted == [] and not queue.busy
    queue.on_hold = False
    queue.poll()
    assert engine.submitted == [job.id]


@pytest.mark.parametrize("empty", [JobQueue.clear_waiting, lambda queue: queue.cancel(queue.waiting[0].id)])
def test_a_hold_ends_with_the_last_job_that_it_held(store, empty):
    queue = JobQueue(store, Idle())
    queue.on_hold = True
    queue.add(make(store, "a"))
    empty(queue)
    job = queue.add(make(store, "b"))
    queue.poll()
    assert queue.engine.submitted == [job.id]


def test_on_a_disk_without_locks_jobs_are_made_and_offered_to_nobody(store, monkeypatch):
    def no_locks(_descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(claims, "try_lock", no_locks)
    make(store, "cup")
    assert read(JobStore(store.folder)).forsaken() == []
