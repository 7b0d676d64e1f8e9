# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the point of a surface that is closest to a query, on the side the query faces, and what a point can see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...errors import EspalierError
from ...kernels import choice
from ...kernels.host_arrays import Array, home, on_best_device, upload
from ..compilation import by_rows, in_portions, load_loops
from ..surface.topology import face_vectors, unit
from .nearest_plain import PlainIndex

if TYPE_CHECKING:
    from .nearest_device import DeviceIndex

TOUCHING = 1e-6
"""World units that tell two sides apart where both touch the query."""


@dataclass(frozen=True)
class SurfacePoints:
    """position float64 [N, 3] on the surface, face int64 [N], barycentric float64 [N, 3]."""

    position: np.ndarray
    face: np.ndarray
    barycentric: np.ndarray


def interpolate(weights: Array, values: Array, rows: Array) -> Array:
    """Sum ``values`` [V, C] of ``rows`` int [N, 3] with ``weights`` float64 [N, 3]; float64 [N, C]."""
    result = weights[:, :1] * values[rows[:, 0]]
    for corner in (1, 2):
        result += weights[:, corner : corner + 1] * values[rows[:, corner]]
    return result


class SurfaceIndex:
    """A bounding volume hierarchy over the faces of a surface (vertices [V, 3], faces [F, 3], at least one face).

    Exact for faces of any size. On the graphics card where its kernels serve and have room, else in compiled loops: the
    same results. Where numba is missing, too, a slower search finds the same points, and ``open_share`` cannot be had.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self._vertices, self._faces = vertices, faces
        self._on_device: DeviceIndex | None = None

    def closest(self, points: np.ndarray, normals: np.ndarray, margin: float = TOUCHING) -> SurfacePoints:
        """Find the closest point of the surface to points [N, 3] with normals [N, 3] (unit, or zero for any side).

        A face turned away from the normal counts as twice as far and ``margin`` (world units) more: that keeps the two
        sides of a thin wall apart. Of faces that are equally close the one along the normal is taken.
        """
        points, normals = (np.ascontiguousarray(part, dtype=np.float64) for part in (points, normals))
        return on_best_device(lambda device: self._index(device).closest(points, normals, margin))

    def closest_on_card(self, points: Tensor, normals: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor]:
        """``closest`` of float64 points and normals on a card: position, face and barycentric there.

        Where the kernels do not serve the card, they go home and back.
        """
        if choice.serve(points.device):
            return self._index(points.device).closest_here(points, normals, margin)
        found = self.closest(home(points), home(normals), margin)
        return tuple(upload(part, points.device) for part in (found.position, found.face, found.barycentric))

    @property
    def casts_rays(self) -> bool:
        """Whether ``open_share`` can be had on this machine, also where the card has no room."""
        return load_loops("lookup.compiled_bvh") is not None

    def open_share(
        self, points: np.ndarray, normals: np.ndarray, pattern: np.ndarray, directions: np.ndarray
    ) -> np.ndarray:
        """Return the share of rays from points [N, 3] that meet no face on their way, float32 [N].

        directions float64 [P, K, 4]: K rays in each of P patterns, a unit vector about (0, 0, 1), which is turned to
        the point's unit normal, and the length of the ray. pattern int [N]: which one a point takes. Points must not be
        further from the surface than fifty times its size. Raises EspalierError("missing_package") without numba: ask
        ``casts_rays`` before.
        """
        if not self.casts_rays:
            raise EspalierError("missing_package", "Rays need numba: install the engine again.")
        return on_best_device(lambda device: self._index(device).open_share(points, normals, pattern, directions))

    def _index(self, device: torch.device) -> DeviceIndex | _HostIndex:
        """The search on ``device``, built when it is first asked for."""
        if not choice.serve(device):
            return self._on_host
        if self._on_device is None:
            from .nearest_device import DeviceIndex

            self._on_device = DeviceIndex(self._vertices, self._faces, device)
        return self._on_device

    @cached_property
    def _on_host(self) -> _HostIndex:
        return _HostIndex(self._vertices, self._faces)


class _HostIndex:
    """``SurfaceIndex`` on the processor."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self._vertices, self._faces = vertices, faces
        self._loops = load_loops("lookup.compiled_bvh")
        if self._loops is None:
            self._plain = PlainIndex(vertices, faces)
            return
        codes = self._curve(_middles(vertices, faces))
        order = self._order = np.argsort(codes, kind="stable")
        self._corners, self._normals = np.empty((len(faces), 9), np.float32), np.empty((len(faces), 3), np.float32)

        def gather(part: slice) -> None:
            rows = faces[order[part]]
            self._corners[part] = vertices[rows].reshape(-1, 9)
            self._normals[part] = unit(face_vectors(vertices, rows))

        in_portions(gather, len(faces))
        self._tree = self._loops.build(codes[order], self._corners)

    def closest(self, points: np.ndarray, normals: np.ndarray, margin: float) -> SurfacePoints:
        """As ``SurfaceIndex.closest`` of float64 arrays."""
        if self._loops is None:
            face, weights = self._plain.closest(points, normals, margin)
            return SurfacePoints(interpolate(weights, self._vertices, self._faces[face]), face, weights)
        face, weights = np.empty(len(points), dtype=np.int64), np.empty((len(points), 3))
        position = np.empty((len(points), 3))

        def search(part: slice) -> None:
            at, facing = points[part], normals[part]
            row, weights[part] = self._loops.closest(*self._tree, self._corners, self._normals, at, facing, margin)
            face[part] = self._order[row]
            position[part] = interpolate(weights[part], self._vertices, self._faces[face[part]])

        in_portions(search, len(points))
        return SurfacePoints(position, face, weights)

    def open_share(
        self, points: np.ndarray, normals: np.ndarray, pattern: np.ndarray, directions: np.ndarray
    ) -> np.ndarray:
        """As ``SurfaceIndex.open_share``."""
        rays, (_, first, count) = load_loops("lookup.compiled_rays"), self._tree
        wide = rays.widen(*self._tree)
        # Along a curve through space, so that the rays of one point visit what those of the last one visited.
        order = np.argsort(self._curve(points.astype(np.float64)), kind="stable")
        shares = np.empty(len(points), dtype=np.float32)

        def cast(part: slice) -> None:
            rows = order[part]
            at, around = points[rows].astype(np.float64), normals[rows].astype(np.float64)
            kind = pattern[rows].astype(np.int64)
            shares[rows] = rays.open_share(*wide, first, count, self._corners, at, around, kind, directions)

        in_portions(cast, len(points))
        return shares

    def _curve(self, points: np.ndarray) -> np.ndarray:
        """The places of points [N, 3] along a Z-order curve, uint64 [N]."""
        low, span = points.min(axis=0, initial=np.inf), float(np.ptp(points, axis=0).max()) if len(points) else 0.0
        codes = np.empty(len(points), dtype=np.uint64)

        def place(part: slice) -> None:
            codes[part] = self._loops.morton_codes(points[part], low, (2**21 - 1) / span if span > 0 else 0.0)

        in_portions(place, len(points))
        return codes


def _middles(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The middles of faces, float64 [F, 3]."""

    def locate(rows: np.ndarray) -> tuple[np.ndarray]:
        a, b, c = (vertices[rows[:, corner]].astype(np.float64) for corner in range(3))
        return ((a + b + c) / 3.0,)

    return by_rows(locate, faces)[0]
