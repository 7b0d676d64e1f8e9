# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose an image file as the input."""

import bpy
from bpy_extras.io_utils import ImportHelper

from .. import ids
from .generate import why_not
from .texture import why_not_texture


class ESPALIER_OT_open_image(bpy.types.Operator, ImportHelper):
    bl_idname = ids.OP_OPEN_IMAGE
    bl_label = "Open Image"
    bl_description = "Open a picture of one object from a file"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    then: bpy.props.EnumProperty(
        name="Then",
        description="What to do as soon as the image is open",
        items=(
            ("NOTHING", "Nothing", "Choose the image in the panel"),
            ("GENERATE", "Generate", "Make an object of it"),
            ("TEXTURE", "Texture", "Paint the selected objects after it"),
        ),
        options={"HIDDEN", "SKIP_SAVE"},
    )
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(default="", options={"HIDDEN"})
    display_type: bpy.props.EnumProperty(
        items=(("DEFAULT", "", ""), ("THUMBNAIL", "", "")), default="THUMBNAIL", options={"HIDDEN", "SKIP_SAVE"}
    )

    def execute(self, context):
        try:
            image = bpy.data.images.load(self.filepath, check_existing=True)
        except RuntimeError:
            self.report({"ERROR"}, f"{bpy.path.basename(self.filepath)} cannot be opened. Choose another file.")
            return {"CANCELLED"}
        if not image.size[0] or image.source not in {"FILE", "GENERATED"}:
            self.report({"ERROR"}, f"{image.name} is no still image. Choose a PNG, JPEG, WebP, TIFF or EXR file.")
            if not image.users:
                bpy.data.images.remove(image)
            return {"CANCELLED"}
        context.scene.espalier.image = image
        if self.then != "NOTHING":
            self._go_on(context)
        return {"FINISHED"}

    def _go_on(self, context):
        is_texture = self.then == "TEXTURE"
        context.scene.espalier.mode = self.then
        reason = why_not_texture(context) if is_texture else why_not(context.scene)
        if reason:
            self.report({"WARNING"}, f"{reason}.")
            return
        try:
            bpy.ops.espalier.texture() if is_texture else bpy.ops.espalier.generate()
        except RuntimeError as error:
            # Its report of type ERROR arrives as an exception.
            self.report({"WARNING"}, str(error).removeprefix("Error: ").strip())
