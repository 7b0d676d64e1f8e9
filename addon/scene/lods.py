# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of detail: the same object with ever fewer faces, as hidden objects beside it that share its material."""

import bpy

from .. import ids
from .fit import map_asset
from .mesh import build_mesh
from .record import record

# So that a long name does not lose its ending where Blender cuts it off: at 63 bytes, from 5.0 on at 255.
MAX_STEM = 56


def build_lods(item, levels, rows, provenance):
    """Make an object of each Asset of ``levels``; ``rows`` is the map from their frame into the mesh of ``item``."""
    for number, level in enumerate(levels, 1):
        add_lod(item, number, level, rows, provenance)


def add_lod(item, number, level, rows, provenance):
    """Make the level ``number`` of ``item``, called ``<name>_LOD<number>``: in its place and collections, hidden."""
    stem = item.name.encode()[:MAX_STEM].decode(errors="ignore")
    name = f"{stem}_LOD{number}"
    mesh = build_mesh(name, *map_asset(rows, level.vertices, level.faces, level.uv, level.normals))
    for slot in item.material_slots:
        mesh.materials.append(slot.material)
    lod = bpy.data.objects.new(name, mesh)
    # Without a parent the world matrix may not have been computed yet, and says the same.
    lod.matrix_world = item.matrix_world if item.parent is not None else item.matrix_basis
    record(lod, provenance)
    lod[ids.PROP_LOD] = number
    for collection in item.users_collection:
        collection.objects.link(lod)
    _hide(lod)


def lods_of(item):
    """The levels of detail of an object by their numbers: those of the same job; of copies, its own by their names."""
    job = item.get(ids.PROP_JOB)
    if not job or ids.PROP_LOD in item:
        return {}
    same = [other for other in bpy.data.objects if other.get(ids.PROP_JOB) == job and other.type == "MESH"]
    meshes = {other.data for other in same if ids.PROP_LOD not in other}
    lods = [other for other in same if isinstance(other.get(ids.PROP_LOD), int)]
    if len(meshes) > 1:
        lods = [lod for lod in lods if lod.name.startswith(f"{item.name}_LOD")]
    return {lod[ids.PROP_LOD]: lod for lod in sorted(lods, key=lambda lod: lod[ids.PROP_LOD])}


def _hide(lod):
    """Hide an object from viewports, in a way that Show Hidden Objects ends, and from renders."""
    lod.hide_render = True
    for scene in lod.users_scene:
        for layer in scene.view_layers:
            layer.update()
            if lod.name in layer.objects:
                lod.hide_set(True, view_layer=layer)
