# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays to a Blender mesh."""

import contextlib
import gc
import math
import struct

import bpy
import numpy as np

UV_LAYER = "UVMap"
BASE_COLOR = "Base Color"
MATERIAL_VALUES = ("Metallic", "Roughness", "Alpha")
SMOOTH_ANGLE = math.radians(40.0)
# Odd, so that the product with each tells numbers of 64 bits apart.
MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)


def frame_on_ground(vertices, size):
    """Return the affine map, float64 [4, 3] for rows (x, y, z, 1), that gives ``vertices`` [V, 3] a longest side of
    ``size`` and puts the centre of their base at the origin.
    """
    low, high = vertices.min(axis=0).astype(np.float64), vertices.max(axis=0).astype(np.float64)
    longest = float((high - low).max())
    scale = size / longest if longest > 0 else 1.0
    base = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return np.vstack([np.eye(3) * scale, -scale * base])


def build_mesh(name, vertices, faces, uv=None, normals=None):
    """Return a new mesh of triangles; the arguments are those of ``fill_mesh``."""
    mesh = bpy.data.meshes.new(name)
    fill_mesh(mesh, vertices, faces, uv, normals)
    return mesh


def fill_mesh(mesh, vertices, faces, uv=None, normals=None):
    """Give an empty mesh its triangles.

    ``vertices`` float32 [V, 3], ``faces`` int32 [F, 3], ``uv`` float32 [F, 3, 2], ``normals`` float32 [V, 3] or
    [F, 3, 3]. Without normals the shading is smooth with edges sharper than 40 degrees kept.
    """
    corners = faces.size
    mesh.vertices.add(len(vertices))
    mesh.loops.add(corners)
    mesh.polygons.add(len(faces))
    # As attributes they are copied whole; ``vertices`` and ``loops`` look at one after the other.
    mesh.attributes["position"].data.foreach_set("vector", _flat(vertices, np.float32))
    mesh.attributes[".corner_vert"].data.foreach_set("value", _flat(faces, np.int32))
    mesh.polygons.foreach_set("loop_start", np.arange(0, corners, 3, dtype=np.int32))
    if uv is not None:
        mesh.uv_layers.new(name=UV_LAYER, do_init=False).uv.foreach_set("vector", _flat(uv, np.float32))
    mesh.update(calc_edges=True)
    # Blender's own check takes longer than all of the above.
    dropped = not is_sound(vertices, faces, uv) and mesh.validate()
    if normals is None or dropped:
        # Where faces were dropped, the normals no longer match what is left.
        mesh.set_sharp_from_angle(angle=SMOOTH_ANGLE)
    else:
        _set_normals(mesh, faces, normals)


def is_sound(vertices, faces, uv=None):
    """Whether Blender takes triangles as they are: each has three different vertices, no two have the same three, and
    every coordinate is a number. False also, once in a very long while, for some that it would take.
    """
    if not np.isfinite(vertices).all() or (uv is not None and not np.isfinite(uv).all()):
        return False
    first, second, third = np.sort(faces, axis=1).astype(np.uint64).T
    if (first == second).any() or (second == third).any():
        return False
    keys = np.sort((first * MIX[0]) ^ (second * MIX[1]) ^ (third * MIX[2]))
    return not (keys[1:] == keys[:-1]).any()


def set_materials(mesh, attributes):
    """Keep the materials of a draft, float32 [V, 6], as the attributes ``BASE_COLOR`` and ``MATERIAL_VALUES``."""
    colour = mesh.color_attributes.new(BASE_COLOR, "BYTE_COLOR", "POINT")
    opaque = np.concatenate([attributes[:, :3], np.ones((len(attributes), 1), np.float32)], axis=1)
    colour.data.foreach_set("color_srgb", _flat(opaque, np.float32))
    for column, name in enumerate(MATERIAL_VALUES, 3):
        values = mesh.attributes.new(name, "FLOAT", "POINT")
        values.data.foreach_set("value", _flat(attributes[:, column], np.float32))


def _set_normals(mesh, faces, normals):
    """Custom normals in the form that follows later edits.

    Blender takes them from Python alone, number by number, which is most of the time of building, and the objects made
    for it leave holes in Python's memory. So there are as few as can be: a tuple for each vertex, which its corners
    share, and one for each corner whose normal is another.
    """
    normals = normals.astype(np.float32, copy=False)
    shared, others = (normals, None) if normals.ndim == 2 else _shared_normals(len(mesh.vertices), faces, normals)
    with _no_collection():
        if others is None or not len(others):
            mesh.normals_split_custom_set_from_vertices(_tuples(shared))
            return
        owner = faces.reshape(-1).astype(np.int64)
        owner[others] = len(shared) + np.arange(len(others))
        rows = np.empty(len(shared) + len(others), dtype=object)
        rows[:] = _tuples(np.concatenate([shared, normals.reshape(-1, 3)[others]]))
        mesh.normals_split_custom_set(rows[owner].tolist())


def _shared_normals(count, faces, normals):
    """Return a normal for each of ``count`` vertices, float32 [V, 3], that at least one of its corners has, and the
    indices of the corners whose ``normals`` [F, 3, 3] are others.
    """
    corners, normals = faces.reshape(-1), normals.reshape(-1, 3)
    shared = np.zeros((count, 3), np.float32)
    shared[corners] = normals
    return shared, np.flatnonzero((shared[corners] != normals).any(axis=1))


def _tuples(rows):
    """Rows [N, 3] as tuples of three floats."""
    return list(struct.iter_unpack("3f", _flat(rows, np.float32)))


@contextlib.contextmanager
def _no_collection():
    """Keep Python from looking for garbage among a million new lists, which takes half of the time of building."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _flat(array, dtype):
    """A contiguous array [N] of the exact type: what ``foreach_set`` copies without looking at each element."""
    return np.ascontiguousarray(array, dtype=dtype).reshape(-1)
