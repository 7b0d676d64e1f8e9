# SPDX-License-Identifier: GPL-3.0-or-later
"""When and where a finished result may enter the scene."""

import bpy
from mathutils import Vector

from . import compat, ids
from .session import session

# While one of these holds the mouse, a new selection or undo step would come between its beginning and its end.
EXCLUSIVE = ("TRANSFORM_OT_", "MESH_OT_", "OBJECT_OT_", "CURVE_OT_", "SCULPT_OT_", "PAINT_OT_")

# What an object stands in hides it up to so many times its size; what is larger is where it stands.
LARGER = 4.0
# Closer than this share of an object's size is in one place.
SAME_PLACE = 0.01


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


def hidden_in(item, layer):
    """The name of a mesh object of ``layer`` that a new object stands inside of, as in the cube of a new file; "" when
    there is none. Rooms and grounds, much larger than it, hide nothing.
    """
    if item.name not in layer.objects:
        return ""
    # Its matrix in the world is known at the next update of the scene only.
    corners = [item.matrix_basis @ Vector(corner) for corner in item.bound_box]
    for other in layer.objects:
        if other == item or other.type != "MESH" or other.display_type in {"BOUNDS", "WIRE"}:
            continue
        if max(other.dimensions) > LARGER * max(item.dimensions) or not other.visible_get(view_layer=layer):
            continue
        low, high = Vector(other.bound_box[0]), Vector(other.bound_box[6])
        # It may be just as high: a metre, as from the middle to the top of the cube of a new file.
        low, high = low - SAME_PLACE * (high - low), high + SAME_PLACE * (high - low)
        inside = other.matrix_world.inverted_safe()
        if all(low[axis] < point[axis] < high[axis] for point in map(inside.__matmul__, corners) for axis in range(3)):
            return other.name
    return ""


def twin_of(item, layer):
    """The name of an object of ``layer`` in the very place of a new one, made of the same image with the same seed and
    settings; "" when there is none.
    """
    made = (ids.PROP_IMAGE, ids.PROP_SEED, ids.PROP_MODEL, ids.PROP_SETTINGS)
    near = SAME_PLACE * max(item.dimensions)
    for other in layer.objects:
        if other == item or ids.PROP_LOD in other:
            continue
        is_same = all(other.get(name) == item.get(name) for name in made)
        if is_same and (other.matrix_world.translation - item.location).length < near:
            return other.name
    return ""


def window_for(scene, context):
    """A window that shows ``scene``, else any."""
    windows = context.window_manager.windows
    return next((window for window in windows if window.scene == scene), windows[0] if windows else None)
