# SPDX-License-Identifier: GPL-3.0-or-later
"""The lattice of ``lattice.Lattice`` in torch, for graphics cards: blocks of 8x8x8 points, and the ways between them.

What is known of all points is a tensor [B, 8, 8, 8]; single points are numbered as in ``lattice``.
"""

from __future__ import annotations

import torch
from torch import Tensor

SIDE, POINTS = 8, 512
_SHIFTS = (6, 3, 0)


class Ways:
    """The ways between points of blocks, by ``next`` int64 [2, 3, B]: the number of the block that follows each one
    backwards and onwards along each axis, -1 where none is stored."""

    def __init__(self, following: Tensor) -> None:
        self.next = following

    def filled(self, value: int | bool, dtype: torch.dtype) -> Tensor:
        """A tensor [B, 8, 8, 8] of one value."""
        return torch.full((self.next.shape[2], SIDE, SIDE, SIDE), value, dtype=dtype, device=self.next.device)

    def step(self, index: Tensor, axis: int, sign: int) -> Tensor:
        """``Lattice.step``."""
        shift = _SHIFTS[axis]
        leaves = (index >> shift & 7) == (7 if sign > 0 else 0)
        slot = self.next[int(sign > 0), axis][index >> 9]
        crossed = torch.where(slot < 0, -1, slot * POINTS + (index & 511) - (sign * 7 << shift))
        return torch.where(leaves, crossed, index + (sign << shift))

    def shifted(self, values: Tensor, axis: int, sign: int, absent: int | bool) -> Tensor:
        """For each point the value of its neighbour along an axis, ``absent`` where none is stored; [B, 8, 8, 8]."""
        along, following = axis + 1, self.next[int(sign > 0), axis]
        entered, left = (0, 7) if sign > 0 else (7, 0)
        result = torch.empty_like(values)
        result.narrow(along, int(sign < 0), 7).copy_(values.narrow(along, int(sign > 0), 7))
        beyond = values.select(along, entered)[following.clamp_min(0)]
        result.select(along, left).copy_(beyond.masked_fill_((following < 0)[:, None, None], absent))
        return result

    def spread(self, marked: Tensor, axis: int, *signs: int) -> Tensor:
        """The points bool [B, 8, 8, 8] that are ``marked`` or one of the ``signs`` steps along an axis from one."""
        result = marked.clone()
        for sign in signs:
            result |= self.shifted(marked, axis, -sign, False)
        return result


class Blocks(Ways):
    """Blocks that are stored: ``place`` int64 [B, 3] among ``count`` int64 [3] from the lattice point ``origin`` [3].

    ``slot`` int64 of shape ``count``: the number of each block, -1 where none is stored.
    """

    def __init__(self, origin: Tensor, count: Tensor, used: Tensor) -> None:
        """``used`` bool of shape ``count``: which blocks to store."""
        self.origin, self.count = origin, count
        self.place = used.nonzero()
        self.slot = used.new_full(used.shape, -1, dtype=torch.int64)
        self.slot[used] = torch.arange(len(self.place), device=used.device)
        super().__init__(torch.stack([torch.stack([self._beside(k, sign) for k in range(3)]) for sign in (-1, 1)]))

    def _beside(self, axis: int, sign: int) -> Tensor:
        """The slot of each block's neighbour, -1 where none is stored."""
        place = self.place.clone()
        place[:, axis] += sign
        there = (place[:, axis] >= 0) & (place[:, axis] < self.slot.shape[axis])
        place[:, axis] = torch.where(there, place[:, axis], 0)
        return torch.where(there, self.slot[tuple(place.unbind(1))], -1)

    def index(self, points: Tensor) -> Tensor:
        """``Lattice.index``."""
        place = points - self.origin
        x, y, z = (place & 7).unbind(1)
        slot = self.slot[tuple((place >> 3).unbind(1))]
        return torch.where(slot < 0, -1, slot * POINTS + (x * SIDE + y) * SIDE + z)


def near_blocks(points: Tensor, count: Tensor) -> Tensor:
    """``lattice._near_blocks``."""
    x, y, z = count.tolist()
    halves = torch.zeros((2 * x, 2 * y, 2 * z), dtype=torch.bool, device=points.device)
    halves[tuple((points >> 2).unbind(1))] = True
    for axis in range(3):
        length = halves.shape[axis]
        spread = halves.clone()
        spread.narrow(axis, 1, length - 1).logical_or_(halves.narrow(axis, 0, length - 1))
        spread.narrow(axis, 0, length - 1).logical_or_(halves.narrow(axis, 1, length - 1))
        halves = spread
    return halves.view(x, 2, y, 2, z, 2).any(5).any(3).any(1)
