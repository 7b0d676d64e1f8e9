# SPDX-License-Identifier: GPL-3.0-or-later
"""Features on a set of active voxels (spec/models.md section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from .sites import Sites


class SparseTensor:
    """``feats`` [N, C] on ``coords`` int32 [N, 4] rows (batch, x, y, z); the rows of one batch element are contiguous.

    Tensors derived by ``replace`` share their sites, and with them neighbour maps and the memory of finer sites.
    """

    def __init__(self, feats: Tensor, coords: Tensor | Sites) -> None:
        self.sites = coords if isinstance(coords, Sites) else Sites(coords)
        if feats.shape[0] != len(self.sites):
            raise ValueError(f"{feats.shape[0]} feature rows for {len(self.sites)} voxels")
        self.feats = feats

    @property
    def coords(self) -> Tensor:
        return self.sites.coords

    @property
    def device(self) -> torch.device:
        return self.feats.device

    @property
    def dtype(self) -> torch.dtype:
        return self.feats.dtype

    @property
    def shape(self) -> torch.Size:
        return self.feats.shape

    @property
    def layout(self) -> list[slice]:
        """Row slice of each batch element."""
        return self.sites.layout

    @property
    def batch_size(self) -> int:
        return len(self.sites.lengths)

    def __len__(self) -> int:
        return len(self.sites)

    def replace(self, feats: Tensor) -> SparseTensor:
        """Other features on the same sites."""
        return SparseTensor(feats, self.sites)

    def fresh(self) -> SparseTensor:
        """The same features and coordinates with nothing remembered: decoding will predict its own subdivision."""
        return SparseTensor(self.feats, self.sites.coords)

    def to(self, target: torch.device | str | torch.dtype) -> SparseTensor:
        """Move to a device (with the remembered finer sites), or convert the features to a dtype."""
        sites = self.sites if isinstance(target, torch.dtype) else self.sites.to(target)
        return SparseTensor(self.feats.to(target), sites)

    def child_mask(self) -> Tensor | None:
        """Remembered children of each voxel, bool [N, 8]; None when nothing is remembered."""
        return None if self.sites.finer is None else self.sites.finer.mask(len(self))

    def sample(self, index: int) -> SparseTensor:
        """One batch element as a tensor of its own, with batch index 0 and nothing remembered."""
        rows = self.layout[index]
        coords = self.coords[rows].clone()
        coords[:, 0] = 0
        return SparseTensor(self.feats[rows], coords)

    @staticmethod
    def cat(tensors: list[SparseTensor]) -> SparseTensor:
        """Concatenate batches: the batch elements of each tensor follow those of the one before."""
        coords, first = [], 0
        for tensor in tensors:
            shift = torch.tensor([first, 0, 0, 0], dtype=torch.int32, device=tensor.device)
            coords.append(tensor.coords + shift)
            first += tensor.batch_size
        return SparseTensor(torch.cat([tensor.feats for tensor in tensors]), torch.cat(coords))
