# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading with the normal map as Blender does it, against the normals of the raw surface."""

from __future__ import annotations

import bpy
import numpy as np

from .rerender import read_map
from .surfaces import Surface, unit_normals


def tangents_of(
    vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Blender's tangents (MikkTSpace) [F, 3, 3] and the signs of the bitangents [F, 3] for a mesh with its normals."""
    mesh = bpy.data.meshes.new("Tangents")
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    layer = mesh.uv_layers.new()
    layer.uv.foreach_set("vector", np.ascontiguousarray(uv, dtype=np.float32).reshape(-1))
    mesh.normals_split_custom_set(normals.reshape(-1, 3).tolist())
    mesh.calc_tangents()
    tangent, sign = np.empty((len(mesh.loops), 3), np.float32), np.empty(len(mesh.loops), np.float32)
    mesh.loops.foreach_get("tangent", tangent.reshape(-1))
    mesh.loops.foreach_get("bitangent_sign", sign)
    bpy.data.meshes.remove(mesh)
    return tangent.reshape(-1, 3, 3), sign.reshape(-1, 3)


def normal_error(
    mesh: dict[str, np.ndarray], face: np.ndarray, weight: np.ndarray, image: np.ndarray | None, raw: Surface
) -> dict[str, float]:
    """Mean angles in degrees to the raw surface's normals (winding ignored) at points (face [N], weight [N, 3]).

    ``without_map``: of the mesh's own shading normals; ``with_map``: with the tangent-space normal map ``image``.
    """
    faces = mesh["faces"]
    position = np.einsum("nc,nci->ni", weight, mesh["vertices"][faces[face]].astype(np.float64))
    hit = raw.closest(position)[2]
    truth = unit_normals(raw.vertices, raw.faces[hit])
    shading = np.einsum("nc,nci->ni", weight, mesh["normals"][face].astype(np.float64))
    result = {"without_map": _angle(shading, truth)}
    if image is not None:
        tangents, signs = tangents_of(mesh["vertices"], faces, mesh["uv"], mesh["normals"])
        along = np.einsum("nc,nci->ni", weight, tangents[face].astype(np.float64))
        across = signs[face, 0][:, None] * np.cross(shading, along)
        bump = 2 * read_map(image, np.einsum("nc,nci->ni", weight, mesh["uv"][face].astype(np.float64))) - 1
        mapped = bump[:, :1] * along + bump[:, 1:2] * across + bump[:, 2:3] * shading
        result["with_map"] = _angle(mapped, truth)
    return result


def _angle(normals: np.ndarray, truth: np.ndarray) -> float:
    length = np.linalg.norm(normals, axis=1) * np.linalg.norm(truth, axis=1)
    known = length > 0
    cosine = np.abs(np.einsum("ni,ni->n", normals, truth)[known]) / length[known]
    return float(np.degrees(np.arccos(np.clip(cosine, 0, 1))).mean())
