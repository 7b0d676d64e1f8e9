# SPDX-License-Identifier: GPL-3.0-or-later
"""Children of voxels moved into channels and back: rows picked by index, zeros where the index names none."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_ELEMENTS = 4096
_WIDEST = 1024


@triton.jit(do_not_specialize=["count", "total"])
def _pick_rows(x, index, out, count, total, WIDTH: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    parts: tl.constexpr = tl.cdiv(WIDTH, BLOCK)
    row = (tl.program_id(0) // parts).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(0) % parts * BLOCK + tl.arange(0, BLOCK)
    exists = row < total
    inside = (channel < WIDTH)[None, :]
    source = tl.load(index + row, mask=exists, other=count).to(tl.int64)
    value = tl.load(x + source[:, None] * WIDTH + channel[None, :], mask=(source < count)[:, None] & inside, other=0.0)
    tl.store(out + row[:, None] * WIDTH + channel[None, :], value, mask=exists[:, None] & inside)


def children_to_channels(feats: Tensor, slot: Tensor, parents: int) -> Tensor:
    """``resampling.children_to_channels`` by the kernel."""
    rows = torch.arange(len(feats), dtype=torch.int32, device=feats.device)
    index = torch.full((parents * 8,), len(feats), dtype=torch.int32, device=feats.device).index_copy(0, slot, rows)
    return pick_rows(feats, index).view(parents, -1)


def channels_to_children(blocks: Tensor, slot: Tensor) -> Tensor:
    """``resampling.channels_to_children`` by the kernel."""
    return pick_rows(blocks.reshape(len(blocks) * 8, -1), slot)


def pick_rows(x: Tensor, index: Tensor) -> Tensor:
    """out[i] = x[index[i]], or zeros where index[i] is N: x [N, C], index int32 or int64 [M] -> [M, C]."""
    x = x.contiguous()
    (count, width), total = x.shape, len(index)
    out = x.new_empty(total, width)
    block = min(triton.next_power_of_2(width), _WIDEST)
    rows = _ELEMENTS // block
    if total:
        _pick_rows[(triton.cdiv(total, rows) * triton.cdiv(width, block),)](
            x, index, out, count, total, WIDTH=width, ROWS=rows, BLOCK=block
        )
    return out
