# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of our panels share: columns of settings, and sentences, which Blender's labels do not wrap."""

import re

import blf
import bpy

from ..languages import told

MARGIN = 60
# Below this many pixels, at scale 1, three buttons side by side have no room for their words.
NARROW = 270
UNIT = re.compile(r"(\d) (\S{1,3})(?!\S)")


def settings_column(layout):
    """A column of settings with their names at the left, as everywhere in Blender."""
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    return column


def draw_note(layout, text, context):
    """Draw a sentence in the background, such as why something cannot be set."""
    column = layout.column()
    column.active = False
    draw_sentence(column, text, context, "INFO")


def draw_progress(layout, fraction, text, cancel, picture=0):
    """Draw a bar with its text, only the text while the fraction is None, beside the button of ``cancel``; before it
    the icon of this number, a ``picture`` of what is being made.
    """
    row = layout.row(align=True)
    if picture:
        row.label(text="", icon_value=picture)
    if fraction is None:
        row.label(text=told(text), icon="SORTTIME", translate=False)
    else:
        row.progress(factor=min(max(fraction, 0.0), 1.0), text=told(text), type="BAR", translate=False)
    row.operator(cancel, text="", icon="X")


def draw_sentence(layout, text, context, icon="NONE"):
    """Draw ``text``, translated, as labels no wider than the region; the icon stands before the first line."""
    scale = context.preferences.system.ui_scale
    width = (context.region.width if context.region is not None else 300) - MARGIN * scale
    column = layout.column(align=True)
    column.scale_y = 0.8
    indent = icon != "NONE"
    for number, line in enumerate(break_lines(told(text), width - (20 * scale if indent else 0), scale)):
        if indent:
            column.label(text=line, icon=icon if number == 0 else "BLANK1", translate=False)
        else:
            column.label(text=line, translate=False)


def is_narrow(context):
    """Whether the region is narrower than a sidebar is at first."""
    return context.region is not None and context.region.width < NARROW * context.preferences.system.ui_scale


def break_lines(text, width, scale):
    """Break ``text`` at spaces into lines of at most ``width`` pixels in the panel's font; longer words stand alone.

    A number keeps the unit that follows it.
    """
    blf.size(0, bpy.context.preferences.ui_styles[0].widget.points * scale)
    lines = []
    for word in UNIT.sub("\\1\u00a0\\2", " ".join(text.split())).split(" "):
        word = word.replace("\u00a0", " ")
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and blf.dimensions(0, longer)[0] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def megabytes(size):
    """A number of bytes as people say it: ``58 KB``, ``328 MB``, ``2.9 GB``."""
    if size < 1e6:
        return f"{size / 1e3:.0f} KB"
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
