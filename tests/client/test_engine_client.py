"""The client against engines that die, hang, babble or refuse: real processes under real signals."""

import gc
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from espalier.addon.client import EngineState, JobQueue
from espalier.addon.client import engine as engine_module
from espalier.engine import protocol
from espalier.tests.client.helpers import assert_no_half_files, is_running, reach, until


def pid_of(engine):
    return engine._link.process.pid


def run(queue, job, seconds=240.0):
    """Pump until the job has ended."""
    until(lambda: job.ended, queue.poll, seconds)
    return job


# ---------------------------------------------------------------------------------------------------------------- death


@pytest.mark.parametrize("stage", ["prepare", "structure", "shape", "finish"])
def test_killed_at_a_stage_the_job_fails_and_the_next_one_starts_it_again(queue, order, store, stage):
    job = queue.add(order(steps=2, hold=stage))
    reach(queue, job, stage)
    first = pid_of(queue.engine)
    os.kill(first, signal.SIGKILL)
    run(queue, job)
    assert job.state == "failed" and job.problem.code == "engine_killed"
    assert "Press Retry" in job.problem.sentence
    stored = store.read(job.folder)
    assert stored.state == "failed" and stored.problem.sentence == job.problem.sentence
    assert_no_half_files(job.folder)
    (job.folder / "go on").touch()
    again = queue.add(stored)
    assert run(queue, again).state == "finished"
    assert pid_of(queue.engine) != first


def test_killed_at_random_moments_nothing_is_lost_or_half(queue, order, store):
    generator = random.Random(3)
    for _round in range(8):
        jobs = [queue.add(order(steps=2, pause=0.01, copies=200)) for _ in range(2)]
        until(lambda: queue.running and queue.engine.running, queue.poll)
        end = time.monotonic() + generator.random() * 0.5
        while time.monotonic() < end:
            queue.poll()
        if queue.engine.running:
            os.kill(pid_of(queue.engine), signal.SIGKILL)
        until(lambda: not queue.busy or queue.paused, queue.poll)
        queue.resume()
        for job in jobs:
            run(queue, job)
            assert store.read(job.folder).state == job.state
            assert job.state in {"failed", "finished"}
            assert_no_half_files(job.folder)


def test_a_crash_in_native_code_is_told_with_its_last_words(queue, order):
    job = run(queue, queue.add(order("segfault")))
    assert job.problem.code == "engine_died" and "crashed" in job.problem.sentence
    assert job.problem.hint == "Ended by SIGSEGV." and "Segmentation fault" in Path(job.problem.log).read_text()
    assert run(queue, queue.add(order(steps=1))).state == "finished"


def test_an_engine_that_dies_before_its_greeting_pauses_the_queue(store, order, extension, client):
    script = "import sys; print('ImportError: no torch here', file=sys.stderr); sys.exit(1)"
    queue = JobQueue(store, client(extension(script)))
    first, second = queue.add(order()), queue.add(order())
    run(queue, first)
    assert first.problem.code == "engine_start" and first.problem.hint == "ImportError: no torch here"
    assert queue.paused == first.problem and not queue.busy
    assert second.state == "waiting" and store.read(second.folder).state == "waiting"
    queue.resume()
    assert run(queue, second).problem.code == "engine_start"


def test_without_a_python_the_job_says_what_to_press(store, order, client):
    queue = JobQueue(store, client())
    queue.engine.python = None
    job = run(queue, queue.add(order()))
    assert job.problem.code == "no_engine" and "Install Engine" in job.problem.sentence


def test_a_python_that_cannot_be_started_is_a_sentence(store, order, client, tmp_path):
    queue = JobQueue(store, client())
    queue.engine.python = tmp_path / "python"
    assert run(queue, queue.add(order())).problem.code == "no_start"


def test_an_engine_of_another_version_is_refused(store, order, extension, client):
    script = (
        'import sys, time; body = b\'{"v": 99, "kind": "hello"}\'\n'
        "sys.stdout.buffer.write(len(body).to_bytes(4, 'big') + body); sys.stdout.flush(); time.sleep(60)"
    )
    queue = JobQueue(store, client(extension(script)))
    job = run(queue, queue.add(order()))
    assert job.problem.code == "version_mismatch" and not queue.engine.running


