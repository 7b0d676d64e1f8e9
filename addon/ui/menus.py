# SPDX-License-Identifier: GPL-3.0-or-later
"""Our entries in Blender's menus, which also makes the operators findable by search."""

import bpy

from .. import ids


def _draw_add(self, context):
    self.layout.separator()
    self.layout.operator(ids.OP_OPEN_IMAGE, text="From Image...", icon="IMAGE_DATA").generate = True


def attach():
    """Add the entries."""
    bpy.types.VIEW3D_MT_mesh_add.append(_draw_add)


def detach():
    """Remove the entries."""
    bpy.types.VIEW3D_MT_mesh_add.remove(_draw_add)
