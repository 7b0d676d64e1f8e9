# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that are no files yet: the clipboard's, the viewport's, the camera's, the one in the Image Editor."""

import contextlib
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

import bpy

from .. import compat, ids
from ..languages import iface_, reported, tip_
from ..request import IMAGE_SUFFIX

# Pixels along each side of a grabbed view: more than any model looks at.
GRAB_PIXELS = 1024


class ESPALIER_OT_paste_image(bpy.types.Operator):
    bl_idname = ids.OP_PASTE_IMAGE
    bl_label = "Paste Image"
    bl_description = "Take the image in the clipboard, or the image file whose path is there"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    def execute(self, context):
        path = path_in(context.window_manager.clipboard)
        if path is not None:
            try:
                return bpy.ops.espalier.open_image(filepath=str(path))
            except RuntimeError as error:
                # Its report arrives as an exception.
                self.report({"ERROR"}, reported(error))
                return {"CANCELLED"}
        image = _pasted(context)
        if image is None:
            self.report({"ERROR"}, "There is no image in the clipboard. Copy a picture or an image file first.")
            return {"CANCELLED"}
        context.scene.espalier.image = image
        return {"FINISHED"}


def path_in(text):
    """The image file that a clipboard's text names, as a path or a file address; None when it names none."""
    line = text.strip().strip('"').splitlines()[:1]
    if not line or len(line[0]) > 4096:
        return None
    name = line[0].strip()
    if name.startswith("file:"):
        name = urllib.request.url2pathname(urllib.parse.urlsplit(name).path)
    path = Path(name)
    try:
        return path if path.is_absolute() and IMAGE_SUFFIX.search(name) and path.is_file() else None
    except (OSError, ValueError):
        return None


def _pasted(context):
    """The clipboard's picture as a packed image; None when there is none. Blender pastes in Image Editors only."""
    area = context.area
    if area is None:
        return None
    before, kind = set(bpy.data.images), area.ui_type
    try:
        area.ui_type = "IMAGE_EDITOR"
        bpy.ops.image.clipboard_paste()
    except RuntimeError:
        return None
    finally:
        area.ui_type = kind
    image = next((image for image in bpy.data.images if image not in before), None)
    if image is not None:
        image.name = "Clipboard"
        image.pack()
    return image


class ESPALIER_OT_grab_view(bpy.types.Operator):
    bl_idname = ids.OP_GRAB_VIEW
    bl_label = "Grab View"
    bl_description = "Take what the viewport shows, without overlays and background"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    camera: bpy.props.BoolProperty(
        name="Camera", description="Through the scene's camera instead", options={"HIDDEN", "SKIP_SAVE"}
    )

    @classmethod
    def description(cls, _context, properties):
        if properties.camera:
            return tip_("Take what the scene's camera sees, without background")
        return tip_(cls.bl_description)

    @classmethod
    def poll(cls, context):
        if bpy.app.background or context.space_data is None or context.space_data.type != "VIEW_3D":
            cls.poll_message_set(iface_("Open a 3D viewport first"))
            return False
        return True

    def execute(self, context):
        from ..scene.material import build_image

        if self.camera and context.scene.camera is None:
            self.report({"ERROR"}, "The scene has no camera. Add one, or grab the viewport.")
            return {"CANCELLED"}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "view.png"
            # Why it cannot be drawn, such as a render that runs, arrives as an exception.
            with _grabbing(context, path), contextlib.suppress(RuntimeError):
                bpy.ops.render.opengl(write_still=True, view_context=not self.camera)
            if not path.is_file():
                self.report(
                    {"ERROR"}, "The view could not be drawn. Try again in Solid mode, when nothing is being rendered."
                )
                return {"CANCELLED"}
            picture = path.read_bytes()
        name = context.scene.camera.name if self.camera else f"{context.scene.name} view"
        image = build_image(name, picture, is_data=False, alpha=True)
        # It is a picture to make something of, not a map of a result.
        del image[ids.PROP_MAP]
        context.scene.espalier.image = image
        return {"FINISHED"}


@contextlib.contextmanager
def _grabbing(context, path):
    """The scene's render settings and the viewport's overlays as a grab needs them, and back."""
    render, shown = context.scene.render, context.space_data.overlay
    wanted = [
        (render, "filepath", str(path)),
        (render, "film_transparent", True),
        (render, "resolution_x", GRAB_PIXELS),
        (render, "resolution_y", GRAB_PIXELS),
        (render, "resolution_percentage", 100),
        (render, "use_file_extension", True),
        *((render.image_settings, name, value) for name, value in compat.still_format(render)),
        # PNG has no 32 bits, and Blender does not return to them by itself.
        (render.image_settings, "color_depth", "8"),
        (shown, "show_overlays", False),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in wanted]
    try:
        for owner, name, value in wanted:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


class ESPALIER_OT_use_image(bpy.types.Operator):
    bl_idname = ids.OP_USE_IMAGE
    bl_label = "Use This Image"
    bl_description = "Make the image of this editor the input"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    @classmethod
    def poll(cls, context):
        if getattr(context.space_data, "image", None) is None:
            cls.poll_message_set(iface_("This editor shows no image"))
            return False
        return True

    def execute(self, context):
        context.scene.espalier.image = context.space_data.image
        return {"FINISHED"}
