# SPDX-License-Identifier: GPL-3.0-or-later
"""Show what was made where the scene or the viewport hides it."""

import bpy

from .. import ids
from ..languages import iface_


def colours_to_show(context):
    """The kind of colours that Solid view has to be told to show to see those of the active object, which it gives one
    colour by itself: "TEXTURE", for a draft "VERTEX"; "" when they show or there are none of ours.
    """
    space, item = context.space_data, context.active_object
    if space is None or space.type != "VIEW_3D" or space.shading.type != "SOLID":
        return ""
    if item is None or item.type != "MESH" or ids.PROP_IMAGE not in item:
        return ""
    wanted = "TEXTURE" if item.data.uv_layers else "VERTEX" if item.data.color_attributes else ""
    return "" if space.shading.color_type == wanted else wanted


class ESPALIER_OT_show_textures(bpy.types.Operator):
    bl_idname = ids.OP_SHOW_TEXTURES
    bl_label = "Show Textures"
    bl_description = "Show the colours of what was made in this viewport, where Solid view gives it their mean"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if not colours_to_show(context):
            cls.poll_message_set(iface_("Nothing that was made has other colours than this viewport shows"))
            return False
        return True

    def execute(self, context):
        context.space_data.shading.color_type = colours_to_show(context)
        return {"FINISHED"}


class ESPALIER_OT_hide_object(bpy.types.Operator):
    bl_idname = ids.OP_HIDE_OBJECT
    bl_label = "Hide Object"
    bl_description = "Hide the object in which the new one stands. Alt H shows hidden objects again"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    name: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        item = context.view_layer.objects.get(self.name)
        if item is None:
            self.report({"WARNING"}, "This object is not here any more.")
            return {"CANCELLED"}
        item.hide_set(True)
        return {"FINISHED"}
