# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of results for Blender's list widget: only names, kept by the window manager, never saved with a file."""

import bpy

from .session import session


class ESPALIER_PG_result(bpy.types.PropertyGroup):
    """A row of the list; its ``name`` is the job's."""


# The names of the rows as last written.
_written = []


def attach():
    """Give the window manager its list and the place of the chosen row."""
    bpy.types.WindowManager.espalier_results = bpy.props.CollectionProperty(type=ESPALIER_PG_result)
    bpy.types.WindowManager.espalier_result = bpy.props.IntProperty(name="Result", options={"SKIP_SAVE"})


def detach():
    """Take both away again."""
    del bpy.types.WindowManager.espalier_result
    del bpy.types.WindowManager.espalier_results


def sync(manager):
    """Make the rows those of the shelf, newest first; the chosen one stays chosen."""
    global _written
    names = [entry.job.id for entry in session.shelf.ended()] if session.shelf is not None else []
    rows = manager.espalier_results
    # To read thousands of names back takes longer than a tick may; a file that is opened brings an empty list.
    before = _written if len(rows) == len(_written) else [row.name for row in rows]
    _written = names
    if before == names:
        return
    chosen = chosen_name(manager)
    # While a store is read, newest first, the list only grows at its end.
    kept = len(before) if before == names[: len(before)] else 0
    if not kept:
        rows.clear()
    for name in names[kept:]:
        rows.add().name = name
    manager.espalier_result = names.index(chosen) if chosen in names else 0


def chosen_name(manager):
    """The identifier of the chosen job; "" without one."""
    rows, place = manager.espalier_results, manager.espalier_result
    return rows[place].name if 0 <= place < len(rows) else ""


def chosen(context):
    """The chosen entry of the shelf; None without one."""
    if session.shelf is None:
        return None
    return session.shelf.entries.get(chosen_name(context.window_manager))
