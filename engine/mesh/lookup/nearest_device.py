# SPDX-License-Identifier: GPL-3.0-or-later
"""The search tree over triangles on a graphics card: built there in plain torch, walked by the kernels.

The same tree as ``compiled_bvh.build`` makes, box for box, and the same results, bit for bit. What torch would compute
in one rounding where the processor takes two is spelt out in single steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...kernels import bvh_triton
from ...kernels.bvh_triton import Tree
from ...kernels.host_arrays import upload
from ..surface.tensor_vectors import face_vectors, unit
from .nearest import SurfacePoints, interpolate

LEAF = 4
"""As in ``compiled_bvh``."""

_SPREAD = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


class DeviceIndex:
    """The tree over the faces [F, 3] of a surface (vertices [V, 3]) on ``device``, where kernels serve."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, device: torch.device) -> None:
        self._device = device
        self._vertices, self._faces = self._upload(vertices), self._upload(faces).long()
        corners = self._vertices[self._faces].double()
        # By a number on the device: torch multiplies by the reciprocal of one on the host.
        three = torch.full((1,), 3.0, dtype=torch.float64, device=device)
        codes, self._order = torch.sort(curve(((corners[:, 0] + corners[:, 1]) + corners[:, 2]) / three), stable=True)
        sorted_corners = corners.view(-1, 9).float()[self._order]
        normals = unit(face_vectors(self._vertices, self._faces))
        self._tree = build(codes, sorted_corners, normals.float()[self._order])

    def closest(self, points: np.ndarray, normals: np.ndarray, margin: float) -> SurfacePoints:
        """As ``SurfaceIndex.closest`` of float64 arrays."""
        found = self.closest_here(self._upload(points), self._upload(normals), margin)
        return SurfacePoints(*(part.cpu().numpy() for part in found))

    def closest_here(self, points: Tensor, normals: Tensor, margin: float) -> tuple[Tensor, Tensor, Tensor]:
        """``closest`` of tensors on the device: position, face and barycentric."""
        row, weights = bvh_triton.closest(self._tree, points, normals, torch.argsort(curve(points)), margin)
        face = self._order[row]
        return interpolate(weights, self._vertices, self._faces[face]), face, weights

    def open_share(
        self, points: np.ndarray, normals: np.ndarray, pattern: np.ndarray, directions: np.ndarray
    ) -> np.ndarray:
        """As ``SurfaceIndex.open_share``."""
        at, around = self._upload(points).double(), self._upload(normals).double()
        kind = self._upload(pattern).long()
        # Lanes of one pattern cast rays that are almost parallel.
        order = torch.argsort(curve(at))
        order = order[torch.argsort(kind[order], stable=True)]
        return bvh_triton.open_share(self._tree, at, around, kind, self._upload(directions), order).cpu().numpy()

    def _upload(self, values: np.ndarray) -> Tensor:
        return upload(values, self._device)


def curve(points: Tensor) -> Tensor:
    """The places of points float64 [N, 3] along a Z-order curve of 2^21 steps a side, int64 [N]."""
    if len(points) == 0:
        return points.new_empty(0, dtype=torch.int64)
    low = points.amin(0)
    span = float((points.amax(0) - low).max())
    scale = (2**21 - 1) / span if span > 0 else 0.0
    steps = ((points - low) * scale).clamp(0.0, 2097151.0).long()
    for shift, kept in _SPREAD:
        steps = (steps | steps << shift) & kept
    return steps[:, 0] | steps[:, 1] << 1 | steps[:, 2] << 2


@dataclass
class _Level:
    """Nodes at one depth: which triangles [begin, end) they hold, and which of them are divided."""

    begin: Tensor
    end: Tensor
    inner: Tensor


def build(codes: Tensor, corners: Tensor, normals: Tensor) -> Tree:
    """The tree over triangles float32 [F, 9] and their normals float32 [F, 3], sorted by code int64 [F], F > 0.

    Level by level downward, where ``compiled_bvh.build`` splits (Lauterbach et al., 2009); then how many nodes each one
    holds and its box, upward; then their places in depth-first order, downward.
    """
    levels = _split(codes)
    boxes, sizes = [None] * len(levels), [None] * len(levels)
    for depth in range(len(levels) - 1, -1, -1):
        level = levels[depth]
        box, size = corners.new_empty((len(level.begin), 6)), torch.ones_like(level.begin)
        leaf = ~level.inner
        box[leaf] = _leaf_boxes(corners, level.begin[leaf], level.end[leaf])
        if depth + 1 < len(levels):
            children = boxes[depth + 1].view(-1, 2, 6)
            box[level.inner] = torch.cat([children[..., :3].amin(1), children[..., 3:].amax(1)], 1)
            size[level.inner] += sizes[depth + 1].view(-1, 2).sum(1)
        boxes[depth], sizes[depth] = box, size
    nodes = sum(len(level.begin) for level in levels)
    tree = Tree(
        corners.new_empty((nodes, 6)),
        *(torch.empty(nodes, dtype=torch.int32, device=codes.device) for _ in range(3)),
        corners,
        normals,
    )
    number = torch.zeros_like(levels[0].begin)
    for depth, level in enumerate(levels):
        inner, first, skip = level.inner, level.begin.clone(), torch.full_like(number, -1)
        following = number[:0]
        if depth + 1 < len(levels):
            left = number[inner] + 1
            right = left + sizes[depth + 1].view(-1, 2)[:, 0]
            first[inner], skip[inner] = right, (number + sizes[depth])[inner]
            following = torch.stack([left, right], 1).view(-1)
        tree.boxes[number], tree.first[number], tree.skip[number] = boxes[depth], first.int(), skip.int()
        tree.count[number] = torch.where(inner, 0, level.end - level.begin).int()
        number = following
    return tree


def _split(codes: Tensor) -> list[_Level]:
    begin, end = codes.new_zeros(1), codes.new_full((1,), len(codes))
    levels = []
    while len(begin):
        inner = end - begin > LEAF
        levels.append(_Level(begin, end, inner))
        begin, end = begin[inner], end[inner]
        last = codes[end - 1]
        differing = codes[begin] ^ last
        for shift in (1, 2, 4, 8, 16, 32):
            differing = differing | differing >> shift
        # The first code with the highest bit that differs within the node is the first not below the last code without
        # the bits that follow it.
        middle = torch.searchsorted(codes, last & ~(differing >> 1))
        middle = torch.where(differing == 0, (begin + end) // 2, middle)
        begin, end = torch.stack([begin, middle], 1).view(-1), torch.stack([middle, end], 1).view(-1)
    return levels


def _leaf_boxes(corners: Tensor, begin: Tensor, end: Tensor) -> Tensor:
    row = begin[:, None] + torch.arange(LEAF, device=begin.device)
    held = corners[torch.minimum(row, end[:, None] - 1)].view(-1, 3 * LEAF, 3)
    return torch.cat([held.amin(1), held.amax(1)], 1)
