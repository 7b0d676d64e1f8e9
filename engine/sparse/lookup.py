# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of a sparse tensor at arbitrary points (spec/models.md section 8.1, "Attribute lookup on the mesh")."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from .sites import pack_keys
from .tensor import SparseTensor


def _rows_at(x: SparseTensor, voxels: Tensor) -> Tensor:
    """Row of each voxel [B, Q, 3] (integer) of batch element b; ``len(x)`` where it is not active."""
    batch = torch.arange(voxels.shape[0], device=voxels.device).view(-1, 1, 1).expand(-1, voxels.shape[1], 1)
    return x.sites.find(pack_keys(torch.cat([batch, voxels.long()], 2).reshape(-1, 4)))


def sample_nearest(x: SparseTensor, points: Tensor) -> Tensor:
    """Features of the voxel that holds each point: [B, Q, 3] in voxel units -> [B, Q, C], zero where none is active.

    The reference truncates toward zero, so a point in (-1, 0) belongs to voxel 0.
    """
    padded = torch.cat([x.feats, x.feats.new_zeros(1, x.feats.shape[1])])
    return padded[_rows_at(x, points.trunc())].view(*points.shape[:2], -1)


def sample_trilinear(x: SparseTensor, points: Tensor) -> Tensor:
    """Trilinear interpolation over the active voxels around each point, their weights renormalised to one.

    Points [B, Q, 3] in voxel units, voxel centres at integer + 0.5. Returns [B, Q, C], zero where no voxel is near.
    """
    padded = torch.cat([x.feats, x.feats.new_zeros(1, x.feats.shape[1])])
    base = (points - 0.5).floor()
    total = padded.new_zeros(points.shape[0] * points.shape[1], x.feats.shape[1])
    weights = padded.new_zeros(total.shape[0], 1)
    for offset in product((0, 1), repeat=3):
        voxel = base + base.new_tensor(offset)
        weight = (1 - (points - voxel - 0.5).abs()).prod(-1).view(-1, 1)
        rows = _rows_at(x, voxel)
        weight = weight * (rows < len(x)).unsqueeze(1)
        total += weight * padded[rows]
        weights += weight
    return (total / weights.clamp_min(1e-12)).view(*points.shape[:2], -1)
