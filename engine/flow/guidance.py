# SPDX-License-Identifier: GPL-3.0-or-later
"""Classifier-free guidance on plain tensors: the mix of two velocities and the rescaling of its spread."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def guide(positive: Tensor, negative: Tensor, strength: float) -> Tensor:
    """Return the guided velocity ``g v_pos + (1 - g) v_neg``."""
    return strength * positive + (1 - strength) * negative


def dense_std(x: Tensor) -> Tensor:
    """Standard deviation of each sample of a dense batch [B, ...] with Bessel's correction, shaped to broadcast."""
    return x.std(dim=list(range(1, x.ndim)), keepdim=True)


def sparse_std(x: Tensor, layout: Sequence[slice]) -> Tensor:
    """Population standard deviation of each batch element of sparse features [N, C], repeated for its rows: [N, 1].

    ``sqrt(E[x^2] - E[x]^2)`` with E the mean over rows of the per-row channel mean, as the reference computes it.
    """
    first, second = x.mean(dim=1), x.square().mean(dim=1)
    out = torch.empty_like(first)
    for rows in layout:
        variance = second[rows].mean() - first[rows].mean() ** 2
        out[rows] = variance.clamp_min(0).sqrt()
    return out[:, None]


def rescale(guided: Tensor, positive_std: Tensor, guided_std: Tensor, amount: float) -> Tensor:
    """Pull the spread of the guided clean sample towards that of the conditional one by ``amount`` in 0..1."""
    ratio = positive_std / guided_std.clamp_min(torch.finfo(guided.dtype).tiny)
    return amount * (guided * ratio) + (1 - amount) * guided
