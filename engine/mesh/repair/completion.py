# SPDX-License-Identifier: GPL-3.0-or-later
"""Completes quads of a dual grid that would be dropped: a crossed edge whose four voxels do not all exist.

Decoders predict voxels and crossings apart, so now and then an edge is crossed and a voxel beside it is missing; the
quad falls out and a small hole is left (spec/ovoxel.md section 2, step 2, and 9.3, point 5). The missing voxels are
activated here, before meshing. A crossing that nothing around it confirms is taken for a mistake and left out.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...kernels.host_arrays import home, on_card, upload
from ...ovoxel.grid import VoxelTable

# A quad is completed where at least so many of its voxels exist and so many of its sides meet another quad.
LEAST_VOXELS = 2
LEAST_SIDES = 3

# Sine of the angle to an edge below which a plane does not tell where it crosses the edge.
FLATTEST = 0.1

_AXES = np.eye(3, dtype=np.int64)


def complete_quads(
    coords: np.ndarray, vertices: np.ndarray, intersected: np.ndarray, values: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the voxels with those appended that the crossed edges miss; the given ones stay as they are.

    coords int [N, 3] unique in a grid of ``resolution``; vertices float [N, 3] the dual vertices relative to their
    voxel's smallest corner in voxel units; intersected bool [N, 3]; values float [N, C] of any quantities. An added
    voxel's vertex is the mean of the estimated crossings on its edges, its values the mean of the voxels that share
    those edges; its own edges are crossed where the faces around them would else end in mid-air. No voxel is added
    outside the grid.
    """
    voxels = coords, intersected
    table, edges = on_card(lambda *tensors: _dropped(*tensors, resolution), *voxels) or home(
        _dropped(*map(torch.from_numpy, voxels), resolution)
    )
    owner, axis, rows = edges
    if len(owner) == 0:
        return coords, vertices, intersected, values
    joined = sum((_other_crossings(table, intersected, owner, axis, side) > 0).astype(int) for side in range(4))
    kept = ((rows >= 0).sum(1) >= LEAST_VOXELS) & (joined >= LEAST_SIDES)
    owner, axis, rows = owner[kept], axis[kept], rows[kept]
    if len(owner) == 0:
        return coords, vertices, intersected, values

    cells = _around(owner, axis)
    missing = rows < 0
    added, of = np.unique(cells[missing], axis=0, return_inverse=True)
    of = of.reshape(-1)
    crossing = _crossings(coords, vertices, owner, axis, rows)
    edge_of = np.nonzero(missing)[0]
    held = (~missing)[..., None]
    mean_values = (values[rows] * held).sum(1) / held.sum(1)
    times = np.bincount(of)[:, None]
    place = _sums(of, crossing[edge_of], len(added)) / times - added
    added_values = _sums(of, mean_values[edge_of], len(added)) / times

    crossed = np.stack([_needed(table, intersected, added, k) for k in range(3)], 1)
    return (
        np.concatenate([coords, added.astype(coords.dtype)]),
        np.concatenate([vertices, np.clip(place, 0.0, 1.0).astype(vertices.dtype)]),
        np.concatenate([intersected, crossed]),
        np.concatenate([values, added_values.astype(values.dtype)]),
    )


def _dropped(coords: Tensor, intersected: Tensor, resolution: int) -> tuple[VoxelTable, tuple[Tensor, Tensor, Tensor]]:
    """Return the table of the voxels, and of the crossed edges that lack one the owner int64 [Q, 3], the axis [Q] and
    the rows [Q, 4] (-1: missing)."""
    table = VoxelTable(coords, (resolution,) * 3)
    owners, axes, rows = [], [], []
    for axis in range(3):
        owner = coords[intersected[:, axis]].long()
        u, w = (axis + 1) % 3, (axis + 2) % 3
        # The four voxels of an edge on the border of the grid cannot all exist.
        owner = owner[torch.maximum(owner[:, u], owner[:, w]) + 1 < resolution]
        found = []
        for step_u, step_w in ((0, 0), (1, 0), (1, 1), (0, 1)):
            cell = list(owner.unbind(1))
            cell[u], cell[w] = cell[u] + step_u, cell[w] + step_w
            found.append(table.rows_inside(*cell))
        around = torch.stack(found, 1)
        lacking = (around < 0).any(1)
        owners.append(owner[lacking])
        rows.append(around[lacking])
        axes.append(torch.full((len(rows[-1]),), axis, device=coords.device))
    return table, (torch.cat(owners), torch.cat(axes), torch.cat(rows))


