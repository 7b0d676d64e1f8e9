# SPDX-License-Identifier: GPL-3.0-or-later
"""Layer norm in float32, alone and followed by a modulation (spec/models.md sections 2.2 and 3.3)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from . import choice


def layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Layer norm of ``x`` [..., C] over its last axis, computed in float32 and rounded once to the dtype of ``x``."""
    if choice.serve_tensors(x, weight, bias):
        from . import layer_norm_triton

        if layer_norm_triton.serves(x):
            return layer_norm_triton.layer_norm(x, weight, bias, eps)
    return plain_layer_norm(x, weight, bias, eps)


def modulated_layer_norm(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """norm(x) * (1 + scale) + shift without affine parameters: x [B, L, C], scale and shift [B or 1, 1, C].

    Every operation after the norm rounds to the dtype of ``x``, as the released model does.
    """
    alike = x.dtype == scale.dtype == shift.dtype and len(scale) in (1, len(x))
    if alike and choice.serve_tensors(x, scale, shift):
        from . import layer_norm_triton

        if layer_norm_triton.serves(x):
            return layer_norm_triton.modulated_layer_norm(x, scale, shift, eps)
    return plain_modulated_layer_norm(x, scale, shift, eps)


def plain_layer_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """``layer_norm`` in plain torch."""
    return F.layer_norm(x.float(), x.shape[-1:], weight, bias, eps).to(x.dtype)


def plain_modulated_layer_norm(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """``modulated_layer_norm`` in plain torch."""
    return plain_layer_norm(x, None, None, eps) * (1 + scale) + shift
