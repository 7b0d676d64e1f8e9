# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a finished texture on the object that it was made for, as one undo step."""

import bpy

from .. import ids, placing
from ..languages import rpt_, told
from ..session import session
from ..stages import duration
from .build_result import show_in_local_views


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
            text = _apply(context, job, session.orders[self.job])
        except (BadResult, Refused) as error:
            session.not_built(self.job, str(error), can_retry=isinstance(error, BadResult))
            self.report({"ERROR"}, told(str(error)))
            return {"CANCELLED"}
        session.built(self.job, text)
        self.report({"INFO"}, text)
        return {"FINISHED"}


def _apply(context, job, order):
    """Apply the result and return the report for the user."""
    from ..client.store import JobStore
    from ..scene import Provenance
    from ..scene.asset import read_texture
    from ..scene.build import make_active
    from ..scene.extract import Refused
    from ..scene.retexture import apply_texture, find_object

    item = find_object(order.name, order.uid if order.opened == session.opened else None)
    if item is None:
        text = "“{name}” is no longer in the file. Its texture is kept in {folder}."
        raise Refused(rpt_(text, name=order.name, folder=job.folder))
    request = JobStore(job.folder.parent).read(job.folder).request
    scene, provenance = placing.target_scene(order, context), Provenance.of(request, job.id)
    target = request.get("target", {})
    textured, _, more = apply_texture(item, read_texture(job.folder), target, job.folder, provenance, scene)
    if textured != item:
        make_active(context.view_layer if scene == context.scene else scene.view_layers[0], textured)
        show_in_local_views(context, textured)
    item = textured
    sharing = sum(other.data == item.data for other in bpy.data.objects) - 1
    notes = [*order.notes, *more]
    if sharing == 1:
        notes.append(rpt_("1 more object shares its mesh and the texture."))
    elif sharing:
        notes.append(rpt_("{count} more objects share its mesh and the texture.", count=sharing))
    seconds = sum(job.seconds.values())
    took = f", {duration(seconds)}" if seconds else ""
    text = rpt_("{name}: textured, seed {seed}{took}.", name=item.name, seed=request.get("seed", 0), took=took)
    return " ".join([text, *map(told, notes)])
