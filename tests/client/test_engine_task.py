# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the real engine beside Blender's work: told, cancelled, killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from espalier.addon.client import ClientError, EngineTask
from espalier.tests.client.helpers import is_running, until

ROOT = Path(__file__).resolve().parents[2]
# Talks, then works for a minute, in a tree that looks like the extension's.
SLOW = """
import json, sys, time
print(json.dumps({"event": "progress", "text": "half", "done": 1, "total": 2}), flush=True)
print("no event", flush=True)
time.sleep(60)
"""


@pytest.fixture
def begin(tmp_path):
    tasks = []

    def make(name, *arguments, extension=ROOT, python=Path(sys.executable)):
        tasks.append(EngineTask(name, [str(a) for a in arguments], python, extension, tmp_path / f"{name}.log"))
        return tasks[-1]

    yield make
    for task in tasks:
        task.cancel()


@pytest.fixture
def slow(tmp_path, begin):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__main__.py").write_text(SLOW)
    task = begin("models", extension=tmp_path)
    until(lambda: task.fraction, task.poll)
    return task


def test_the_list_of_models_arrives_as_events(begin, tmp_path):
    task = begin("models", "--models", tmp_path / "models", "list")
    until(lambda: task.done, task.poll)
    assert task.problem is None
    sets = {event["set"]: event for event in task.events}
    assert sets["starter"]["state"] == "ready" and sets["TRELLIS.2-4B"]["state"] == "missing"
    parts = sets["TRELLIS.2-4B"]["repositories"]
    assert parts and all(part["licence"] and part["terms"].endswith(".") for part in parts)
    assert any("starter" in event.get("text", "") for event in task.events)


def test_a_refused_import_is_a_sentence(begin, tmp_path):
    (tmp_path / "stick").mkdir()
    task = begin("models", "--models", tmp_path / "models", "import", "--", tmp_path / "stick")
    until(lambda: task.done, task.poll)
    assert "no model set" in task.problem.sentence and task.problem.log


def test_progress_is_a_fraction_and_what_is_no_event_is_passed_over(slow):
    assert slow.fraction == 0.5 and slow.text == "half" and not slow.done


def test_cancel_ends_the_process_at_once(slow):
    begun = time.monotonic()
    slow.cancel()
    assert slow.done and slow.cancelled and slow.problem is None
    assert time.monotonic() - begun < 1 and not is_running(slow._process.pid)


def test_an_engine_that_is_killed_is_told(slow):
    os.kill(slow._process.pid, signal.SIGKILL)
    until(lambda: slow.done, slow.poll)
    assert slow.problem.code == "engine_died" and slow.problem.sentence.endswith(".")


# The real bootstrap, with a command that works for minutes in a process of its own.
REAL_SLOW = f"""
import importlib.util, subprocess, sys, types
spec = importlib.util.spec_from_file_location("bootstrap", {str(ROOT / "engine" / "__main__.py")!r})
bootstrap = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bootstrap)
slow = types.ModuleType("slow")
def work(arguments):
    helper = subprocess.Popen(["sleep", "300"])
    print('{{"event": "progress", "text": "%d"}}' % helper.pid, flush=True)
    return helper.wait()
slow.main = work
sys.modules["slow"], bootstrap.COMMANDS["models"] = slow, "slow"
sys.exit(bootstrap.main(sys.argv[1:]))
"""
BLENDER = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "tests" / "client")!r})
import fake_engine
from pathlib import Path
from espalier.addon.client import EngineTask
task = EngineTask("models", [], Path(sys.executable), Path(sys.argv[1]), Path(sys.argv[1]) / "log.txt")
while not task.text:
    task.poll()
    time.sleep(0.01)
print(task._process.pid, task.text, flush=True)
time.sleep(300)
"""


def test_a_command_ends_with_the_blender_that_started_it(tmp_path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__main__.py").write_text(REAL_SLOW)
    blender = subprocess.Popen([sys.executable, "-c", BLENDER, tmp_path], stdout=subprocess.PIPE, text=True)
    command, helper = map(int, blender.stdout.readline().split())
    assert is_running(command) and is_running(helper)
    blender.kill()
    blender.wait()
    blender.stdout.close()
    until(lambda: not is_running(command) and not is_running(helper), seconds=10)


def test_without_a_python_it_cannot_begin(begin, tmp_path):
    with pytest.raises(ClientError) as error:
        begin("models", python=tmp_path / "no python")
    assert error.value.code == "no_start"
