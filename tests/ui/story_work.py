# SPDX-License-Identifier: GPL-3.0-or-later
"""Middle of the story: a mesh is painted, an object is finished again, undone, redone; the file is saved and closed."""

import importlib
import json
import os
from pathlib import Path

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d
from hand import (
    away,
    click,
    drop,
    field,
    in_viewport,
    middle,
    panel_end,
    point,
    press,
    settled,
    tap,
    type_into,
    until,
    widgets,
)
from mathutils import Vector
from steps import MODULE, at_rest, extension_session, material_images, shot

IMAGES = Path(os.environ["ESPALIER_STORY_IMAGES"])
FACES = 3000
# A closed section of the panel is this high at this scale, in pixels; there are not more of them.
ROW, MOST_SECTIONS = 21, 8


def on_screen(ui, item):
    """Where the middle of an object's box is on the screen."""
    region, view = ui.region("WINDOW"), ui.area().spaces.active.region_3d
    centre = item.matrix_world @ (sum((Vector(corner) for corner in item.bound_box), Vector()) / 8)
    place = location_3d_to_region_2d(region, view, centre)
    left, _, _, bottom = ui.rect(region)
    return left + place.x, bottom - place.y


def texture_mesh(ui, found):
    """Drop a grey mesh on the viewport, move it to the front, and drop an image on it."""
    x, y = yield from in_viewport(ui, place=(0.3, 0.8))
    yield from drop(ui, [IMAGES / "grey vase.obj"], x, y)
    yield from tap(ui, "Return")
    yield from until(lambda: "grey vase" in bpy.data.objects, "the mesh was not imported")
    item = bpy.data.objects["grey vase"]
    yield from in_viewport(ui)
    yield from tap(ui, "g", "y", "minus", "1", "period", "5", "Return")
    yield from until(lambda: abs(item.location.y + 1.5) < 1e-4, "the vase was not moved")
    found["grey"] = painted(item)
    yield from settled(ui)
    x, y = on_screen(ui, item)
    yield from drop(ui, [IMAGES / "painted vase.png"], x, y)
    shot(ui, "story-12-drop-on-mesh")
    yield from tap(ui, "t")
    yield from work_off(ui, "the drop")
    found["painted"] = painted(bpy.data.objects["grey vase"])
    yield from settled(ui)
    shot(ui, "story-13-textured")


def work_off(ui, what):
    """Wait until ``what`` has started a job, take the pointer away, and wait until the job has ended well."""
    session = extension_session()
    yield from until(lambda: session.current() is not None, f"{what} started nothing")
    yield from away(ui)
    yield from until(at_rest, f"what {what} started did not end", 400)
    assert not session.message.is_error, session.message


def painted(item):
    """What texturing changes, and what it keeps."""
    material = item.active_material
    return {
        "location": [round(value, 4) for value in item.location],
        "vertices": len(item.data.vertices),
        "maps": len(material_images(item)) if material is not None and material.node_tree is not None else 0,
        "image": item.get("espalier_image", ""),
    }


def finish_again(ui, found):
    """Click an object, open Finish, ask for fewer faces, and press Finish Again."""
    item = bpy.data.objects["mug"]
    yield from click(ui, *on_screen(ui, item))
    assert bpy.context.view_layer.objects.active == item, bpy.context.view_layer.objects.active
    # The drop on the mesh has switched the panel to Texture.
    modes = yield from widgets(ui, "wcol_radio")
    left, top, _, bottom = modes[0]
    right = max(box[2] for box in modes if box[1] == top)
    yield from click(ui, left + (right - left) / 4, (top + bottom) / 2)
    assert bpy.context.scene.espalier.mode == "GENERATE"
    found["before"] = finished(item)
    yield from open_section(ui, "finish_panel", "_draw_settings", 4)
    box = yield from field(ui, "wcol_menu", "finish.amount")
    yield from click(ui, *middle(box))
    yield from tap(ui, "n")
    yield from until(lambda: bpy.context.scene.espalier.finish.amount == "NUMBER", "no number of faces")
    box = yield from field(ui, "wcol_num", "finish.faces")
    yield from type_into(ui, box, str(FACES))
    assert bpy.context.scene.espalier.finish.faces == FACES
    yield from away(ui)
    yield from settled(ui)
    shot(ui, "story-14-finish")
    yield from press(ui, "espalier.finish_again")
    yield from work_off(ui, "Finish Again")
    found["after"] = finished(bpy.data.objects["mug"])
    yield from settled(ui)
    shot(ui, "story-15-finished-again")


