# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel shows while a job runs, top to bottom: notes arrive below the buttons and move none of them."""

import sys

import bpy
import pytest
from espalier.addon.client.engine import Event
from espalier.addon.session import session
from espalier.addon.ui import status
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
