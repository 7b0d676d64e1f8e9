# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender's window by test_window.py: an image is chosen, Generate is clicked, the object arrives.

The environment says which image, engine and folder for pictures; what was found goes to ``found.json`` there.
"""

import importlib
import json
import math
import os
import time
from pathlib import Path

import bpy
from mathutils import Euler

MODULE = "bl_ext.user_default.espalier"
OUT = Path(os.environ["ESPALIER_SHOTS"])


def main(ui):
    found = {"blender": bpy.app.version_string}
    yield from show_panel(ui)
    shot(ui, "panel-no-engine")
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.engine_python = os.environ["ESPALIER_TEST_PYTHON"]
    with ui.override():
        bpy.ops.espalier.open_image("EXEC_DEFAULT", True, filepath=os.environ["ESPALIER_TEST_IMAGE"])
    before = {item.name for item in bpy.data.objects}
    # The default cube out of the way, as one would; textures in solid view, which needs no shaders to be compiled.
    bpy.ops.object.select_all(action="DESELECT")
    bpy.data.objects["Cube"].hide_set(True)
    bpy.ops.ed.undo_push(message="Ready")
    space = ui.area().spaces.active
    space.shading.color_type = "TEXTURE"
    ui.redraw()
    yield 2.0
    ui.redraw()
    yield 4.0
    shot(ui, "panel-before")

    session = extension_session()
    seen = watch(session)
    yield from click_generate(ui)
    yield from wait(lambda: seen["stages"], "the click started nothing", 60)
    pictured = False
    for _ in range(6000):
        yield 0.05
        job = session.current()
        if job is not None and job.stage in {"shape", "material", "decode", "finish"} and not pictured:
            pictured = True
            yield 0.4
            shot(ui, "panel-during")
        if job is None and not session.ready:
            break
    assert session.message is not None and not session.message.is_error, session.message
    found.update(seen, message=session.message.text)

    new = [item for item in bpy.data.objects if item.name not in before]
    assert len(new) == 1, new
    item = new[0]
    found.update(describe(item))
    view = space.region_3d
    view.view_location, view.view_distance = (0.25, 0, 0.45), 2.4
    view.view_rotation = Euler((1.2, 0, 0.5)).to_quaternion()
    ui.redraw()
    yield 3.0
    shot(ui, "panel-after")
    yaw, elevation = (math.radians(float(angle)) for angle in os.environ["ESPALIER_TEST_VIEW"].split())
    view.view_rotation = Euler((math.pi / 2 - elevation, 0, yaw)).to_quaternion()
    view.view_location, view.view_distance = (0, 0, 0.5), 1.9
    view.view_perspective = "ORTHO"
    space.overlay.show_overlays = False
    space.shading.light = "FLAT"
    item.select_set(False)
    ui.redraw()
    yield 3.0
    found["on_screen"] = corners_on_screen(ui, item)
    shot(ui, "same-view")
    item.select_set(True)

    yield from press_in_viewport(ui, "ctrl+z")
    found["undone"] = [name for name in before if name not in bpy.data.objects] == [] and not [
        other.name for other in bpy.data.objects if other.name not in before
    ]
    yield from press_in_viewport(ui, "ctrl+shift+z")
    found["redone"] = len(bpy.data.objects) == len(before) + 1

    # Blender's events went on all the time: the engine can be stopped and the panel drawn again.
    bpy.ops.espalier.stop_engine()
    ui.redraw()
    yield 0.5
    (OUT / "found.json").write_text(json.dumps(found))


def show_panel(ui):
    ui.show_sidebar()
    yield 1.0
    assert ui.show_sidebar("Espalier")
    yield 1.0


def click_generate(ui):
    """Find the button in the picture and click it: it is the last wide operator button above the sub-panels."""
    boxes = yield from ui.operator_buttons()
    ui.log("buttons", boxes)
    left, top, right, bottom = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    yield from ui.click((left + right) / 2, (top + bottom) / 2)
    ui.move(5, 990)


def press_in_viewport(ui, keys):
    """Press keys with the pointer in the viewport, where Blender's shortcuts look."""
    left, top, right, bottom = ui.rect(ui.region("WINDOW"))
    ui.move((left + right) / 2 - 200, (top + bottom) / 2)
    yield 0.5
    ui.key(keys)
    yield 2.0


def extension_session():
    return importlib.import_module(f"{MODULE}.addon.session").session


def watch(session):
    """Note the stages that go by, and the most processor time that a tick of our timer takes (placing left out)."""
    seen = {"stages": [], "longest_tick": 0.0}
    poll = session.poll

    def timed(max_seconds):
        started = time.thread_time()
        changed = poll(max_seconds)
        seen["longest_tick"] = max(seen["longest_tick"], time.thread_time() - started)
        job = session.current()
        if job is not None and job.stage and job.stage not in seen["stages"]:
            seen["stages"].append(job.stage)
        return changed

    session.poll = timed
    return seen


def wait(condition, complaint, seconds):
    for _ in range(int(seconds * 10)):
        if condition():
            return
        yield 0.1
    raise AssertionError(complaint)


def describe(item):
    """What the test wants to know of the object."""
    shader = next(node for node in item.active_material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    corners = [item.matrix_world @ vertex.co for vertex in item.data.vertices]
    return {
        "name": item.name,
        "faces": len(item.data.polygons),
        "low": [min(corner[axis] for corner in corners) for axis in range(3)],
        "high": [max(corner[axis] for corner in corners) for axis in range(3)],
        "collections": [collection.name for collection in item.users_collection],
        "active": bpy.context.view_layer.objects.active == item and item.select_get(),
        "linked": sorted(socket.name for socket in shader.inputs if socket.is_linked),
        "packed": all(image.packed_file for image in material_images(item)),
        "uv": [layer.name for layer in item.data.uv_layers],
        "image": item["espalier_image"],
        "seed": item["espalier_seed"],
    }


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
