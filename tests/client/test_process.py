"""Which Python runs the engine, in what environment, and where data lies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from espalier.addon.client import ClientError, data_folder, find_python
from espalier.addon.client.process import CHECKOUT_STAMP, clean_environment, environment_python, start_process
from espalier.tests.client.helpers import until


def make_python(path):
    path.parent.mkdir(parents=True)
    path.symlink_to(sys.executable)
    return path


@pytest.fixture
def places(tmp_path):
    """Data folder and checkout, each with an environment in it, and one more environment."""
    data, checkout, own = tmp_path / "data", tmp_path / "checkout", tmp_path / "own"
    make_python(environment_python(data / "engine"))
    make_python(environment_python(checkout / "build" / "env"))
    (checkout / "build" / "env" / CHECKOUT_STAMP).write_text("{}")
    make_python(environment_python(own))
    return data, checkout, own


def test_the_preferences_come_before_the_managed_and_that_before_the_checkout(places, tmp_path):
    data, checkout, own = places
    nothing = tmp_path / "nothing"
    named = find_python(str(environment_python(own)), data, checkout)
    assert (named.path, named.origin) == (environment_python(own), "preferences")
    assert find_python(str(own), data, checkout).path == environment_python(own)
    assert find_python("", data, checkout).origin == "managed"
    found = find_python("", nothing, checkout)
    assert (found.path, found.origin) == (environment_python(checkout / "build" / "env"), "checkout")
    assert find_python("", nothing, nothing) is None


def test_an_unfinished_environment_of_the_checkout_is_not_used(places, tmp_path):
    (places[1] / "build" / "env" / CHECKOUT_STAMP).unlink()
    assert find_python("", tmp_path / "nothing", places[1]) is None


def test_an_environment_whose_python_is_gone_is_not_used(places, tmp_path):
    python = environment_python(places[0] / "engine")
    python.unlink()
    python.symlink_to(tmp_path / "removed" / "python")
    assert find_python("", places[0], tmp_path) is None


@pytest.mark.parametrize("kind", ["absent", "folder", "text"])
def test_a_wrong_python_in_the_preferences_is_a_sentence(places, tmp_path, kind):
    path = tmp_path / "wrong"
    if kind == "folder":
        path.mkdir()
    if kind == "text":
        path.write_text("hello")
    with pytest.raises(ClientError) as caught:
        find_python(str(path), places[0], places[1])
    assert caught.value.code == "bad_python" and "preferences" in caught.value.sentence


def test_the_environment_has_nothing_that_changes_python_or_its_libraries():
    before = {
        "PYTHONPATH": "x",
        "PYTHONHOME": "x",
        "LD_LIBRARY_PATH": "x",
        "LD_PRELOAD": "x",
        "HOME": "/h",
        "PATH": "p",
    }
    assert clean_environment(before) == {"HOME": "/h", "PATH": "p"}


def test_a_started_process_leads_its_own_group_and_gets_the_clean_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nonsense")
    log = tmp_path / "logs" / "engine.log"
    for _start in range(2):
        process = start_process([sys.executable, "-c", "import os; os.write(2, b'%d' % os.getpgrp())"], log)
        process.communicate()
        assert process.returncode == 0 and int(log.read_text()) == process.pid
    assert int(log.with_name("engine.log.1").read_text()) != process.pid


def test_a_log_that_another_process_holds_as_on_windows_is_shared(tmp_path, monkeypatch):
    def held(path, _target):
        raise PermissionError(13, "The process cannot access the file because it is being used by another process")

    log = tmp_path / "engine.log"
    log.write_text("the other one\n")
    monkeypatch.setattr(Path, "replace", held)
    process = start_process([sys.executable, "-c", "import os; os.write(2, b'this one')"], log)
    process.communicate()
    assert process.returncode == 0 and log.read_text() == "the other one\nthis one"


def test_paths_with_spaces_and_letters_of_any_language_work(tmp_path, extension, client):
    engine = client(extension(name="Erweiterungen für Zoë 椅子"))
    engine.log_file = tmp_path / "Daten für Zoë" / "engine.log"
    engine.start()
    until(lambda: engine.hello, engine.poll)


def test_a_log_that_cannot_be_written_is_a_sentence(mounted):
    with pytest.raises(ClientError) as caught:
        start_process([sys.executable, "-c", ""], mounted("ro") / "logs" / "engine.log")
    assert caught.value.code == "not_writable"


def test_the_data_folder_follows_the_platform(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder("", {"XDG_DATA_HOME": "/data"}, "linux") == Path("/data/espalier")
    assert data_folder("", {"XDG_DATA_HOME": "relative"}, "linux") == tmp_path / ".local" / "share" / "espalier"
    assert data_folder("", {"LOCALAPPDATA": "/local"}, "win32") == Path("/local/Espalier")
    assert data_folder("", {}, "darwin") == tmp_path / "Library" / "Application Support" / "Espalier"
    assert data_folder("~/other") == tmp_path / "other"
    assert os.listdir(tmp_path) == ["tmp"], "asking creates nothing"


@pytest.mark.skipif(sys.platform != "linux", reason="asks the C library of Linux")
def test_threads_share_two_heaps():
    code = f"""
import sys
import threading
sys.path.insert(0, {str(Path(__file__).parent)!r})
import fake_engine
from espalier.engine import machine
machine.share_heaps()
import numpy as np
heaps, ready = set(), threading.Barrier(8)
def allocate():
    ready.wait()
    # A heap of a thread lies in 64 MiB of its own.
    heaps.update([np.ones(4096, np.uint8).ctypes.data >> 26 for _ in range(100)])
    ready.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(heaps))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # The first heap may lie across a border.
    assert int(done.stdout) <= 3


@pytest.mark.skipif(sys.platform != "linux", reason="asks the C library of Linux")
def test_memory_that_is_free_goes_back_to_the_system():
    code = f"""
import subprocess
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import fake_engine
from pathlib import Path
from espalier.engine import machine
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
held = [bytes(2000) for _ in range(50_000)]
last = held[-1]
del held
before = resident()
machine.give_back_memory()
print(before - resident())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 50_000_000
