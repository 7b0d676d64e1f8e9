# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of voxel coordinates and everything that depends on the coordinates alone.

Tensors that live on the same voxels share one ``Sites``, so a neighbour map is built once per coordinate set. Sites
also carry the memory of spec/models.md section 3.1: coarse sites made by ``coarsen`` know the fine ones they came from.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import EspalierError
from ..kernels.voxel_index import VoxelIndex, voxel_index

if TYPE_CHECKING:
    from ..kernels.convolution_triton import RowTiles

_BITS = 16
_ORIGIN = 1 << (_BITS - 1)  # neighbours of voxel 0 have coordinate -1: keep the packed fields non-negative

Triple = tuple[int, int, int]


def pack_keys(coords: Tensor) -> Tensor:
    """Pack int coordinates [N, 4] (batch, x, y, z) into int64 keys [N] that sort as the rows do.

    Spatial coordinates must lie in [-32768, 32767]. Adding ``pack_offset(d)`` to a key gives the key of the voxel at
    offset d.
    """
    batch, x, y, z = coords.long().unbind(1)
    return (((batch << _BITS | x + _ORIGIN) << _BITS) | y + _ORIGIN) << _BITS | z + _ORIGIN


def pack_offset(offset: Triple) -> int:
    """Difference of the keys of two voxels that lie ``offset`` = (dx, dy, dz) apart."""
    dx, dy, dz = offset
    return (dx << 2 * _BITS) + (dy << _BITS) + dz


def unpack_keys(keys: Tensor) -> Tensor:
    """Inverse of ``pack_keys``: int32 coordinates [N, 4]."""
    field = (1 << _BITS) - 1
    spatial = [(keys >> shift & field) - _ORIGIN for shift in (2 * _BITS, _BITS, 0)]
    return torch.stack([keys >> 3 * _BITS, *spatial], 1).int()


def kernel_offsets(kernel_size: Triple, dilation: Triple) -> list[Triple]:
    """Voxel offset of each kernel tap, the z axis running fastest: tap k looks at voxel + (k - K // 2) * dilation."""
    axes = [[(k - size // 2) * step for k in range(size)] for size, step in zip(kernel_size, dilation, strict=True)]
    return list(product(*axes))


class Sites:
    """Active voxels: ``coords`` int32 [N, 4] rows (batch, x, y, z), the rows of one batch element contiguous."""

    def __init__(self, coords: Tensor, finer: Subdivision | None = None) -> None:
        if coords.ndim != 2 or coords.shape[1] != 4:
            raise ValueError(f"sparse coordinates must have shape [N, 4], not {tuple(coords.shape)}")
        self.coords = coords.int()
        self.finer = finer
        self._neighbours: dict[tuple[Triple, Triple], Tensor] = {}
        self._row_tiles: dict[tuple[Triple, Triple], RowTiles] = {}
        # Weak: coarse sites hold the fine ones; a cycle would keep device memory until the garbage collector runs.
        self._coarse: weakref.ref[Sites] | None = None

    def __len__(self) -> int:
        return self.coords.shape[0]

    @cached_property
    def batch_index(self) -> Tensor:
        """Batch element of each row, int64 [N]."""
        return self.coords[:, 0].long()

    @cached_property
    def lengths(self) -> list[int]:
        """Number of rows of each batch element."""
        return torch.bincount(self.batch_index).tolist()

    @cached_property
    def layout(self) -> list[slice]:
        """Row slice of each batch element."""
        slices, start = [], 0
        for length in self.lengths:
            slices.append(slice(start, start + length))
            start += length
        return slices

    @cached_property
    def _index(self) -> VoxelIndex:
        return voxel_index(pack_keys(self.coords))

    def find(self, keys: Tensor) -> Tensor:
        """Row (int64) of each packed key; ``len(self)`` where no such voxel is active."""
        return self._index.find(keys)

    def neighbours(self, kernel_size: Triple, dilation: Triple) -> Tensor:
        """Neighbour map int32 [N, V]: row of the voxel under each kernel tap, ``len(self)`` where it is not active.

        Odd kernels only. ``map[i, v] == j`` exactly when ``map[j, V - 1 - v] == i``; so one half is searched, the other
        half is its mirror image.
        """
        key = (kernel_size, dilation)
        if key not in self._neighbours:
            offsets = [pack_offset(offset) for offset in kernel_offsets(kernel_size, dilation)]
            # An index of its own: the map outlives it, and most sites are never searched again.
            self._neighbours[key] = voxel_index(pack_keys(self.coords)).neighbours(offsets)
        return self._neighbours[key]

    def row_tiles(self, kernel_size: Triple, dilation: Triple) -> RowTiles:
        """The rows of that neighbour map as the convolution kernel takes them."""
        key = (kernel_size, dilation)
        if key not in self._row_tiles:
            from ..kernels.convolution_triton import tiles_of

            self._row_tiles[key] = tiles_of(self.neighbours(kernel_size, dilation))
        return self._row_tiles[key]

    def coarsen(self) -> Sites:
        """Sites of half the resolution, sorted lexicographically, that remember these ones as their ``finer`` sites."""
        coarse = self._coarse() if self._coarse is not None else None
        if coarse is None:
            halved = torch.cat([self.coords[:, :1], self.coords[:, 1:] >> 1], 1)
            keys, parent = torch.unique(pack_keys(halved), return_inverse=True)
            low = self.coords[:, 1:].long() & 1
            child = low[:, 0] + 2 * low[:, 1] + 4 * low[:, 2]
            coarse = Sites(unpack_keys(keys), Subdivision(self, parent, child))
            self._coarse = weakref.ref(coarse)
        return coarse

    def subdivide(self, mask: Tensor) -> Subdivision:
        """Children where ``mask`` [N, 8] is true: parents in row order, within a parent by ascending child index.

        Raises ``EspalierError("empty_shape")`` when no child is left.
        """
        parent, child = mask.nonzero(as_tuple=True)
        if parent.numel() == 0:
            raise EspalierError(
                "empty_shape",
                "The model produced no voxels for this input. Try another seed or a clearer image.",
            )
        bits = torch.stack([child & 1, child >> 1 & 1, child >> 2 & 1], 1).int()
        coords = self.coords[parent]
        return Subdivision(Sites(torch.cat([coords[:, :1], 2 * coords[:, 1:] + bits], 1)), parent, child)

    def to(self, device: torch.device | str) -> Sites:
        """The same sites on another device, with the finer sites they remember."""
        coords = self.coords.to(device)
        if coords is self.coords:
            return self
        return Sites(coords, self.finer.to(device) if self.finer else None)


@dataclass(frozen=True)
class Subdivision:
    """How fine sites hang under coarse ones: coarse row ``parent`` and index ``child`` (0..7) of each fine row, int64.

    Child index = x + 2y + 4z of the low coordinate bits (spec/models.md section 3.5).
    """

    fine: Sites
    parent: Tensor
    child: Tensor

    @cached_property
    def slot(self) -> Tensor:
        """Position of each fine row in a [parents * 8] table, int64 [N]."""
        return self.parent * 8 + self.child

    def mask(self, parents: int) -> Tensor:
        """Which children exist, bool [parents, 8]: the target of the subdivision logits."""
        mask = torch.zeros(parents * 8, dtype=torch.bool, device=self.parent.device)
        mask[self.slot] = True
        return mask.view(parents, 8)

    def to(self, device: torch.device | str) -> Subdivision:
        """The same subdivision on another device."""
        return Subdivision(self.fine.to(device), self.parent.to(device), self.child.to(device))
