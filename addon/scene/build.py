# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished asset becomes an object in a scene, standing where it was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from .. import ids
from .asset import Asset, Provenance
from .fit import map_asset
from .lods import build_lods
from .material import build_draft_material, build_material
from .mesh import build_mesh, frame_on_ground, set_materials
from .record import record


@dataclass(frozen=True)
class Placement:
    """Where the base's centre stands, in scene units, and the length of the longest side in metres; the collection by
    name, "" for our own.
    """

    location: tuple[float, float, float] = (0.0, 0.0, 0.0)
    size: float = 1.0
    collection: str = ""


def build_object(scene, name, asset: Asset, placement: Placement, provenance: Provenance, view_layer=None):
    """Make the mesh, material and object of ``asset`` in ``scene`` and return the object.

    It stands on its base in its collection ("Espalier" of the scene where none is named), with a scale of 1, and is
    selected and active in ``view_layer`` where that is given; its levels of detail stand hidden beside it. Nothing
    that was there before is renamed, moved or deleted.
    """
    rows = frame_on_ground(asset.vertices, placement.size / scene.unit_settings.scale_length)
    mesh = build_mesh(name, *map_asset(rows, asset.vertices, asset.faces, asset.uv, asset.normals))
    mesh.materials.append(material_of(name, asset))
    if asset.attributes is not None:
        set_materials(mesh, asset.attributes)
    item = bpy.data.objects.new(name, mesh)
    item.location = placement.location
    record(item, provenance)
    _collection(scene, view_layer, placement.collection).objects.link(item)
    build_lods(item, asset.lods, rows, provenance)
    if view_layer is not None:
        make_active(view_layer, item)
    return item


def place(scene, item, view_layer, collection=""):
    """Put an object into a collection by name, "" for that of results, selected and active."""
    _collection(scene, view_layer, collection).objects.link(item)
    make_active(view_layer, item)


def material_of(name, asset: Asset):
    """A new material that shows the maps of an asset, or the attributes of a draft."""
    if asset.attributes is not None:
        return build_draft_material(name, asset.texture)
    return build_material(name, asset.texture)


def _collection(scene, view_layer, name):
    """The scene's collection of this name, or else that for results, made when it is missing.

    One that the user has hidden or excluded keeps being so; the object then goes beside it, where it can be seen.
    """
    candidates = [
        found
        for found in scene.collection.children_recursive
        if found.library is None and found.override_library is None
    ]
    named = [found for found in candidates if found.name == name]
    ours = [found for found in candidates if found.name.partition(".")[0] == ids.COLLECTION]
    if named or ours:
        found = (named or ours)[0]
    else:
        found = bpy.data.collections.new(ids.COLLECTION)
        scene.collection.children.link(found)
    if view_layer is not None:
        # A view layer knows collections only after it was updated; a new one knows none.
        view_layer.update()
        layer = _layer_collection(view_layer.layer_collection, found)
        if layer is not None and not layer.is_visible:
            return scene.collection
    return found


def _layer_collection(parent, collection):
    if parent.collection == collection:
        return parent
    for child in parent.children:
        found = _layer_collection(child, collection)
        if found is not None:
            return found
    return None


def make_active(view_layer, item):
    """Select an object, and no other, and make it the active one; nothing where the view layer does not show it."""
    view_layer.update()
    if item.name not in view_layer.objects:
        return
    for other in view_layer.objects.selected:
        other.select_set(False, view_layer=view_layer)
    item.select_set(True, view_layer=view_layer)
    view_layer.objects.active = item
