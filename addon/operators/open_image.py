# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose an image file as the input."""

import bpy
from bpy_extras.io_utils import ImportHelper

from .. import ids
from ..languages import reported, rpt_, told
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
            name = bpy.path.basename(self.filepath)
            self.report({"ERROR"}, rpt_("{name} cannot be opened. Choose another file.", name=name))
            return {"CANCELLED"}
        if not image.size[0] or image.source not in {"FILE", "GENERATED"}:
            text = rpt_(
                "{name} cannot be read as a still image. Choose a PNG, JPEG, WebP, TIFF or EXR file.", name=image.name
            )
            self.report({"ERROR"}, text)
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
            self.report({"WARNING"}, f"{told(reason)}.")
            return
        try:
            bpy.ops.espalier.texture() if is_texture else bpy.ops.espalier.generate()
        except RuntimeError as error:
            # Its report of type ERROR arrives as an exception.
            self.report({"WARNING"}, reported(error))
