# SPDX-License-Identifier: GPL-3.0-or-later
"""End of the story, in a Blender started anew: the file is opened, and a result of before is placed once more."""

import os
from pathlib import Path

import bpy
from hand import away, click, drop, in_viewport, point, press, settled, tap, until, widgets
from steps import extension_session, shot
from story_begin import open_panel, wheel
from story_work import open_section

# Newest first: the mug that was finished again, the texture of the vase, then what was made before.
NAMES = ["mug", "grey vase", "lamp", "mushroom", "mug", "little house", "little house"]
CHOSEN = 2
# A row of a list is this high at this scale, in pixels.
LIST_ROW = 20


def reopen(ui, found):
    """Drop the file on the window and choose Open."""
    file = Path(os.environ["ESPALIER_STORY_FILE"])
    x, y = yield from in_viewport(ui, place=(0.5, 0.5))
    yield from drop(ui, [file], x, y)
    shot(ui, "story-18-open")
    yield from tap(ui, "o")
    yield from until(lambda: bpy.data.filepath == str(file), "the file was not opened")
    found["objects"] = sorted(bpy.data.objects.keys())
    yield from settled(ui)


def place_from_history(ui, found):
    """Open Results, choose one of the list, press Place."""
    yield from open_panel(ui, found)
    shelf = extension_session().shelf
    yield from until(lambda: len(shelf.ended()) >= len(NAMES), "the results were not read")
    names = [entry.job.name for entry in shelf.ended()][: len(NAMES)]
    assert names == NAMES, names
    yield from open_section(ui, "jobs", "_draw_entry", 1)
    left, top, right, _ = (yield from widgets(ui, "wcol_list_item"))[0]
    yield from click(ui, (left + right) / 2, top + LIST_ROW * (CHOSEN + 0.5))
    assert bpy.context.window_manager.espalier_result == CHOSEN
    # With Finish open the panel is longer than the window.
    left, top, right, bottom = ui.rect(ui.region("UI"))
    yield from point(ui, left + 6, (top + bottom) / 2)
    yield from wheel(ui, 5, 12)
    yield from away(ui)
    yield from settled(ui)
    shot(ui, "story-19-results")
    before = set(bpy.data.objects.keys())
    yield from press(ui, "espalier.place_result")
    yield from until(lambda: len(bpy.data.objects) == len(before) + 1, "nothing was placed")
    (found["placed"],) = set(bpy.data.objects.keys()) - before
    item = bpy.data.objects[found["placed"]]
    twin = bpy.data.objects[NAMES[CHOSEN]]
    found["same"] = len(item.data.polygons) == len(twin.data.polygons) and item.data != twin.data
    yield from away(ui)
    yield from settled(ui)
    shot(ui, "story-20-placed")
