# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention with per-head RMS norm of queries and keys, and rotary phases (spec/models.md sections 2.3 to 2.5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..kernels.head_norm import head_norm, head_norm_rotate, rotate
from .attention_kernels import by_torch, kernel_for
from .layers import Linear


def rotary_phases(coords: Tensor, head_dim: int, base: float = 10000.0) -> Tensor:
    """Unit complex phases [..., head_dim / 2] of integer voxel coordinates [..., 3].

    The pairs are split evenly over x, y and z with floor; pairs left over are not rotated. Frequencies base^(-j/n).
    """
    pairs = head_dim // 2
    per_axis = pairs // 3
    steps = torch.arange(per_axis, dtype=torch.float32, device=coords.device)
    frequencies = 1.0 / base ** (steps / per_axis)
    angles = (coords.float().unsqueeze(-1) * frequencies).flatten(-2)
    angles = F.pad(angles, (0, pairs - angles.shape[-1]))
    return torch.polar(torch.ones_like(angles), angles)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax attention of [B, L, heads, head_dim] queries over [B, M, heads, head_dim] keys and values, heads joined.

    ``mask`` bool [B, M] says which keys exist; None means all. Sums are accumulated in float32 by every kernel; on a
    CPU everything is float32, whose kernels there are as fast forwards and about twice as fast backwards.
    """
    dtype, device = q.dtype, q.device.type
    if device == "cpu":
        with torch.autocast(device, enabled=False):
            return by_torch(q.float(), k.float(), v.float(), mask).to(dtype).flatten(2)
    return kernel_for(q, mask)(q, k, v, mask).flatten(2)


class HeadRMSNorm(nn.Module):
    """x / |x| * gamma * sqrt(head_dim) for each head, in float32."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(heads, head_dim))

    def forward(self, x: Tensor) -> Tensor:
        return head_norm(x, self.gamma)

    def rotated(self, x: Tensor, phases: Tensor) -> Tensor:
        """The norm of x [B, L, heads, head_dim], turned by phases [B or 1, L, head_dim / 2]."""
        return head_norm_rotate(x, self.gamma, phases)


class _QueryKeyNorm(nn.Module):
    """Common part of both attentions: heads, and the optional norms of queries and keys."""

    def __init__(self, channels: int, heads: int, qk_rms_norm: bool) -> None:
        super().__init__()
        self.heads = heads
        head_dim = channels // heads
        self.q_rms_norm = HeadRMSNorm(heads, head_dim) if qk_rms_norm else nn.Identity()
        self.k_rms_norm = HeadRMSNorm(heads, head_dim) if qk_rms_norm else nn.Identity()
        self.to_out = Linear(channels, channels)


class SelfAttention(_QueryKeyNorm):
    """Full attention inside each sample, rotated by voxel position."""

    def __init__(self, channels: int, heads: int, qk_rms_norm: bool) -> None:
        super().__init__(channels, heads, qk_rms_norm)
        self.to_qkv = Linear(channels, 3 * channels)

    def forward(self, x: Tensor, phases: Tensor, mask: Tensor | None) -> Tensor:
        """x [B, L, C], phases [B or 1, L, head_dim / 2], mask bool [B, L] of existing tokens or None."""
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        if isinstance(self.q_rms_norm, HeadRMSNorm):
            q, k = self.q_rms_norm.rotated(q, phases), self.k_rms_norm.rotated(k, phases)
        else:
            q, k = rotate(q, phases), rotate(k, phases)
        return self.to_out(attend(q, k, v, mask))


@dataclass(frozen=True)
class Attended:
    """What one cross-attention takes from the condition tokens of a batch; it does not change during sampling.

    ``keys`` and ``values`` [B, M, heads, head_dim], ``mask`` bool [B, M] of existing tokens or None for all.
    ``nothing`` [C]: what comes of tokens that are all zero. With keys beside it, it is for a second half of the batch,
    the same samples without condition; alone it is for the whole batch.
    """

    keys: Tensor | None = None
    values: Tensor | None = None
    mask: Tensor | None = None
    nothing: Tensor | None = None


class CrossAttention(_QueryKeyNorm):
    """Attention over condition tokens."""

    def __init__(self, channels: int, cond_channels: int, heads: int, qk_rms_norm: bool) -> None:
        super().__init__(channels, heads, qk_rms_norm)
        self.to_q = Linear(channels, channels)
        self.to_kv = Linear(cond_channels, 2 * channels)

    def attended(self, cond: Tensor, mask: Tensor | None) -> Attended:
        """Prepare condition tokens [B, M, D], of which ``mask`` bool [B, M] or None (all) exist."""
        k, v = self.to_kv(cond).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return Attended(self.k_rms_norm(k), v, mask)

    def nothing(self, dtype: torch.dtype) -> Tensor:
        """What comes of tokens that are all zero, [C] in ``dtype``: every value is the bias, so is their mean."""
        return self.to_out(self.to_kv.bias[self.to_out.in_features :].to(dtype))

    def forward(self, x: Tensor, attended: Attended) -> Tensor:
        """x [B, L, C] -> [B, L, C], or what broadcasts to it.

        Of a batch with a second half without condition x may still be the first half alone, where the halves do not
        differ yet; the result is of both.
        """
        if attended.keys is None:
            return attended.nothing
        q = self.q_rms_norm(self.to_q(x[: len(attended.keys)]).unflatten(-1, (self.heads, -1)))
        out = self.to_out(attend(q, attended.keys, attended.values, attended.mask))
        return out if attended.nothing is None else torch.cat([out, attended.nothing.expand_as(out)])
