# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape autoencoder: O-Voxels to a structured latent and back (spec/models.md sections 3.8 and 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..sparse import SparseTensor
from .sparse_vae import ShapeDecoderConfig, ShapeEncoderConfig, SparseDecoder, SparseEncoder


@dataclass(frozen=True)
class ShapeOutput:
    """Decoded O-Voxels, one row per voxel of the finest level.

    ``coords`` int32 [N, 4]; ``vertices`` [N, 3] dual vertices in voxel units, in [-margin, 1 + margin];
    ``intersected`` bool [N, 3] crossed x, y, z edges; ``split_weight`` [N] positive; ``subs`` the subdivision logits
    that guide the texture decoder.
    """

    coords: Tensor
    vertices: Tensor
    intersected: Tensor
    split_weight: Tensor
    subs: list[SparseTensor]


class FlexiDualGridVaeEncoder(SparseEncoder):
    """O-Voxel features of ``shape_features`` -> latent."""

    def __init__(self, config: ShapeEncoderConfig) -> None:
        super().__init__(config, in_channels=6)


class FlexiDualGridVaeDecoder(SparseDecoder):
    """Latent -> O-Voxels."""

    config: ShapeDecoderConfig

    def __init__(self, config: ShapeDecoderConfig) -> None:
        super().__init__(config, out_channels=7, pred_subdiv=True)

    def interpret(self, h: SparseTensor, subs: list[SparseTensor]) -> ShapeOutput:
        """Read the seven output channels: dual vertex, edge logits, split weight."""
        margin = self.config.voxel_margin
        return ShapeOutput(
            coords=h.coords,
            vertices=(1 + 2 * margin) * torch.sigmoid(h.feats[:, :3]) - margin,
            intersected=h.feats[:, 3:6] > 0,
            split_weight=F.softplus(h.feats[:, 6]),
            subs=subs,
        )

    def decode(self, z: SparseTensor) -> ShapeOutput:
        """O-Voxels of a latent. Raises ``EspalierError("empty_shape")`` when no voxel is left."""
        return self.interpret(*self.raw(z))

    def upsample(self, z: SparseTensor, times: int) -> Tensor:
        """Coordinates int32 [N, 4] of the voxels ``times`` levels below the latent, in decoder order."""
        return self.grow(z, times)[0].coords


def shape_features(vertices: Tensor, intersected: Tensor) -> Tensor:
    """Encoder input [N, 6] of dual vertices [N, 3] in voxel units [0, 1] and crossed-edge flags bool [N, 3]."""
    return torch.cat([vertices - 0.5, intersected.to(vertices.dtype) - 0.5], 1)
