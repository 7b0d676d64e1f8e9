# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's hand and eye for the story: finds widgets in the picture, points, clicks, types and drops through X.

Runs inside Blender. Blender tells nobody where its buttons are, so their colour in the theme is made unmistakable for a
moment and looked for in the picture; which of them is which is asked with Ctrl+C, which copies what a button does.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np

HERE = Path(__file__).resolve().parent
MARK = (1.0, 0.0, 1.0)
LOOKS = 3
"""So often is a widget looked for: on a busy machine one may be drawn late, or be asked before it hears."""


def patience():
    """How much longer everything takes here than on a machine with nothing else to do."""
    return min(max(os.getloadavg()[0] / os.cpu_count(), 1.0), 3.0)


def until(condition, complaint, seconds=60.0):
    """Wait until the condition holds, with Blender's events running; return what it returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        yield 0.1
    raise AssertionError(complaint() if callable(complaint) else complaint)


def settled(ui, rounds=2):
    """Draw until the layout rests: a panel that changes its height settles with the second time."""
    for _ in range(rounds):
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                area.tag_redraw()
        yield 0.35 * patience()


def widgets(ui, kind, where=None):
    """Boxes (left, top, right, bottom) of the widgets of a kind of the theme ("wcol_tool"), in the order of reading.

    ``where`` is the box of the screen to look at, the sidebar when it is left out.
    """
    theme = getattr(bpy.context.preferences.themes[0].user_interface, kind)
    shaded, theme.show_shaded = theme.show_shaded, False
    picture = yield from marked(ui, (theme, "inner"), (theme, "inner_sel"))
    theme.show_shaded = shaded
    return _boxes(picture, where or ui.rect(ui.region("UI")))


def tabs(ui):
    """Boxes of the sidebar's tabs."""
    space = bpy.context.preferences.themes[0].view_3d.space
    if not hasattr(space, "tab_inactive"):
        return (yield from widgets(ui, "wcol_tab"))
    # Blender 4
    picture = yield from marked(ui, (space, "tab_active"), (space, "tab_inactive"))
    return _boxes(picture, ui.rect(ui.region("UI")))


def panel_end(ui):
    """The lowest pixel of the panel."""
    theme = bpy.context.preferences.themes[0]
    is_new = hasattr(theme.user_interface, "panel_back")
    picture = yield from marked(ui, (theme.user_interface, "panel_back") if is_new else _panel_of_4(theme))
    return max(box[3] for box in _boxes(picture, ui.rect(ui.region("UI"))))


def _panel_of_4(theme):
    return theme.view_3d.space.panelcolors, "back"


def marked(ui, *colours):
    """The picture [height, width, 3] of the screen while colours of the theme, (owner, name) each, are unmistakable."""
    kept = [tuple(getattr(owner, name)) for owner, name in colours]
    for (owner, name), colour in zip(colours, kept, strict=True):
        setattr(owner, name, (*MARK, 1.0)[: len(colour)])
    yield from settled(ui)
    picture = _picture(ui)
    for (owner, name), colour in zip(colours, kept, strict=True):
        setattr(owner, name, colour)
    yield from settled(ui, 1)
    return picture


def _picture(ui):
    from picture import xframe

    width, height, rows = xframe(ui.cfg["fbdir"])
    return np.frombuffer(b"".join(rows), np.uint8).reshape(height, width, 3)


def _boxes(picture, where, least=8):
    """The boxes of what is marked inside a box of the screen: bands of rows, cut where a column is empty."""
    x, y, right, bottom = where
    marks = np.abs(picture[y:bottom, x:right].astype(int) - (255, 0, 255)).max(axis=2) <= 40
    bands = _runs(marks.sum(axis=1) >= least, least)
    return [
        (x + left, y + top, x + right, y + bottom)
        for top, bottom in bands
        for left, right in _runs(marks[top:bottom].sum(axis=0) >= 2, least)
    ]


def _runs(flags, least):
    """First and past-the-last index of each run of true flags that is long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))).tolist()
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]


def middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def point(ui, x, y):
    """Move the pointer there, as a hand does: not in one leap."""
    ui.move(x - 6, y - 2)
    yield 0.1 * patience()
    ui.move(x, y)
    yield 0.2 * patience()


def click(ui, x, y):
    """Press and let go of the left button. Pressed before Blender has seen the pointer come, it would be lost."""
    yield from point(ui, x, y)
    ui.xdo("mousedown", 1)
    yield 0.1 * patience()
    ui.xdo("mouseup", 1)
    yield 0.3 * patience()


def tap(ui, *keys):
    """Press keys one after the other, as a hand does."""
    for key in keys:
        ui.key(key)
        yield 0.2 * patience()


def copied(ui, box, keys="ctrl+c"):
    """What the button in a box says that it does."""
    bpy.context.window_manager.clipboard = "nothing"
    yield from point(ui, *middle(box))
    ui.key(keys)
    end = time.monotonic() + 0.5 * patience()
    while time.monotonic() < end and bpy.context.window_manager.clipboard == "nothing":
        yield 0.05
    return bpy.context.window_manager.clipboard


def button(ui, operator, smallest=False):
    """The box of the button of an operator ("espalier.generate"); the largest ones are looked at first, or last."""
    for _ in range(LOOKS):
        boxes = yield from widgets(ui, "wcol_tool")
        boxes.sort(key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), reverse=not smallest)
        for box in boxes:
            text = yield from copied(ui, box)
            if text.startswith(f"bpy.ops.{operator}("):
                return box
    raise AssertionError(f"there is no button {operator} to be clicked among {len(boxes)}")


def press(ui, operator, **more):
    """Find the button of an operator and click it."""
    box = yield from button(ui, operator, **more)
    yield from click(ui, *middle(box))


def away(ui):
    """Take the pointer where it lights nothing up."""
    ui.move(5, ui.window.height - 8)
    yield 0.2


def in_viewport(ui, keys=None, place=(0.3, 0.55)):
    """Point into the viewport, where Blender's shortcuts look, and press keys there."""
    left, top, right, bottom = ui.rect(ui.region("WINDOW"))
    x, y = left + place[0] * (right - left), top + place[1] * (bottom - top)
    yield from point(ui, x, y)
    if keys:
        yield from tap(ui, keys)
    return x, y


def drop(ui, files, x, y):
    """Drop files from another program on Blender's window."""
    yield from point(ui, x, y)
    command = ["/usr/bin/python3", str(HERE / "drop_files.py"), str(int(x)), str(int(y)), *map(str, files)]
    program = subprocess.Popen(command, stdout=sys.stdout, stderr=sys.stderr)
    yield from until(lambda: program.poll() is not None, "the drop did not end", 90)
    assert program.returncode == 0, f"the drop was not taken: {program.returncode}"
    # A menu or a dialog comes up.
    yield 0.7 * patience()


def field(ui, kind, path):
    """The box of the field whose data path ends so ("finish.faces"), asked with Shift+Ctrl+C."""
    seen = []
    for _ in range(LOOKS):
        boxes = yield from widgets(ui, kind)
        for box in boxes:
            text = yield from copied(ui, box, "ctrl+shift+c")
            seen.append(text)
            if text.endswith(path):
                return box
    raise AssertionError(f"there is no field {path} among {seen}")


def type_into(ui, box, text):
    """Click into a field, replace what is there, Enter."""
    yield from click(ui, *middle(box))
    yield from tap(ui, "ctrl+a")
    ui.type(text)
    yield 0.3 * patience()
    yield from tap(ui, "Return")
