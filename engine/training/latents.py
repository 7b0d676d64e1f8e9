# SPDX-License-Identifier: GPL-3.0-or-later
"""Latents of every asset for the flows: encoded once, normalised, materials re-drawn as training goes on."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from ..models.shape_vae import shape_features
from ..sparse.tensor import SparseTensor
from .bank import AssetBank, ragged_rows, token_batches

VOXELS_PER_PASS = 300_000
REFRESHED_PER_STEP = {"cpu": 1, "cuda": 8}
"""Assets of which one colouring is replaced by a new one at every step of a flow, by kind of device."""


class LatentBank:
    """Image tokens and normalised latents of a bank's assets, resident on its device.

    Every asset has ``colourings`` material tables; view v shows colouring v % ``colourings``. ``tokens`` [A, V, M, D]
    float16; ``structure`` [A, 8, 4, 4, 4]; shape and material latents are ragged over the occupied cells, sorted
    (x, y, z) within an asset, normalised by the moments their autoencoder's stage wrote.
    """

    image_encoder: nn.Module | None = None
    texture_encoder: nn.Module | None = None

    def __init__(self, bank: AssetBank, colourings: int, seed: int) -> None:
        self.bank, self.device, self.colourings = bank, bank.device, colourings
        self.generator = torch.Generator(self.device).manual_seed(seed)
        tables = [bank.draw_materials(bank.count, self.generator) for _ in range(colourings)]
        self.materials = torch.stack(tables)

    def encode_images(self, encoder: nn.Module) -> None:
        """Fill the image tokens."""
        self.image_encoder = encoder
        for colouring in range(self.colourings):
            for ids in torch.arange(self.bank.count).split(64):
                self._picture(ids, colouring)

    def _picture(self, ids: Tensor, colouring: int) -> None:
        assert self.image_encoder is not None
        materials, where = self.materials[colouring, ids.to(self.device)], ids.to(self.device)
        for view in range(colouring, self.bank.data.views, self.colourings):
            views = torch.full_like(where, view)
            with torch.autocast(self.device.type, dtype=torch.bfloat16):
                tokens = self.image_encoder(self.bank.images(ids, views, materials, self.generator))
            if not hasattr(self, "tokens"):
                shape = (self.bank.count, self.bank.data.views, *tokens.shape[1:])
                self.tokens = torch.zeros(shape, dtype=torch.float16, device=self.device)
            self.tokens[where, view] = tokens.half()

    def encode_structure(self, encoder: nn.Module) -> None:
        """Fill ``structure`` with posterior means."""
        parts = [encoder(self.bank.occupancy(ids)) for ids in torch.arange(self.bank.count).split(256)]
        self.structure = torch.cat(parts).float()

    def encode_shape(self, encoder: nn.Module, folder: Path) -> None:
        """Fill the shape latents and the cell coordinates; the normalisation is in ``folder``."""
        self.shape_moments = mean, std = self._moments(folder)
        feats, cells, counts = [], [], []
        for ids in self.bank.split(torch.arange(self.bank.count), VOXELS_PER_PASS):
            voxels = self.bank.voxels(ids)
            z = encoder(SparseTensor(shape_features(voxels.vertices, voxels.flags), voxels.coords))
            feats.append((z.feats.float() - mean) / std)
            cells.append(z.coords[:, 1:].to(torch.uint8))
            counts.append(torch.bincount(z.coords[:, 0].long(), minlength=len(ids)).cpu())
        self.shape_feats, self.cells = torch.cat(feats), torch.cat(cells)
        self.counts = torch.cat(counts)
        self.offsets = torch.cat([torch.zeros(1, dtype=torch.long), self.counts.cumsum(0)])
        self.order = self.counts.argsort()

    def _moments(self, folder: Path) -> tuple[Tensor, Tensor]:
        content = json.loads((folder / "normalization.json").read_text(encoding="utf-8"))
        return torch.tensor(content["mean"], device=self.device), torch.tensor(content["std"], device=self.device)

    def encode_texture(self, encoder: nn.Module, folder: Path) -> None:
        """Fill ``colourings`` material latents an asset, each with materials of its own."""
        self.texture_encoder = encoder
        self.read_texture_moments(folder)
        shape = (self.colourings, len(self.cells), self.shape_feats.shape[1])
        self.texture_feats = torch.zeros(shape, device=self.device, dtype=torch.float16)
        for colouring in range(self.colourings):
            for ids in self.bank.split(torch.arange(self.bank.count), VOXELS_PER_PASS):
                self._paint(ids, colouring)

    def read_texture_moments(self, folder: Path) -> None:
        """Read the normalisation of the material latents."""
        self.texture_mean, self.texture_std = self._moments(folder)

    def _paint(self, ids: Tensor, colouring: int) -> None:
        assert self.texture_encoder is not None
        voxels = self.bank.voxels(ids)
        attributes = self.bank.attributes(voxels, self.materials[colouring, ids.to(self.device)])
        z = self.texture_encoder(SparseTensor(attributes * 2 - 1, voxels.coords))
        feats = (z.feats.float() - self.texture_mean) / self.texture_std
        self.texture_feats[colouring, self.rows(ids)[0]] = feats.half()

    @torch.no_grad()
    def refresh_colours(self, generator: torch.Generator, order: torch.Generator) -> None:
        """Give a few assets new materials and light, so that a flow does not learn a fixed set of pictures."""
        ids = self.bank.draw(REFRESHED_PER_STEP[self.device.type], order)
        colouring = int(torch.randint(self.colourings, (1,), generator=order))
        self.materials[colouring, ids.to(self.device)] = self.bank.draw_materials(len(ids), generator)
        if self.image_encoder is not None:
            self._picture(ids, colouring)
        if self.texture_encoder is not None:
            self._paint(ids, colouring)

    def rows(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of the assets ``ids`` one after another, and the position in ``ids`` each belongs to."""
        return ragged_rows(self.offsets, ids, self.device)

    def draw_tokens(self, tokens: int, generator: torch.Generator) -> Tensor:
        """Draw assets of similar size, about ``tokens`` cells in all: a batch then wastes little padding."""
        return token_batches(self.order, self.counts, tokens, generator)

    def shape(self, ids: Tensor) -> SparseTensor:
        """Return the normalised shape latents of a batch."""
        rows, batch = self.rows(ids)
        coords = torch.cat([batch[:, None], self.cells[rows]], dim=1).int()
        return SparseTensor(self.shape_feats[rows], coords)

    def texture(self, ids: Tensor, views: Tensor) -> SparseTensor:
        """Return the normalised material latents of the colouring that each asset's view shows."""
        rows, batch = self.rows(ids)
        coords = torch.cat([batch[:, None], self.cells[rows]], dim=1).int()
        colouring = (views % self.colourings)[batch]
        return SparseTensor(self.texture_feats[colouring, rows].float(), coords)
