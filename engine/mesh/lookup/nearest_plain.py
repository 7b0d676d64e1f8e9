# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for closest points where numba is missing: the same points as the compiled one, ten times slower."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ..surface.topology import face_vectors, unit

TIE = 1e-4
"""As in ``compiled_bvh``."""

_CHUNK = 32_768
"""Queries at once: temporaries of this size stay in the processor's cache, which is several times faster."""


class PlainIndex:
    """KD-trees over the centres of the faces, one for each class of faces within a factor of two in size."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        corners = vertices[faces].astype(np.float64)
        self._first = corners[:, 0]
        self._edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=1)
        self._normals = unit(face_vectors(vertices, faces))
        middle = corners.mean(axis=1)
        radius = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
        size = np.floor(np.log2(np.maximum(radius, radius.max() * 2.0**-20) + 1e-300))
        self._classes = []
        for value in np.unique(size):
            rows = np.flatnonzero(size == value)
            self._classes.append((rows, cKDTree(middle[rows]), float(radius[rows].max())))

    def closest(self, points: np.ndarray, normals: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
        """Return face int64 [N] and barycentric float64 [N, 3], as ``SurfaceIndex.closest``."""
        face, weights = np.zeros(len(points), dtype=np.int64), np.empty((len(points), 3))
        for start in range(0, len(points), _CHUNK):
            part = slice(start, start + _CHUNK)
            face[part], weights[part, 1:] = self._closest(points[part], normals[part], margin)
        weights[:, 0] = 1.0 - weights[:, 1] - weights[:, 2]
        return face, weights

    def _closest(self, points: np.ndarray, normals: np.ndarray, margin: float) -> tuple[np.ndarray, np.ndarray]:
        best = np.full(len(points), np.inf)
        face, weights = np.zeros(len(points), dtype=np.int64), np.zeros((len(points), 2))
        for rows, tree, radius in self._classes:
            open_queries, tried = np.arange(len(points)), 0
            while len(open_queries) and tried < len(rows):
                count = min(max(4, 4 * tried), len(rows))
                gap, near = tree.query(points[open_queries], k=np.arange(tried + 1, count + 1), workers=-1)
                for rank in range(count - tried):
                    self._try(rows[near[:, rank]], open_queries, points, normals, margin, best, face, weights)
                # Faces further down the list are at least this far away.
                farther = np.maximum(gap[:, -1] - radius, 0.0) ** 2 <= best[open_queries]
                open_queries, tried = open_queries[farther], count
        return face, weights

    def _try(
        self,
        tried: np.ndarray,
        query: np.ndarray,
        points: np.ndarray,
        normals: np.ndarray,
        margin: float,
        best: np.ndarray,
        face: np.ndarray,
        weights: np.ndarray,
    ) -> None:
        """Take face ``tried`` [M] for each of the queries ``query`` [M] for which it is closer."""
        squared, wb, wc = _closest_in_triangle(points[query] - self._first[tried], self._edges[tried])
        cosine = (self._normals[tried] * normals[query]).sum(axis=1)
        squared = np.where(cosine < 0, (2.0 * np.sqrt(squared) + margin) ** 2, squared)
        squared *= 1.0 + TIE * (1.0 - cosine)
        closer = squared < best[query]
        rows = query[closer]
        best[rows], face[rows] = squared[closer], tried[closer]
        weights[rows, 0], weights[rows, 1] = wb[closer], wc[closer]


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
    area = bb * cc - bc * bc
    det = np.maximum(area, 1e-300)
    wb, wc = (cc * pb - bc * pc) / det, (bb * pc - bc * pb) / det
    # A face without area is its edges.
    inside = (wb >= 0) & (wc >= 0) & (wb + wc <= 1) & (area > 1e-14 * bb * cc)

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
