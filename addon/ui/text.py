# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences in panels: Blender's labels do not wrap, so they are broken to the panel's width."""

import blf
import bpy

MARGIN = 60


def draw_sentence(layout, text, context, icon="NONE"):
    """Draw ``text`` as labels no wider than the region; the icon stands before the first line."""
    scale = context.preferences.system.ui_scale
    width = (context.region.width if context.region is not None else 300) - MARGIN * scale
    column = layout.column(align=True)
    column.scale_y = 0.8
    indent = icon != "NONE"
    for number, line in enumerate(break_lines(text, width - (20 * scale if indent else 0), scale)):
        if indent:
            column.label(text=line, icon=icon if number == 0 else "BLANK1")
        else:
            column.label(text=line)


def break_lines(text, width, scale):
    """Break ``text`` at spaces into lines of at most ``width`` pixels in the panel's font; longer words stand alone."""
    blf.size(0, bpy.context.preferences.ui_styles[0].widget.points * scale)
    lines = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and blf.dimensions(0, longer)[0] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def megabytes(size):
    """A number of bytes as people say it: ``328 MB``, ``2.9 GB``."""
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
