# SPDX-License-Identifier: GPL-3.0-or-later
"""Submanifold convolution on a neighbour map, in plain torch (spec/models.md section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor


def with_zero_row(x: Tensor) -> Tensor:
    """Append the row that absent neighbours point at."""
    return torch.cat([x, x.new_zeros(1, x.shape[1])])


def gather(padded: Tensor, neighbours: Tensor) -> Tensor:
    """Neighbour features side by side: rows [n, V] of a map into ``padded`` [N + 1, C] -> [n, V * C]."""
    return padded.index_select(0, neighbours.reshape(-1)).view(neighbours.shape[0], -1)


def product(columns: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """columns [n, V * Ci] @ matrix [V * Ci, Co] + bias [Co]."""
    return columns @ matrix if bias is None else torch.addmm(bias, columns, matrix)


def convolve(feats: Tensor, weight: Tensor, bias: Tensor | None, neighbours: Tensor) -> Tensor:
    """out[i] = bias + sum_v W[:, v] feats[map[i, v]]: feats [N, Ci], weight [Co, V, Ci], map [N, V] -> [N, Co].

    Entries N of the map are absent neighbours.
    """
    return product(gather(with_zero_row(feats), neighbours), weight.flatten(1).t(), bias)
