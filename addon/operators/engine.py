# SPDX-License-Identifier: GPL-3.0-or-later
"""Give memory back, stop or restart the engine."""

import bpy

from .. import compat, ids
from ..languages import iface_
from ..session import session


class _EngineOperator:
    @classmethod
    def poll(cls, context):
        if session.queue is None or not session.queue.engine.running:
            cls.poll_message_set(iface_("The engine is not running, and holds no memory"))
            return False
        return True


class ESPALIER_OT_free_memory(_EngineOperator, bpy.types.Operator):
    bl_idname = ids.OP_FREE_MEMORY
    bl_label = "Free Memory"
    bl_description = (
        "Let the engine drop its models, so that rendering can use the memory. The next job loads them again"
    )

    @classmethod
    def poll(cls, context):
        if session.queue is not None and session.queue.running is not None:
            cls.poll_message_set(iface_("A job is running and needs the memory"))
            return False
        return super().poll(context)

    def execute(self, context):
        session.queue.engine.release()
        compat.return_freed_memory()
        return {"FINISHED"}


class ESPALIER_OT_stop_engine(_EngineOperator, bpy.types.Operator):
    bl_idname = ids.OP_STOP_ENGINE
    bl_label = "Stop Engine"
    bl_description = "End the engine and what it is doing. The next Generate starts it again"

    def execute(self, context):
        session.queue.clear_waiting()
        session.queue.shutdown()
        return {"FINISHED"}


class ESPALIER_OT_restart_engine(_EngineOperator, bpy.types.Operator):
    bl_idname = ids.OP_RESTART_ENGINE
    bl_label = "Restart Engine"
    bl_description = "End an engine that does not answer and start a new one"

    def execute(self, context):
        session.queue.engine.restart()
        return {"FINISHED"}
