# SPDX-License-Identifier: GPL-3.0-or-later
"""A result in the place of an earlier one: the same object with a new mesh and new maps."""

from __future__ import annotations

import bpy
import numpy as np

from .. import ids
from .asset import Asset, Provenance
from .build import material_of, record
from .extract import Refused, find_obstacle
from .fit import frame_in_mesh, map_asset
from .material import name_material
from .mesh import fill_mesh, set_materials


def replace_in_place(item, asset: Asset, built, provenance: Provenance):
    """Fill the mesh of ``item`` with ``asset``, show its maps, and return sentences about what else that changed.

    ``built`` [V, 3] are the vertices of the result that the mesh was built from, or None: the new ones go where these
    are, so that the object does not move, whatever was applied to it. Name, transform, collections, parent, modifiers,
    vertex groups (empty now), slots and materials of the user stay. Objects that share the mesh share the new one:
    linked duplicates follow, as after any edit of a mesh. Raises Refused for an object that cannot be changed.
    """
    obstacle = find_obstacle(item)
    if obstacle:
        raise Refused(obstacle)
    mesh, notes = item.data, []
    rows = frame_in_mesh(built, _points(mesh), asset.vertices)
    if mesh.shape_keys is not None:
        item.shape_key_clear()
        notes.append("Its shape keys belonged to the old mesh and are gone.")
    groups = [group.name for group in item.vertex_groups]
    mesh.clear_geometry()
    fill_mesh(mesh, *map_asset(rows, asset.vertices, asset.faces, asset.uv, asset.normals))
    if asset.attributes is not None:
        set_materials(mesh, asset.attributes)
    for group in groups:
        # Emptied with the old vertices; modifiers that name them stay as they are.
        item.vertex_groups.new(name=group)
    sharing = [other for other in bpy.data.objects if other.data == mesh]
    _show(item, sharing, asset)
    for other in sharing:
        if other == item or ids.PROP_JOB in other:
            record(other, provenance)
    others = len(sharing) - 1
    if others:
        notes.append(
            f"{others} more {'objects share' if others > 1 else 'object shares'} its mesh and changed with it."
        )
    return notes


def _points(mesh):
    points = np.empty(len(mesh.vertices) * 3, dtype=np.float32)
    mesh.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)


def _show(item, sharing, asset):
    """Put a new material where the old one of ours was; where there is none, into the first slot."""
    slots = [slot for other in sharing for slot in other.material_slots if _is_ours(slot.material)]
    old = list({slot.material: None for slot in slots})
    name = old[0].name if old else item.name
    material = material_of(name, asset)
    if not slots:
        if not len(item.material_slots):
            item.data.materials.append(None)
        slots = [item.material_slots[0]]
    for slot in slots:
        slot.material = material
    for each in old:
        _remove_unused(each)
    name_material(material, name)


def _is_ours(material):
    """Whether a material shows maps of ours or the attributes of a draft."""
    return material is not None and (ids.PROP_MAP in material or bool(_maps(material)))


def _maps(material):
    """The images of ours that a material shows."""
    tree = material.node_tree
    images = [node.image for node in tree.nodes if node.type == "TEX_IMAGE"] if tree is not None else []
    return [image for image in images if image is not None and ids.PROP_MAP in image]


def _remove_unused(material):
    """Remove a material of ours, and its maps, that nothing uses any more; undo brings them back."""
    if material.users:
        return
    maps = set(_maps(material))
    bpy.data.materials.remove(material)
    for image in maps:
        if not image.users:
            bpy.data.images.remove(image)
