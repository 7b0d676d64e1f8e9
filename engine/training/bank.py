# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural assets resident on the training device, with batches drawn by index and coloured on the fly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..conditioning.image import IMAGENET_MEAN, IMAGENET_STD
from ..starter.dataset import Dataset
from ..starter.materials import draw_materials
from ..starter.shading import shade_views
from .presets import COMPRESSION, GRID

LABELS = 12


@dataclass(frozen=True)
class Voxels:
    """O-Voxels of a batch of ``items`` assets.

    ``coords`` int32 [N, 4] (batch, x, y, z), ``vertices`` [N, 3] in [0, 1], ``flags`` bool [N, 3], ``labels`` [N].
    """

    coords: Tensor
    vertices: Tensor
    flags: Tensor
    labels: Tensor
    items: int

    @property
    def batch(self) -> Tensor:
        """Position in the batch of every voxel [N]."""
        return self.coords[:, 0].long()


def ragged_rows(offsets: Tensor, ids: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the rows of the items ``ids`` one after another, and the position in ``ids`` each row belongs to.

    ``offsets`` [A + 1] and ``ids`` [B] live on the CPU, so the total is known without waiting for the device.
    """
    starts, counts = offsets[ids], offsets[ids + 1] - offsets[ids]
    total = int(counts.sum())
    shift = (starts - (counts.cumsum(0) - counts)).to(device)
    batch = torch.arange(len(ids), device=device).repeat_interleave(counts.to(device), output_size=total)
    return torch.arange(total, device=device) + shift[batch], batch


def token_batches(order: Tensor, counts: Tensor, tokens: int, generator: torch.Generator) -> Tensor:
    """Draw items of similar count (``order`` sorts ``counts``), at most ``tokens`` in all unless one item has more."""
    centre = int(torch.randint(len(order), (1,), generator=generator))
    size = max(1, min(len(order), tokens // max(1, int(counts[order[centre]]))))
    low = max(0, min(len(order) - 3 * size, centre - 3 * size // 2))
    window = order[low : low + 3 * size]
    chosen = window[torch.randperm(len(window), generator=generator)[:size]]
    return chosen[: max(1, int((counts[chosen].cumsum(0) <= tokens).sum()))]


class AssetBank:
    """A data set on a device; every method takes asset numbers on the CPU and returns tensors on the device."""

    def __init__(self, data: Dataset, device: torch.device) -> None:
        self.device = device
        self.count = len(data.offsets) - 1
        self.offsets = data.offsets
        self.counts = data.offsets.diff()
        self.order = self.counts.argsort()
        self.data = data.to(device)
        self._index_cells()

    def _index_cells(self) -> None:
        """Find the occupied latent cells of every asset and the share of each label in them."""
        asset = torch.arange(self.count, device=self.device).repeat_interleave(self.counts.to(self.device))
        cell = self.data.coords.long() // COMPRESSION
        key = ((asset * GRID + cell[:, 0]) * GRID + cell[:, 1]) * GRID + cell[:, 2]
        self.cell_keys, inverse = key.unique(return_inverse=True)
        share = torch.zeros(len(self.cell_keys) * LABELS, device=self.device)
        share += torch.bincount(inverse * LABELS + self.data.labels.long(), minlength=len(share))
        share = share.view(-1, LABELS)
        self.cell_share = (share / share.sum(1, keepdim=True)).half()
        per_asset = torch.bincount(self.cell_keys // GRID**3, minlength=self.count).cpu()
        self.cell_offsets = torch.cat([torch.zeros(1, dtype=torch.long), per_asset.cumsum(0)])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw asset numbers [count]."""
        return torch.randint(self.count, (count,), generator=generator)

    def draw_voxels(self, voxels: int, generator: torch.Generator) -> Tensor:
        """Draw asset numbers with about ``voxels`` voxels in all, at least one."""
        ids = torch.randint(self.count, (max(1, voxels // 2_000),), generator=generator)
        return ids[: max(1, int((self.counts[ids].cumsum(0) <= voxels).sum()))]

    def split(self, ids: Tensor, size: int, counts: Tensor | None = None) -> list[Tensor]:
        """Split asset numbers into runs of about ``size`` rows (voxels unless ``counts`` says otherwise)."""
        counts = self.counts if counts is None else counts
        group = (counts[ids].cumsum(0) - 1) // size
        return [ids[group == g] for g in group.unique()]

    def voxels(self, ids: Tensor) -> Voxels:
        """Return the O-Voxels of a batch, assets one after another, sorted (x, y, z) within an asset."""
        rows, batch = ragged_rows(self.offsets, ids, self.device)
        coords = torch.cat([batch[:, None].int(), self.data.coords[rows].int()], dim=1)
        bits = self.data.flags[rows]
        flags = torch.stack([(bits >> axis) & 1 for axis in range(3)], dim=1).bool()
        return Voxels(coords, self.data.vertices[rows].float() / 255, flags, self.data.labels[rows].long(), len(ids))

    def occupancy(self, ids: Tensor) -> Tensor:
        """Return the occupied latent cells as a dense grid [B, 1, G, G, G] of zeros and ones."""
        rows, batch = ragged_rows(self.cell_offsets, ids, self.device)
        grid = torch.zeros(len(ids) * GRID**3, device=self.device)
        grid[batch * GRID**3 + self.cell_keys[rows] % GRID**3] = 1.0
        return grid.view(len(ids), 1, GRID, GRID, GRID)

    def draw_materials(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw material tables [count, L, 6]: sRGB colour, metallic, roughness, alpha for every label."""
        return draw_materials(count, generator, self.device)

    def attributes(self, voxels: Voxels, materials: Tensor) -> Tensor:
        """Look up the six attributes of every voxel [N, 6] in [0, 1]."""
        return materials[voxels.batch, voxels.labels]

    def cell_attributes(self, ids: Tensor, materials: Tensor) -> Tensor:
        """Return the mean material of every latent cell [B, G, G, G, 6], zeros where a cell is empty."""
        rows, batch = ragged_rows(self.cell_offsets, ids, self.device)
        values = (self.cell_share[rows].float()[:, None] @ materials[batch])[:, 0]
        grid = torch.zeros(len(ids) * GRID**3, values.shape[1], device=self.device)
        grid[batch * GRID**3 + self.cell_keys[rows] % GRID**3] = values
        return grid.view(len(ids), GRID, GRID, GRID, -1)

    def recolour_half(self, voxels: Voxels, attributes: Tensor, generator: torch.Generator) -> Tensor:
        """Paint half of the assets by random Voronoi cells, so that materials do not follow the parts."""
        count = voxels.items
        seeds = torch.rand(count, LABELS, 3, generator=generator, device=self.device) * (GRID * COMPRESSION)
        distance = (voxels.coords[:, None, 1:] - seeds[voxels.batch]).square().sum(-1)
        painted = self.draw_materials(count, generator)[voxels.batch, distance.argmin(1)]
        chosen = torch.rand(count, generator=generator, device=self.device) < 0.5
        return torch.where(chosen[voxels.batch, None], painted, attributes)

    def draw_views(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw view numbers [count], on the device."""
        return torch.randint(self.data.views, (count,), generator=generator, device=self.device)

    def images(self, ids: Tensor, views: Tensor, materials: Tensor, generator: torch.Generator) -> Tensor:
        """Shade one view of every asset under new light: ImageNet-normalised images [B, 3, S, S] on black."""
        images = shade_views(self.data, ids.to(self.device), views, materials, generator)
        mean = torch.tensor(IMAGENET_MEAN, device=self.device).view(3, 1, 1)
        std = torch.tensor(IMAGENET_STD, device=self.device).view(3, 1, 1)
        return (images - mean) / std
