# SPDX-License-Identifier: GPL-3.0-or-later
"""The voxel grid: its box and cell size, and a two-level table from voxel coordinates to rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import EspalierError
from .compilation import kernels

UNIT_BOX = ((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5))
MAX_RESOLUTION = 4096

BLOCK = 8
_BLOCK_BITS = 3
_BLOCK_CELLS = BLOCK**3
_LOW = BLOCK - 1


@dataclass(frozen=True)
class Grid:
    """An axis-aligned box cut into ``shape`` voxels.

    ``box_min`` and ``voxel_size`` are float32 [3]: the reference computes lattice planes in float32, and voxel sets
    only agree exactly when the same rounded numbers are used.
    """

    shape: tuple[int, int, int]
    box_min: Tensor
    voxel_size: Tensor

    @property
    def surface_voxels(self) -> int:
        """About how many voxels a closed surface activates that fills the box: those of its six sides."""
        x, y, z = self.shape
        return 2 * (x * y + y * z + z * x)

    def to(self, device: torch.device) -> Grid:
        """The same grid for work on another device."""
        return Grid(self.shape, self.box_min.to(device), self.voxel_size.to(device))

    @staticmethod
    def of(
        resolution: int | Sequence[int] | None = None,
        voxel_size: float | Sequence[float] | None = None,
        aabb: Sequence[Sequence[float]] | Tensor = UNIT_BOX,
    ) -> Grid:
        """Build the grid from a resolution (voxels per axis) or a voxel size (mesh units), and a box [2, 3]; on CPU.

        Raises EspalierError("bad_input") unless exactly one of both is given and the box has a positive extent.
        """
        box = torch.as_tensor(aabb, dtype=torch.float32).cpu()
        if box.shape != (2, 3) or not torch.isfinite(box).all() or not (box[1] > box[0]).all():
            raise EspalierError("bad_input", "The voxel box must be two corners, the smaller one first.")
        if (resolution is None) == (voxel_size is None):
            raise EspalierError("bad_input", "Give either a voxel resolution or a voxel size, not both.")
        extent = box[1] - box[0]
        if resolution is not None:
            shape = torch.as_tensor(resolution).expand(3)
            if shape.is_floating_point():
                raise EspalierError("bad_input", "The voxel resolution must be a whole number.")
            _check_shape(shape.tolist())
            size = extent / shape
        else:
            size = torch.as_tensor(voxel_size, dtype=torch.float32).expand(3).clone()
            if not torch.isfinite(size).all() or not (size > 0).all():
                raise EspalierError("bad_input", "The voxel size must be a positive number.")
            shape = torch.round(extent / size).double()
            _check_shape(shape.tolist())
        nx, ny, nz = (int(n) for n in shape.tolist())
        return Grid((nx, ny, nz), box[0].clone(), size)


def _check_shape(shape: list[float]) -> None:
    if not all(1 <= n <= MAX_RESOLUTION for n in shape):
        raise EspalierError(
            "bad_input", f"The voxel grid must have between 1 and {MAX_RESOLUTION} voxels along each axis."
        )


class VoxelTable:
    """Maps integer voxel coordinates to row numbers in constant time.

    Level one is a dense table of 8x8x8 blocks, level two holds 512 rows for each block that contains a voxel: two
    gathers a query and, on surfaces, far less memory than a dense grid.
    """

    def __init__(self, coords: Tensor, shape: Sequence[int]) -> None:
        """``coords`` int [N, 3] inside ``shape``, unique; row ``i`` of the table is row ``i`` of ``coords``."""
        self._set_shape(shape)
        code = self._code(*coords.long().unbind(1))
        self._allocate(self._blocks_of([code]))
        self._rows[self._place(code)] = torch.arange(len(code), dtype=torch.int32, device=coords.device)

    @classmethod
    def of_cells(
        cls, cells: Iterable[tuple[Tensor, Tensor, Tensor]], shape: Sequence[int]
    ) -> tuple[VoxelTable, Tensor, list[Tensor]]:
        """Build from batches of cell coordinates (x, y, z), int64, that may repeat.

        Returns the table, the unique coordinates int64 [N, 3] in lexicographic order and the rows of each batch.
        """
        self = cls.__new__(cls)
        self._set_shape(shape)
        codes = [self._code(*batch) for batch in cells]
        self._allocate(self._blocks_of(codes))
        present = torch.zeros(len(self._rows), dtype=torch.bool, device=codes[0].device)
        for code in codes:
            present[self._place(code)] = True
        unique = present.nonzero().squeeze(1)
        block = self._occupied[unique >> (3 * _BLOCK_BITS)]
        by, bz = self._blocks[1:]
        x = (block // (by * bz) << _BLOCK_BITS) | ((unique >> 2 * _BLOCK_BITS) & _LOW)
        y = (block // bz % by << _BLOCK_BITS) | ((unique >> _BLOCK_BITS) & _LOW)
        z = (block % bz << _BLOCK_BITS) | (unique & _LOW)
        order = torch.argsort((x * self.shape[1] + y) * self.shape[2] + z)
        self._rows[unique[order]] = torch.arange(len(unique), dtype=torch.int32, device=unique.device)
        coords = torch.stack([x, y, z], 1)[order]
        return self, coords, [take(self._rows, self._place(code)).long() for code in codes]

    @classmethod
    def around_edges(cls, cells: Sequence[Tensor], grid: Grid) -> tuple[VoxelTable, Tensor, list[Tensor]]:
        """Build from the four voxels around each crossed edge: ``cells`` int64 [3, H] for each axis, their owners.

        Returns the table, the unique coordinates int64 [N, 3] in lexicographic order and for each axis the rows int64
        [4, H] of the voxels around the edges: the owner, then one step along the next axis, along the one after it,
        along both.
        """
        compiled = kernels(cells[0].device, 4 * sum(cell.shape[1] for cell in cells))
        if compiled is None:
            batches = []
            for axis, cell in enumerate(cells):
                for step_u, step_w in ((0, 0), (1, 0), (0, 1), (1, 1)):
                    batch = list(cell)
                    batch[(axis + 1) % 3] = batch[(axis + 1) % 3] + step_u
                    batch[(axis + 2) % 3] = batch[(axis + 2) % 3] + step_w
                    batches.append(batch)
            table, coords, rows = cls.of_cells(batches, grid.shape)
            return table, coords, [torch.stack(rows[first : first + 4]) for first in (0, 4, 8)]
        self = cls.__new__(cls)
        self._set_shape(grid.shape)
        used = torch.zeros(math.prod(self._blocks), dtype=torch.bool)
        for axis, cell in enumerate(cells):
            compiled.mark_blocks(cell.numpy(), axis, np.array(self._blocks), used.numpy())
        self._allocate(used)
        found = [torch.empty((4, cell.shape[1]), dtype=torch.int64) for cell in cells]
        for axis, cell in enumerate(cells):
            compiled.around_edges(cell.numpy(), axis, *self.arrays(), found[axis].numpy(), True)
        coords = compiled.number_voxels(self._occupied.numpy(), np.array(self._blocks), self._rows.numpy())
        for axis, cell in enumerate(cells):
            compiled.around_edges(cell.numpy(), axis, *self.arrays(), found[axis].numpy(), False)
        return self, torch.from_numpy(coords), found

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What compiled loops read of a table on the CPU: blocks along each axis, first level, second level."""
        return np.array(self._blocks), self._slot.numpy(), self._rows.numpy()

    def levels(self) -> tuple[Tensor, Tensor]:
        """What GPU kernels read of a table: first level, second level, int32."""
        return self._slot, self._rows

    def _set_shape(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self._blocks = [math.ceil(n / BLOCK) for n in self.shape]

    def _code(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Block number times 512 plus the cell within the block."""
        block = ((x >> _BLOCK_BITS) * self._blocks[1] + (y >> _BLOCK_BITS)) * self._blocks[2] + (z >> _BLOCK_BITS)
        cell = ((x & _LOW) << 2 * _BLOCK_BITS) | ((y & _LOW) << _BLOCK_BITS) | (z & _LOW)
        return block * _BLOCK_CELLS + cell

    def _blocks_of(self, codes: list[Tensor]) -> Tensor:
        used = torch.zeros(math.prod(self._blocks), dtype=torch.bool, device=codes[0].device)
        for code in codes:
            used[code >> (3 * _BLOCK_BITS)] = True
        return used

    def _allocate(self, used: Tensor) -> None:
        """Make room for the blocks that are in use, bool [all blocks]."""
        device = used.device
        self._occupied = used.nonzero().squeeze(1)
        # Blocks without voxels share the last one, which stays empty.
        self._slot = torch.full((len(used),), len(self._occupied), dtype=torch.int32, device=device)
        self._slot[self._occupied] = torch.arange(len(self._occupied), dtype=torch.int32, device=device)
        self._rows = torch.full(((len(self._occupied) + 1) * _BLOCK_CELLS,), -1, dtype=torch.int32, device=device)

    def _place(self, code: Tensor) -> Tensor:
        """Where in the second level the voxel of this code (int64 [P]) stands."""
        slot = take(self._slot, code >> (3 * _BLOCK_BITS)).long()
        return slot * _BLOCK_CELLS + (code & (_BLOCK_CELLS - 1))

    def rows(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Row of each voxel (x, y, z), int64 tensors of one shape that may leave the grid; -1 where there is none."""
        nx, ny, nz = self.shape
        inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny) & (z >= 0) & (z < nz)
        rows = self.rows_inside(x * inside, y * inside, z * inside)
        return torch.where(inside, rows, -1)

    def rows_inside(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """As ``rows``, for coordinates that are known to lie in the grid."""
        code = self._code(x, y, z)
        return take(self._rows, self._place(code.flatten())).long().view(code.shape)


def take(values: Tensor, rows: Tensor) -> Tensor:
    """values[rows] for one index of rows: several times faster than indexing on a CPU."""
    return values.index_select(0, rows)


def lengths(vectors: Tensor) -> Tensor:
    """Lengths [P] of vectors [P, 3], each product and sum rounded by itself: the same bits on every device."""
    x, y, z = vectors.unbind(1)
    return (x * x + y * y + z * z).sqrt()


def expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Segmented expansion: for counts [n] return (owner, offset), each [counts.sum()].

    ``owner`` repeats each index ``counts`` times, ``offset`` counts 0, 1, ... within it.
    """
    owner = torch.repeat_interleave(counts)
    first = torch.cumsum(counts, 0) - counts
    offset = torch.arange(len(owner), device=counts.device) - take(first, owner)
    return owner, offset


def chunks_by_count(counts: Tensor, limit: int) -> Iterator[slice]:
    """Cut rows into consecutive slices whose counts sum to at most ``limit`` (a single larger row stands alone)."""
    total = torch.cumsum(counts, 0)
    start = 0
    done = 0
    while start < len(counts):
        stop = int(torch.searchsorted(total, done + limit, right=True))
        stop = max(stop, start + 1)
        yield slice(start, stop)
        done = int(total[stop - 1])
        start = stop
