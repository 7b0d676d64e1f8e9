# SPDX-License-Identifier: GPL-3.0-or-later
"""Our entries in Blender's menus, which also makes the operators findable by search."""

import bpy

from .. import ids


def _draw_add(self, context):
    self.layout.separator()
    self.layout.operator(ids.OP_OPEN_IMAGE, text="From Image...", icon="IMAGE_DATA").then = "GENERATE"


def _draw_object(self, context):
    if any(item.type == "MESH" for item in context.selected_objects):
        self.layout.separator()
        self.layout.operator(ids.OP_OPEN_IMAGE, text="Texture from Image...", icon="IMAGE_DATA").then = "TEXTURE"


def _draw_import(self, context):
    self.layout.operator(ids.OP_FROM_FILES, text="Images as 3D Objects")


def attach():
    """Add the entries."""
    bpy.types.TOPBAR_MT_file_import.append(_draw_import)
    bpy.types.VIEW3D_MT_mesh_add.append(_draw_add)
    for menu in (bpy.types.VIEW3D_MT_object, bpy.types.VIEW3D_MT_object_context_menu):
        menu.append(_draw_object)


def detach():
    """Remove the entries."""
    bpy.types.TOPBAR_MT_file_import.remove(_draw_import)
    for menu in (bpy.types.VIEW3D_MT_object, bpy.types.VIEW3D_MT_object_context_menu):
        menu.remove(_draw_object)
    bpy.types.VIEW3D_MT_mesh_add.remove(_draw_add)
