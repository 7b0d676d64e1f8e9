# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scripts of the window tests do with hand and eye; runs inside Blender."""

import importlib
import os
import time
from pathlib import Path

import bpy

MODULE = "bl_ext.user_default.espalier"
OUT = Path(os.environ["ESPALIER_SHOTS"])


def show_panel(ui):
    ui.show_sidebar()
    yield 1.0
    assert ui.show_sidebar("Espalier")
    yield 1.0


def prepare(ui):
    """Name the engine, open the image, and show textures in solid view, for which no shaders are compiled."""
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.engine_python = os.environ["ESPALIER_TEST_PYTHON"]
    with ui.override():
        bpy.ops.espalier.open_image("EXEC_DEFAULT", True, filepath=os.environ["ESPALIER_TEST_IMAGE"])
    ui.area().spaces.active.shading.color_type = "TEXTURE"


def click_main_button(ui):
    """Find the button in the picture and click it: it is the last wide operator button above the sub-panels."""
    boxes = yield from ui.operator_buttons()
    ui.log("buttons", boxes)
    left, top, right, bottom = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    yield from ui.click((left + right) / 2, (top + bottom) / 2)
    ui.move(5, 990)


def run_job(ui, seen, during, name):
    """Wait for the jobs to end; take a picture when a stage of ``during`` is reached."""
    session = extension_session()
    yield from wait(lambda: seen["stages"], "the click started nothing", 60)
    pictured = False
    for _ in range(6000):
        yield 0.05
        job = session.current()
        if job is not None and job.stage in during and not pictured:
            pictured = True
            yield 0.4
            shot(ui, name)
        if at_rest():
            break
    assert session.message is not None and not session.message.is_error, session.message


def press_in_viewport(ui, keys):
    """Press the keys of undo or redo with the pointer in the viewport, where Blender's shortcuts look; wait for it."""
    left, top, right, bottom = ui.rect(ui.region("WINDOW"))
    ui.move((left + right) / 2 - 200, (top + bottom) / 2)
    yield 0.5
    done, handlers = [], (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post)

    @bpy.app.handlers.persistent
    def note(*_arguments):
        done.append(True)

    for each in handlers:
        each.append(note)
    ui.key(keys)
    yield from wait(lambda: done, f"{keys} did nothing", 60)
    for each in handlers:
        each.remove(note)
    yield 0.5


def extension_session():
    return importlib.import_module(f"{MODULE}.addon.session").session


def at_rest():
    """Whether all jobs have ended and their results stand where they belong."""
    session = extension_session()
    return session.current() is None and not session.ready


def watch(session):
    """Note the stages that go by, and the most processor time that a tick of our timer takes (placing left out)."""
    seen = {"stages": [], "longest_tick": 0.0}
    poll = session.poll

    def timed(max_seconds):
        started = time.thread_time()
        changed = poll(max_seconds)
        seen["longest_tick"] = max(seen["longest_tick"], time.thread_time() - started)
        job = session.current()
        if job is not None:
            seen["stages"] += [stage for stage in job.stages if stage not in seen["stages"]]
        return changed

    session.poll = timed
    return seen


def wait(condition, complaint, seconds):
    for _ in range(int(seconds * 10)):
        if condition():
            return
        yield 0.1
    raise AssertionError(complaint)


def material_images(item):
    return [node.image for node in item.active_material.node_tree.nodes if node.type == "TEX_IMAGE"]


def corners_on_screen(ui, item):
    """The object's box in the picture: left, top, right, bottom in pixels."""
    from bpy_extras.view3d_utils import location_3d_to_region_2d

    region = ui.region("WINDOW")
    left, top, _, _ = ui.rect(region)
    view = ui.area().spaces.active.region_3d
    points = [location_3d_to_region_2d(region, view, item.matrix_world @ vertex.co) for vertex in item.data.vertices]
    xs, ys = [point.x for point in points], [region.height - point.y for point in points]
    return [left + min(xs), top + min(ys), left + max(xs), top + max(ys)]


def shot(ui, name):
    ui.shot(str(OUT / f"{name}.png"))
