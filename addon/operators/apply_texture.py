# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a finished texture on the object that it was made for, as one undo step."""

import bpy

from .. import ids, placing
from ..languages import rpt_, told
from ..session import session
from ..stages import duration
from .build_result import show_in_local_views
from .texture import targets


class ESPALIER_OT_apply_texture(bpy.types.Operator):
    bl_idname = ids.OP_APPLY_TEXTURE
    bl_label = "Texture from Image"
    bl_description = "Put the finished texture on its object or a copy of it, as a new material in all its slots"
    bl_options = {"UNDO", "INTERNAL"}

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        from ..scene.asset import BadResult
        from ..scene.extract import Refused

        job = session.queue.jobs.get(self.job) if session.queue is not None else None
        if job is None or self.job not in session.ready:
            self.report({"WARNING"}, "This texture is on its object already, or its job is gone.")
            return {"CANCELLED"}
        try:
            text = put_texture(context, job, session.orders[self.job])
        except (BadResult, Refused) as error:
            session.not_built(self.job, str(error), can_retry=isinstance(error, BadResult))
            self.report({"ERROR"}, told(str(error)))
            return {"CANCELLED"}
        session.built(self.job, text)
        self.report({"INFO"}, text)
        return {"FINISHED"}


def put_texture(context, job, order=None):
    """Put the texture of a finished job on its object and return the report for the user. Raises BadResult, Refused.

    As long as the file is open in which ``order`` was given, that is the very object that was meant. Otherwise it is
    the one of its name, or a selected mesh, whose faces and UVs are those that the texture was made for.
    """
    from ..client.store import JobStore
    from ..scene import Provenance
    from ..scene.asset import read_texture
    from ..scene.build import make_active
    from ..scene.extract import Refused
    from ..scene.retexture import apply_texture, find_fitting, find_object, target_of

    request = JobStore(job.folder.parent).read(job.folder).request
    target = target_of(request, job.folder)
    if order is not None and order.opened == session.opened:
        scene, item = placing.target_scene(order, context), find_object(order.name, order.uid)
        if item is None:
            raise Refused(
                rpt_(
                    "“{name}” is no longer in the file. "
                    "Its texture is kept: select a mesh like it and press Apply Texture in Results.",
                    name=order.name,
                )
            )
    else:
        scene, item = context.scene, find_fitting(job.name, target, targets(context))
    provenance = Provenance.of(request, job.id)
    textured, _, more = apply_texture(item, read_texture(job.folder), target, job.folder, provenance, scene)
    if textured != item:
        make_active(context.view_layer if scene == context.scene else scene.view_layers[0], textured)
        show_in_local_views(context, textured)
    item = textured
    sharing = sum(other.data == item.data for other in bpy.data.objects) - 1
    notes = [*(order.notes if order is not None else ()), *more]
    if sharing == 1:
        notes.append(rpt_("1 more object shares its mesh and the texture."))
    elif sharing:
        notes.append(rpt_("{count} more objects share its mesh and the texture.", count=sharing))
    seconds = sum(job.seconds.values()) if order is not None else 0
    took = f", {duration(seconds)}" if seconds else ""
    text = rpt_("{name}: textured, seed {seed}{took}.", name=item.name, seed=request.get("seed", 0), took=took)
    return " ".join([text, *map(told, notes)])
