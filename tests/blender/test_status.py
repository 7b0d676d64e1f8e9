# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel shows while a job runs, top to bottom: notes arrive below the buttons and move none of them."""

import bpy
import pytest
from espalier.addon.client.engine import Event
from espalier.addon.session import session
from espalier.addon.ui.status import draw_notes, draw_status

from .stand_in import tick

NOTE = "Small."


class Layout:
    """Writes down what is drawn: there are no real layouts without a window."""

    def __init__(self, drawn):
        self.drawn = drawn

    def row(self, **_options):
        return Layout(self.drawn)

    column = row

    def label(self, text="", **_options):
        self.drawn.append(text)

    def progress(self, **_options):
        self.drawn.append("progress")

    def operator(self, name, **_options):
        self.drawn.append(name)
        return Layout(self.drawn)


def drawn():
    calls = []
    draw_status(Layout(calls), bpy.context)
    between = len(calls)
    # What stands between the two is drawn elsewhere.
    draw_notes(Layout(calls), bpy.context)
    assert NOTE not in calls[:between]
    return calls


@pytest.mark.parametrize("mode", ["GENERATE", "TEXTURE"])
def test_notes_arrive_below_everything_that_stood_there(engine, mode):
    start = bpy.ops.espalier.generate
    if mode == "TEXTURE":
        bpy.ops.mesh.primitive_cube_add()
        start = bpy.ops.espalier.texture
    bpy.context.scene.espalier.mode = mode
    start()
    start()
    tick()
    engine.progress()
    tick(1)
    before = drawn()
    assert before == ["progress", "espalier.cancel"]
    for count in (1, 2):
        engine.events.append(Event("log", session.current().id, {"level": "info", "text": NOTE}))
        tick(1)
        assert drawn() == before + [NOTE] * count
