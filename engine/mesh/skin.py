# SPDX-License-Identifier: GPL-3.0-or-later
"""The closed outer skin of a set of surface voxels: one solid without inner layers, whatever the voxels' own faces do.

A flood from outside meets the voxels; what it does not reach is solid. Gaps of up to two voxels are closed to it, wider
openings of the object (a mug, a vase) stay. The skin is the surface net of that solid (Gibson, 1998).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .manifold import split_non_manifold

LARGEST_GRID = 512
"""Cells along a side of the flooded grid; a finer structure is merged into such cells first."""
REACH = 1
"""Cells by which the voxels grow to close gaps."""
PULL = 0.5
"""How far a skin vertex goes towards the dual vertices of the voxels it covers; at 1 a single sheet would be flat."""

_CORNERS = np.array([[k & 1, k >> 1 & 1, k >> 2 & 1] for k in range(8)])
_EDGES = np.array([(a, b) for a in range(8) for b in (a | 1, a | 2, a | 4) if a != b])


def outer_skin(coords: np.ndarray, vertices: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the closed outer skin of voxels, wound outward: vertices float64 [V, 3], faces int64 [F, 3].

    coords int [N, 3] the voxels of a grid of ``resolution``; vertices [N, 3] one surface point of each voxel (its dual
    vertex), both in the world frame. Every edge has two faces. A hollow that the flood does not reach is filled.
    """
    factor = -(-resolution // LARGEST_GRID)
    cells, inverse = np.unique(coords.astype(np.int64) // factor, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    share = np.bincount(inverse)[:, None]
    points = np.stack([np.bincount(inverse, vertices[:, axis].astype(np.float64)) for axis in range(3)], 1) / share
    pad = REACH + 2
    solid = _solid(cells + pad, -(-resolution // factor) + 2 * pad)
    width = factor / resolution
    blocks, middle, faces = _surface_net(solid)
    net = (blocks + middle + 0.5 - pad) * width - 0.5
    net = _pull(net, blocks, solid.shape[0], cells + pad, points)
    # Where two bodies touch along an edge the net has four faces there; outward normals tell which belong together.
    net, faces, _, _ = split_non_manifold(net, faces, np.ones(len(faces), dtype=np.int8))
    return net, faces


def _solid(cells: np.ndarray, side: int) -> np.ndarray:
    """Fill what a flood from the border does not reach past the grown voxels, bool [side, side, side]."""
    own = np.zeros((side,) * 3, dtype=bool)
    own[tuple(cells.T)] = True
    near = ndimage.generate_binary_structure(3, 1)
    free, _ = ndimage.label(~ndimage.binary_dilation(own, near, REACH))
    filled = free != free[0, 0, 0]
    return ndimage.binary_erosion(filled, near, REACH) | own


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
