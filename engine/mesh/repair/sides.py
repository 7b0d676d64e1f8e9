# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side of each face is outside, read from the voxel grid the surface came from.

A dual grid's faces have no side, but its crossed edges are walls between lattice points: whatever a flood reaches from
the border of the grid is outside (see lattice.py). Only a hint: walls of predicted voxels have gaps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...kernels.host_arrays import on_card
from . import tensor_lattice
from .lattice import Lattice, walls_of


@dataclass(frozen=True)
class GridSides:
    """A raw dual-grid surface as walls in its lattice.

    ``lower`` int64 [W, 3], ``axis`` [W], ``edge_of_face`` int64 [F], ``ahead`` bool [F]: see ``walls_of``. ``ends``
    int64 [W]: the lower ends as points of ``lattice``.
    """

    lattice: Lattice
    lower: np.ndarray
    axis: np.ndarray
    edge_of_face: np.ndarray
    ahead: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(
        cls, vertices: np.ndarray, faces: np.ndarray, cells: np.ndarray, resolution: int, lattice: Lattice | None = None
    ) -> GridSides | None:
        """The walls of faces [F, 3] over vertices [V, 3] (world frame), ``cells`` int [V, 3] the voxel of each vertex.

        None when the vertices are not those voxels' dual vertices. ``lattice``: theirs, where it is known.
        """
        if len(cells) != len(vertices) or len(faces) == 0:
            return None
        local = (vertices + 0.5) * resolution - cells
        if local.min() < -1.0 or local.max() > 2.0:
            return None
        lower, axis, edge_of_face, ahead = walls_of(faces, cells)
        if len(lower) == 0:
            return None
        lattice = lattice or Lattice(lower, axis)
        return cls(lattice, lower, axis, edge_of_face, ahead, lattice.index(lower))

    def wall_at(self, lower: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """Return the wall on each lattice edge (lower ends int64 [N, 3], axes [N]), -1 where there is none."""
        key, wanted = 3 * self.ends + self.axis, 3 * self.lattice.index(lower) + axis
        order = np.argsort(key)
        place = order[np.minimum(np.searchsorted(key[order], wanted), len(key) - 1)]
        return np.where(key[place] == wanted, place, -1)

    def hints(self) -> np.ndarray:
        """Which side of each face is outside, int8 [F].

        +1: only the front (by winding), -1: only the back, 0: both, none or unknown.
        """
        inside, following = self.lattice.inside, self.lattice.kept[1]
        fields = self.edge_of_face, self.ahead, self.ends, self.axis
        if (found := on_card(tensor_lattice.hints, *fields, inside, following)) is not None:
            return found
        upwards = inside[self.ends].astype(np.int8) - inside[self.lattice.ahead(self.ends, self.axis)]
        known = self.edge_of_face >= 0
        hints = np.zeros(len(self.edge_of_face), dtype=np.int8)
        hints[known] = upwards[self.edge_of_face[known]]
        return np.where(self.ahead, hints, -hints)
