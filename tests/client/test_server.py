"""The engine's side of the link, spoken to by hand over real pipes."""

import json
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from espalier.addon.client.link import Link
from espalier.addon.client.process import kill, start_engine
from espalier.engine import progress, protocol
from espalier.engine.jobs import JobFolder
from espalier.tests.client.helpers import assert_no_half_files, is_running, until


class Talk:
    """A conversation with an engine: send anything, wait for a kind of message."""

    def __init__(self, process):
        self.process = process
        self.link = Link(process)
        self.heard = []

    def pump(self):
        self.heard += self.link.receive(time.monotonic() + 0.02)

    def hear(self, kind, job=None, seconds=120.0, **fields):
        """Wait for a message and forget it and all before it."""
        wanted = {"kind": kind, **({"job": job} if job else {}), **fields}

        def find():
            for number, message in enumerate(self.heard):
                assert isinstance(message, dict), message
                if wanted.items() <= message.items():
                    del self.heard[: number + 1]
                    return message
            return None

        try:
            return until(find, self.pump, seconds)
        except AssertionError as late:
            status, last = self.process.poll(), self.heard[-3:]
            raise AssertionError(f"{late}: {kind!r}; the engine's exit status is {status}, its last {last}") from None

    def submit(self, job):
        self.link.send("submit", job=job.id, folder=str(job.folder))
        return job.id

    def send_bytes(self, data):
        self.process.stdin.write(data)

    def leaves(self, seconds):
        """The exit status, which has to come within some seconds."""
        return self.process.wait(seconds)


@pytest.fixture
def talk(extension, tmp_path):
    process = start_engine(Path(sys.executable), extension(), tmp_path / "engine.log")
    conversation = Talk(process)
    yield conversation
    kill(process)
    process.wait()
    process.stdin.close()
    conversation.link.close(0)


def state_of(job):
    return JobFolder(job.folder).state()


def test_the_greeting_says_what_the_engine_is(talk):
    hello = talk.hear("hello")
    assert hello["python"] == "{}.{}.{}".format(*sys.version_info[:3])
    assert "generate" in hello["capabilities"] and "cpu" in hello["backends"]
    assert hello["device"]["type"] in {"cpu", "cuda"} and hello["device"]["name"]
    assert hello["memory"]["total"] > hello["memory"]["free"] > 0
    assert hello["torch"] is None or hello["torch"][0].isdigit()


def test_a_job_goes_through_its_stages(talk, order):
    job = order()
    talk.submit(job)
    talk.hear("started", job.id)
    for stage in ("prepare", "structure", "shape", "finish"):
        message = talk.hear("progress", job.id, stage=stage, step=0)
        assert message["of"] == 3 and message["eta_s"] is None
        assert talk.hear("preview", job.id)["file"] == f"{stage}.bin"
    finished = talk.hear("finished", job.id)
    assert finished["result"] == "result.json" and finished["peak_memory"]["host"] > 1_000_000
    assert list(finished["seconds"]) == ["prepare", "structure", "shape", "finish"]
    state = state_of(job)
    # Three steps of a hundredth of a second in each, and together no more than there was.
    assert all(seconds >= 0.03 for seconds in finished["seconds"].values())
    assert sum(finished["seconds"].values()) < state["ended"] - state["started"] + 0.01
    assert state["state"] == "finished" and state["seconds"] == finished["seconds"]
    assert set(state["random"]) == set(finished["seconds"])
    assert_no_half_files(job.folder)


