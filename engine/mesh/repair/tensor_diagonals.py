# SPDX-License-Identifier: GPL-3.0-or-later
"""``diagonals`` in torch, for graphics cards."""

from __future__ import annotations

import torch
from torch import Tensor

from ..surface.tensor_vectors import cross, dot

_CHUNK = 1 << 20


def split_quads(quads: Tensor, vertices: Tensor, alike: float) -> Tensor:
    """``diagonals.split_quads``."""
    return torch.cat([_split(part, vertices, alike) for part in quads.split(_CHUNK)])


def _split(quads: Tensor, vertices: Tensor, alike: float) -> Tensor:
    a, b, c, d = (vertices[column].double() for column in quads.long().unbind(1))
    flat_02 = _cosine(cross(b - a, c - a), cross(c - a, d - a))
    flat_13 = _cosine(cross(b - a, d - a), cross(b - d, c - d))
    along_13 = (flat_13 > flat_02 + alike)[:, None]
    return torch.where(along_13, quads[:, [0, 1, 3, 3, 1, 2]], quads[:, [0, 1, 2, 0, 2, 3]]).view(-1, 3)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """``diagonals._cosine`` of vectors [N, 3]."""
    a_squared, b_squared = dot(a, a), dot(b, b)
    scale = (a_squared * b_squared).sqrt()
    tiny = scale <= 1e-12 * torch.maximum(a_squared, b_squared)
    return torch.where(tiny, -1.0, dot(a, b) / torch.where(tiny, 1.0, scale))
