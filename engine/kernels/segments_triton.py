# SPDX-License-Identifier: GPL-3.0-or-later
"""Segmented expansion inside a kernel: which segment an element of the expanded list belongs to; and long offsets."""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor


@triton.jit
def strided(number, stride, index):
    """number * stride + index in 64 bits, for ``index`` int64 [BLOCK] and a stride of any width."""
    return (index * 0 + stride) * number + index


@triton.jit
def owner_of(ends, count, index, steps):
    """First segment whose end lies beyond ``index`` int64 [BLOCK].

    ``ends`` int64 [count]: inclusive running sums of the segment lengths; ``steps``: ``count.bit_length()``. What
    ``grid.expand`` calls the owner, found by bisection, so that no list of owners has to be written. An index beyond
    the last end gives the last segment.
    """
    low = index * 0
    high = low + count
    for _ in range(steps):
        middle = (low + high) >> 1
        end = tl.load(ends + tl.minimum(middle, count - 1))
        beyond = (end <= index) & (middle < count)
        low = tl.where(beyond, middle + 1, low)
        high = tl.where(beyond, high, middle)
    return tl.minimum(low, count - 1)


def last(ends: Tensor) -> int:
    """Length of the expanded list: the last of the running sums int64 [count], 0 where there is none."""
    return int(ends[-1]) if len(ends) else 0
