"""Job folders: complete or absent, whatever happens to the writer."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from espalier.addon.client import ClientError, Problem
from espalier.engine import protocol
from espalier.engine.errors import EspalierError
from espalier.engine.jobs import JobFolder
from espalier.tests.client.fake_engine import ROOT
from espalier.tests.client.helpers import assert_no_half_files, until

WRITER = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests" / "client")!r})
from fake_engine import sealed
from espalier.engine import protocol
from pathlib import Path
folder = Path(sys.argv[1])
print("ready", flush=True)
for number in range(10**9):
    protocol.write_bytes(folder / "a.bin", sealed(bytes([number % 256]) * 300_000))
    protocol.write_json(folder / "b.json", {{"numbers": [number] * 5000}})
"""


@pytest.fixture
def job(order):
    return JobFolder(order().folder)


@contextlib.contextmanager
def killed_writer(folder):
    """A process that writes into the folder, and is killed at the end."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"ready\n"
    until(lambda: (folder / "b.json").exists())
    yield writer
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()


def is_stopped_in_a_write(writer, folder):
    """Whether the writer, which stands still then, has an unfinished file."""
    writer.send_signal(signal.SIGSTOP)
    os.waitpid(writer.pid, os.WUNTRACED)
    if list(folder.glob(".*.part")):
        return True
    writer.send_signal(signal.SIGCONT)
    return False


def test_a_writer_that_is_killed_leaves_no_half_file(tmp_path):
    folder = tmp_path / "job"
    folder.mkdir()
    for round_ in range(12):
        with killed_writer(folder):
            time.sleep(0.003 * round_)
        assert_no_half_files(folder)


def test_what_a_killed_writer_left_goes_when_the_job_is_begun_again(tmp_path):
    folder = tmp_path / "job"
    folder.mkdir()
    with killed_writer(folder) as writer:
        until(lambda: is_stopped_in_a_write(writer, folder))
    assert list(folder.glob(".*.part"))
    JobFolder(folder).begin()
    assert not list(folder.glob(".*.part"))


def test_a_write_that_fails_keeps_the_older_file_and_no_rest(job):
    job.write_bytes("a.png", b"old")

    def write(path):
        path.write_bytes(b"new")
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        job.write_with("a.png", write)
    assert job.file("a.png").read_bytes() == b"old"
    assert not list(job.path.glob(".*.part"))


@pytest.mark.parametrize("name", ["../x", "a/b", "/etc/passwd", "", ".", "..", "a\\b", "C:x", "a\0b"])
def test_names_cannot_leave_the_folder(job, name):
    with pytest.raises(EspalierError) as caught:
        job.file(name)
    assert caught.value.code == "bad_request"


def test_arrays_come_back(job):
    path = job.write_npz("result.npz", vertices=np.eye(3, dtype=np.float32), faces=np.arange(3))
    with np.load(path) as arrays:
        assert sorted(arrays) == ["faces", "vertices"]
        assert arrays["vertices"].dtype == np.float32


def test_the_folder_of_a_new_job_has_request_input_and_state(job):
    request = job.request()
    assert request["kind"] == "generate" and request["input"] == "input.png"
    assert job.file(request["input"]).read_bytes() == b"image bytes" * 50
    assert job.state()["state"] == "waiting"
    assert not list(job.path.parent.glob(".*.part"))


def test_states_follow_each_other(job):
    job.begin()
    job.enter_stage("shape", {"structure": 1.5})
    job.set_state(protocol.FINISHED)
    with pytest.raises(EspalierError, match="cannot become cancelled"):
        job.set_state(protocol.CANCELLED)
    job.set_state(protocol.BUILT)
    assert job.state()["seconds"] == {"structure": 1.5}
    assert job.state()["ended"] >= job.state()["started"]


def test_a_second_run_forgets_the_first(job):
    job.begin()
    job.save_random_state("structure", b"abc")
    job.set_state(protocol.FAILED, problem={"code": "x", "sentence": "y", "hint": ""})
    job.begin()
    assert not {"problem", "random", "ended"} & set(job.state())


def test_the_random_state_after_a_stage_comes_back(job):
    state = os.urandom(5056)
    job.save_random_state("structure", state)
    job.enter_stage("shape", {})
    assert job.random_state("structure") == state
    assert job.random_state("shape") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"state": ["running"]}', b'{"random": 5}'])
def test_a_damaged_state_is_read_as_waiting_and_can_be_replaced(job, content):
    job.file("state.json").write_bytes(content)
    job.begin()
    assert job.state()["state"] == "running"


def test_a_damaged_request_is_a_sentence(job):
    job.file("request.json").write_bytes(b'{"kind":')
    with pytest.raises(EspalierError, match="no readable request"):
        job.request()


def test_the_log_has_times_and_never_raises(job, tmp_path):
    job.log("one\ntwo")
    assert [line.split(" ", 2)[2] for line in job.file("log.txt").read_text().splitlines()] == ["one", "two"]
    JobFolder(tmp_path / "absent").log("nowhere")


class TestStore:
    """The add-on's view of job folders."""

    def test_newest_first_and_names_that_are_safe(self, store):
        names = ["Stuhl für Zoë", "../../etc", "", "x" * 300, "a\nb", "椅子"]
        jobs = [store.create({"name": name}, b"x", ".PNG") for name in names]
        listed = store.list()
        assert {job.id for job in listed} == {job.id for job in jobs}
        assert [job.created for job in listed] == sorted((job.created for job in jobs), reverse=True)
        assert all(job.folder.parent == store.folder and job.id.isascii() and len(job.id) < 80 for job in listed)
        assert store.read(jobs[0].folder).name == "Stuhl für Zoë"
        assert (jobs[0].folder / "input.png").is_file()

    def test_strange_suffixes_do_not_reach_the_disk(self, store):
        job = store.create({"name": "a"}, b"x", "./../x")
        assert job.request["input"] == "input.img"

    def test_a_store_that_is_not_there_is_empty(self, store):
        assert store.list() == []

    @pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"state": 5}', b'{"state": "dancing"}'])
    def test_a_job_that_says_nothing_counts_as_failed(self, store, order, content):
        folder = order().folder
        if content is None:
            (folder / "state.json").unlink()
        else:
            (folder / "state.json").write_bytes(content)
        [job] = store.list()
        assert job.state == "failed" and job.problem.code == "damaged"

    def test_a_result_whose_state_was_lost_is_finished(self, store, order):
        folder = order().folder
        (folder / "result.json").write_text("{}")
        (folder / "state.json").write_bytes(b"")
        assert store.list()[0].state == "finished"

    def test_wrong_types_in_a_state_are_ignored(self, store, order):
        folder = order().folder
        state = {"state": "failed", "stage": 3, "created": "x", "seconds": {"a": "b"}, "problem": ["x"]}
        (folder / "state.json").write_text(json.dumps(state))
        assert store.list()[0].seconds == {"a": 0.0}

    def test_a_job_that_nobody_works_on_is_interrupted(self, store, order):
        folder = order().folder
        JobFolder(folder).begin()
        assert not store.read(folder).interrupted
        os.utime(folder / "state.json", (1, 1))
        assert store.read(folder).interrupted
        JobFolder(folder).touch()
        assert not store.read(folder).interrupted

    def test_built_and_failed_are_recorded(self, store, order):
        folder = order().folder
        store.set_state(folder, protocol.FAILED, Problem("engine_died", "It crashed."))
        assert store.read(folder).problem.sentence == "It crashed."
        store.set_state(folder, protocol.BUILT)
        assert store.read(folder).state == "built" and store.read(folder).problem is None

    @pytest.mark.parametrize(("name", "code"), [("absent.png", "missing_file"), (".", "bad_input")])
    def test_an_input_that_cannot_be_read_is_a_sentence(self, store, tmp_path, name, code):
        with pytest.raises(ClientError) as caught:
            store.create({}, tmp_path / name)
        assert caught.value.code == code and store.list() == []

    def test_only_jobs_are_deleted(self, store, order, tmp_path):
        precious = tmp_path / "precious"
        precious.mkdir()
        with pytest.raises(ClientError, match="nothing was deleted"):
            store.delete(precious)
        with pytest.raises(ClientError, match="nothing was deleted"):
            store.delete(store.folder)
        job = order()
        assert store.size(job.folder) > 500
        store.delete(job.folder)
        assert precious.is_dir() and store.list() == []

    def test_what_a_killed_blender_left_is_cleared_in_time(self, store, order):
        order()
        old, young = store.folder / ".old.part", store.folder / ".young.part"
        old.mkdir()
        young.mkdir()
        os.utime(old, (1, 1))
        order()
        assert not old.exists() and young.exists() and len(store.list()) == 2

    def test_a_full_disk_is_a_sentence_and_leaves_nothing(self, mounted):
        from espalier.addon.client import JobStore

        store = JobStore(mounted("size=256k") / "jobs")
        with pytest.raises(ClientError) as caught:
            store.create({"name": "a"}, bytes(1_000_000), ".png")
        assert caught.value.code == "no_space" and "is full" in caught.value.sentence
        store.close()
        assert list(store.folder.iterdir()) == []
        store.create({"name": "a"}, bytes(1_000), ".png")

    def test_a_folder_that_forbids_writing_is_a_sentence(self, mounted):
        from espalier.addon.client import JobStore

        with pytest.raises(ClientError) as caught:
            JobStore(mounted("ro") / "jobs").create({"name": "a"}, b"x", ".png")
        assert caught.value.code == "not_writable" and "may not write" in caught.value.sentence

    def test_a_file_in_the_place_of_the_store_is_a_sentence(self, store):
        store.folder.write_text("not a folder")
        with pytest.raises(ClientError) as caught:
            store.create({"name": "a"}, b"x", ".png")
        assert caught.value.sentence.endswith(".")