def test_the_second_job_knows_how_long_it_takes(talk, order):
    first, second = order(pause=0.05), order(pause=0.05)
    talk.submit(first)
    seconds = talk.hear("finished", first.id)["seconds"]
    talk.submit(second)
    begun, total = time.monotonic(), sum(seconds.values())
    for stage in ("structure", "shape", "finish"):
        told = talk.hear("progress", second.id, stage=stage, step=0)
        longest, taken = time.monotonic() - begun, state_of(second)["seconds"]
        behind = list(seconds)[: list(seconds).index(stage)]
        done, shortest = (sum(each[name] for name in behind) for each in (seconds, taken))
        assert told["fraction"] == pytest.approx(done / total, abs=1e-3)
        # What is left of the first job, as much slower as this one is so far; a part of a job counts as undisturbed.
        undisturbed = progress._PRIOR * total
        speeds = ((now + undisturbed) / (done + undisturbed) for now in (shortest, longest))
        least, most = (speed * (total - done) for speed in speeds)
        assert 0.05 < least - 0.02 <= told["eta_s"] <= most + 0.02


def test_jobs_run_one_after_the_other(talk, order):
    jobs = [order(name=name) for name in ("first", "second", "third")]
    for job in jobs:
        talk.submit(job)
    for job in jobs:
        talk.hear("started", job.id)
        talk.hear("finished", job.id)
    times = [(state_of(job)["started"], state_of(job)["ended"]) for job in jobs]
    assert times[0][1] <= times[1][0] and times[1][1] <= times[2][0]


def test_cancel_is_obeyed_within_one_step(talk, order):
    job = order(steps=1000, pause=0.5)
    talk.submit(job)
    talk.hear("progress", job.id, step=1)
    talk.link.send("cancel", job=job.id)
    asked = time.monotonic()
    until(lambda: any(message["kind"] == "cancelled" for message in talk.heard), talk.pump)
    # The rest of the step that it was in, and half a second to say so.
    assert time.monotonic() - asked < 1
    assert not [message for message in talk.heard if message["kind"] == "progress"]
    assert talk.hear("cancelled", job.id)["code"] == "cancelled"
    assert state_of(job)["state"] == "cancelled"


def test_a_waiting_job_is_cancelled_without_running(talk, order):
    first, second = order(pause=0.1), order()
    talk.submit(first)
    talk.submit(second)
    talk.hear("started", first.id)
    talk.link.send("cancel", job=second.id)
    talk.hear("finished", first.id)
    talk.hear("cancelled", second.id)
    assert not (second.folder / "prepare.bin").exists()


def test_heartbeats_come_from_a_job_that_says_nothing(talk, order):
    job = order("deaf")
    talk.submit(job)
    talk.hear("progress", job.id, stage="deaf")
    begun = talk.hear("heartbeat", job.id, stage="deaf")["seconds"]
    beat = talk.hear("heartbeat", job.id, stage="deaf")
    assert 0 <= begun < 2.5
    assert 1.9 < beat["seconds"] - begun < 2.5
    assert time.time() - (job.folder / "state.json").stat().st_mtime < 3


def test_what_a_step_is_about_stands_in_its_progress(talk, order):
    job = order("chatter")
    talk.submit(job)
    told = talk.hear("progress", job.id, text="Half of it is said")
    assert (told["stage"], told["step"], told["of"]) == ("chatter", 100, 200)
    talk.hear("finished", job.id)


def test_printing_does_not_disturb_the_messages(talk, order, tmp_path):
    job = order("chatter")
    talk.submit(job)
    talk.hear("finished", job.id)
    log = (tmp_path / "engine.log").read_text()
    assert log.count("a line on stdout") == log.count("bytes on descriptor 1") == 200
    assert "from a child\n''" in log, "a child process must not read messages"


@pytest.mark.parametrize(
    ("what", "code", "part"),
    [
        ("sentence", "no_subject", "No subject was found"),
        ("full", "no_space", "is full"),
        ("denied", "not_writable", "/somewhere"),
        ("memory", "out_of_memory", "not enough memory"),
        ("module", "engine_incomplete", "torch"),
        ("exit", "internal", "log"),
        ("other", "internal", "log"),
    ],
)
def test_failures_are_sentences_and_the_engine_lives_on(talk, order, what, code, part):
    bad, good = order("fail", **{"with": what}), order(steps=1)
    talk.submit(bad)
    failed = talk.hear("failed", bad.id)
    assert failed["code"] == code and part in failed["sentence"] and failed["sentence"].endswith(".")
    assert "Traceback" not in failed["sentence"] + failed["hint"]
    assert "Traceback" in Path(failed["log"]).read_text()
    assert state_of(bad)["state"] == "failed" and state_of(bad)["problem"]["code"] == code
    talk.submit(good)
    talk.hear("finished", good.id)


