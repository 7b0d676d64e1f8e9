# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender's window by test_window.py: an image is chosen, Generate is clicked, the object arrives.

The environment says which image, engine and folder for pictures; what was found goes to ``found.json`` there.
"""

import json
import math
import os

import bpy
from mathutils import Euler
from steps import (
    OUT,
    click_main_button,
    corners_on_screen,
    extension_session,
    material_images,
    prepare,
    press_in_viewport,
    run_job,
    shot,
    show_panel,
    watch,
)


def main(ui):
    found = {"blender": bpy.app.version_string}
    yield from show_panel(ui)
    shot(ui, "panel-no-engine")
    prepare(ui)
    before = {item.name for item in bpy.data.objects}
    # The default cube out of the way, as one would.
    bpy.ops.object.select_all(action="DESELECT")
    bpy.data.objects["Cube"].hide_set(True)
    bpy.ops.ed.undo_push(message="Ready")
    space = ui.area().spaces.active
    ui.redraw()
    yield 2.0
    ui.redraw()
    yield 4.0
    shot(ui, "panel-before")

    session = extension_session()
    seen = watch(session)
    yield from click_main_button(ui)
    yield from run_job(ui, seen, {"shape", "material", "decode", "finish"}, "panel-during")
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
