# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the engine's own Python environment."""

import bpy

from .. import ids, preferences
from ..client.install import EngineInstall, carries_wheels
from ..languages import iface_
from ..session import session


class ESPALIER_OT_install_engine(bpy.types.Operator):
    bl_idname = ids.OP_INSTALL_ENGINE
    bl_label = "Install Engine"
    bl_description = "Download what makes the objects into the data folder, apart from Blender and other extensions"

    @classmethod
    def poll(cls, context):
        if session.install is not None:
            cls.poll_message_set(iface_("The engine is being installed"))
            return False
        if session.queue is not None and session.queue.busy:
            cls.poll_message_set(iface_("A job is running: cancel it or wait for its end"))
            return False
        if not bpy.app.online_access and not carries_wheels(preferences.EXTENSION):
            cls.poll_message_set(iface_("Blender may not go online: allow it in Preferences, System, Network"))
            return False
        return True

    def execute(self, context):
        if session.queue is not None:
            # Windows cannot replace the files of an engine that runs.
            session.queue.engine.shutdown()
        session.message = None
        session.install = EngineInstall(preferences.data(), preferences.EXTENSION)
        return {"FINISHED"}


class ESPALIER_OT_cancel_install(bpy.types.Operator):
    bl_idname = ids.OP_CANCEL_INSTALL
    bl_label = "Cancel"
    bl_description = "Stop the installation. What was downloaded is kept"

    @classmethod
    def poll(cls, context):
        if session.install is None:
            cls.poll_message_set(iface_("Nothing is being installed"))
            return False
        return True

    def execute(self, context):
        session.install.cancel()
        return {"FINISHED"}
