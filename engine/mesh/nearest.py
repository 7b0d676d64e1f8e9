# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the point of a surface that is closest to a query, on the side the query faces, and what a point can see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import EspalierError
from .compilation import load_loops
from .nearest_plain import PlainIndex
from .topology import face_vectors, unit

TOUCHING = 1e-6
"""World units that tell two sides apart where both touch the query."""


@dataclass(frozen=True)
class SurfacePoints:
    """position float64 [N, 3] on the surface, face int64 [N], barycentric float64 [N, 3]."""

    position: np.ndarray
    face: np.ndarray
    barycentric: np.ndarray


def interpolate(weights: np.ndarray, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sum ``values`` [V, C] of ``rows`` int [N, 3] with ``weights`` float64 [N, 3]; float64 [N, C]."""
    result = weights[:, :1] * values[rows[:, 0]]
    for corner in (1, 2):
        result += weights[:, corner : corner + 1] * values[rows[:, corner]]
    return result


class SurfaceIndex:
    """A bounding volume hierarchy over the faces of a surface (vertices [V, 3], faces [F, 3], at least one face).

    Exact for faces of any size. Without numba a slower search finds the same points, and ``open_share`` cannot be had.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self._vertices, self._faces = vertices, faces
        self._loops = load_loops("compiled_bvh")
        if self._loops is None:
            self._plain = PlainIndex(vertices, faces)
            return
        corners = vertices[faces].astype(np.float64)
        middle = corners.mean(axis=1)
        codes = self._curve(middle)
        self._order = np.argsort(codes, kind="stable")
        self._corners = corners.reshape(-1, 9).astype(np.float32)[self._order]
        self._normals = unit(face_vectors(vertices, faces)).astype(np.float32)[self._order]
        self._tree = self._loops.build(codes[self._order], self._corners)

    def closest(self, points: np.ndarray, normals: np.ndarray, margin: float = TOUCHING) -> SurfacePoints:
        """Find the closest point of the surface to points [N, 3] with normals [N, 3] (unit, or zero for any side).

        A face turned away from the normal counts as twice as far and ``margin`` (world units) more: that keeps the two
        sides of a thin wall apart. Of faces that are equally close the one along the normal is taken.
        """
        points, normals = (np.ascontiguousarray(part, dtype=np.float64) for part in (points, normals))
        if self._loops is None:
            face, weights = self._plain.closest(points, normals, margin)
        else:
            row, weights = self._loops.closest(*self._tree, self._corners, self._normals, points, normals, margin)
            face = self._order[row]
        return SurfacePoints(interpolate(weights, self._vertices, self._faces[face]), face, weights)

    @property
    def casts_rays(self) -> bool:
        """Whether ``open_share`` can be had on this machine."""
        return self._loops is not None

    def open_share(
        self, points: np.ndarray, normals: np.ndarray, pattern: np.ndarray, directions: np.ndarray
    ) -> np.ndarray:
        """Return the share of rays from points [N, 3] that meet no face on their way, float32 [N].

        directions float64 [P, K, 4]: K rays in each of P patterns, a unit vector about (0, 0, 1), which is turned to
        the point's unit normal, and the length of the ray. pattern int [N]: which one a point takes. Raises
        EspalierError("missing_package") without numba: ask ``casts_rays`` before.
        """
        if self._loops is None:
            raise EspalierError("missing_package", "Rays need numba: install the engine again.")
        # Along a curve through space, so that the rays of one point meet what those of the last one met.
        order = np.argsort(self._curve(points.astype(np.float64)), kind="stable")
        points, normals = (part[order].astype(np.float64) for part in (points, normals))
        shares = np.empty(len(points), dtype=np.float32)
        shares[order] = self._loops.open_share(
            *self._tree, self._corners, points, normals, pattern[order].astype(np.int64), directions
        )
        return shares

    def _curve(self, points: np.ndarray) -> np.ndarray:
        """The places of points [N, 3] along a Z-order curve, uint64 [N]."""
        low, span = points.min(axis=0, initial=np.inf), float(np.ptp(points, axis=0).max()) if len(points) else 0.0
        return self._loops.morton_codes(points, low, (2**21 - 1) / span if span > 0 else 0.0)
