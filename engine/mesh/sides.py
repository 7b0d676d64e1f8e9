# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side of each face is outside, read from the voxel grid the surface came from.

A dual grid's faces have no side, but its crossed edges are walls between lattice points: whatever can be reached from
the border of the grid without crossing a wall is outside. Only a hint: walls of predicted voxels have gaps.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

# The flood runs on at most this many cells along a side.
_FLOOD_CELLS = 512

_AXES = np.eye(3, dtype=np.int64)


def outside_hints(vertices: np.ndarray, faces: np.ndarray, cells: np.ndarray, resolution: int) -> np.ndarray:
    """Return for each face of a raw dual-grid surface which of its sides is outside, int8 [F].

    +1: only the front (by winding), -1: only the back, 0: both, none or unknown. vertices [V, 3] in the world frame,
    ``cells`` int [V, 3] the voxel of each vertex. All zero when the vertices are not those voxels' dual vertices.
    """
    hints = np.zeros(len(faces), dtype=np.int8)
    if len(cells) != len(vertices) or len(faces) == 0:
        return hints
    local = (vertices + 0.5) * resolution - cells
    if local.min() < -1.0 or local.max() > 2.0:
        return hints
    corners = cells[faces].astype(np.int64)
    owner = corners.min(axis=1)
    spread = corners.max(axis=1) - owner
    axis = np.argmin(spread, axis=1)
    regular = np.flatnonzero((np.sort(spread, axis=1) == (0, 1, 1)).all(axis=1))
    turn = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    faces_up = np.take_along_axis(turn, axis[:, None], 1)[regular, 0] > 0
    side = resolution + 1
    below = owner[regular] + 1 - _AXES[axis[regular]]
    lower, upper = _flat(below, side), _flat(below + _AXES[axis[regular]], side)
    points, inverse = np.unique(np.concatenate([lower, upper]), return_inverse=True)
    walls = np.unique(lower * 3 + axis[regular])
    outside = _outside(points, walls, _Flood(cells, resolution), side)[inverse.reshape(-1)].astype(np.int8)
    lower_out, upper_out = outside[: len(regular)], outside[len(regular) :]
    hints[regular] = np.where(faces_up, upper_out - lower_out, lower_out - upper_out)
    return hints


class _Flood:
    """The free cells that are connected to the border of the grid."""

    def __init__(self, cells: np.ndarray, resolution: int) -> None:
        self.factor = -(-resolution // _FLOOD_CELLS)
        count = -(-resolution // self.factor)
        free = np.ones((count + 2,) * 3, dtype=bool)
        free[tuple((cells // self.factor + 1).T)] = False
        regions = label(free)[0]
        self._open = regions == regions[0, 0, 0]

    def touches(self, points: np.ndarray) -> np.ndarray:
        """Tell which lattice points int [N, 3] are corners of a flooded cell."""
        found = np.zeros(len(points), dtype=bool)
        for corner in range(8):
            cell = points - [(corner >> k) & 1 for k in range(3)]
            # Cell -1 and cell R lie in the free border around the grid.
            found |= self._open[tuple(np.clip(cell // self.factor + 1, 0, len(self._open) - 1).T)]
        return found


def _outside(points: np.ndarray, walls: np.ndarray, flood: _Flood, side: int) -> np.ndarray:
    """Tell which lattice points (flat, ascending, int64 [N]) are outside.

    From the flooded cells a few steps along edges that are no walls: the voxels of the surface itself were closed to
    the flood, so a gap in a thin wall lets only its surroundings be mistaken.
    """
    reached = flood.touches(_unflat(points, side))
    strides = (side * side, side, 1)
    for _ in range(2 * flood.factor):
        waiting = np.flatnonzero(~reached)
        if len(waiting) == 0:
            break
        place = _unflat(points[waiting], side)
        found = np.zeros(len(waiting), dtype=bool)
        for axis, stride in enumerate(strides):
            for step in (-1, 1):
                inside = (place[:, axis] + step >= 0) & (place[:, axis] + step < side)
                neighbour = points[waiting] + np.where(inside, step * stride, 0)
                open_edge = inside & ~_contains(walls, np.minimum(neighbour, points[waiting]) * 3 + axis)
                row = np.minimum(np.searchsorted(points, neighbour), len(points) - 1)
                known = points[row] == neighbour
                found |= open_edge & known & reached[row]
                other = np.flatnonzero(open_edge & ~known & ~found)
                found[other] = flood.touches(_unflat(neighbour[other], side))
        reached[waiting[found]] = True
    return reached


def _contains(ordered: np.ndarray, keys: np.ndarray) -> np.ndarray:
    return ordered[np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)] == keys


def _flat(points: np.ndarray, side: int) -> np.ndarray:
    return (points[:, 0] * side + points[:, 1]) * side + points[:, 2]


def _unflat(points: np.ndarray, side: int) -> np.ndarray:
    return np.stack([points // (side * side), points // side % side, points % side], axis=1)