def finished(item):
    return {"faces": len(item.data.polygons), "x": round(item.location.x, 4), "objects": len(bpy.data.objects)}


def open_section(ui, module, function, guess):
    """Click the headers of the closed sections until the one opens that a function of a module of the panel draws;
    return where that header is.

    ``guess``: how many sections may follow it. A section that was the wrong one is closed again.
    """
    drawer = importlib.import_module(f"{MODULE}.addon.ui.{module}")
    drawn, draw = [], getattr(drawer, function)

    def noted(*arguments):
        drawn.append(True)
        return draw(*arguments)

    setattr(drawer, function, noted)
    bottom = yield from panel_end(ui)
    left, _, right, _ = ui.rect(ui.region("UI"))
    try:
        for row in sorted(range(MOST_SECTIONS), key=lambda row: abs(row - guess)):
            place = left + (right - left) * 0.3, bottom - ROW * (row + 0.75)
            yield from click(ui, *place)
            yield from settled(ui)
            if drawn:
                return place
            yield from click(ui, *place)
    finally:
        setattr(drawer, function, draw)
    raise AssertionError(f"the section that {module}.{function} draws was not found")


def undo(ui, found):
    """Ctrl+Z takes the new mesh back, Shift+Ctrl+Z brings it again."""
    yield from in_viewport(ui, "ctrl+z")
    before, after = found["before"]["faces"], found["after"]["faces"]
    yield from until(lambda: len(bpy.data.objects["mug"].data.polygons) == before, "undo did not bring it back")
    found["undone"] = finished(bpy.data.objects["mug"])
    shot(ui, "story-16-undone")
    yield from in_viewport(ui, "ctrl+shift+z")
    yield from until(lambda: len(bpy.data.objects["mug"].data.polygons) == after, "redo did not bring it again")


def save(ui, found):
    """Ctrl+S, folder and name in the file browser, Enter."""
    file = Path(os.environ["ESPALIER_STORY_FILE"])
    found["objects"] = sorted(bpy.data.objects.keys())
    yield from in_viewport(ui, "ctrl+s")
    yield from until(lambda: browser() is not None, "no file browser came")
    yield 0.5
    boxes = yield from text_fields(ui)
    name = max(boxes, key=lambda box: box[1])
    yield from type_into(ui, name, file.name)
    folder = max(boxes, key=lambda box: (-box[1], box[2] - box[0]))
    yield from type_into(ui, folder, str(file.parent))
    # Over a field, Enter would edit it.
    yield from point(ui, *middle((name[0], folder[1], name[2], name[3])))
    shot(ui, "story-17-save")
    # Once for the list of folders that offers itself in Blender 5, once for the field, once for the file.
    for _ in range(4):
        yield from tap(ui, "Return")
        yield 1.0
        if browser() is None:
            break
    yield from until(lambda: bpy.data.filepath == str(file) and browser() is None, "the file was not saved")


def text_fields(ui):
    """The text fields of the file browser, which is a window of its own."""
    window = next(each for each in bpy.context.window_manager.windows if each.screen.areas[0].type == "FILE_BROWSER")
    bottom = ui.window.height - window.y
    return (yield from widgets(ui, "wcol_text", (window.x, bottom - window.height, window.x + window.width, bottom)))


def browser():
    """The area of the file browser that is open; None without one."""
    areas = [area for window in bpy.context.window_manager.windows for area in window.screen.areas]
    return next((area for area in areas if area.type == "FILE_BROWSER"), None)


def close(ui, found):
    """Ctrl+Q, after what was found is written: Blender has nothing unsaved and goes without a question."""
    session = extension_session()
    found["engine"] = session.queue.engine._link.process.pid
    (Path(os.environ["ESPALIER_SHOTS"]) / "first.json").write_text(json.dumps(found))
    ui.shot(ui.cfg["screenshot"])
    yield from in_viewport(ui, "ctrl+q")
    yield 30
    raise AssertionError("Blender is still there")
