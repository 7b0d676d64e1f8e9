# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender meshes to numpy arrays."""

import numpy as np


def vertices_of(mesh):
    """Return the vertices in the mesh's own space, float64 [V, 3]."""
    return _get(mesh.vertices, "co", 3, np.float32).astype(np.float64)


def corner_vertices(mesh):
    """Return the vertex of each corner, int32 [L]."""
    return _get(mesh.loops, "vertex_index", 1, np.int32)


def polygon_starts(mesh):
    """Return the first corner of each polygon, int32 [P]."""
    return _get(mesh.polygons, "loop_start", 1, np.int32)


def triangle_corners(mesh):
    """Return the corners of each loop triangle, int32 [T, 3]."""
    mesh.calc_loop_triangles()
    return _get(mesh.loop_triangles, "loops", 3, np.int32)


def triangle_polygons(mesh):
    """Return the polygon of each loop triangle, int32 [T]."""
    return _get(mesh.loop_triangles, "polygon_index", 1, np.int32)


def corner_uv(mesh, layer):
    """Return the UVs of a layer, float32 [L, 2]. The layer is fetched by name: handles go stale."""
    return _get(mesh.uv_layers[layer].uv, "vector", 2, np.float32)


def surface_areas(mesh, corners):
    """Return the area of each loop triangle in the mesh's own space, float64 [T]."""
    points = vertices_of(mesh)[corner_vertices(mesh)[corners]]
    return triangle_areas(points)


def triangle_areas(points):
    """Return the areas of triangles [T, 3, 3]."""
    return 0.5 * np.linalg.norm(np.cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]), axis=1)


def _get(collection, name, width, dtype):
    values = np.empty(len(collection) * width, dtype)
    collection.foreach_get(name, values)
    return values.reshape(-1, width) if width > 1 else values
