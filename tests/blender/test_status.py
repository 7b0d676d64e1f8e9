# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel shows while a job runs, top to bottom: notes arrive below the buttons and move none of them."""

import sys

import bpy
import pytest
from espalier.addon.client.engine import Event
from espalier.addon.session import session
from espalier.addon.ui import status
from espalier.addon.ui.status import draw_notes, draw_status

from .drawn_layout import Layout
from .stand_in import tick

NOTE = "Small."


def drawn():
    calls = []
    draw_status(Layout(calls), bpy.context)
    between = len(calls)
    # What stands between the two is drawn elsewhere.
    draw_notes(Layout(calls), bpy.context)
    assert NOTE not in calls[:between]
    return calls


def test_the_expected_download_is_that_of_the_largest_lock_file_that_may_be_taken(monkeypatch, tmp_path):
    locks = [tmp_path / "cpu.txt", tmp_path / "cuda.txt"]
    for lock, size in zip(locks, (364, 2903), strict=True):
        lock.write_text(f"# download: {size} MB\n")
    tag = "cp{}{}".format(*sys.version_info[:2])
    monkeypatch.setattr(status, "lock_files", lambda _extension: {tag: locks})
    assert status.expected_download() == (364_000_000, 2_903_000_000)
    monkeypatch.setattr(status, "lock_files", lambda _extension: {})
    assert status.expected_download() == (0, 0)


@pytest.mark.parametrize("mode", ["GENERATE", "TEXTURE"])
def test_notes_arrive_below_everything_that_stood_there(engine, mode, monkeypatch):
    # Without a window Blender has no icons.
    monkeypatch.setattr(status, "icon", lambda path: 7 if path.name.startswith("input.") else 0)
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
    # Its image says which of several is being made.
    assert before == ["picture", "progress", "espalier.cancel"]
    for count in (1, 2):
        engine.events.append(Event("log", session.current().id, {"level": "info", "text": NOTE}))
        tick(1)
        assert drawn() == before + [NOTE] * count


def test_when_the_object_stands_each_note_has_a_line_of_its_own(engine):
    bpy.ops.espalier.generate()
    tick()
    for note in (NOTE, "Another."):
        engine.events.append(Event("log", session.current().id, {"level": "info", "text": note}))
    engine.finish()
    tick()
    calls = []
    draw_status(Layout(calls), bpy.context)
    assert calls[1:] == [NOTE, "Another."] and calls[0].startswith("red mug: ")
