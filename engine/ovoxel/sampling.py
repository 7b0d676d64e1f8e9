# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading sparse voxel values at arbitrary positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import EspalierError
from ..kernels import choice
from .grid import UNIT_BOX, Grid, VoxelTable

# On a CPU few enough to stay near the cache; a constant, so that results are the same.
_QUERIES_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 24}
_SMALLEST_WEIGHT = 1e-12


def check_inside(coords: Tensor, shape: Sequence[int]) -> None:
    """Raise EspalierError("bad_input") where a voxel of ``coords`` int [N, 3] lies outside the grid of this shape."""
    if bool(((coords < 0) | (coords >= torch.tensor(shape, device=coords.device))).any()):
        raise EspalierError("bad_input", "The voxel data has voxels outside its grid.")


def sample_sparse(
    coords: Tensor,
    feats: Tensor,
    positions: Tensor,
    resolution: int | Sequence[int],
    mode: Literal["trilinear", "nearest"] = "trilinear",
    aabb: Sequence[Sequence[float]] | Tensor = UNIT_BOX,
) -> Tensor:
    """Values float32 [Q, C] of sparse voxels at ``positions`` [Q, 3] (mesh units, in the box ``aabb``).

    ``coords`` int [N, 3] unique, ``feats`` [N, C] at the voxel centres. "trilinear" blends the up to eight voxels
    around a position and divides by the sum of the weights of those that exist; "nearest" takes the voxel a position
    lies in, truncating toward zero. Zero where no voxel is near. spec/ovoxel.md 7.6.

    Raises EspalierError("bad_input") when sizes do not match or voxels leave the grid.
    """
    device = positions.device
    return SparseValues(coords.to(device), feats.to(device), resolution, aabb).at(positions, mode)


class SparseValues:
    """Values of sparse voxels, for reading at many positions: see ``sample_sparse``. They stay on their device."""

    def __init__(
        self,
        coords: Tensor,
        feats: Tensor,
        resolution: int | Sequence[int],
        aabb: Sequence[Sequence[float]] | Tensor = UNIT_BOX,
    ) -> None:
        self._grid = Grid.of(resolution, None, aabb).to(feats.device)
        if coords.shape != (len(feats), 3) or feats.ndim != 2:
            raise _misfit()
        check_inside(coords, self._grid.shape)
        self._table = VoxelTable(coords, self._grid.shape)
        # One row of zeros stands for every missing voxel.
        self._values = F.pad(feats.float(), (0, 0, 0, 1))

    def at(self, positions: Tensor, mode: Literal["trilinear", "nearest"] = "trilinear") -> Tensor:
        """Values float32 [Q, C] at ``positions`` [Q, 3] on the same device."""
        if positions.ndim != 2 or positions.shape[1] != 3:
            raise _misfit()
        values, grid = self._values, self._grid
        read = (
            _nearest
            if mode == "nearest"
            else _trilinear_on_gpu
            if choice.serve_tensors(positions, values)
            else _trilinear
        )
        at_once = _QUERIES_AT_ONCE["cpu" if positions.device.type == "cpu" else "cuda"]
        parts = [
            read(self._table, values, (chunk.float() - grid.box_min) / grid.voxel_size)
            for chunk in positions.split(at_once)
        ]
        return torch.cat(parts) if parts else values.new_zeros((0, values.shape[1]))


def _misfit() -> EspalierError:
    return EspalierError("bad_input", "The voxel values do not fit their coordinates or the positions asked for.")


def _nearest(table: VoxelTable, values: Tensor, at: Tensor) -> Tensor:
    rows = table.rows(*at.long().unbind(1))
    return values[torch.where(rows < 0, len(values) - 1, rows)]


def _trilinear(table: VoxelTable, values: Tensor, at: Tensor) -> Tensor:
    base = (at - 0.5).floor()
    fraction = at - 0.5 - base
    base = base.long()
    rows = at.new_empty((len(at), 8), dtype=torch.int64)
    weights = at.new_empty((len(at), 8))
    near, far = (1 - fraction).unbind(1), fraction.unbind(1)
    for corner in range(8):
        bits = [(corner >> axis) & 1 for axis in range(3)]
        rows[:, corner] = table.rows(*(base[:, axis] + bits[axis] for axis in range(3)))
        wx, wy, wz = (far[axis] if bits[axis] else near[axis] for axis in range(3))
        weights[:, corner] = wx * wy * wz
    missing = rows < 0
    rows.masked_fill_(missing, len(values) - 1)
    weights.masked_fill_(missing, 0.0)
    weights /= weights.sum(1, keepdim=True).clamp_min(_SMALLEST_WEIGHT)
    return F.embedding_bag(rows, values, per_sample_weights=weights, mode="sum")


def _trilinear_on_gpu(table: VoxelTable, values: Tensor, at: Tensor) -> Tensor:
    from ..kernels.trilinear_triton import trilinear

    return trilinear(*table.levels(), table.shape, values, at, _SMALLEST_WEIGHT)
