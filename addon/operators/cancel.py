# SPDX-License-Identifier: GPL-3.0-or-later
"""End the generation that runs."""

import bpy

from .. import ids
from ..languages import iface_
from ..session import session


class ESPALIER_OT_cancel(bpy.types.Operator):
    bl_idname = ids.OP_CANCEL
    bl_label = "Cancel"
    bl_description = "Stop making this object. Pressed again after five seconds, it ends the engine too"

    @classmethod
    def poll(cls, context):
        if session.current() is None:
            cls.poll_message_set(iface_("Nothing is running"))
            return False
        return True

    def execute(self, context):
        session.queue.cancel(session.current().id)
        return {"FINISHED"}
