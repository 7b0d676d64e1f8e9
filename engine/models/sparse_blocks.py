# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks of the sparse compression autoencoders (spec/models.md sections 3.4 to 3.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..sparse import (
    SparseConv3d,
    SparseTensor,
    channel_to_space,
    copy_to_children,
    pool_children,
    space_to_channel,
)
from ..sparse.resample import subdivision_of
from .config import require
from .layers import LayerNorm32, Linear, zero_

# How a shortcut changes its channel count. The released weights average and repeat neighbouring channels, which passes
# on position; narrow networks need every child to see the same channel, which passes on attributes (spec/starter.md 3).
Shortcut = Literal["consecutive", "strided"]


def merge_channels(x: Tensor, channels: int, shortcut: Shortcut) -> Tensor:
    """Average groups of channels [N, C] -> [N, channels]: neighbouring ones, or those ``channels`` apart."""
    if shortcut == "strided":
        return x.unflatten(1, (-1, channels)).float().mean(1).to(x.dtype)
    return x.unflatten(1, (channels, -1)).float().mean(2).to(x.dtype)


def repeat_channels(x: Tensor, channels: int, shortcut: Shortcut) -> Tensor:
    """Repeat channels [N, C] -> [N, channels]: each one consecutively, or the whole row."""
    times = channels // x.shape[1]
    return x.repeat(1, times) if shortcut == "strided" else x.repeat_interleave(times, 1)


class SparseConvNeXtBlock3d(nn.Module):
    """x + mlp(norm(conv(x))), the hidden layer four times as wide."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm32(channels, eps=1e-6)
        self.conv = SparseConv3d(channels, channels, 3)
        self.mlp = nn.Sequential(Linear(channels, 4 * channels), nn.SiLU(), Linear(4 * channels, channels))

    def forward(self, x: SparseTensor) -> SparseTensor:
        return self.conv(x, after=lambda h, skip: self.mlp(self.norm(h)) + skip, skip=x.feats)


class _ResidualPair(nn.Module):
    """Two convolutions whose second one starts at zero; resolution changes between them."""

    def __init__(self, channels: int, middle: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.norm1 = LayerNorm32(channels, eps=1e-6)
        self.norm2 = LayerNorm32(out_channels, eps=1e-6, elementwise_affine=False)
        self.conv1 = SparseConv3d(channels, middle, 3)
        self.conv2 = zero_(SparseConv3d(out_channels, out_channels, 3))

    def first(self, x: SparseTensor) -> SparseTensor:
        return self.conv1(x, before=lambda feats: F.silu(self.norm1(feats)))

    def second(self, h: SparseTensor, skip: Tensor, widen: Callable[[Tensor], Tensor]) -> SparseTensor:
        """``widen`` brings rows of ``skip`` to the block's output channels. The features of ``h`` are used up."""
        return self.conv2(
            h,
            before=lambda feats: F.silu(self.norm2(feats)),
            after=lambda feats, skip: feats + widen(skip),
            skip=skip,
            reuse=True,
        )


class SparseResBlockS2C3d(_ResidualPair):
    """Halve the resolution, moving children into channels."""

    def __init__(self, channels: int, out_channels: int, shortcut: Shortcut = "consecutive") -> None:
        require(
            out_channels % 8 == 0 and 8 * channels % out_channels == 0,
            "down block",
            f"{channels} to {out_channels} channels",
        )
        super().__init__(channels, out_channels // 8, out_channels)
        self.shortcut: Shortcut = shortcut

    def forward(self, x: SparseTensor) -> SparseTensor:
        h = space_to_channel(self.first(x))
        children = space_to_channel(x).feats
        return self.second(h, children, lambda rows: merge_channels(rows, self.out_channels, self.shortcut))


class SparseResBlockDownsample3d(_ResidualPair):
    """Halve the resolution by averaging children."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(channels, out_channels, out_channels)
        self.skip_connection = Linear(channels, out_channels) if channels != out_channels else nn.Identity()

    def forward(self, x: SparseTensor) -> SparseTensor:
        h = pool_children(x.replace(F.silu(self.norm1(x.feats))), "mean")
        h = self.conv1(h)
        return self.second(h, pool_children(x, "mean").feats, self.skip_connection)


class _UpBlock(_ResidualPair):
    """Common part of the up blocks: which children exist."""

    def __init__(self, channels: int, middle: int, out_channels: int, pred_subdiv: bool) -> None:
        super().__init__(channels, middle, out_channels)
        self.to_subdiv = Linear(channels, 8) if pred_subdiv else None

    def choose_children(self, x: SparseTensor, guide: Tensor | None) -> tuple[SparseTensor | None, Tensor | None]:
        """Subdivision logits [N, 8] on the block's input, and the mask to use where nothing is remembered."""
        if self.to_subdiv is None:
            return None, None if guide is None else guide > 0
        logits = self.to_subdiv(x.feats)
        return x.replace(logits), logits > 0


class SparseResBlockC2S3d(_UpBlock):
    """Double the resolution, moving channels into children."""

    def __init__(
        self, channels: int, out_channels: int, pred_subdiv: bool = True, shortcut: Shortcut = "consecutive"
    ) -> None:
        require(
            channels % 8 == 0 and 8 * out_channels % channels == 0, "up block", f"{channels} to {out_channels} channels"
        )
        super().__init__(channels, out_channels * 8, out_channels, pred_subdiv)
        self.shortcut: Shortcut = shortcut

    def forward(self, x: SparseTensor, guide: Tensor | None = None) -> tuple[SparseTensor, SparseTensor | None]:
        """Return the fine tensor and the subdivision logits on the coarse one (None if the block predicts none).

        Children: the remembered ones, else the predicted ones, else those where ``guide`` [N, 8] is positive.
        """
        logits, mask = self.choose_children(x, guide)
        subdivision = subdivision_of(x, mask)
        h = channel_to_space(self.first(x), subdivision)
        skip = channel_to_space(x, subdivision).feats
        return self.second(h, skip, lambda rows: repeat_channels(rows, self.out_channels, self.shortcut)), logits


class SparseResBlockUpsample3d(_UpBlock):
    """Double the resolution by copying parents."""

    def __init__(self, channels: int, out_channels: int, pred_subdiv: bool = True) -> None:
        super().__init__(channels, out_channels, out_channels, pred_subdiv)
        self.skip_connection = Linear(channels, out_channels) if channels != out_channels else nn.Identity()

    def forward(self, x: SparseTensor, guide: Tensor | None = None) -> tuple[SparseTensor, SparseTensor | None]:
        """As ``SparseResBlockC2S3d.forward``."""
        logits, mask = self.choose_children(x, guide)
        subdivision = subdivision_of(x, mask)
        h = self.conv1(copy_to_children(x.replace(F.silu(self.norm1(x.feats))), subdivision))
        return self.second(h, copy_to_children(x, subdivision).feats, self.skip_connection), logits


def tie_children_(block: SparseResBlockC2S3d) -> None:
    """Give all eight children the weights of the first, so that an untrained block hands them the same features."""
    with torch.no_grad():
        weight, bias = block.conv1.weight, block.conv1.bias
        weight.copy_(weight[: block.out_channels].repeat(8, 1, 1, 1, 1))
        bias.copy_(bias[: block.out_channels].repeat(8))
