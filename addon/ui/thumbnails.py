# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of results in panels; Blender reads each file when it is first drawn."""

import bpy.utils.previews

_pictures = None


def icon(path):
    """The number of an icon that shows an image file; 0, no icon, when there is none."""
    global _pictures
    if path is None:
        return 0
    if _pictures is None:
        _pictures = bpy.utils.previews.new()
    try:
        key = f"{path} {path.stat().st_mtime_ns}"
    except OSError:
        return 0
    if key not in _pictures:
        _pictures.load(key, str(path), "IMAGE")
    return _pictures[key].icon_id


def forget():
    """Give the pictures back to Blender, which wants that before the extension goes."""
    global _pictures
    if _pictures is not None:
        bpy.utils.previews.remove(_pictures)
        _pictures = None
