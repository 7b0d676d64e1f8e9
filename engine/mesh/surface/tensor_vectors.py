# SPDX-License-Identifier: GPL-3.0-or-later
"""Vectors of surfaces in torch, for graphics cards: rounded as by numpy, added up in the order given, on any device.

Every product and every sum is an operation of its own, so that no compiler contracts two of them, and nothing is added
by threads that race.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Sums of the products of vectors [..., 3], from the first to the last."""
    product = a * b
    return product[..., 0] + product[..., 1] + product[..., 2]


def cross(a: Tensor, b: Tensor) -> Tensor:
    (ax, ay, az), (bx, by, bz) = a.unbind(-1), b.unbind(-1)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)


def lengths(vectors: Tensor) -> Tensor:
    """The lengths of vectors [..., 3]."""
    return dot(vectors, vectors).sqrt()


def unit(vectors: Tensor) -> Tensor:
    """``topology.unit``."""
    length = lengths(vectors)[..., None]
    return vectors / torch.where(length > 0, length, 1.0)


def face_vectors(vertices: Tensor, faces: Tensor) -> Tensor:
    """``topology.face_vectors``."""
    a, b, c = (vertices[corner].double() for corner in faces.unbind(1))
    return 0.5 * cross(b - a, c - a)


def corner_angles(vertices: Tensor, faces: Tensor) -> Tensor:
    """``normals.corner_angles``."""
    points = vertices[faces].double()
    to_next, to_last = unit(points.roll(-1, 1) - points), unit(points.roll(1, 1) - points)
    return dot(to_next, to_last).clamp(-1.0, 1.0).acos()


class Groups:
    """Items sorted by group: those of group g are ``items[start[g]:start[g] + size[g]]``, ascending; int64 each."""

    def __init__(self, group: Tensor, count: int) -> None:
        """``group`` int64 [N], below ``count``."""
        self.items = torch.sort(group, stable=True).indices
        self.size = torch.bincount(group, minlength=count)
        self.start = self.size.cumsum(0) - self.size

    def sums(self, values: Tensor) -> Tensor:
        """The sums of ``values`` float64 [N, C] of each group, each in the order of its items."""
        rank, steps = by_length(self.size)
        total, start = values.new_zeros((len(rank), values.shape[1])), self.start[rank]
        for step, going in steps:
            total[:going] += values[self.items[start[:going] + step]]
        result = torch.empty_like(total)
        result[rank] = total
        return result


def by_length(size: Tensor) -> tuple[Tensor, Iterator[tuple[int, int]]]:
    """Lists in order, the longest first, and for each place in them how many of these have one: (place, lists)."""
    shorter = torch.bincount(size).cumsum(0)[:-1] if len(size) else size
    return size.argsort(descending=True, stable=True), enumerate((len(size) - shorter).tolist())


def alike(*columns: Tensor) -> Tensor:
    """Number the different rows of columns [N] of any type of 4 or 8 bytes, int64 [N]; no NaN."""
    group = None
    for column in columns:
        words = (column + 0).contiguous().view(torch.int32).view(len(column), -1)
        for word in words.unbind(1):
            key = word.long() if group is None else group * 2**32 + (word.long() & 0xFFFFFFFF)
            group = torch.unique(key, return_inverse=True)[1]
    return group
