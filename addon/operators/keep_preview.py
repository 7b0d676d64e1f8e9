# SPDX-License-Identifier: GPL-3.0-or-later
"""Make an object of what a cancelled job had so far."""

import bpy

from .. import ids
from ..orders import order_here
from ..session import session
from .generate import InObjectMode


class ESPALIER_OT_keep_preview(InObjectMode, bpy.types.Operator):
    bl_idname = ids.OP_KEEP_PREVIEW
    bl_label = "Keep What There Is"
    bl_description = "Put what the cancelled job had so far into the scene as a light mesh, where it was shown"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        from ..live_view import read_arrays
        from ..scene.asset import Texture
        from ..scene.build import place
        from ..scene.material import build_draft_material
        from ..scene.mesh import build_mesh, frame_on_ground, set_materials

        job = session.queue.jobs.get(self.job) if session.queue is not None else None
        arrays = read_arrays(job.live) if job is not None and job.live is not None else None
        if arrays is None:
            self.report({"WARNING"}, "Nothing was kept of this job.")
            return {"CANCELLED"}
        vertices, faces, attributes = arrays
        order = session.orders.get(self.job)
        if order is None or order.opened != session.opened:
            order = order_here(context)
        rows = frame_on_ground(vertices, order.size / context.scene.unit_settings.scale_length)
        mesh = build_mesh(job.name, vertices @ rows[:3] + rows[3], faces)
        if attributes is not None:
            colour = {"mean_colour": attributes[:, :3].mean(axis=0).tolist()}
            mesh.materials.append(build_draft_material(job.name, Texture(report=colour)))
            set_materials(mesh, attributes)
        item = bpy.data.objects.new(job.name, mesh)
        item.location = order.location
        place(context.scene, item, context.view_layer, order.collection)
        session.message = None
        return {"FINISHED"}
