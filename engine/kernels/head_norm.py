# SPDX-License-Identifier: GPL-3.0-or-later
"""RMS norm of queries and keys by head, alone and followed by rotary phases (spec/models.md sections 2.3 and 2.4)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from . import choice


def rotate(x: Tensor, phases: Tensor) -> Tensor:
    """Turn adjacent channel pairs of ``x`` [B, L, heads, D] by ``phases`` [B or 1, L, D / 2], in float32."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * phases.unsqueeze(-2)).flatten(-2).to(x.dtype)


def head_norm(x: Tensor, gamma: Tensor) -> Tensor:
    """x / |x| * gamma * sqrt(D) of ``x`` [B, L, heads, D] with ``gamma`` [heads, D], in float32."""
    if choice.serve_tensors(x, gamma):
        from . import head_norm_triton

        if head_norm_triton.serves(x):
            return head_norm_triton.head_norm(x, gamma)
    return plain_head_norm(x, gamma)


def head_norm_rotate(x: Tensor, gamma: Tensor, phases: Tensor) -> Tensor:
    """``rotate(head_norm(x, gamma), phases)``, rounded in between as that is."""
    if choice.serve_tensors(x, gamma):
        from . import head_norm_triton

        if head_norm_triton.serves(x):
            return head_norm_triton.head_norm_rotate(x, gamma, phases)
    return rotate(plain_head_norm(x, gamma), phases)


def plain_head_norm(x: Tensor, gamma: Tensor) -> Tensor:
    """``head_norm`` in plain torch."""
    return (F.normalize(x.float(), dim=-1) * gamma * math.sqrt(x.shape[-1])).to(x.dtype)
