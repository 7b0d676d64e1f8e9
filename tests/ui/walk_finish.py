# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender's window by test_finish_window.py: an object is generated, then finished again by clicks.

The environment says which image, engine and folder for pictures; what was found goes to ``found.json`` there.
"""

import importlib
import json

import bpy
from mathutils import Euler
from steps import (
    MODULE,
    OUT,
    click_main_button,
    extension_session,
    prepare,
    press_in_viewport,
    run_job,
    shot,
    show_panel,
    watch,
)

# A closed section of the panel is this high at this scale, in pixels; there are not more of them.
ROW = 21
MOST_SECTIONS = 8


def main(ui):
    found = {"blender": bpy.app.version_string}
    yield from show_panel(ui)
    prepare(ui)
    bpy.data.objects["Cube"].hide_set(True)
    finish = bpy.context.scene.espalier.finish
    finish.texture_size = "512"
    seen = watch(extension_session())
    yield from click_main_button(ui)
    yield from run_job(ui, seen, {"material"}, "finish-generating")
    item = bpy.context.view_layer.objects.active
    found["before"] = state_of(item)
    look_at(ui)

    yield from open_finish(ui)
    shot(ui, "finish-as-it-was")
    finish.repair, finish.thickness = "WATERTIGHT", 1.5
    finish.amount, finish.faces, finish.texture_size, finish.lods = "NUMBER", 3000, "1024", True
    yield from redrawn(ui)
    shot(ui, "finish-settings")
    boxes = yield from ui.operator_buttons()
    left, top, right, bottom = max(boxes, key=lambda box: box[1])
    yield from ui.click(left + (right - left) / 3, (top + bottom) / 2)
    ui.move(5, 990)
    seen["stages"].clear()
    yield from run_job(ui, seen, {"finish"}, "finish-during")
    found["message"] = extension_session().message.text
    found["after"] = state_of(item)
    yield from redrawn(ui)
    shot(ui, "finish-after")
    yield from press_in_viewport(ui, "ctrl+z")
    found["undone"] = state_of(bpy.data.objects[found["before"]["name"]])
    bpy.ops.espalier.stop_engine()
    yield 0.5
    (OUT / "found.json").write_text(json.dumps(found))


def open_finish(ui):
    """Click the headers of the closed sections at the panel's end, from the last one up, until Finish opens."""
    panel = importlib.import_module(f"{MODULE}.addon.ui.finish_panel")
    drawn, draw = [], panel._draw_settings

    def noted(*arguments):
        drawn.append(True)
        draw(*arguments)

    panel._draw_settings = noted
    bottom = yield from panel_end(ui)
    left, _, right, _ = ui.rect(ui.region("UI"))
    for row in range(MOST_SECTIONS):
        place = left + (right - left) * 0.4, bottom - ROW * (row + 0.75)
        yield from ui.click(*place)
        ui.move(5, 5)
        yield from redrawn(ui)
        if drawn:
            return
        # Another section: closed again.
        yield from ui.click(*place)
        yield from redrawn(ui)
    raise AssertionError("the section Finish was not found")


def panel_end(ui):
    """The lowest pixel of the panel, whose colour is made unmistakable for a moment."""
    theme = bpy.context.preferences.themes[0].user_interface
    keep = tuple(theme.panel_back)
    theme.panel_back = (1, 0, 1, 1)
    yield from redrawn(ui)
    boxes = ui.find_color((255, 0, 255), ui.rect(ui.region("UI")), tol=12)
    theme.panel_back = keep
    yield from redrawn(ui)
    return max(box[3] for box in boxes)


def redrawn(ui):
    """Draw twice: a panel that changes its height settles with the second time."""
    for _ in range(2):
        ui.redraw()
        yield 1.0


def look_at(ui):
    """Turn the view to the object."""
    space = ui.area().spaces.active
    space.region_3d.view_location, space.region_3d.view_distance = (0.25, 0, 0.45), 2.4
    space.region_3d.view_rotation = Euler((1.2, 0, 0.5)).to_quaternion()


def state_of(item):
    """What the test wants to know of an object and of its levels of detail."""
    bpy.context.view_layer.update()  # The matrices are old until Blender draws again.
    lods = sorted(other.name for other in bpy.data.objects if "espalier_lod" in other)
    return {
        "name": item.name,
        "faces": len(item.data.polygons),
        "place": [list(row) for row in item.matrix_world],
        "settings": json.loads(item["espalier_settings"]),
        "map": max(node.image.size[0] for node in item.active_material.node_tree.nodes if node.type == "TEX_IMAGE"),
        "lods": {name: len(bpy.data.objects[name].data.polygons) for name in lods},
        "hidden": all(bpy.data.objects[name].hide_get() for name in lods),
        "objects": len(bpy.data.objects),
    }
