# SPDX-License-Identifier: GPL-3.0-or-later
"""What a developer has to know of a failure, as text in the clipboard."""

import platform
import sys

import bpy

from .. import ids
from ..languages import rpt_
from ..session import session
from .logs import log_file

LOG_BYTES = 8000


def report():
    """Versions, machine, messages and the end of the log. Nothing of it is sent anywhere."""
    engine = session.queue.engine if session.queue is not None else None
    lines = [
        f"Blender {bpy.app.version_string}, Python {sys.version.split()[0]}, {platform.platform()}",
        f"Espalier: engine {engine.state.value if engine is not None else 'not used yet'}",
    ]
    if engine is not None and engine.hello is not None:
        hello = engine.hello
        lines.append(f"Engine {hello['version']}, torch {hello['torch']}, Python {hello['python']}")
        lines.append(f"Device {hello['device']}, memory {hello['memory']}, now {engine.memory}")
    if engine is not None and engine.problem is not None:
        lines.append(f"Last trouble: {engine.problem.code}: {engine.problem.sentence} {engine.problem.hint}".rstrip())
    lines += [f"Message: {message.text} {message.hint}".rstrip() for message in session.messages]
    path = log_file()
    if path is not None:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            lines += ["", f"The end of {path.name}:", file.read().decode("utf-8", "replace").rstrip()]
    return "\n".join(lines) + "\n"


class ESPALIER_OT_copy_report(bpy.types.Operator):
    bl_idname = ids.OP_COPY_REPORT
    bl_label = "Copy Report"
    bl_description = "Copy versions, machine, messages and the end of the log, to paste into a bug report"

    def execute(self, context):
        try:
            context.window_manager.clipboard = report()
        except OSError as error:
            text = rpt_("The log cannot be read: {why}. Open it with Open Log.", why=error.strerror)
            self.report({"ERROR"}, text)
            return {"CANCELLED"}
        self.report({"INFO"}, "The report is in the clipboard")
        return {"FINISHED"}
