# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays to a Blender mesh."""

import contextlib
import gc
import math

import bpy
import numpy as np

UV_LAYER = "UVMap"
BASE_COLOR = "Base Color"
MATERIAL_VALUES = ("Metallic", "Roughness", "Alpha")
SMOOTH_ANGLE = math.radians(40.0)


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
    mesh.vertices.foreach_set("co", _flat(vertices, np.float32))
    mesh.loops.foreach_set("vertex_index", _flat(faces, np.int32))
    mesh.polygons.foreach_set("loop_start", np.arange(0, corners, 3, dtype=np.int32))
    if uv is not None:
        mesh.uv_layers.new(name=UV_LAYER, do_init=False).uv.foreach_set("vector", _flat(uv, np.float32))
    mesh.update(calc_edges=True)
    if normals is None:
        mesh.validate()
        mesh.set_sharp_from_angle(angle=SMOOTH_ANGLE)
    elif mesh.validate():
        # Faces were dropped, so the normals no longer match what is left.
        mesh.set_sharp_from_angle(angle=SMOOTH_ANGLE)
    else:
        _set_normals(mesh, normals)


def set_materials(mesh, attributes):
    """Keep the materials of a draft, float32 [V, 6], as the attributes ``BASE_COLOR`` and ``MATERIAL_VALUES``."""
    colour = mesh.color_attributes.new(BASE_COLOR, "BYTE_COLOR", "POINT")
    opaque = np.concatenate([attributes[:, :3], np.ones((len(attributes), 1), np.float32)], axis=1)
    colour.data.foreach_set("color_srgb", _flat(opaque, np.float32))
    for column, name in enumerate(MATERIAL_VALUES, 3):
        values = mesh.attributes.new(name, "FLOAT", "POINT")
        values.data.foreach_set("value", _flat(attributes[:, column], np.float32))


def _set_normals(mesh, normals):
    """Custom normals in the form that follows later edits. As lists, which pass three times faster than arrays."""
    with _no_collection():
        if normals.ndim == 2:
            mesh.normals_split_custom_set_from_vertices(normals.tolist())
        else:
            mesh.normals_split_custom_set(normals.reshape(-1, 3).tolist())


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
