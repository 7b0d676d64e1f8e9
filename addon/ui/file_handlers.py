# SPDX-License-Identifier: GPL-3.0-or-later
"""Our entries in the menu that Blender shows when images are dropped on a viewport."""

import bpy

from .. import ids

EXTENSIONS = ".png;.jpg;.jpeg;.webp;.bmp;.tif;.tiff;.tga;.exr;.hdr"


class ESPALIER_FH_generate(bpy.types.FileHandler):
    bl_idname = "ESPALIER_FH_generate"
    bl_label = "Generate 3D from Image"
    bl_import_operator = ids.OP_FROM_FILES
    bl_file_extensions = EXTENSIONS

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type == "VIEW_3D"


class ESPALIER_FH_texture(bpy.types.FileHandler):
    bl_idname = "ESPALIER_FH_texture"
    bl_label = "Texture Mesh from Image"
    bl_import_operator = ids.OP_TEXTURE_DROPPED
    bl_file_extensions = EXTENSIONS

    @classmethod
    def poll_drop(cls, context):
        is_viewport = context.area is not None and context.area.type == "VIEW_3D"
        return is_viewport and any(item.type == "MESH" for item in context.visible_objects)
