# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side of each face is outside, read from the voxel grid the surface came from.

A dual grid's faces have no side, but its crossed edges are walls between lattice points: whatever a flood reaches from
the border of the grid is outside (see lattice.py). Only a hint: walls of predicted voxels have gaps.
"""

from __future__ import annotations

import numpy as np

from .lattice import Lattice, walls_of


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
    lower, axis, edge_of_face, ahead = walls_of(faces, cells)
    if len(lower) == 0:
        return hints
    lattice = Lattice(lower, axis)
    ends = lattice.index(lower)
    upwards = lattice.inside[ends].astype(np.int8) - lattice.inside[lattice.ahead(ends, axis)]
    known = edge_of_face >= 0
    hints[known] = upwards[edge_of_face[known]]
    return np.where(ahead, hints, -hints)
