# SPDX-License-Identifier: GPL-3.0-or-later
"""Coordinates of latent cells: from structure logits, and from a low-resolution shape in a cascade (models.md 8.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST_RESOLUTION, RESOLUTION_STEP = 1024, 128


def occupied_cells(logits: Tensor, grid: int) -> Tensor:
    """Return int32 [N, 4] rows (batch, x, y, z), lexicographic, of the cells with a positive logit [B, 1, R, R, R].

    Where R is finer than ``grid``, a cell is occupied when any of the finer cells inside it is.
    """
    occupied = (logits > 0).float()
    if logits.shape[-1] != grid:
        occupied = F.max_pool3d(occupied, logits.shape[-1] // grid)
    return torch.argwhere(occupied > 0)[:, [0, 2, 3, 4]].int()


def cascade_cells(
    fine: Tensor, low_resolution: int, resolution: int, compression: int, max_tokens: int
) -> tuple[Tensor, int]:
    """Quantise the voxels of a low-resolution shape to latent cells of a finer grid, within the token budget.

    fine: int32 [M, 4] voxels (batch, x, y, z) of the ``low_resolution`` grid. Returns the cells int32 [N, 4], unique
    and lexicographic, and the resolution they belong to: ``resolution`` lowered by 128 while there are ``max_tokens``
    cells or more, but never below 1024. The exact form of ``trunc((c + 0.5) / low * grid)``.
    """
    while True:
        cells = fine.long()
        cells[:, 1:] = (2 * cells[:, 1:] + 1) * (resolution // compression) // (2 * low_resolution)
        cells = torch.unique(cells, dim=0)
        if len(cells) < max_tokens or resolution <= SMALLEST_RESOLUTION:
            return cells.int(), resolution
        resolution -= RESOLUTION_STEP
