# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of voxels by their packed coordinates, and from it the neighbour map of submanifold convolutions."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from . import choice


class VoxelIndex(Protocol):
    """Finds the row of a voxel: made from distinct non-negative int64 ``keys`` [N], row i holding keys[i]."""

    def find(self, keys: Tensor) -> Tensor:
        """Row of each key, int64, shaped as ``keys``; N where there is no such voxel."""

    def neighbours(self, offsets: list[int]) -> Tensor:
        """Neighbour map int32 [N, V]: the row of key[i] + offsets[v], N where there is none.

        ``offsets`` has odd length and offsets[V - 1 - v] == -offsets[v]. So ``map[i, v] == j`` exactly when
        ``map[j, V - 1 - v] == i``, and only half of it is searched.
        """


class SortedIndex:
    """``VoxelIndex`` in plain torch: sorted keys and binary search."""

    def __init__(self, keys: Tensor) -> None:
        self._ordered, self._rows = keys.sort()

    def find(self, keys: Tensor) -> Tensor:
        """As ``VoxelIndex.find``."""
        count = len(self._rows)
        position = torch.searchsorted(self._ordered, keys)
        rows = torch.cat([self._rows, self._rows.new_full((1,), count)])
        ordered = torch.cat([self._ordered, self._ordered.new_full((1,), -1)])
        return torch.where(ordered[position] == keys, rows[position], count)

    def neighbours(self, offsets: list[int]) -> Tensor:
        """As ``VoxelIndex.neighbours``."""
        ordered, rows, count, taps = self._ordered, self._rows, len(self._rows), len(offsets)
        table = torch.full((taps, count + 1), count, dtype=torch.int32, device=rows.device)
        table[taps // 2, :count] = torch.arange(count, dtype=torch.int32, device=rows.device)
        for tap in range(taps // 2):
            wanted = ordered + offsets[tap]
            position = torch.searchsorted(ordered, wanted)  # smaller than the centre's, so never past the end
            found = torch.where(ordered[position] == wanted, rows[position], count)
            table[tap, rows] = found.int()
            # Absent neighbours all write to the spare last column, which is cut off.
            table[taps - 1 - tap, found] = rows.int()
        return table[:, :count].t().contiguous()


def voxel_index(keys: Tensor) -> VoxelIndex:
    """The ``VoxelIndex`` of keys int64 [N] that suits their device."""
    if choice.serve(keys.device):
        from .voxel_index_triton import HashIndex

        return HashIndex(keys)
    return SortedIndex(keys)
