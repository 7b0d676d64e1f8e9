# SPDX-License-Identifier: GPL-3.0-or-later
"""Images reach the queue by every way in. The engine is a stand-in."""

import json
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from espalier.addon import pump
from espalier.addon.operators import take_image
from espalier.addon.operators.take_image import _grabbing, path_in
from espalier.addon.orders import GAP
from espalier.addon.session import session

from .conftest import png
from .stand_in import tick


@pytest.fixture
def pictures(tmp_path):
    """A folder with three images of different names and a text that is none."""
    folder = tmp_path / "pictures of things"
    folder.mkdir()
    for name in ("bowl.png", "Cup one.png", "été.png"):
        (folder / name).write_bytes(png(np.full((8, 8, 3), 90)))
    (folder / "notes.txt").write_text("no image")
    return folder


def drop(folder, *names, operator=None):
    operator = operator or bpy.ops.espalier.from_files
    return operator("EXEC_DEFAULT", directory=str(folder), files=[{"name": name} for name in names])


def requests():
    return [json.loads((job.folder / "request.json").read_text()) for job in session.queue.waiting]


def test_many_dropped_images_wait_in_the_queue_and_stand_in_a_row(engine, pictures):
    session.queue.on_hold = True
    bpy.context.scene.espalier.size = 2.0
    assert drop(pictures, "bowl.png", "Cup one.png", "été.png") == {"FINISHED"}
    tick()
    assert [request["name"] for request in requests()] == ["bowl", "Cup one", "été"]
    places = [order.location for order in session.orders.values()]
    assert np.allclose(np.diff(np.array(places), axis=0), [[2.0 * (1 + GAP), 0, 0]] * 2)


def test_a_folder_alone_means_all_its_images(engine, pictures):
    session.queue.on_hold = True
    assert drop(pictures) == {"FINISHED"}
    tick()
    assert sorted(request["image"] for request in requests()) == ["Cup one.png", "bowl.png", "été.png"]


def test_a_folder_without_images_says_so(engine, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuntimeError, match="There is no image here"):
        drop(tmp_path / "empty")
    assert not requests()


def test_one_dropped_image_also_becomes_the_panels_image(engine, pictures):
    drop(pictures, "bowl.png")
    assert bpy.context.scene.espalier.image.name == "bowl.png"


def test_images_that_are_gone_are_told_and_the_others_queued(engine, pictures):
    (pictures / "bowl.png").unlink()
    assert drop(pictures, "bowl.png", "Cup one.png") == {"FINISHED"}
    assert [request["name"] for request in requests()] == ["Cup one"]
    assert any("bowl.png" in message.text and message.is_error for message in session.messages)


def test_a_folder_of_many_images_is_read_between_the_ticks_of_the_window(engine, pictures, monkeypatch):
    session.queue.on_hold = True
    names = [f"{number:03}.png" for number in range(40)]
    for name in names:
        (pictures / name).write_bytes((pictures / "bowl.png").read_bytes())
    (pictures / "020.png").unlink()
    assert drop(pictures, *names) == {"FINISHED"}
    assert len(session.queue.waiting) == 1 and session.intake.left == 39 and session.is_busy()
    with pytest.raises(RuntimeError, match="Other images are being read"):
        drop(pictures, "bowl.png")
    monkeypatch.setattr(pump, "TICK_SECONDS", 1e-9)
    ticks = 0
    while session.intake is not None and ticks < 100:
        assert pump._tick() == pump.BUSY_SECONDS or session.intake is None
        ticks += 1
    assert ticks == 39 and not session.is_busy()
    assert [request["image"] for request in requests()] == [name for name in names if name != "020.png"]
    (message,) = session.messages
    assert message.is_error and "020.png" in message.text
    columns = [order.location[0] for order in session.orders.values()]
    assert np.allclose(np.diff(columns), 1 + GAP)


def test_an_image_dropped_on_meshes_textures_the_selected_ones(engine, pictures):
    bpy.ops.mesh.primitive_monkey_add()
    assert drop(pictures, "bowl.png", operator=bpy.ops.espalier.texture_dropped) == {"FINISHED"}
    assert [(request["kind"], request["name"]) for request in requests()] == [("texture", "Suzanne")]


def test_two_images_dropped_on_a_mesh_are_refused(engine, pictures):
    bpy.ops.mesh.primitive_monkey_add()
    with pytest.raises(RuntimeError, match="Drop one image"):
        drop(pictures, "bowl.png", "Cup one.png", operator=bpy.ops.espalier.texture_dropped)


@pytest.mark.parametrize("form", ["{}", '"{}"', "{}\n/another/line.png"])
def test_the_path_of_an_image_in_the_clipboard_is_found(pictures, form):
    path = pictures / "Cup one.png"
    assert path_in(form.format(path)) == path


def test_the_address_of_an_image_in_the_clipboard_is_found(pictures):
    path = pictures / "été.png"
    assert path_in(path.as_uri() + "\r\n") == path


@pytest.mark.parametrize("text", ["", "\n", "a sentence", "/no/such/file.png", "cup.png", "x" * 10_000, "/a\0b.png"])
def test_other_text_in_the_clipboard_is_no_image(text):
    assert path_in(text) is None


def test_an_empty_clipboard_is_told(engine):
    with pytest.raises(RuntimeError, match="no image in the clipboard"):
        bpy.ops.espalier.paste_image()


def test_a_dropped_file_that_is_no_image_is_told_in_a_sentence(engine, pictures, monkeypatch):
    bpy.ops.mesh.primitive_monkey_add()
    (pictures / "bowl.png").write_text("no image")
    # There is no clipboard without a window.
    monkeypatch.setattr(take_image, "path_in", lambda _text: pictures / "bowl.png")
    for operator in (
        lambda: drop(pictures, "bowl.png", operator=bpy.ops.espalier.texture_dropped),
        bpy.ops.espalier.paste_image,
    ):
        with pytest.raises(RuntimeError) as caught:
            operator()
        assert "Traceback" not in str(caught.value) and "bowl.png" in str(caught.value)
    assert not requests()


def test_a_grab_leaves_every_render_setting_as_it_was(tmp_path):
    context = SimpleNamespace(
        scene=bpy.context.scene, space_data=SimpleNamespace(overlay=SimpleNamespace(show_overlays=True))
    )
    render = context.scene.render
    render.filepath, render.resolution_x, render.film_transparent = "//out/", 333, False
    settings = render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGB", "32"
    with _grabbing(context, tmp_path / "view.png"):
        assert settings.file_format == "PNG" and settings.color_mode == "RGBA" and render.film_transparent
        assert not context.space_data.overlay.show_overlays
    assert (settings.file_format, settings.color_mode, settings.color_depth) == ("OPEN_EXR", "RGB", "32")
    assert (render.filepath, render.resolution_x, render.film_transparent) == ("//out/", 333, False)
    assert context.space_data.overlay.show_overlays
