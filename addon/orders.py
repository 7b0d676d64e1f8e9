# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results shall go: as the panel says now, or as far as that can be known of a job from an earlier Blender."""

from dataclasses import replace

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


def order_of(context, request):
    """The order for a job of an earlier Blender, by its request."""
    scene, name = context.scene.name, str(request.get("name", ""))
    if request.get("kind") == "texture":
        return TextureOrder(scene, name, 0, (), EARLIER)
    if request.get("kind") == "refinish":
        return ReplaceOrder(scene, name, 0, EARLIER)
    return order_here(context)
