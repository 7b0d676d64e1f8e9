# SPDX-License-Identifier: GPL-3.0-or-later
"""A new closed surface around voxels whose own faces are loose layers, as small models make them.

A flood from outside meets the voxels; what it does not reach is solid. Gaps of up to two voxels are closed to it, wider
openings of the object (a mug, a vase) stay. The skin is the surface net of that solid (Gibson, 1998).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..lookup.nearest import SurfaceIndex
from ..surface.manifold import separate_corners
from ..surface.topology import edge_table

LARGEST_GRID = 512
"""Cells along a side of the flooded grid; a finer structure is merged into such cells first."""
REACH = 1
"""Cells by which the voxels grow to close gaps."""
PULL = 0.5
"""How far a skin vertex goes towards the dual vertices of the voxels it covers; at 1 a single sheet would be flat."""
FARTHEST = 0.5
"""Cells that a skin vertex may go from there to lie on the surface itself."""

_NEAR = ndimage.generate_binary_structure(3, 1)
_AROUND = ndimage.generate_binary_structure(3, 3)
_CORNERS = np.array([[k & 1, k >> 1 & 1, k >> 2 & 1] for k in range(8)])
_EDGES = np.array([(a, b) for a in range(8) for b in (a | 1, a | 2, a | 4) if a != b])


def net_skin(
    coords: np.ndarray, vertices: np.ndarray, faces: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a closed surface around voxels, wound outward: vertices float64 [V, 3], faces int64 [F, 3].

    coords int [N, 3] the voxels of a grid of ``resolution``; vertices [N, 3] the dual vertex of each, in the world
    frame; faces [M, 3] their surface: voxels without a face do not count. Every edge of the skin has two faces. Where
    the solid is thicker than a sheet the skin lies on the surface; a single sheet becomes a solid half a voxel
    thick. A hollow that the flood does not reach is filled.
    """
    used = np.unique(faces)
    factor = -(-resolution // LARGEST_GRID)
    cells, inverse = np.unique(coords[used].astype(np.int64) // factor, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    share = np.bincount(inverse)[:, None]
    points = np.stack([np.bincount(inverse, vertices[used, axis].astype(np.float64)) for axis in range(3)], 1) / share
    pad = REACH + 2
    solid = _solid(cells + pad, -(-resolution // factor) + 2 * pad)
    width = factor / resolution
    blocks, middle, net_faces = _surface_net(solid)
    net = (blocks + middle + 0.5 - pad) * width - 0.5
    net = _pull(net, blocks, solid.shape[0], cells + pad, points)
    thick = _thick(solid, blocks)
    # What is further away is another layer: going there would fold the skin.
    surface = SurfaceIndex(vertices, faces).closest(net[thick], np.zeros((int(thick.sum()), 3))).position
    near = np.linalg.norm(surface - net[thick], axis=1) <= FARTHEST * width
    net[np.flatnonzero(thick)[near]] = surface[near]
    # Bodies that touch at a corner share a vertex there: each gets its own.
    net_faces, copies = separate_corners(net_faces, *edge_table(net_faces).pairs())
    return net[copies], net_faces


def _solid(cells: np.ndarray, side: int) -> np.ndarray:
    """Fill what a flood from the border does not reach past the grown voxels, bool [side, side, side]."""
    own = np.zeros((side,) * 3, dtype=bool)
    own[tuple(cells.T)] = True
    free, _ = ndimage.label(~ndimage.binary_dilation(own, _NEAR, REACH))
    filled = free != free[0, 0, 0]
    solid = ndimage.binary_erosion(filled, _NEAR, REACH) | own
    while _join_diagonals(solid):
        pass
    return solid


def _join_diagonals(solid: np.ndarray) -> bool:
    """Fill a cell between every two that touch along an edge only (four faces would meet there); tell if any did."""
    joined = False
    for first, second in ((0, 1), (0, 2), (1, 2)):
        view = np.moveaxis(solid, (first, second), (0, 1))
        a, b, c, d = view[:-1, :-1], view[1:, :-1], view[1:, 1:], view[:-1, 1:]
        falling, rising = a & c & ~b & ~d, b & d & ~a & ~c
        joined |= bool(falling.any() or rising.any())
        b |= falling
        a |= rising
    return joined


def _thick(solid: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Tell which net vertices (by their block) lie on solid that is thicker than any single sheet, bool [V].

    That is solid next to the neighbours of a cell that has only solid around it, as no cell of a flat sheet has.
    """
    core = ndimage.binary_erosion(solid, _AROUND)
    backed = ndimage.binary_dilation(ndimage.binary_dilation(core, _AROUND), _NEAR)
    around = tuple(np.moveaxis(blocks[:, None] + _CORNERS, -1, 0))
    return (backed[around] | ~solid[around]).all(axis=1)


def _surface_net(solid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the net of a binary volume: a vertex in each block of 2x2x2 cells that holds both kinds.

    Blocks int64 [V, 3] by their lowest cell; the mean of the middles of the block's crossed edges [V, 3] in 0..1,
    between the centres of its cells; triangles int64 [F, 3] that face away from the solid.
    """
    side = solid.shape[0] - 1
    block = np.zeros((side,) * 3, dtype=np.uint8)
    for k, (x, y, z) in enumerate(_CORNERS):
        block |= solid[x : x + side, y : y + side, z : z + side].astype(np.uint8) << k
    places = np.argwhere((block > 0) & (block < 255))
    kind = block[tuple(places.T)].astype(np.int64)
    crossed = ((kind[:, None] >> _EDGES[:, 0] & 1) != (kind[:, None] >> _EDGES[:, 1] & 1)).astype(np.float64)
    middle = crossed @ (_CORNERS[_EDGES].sum(1) / 2) / crossed.sum(1)[:, None]
    number = np.full(block.shape, -1, dtype=np.int64)
    number[tuple(places.T)] = np.arange(len(places))
    quads = []
    for axis in range(3):
        a, b = np.eye(3, dtype=np.int64)[(axis + 1) % 3], np.eye(3, dtype=np.int64)[(axis + 2) % 3]
        lower = np.take(solid, range(side), axis)
        upper = np.take(solid, range(1, side + 1), axis)
        for start, order in ((np.argwhere(lower & ~upper), 1), (np.argwhere(~lower & upper), -1)):
            around = np.stack([start - a - b, start - b, start, start - a], 1)
            quads.append(number[tuple(np.moveaxis(around, -1, 0))][:, ::order])
    quad = np.concatenate(quads)
    return places, middle, np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])


def _pull(net: np.ndarray, blocks: np.ndarray, side: int, cells: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Move each net vertex towards the mean surface point of the voxels among the cells of its block."""
    row = np.full((side,) * 3, -1, dtype=np.int64)
    row[tuple(cells.T)] = np.arange(len(cells))
    found = row[tuple(np.moveaxis(blocks[:, None] + _CORNERS, -1, 0))]
    held = (found >= 0)[..., None]
    count = held.sum(1)
    mean = (points[found] * held).sum(1) / np.maximum(count, 1)
    return np.where(count > 0, net + PULL * (mean - net), net)
