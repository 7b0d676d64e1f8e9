# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results shall go: as the panel says now, or as far as that can be known of a job from an earlier Blender."""

from dataclasses import replace

from . import ids
from .order import Order, ReplaceOrder, TextureOrder
from .session import session

# Between objects made at once, as a share of their size.
GAP = 0.25

# A file that was open before this Blender was: the user has to agree before anything enters the present one.
EARLIER = -1


def order_here(context):
    """The order for a result where the panel wants it, in the open scene."""
    scene, settings = context.scene, context.scene.espalier
    x, y, z = scene.cursor.location
    places = {"CURSOR": (x, y, z), "GROUND": (x, y, 0.0), "ORIGIN": (0.0, 0.0, 0.0)}
    return Order(
        scene.name,
        places[settings.place],
        settings.size_metres,
        session.opened,
        settings.collection.name if settings.collection is not None else "",
        settings.is_asset,
        tuple(tag.strip() for tag in settings.asset_tags.split(",") if tag.strip()) if settings.is_asset else (),
    )


def next_in_row(order):
    """The order for the next of several objects, beside this one along X."""
    x, y, z = order.location
    return replace(order, location=(x + (1 + GAP) * order.size, y, z))


def order_beside(context, job_id):
    """The order for another object of a job: beside its own, or where the panel wants it when there is none."""
    order = order_here(context)
    made = [item for item in context.scene.objects if item.get(ids.PROP_JOB) == job_id and ids.PROP_LOD not in item]
    if not made:
        return order
    return next_in_row(replace(order, location=tuple(made[0].matrix_world.translation)))


def order_of(context, request):
    """The order for a job of an earlier Blender, by its request."""
    scene, name, beside = context.scene.name, str(request.get("name", "")), request.get("beside")
    if request.get("kind") == "texture":
        return TextureOrder(scene, name, 0, EARLIER, ())
    if beside is not None:
        return order_beside(context, str(beside))
    if request.get("kind") == "refinish":
        return ReplaceOrder(scene, name, 0, EARLIER)
    return order_here(context)
