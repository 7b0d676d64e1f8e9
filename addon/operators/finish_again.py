# SPDX-License-Identifier: GPL-3.0-or-later
"""Finish the active object again with other settings, and put it in the place of the old one as one undo step."""

import bpy

from .. import ids
from ..client import ClientError
from ..finish_settings import asked, settings_of, take
from ..history import generation_of
from ..languages import iface_, rpt_, told
from ..order import ReplaceOrder
from ..request import make_refinish_request
from ..session import session
from ..stages import duration
from .build_result import amount
from .generate import no_engine


def why_not_again(context):
    """Why Finish Again cannot be pressed, as a sentence; "" when it can."""
    item = context.active_object
    if item is None or generation_of(item) is None:
        return "Select an object that was generated here and whose job is still on this computer"
    if ids.PROP_LOD in item:
        return "Select the object itself: its levels of detail are finished with it"
    return no_engine() or ("" if context.mode == "OBJECT" else "Return to Object Mode first")


class ESPALIER_OT_finish_again(bpy.types.Operator):
    bl_idname = ids.OP_FINISH_AGAIN
    bl_label = "Finish Again"
    bl_description = (
        "Make mesh and maps of the active object anew with these settings, without generating it again. "
        "It keeps its place, size and modifiers; changes that were made to its mesh are replaced"
    )

    @classmethod
    def poll(cls, context):
        reason = why_not_again(context)
        if reason:
            cls.poll_message_set(told(reason))
        return not reason

    def execute(self, context):
        item = context.active_object
        made = generation_of(item)
        request = make_refinish_request(item.name, made.folder, made.request, asked(context.scene.espalier.finish))
        order = ReplaceOrder(context.scene.name, item.name, item.session_uid, session.opened)
        try:
            session.submit(None, "", request, order)
        except ClientError as error:
            session.tell(error.problem)
            self.report({"ERROR"}, told(error.sentence))
            return {"CANCELLED"}
        return {"FINISHED"}


class ESPALIER_OT_take_settings(bpy.types.Operator):
    bl_idname = ids.OP_TAKE_SETTINGS
    bl_label = "Take Its Settings"
    bl_description = "Set everything under Finish to what the active object was made with"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.active_object is None or not settings_of(context.active_object):
            cls.poll_message_set(iface_("Select an object that was generated"))
            return False
        return True

    def execute(self, context):
        try:
            take(context.scene.espalier.finish, settings_of(context.active_object))
        except (TypeError, ValueError, AttributeError) as error:
            text = rpt_("The settings of “{name}” cannot be read: {why}.", name=context.active_object.name, why=error)
            self.report({"ERROR"}, text)
            return {"CANCELLED"}
        return {"FINISHED"}


class ESPALIER_OT_replace_result(bpy.types.Operator):
    bl_idname = ids.OP_REPLACE_RESULT
    bl_label = "Finish Again"
    bl_description = "Put the new mesh and maps on the object that they were made for"
    bl_options = {"UNDO", "INTERNAL"}

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        from ..scene.asset import BadResult
        from ..scene.extract import Refused

        job = session.queue.jobs.get(self.job) if session.queue is not None else None
        if job is None or self.job not in session.ready:
            self.report({"WARNING"}, "This result is in the scene already, or its job is gone.")
            return {"CANCELLED"}
        try:
            text = _replace(job, session.orders[self.job])
        except (BadResult, Refused) as error:
            session.not_built(self.job, str(error), can_retry=isinstance(error, BadResult))
            self.report({"ERROR"}, told(str(error)))
            return {"CANCELLED"}
        session.built(self.job, text)
        self.report({"INFO"}, text)
        return {"FINISHED"}


def _replace(job, order):
    """Put the result on its object and return the report for the user."""
    from ..client.store import JobStore
    from ..scene import Provenance, read_result
    from ..scene.extract import Refused
    from ..scene.replace import replace_in_place
    from ..scene.retexture import find_object

    item = find_object(order.name, order.uid if order.opened == session.opened else None)
    if item is None:
        text = "“{name}” is no longer in the file. The new result is kept in {folder}."
        raise Refused(rpt_(text, name=order.name, folder=job.folder))
    asset = read_result(job.folder)
    request = JobStore(job.folder.parent).read(job.folder).request
    notes = replace_in_place(item, asset, _built(item), Provenance.of(request, job.id))
    seconds = sum(job.seconds.values())
    took = f", {duration(seconds)}" if seconds else ""
    text = rpt_("{name}: finished again, {made}{took}.", name=item.name, made=amount(asset), took=took)
    return " ".join([text, *map(told, notes)])


def _built(item):
    """The result that the object was built from; None when it is lost."""
    from ..history import job_of
    from ..scene import read_result
    from ..scene.asset import BadResult

    stored = job_of(item)
    try:
        return None if stored is None else read_result(stored.folder)
    except BadResult:
        return None
