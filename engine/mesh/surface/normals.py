# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading normals per corner: smooth across the surface, broken at creases."""

from __future__ import annotations

import numpy as np

from ...kernels.host_arrays import on_card
from . import tensor_normals
from .clean import weld
from .topology import edge_table, face_vectors, half_edge_ends, label_components, unit

# Faces that meet at a sharper angle than this (degrees) are shaded apart.
CREASE_DEGREES = 50.0

# Vertices closer than this (world units) coincide.
_SAME_PLACE = 2e-6


def corner_normals(
    vertices: np.ndarray, faces: np.ndarray, crease: float = CREASE_DEGREES, uv: np.ndarray | None = None
) -> np.ndarray:
    """Return unit normals float32 [F, 3, 3] of the corners of ``faces``.

    Corners of one vertex share a normal when their faces are connected around it without crossing a crease (an edge
    with a dihedral of more than ``crease`` degrees, a rim, or an edge where windings disagree). The shared normal is
    the sum of the faces' normals weighted by their angle at the vertex.

    For a mesh that gets a normal map give its ``uv`` [F, 3, 2]: then only creases along the border of a chart count. A
    break inside a chart would show as a line, for texels on its two sides, in different frames, are blended.
    """
    least_cosine = float(np.cos(np.radians(crease)))
    found = on_card(
        lambda *arrays: tensor_normals.corner_normals(*arrays, least_cosine=least_cosine, same_place=_SAME_PLACE),
        faces.astype(np.int64, copy=False),
        vertices,
        *(() if uv is None else (uv,)),
    )
    if found is not None:
        return found
    count = len(faces)
    area_vector = face_vectors(vertices, faces)
    normal = unit(area_vector)
    # Where a surface was taken apart its rims still coincide, and shading runs on across them.
    together = weld(vertices, faces, _SAME_PLACE)[0]
    left, right = (np.concatenate(both) for both in zip(edge_table(faces).pairs(), edge_table(together).pairs()))
    tail, _ = half_edge_ends(together)
    flat = np.einsum("ei,ei->e", normal[left // 3], normal[right // 3]) > least_cosine
    following = np.arange(3 * count).reshape(-1, 3)[:, [1, 2, 0]].reshape(-1)
    if uv is not None:
        place = uv.reshape(-1, 2)
        flat |= (place[left] == place[following[right]]).all(1) & (place[following[left]] == place[right]).all(1)
    joined = flat & (tail[left] != tail[right])
    left, right = left[joined], right[joined]
    group = label_components(
        3 * count, np.concatenate([left, following[left]]), np.concatenate([following[right], right])
    )
    weighted = (corner_angles(vertices, faces)[:, :, None] * normal[:, None]).reshape(-1, 3)
    total = np.stack([np.bincount(group, weighted[:, i]) for i in range(3)], axis=1)[group]
    short = np.linalg.norm(total, axis=1) < 1e-6
    total = np.where(short[:, None], np.repeat(normal, 3, axis=0), total)
    # A face without area has no normal: any direction will do, but it has to be one.
    total[(total == 0).all(axis=1)] = (0.0, 0.0, 1.0)
    return unit(total).reshape(-1, 3, 3).astype(np.float32)


def corner_angles(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the angle in radians at each corner, float64 [F, 3]."""
    points = vertices[faces].astype(np.float64)
    to_next = unit(np.roll(points, -1, axis=1) - points)
    to_last = unit(np.roll(points, 1, axis=1) - points)
    return np.arccos(np.clip(np.einsum("fci,fci->fc", to_next, to_last), -1.0, 1.0))
