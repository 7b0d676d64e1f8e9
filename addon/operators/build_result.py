# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a finished result into the scene, as one undo step."""

import bpy

from .. import ids, placing
from ..languages import rpt_, told
from ..orders import order_here
from ..session import session
from ..stages import duration


class ESPALIER_OT_build_result(bpy.types.Operator):
    bl_idname = ids.OP_BUILD_RESULT
    bl_label = "Generate from Image"
    bl_description = "Put the finished object into the scene at the 3D cursor"
    bl_options = {"UNDO", "INTERNAL"}

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        from ..scene.asset import BadResult

        job = session.queue.jobs.get(self.job) if session.queue is not None else None
        if job is None or self.job not in session.ready:
            self.report({"WARNING"}, "This result is in the scene already, or its job is gone.")
            return {"CANCELLED"}
        order = session.orders[self.job]
        if order.opened != session.opened:
            # Asked for in another file: it goes where the cursor of this one is.
            order = order_here(context)
        try:
            item, asset, seed = build(context, job, order)
        except BadResult as error:
            session.not_built(self.job, str(error))
            self.report({"ERROR"}, told(str(error)))
            return {"CANCELLED"}
        seconds = sum(job.seconds.values())
        took = f", {duration(seconds)}" if seconds else ""
        text = rpt_("{name}: {made}, seed {seed}{took}", name=item.name, made=amount(asset), seed=seed, took=took)
        place, hider = at_its_place(item, context.view_layer)
        session.built(self.job, ". ".join([text, *place]), hider)
        return {"FINISHED"}


def at_its_place(item, layer):
    """What there is to say of the place where a new object stands, why it may not be seen there: a list of sentences,
    and the name of the object that hides it, "" without one.
    """
    if twin := placing.twin_of(item, layer):
        text = "“{name}”, which is the same, stands there already: move the 3D cursor, or choose another seed."
        return [rpt_(text, name=twin)], ""
    if hider := placing.hidden_in(item, layer):
        return [rpt_("It stands inside “{name}”, which hides it.", name=hider)], hider
    return [], ""


def amount(asset):
    """How much there is of a result, in words."""
    faces, lods = len(asset.faces), len(asset.lods)
    if lods:
        return rpt_("{faces:,} faces and {count} LODs", faces=faces, count=lods)
    return rpt_("{faces:,} faces", faces=faces)


def build(context, job, order):
    """Build a job's result in the scene; return the object, the result and its seed. Raises BadResult."""
    from ..client.store import JobStore
    from ..scene import Placement, Provenance, build_object, read_result
    from ..scene.library import describe, mark_asset

    asset = read_result(job.folder)
    stored = JobStore(job.folder.parent).read(job.folder)
    request = stored.request
    scene = placing.target_scene(order, context)
    layer = context.view_layer if scene == context.scene else scene.view_layers[0]
    provenance = Provenance.of(request, job.id)
    placement = Placement(order.location, order.size, order.collection)
    item = build_object(scene, job.name, asset, placement, provenance, layer)
    if order.is_asset:
        mark_asset(item, stored.preview, describe(provenance), order.tags)
    show_in_local_views(context, item)
    return item, asset, provenance.seed


def show_in_local_views(context, item):
    """A viewport in local view shows only what was there when it began; the user wants to see what just arrived."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            space = area.spaces.active
            if area.type == "VIEW_3D" and space.local_view is not None and item.name in window.view_layer.objects:
                item.local_view_set(space, True)
