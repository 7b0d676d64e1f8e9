# SPDX-License-Identifier: GPL-3.0-or-later
"""The sparse structure autoencoder: dense convolutions between an occupancy volume and its latent (section 3.10)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import require
from .layers import ChannelLayerNorm32, Conv3d, Torso, zero_


@dataclass(frozen=True)
class SparseStructureEncoderConfig:
    in_channels: int
    latent_channels: int
    num_res_blocks: int
    channels: tuple[int, ...]
    num_res_blocks_middle: int = 2
    norm_type: str = "layer"
    use_fp16: bool = False

    def __post_init__(self) -> None:
        require(self.norm_type == "layer", "sparse structure encoder", f"norm_type={self.norm_type!r}")
        require(bool(self.channels), "sparse structure encoder", "no levels")


@dataclass(frozen=True)
class SparseStructureDecoderConfig:
    out_channels: int
    latent_channels: int
    num_res_blocks: int
    channels: tuple[int, ...]
    num_res_blocks_middle: int = 2
    norm_type: str = "layer"
    use_fp16: bool = False

    def __post_init__(self) -> None:
        require(self.norm_type == "layer", "sparse structure decoder", f"norm_type={self.norm_type!r}")
        require(bool(self.channels), "sparse structure decoder", "no levels")


class ResBlock3d(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm32(channels)
        self.norm2 = ChannelLayerNorm32(channels)
        self.conv1 = Conv3d(channels, channels, 3, padding=1)
        self.conv2 = zero_(Conv3d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.conv2(F.silu(self.norm2(h))) + x


class DownsampleBlock3d(nn.Module):
    """Halve the resolution by a 2^3 convolution of stride 2."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = Conv3d(in_channels, out_channels, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class UpsampleBlock3d(nn.Module):
    """Double the resolution: a convolution, then channel c * 8 + 4i + 2j + k goes to voxel (2x + i, 2y + j, 2z + k)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = Conv3d(in_channels, out_channels * 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x).unflatten(1, (-1, 2, 2, 2))  # B, C, i, j, k, X, Y, Z
        return h.permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6, 7).flatten(4, 5).flatten(2, 3)


class SparseStructureEncoder(Torso):
    """Occupancy [B, 1, R, R, R] -> latent [B, C, r, r, r]."""

    def __init__(self, config: SparseStructureEncoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels
        self.input_layer = nn.Conv3d(config.in_channels, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for level, width in enumerate(widths):
            self.blocks.extend(ResBlock3d(width) for _ in range(config.num_res_blocks))
            if level < len(widths) - 1:
                self.blocks.append(DownsampleBlock3d(width, widths[level + 1]))
        self.middle_block = nn.Sequential(*[ResBlock3d(widths[-1]) for _ in range(config.num_res_blocks_middle)])
        self.out_layer = nn.Sequential(
            ChannelLayerNorm32(widths[-1]), nn.SiLU(), nn.Conv3d(widths[-1], 2 * config.latent_channels, 3, padding=1)
        )

    def torso(self) -> Iterable[nn.Module]:
        return [self.blocks, self.middle_block]

    def forward(
        self, x: Tensor, sample_posterior: bool = False, return_raw: bool = False
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Return the latent (its mean unless ``sample_posterior``), with mean and log-variance if ``return_raw``."""
        h = self.input_layer(x).to(self.dtype)
        for block in self.blocks:
            h = block(h)
        h = self.middle_block(h).to(x.dtype)
        mean, logvar = self.out_layer(h).chunk(2, 1)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean) if sample_posterior else mean
        return (z, mean, logvar) if return_raw else z


class SparseStructureDecoder(Torso):
    """Latent [B, C, r, r, r] -> occupancy logits [B, 1, R, R, R]; occupied where the logit is positive."""

    def __init__(self, config: SparseStructureDecoderConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels
        self.input_layer = nn.Conv3d(config.latent_channels, widths[0], 3, padding=1)
        self.middle_block = nn.Sequential(*[ResBlock3d(widths[0]) for _ in range(config.num_res_blocks_middle)])
        self.blocks = nn.ModuleList()
        for level, width in enumerate(widths):
            self.blocks.extend(ResBlock3d(width) for _ in range(config.num_res_blocks))
            if level < len(widths) - 1:
                self.blocks.append(UpsampleBlock3d(width, widths[level + 1]))
        self.out_layer = nn.Sequential(
            ChannelLayerNorm32(widths[-1]), nn.SiLU(), nn.Conv3d(widths[-1], config.out_channels, 3, padding=1)
        )

    def torso(self) -> Iterable[nn.Module]:
        return [self.blocks, self.middle_block]

    def forward(self, z: Tensor) -> Tensor:
        h = self.middle_block(self.input_layer(z).to(self.dtype))
        for block in self.blocks:
            h = block(h)
        return self.out_layer(h.to(z.dtype))
