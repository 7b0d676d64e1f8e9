# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a log file, or at the preferences."""

from pathlib import Path

import bpy

from .. import ids, preferences
from ..languages import iface_
from ..session import LOG_NAME, session


def log_file():
    """The log that tells most about the last failure, or None."""
    told = [message.log for message in reversed(session.messages) if message.is_error]
    candidates = [*told[:1], str(preferences.data() / "logs" / LOG_NAME)]
    return next((path for path in map(Path, filter(None, candidates)) if path.is_file()), None)


class ESPALIER_OT_open_log(bpy.types.Operator):
    bl_idname = ids.OP_OPEN_LOG
    bl_label = "Open Log"
    bl_description = "Open what the engine wrote down, with the technical cause of a failure"

    @classmethod
    def poll(cls, context):
        if log_file() is None:
            cls.poll_message_set(iface_("There is no log yet"))
            return False
        return True

    def execute(self, context):
        path = log_file()
        bpy.ops.wm.path_open(filepath=str(path))
        self.report({"INFO"}, str(path))
        return {"FINISHED"}


class ESPALIER_OT_dismiss(bpy.types.Operator):
    bl_idname = ids.OP_DISMISS
    bl_label = "Dismiss"
    bl_description = "Take these messages out of the panel. Jobs and results stay as they are"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        session.message = None
        return {"FINISHED"}


class ESPALIER_OT_open_preferences(bpy.types.Operator):
    bl_idname = ids.OP_OPEN_PREFERENCES
    bl_label = "Espalier Preferences"
    bl_description = "Show the preferences of Espalier: engine, data folder, models"

    def execute(self, context):
        bpy.ops.preferences.addon_show(module=ids.PACKAGE)
        return {"FINISHED"}
