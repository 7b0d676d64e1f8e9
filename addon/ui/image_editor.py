# SPDX-License-Identifier: GPL-3.0-or-later
"""The same panel in the Image Editor, where the image already is."""

import bpy

from .. import ids
from ..languages import iface_
from .panels import ESPALIER_PT_main


class ESPALIER_PT_image_editor(bpy.types.Panel):
    bl_idname = ids.PT_IMAGE_EDITOR
    bl_label = "From Image"
    bl_space_type = "IMAGE_EDITOR"
    bl_region_type = "UI"
    bl_category = ids.CATEGORY

    def draw(self, context):
        shown = context.space_data.image
        if shown is not None and shown != context.scene.espalier.image:
            self.layout.operator(
                ids.OP_USE_IMAGE, text=iface_("Use {name}", name=shown.name), icon="EYEDROPPER", translate=False
            )
        ESPALIER_PT_main.draw(self, context)
