# SPDX-License-Identifier: GPL-3.0-or-later
"""The image encoder, trained by a head that reads the object's cells out of its tokens and is then thrown away.

A vision transformer that only ever saw the flow loss learns slowly; asked directly where matter is and what it is made
of, it learns pose, family and colours in minutes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .autoencoders import AutoencoderStage, build
from .bank import AssetBank
from .losses import voxel_iou
from .presets import COND_CHANNELS, GRID

BLOCK = 4
"""A query of the head answers for a block of this many cells a side."""
ATTRIBUTES = 6


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
    """One random view per draw, new materials and light every time."""

    name = "image_encoder"

    def __init__(self, train: AssetBank, held_out: AssetBank, batch: int, seed: int) -> None:
        super().__init__(train, held_out, batch, seed)
        self.encoder = build("image_encoder", self.device)
        self.head = ReadoutHead(COND_CHANNELS).to(self.device)

    def modules(self) -> dict[str, nn.Module]:
        return {"image_encoder": self.encoder, "readout_head": self.head}

    def _forward(self, bank: AssetBank, ids: Tensor, generator: torch.Generator) -> tuple[Tensor, ...]:
        materials = bank.draw_materials(len(ids), generator)
        images = bank.images(ids, bank.draw_views(len(ids), generator), materials, generator)
        occupancy, target = bank.occupancy(ids)[:, 0], bank.cell_attributes(ids, materials)
        with self.autocast():
            logits, attributes = self.head(self.encoder(images))
        return logits, attributes, occupancy, target

    def loss(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        ids = self.train_bank.draw(self.batch, self.order)
        logits, attributes, occupancy, target = self._forward(self.train_bank, ids, self.generator)
        bce = F.binary_cross_entropy_with_logits(logits, occupancy)
        error = (attributes - target).abs()[occupancy > 0.5].mean(0)
        iou = voxel_iou(logits.detach() > 0, occupancy > 0.5)
        values = {"bce": bce, "iou": iou, "rgb": error[:3].mean(), "metallic": error[3], "roughness": error[4]}
        return 2 * bce + error.mean() * 2 + error[:3].mean(), values

    def validate(self) -> dict[str, float]:
        generator = torch.Generator(self.device).manual_seed(1)
        ids = torch.arange(self.held_out.count)
        logits, attributes, occupancy, target = self._forward(self.held_out, ids, generator)
        error = (attributes - target).abs()[occupancy > 0.5].mean(0)
        return {
            "occupancy_iou": round(voxel_iou(logits > 0, occupancy > 0.5).item(), 4),
            "rgb": round(error[:3].mean().item(), 4),
            "metallic": round(error[3].item(), 4),
            "roughness": round(error[4].item(), 4),
        }