def _around(owner: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Return the four voxels around the edge along ``axis`` that each voxel owns, in the order around it, [Q, 4, 3]."""
    u, w = _AXES[(axis + 1) % 3], _AXES[(axis + 2) % 3]
    return np.stack([owner, owner + u, owner + u + w, owner + w], 1)


def _rows(table: VoxelTable, cells: np.ndarray) -> np.ndarray:
    first_level, _ = table.levels()
    return home(table.rows(*upload(np.moveaxis(cells, -1, 0), first_level.device)))


def _other_crossings(
    table: VoxelTable, intersected: np.ndarray, owner: np.ndarray, axis: np.ndarray, side: int
) -> np.ndarray:
    """Count the other crossed edges of the lattice face on one side of the quad around each edge, int64 [Q].

    Side ``k`` lies between voxels k and k + 1 around the edge (see ``_around``). A face has four edges: this one, the
    one opposite, and two across; each is looked up at the voxel that owns it.
    """
    # The face lies in the plane of the edge and this axis.
    sideways = (axis + (2 if side % 2 == 0 else 1)) % 3
    corner = owner if side in (0, 3) else owner + _AXES[sideways]
    opposite = owner - _AXES[sideways] if side in (0, 3) else corner
    count = np.zeros(len(owner), dtype=np.int64)
    for cell, along in ((opposite, axis), (corner, sideways), (corner - _AXES[axis], sideways)):
        row = _rows(table, cell)
        count += (row >= 0) & intersected[row, along]
    return count


def _needed(table: VoxelTable, intersected: np.ndarray, added: np.ndarray, axis: int) -> np.ndarray:
    """Tell which added voxels' own edges along ``axis`` must be crossed for the faces beyond them to go on, bool [A].

    A closed surface crosses an even number of the edges of every lattice face. The two faces at the edge that do not
    belong to the voxel itself know all their other edges.
    """
    axes = np.full(len(added), axis)
    return (_other_crossings(table, intersected, added, axes, 1) % 2 == 1) & (
        _other_crossings(table, intersected, added, axes, 2) % 2 == 1
    )


def _crossings(
    coords: np.ndarray, vertices: np.ndarray, owner: np.ndarray, axis: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Estimate where the surface crosses each edge, float64 [Q, 3] in voxel units from the grid's corner.

    Of three known vertices the plane through them is taken, of two their mean height; never beyond the edge's ends.
    """
    held = rows >= 0
    points = coords[rows] + vertices[rows].astype(np.float64)
    along = np.take_along_axis(points, np.broadcast_to(axis[:, None, None], (*rows.shape, 1)), 2)[..., 0]
    height = (along * held).sum(1) / held.sum(1)
    three = np.flatnonzero(held.sum(1) == 3)
    lacking = np.argmin(held[three], axis=1)
    base, first, second = (points[three, (lacking + step) % 4] for step in (2, 1, 3))
    normal = np.cross(first - base, second - base)
    place = owner + 1.0
    own = axis[three]
    rows_of = np.arange(len(three))
    slope = normal[rows_of, own]
    offset = base - place[three]
    offset[rows_of, own] = 0.0
    steep = np.abs(slope) > FLATTEST * np.linalg.norm(normal, axis=1)
    on_plane = base[rows_of, own] + (normal * offset).sum(1) / np.where(steep, slope, 1.0)
    height[three] = np.where(steep, on_plane, height[three])
    every = np.arange(len(owner))
    lowest = owner[every, axis]
    place[every, axis] = np.clip(height, lowest, lowest + 1)
    return place


def _sums(group: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return np.stack([np.bincount(group, column, minlength=count) for column in values.T], 1)
