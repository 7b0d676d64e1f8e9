# SPDX-License-Identifier: GPL-3.0-or-later
"""UVs for a mesh that has none to use: Blender's Smart UV Project, on a copy that the user never sees."""

from __future__ import annotations

import bpy
import numpy as np

from .arrays import (
    corner_uv,
    corner_vertices,
    polygon_starts,
    surface_areas,
    triangle_corners,
    triangle_polygons,
)
from .uv import find_fault, find_overlapping

# Texels between an island and the border of its share of the map: the nearest other island is twice as far.
MARGIN_TEXELS = 2
# A spiral of this many turns is still taken apart.
MAX_SHEETS = 32


class CannotUnwrap(Exception):  # noqa: N818 - handled where the object's name is known
    """Blender made no usable UVs; the text is a clause that says why."""


def unwrap(mesh, matrix, texture_size):
    """Return UVs for the corners of ``mesh``, float32 [L, 2], inside the unit square and free of overlaps.

    Polygons are never cut. ``matrix`` is the object's 4x4 matrix, so that texels are even on the object as it stands.
    ``mesh`` stays as it is. Raises CannotUnwrap.
    """
    # Alone in its scene: edit mode takes every selected object of a scene along.
    scene = bpy.data.scenes.new(mesh.name)
    item = bpy.data.objects.new(mesh.name, mesh.copy())
    copy = item.data
    try:
        keys = copy.shape_keys
        if keys is not None:
            item.shape_key_clear()
            bpy.data.batch_remove([keys])
        if abs(matrix.to_3x3().determinant()) > 1e-12:
            copy.transform(matrix)
        while len(copy.uv_layers):
            copy.uv_layers.remove(copy.uv_layers[0])
        before = corner_vertices(copy)
        margin = MARGIN_TEXELS / texture_size
        project = bpy.ops.uv.smart_project
        _in_edit_mode(item, scene, project, margin_method="FRACTION", island_margin=margin, correct_aspect=False)
        _part_overlaps(item, scene, margin)
        if not np.array_equal(before, corner_vertices(copy)):
            raise CannotUnwrap("has damaged faces: clean it with Mesh > Clean Up > Merge by Distance")
        fault = _fault(copy)
        if fault:
            raise CannotUnwrap(f"could not be unwrapped, its UVs would {fault}: unwrap it by hand")
        return np.clip(corner_uv(copy, copy.uv_layers[0].name), 0.0, 1.0)
    finally:
        discard(item)
        bpy.data.scenes.remove(scene)


def discard(item):
    """Remove an object with its mesh and shape keys, which in Blender would outlive a copied mesh."""
    mesh = item.data
    bpy.data.batch_remove([part for part in (item, mesh, mesh.shape_keys) if part is not None])


def _fault(mesh):
    if not len(mesh.uv_layers):
        return "be missing"
    corners = triangle_corners(mesh)
    return find_fault(corner_uv(mesh, mesh.uv_layers[0].name)[corners], surface_areas(mesh, corners))


def _part_overlaps(item, scene, margin):
    """Give polygons that lie over others islands of their own: a projection folds what curls, such as a spiral."""
    mesh = item.data
    corners, starts = triangle_corners(mesh), polygon_starts(mesh)
    polygons = triangle_polygons(mesh)
    uv = corner_uv(mesh, mesh.uv_layers[0].name)
    sheet = np.zeros(len(starts), np.int32)
    above = np.ones(len(starts), bool)
    while above.any() and sheet.max() < MAX_SHEETS:
        mine = above[polygons]
        above = find_overlapping(uv[corners[mine]], polygons[mine], len(starts))
        sheet[above] += 1
    if not sheet.any():
        return
    # The sheets side by side, still in proportion; packing then fills the square with their islands.
    uv[:, 0] += np.repeat(sheet, np.diff(np.append(starts, len(uv))))
    uv /= sheet.max() + 1
    mesh.uv_layers[0].uv.foreach_set("vector", uv.reshape(-1))
    pack = bpy.ops.uv.pack_islands
    _in_edit_mode(item, scene, pack, shape_method="AABB", rotate=False, margin_method="FRACTION", margin=margin)


def _in_edit_mode(item, scene, operator, **arguments):
    """Run an operator on all of ``item``, in a context where it is all that there is."""
    layer = scene.view_layers[0]
    scene.collection.objects.link(item)
    layer.objects.active = item
    item.select_set(True, view_layer=layer)
    members = {"object": item, "active_object": item, "edit_object": item, "selected_objects": [item]}
    try:
        with bpy.context.temp_override(scene=scene, view_layer=layer, **members):
            bpy.ops.object.mode_set(mode="EDIT")
            try:
                bpy.ops.mesh.reveal()
                bpy.ops.mesh.select_all(action="SELECT")
                operator(**arguments)
            finally:
                bpy.ops.object.mode_set(mode="OBJECT")
    finally:
        scene.collection.objects.unlink(item)