def test_it_is_not_started_twice_within_five_seconds(extension, tmp_path, monkeypatch):
    engine = engine_module.EngineClient(Path(sys.executable), extension("pass"), tmp_path / "engine.log")
    starts, start = [], engine_module.start_engine

    def noted(*arguments):
        starts.append(time.monotonic())
        return start(*arguments)

    def pump():
        return [event for event in engine.poll() if event.kind == "failed"]

    monkeypatch.setattr(engine_module, "start_engine", noted)
    engine.submit("first", tmp_path)
    until(pump)
    engine.submit("second", tmp_path)
    assert 0 < engine.start_in <= 5
    until(pump)
    assert len(starts) == 2 and starts[1] - starts[0] >= 5


# -------------------------------------------------------------------------------------------------------------- silence


def test_silence_is_noticed_and_an_engine_that_wakes_goes_on(queue, order, monkeypatch):
    monkeypatch.setattr(protocol, "SILENCE_SECONDS", 2.5)
    job = queue.add(order(steps=2, hold="structure"))
    reach(queue, job, "structure")
    os.kill(pid_of(queue.engine), signal.SIGSTOP)
    until(lambda: queue.engine.state is EngineState.UNRESPONSIVE, queue.poll)
    assert queue.engine.problem.code == "unresponsive" and job.state == "running"
    os.kill(pid_of(queue.engine), signal.SIGCONT)
    (job.folder / "go on").touch()
    assert run(queue, job).state == "finished"
    assert queue.engine.state is EngineState.READY


def test_a_silent_engine_is_restarted_on_request(queue, order):
    job = queue.add(order(steps=1000))
    reach(queue, job, "prepare")
    stopped = pid_of(queue.engine)
    os.kill(stopped, signal.SIGSTOP)
    queue.engine.restart()
    assert run(queue, job).problem.code == "restarted"
    until(lambda: queue.engine.state is EngineState.READY, queue.poll)
    assert not is_running(stopped)


def test_a_stopped_engine_does_not_hold_up_quitting(queue, order):
    job = queue.add(order(steps=1000))
    reach(queue, job, "prepare")
    stopped = pid_of(queue.engine)
    os.kill(stopped, signal.SIGSTOP)
    begun = time.monotonic()
    queue.shutdown()
    assert time.monotonic() - begun < 2 and not is_running(stopped)


# -------------------------------------------------------------------------------------------------------------- garbage


def test_garbage_from_the_engine_ends_it_and_the_next_job_works(queue, order):
    job = run(queue, queue.add(order("garbage")))
    assert job.problem.code == "garbage" and not queue.engine.running
    assert run(queue, queue.add(order(steps=1))).state == "finished"


def test_frames_that_are_no_messages_are_logged_and_passed_over(queue, order, monkeypatch):
    assert run(queue, queue.add(order("bad_frames"))).state == "finished"
    log = queue.engine.log_file.read_text()
    assert log.count("Passed over: ") == 4 and "surprise" in log
    monkeypatch.setattr(engine_module, "MAX_PASSED_OVER", 6)
    assert run(queue, queue.add(order("bad_frames"))).state == "finished"
    assert queue.engine.log_file.read_text().count("Passed over: ") == 6


def test_a_flood_of_messages_takes_no_more_than_its_share_of_a_tick(extension, client, tmp_path):
    script = (
        'import sys; body = b\'{"v": 1, "kind": "log", "level": "info", "text": "\' + b\'x\' * 500 + b\'"}\'\n'
        "frame = len(body).to_bytes(4, 'big') + body\n"
        "while True: sys.stdout.buffer.write(frame * 100)"
    )
    engine = client(extension(script))
    # What the test session has loaded (torch, bpy) is not in Blender: keep the collector from walking through it.
    gc.collect()
    gc.freeze()
    engine.start()
    until(engine.poll)
    longest = events = 0
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        begun = time.thread_time()
        events += len(engine.poll(0.02))
        if engine.running:
            longest = max(longest, time.thread_time() - begun)
        time.sleep(0.01)
    gc.unfreeze()
    assert events > 1000 and longest < 0.03


