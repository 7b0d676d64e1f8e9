# SPDX-License-Identifier: GPL-3.0-or-later
"""When and where a finished result may enter the scene."""

import bpy

from . import compat
from .session import session

# While one of these holds the mouse, a new selection or undo step would come between its beginning and its end.
EXCLUSIVE = ("TRANSFORM_OT_", "MESH_OT_", "OBJECT_OT_", "CURVE_OT_", "SCULPT_OT_", "PAINT_OT_")


def target_scene(order, context):
    """The scene that a result was asked for in; when it is gone, the one that is open."""
    return bpy.data.scenes.get(order.scene) or context.scene


def needs_consent(job_id):
    """Whether the user has to say that the result may enter the file that is open: it was asked for in another one."""
    return session.orders[job_id].opened != session.opened


def obstacle(job_id, context):
    """Why the result cannot be placed by itself just now, as a short sentence; "" when it can."""
    if needs_consent(job_id):
        return "Another file was opened meanwhile"
    if bpy.app.is_job_running("RENDER"):
        return "It is placed when the render is done"
    for window in context.window_manager.windows:
        active = window.view_layer.objects.active
        if active is not None and active.mode != "OBJECT":
            return "It is placed when you return to Object Mode"
        if any(name.startswith(EXCLUSIVE) for name in compat.modal_operators(window)):
            return "It is placed when the tool is done"
    return ""


def window_for(scene, context):
    """A window that shows ``scene``, else any."""
    windows = context.window_manager.windows
    return next((window for window in windows if window.scene == scene), windows[0] if windows else None)
