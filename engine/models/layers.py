# SPDX-License-Identifier: GPL-3.0-or-later
"""Small layers shared by the networks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..kernels.layer_norm import layer_norm, modulated_layer_norm
from ..sparse import SparseConv3d

TORSO_LAYERS = (nn.Linear, nn.Conv3d, SparseConv3d)


def widened(x: Tensor, parameter: Tensor | None) -> Tensor | None:
    """``parameter`` in the precision of the layer's input ``x``; autocast, where it is on, chooses by itself.

    Half-precision weights stay as they are stored and are widened one layer at a time, while that layer computes: on a
    CPU a network then takes the memory of its file, not twice that.
    """
    if parameter is None or torch.is_autocast_enabled(x.device.type):
        return parameter
    return parameter.to(x.dtype)


class Linear(nn.Linear):
    """A linear layer that computes in the precision of its input, whatever its weights are stored in."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, widened(x, self.weight), widened(x, self.bias))


class Conv3d(nn.Conv3d):
    """A dense convolution that computes in the precision of its input, whatever its weights are stored in."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, widened(x, self.weight), widened(x, self.bias))


class LayerNorm32(nn.LayerNorm):
    """Layer norm over the last axis, computed in float32, returned in the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.weight, self.bias, self.eps)

    def modulated(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """norm(x) * (1 + scale) + shift, for a norm without parameters; x [B, L, C], scale and shift [B or 1, 1, C]."""
        return modulated_layer_norm(x, scale, shift, self.eps)


class ChannelLayerNorm32(LayerNorm32):
    """Layer norm over axis 1 of a dense volume [B, C, X, Y, Z]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1).contiguous()


class Torso(nn.Module):
    """A network whose torso can run in half precision while its ends stay in float32 (spec/models.md section 1.3)."""

    dtype: torch.dtype = torch.float32

    def torso(self) -> Iterable[nn.Module]:
        """The sub-modules whose linear and convolution layers are converted."""
        return [self.blocks]

    def convert_to(self, dtype: torch.dtype, compute: torch.dtype | None = None) -> None:
        """Cast the torso's linear and convolution layers to ``dtype``; norms and end layers stay float32.

        ``compute``: the precision in which the torso computes, by default that of its weights.
        """
        self.dtype = compute or dtype
        for part in self.torso():
            for module in part.modules():
                if isinstance(module, TORSO_LAYERS):
                    module.to(dtype)


def final_norm(x: Tensor) -> Tensor:
    """The affine-free norm before output layers and on image features: float32, epsilon 1e-5."""
    return F.layer_norm(x.float(), x.shape[-1:], eps=1e-5)


def zero_(module: nn.Module) -> nn.Module:
    """Set every parameter of a layer to zero, so that its residual branch starts as nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def xavier_linears_(model: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for every linear layer, as the autoencoders start training."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
