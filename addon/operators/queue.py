# SPDX-License-Identifier: GPL-3.0-or-later
"""Order, pause and clear the jobs that wait; take over those that waited when a Blender ended."""

import bpy

from .. import ids
from ..client import ClientError
from ..languages import iface_, told
from ..order import Order
from ..orders import next_in_row, order_of
from ..session import session
from .generate import WithEngine


class _OfQueue(bpy.types.Operator):
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, _context):
        if session.queue is None:
            cls.poll_message_set(iface_("Nothing waits"))
            return False
        return True


class ESPALIER_OT_queue_hold(_OfQueue):
    bl_idname = ids.OP_QUEUE_HOLD
    bl_label = "Pause"
    bl_description = "Let the job that runs end and begin no other, or go on"

    def execute(self, _context):
        session.queue.on_hold = not session.queue.on_hold
        return {"FINISHED"}


class ESPALIER_OT_queue_clear(_OfQueue):
    bl_idname = ids.OP_QUEUE_CLEAR
    bl_label = "Clear Waiting"
    bl_description = "Cancel every job that has not begun"

    def execute(self, _context):
        session.queue.clear_waiting()
        return {"FINISHED"}


class ESPALIER_OT_queue_move(_OfQueue):
    bl_idname = ids.OP_QUEUE_MOVE
    bl_label = "Move"
    bl_description = "Let this job run sooner or later"

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    places: bpy.props.IntProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, _context):
        session.queue.move(self.job, self.places)
        return {"FINISHED"}


class ESPALIER_OT_queue_remove(_OfQueue):
    bl_idname = ids.OP_QUEUE_REMOVE
    bl_label = "Remove"
    bl_description = "Cancel this job before it begins"

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, _context):
        session.queue.cancel(self.job)
        return {"FINISHED"}


class ESPALIER_OT_queue_earlier(WithEngine, bpy.types.Operator):
    bl_idname = ids.OP_QUEUE_EARLIER
    bl_label = "Earlier Jobs"
    bl_description = (
        "Run the jobs that were waiting when Blender was closed; their objects appear from the 3D cursor on"
    )
    bl_options = {"INTERNAL"}

    def execute(self, context):
        jobs, row = session.shelf.forsaken() if session.shelf is not None else [], None
        try:
            queue = session.connect()
            for listed in jobs:
                session.shelf.touch(listed.id)
                # Another Blender may have taken it since the list was read.
                job = queue.store.read(listed.folder)
                if not job.forsaken:
                    continue
                try:
                    queue.add(job)
                except ClientError as error:
                    # In this very moment: the others are still to be had.
                    if error.code != "busy":
                        raise
                    continue
                order = order_of(context, job.request)
                if isinstance(order, Order) and "beside" not in job.request:
                    order = row = order if row is None else next_in_row(row)
                session.orders[job.id] = order
        except ClientError as error:
            session.tell(error.problem)
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        return {"FINISHED"}


class ESPALIER_OT_discard_earlier(bpy.types.Operator):
    bl_idname = ids.OP_DISCARD_EARLIER
    bl_label = "Discard Earlier Jobs"
    bl_description = "Cancel the jobs that were waiting when Blender was closed"
    bl_options = {"INTERNAL"}

    def execute(self, _context):
        jobs, store = (session.shelf.forsaken(), session.shelf.store) if session.shelf is not None else ([], None)
        try:
            for listed in jobs:
                session.shelf.touch(listed.id)
                # Another Blender may have taken it since the list was read.
                if store.read(listed.folder).forsaken:
                    store.set_state(listed.folder, "cancelled")
        except ClientError as error:
            session.tell(error.problem)
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        return {"FINISHED"}
