# SPDX-License-Identifier: GPL-3.0-or-later
"""A result in the place of an earlier one: the same object with a new mesh and new maps."""

from __future__ import annotations

import bpy
import numpy as np

from .. import ids
from .asset import Asset, Provenance
from .build import material_of
from .extract import Refused, find_obstacle
from .fit import frame_in_mesh, map_asset
from .lods import add_lod, lods_of
from .material import is_ours, maps_of, name_material
from .mesh import fill_mesh, set_materials
from .record import record


def replace_in_place(item, asset: Asset, built: Asset | None, provenance: Provenance):
    """Fill the mesh of ``item`` with ``asset``, show its maps, and return sentences about what else that changed.

    ``built`` is the result that the mesh was built from, None when it is lost: the new one goes where that is, so that
    the object does not move, whatever was applied to it. Name, transform, collections, parent, modifiers, vertex groups
    (empty now), slots and materials of the user stay. Objects that share the mesh share the new one: linked duplicates
    follow, as after any edit of a mesh. Levels of detail are replaced in the same way; those that ``asset`` has not
    are removed, and further ones are added. Raises Refused for an object that cannot be changed.
    """
    lods = lods_of(item)
    for each in (item, *lods.values()):
        obstacle = find_obstacle(each)
        if obstacle:
            raise Refused(obstacle)
    notes = []
    if item.data.shape_keys is not None:
        notes.append("Its shape keys belonged to the old mesh and are gone.")
    rows = _refill(item, asset, built)
    sharing = [other for other in bpy.data.objects if other.data == item.data]
    _show(item, sharing, lods.values(), asset)
    _replace_lods(item, lods, asset, built, rows, provenance)
    for other in sharing:
        if other == item or ids.PROP_JOB in other:
            record(other, provenance)
    others = len(sharing) - 1
    if others:
        notes.append(
            f"{others} more {'objects share' if others > 1 else 'object shares'} its mesh and changed with it."
        )
    return notes


def _refill(item, asset, built):
    """Give the mesh of an object the geometry of ``asset`` and return the map into it (``frame_in_mesh``)."""
    mesh = item.data
    rows = frame_in_mesh(None if built is None else built.vertices, _points(mesh), asset.vertices)
    if mesh.shape_keys is not None:
        item.shape_key_clear()
    groups = [group.name for group in item.vertex_groups]
    mesh.clear_geometry()
    fill_mesh(mesh, *map_asset(rows, asset.vertices, asset.faces, asset.uv, asset.normals))
    if asset.attributes is not None:
        set_materials(mesh, asset.attributes)
    for group in groups:
        # Emptied with the old vertices; modifiers that name them stay as they are.
        item.vertex_groups.new(name=group)
    return rows


def _replace_lods(item, lods, asset, built, rows, provenance):
    for number, level in enumerate(asset.lods, 1):
        lod = lods.pop(number, None)
        if lod is None:
            add_lod(item, number, level, rows, provenance)
        else:
            levels = built.lods if built is not None else ()
            _refill(lod, level, levels[number - 1] if number <= len(levels) else None)
            record(lod, provenance)
    for lod in lods.values():
        mesh = lod.data
        bpy.data.objects.remove(lod)
        if not mesh.users:
            bpy.data.meshes.remove(mesh)


def _points(mesh):
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)


def _show(item, sharing, lods, asset):
    """Put a new material where the old one of ours was; where there is none, into the first slot.

    ``sharing`` are the objects with the same mesh, ``lods`` its levels of detail.
    """
    slots = [slot for other in sharing for slot in other.material_slots if is_ours(slot.material)]
    old = list({slot.material: None for slot in slots})
    name = old[0].name if old else item.name
    material = material_of(name, asset)
    if not slots:
        if not len(item.material_slots):
            item.data.materials.append(None)
        slots = [item.material_slots[0]]
    slots += [slot for lod in lods for slot in lod.material_slots if is_ours(slot.material)]
    for slot in slots:
        slot.material = material
    for each in old:
        _remove_unused(each)
    name_material(material, name)


def _remove_unused(material):
    """Remove a material of ours, and its maps, that nothing uses any more; undo brings them back."""
    if material.users:
        return
    maps = set(maps_of(material))
    bpy.data.materials.remove(material)
    for image in maps:
        if not image.users:
            bpy.data.images.remove(image)
