# SPDX-License-Identifier: GPL-3.0-or-later
"""The tangent-space normal map that gives a simplified mesh the shading of its full surface.

Convention of Blender and glTF: red along the tangent (+u), green along the bitangent (+v, up in the image), blue along
the shading normal; tangents as MikkTSpace builds them, so that renderers decode with the frame it was encoded with.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ...kernels.host_arrays import Kept, on_card
from ..compilation import by_rows
from ..surface import tensor_normals
from ..surface.normals import corner_angles
from ..surface.topology import unit
from . import tensor_bake
from .bake import to_bytes


def corner_tangents(
    vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, normals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return unit tangents float64 [F, 3, 3] of the corners and the sign of the bitangent [F], -1 in mirrored charts.

    A face's tangent is the direction in which u grows; corners with the same vertex, UV, normal and sign share the mean
    of their faces' tangents, each projected into the corner's tangent plane and weighted by the corner's angle.
    """
    if found := on_card(tensor_normals.corner_tangents, faces, vertices, uv, normals):
        return found
    points = vertices[faces].astype(np.float64)
    texture = uv.astype(np.float64)
    p1, p2 = points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]
    (u1, v1), (u2, v2) = (texture[:, 1] - texture[:, 0]).T, (texture[:, 2] - texture[:, 0]).T
    sign = np.where(u1 * v2 - u2 * v1 < 0, -1.0, 1.0)
    tangent = unit((p1 * v2[:, None] - p2 * v1[:, None]) * sign[:, None])
    normal = normals.astype(np.float64)
    projected = tangent[:, None] - np.einsum("fi,fci->fc", tangent, normal)[..., None] * normal
    weighted = (unit(projected) * corner_angles(vertices, faces)[..., None]).reshape(-1, 3)
    key = np.concatenate(
        [
            faces.reshape(-1, 1).astype(np.float64),
            texture.reshape(-1, 2),
            normal.reshape(-1, 3),
            np.repeat(sign, 3)[:, None],
        ],
        axis=1,
    )
    group = np.unique(key, axis=0, return_inverse=True)[1].reshape(-1)
    total = np.stack([np.bincount(group, weighted[:, i]) for i in range(3)], axis=1)
    return unit(total[group]).reshape(-1, 3, 3), sign


class TangentFrames:
    """The tangent frames of a mesh: vertices [V, 3], faces [F, 3], uv [F, 3, 2] and normals [F, 3, 3] per corner."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, normals: np.ndarray) -> None:
        self._normals = normals
        self._tangents, self._sign = corner_tangents(vertices, faces, uv, normals)
        self._kept = Kept(self._normals), Kept(self._tangents), Kept(self._sign)

    def encode(self, face: np.ndarray, barycentric: np.ndarray, target: np.ndarray) -> np.ndarray:
        """What a normal map holds for world normals ``target`` [T, 3] (see ``express``), uint8 [T, 3]."""
        return by_rows(lambda *rows: (to_bytes(0.5 * self.express(*rows) + 0.5),), face, barycentric, target)[0]

    def encode_on_card(self, face: Tensor, barycentric: Tensor, target: Tensor) -> Tensor:
        """``encode`` of tensors on a card."""
        return tensor_bake.encode(face, barycentric, target, *(kept.on(face.device) for kept in self._kept))

    def express(self, face: np.ndarray, barycentric: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Express world normals ``target`` [T, 3] at points of faces [T] in the mesh's tangent frames; float64 [T, 3].

        Tangent and normal are interpolated without normalising, the bitangent is their cross product, as renderers do;
        normals that would point behind the surface are turned into its tangent plane.
        """
        n = np.einsum("tc,tci->ti", barycentric, self._normals[face].astype(np.float64))
        t = np.einsum("tc,tci->ti", barycentric, self._tangents[face])
        b = self._sign[face][:, None] * np.cross(n, t)
        # The rows of the inverse of [t b n], up to the determinant, whose sign matters.
        across = np.stack([np.cross(b, n), np.cross(n, t), np.cross(t, b)], axis=1)
        determinant = np.einsum("ti,ti->t", t, across[:, 0])
        local = np.einsum("tri,ti->tr", across, target) * np.where(determinant < 0, -1.0, 1.0)[:, None]
        local = unit(local)
        local[:, 2] = np.maximum(local[:, 2], 0.02)
        local = unit(local)
        local[np.abs(determinant) < 1e-9] = (0.0, 0.0, 1.0)
        return local
