# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files that come from outside: dropped on the viewport, or a folder of them by the File menu."""

import contextlib
from pathlib import Path

import bpy
from bpy_extras import view3d_utils
from bpy_extras.io_utils import ImportHelper

from .. import ids
from ..intake import Intake
from ..languages import reported, rpt_, told
from ..orders import order_here
from ..request import IMAGE_SUFFIX, new_seed, object_name
from ..session import session
from .generate import generation, no_engine, no_model
from .texture import why_not_texture

_FILES = {"options": {"HIDDEN", "SKIP_SAVE"}}


class _Files:
    """The files that a browser or a drop names, as Blender hands them over; they become jobs of ``kind``."""

    kind = "generate"

    directory: bpy.props.StringProperty(subtype="DIR_PATH", **_FILES)
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, **_FILES)

    @classmethod
    def poll(cls, context):
        reason = no_engine() or no_model(context.scene, cls.kind)
        if reason:
            cls.poll_message_set(told(reason))
        return not reason

    def paths(self):
        """The images that were named; all of the folder when only a folder was."""
        folder = Path(bpy.path.abspath(self.directory))
        names = [item.name for item in self.files if item.name]
        if not names:
            with contextlib.suppress(OSError):
                names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
        return [folder / name for name in names if IMAGE_SUFFIX.search(name)]


class ESPALIER_OT_from_files(_Files, bpy.types.Operator, ImportHelper):
    bl_idname = ids.OP_FROM_FILES
    bl_label = "Generate 3D from Image"
    bl_description = "Make an object of each image; without a choice of files, of every image in the folder"
    # Without REGISTER: "Adjust Last Operation" would queue the images again, for undo does not reach the queue.
    bl_options = {"UNDO"}

    filter_image: bpy.props.BoolProperty(default=True, **_FILES)
    filter_folder: bpy.props.BoolProperty(default=True, **_FILES)

    def invoke(self, context, event):
        if self.files:
            return self.execute(context)
        return super().invoke(context, event)

    def execute(self, context):
        if session.intake is not None:
            self.report({"ERROR"}, "Other images are being read. Try again in a moment.")
            return {"CANCELLED"}
        paths = self.paths()
        if not paths:
            self.report({"ERROR"}, "There is no image here. Choose PNG, JPEG, WebP, TIFF or EXR files.")
            return {"CANCELLED"}
        if len(paths) == 1:
            # In the panel too, to try it with other settings.
            with contextlib.suppress(RuntimeError):
                context.scene.espalier.image = bpy.data.images.load(str(paths[0]), check_existing=True)
        settings, images = context.scene.espalier, []
        request = generation(settings, paths[0].name)
        for path in paths:
            if not settings.lock_seed:
                settings.seed = new_seed()
            own = {"name": object_name(path.name), "image": path.name, "seed": settings.seed}
            images.append((path, {**request, **own}))
        session.message = None
        intake = Intake(images, order_here(context))
        # One is read at once, so that the first job can begin; the rest while Blender goes on with its own work.
        while intake.left and not intake.taken:
            intake.step()
        session.take_in(intake)
        if not intake.taken:
            self.report({"ERROR"}, told(intake.refused[0]))
            return {"CANCELLED"}
        if len(paths) > 1:
            self.report({"INFO"}, rpt_("{count} images go into the queue", count=len(paths)))
        return {"FINISHED"}


class ESPALIER_OT_texture_dropped(_Files, bpy.types.Operator):
    kind = "texture"
    bl_idname = ids.OP_TEXTURE_DROPPED
    bl_label = "Texture Mesh from Image"
    bl_description = "Paint the mesh under the pointer, or else the selected ones, after the image"
    bl_options = {"UNDO", "INTERNAL"}

    def invoke(self, context, event):
        if context.mode == "OBJECT":
            item = mesh_under(context, event.mouse_region_x, event.mouse_region_y)
            if item is not None:
                for other in context.selected_objects:
                    other.select_set(False)
                item.select_set(True)
                context.view_layer.objects.active = item
        return self.execute(context)

    def execute(self, context):
        paths = self.paths()
        if len(paths) != 1:
            self.report({"ERROR"}, "Drop one image on a mesh to texture it.")
            return {"CANCELLED"}
        try:
            bpy.ops.espalier.open_image(filepath=str(paths[0]))
            context.scene.espalier.mode = "TEXTURE"
            reason = why_not_texture(context)
            if reason:
                self.report({"WARNING"}, f"{told(reason)}.")
                return {"FINISHED"}
            return bpy.ops.espalier.texture()
        except RuntimeError as error:
            # The report of an operator that is called arrives as an exception.
            self.report({"ERROR"}, reported(error))
            return {"CANCELLED"}


def mesh_under(context, x, y):
    """The mesh object at a pixel of the viewport's region; None where there is none."""
    region, view = context.region, context.region_data
    if region is None or view is None:
        return None
    origin = view3d_utils.region_2d_to_origin_3d(region, view, (x, y))
    direction = view3d_utils.region_2d_to_vector_3d(region, view, (x, y))
    hit, _, _, _, item, _ = context.scene.ray_cast(context.view_layer.depsgraph, origin, direction)
    if not hit or item.type != "MESH" or item.name not in context.view_layer.objects:
        return None
    return item.original
