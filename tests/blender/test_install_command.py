# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier install`` makes the engine of a machine without a window, from wheels that are made here."""

import json
import os
import signal
import sys
import threading
import time

import pytest
from espalier.addon import cli, preferences
from espalier.addon.client import find_python
from espalier.addon.client import install as install_module
from espalier.tests.client.test_install import make_wheel, platform_name

TAG = "cp{}{}".format(*sys.version_info[:2])


@pytest.fixture
def extension(tmp_path, monkeypatch):
    """An extension that carries the wheels of a tiny engine, and a data folder of its own."""
    monkeypatch.setattr(install_module.shutil, "which", lambda _name: None)
    monkeypatch.setattr(preferences, "EXTENSION", tmp_path / "extension")
    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")
    folder = tmp_path / "extension" / "wheels"
    folder.mkdir(parents=True)
    lines = [make_wheel(folder, name) for name in ("numpy", "safetensors", "torch")]
    (folder / f"lock-{platform_name()}-{TAG}-cpu.txt").write_text("# download: 1 MB\n" + "".join(lines))
    return tmp_path / "extension"


def events(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_it_makes_an_engine_and_tells_how_far_it_is(extension, tmp_path, capsys):
    assert cli.main(["install", "--json"]) == cli.DONE
    *progress, last = events(capsys)
    assert {event["event"] for event in progress} == {"progress"}
    fractions = [event["fraction"] for event in progress]
    assert fractions == sorted(fractions) and len(fractions) >= 3
    assert last["event"] == "finished" and last["folder"] == str(tmp_path / "data" / "engine")
    assert find_python("", tmp_path / "data", extension).origin == "managed"


def test_without_wheels_and_without_permission_to_go_online_nothing_is_begun(extension, tmp_path, capsys):
    for wheel in (extension / "wheels").glob("*.whl"):
        wheel.unlink()
    assert cli.main(["install"]) == cli.FAILED
    said = capsys.readouterr().err
    assert said.startswith("Blender may not go online") and "--online-mode" in said and said.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_it_makes_an_engine_of_its_own_and_takes_none_that_is_named(extension, tmp_path, capsys):
    assert cli.main(["install", "--engine-python", sys.executable]) == cli.BAD_INPUT
    assert "--engine-python" in capsys.readouterr().err and not (tmp_path / "data").exists()


def test_what_goes_wrong_ends_in_its_sentence_and_the_log(extension, tmp_path, capsys):
    (lock,) = (extension / "wheels").glob("lock-*.txt")
    lock.write_text(lock.read_text().replace("sha256:", "sha256:0")[:-2] + "\n")
    assert cli.main(["install", "--json"]) == cli.FAILED
    last = events(capsys)[-1]
    assert last["event"] == "failed" and last["sentence"].endswith(".") and last["log"] in last["text"]
    assert not (tmp_path / "data" / "engine").exists()


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is another thing on Windows")
def test_an_interruption_leaves_no_half_engine(extension, tmp_path):
    def interrupt():
        end = time.monotonic() + 60
        while time.monotonic() < end and not (tmp_path / "data" / "engine-new").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    assert cli.main(["install"]) == cli.INTERRUPTED
    assert not (tmp_path / "data" / "engine").exists() and not (tmp_path / "data" / "engine-new").exists()
