# SPDX-License-Identifier: GPL-3.0-or-later
"""``VoxelIndex`` as a hash table on the GPU: open addressing with linear probing, at most half full.

In which slot a key lies depends on the order of the threads, which row is found for it does not.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256
_EMPTY = tl.constexpr(-1)
_NOTHING = tl.constexpr(-2)  # neither a key nor empty: comparing with it changes nothing


@triton.jit
def _first_slot(key, capacity):
    mixed = key.to(tl.uint64)
    mixed = (mixed ^ (mixed >> 31)) * 0x7FB5D329728EA185
    mixed = (mixed ^ (mixed >> 27)) * 0x5851F42D4C957F2D
    return (mixed ^ (mixed >> 33)).to(tl.int64) & (capacity - 1)


@triton.jit
def find_row(slots, rows, capacity, key, wanted, absent):
    """Row (int32) of each int64 ``key`` where ``wanted``, ``absent`` where it is not in the table or not wanted."""
    slot = _first_slot(key, capacity)
    row = tl.zeros_like(slot).to(tl.int32) + absent
    pending = wanted & (key >= 0)  # a place before the first voxel is no key, and might look like an empty slot
    while tl.max(pending.to(tl.int32)) > 0:
        stored = tl.load(slots + slot, mask=pending, other=_EMPTY)
        hit = pending & (stored == key)
        row = tl.where(hit, tl.load(rows + slot, mask=hit, other=0), row)
        pending = pending & (stored != key) & (stored != _EMPTY)
        slot = (slot + 1) & (capacity - 1)
    return row


@triton.jit(do_not_specialize=["count"])
def _insert(keys, count, slots, rows, capacity, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    pending = row < count
    key = tl.load(keys + row, mask=pending, other=0)
    slot = _first_slot(key, capacity)
    while tl.max(pending.to(tl.int32)) > 0:
        expected = tl.where(pending, _EMPTY, _NOTHING).to(tl.int64)
        found = tl.atomic_cas(slots + slot, expected, tl.where(pending, key, _NOTHING), sem="relaxed")
        placed = pending & (found == _EMPTY)
        tl.store(rows + slot, row.to(tl.int32), mask=placed)
        pending = pending & (found != _EMPTY) & (found != key)
        slot = tl.where(pending, (slot + 1) & (capacity - 1), slot)


@triton.jit(do_not_specialize=["total", "absent"])
def _find(wanted, total, slots, rows, capacity, absent, out, BLOCK: tl.constexpr):
    place = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    exists = place < total
    key = tl.load(wanted + place, mask=exists, other=0)
    tl.store(out + place, find_row(slots, rows, capacity, key, exists, absent).to(tl.int64), mask=exists)


@triton.jit(do_not_specialize=["count"])
def _neighbours(keys, count, offsets, taps, slots, rows, capacity, table, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tap = tl.program_id(1)
    exists = row < count
    key = tl.load(keys + row, mask=exists, other=0) + tl.load(offsets + tap)
    found = find_row(slots, rows, capacity, key, exists, count)
    tl.store(table + row * taps + tap, found, mask=exists)
    mirrored = found.to(tl.int64) * taps + (taps - 1 - tap)
    tl.store(table + mirrored, row.to(tl.int32), mask=exists & (found < count))


class HashIndex:
    """``VoxelIndex`` with Triton. Keys must be distinct; at most 2^30 voxels.

    ``slots`` int64 [capacity] and ``rows`` int32 [capacity] are what the device function ``find_row`` takes.
    """

    def __init__(self, keys: Tensor) -> None:
        self._keys = keys
        self.capacity = max(1 << (2 * len(keys) - 1).bit_length(), 16)
        self.slots = torch.full((self.capacity,), _EMPTY.value, dtype=torch.int64, device=keys.device)
        self.rows = torch.empty(self.capacity, dtype=torch.int32, device=keys.device)
        if len(keys):
            blocks = (triton.cdiv(len(keys), _BLOCK),)
            _insert[blocks](keys, len(keys), self.slots, self.rows, self.capacity, BLOCK=_BLOCK)

    def find(self, keys: Tensor) -> Tensor:
        """As ``VoxelIndex.find``."""
        keys = keys.contiguous()
        out = torch.empty_like(keys)
        total, blocks = keys.numel(), (triton.cdiv(keys.numel(), _BLOCK),)
        if total:
            _find[blocks](keys, total, self.slots, self.rows, self.capacity, len(self._keys), out, BLOCK=_BLOCK)
        return out

    def neighbours(self, offsets: list[int]) -> Tensor:
        """As ``VoxelIndex.neighbours``."""
        keys, count, taps = self._keys, len(self._keys), len(offsets)
        table = torch.full((count, taps), count, dtype=torch.int32, device=keys.device)
        table[:, taps // 2] = torch.arange(count, dtype=torch.int32, device=keys.device)
        if count and taps > 1:
            blocks = (triton.cdiv(count, _BLOCK), taps // 2)
            steps = torch.tensor(offsets, dtype=torch.int64, device=keys.device)
            _neighbours[blocks](keys, count, steps, taps, self.slots, self.rows, self.capacity, table, BLOCK=_BLOCK)
        return table
