# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the point of a surface that is closest to a query, on the side the query faces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .topology import face_vectors, unit

# Faces examined per query, by distance of their centres. A dual grid's faces are all about one voxel in size, so the
# closest face is among the few whose centres are closest.
CANDIDATES = 4

# Queries at once: temporaries of this size stay in the processor's cache, which is several times faster.
_CHUNK = 32_768


@dataclass(frozen=True)
class SurfacePoints:
    """position float64 [N, 3] on the surface, face int64 [N], barycentric float64 [N, 3]."""

    position: np.ndarray
    face: np.ndarray
    barycentric: np.ndarray


class SurfaceIndex:
    """A search structure over the faces of a surface (vertices [V, 3], faces [F, 3])."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        corners = vertices[faces].astype(np.float64)
        self._first = corners[:, 0]
        self._edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=1)
        self._normals = unit(face_vectors(vertices, faces))
        self._tree = cKDTree(corners.mean(axis=1))

    def closest(self, points: np.ndarray, normals: np.ndarray) -> SurfacePoints:
        """Project points [N, 3] with unit normals [N, 3]; a face turned away from the normal counts as twice as far.

        That keeps the two sides of a thin wall apart.
        """
        count = len(points)
        position, weights = np.empty((count, 3)), np.empty((count, 3))
        face = np.empty(count, dtype=np.int64)
        candidates = min(CANDIDATES, len(self._first))
        for start in range(0, count, _CHUNK):
            part = slice(start, min(start + _CHUNK, count))
            query, facing = points[part].astype(np.float64), normals[part].astype(np.float64)
            near = self._tree.query(query, k=candidates, workers=-1)[1].reshape(len(query), candidates)
            nearest = np.full(len(query), np.inf)
            for rank in range(candidates):
                tried = near[:, rank]
                squared, wb, wc = _closest_in_triangle(query - self._first[tried], self._edges[tried])
                away = (self._normals[tried] * facing).sum(axis=1) < 0
                # The smallest distance that still tells two sides apart where both touch the query.
                squared = np.where(away, 4.0 * squared + 1e-12, squared)
                closer = squared < nearest
                nearest = np.where(closer, squared, nearest)
                face[part] = np.where(closer, tried, face[part])
                weights[part, 1] = np.where(closer, wb, weights[part, 1])
                weights[part, 2] = np.where(closer, wc, weights[part, 2])
            weights[part, 0] = 1.0 - weights[part, 1] - weights[part, 2]
            edges = self._edges[face[part]]
            offset = weights[part, 1:2] * edges[:, 0] + weights[part, 2:] * edges[:, 1]
            position[part] = self._first[face[part]] + offset
        return SurfacePoints(position, face, weights)


def _closest_in_triangle(offset: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the squared distance and the weights of b and c at the point of triangles (a, b, c) closest to a query.

    offset: query - a, [N, 3]. edges: b - a and c - a, [N, 2, 3]. The plane's foot point where it lies inside, else the
    best of the three edges.
    """
    px, py, pz = offset.T
    bx, by, bz = edges[:, 0].T
    cx, cy, cz = edges[:, 1].T
    bb, bc, cc = bx * bx + by * by + bz * bz, bx * cx + by * cy + bz * cz, cx * cx + cy * cy + cz * cz
    pb, pc = px * bx + py * by + pz * bz, px * cx + py * cy + pz * cz
    det = np.maximum(bb * cc - bc * bc, 1e-300)
    wb, wc = (cc * pb - bc * pc) / det, (bb * pc - bc * pb) / det
    inside = (wb >= 0) & (wc >= 0) & (wb + wc <= 1)

    def gap(b: np.ndarray, c: np.ndarray) -> np.ndarray:
        # |offset - b * edge_b - c * edge_c| squared, up to the term |offset|^2 that all candidates share.
        return b * (b * bb - 2 * pb) + c * (c * cc - 2 * pc) + 2 * b * c * bc

    on_b = np.clip(pb / np.maximum(bb, 1e-300), 0.0, 1.0)
    on_c = np.clip(pc / np.maximum(cc, 1e-300), 0.0, 1.0)
    opposite = bb - 2 * bc + cc
    on_bc = np.clip((pc - pb + bb - bc) / np.maximum(opposite, 1e-300), 0.0, 1.0)
    along_b, along_c, along_bc = gap(on_b, 0.0), gap(0.0, on_c), gap(1.0 - on_bc, on_bc)
    first = (along_b <= along_c) & (along_b <= along_bc)
    second = ~first & (along_c <= along_bc)
    wb = np.where(inside, wb, np.where(first, on_b, np.where(second, 0.0, 1.0 - on_bc)))
    wc = np.where(inside, wc, np.where(first, 0.0, np.where(second, on_c, on_bc)))
    dx, dy, dz = px - wb * bx - wc * cx, py - wb * by - wc * cy, pz - wb * bz - wc * cz
    return dx * dx + dy * dy + dz * dz, wb, wc
