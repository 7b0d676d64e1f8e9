# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender's window by test_story.py: the whole way of a person, in two Blenders one after the other.

Mouse, keys and drops go through the X server; Blender's Python is only asked what they did. The environment says which
part of the story is to be told, where images and zip lie, and the folder for pictures and for what was found.
"""

import json
import os
from pathlib import Path

import story_begin
import story_return
import story_work

PARTS = {
    "first": (
        story_begin.install,
        story_begin.open_panel,
        story_begin.set_up,
        story_begin.make_room,
        story_begin.look_at_advanced,
        story_begin.generate,
        story_begin.cancel,
        story_begin.queue_three,
        story_work.texture_mesh,
        story_work.finish_again,
        story_work.undo,
        story_work.save,
        story_work.close,
    ),
    "second": (story_return.reopen, story_return.place_from_history),
}


def main(ui):
    part, found = os.environ["ESPALIER_STORY_PART"], {}
    for step in PARTS[part]:
        ui.log(step.__name__)
        yield from step(ui, found)
    (Path(os.environ["ESPALIER_SHOTS"]) / f"{part}.json").write_text(json.dumps(found))
