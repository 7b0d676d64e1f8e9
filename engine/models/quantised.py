# SPDX-License-Identifier: GPL-3.0-or-later
"""Linear layers whose weights are kept at 8 bits: W[o, i] = scale[o] * q[o, i], one scale for each output channel.

A scale is a bfloat16 number, so that the product of scale and q is rounded once, to the precision of the layer's input.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Torso, widened

LARGEST = 127


class QuantisedLinear(nn.Module):
    """A linear layer that widens its int8 ``weight`` [out, in] as it computes; ``scale`` float32 [out, 1]."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight, scale = self.quantised(linear.weight.detach())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale, persistent=False)
        self.bias = linear.bias

    @staticmethod
    def suits(linear: nn.Linear) -> bool:
        """Whether this can take the place of ``linear``."""
        return True

    @staticmethod
    def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
        """``weight`` and ``scale`` of a layer with that weight [out, in]."""
        return quantised(weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale.to(x.dtype), widened(x, self.bias))


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The int8 values [out, in] and the scales float32 [out, 1] of a weight; the error is at most half a scale."""
    weight = weight.float()
    smallest = weight.abs().amax(1, keepdim=True) / LARGEST
    scale = smallest.bfloat16()
    # Rounded down it would not reach the largest weight.
    scale = torch.where(scale.float() < smallest, torch.nextafter(scale, scale.new_tensor(torch.inf)), scale).float()
    values = torch.where(scale > 0, weight / scale, 0.0).round()
    return values.to(torch.int8), scale


def quantise_torso(model: Torso, kind: type[QuantisedLinear] = QuantisedLinear) -> None:
    """Put a layer of that ``kind`` in the place of every linear layer of the torso that it suits."""
    for part in model.torso():
        for parent in list(part.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Linear) and kind.suits(child):
                    setattr(parent, name, kind(child))
