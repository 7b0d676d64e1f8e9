# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender's window by test_german.py: the whole panel in German, among Blender's own words, is pictured."""

import json

import bpy
from hand import away, settled
from steps import OUT, prepare, shot, show_panel
from story_work import open_section

# Each section by what draws it, and how many follow it.
SECTIONS = (
    ("finish_panel", "_draw_settings", 4),
    ("panels", "_draw_placement", 3),
    ("advanced_panel", "_draw_value", 2),
    ("engine_panel", "describe", 0),
)


def main(ui):
    bpy.context.preferences.view.language = "de_DE"
    yield from show_panel(ui)
    prepare(ui)
    for module, function, guess in SECTIONS:
        yield from open_section(ui, module, function, guess)
    yield from away(ui)
    yield from settled(ui)
    shot(ui, "german")
    own = [bpy.app.translations.pgettext_iface(text) for text in ("Location", "Scene Collection")]
    (OUT / "found.json").write_text(json.dumps({"own": own}))
