# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between Blender 4.2 and 5.2, in one place."""

import contextlib
import ctypes
import os
import sys

import bpy

# oneTBB's TBBMALLOC_CLEAN_ALL_BUFFERS.
_CLEAN_ALL_BUFFERS = 0


def ensure_node_tree(id_block):
    """Return the shader node tree of a material or world. Before 5.0 a new one has none until ``use_nodes`` is set."""
    if id_block.node_tree is None:
        id_block.use_nodes = True
    return id_block.node_tree


def modal_operators(window):
    """Return the identifiers of the operators that hold the input of ``window`` (4.2 onwards; else none are known)."""
    return [operator.bl_idname for operator in getattr(window, "modal_operators", ())]


def exit_handlers():
    """Return the handler list that Blender calls before it quits: 5.1 onwards, else None (``atexit`` has to do)."""
    return getattr(bpy.app.handlers, "exit_pre", None)


def register_presets(folder):
    """Let Blender find the presets in ``folder``/presets. Older Blenders only know those of the user."""
    getattr(bpy.utils, "register_preset_path", lambda _folder: None)(folder)


def unregister_presets(folder):
    """Take back ``register_presets``."""
    getattr(bpy.utils, "unregister_preset_path", lambda _folder: None)(folder)


def still_format(render):
    """Return ``(name, value)`` of the image settings that write an RGBA PNG, in the order in which they can be set.

    From 5.0 on stills and videos are told apart before the file format can be chosen.
    """
    medium = [("media_type", "IMAGE")] if hasattr(render.image_settings, "media_type") else []
    return [*medium, ("file_format", "PNG"), ("color_mode", "RGBA")]


def return_freed_memory():
    """Have the allocator give the system what it keeps of memory that Blender has freed; takes some 10 ms.

    On Linux Blender 5.1 and later use oneTBB's, which keeps blocks of every size it has seen for later: some 80 MB
    after one result is deleted, and more with every job. Other allocators give it back by themselves.
    """
    if sys.platform != "linux":
        return
    # AttributeError: a library of that name without that function.
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libtbbmalloc.so.2", os.RTLD_NOLOAD)
        library.scalable_allocation_command(_CLEAN_ALL_BUFFERS, None)
