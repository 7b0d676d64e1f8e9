# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of results in panels; Blender reads each file when it is first drawn."""

import bpy.utils.previews

# A quarter of a megabyte each. Panels show a few dozen at a time; of thousands of results the last stay.
MOST = 128

_pictures = None
# The keys of the pictures, the one that was drawn last at the end.
_drawn = {}


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
        if len(_drawn) >= MOST:
            oldest = next(iter(_drawn))
            del _drawn[oldest], _pictures[oldest]
        _pictures.load(key, str(path), "IMAGE")
    _drawn.pop(key, None)
    _drawn[key] = None
    return _pictures[key].icon_id


def picture_of(folder):
    """The image that the job in a folder was made from; None without one."""
    return next((path for path in folder.glob("input.*") if path.suffix != ".img"), None)


def forget():
    """Give the pictures back to Blender, which wants that before the extension goes."""
    global _pictures
    if _pictures is not None:
        bpy.utils.previews.remove(_pictures)
        _pictures = None
        _drawn.clear()
