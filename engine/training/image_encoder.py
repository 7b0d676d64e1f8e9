# SPDX-License-Identifier: GPL-3.0-or-later
"""The image encoder, trained by what reads its tokens: a head that is thrown away, and the two flows of the latents.

A vision transformer that only ever saw a flow loss learns slowly; asked directly where matter is and what it is made
of, it learns pose, family and colours in minutes. The shape and the material flow learn beside it, from pure noise
(t = 1), to find each cell's part of the image: one pass over an image then serves three readers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..sparse.tensor import SparseTensor
from .autoencoders import AutoencoderStage, build
from .flows import one_step
from .latents import LatentBank
from .losses import voxel_iou
from .presets import COND_CHANNELS, GRID

BLOCK = 4
"""A query of the head answers for a block of this many cells a side."""
ATTRIBUTES = 6
KEPT_CELLS = 0.125
"""Share of the cells that the flows see in training: what a cell looks up in the image needs few neighbours."""
SHAPE_BLUR = 0.3
"""Noise on the shape latent that the material flow sees: when generating it comes from another network."""


class ReadoutHead(nn.Module):
    """Image tokens [B, M, D] to occupancy logits [B, G, G, G] and materials [B, G, G, G, 6] of the latent grid."""

    def __init__(self, channels: int, blocks: int = 3, heads: int = 3) -> None:
        super().__init__()
        side = GRID // BLOCK
        self.queries = nn.Parameter(torch.randn(side**3, channels) * 0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerDecoderLayer(channels, heads, 4 * channels, 0.0, F.gelu, batch_first=True, norm_first=True)
            for _ in range(blocks)
        )
        self.out = nn.Linear(channels, BLOCK**3 * (1 + ATTRIBUTES))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        h = self.queries.expand(len(tokens), -1, -1)
        for block in self.blocks:
            h = block(h, tokens)
        side = GRID // BLOCK
        h = self.out(h).float().view(len(tokens), side, side, side, BLOCK, BLOCK, BLOCK, 1 + ATTRIBUTES)
        h = h.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(len(tokens), GRID, GRID, GRID, 1 + ATTRIBUTES)
        return h[..., 0], h[..., 1:]


class ImageEncoderStage(AutoencoderStage):
    """One random view per draw under new light, its latents at a random share of the cells."""

    name = "image_encoder"

    def __init__(self, latents: LatentBank, held_out: LatentBank, batch: int, seed: int) -> None:
        super().__init__(latents.bank, held_out.bank, batch, seed)
        self.latents, self.held_out_latents = latents, held_out
        self.encoder = build("image_encoder", self.device)
        self.head = ReadoutHead(COND_CHANNELS).to(self.device)
        self.shape_flow = build("shape_slat_flow_model_64", self.device)
        self.texture_flow = build("tex_slat_flow_model_64", self.device)

    def modules(self) -> dict[str, nn.Module]:
        return {
            "image_encoder": self.encoder,
            "readout_head": self.head,
            "shape_slat_flow_model_64": self.shape_flow,
            "tex_slat_flow_model_64": self.texture_flow,
        }

    def loss(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        self.latents.refresh_colours(self.generator, self.order)
        ids = self.latents.draw_tokens(self.batch, self.order)
        return self._loss(self.latents, ids, KEPT_CELLS, self.generator)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        generator = torch.Generator(self.device).manual_seed(1)
        batches = torch.arange(self.held_out.count).split(16)
        sums: dict[str, float] = {}
        for ids in batches:
            for name, value in self._loss(self.held_out_latents, ids, 1.0, generator)[1].items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(ids) / self.held_out.count
        return {name: round(value, 4) for name, value in sums.items()}

    def _loss(
        self, latents: LatentBank, ids: Tensor, kept: float, g: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        bank, where = latents.bank, ids.to(self.device)
        views = bank.draw_views(len(ids), g)
        materials = latents.materials[views % latents.colourings, where]
        images = bank.images(ids, views, materials, g)
        occupied = bank.occupancy(ids)[:, 0] > 0.5
        shape, texture = latents.shape(ids), latents.texture(ids, views)
        chosen = torch.rand(len(shape), generator=g, device=self.device) < kept
        blur = SHAPE_BLUR * torch.randn(shape.feats.shape, generator=g, device=self.device)
        cells = SparseTensor((shape.feats + blur)[chosen], shape.coords[chosen])
        with self.autocast():
            tokens = self.encoder(images)
            logits, attributes = self.head(tokens)
            read_shape = one_step(self.shape_flow, cells.sites, texture.feats.shape[1], tokens, None, g)
            read_texture = one_step(self.texture_flow, cells.sites, texture.feats.shape[1], tokens, cells, g)
        bce = F.binary_cross_entropy_with_logits(logits, occupied.float())
        error = (attributes - bank.cell_attributes(ids, materials)).abs()[occupied].mean(0)
        shape_error = F.mse_loss(read_shape, shape.feats[chosen])
        texture_error = F.mse_loss(read_texture, texture.feats[chosen])
        values = {
            "bce": bce,
            "iou": voxel_iou(logits.detach() > 0, occupied),
            "rgb": error[:3].mean(),
            "metallic": error[3],
            "roughness": error[4],
            "shape": shape_error,
            "texture": texture_error,
        }
        return 2 * bce + 2 * error.mean() + error[:3].mean() + shape_error + texture_error, values