# --------------------------------------------------------------------------------------------------------------- cancel


def test_cancel_ends_a_running_job_and_the_engine_stays(queue, order, store):
    job = queue.add(order(steps=1000))
    reach(queue, job, "prepare")
    process = pid_of(queue.engine)
    assert queue.cancel(job.id) == "asked" and job.cancelling
    assert run(queue, job, 1.0).state == "cancelled" and not job.cancelling
    assert store.read(job.folder).state == "cancelled"
    assert run(queue, queue.add(order(steps=1))).state == "finished" and pid_of(queue.engine) == process


def test_a_second_cancel_ends_an_engine_that_does_not_listen(queue, order, store, monkeypatch):
    monkeypatch.setattr(engine_module, "KILL_SECONDS", 600.0)
    job, other = queue.add(order("deaf")), queue.add(order(steps=1))
    helper = until(lambda: protocol.read_json(job.folder / "helper.json"), queue.poll)["pid"]
    process = pid_of(queue.engine)
    assert queue.cancel(job.id) == "asked"
    assert queue.cancel(job.id) == "wait" and not queue.engine.can_kill(job.id)
    monkeypatch.setattr(engine_module, "KILL_SECONDS", 0.6)
    until(lambda: queue.engine.can_kill(job.id), queue.poll)
    assert job.state == "running"
    assert queue.cancel(job.id) == "killed"
    run(queue, job)
    assert job.state == "cancelled" and store.read(job.folder).state == "cancelled"
    until(lambda: not is_running(process) and not is_running(helper))
    assert run(queue, other).state == "finished"


def test_a_waiting_job_is_cancelled_at_once(queue, order, store):
    first, second, third = (queue.add(order(steps=2)) for _ in range(3))
    assert queue.cancel(second.id) == "asked"
    assert second.state == "cancelled" and store.read(second.folder).state == "cancelled"
    assert run(queue, third).state == "finished" and first.state == "finished"
    assert queue.cancel(first.id) == "unknown" and queue.cancel("nobody") == "unknown"


# ------------------------------------------------------------------------------------------------------------ the queue


def test_two_jobs_run_in_order(queue, order):
    first, second = queue.add(order(name="first")), queue.add(order(name="second"))
    seen = []

    def pump():
        queue.poll()
        seen.append((first.state, second.state))
        assert (first.state, second.state) != ("running", "running")

    until(lambda: not queue.busy, pump)
    assert first.state == second.state == "finished"
    assert ("running", "waiting") in seen and ("finished", "running") in seen
    assert first.seconds and first.peak_memory["host"] and first.preview.name == "finish.bin"


def test_a_failed_job_is_told_and_the_next_one_runs(queue, order):
    bad, good = queue.add(order("fail", **{"with": "sentence"})), queue.add(order(steps=1))
    run(queue, good)
    assert bad.problem.code == "no_subject" and bad.problem.hint == "hint" and os.path.exists(bad.problem.log)
    assert good.state == "finished" and queue.paused is None


def test_built_jobs_are_remembered(queue, order, store):
    job = run(queue, queue.add(order(steps=1)))
    queue.mark_built(job.id)
    assert job.state == store.read(job.folder).state == "built"


def test_quitting_takes_less_than_two_seconds_and_loses_no_job(queue, order, store):
    running, waiting = queue.add(order("deaf")), queue.add(order())
    reach(queue, running, "deaf")
    helper = until(lambda: protocol.read_json(running.folder / "helper.json"))["pid"]
    process, begun = pid_of(queue.engine), time.monotonic()
    queue.shutdown()
    assert time.monotonic() - begun < 2.2
    assert not is_running(process)
    until(lambda: not is_running(helper), seconds=1)
    assert store.read(running.folder).problem.code == "interrupted"
    assert store.read(waiting.folder).state == "waiting"


def test_polling_an_idle_client_is_cheap(queue):
    took = []
    for _round in range(5):
        begun = time.perf_counter()
        for _tick in range(1000):
            assert queue.poll() == []
        took.append(time.perf_counter() - begun)
    # The quickest: what else the machine does meanwhile says nothing of the client.
    assert min(took) < 0.2