def test_a_full_disk_is_told_even_when_nothing_can_be_noted(talk, mounted, order):
    from espalier.addon.client import JobStore

    store = JobStore(mounted("size=512k") / "jobs")
    job = store.create(
        {"kind": "generate", "name": "a", "settings": {"steps": 1, "copies": 100}}, bytes(20_000), ".png"
    )
    talk.submit(job)
    failed = talk.hear("failed", job.id)
    assert failed["code"] == "no_space" and str(job.folder) in failed["sentence"]
    assert_no_half_files(job.folder)
    good = order(steps=1)
    talk.submit(good)
    talk.hear("finished", good.id)


def test_the_limit_on_file_sizes_is_told(talk, order):
    job = order("small_files")
    talk.submit(job)
    assert talk.hear("failed", job.id)["code"] == "no_space"
    assert not (job.folder / "large.bin").exists()


@pytest.mark.parametrize("kind", ["dance", 5, None])
def test_a_kind_of_job_that_is_unknown_fails(talk, order, kind):
    job = order(kind)
    talk.submit(job)
    assert talk.hear("failed", job.id)["code"] == "bad_request"


@pytest.mark.parametrize("folder", ["relative/folder", "/nowhere/at/all", "", "/a\0b", "/\ud800"])
def test_a_folder_that_is_none_fails(talk, folder):
    talk.link.send("submit", job="job", folder=folder)
    assert talk.hear("failed", "job")["code"] == "bad_request"


def test_messages_that_break_the_agreement_are_answered(talk, order):
    for message in ({"v": 1, "kind": "dance"}, {"v": 9, "kind": "cancel", "job": "a"}, {"v": 1, "kind": "cancel"}):
        body = json.dumps(message).encode()
        talk.send_bytes(struct.pack(">I", len(body)) + body)
        assert talk.hear("failed", code="bad_message")["sentence"]
    talk.send_bytes(struct.pack(">I", 3) + b"\xff\xfe{")
    talk.hear("failed", code="bad_message")
    job = order(steps=1)
    talk.link.send("submit", job=job.id, folder=str(job.folder), later={"unknown": "field"})
    talk.hear("finished", job.id)


def test_garbage_ends_the_engine_with_a_sentence(talk):
    talk.hear("hello")
    talk.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert "no message" in talk.hear("failed", code="bad_message")["sentence"]
    assert talk.leaves(2) == 3


@pytest.mark.parametrize(
    "message",
    [
        {"v": 1, "kind": "x" * 1_000_000},
        {"v": "x" * 1_000_000, "kind": "release"},
        {"v": 1, "kind": "submit", "job": "x" * 1_000_000},
        {"v": 1, "kind": "submit", "job": "x" * 1_000_000, "folder": "relative"},
        {"v": 1, "kind": "submit", "job": "a", "folder": "x" * 1_000_000},
        {"v": 1, "kind": "submit", "job": "a", "folder": "/" + "x" * 1_000_000},
    ],
)
def test_messages_as_long_as_a_frame_can_be_answered(talk, order, message):
    body = json.dumps(message).encode()
    talk.send_bytes(struct.pack(">I", len(body)) + body)
    talk.hear("failed")
    job = order(steps=1)
    talk.submit(job)
    talk.hear("finished", job.id)


def test_two_thousand_random_frames_neither_crash_nor_hang_it(talk, order):
    generator = random.Random(11)
    values = [None, True, -1, 1e300, "", "a", "../..", [], {}, "x" * 3000, "\ud800"]
    kinds = ["submit", "cancel", "release", "hello", "dance", 3, None]
    for _frame in range(2000):
        message = {"v": generator.choice([1, 1, 1, 2, "1"]), "kind": generator.choice(kinds)}
        message |= {field: generator.choice(values) for field in ("job", "folder") if generator.random() < 0.8}
        body = bytearray(json.dumps(message).encode())
        if generator.random() < 0.2:
            body[generator.randrange(len(body))] = generator.randrange(256)
        talk.send_bytes(struct.pack(">I", len(body)) + body)
        talk.pump()
    job = order(steps=1)
    talk.submit(job)
    talk.hear("finished", job.id)


