# SPDX-License-Identifier: GPL-3.0-or-later
"""From pressing Generate to the object in the scene, and what users do meanwhile. The engine is a stand-in."""

import json
import time

import bpy
import pytest
from espalier.addon import placing, preferences, pump
from espalier.addon.request import FINISHING
from espalier.addon.session import session

from .stand_in import choose_image, tick


def test_one_press_makes_one_object_at_the_cursor(engine):
    bpy.context.scene.cursor.location = (1, 2, 0)
    assert bpy.ops.espalier.generate() == {"FINISHED"}
    bpy.context.scene.cursor.location = (9, 9, 9)
    tick()
    engine.finish()
    tick()
    item = bpy.context.view_layer.objects.active
    assert item.name == "red mug" and tuple(item.location) == (1, 2, 0)
    assert item["espalier_image"] == "red mug.png"
    assert session.message.text.startswith("red mug: 12 faces, seed 0")
    assert session.queue.store.list()[0].state == "built"
    assert not session.is_busy()


def test_request_says_everything_the_engine_needs(engine):
    settings = bpy.context.scene.espalier
    settings.seed = 7
    settings.finish.amount, settings.finish.faces, settings.finish.texture_size = "NUMBER", 5000, "512"
    bpy.ops.espalier.generate()
    tick()
    request = json.loads((engine.submitted[0][1] / "request.json").read_text())
    assert request["seed"] == 7 and request["name"] == "red mug" and request["input"] == "input.png"
    expected = {**FINISHING, "faces": 5000, "texture_size": 512}
    assert request["settings"] == {"quality": "starter", "matting": "auto", **expected}
    assert request["models_folder"].endswith("models")
    assert request["model"] == {"set": "starter", "path": None} and request["online"] is False
    assert (engine.submitted[0][1] / "input.png").read_bytes().startswith(b"\x89PNG")


def test_open_seed_draws_a_new_one_and_shows_it(engine):
    settings = bpy.context.scene.espalier
    settings.lock_seed = False
    bpy.ops.espalier.generate()
    tick()
    request = json.loads((engine.submitted[0][1] / "request.json").read_text())
    assert request["seed"] == settings.seed != 0


def test_progress_is_told_in_words(engine):
    from espalier.addon.ui.status import describe

    bpy.ops.espalier.generate()
    tick()
    engine.progress()
    tick(1)
    fraction, text = describe(session.current())
    assert fraction == 0.25 and text == "Shape 3/12 · 40 s left"


def test_second_press_queues_and_cancel_ends_the_first(engine):
    bpy.ops.espalier.generate()
    bpy.ops.espalier.generate()
    tick()
    assert len(session.waiting()) == 1
    bpy.ops.espalier.cancel()
    tick()
    assert not session.waiting() and session.current().id == engine.submitted[1][0]
    engine.finish()
    tick()
    assert [item.name for item in bpy.data.objects] == ["red mug"]


def test_an_engine_that_does_not_obey_cancel_can_be_ended_and_the_panel_says_so(engine):
    from espalier.addon.ui.status import describe

    engine.obeys = False
    bpy.ops.espalier.generate()
    tick()
    bpy.ops.espalier.cancel()
    tick(1)
    assert describe(session.current())[1] == "Cancelling"
    engine.waited = True
    assert describe(session.current())[1] == "Cancel again to end the engine"


def test_failure_is_one_sentence_and_retry_runs_the_same_job(engine):
    bpy.ops.espalier.generate()
    tick()
    engine.fail()
    tick()
    assert session.message.is_error and session.message.text == "red mug: There is nothing in it."
    assert bpy.ops.espalier.retry(job=session.message.job) == {"FINISHED"}
    tick()
    engine.finish()
    tick()
    assert "red mug" in bpy.data.objects and not session.message.is_error


def test_damaged_result_is_told_and_does_not_come_back(engine):
    bpy.ops.espalier.generate()
    tick()
    (engine.result / "result.npz").write_bytes(b"nonsense")
    engine.finish()
    tick()
    assert session.message.is_error and "cannot be read" in session.message.text
    assert not session.ready and not bpy.data.objects


def test_result_waits_until_the_user_leaves_edit_mode(engine):
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    tick()
    assert session.ready and "Object Mode" in placing.obstacle(session.ready[0], bpy.context)
    assert bpy.context.mode == "EDIT_MESH" and "red mug" not in bpy.data.objects
    bpy.ops.object.mode_set(mode="OBJECT")
    tick()
    assert "red mug" in bpy.data.objects and not session.ready


def test_result_of_another_file_waits_for_the_users_word(engine):
    bpy.ops.espalier.generate()
    tick()
    bpy.ops.wm.read_homefile(use_empty=True)
    engine.finish()
    tick()
    assert not bpy.data.objects and "Another file" in placing.obstacle(session.ready[0], bpy.context)
    bpy.context.scene.cursor.location = (4, 0, 0)
    assert bpy.ops.espalier.build_result(job=session.ready[0]) == {"FINISHED"}
    assert tuple(bpy.data.objects["red mug"].location) == (4, 0, 0)


def test_deleting_image_scene_and_objects_meanwhile_is_harmless(engine):
    scene = bpy.data.scenes.new("other")
    bpy.context.window.scene = scene
    choose_image("lamp.png")
    bpy.ops.espalier.generate()
    tick()
    bpy.context.window.scene = bpy.data.scenes[0] if bpy.data.scenes[0] != scene else bpy.data.scenes[1]
    bpy.data.scenes.remove(scene)
    bpy.data.batch_remove(list(bpy.data.images))
    engine.finish()
    tick()
    assert "lamp" in bpy.context.scene.objects


def test_result_goes_to_the_scene_it_was_asked_for_in(engine):
    first = bpy.context.scene
    bpy.ops.espalier.generate()
    tick()
    bpy.context.window.scene = bpy.data.scenes.new("other")
    engine.finish()
    tick()
    assert "red mug" in first.objects and "red mug" not in bpy.context.scene.objects


def test_generate_says_why_it_cannot(engine, monkeypatch):
    from espalier.addon.operators.generate import why_not

    bpy.context.scene.espalier.image = None
    assert not bpy.ops.espalier.generate.poll() and "image" in why_not(bpy.context.scene)
    choose_image()
    bpy.context.scene.espalier.model = "TRELLIS2"
    assert not bpy.ops.espalier.generate.poll() and "weights" in why_not(bpy.context.scene)
    monkeypatch.setattr(preferences, "engine_python", lambda: None)
    assert "Install Engine" in why_not(bpy.context.scene)


def test_unwritable_store_is_a_sentence(engine, tmp_path):
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "jobs").write_text("a file where the folder should be")
    with pytest.raises(RuntimeError, match="Error"):
        bpy.ops.espalier.generate()
    assert session.message.is_error and "folder" in session.message.text


def test_a_tick_without_building_is_short(engine, uncollected):
    bpy.ops.espalier.generate()
    longest = 0.0
    for _ in range(50):
        engine.progress() if engine.submitted else None
        started = time.thread_time()
        pump._tick()
        longest = max(longest, time.thread_time() - started)
    print(f"longest tick {longest * 1000:.1f} ms")
    assert longest < 0.05
