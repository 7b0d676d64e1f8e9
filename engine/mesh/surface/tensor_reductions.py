# SPDX-License-Identifier: GPL-3.0-or-later
"""Sums, least and greatest values and orders by group in torch, for graphics cards, whatever runs first there.

Sums are added in a fixed order (``Sums``); least and greatest values, for which threads contend, know no order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

# Rows that one thread adds up: the sums of longer groups are sums of such sums.
_BLOCK = 64

# Rounds after which is asked whether any way has become shorter: to ask costs as much as a few rounds.
_ROUNDS_AT_ONCE = 8


class Sums:
    """Adds up rows by their group, int64 [N] below ``count``: in blocks of some rows, then the sums of blocks."""

    def __init__(self, group: Tensor, count: int, *, ascending: bool = False) -> None:
        """``ascending``: whether ``group`` is sorted already."""
        self._order = None if ascending else torch.sort(group, stable=True).indices
        length = torch.bincount(group, minlength=count)
        self._ends: list[Tensor] = []
        while len(length) and int(length.max()) > _BLOCK:
            blocks = (length + (_BLOCK - 1)) // _BLOCK
            owner = torch.arange(count, device=group.device).repeat_interleave(blocks)
            place = torch.arange(len(owner), device=group.device) - (blocks.cumsum(0) - blocks)[owner]
            self._ends.append(_offsets((length[owner] - _BLOCK * place).clamp(max=_BLOCK)))
            length = blocks
        self._ends.append(_offsets(length))

    def __call__(self, values: Tensor) -> Tensor:
        """The sums of ``values`` float64 [N, ...] of each group, [count, ...]; zero for one without rows."""
        return self._reduced(values, "sum", 0.0)

    def least(self, values: Tensor) -> Tensor:
        """The least of ``values`` float64 [N, ...] of each group, [count, ...]; infinite for one without rows.

        For many values of few groups: threads do not contend for them, as in ``least``.
        """
        return self._reduced(values, "min", torch.inf)

    def greatest(self, values: Tensor) -> Tensor:
        """The same for the greatest, minus infinity for a group without rows."""
        return self._reduced(values, "max", -torch.inf)

    def _reduced(self, values: Tensor, how: str, nothing: float) -> Tensor:
        result = values if self._order is None else values[self._order]
        if len(result) == 0:
            return result.new_full((len(self._ends[-1]) - 1, *result.shape[1:]), nothing)
        for ends in self._ends:
            result = torch.segment_reduce(result, how, offsets=ends, axis=0, unsafe=True, initial=nothing)
        return result


def _offsets(length: Tensor) -> Tensor:
    """Where groups of so many rows begin and the last one ends, int64 [N + 1]."""
    return torch.cat([length.new_zeros(1), length.cumsum(0)])


def least(values: Tensor, group: Tensor, count: int) -> Tensor:
    """The least of ``values`` float64 [N] of each group int64 [N], [count]; infinite for one without values."""
    return values.new_full((count,), torch.inf).scatter_reduce_(0, group, values, "amin")


def greatest(values: Tensor, group: Tensor, count: int) -> Tensor:
    """The same for the greatest, minus infinity for a group without values."""
    return values.new_full((count,), -torch.inf).scatter_reduce_(0, group, values, "amax")


def order_by(*keys: Tensor) -> Tensor:
    """The order that sorts by the last of ``keys`` [N], by the one before it where that is equal, and so on; int64 [N].

    ``numpy.lexsort``.
    """
    order = torch.sort(keys[0], stable=True).indices
    for key in keys[1:]:
        order = order[torch.sort(key[order], stable=True).indices]
    return order


def firsts(ordered: Tensor) -> Tensor:
    """Which entries of a list differ from the one before, bool [N]; in a sorted one the first of each value."""
    fresh = torch.ones(len(ordered), dtype=torch.bool, device=ordered.device)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return fresh


def numbered(label: Tensor) -> Tensor:
    """The labels int64 [N] renamed, in their order, so that no number is left out."""
    return torch.unique(label, return_inverse=True)[1]


def places(chosen: Tensor) -> Tensor:
    """How many were ``chosen``, bool [N], before each that is, int64 [N]; -1 for the others."""
    return torch.where(chosen, chosen.cumsum(0) - 1, -1)


def marked(count: int, chosen: Tensor) -> Tensor:
    """Which of so many numbers are among ``chosen`` int64 [N], bool [count]."""
    result = torch.zeros(count, dtype=torch.bool, device=chosen.device)
    result[chosen] = True
    return result


def shortened(length: Tensor, beside: Callable[[Tensor], Tensor]) -> Tensor:
    """The lengths of ways float64 [N] once none becomes shorter by what ``beside`` makes of those of its neighbours."""
    # No way is longer than all there are.
    for _ in range(0, len(length) + _ROUNDS_AT_ONCE, _ROUNDS_AT_ONCE):
        before = length
        for _ in range(_ROUNDS_AT_ONCE):
            length = torch.minimum(length, beside(length))
        if torch.equal(length, before):
            break
    return length


def in_boxes(low: Tensor, extent: Tensor, at_once: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Box, column and row, int64 each, of the cells of boxes in a plane, about ``at_once`` at a time, box by box.

    low int64 [N, 2]: their first column and row; extent int64 [N, 2]: how many there are of each.
    """
    ends = extent.prod(1).cumsum(0)
    start, done = 0, 0
    while start < len(low):
        stop = max(int(torch.searchsorted(ends, done + at_once, right=True)), start + 1)
        count = torch.diff(ends[start:stop], prepend=ends.new_tensor([done]))
        box = torch.arange(start, stop, device=ends.device).repeat_interleave(count)
        offset = torch.arange(len(box), device=ends.device) - (ends[start:stop] - count - done)[box - start]
        yield box, low[box, 0] + offset % extent[box, 0], low[box, 1] + offset // extent[box, 0]
        start, done = stop, int(ends[stop - 1])