def test_release_is_passed_on(talk, order, tmp_path):
    talk.link.send("release")
    job = order(steps=1)
    talk.submit(job)
    talk.hear("finished", job.id)
    assert "models released" in (tmp_path / "engine.log").read_text()


@pytest.mark.parametrize("way", ["shutdown", "close"])
@pytest.mark.parametrize("kind", [None, "generate", "deaf"])
def test_it_leaves_within_two_seconds(talk, order, way, kind):
    talk.hear("hello")
    if kind:
        job = order(kind, steps=1000, pause=0.02)
        talk.submit(job)
        talk.hear("progress", job.id)
        if kind == "deaf":
            helper = until(lambda: protocol.read_json(job.folder / "helper.json"))["pid"]
    begun = time.monotonic()
    if way == "shutdown":
        talk.link.send("shutdown")
    else:
        talk.process.stdin.close()
    talk.leaves(2)
    assert time.monotonic() - begun < 2
    if kind == "generate":
        assert state_of(job)["state"] == "failed" and state_of(job)["problem"]["code"] == "interrupted"
    if kind == "deaf":
        until(lambda: not is_running(helper), seconds=1)


def test_a_second_engine_waits_for_the_device_and_says_for_whom(talk, extension, order, tmp_path):
    first, second = order(name="my chair", steps=1000, pause=0.02), order()
    other = Talk(start_engine(Path(sys.executable), extension(name="other"), tmp_path / "other.log"))
    try:
        talk.submit(first)
        talk.hear("progress", first.id)
        other.submit(second)
        waiting = other.hear("progress", second.id, stage="waiting")
        assert "my chair" in waiting["text"] and str(talk.process.pid) in waiting["text"]
        os.kill(talk.process.pid, 9)
        talk.leaves(2)
        assert "waiting" not in other.hear("finished", second.id)["seconds"]
    finally:
        other.link.close(1)


def test_waiting_for_the_device_can_be_cancelled(talk, extension, order, tmp_path):
    first, second = order(steps=1000, pause=0.02), order()
    other = Talk(start_engine(Path(sys.executable), extension(name="other"), tmp_path / "other.log"))
    try:
        talk.submit(first)
        talk.hear("progress", first.id)
        other.submit(second)
        other.hear("progress", second.id, stage="waiting")
        other.link.send("cancel", job=second.id)
        other.hear("cancelled", second.id, seconds=1)
    finally:
        other.link.close(1)


def test_what_a_killed_engine_left_among_temporary_files_goes_with_a_later_start(tmp_path, extension):
    temporary, precious = tmp_path / "tmp", tmp_path / "precious"
    old, young, link = (temporary / f"espalier-unwrap-{name}" for name in ("old", "young", "link"))
    for folder in (old, young, precious):
        folder.mkdir()
        (folder / "work.npz").write_bytes(b"x")
    link.symlink_to(precious)
    os.utime(old, (1, 1))
    os.utime(precious, (1, 1))
    os.utime(link, (1, 1), follow_symlinks=False)
    engine = Talk(start_engine(Path(sys.executable), extension(name="later"), tmp_path / "later.log"))
    try:
        engine.hear("hello")
        until(lambda: not old.exists(), engine.pump, 20)
        assert (young / "work.npz").exists() and (precious / "work.npz").exists()
    finally:
        engine.link.close(1)


def test_serving_loads_no_torch_and_the_client_no_numpy():
    """The greeting must not wait for torch, and Blender must never load it."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import fake_engine\n"
        "import espalier.engine.server, espalier.addon.client\n"
        "assert not {'torch', 'bpy', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
