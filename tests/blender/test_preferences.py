# SPDX-License-Identifier: GPL-3.0-or-later
"""Models and self-test from the preferences, with the product's own engine."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest
from espalier.addon import preferences, pump
from espalier.addon.client import EnginePython
from espalier.addon.operators import models
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


def test_the_models_are_listed_by_themselves_once_where_they_are_looked_at(real):
    pump._tick()
    assert session.task is None
    session.want_models()
    wait_for_models()
    assert listed("starter")["state"] == "ready"
    session.models = None
    session.want_models()
    pump._tick()
    assert session.task is None


def wait_for_models():
    pump._tick()
    assert session.task.name == "models"
    wait()


def test_one_thing_at_a_time(real):
    bpy.ops.espalier.list_models()
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.espalier.list_models()
    wait()


def test_nothing_is_downloaded_without_the_network_allowed_and_the_licence_agreed_to(real, monkeypatch):
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.espalier.download_model("EXEC_DEFAULT", model="BiRefNet", agreed=True)


class Drawn:
    """Takes the place of a layout and keeps the lines."""

    def __init__(self):
        self.lines = []

    def column(self, **_options):
        return self

    def label(self, text, **_options):
        self.lines.append(text)

    def prop(self, *_options):
        pass


def test_licences_are_shown_whole_within_the_dialog(real):
    import blf  # Blender brings it

    terms = "You may use this model for everything that the law allows. " * 8
    repository = {"licence": "Some Licence", "terms": terms}
    session.models = [{"set": "Big", "size": 3e9, "needs": ["Small"], "repositories": [repository]}]
    drawn, operator = Drawn(), models.ESPALIER_OT_download_model
    here = SimpleNamespace(layout=drawn, model="Big", _names=lambda: operator._names(SimpleNamespace(model="Big")))
    system = SimpleNamespace(ui_scale=1.0)
    operator.draw(here, SimpleNamespace(preferences=SimpleNamespace(system=system)))
    title, *lines, needed = drawn.lines
    assert title == "Big, 3.0 GB" and needed == "Small"
    assert " ".join(lines).split() == f"Some Licence: {terms}".split()
    assert max(blf.dimensions(0, line)[0] for line in lines) < models.DIALOG_WIDTH


def test_what_is_removed_is_named_before(real):
    asked = {}
    manager = SimpleNamespace(invoke_confirm=lambda _operator, _event, **words: asked.update(words))
    session.models = [{"set": "Big", "size": 3e9}]
    operator = SimpleNamespace(model="Big")
    models.ESPALIER_OT_remove_model.invoke(operator, SimpleNamespace(window_manager=manager), None)
    assert asked["message"] == "Big, 3.0 GB"
    known = bpy.types.WindowManager.bl_rna.functions["invoke_confirm"].parameters
    assert all(name in known for name in asked)


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
