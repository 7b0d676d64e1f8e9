# SPDX-License-Identifier: GPL-3.0-or-later
"""Models and self-test from the preferences, with the product's own engine."""

import sys
import time
from pathlib import Path

import bpy
import pytest
from espalier.addon import preferences, pump
from espalier.addon.client import EnginePython
from espalier.addon.operators.models import listed
from espalier.addon.session import session


@pytest.fixture
def real(engine, monkeypatch):
    monkeypatch.setattr(preferences, "engine_python", lambda: EnginePython(Path(sys.executable), "preferences"))
    yield engine
    if session.task is not None:
        session.task.cancel()


def wait(seconds=120):
    end = time.monotonic() + seconds
    while session.task is not None and time.monotonic() < end:
        pump._tick()
        time.sleep(0.02)
    assert session.task is None


def test_the_models_are_listed_with_what_they_need_and_their_licences(real):
    assert bpy.ops.espalier.list_models() == {"FINISHED"}
    wait()
    assert listed("starter")["state"] == "ready"
    trellis2 = listed("TRELLIS.2-4B")
    assert trellis2["state"] == "missing" and "DINOv3" in trellis2["needs"] and trellis2["size"] > 1e9


def test_one_thing_at_a_time(real):
    bpy.ops.espalier.list_models()
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.espalier.list_models()
    wait()


def test_nothing_is_downloaded_without_the_network_allowed_and_the_licence_agreed_to(real, monkeypatch):
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.espalier.download_model("EXEC_DEFAULT", model="BiRefNet", agreed=True)


def test_an_import_that_finds_nothing_is_told_in_a_sentence(real, tmp_path):
    (tmp_path / "stick").mkdir()
    bpy.ops.espalier.import_model("EXEC_DEFAULT", directory=str(tmp_path / "stick"))
    wait()
    assert session.message.is_error and "no model set" in session.message.text


def test_a_model_that_is_not_there_is_removed_without_harm(real):
    bpy.ops.espalier.remove_model("EXEC_DEFAULT", model="BiRefNet")
    wait()
    assert session.message is None or not session.message.is_error
    # The list is there again by itself, as it is now.
    assert listed("BiRefNet")["state"] == "missing"


def test_closing_ends_what_runs(real):
    bpy.ops.espalier.self_test()
    process = session.task._process
    session.close()
    assert process.poll() is not None and session.task is None
