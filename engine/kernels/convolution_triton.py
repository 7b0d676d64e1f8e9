# SPDX-License-Identifier: GPL-3.0-or-later
"""Submanifold convolution as a masked implicit matrix product: neighbours are gathered inside the kernel.

Rows are taken in an order that brings together those with the same neighbours present, and a tile of them visits only
the taps that one of its rows has. What a tile leaves out is zero for all of its rows, so the bytes of a row depend on
nothing but the row. Sums are float32, with the bias, and rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import architecture

MOST_TAPS = 31
"""Taps of a row are the bits of an int32."""


@dataclass(frozen=True)
class Tile:
    """Rows and output channels of a tile, input channels of a step, warps, and how many steps loads run ahead."""

    rows: int
    columns: int
    depth: int
    warps: int
    ahead: int

    @property
    def stages(self) -> int:
        """Triton's number of stages, which it shares out among loads that wait for each other: tap, row, feature."""
        return 3 * self.ahead + 1


_ROWS = 128
_HALF = {
    80: Tile(_ROWS, 128, 64, 8, 3),
    86: Tile(_ROWS, 128, 32, 8, 3),
    90: Tile(_ROWS, 128, 64, 8, 2),
    100: Tile(_ROWS, 128, 64, 8, 2),
    120: Tile(_ROWS, 128, 32, 8, 3),
}
# Sums of float32 products, which no tensor core makes without rounding its factors.
_FULL = Tile(_ROWS, 32, 16, 8, 1)


def serves(dtype: torch.dtype, taps: int, device: torch.device) -> bool:
    """Whether the kernel takes such features.

    Before compute capability 8.0 Triton makes no use of tensor cores, torch's matrix product does.
    """
    if dtype in (torch.float16, torch.bfloat16) and architecture.of(device) < min(_HALF):
        return False
    return dtype in (torch.float16, torch.bfloat16, torch.float32) and taps <= MOST_TAPS


@dataclass(frozen=True)
class RowTiles:
    """Rows of a neighbour map in tiles: ``order`` int32 [N], ``taps`` int32 [T, V] of each tile, the first ``counts``
    int32 [T] of which its rows have.
    """

    order: Tensor
    taps: Tensor
    counts: Tensor


def tiles_of(neighbours: Tensor) -> RowTiles:
    """Arrange the rows of a neighbour map int32 [N, V], V at most ``MOST_TAPS``."""
    count, taps = neighbours.shape
    present = torch.zeros(count, dtype=torch.int32, device=neighbours.device)
    for tap in range(taps):
        present |= (neighbours[:, tap] < count).int() << tap
    # Read as Gray codes: the order then changes few taps from one row to the next.
    rank = present.clone()
    for shift in (1, 2, 4, 8, 16):
        rank ^= rank >> shift
    order = rank.argsort(stable=True)
    tiles = -(-count // _ROWS)
    sorted_rows = torch.nn.functional.pad(present[order], (0, tiles * _ROWS - count)).view(tiles, _ROWS)
    visited = torch.stack([(sorted_rows >> tap & 1).amax(1) for tap in range(taps)], 1)
    return RowTiles(order.int(), visited.argsort(dim=1, descending=True, stable=True).int(), visited.sum(1).int())


@triton.jit(do_not_specialize=["count"])
def _convolve(
    feats,
    weight,
    bias,
    neighbours,
    order,
    tile_taps,
    tile_counts,
    out,
    count,
    given_channels,
    out_channels,
    TAPS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    tile = tl.program_id(0) // tl.cdiv(out_channels, COLUMNS)
    channel = tl.program_id(0) % tl.cdiv(out_channels, COLUMNS) * COLUMNS + tl.arange(0, COLUMNS)
    place = tile.to(tl.int64) * ROWS + tl.arange(0, ROWS)
    exists = place < count
    row = tl.load(order + place, mask=exists, other=0).to(tl.int64)
    steps = tl.cdiv(given_channels, DEPTH)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for step in range(tl.load(tile_counts + tile) * steps):
        tap = tl.load(tile_taps + tile * TAPS + step // steps)
        depth = step % steps * DEPTH + tl.arange(0, DEPTH)
        neighbour = tl.load(neighbours + row * TAPS + tap, mask=exists, other=count)
        inside = depth < given_channels
        given = tl.load(
            feats + neighbour.to(tl.int64)[:, None] * given_channels + depth[None, :],
            mask=(neighbour < count)[:, None] & inside[None, :],
            other=0.0,
        )
        factors = tl.load(
            weight + (channel.to(tl.int64) * TAPS + tap)[None, :] * given_channels + depth[:, None],
            mask=(channel < out_channels)[None, :] & inside[:, None],
            other=0.0,
        )
        total = tl.dot(given, factors, total, input_precision="ieee")
    if bias is not None:
        total += tl.load(bias + channel, mask=channel < out_channels, other=0.0).to(tl.float32)[None, :]
    place_out = out + row[:, None] * out_channels + channel[None, :]
    tl.store(place_out, total.to(out.dtype.element_ty), mask=exists[:, None] & (channel < out_channels)[None, :])


def convolve(
    feats: Tensor, weight: Tensor, bias: Tensor | None, neighbours: Tensor, tiles: RowTiles, out: Tensor | None = None
) -> Tensor:
    """``convolution.convolve`` by the kernel: all tensors contiguous and of one dtype that ``serves`` names.

    Writes to ``out`` [N, Co] where it is given, which must not be ``feats``; returns it.
    """
    count, in_channels = feats.shape
    out_channels, taps = weight.shape[:2]
    tile = _FULL if feats.dtype == torch.float32 else architecture.newest(_HALF, feats.device)
    columns = min(tile.columns, max(triton.next_power_of_2(out_channels), 16))
    if out is None:
        out = feats.new_empty(count, out_channels)
    if count:
        _convolve[(len(tiles.counts) * triton.cdiv(out_channels, columns),)](
            *(feats, weight, bias, neighbours, tiles.order, tiles.taps, tiles.counts, out),
            *(count, in_channels, out_channels),
            TAPS=taps,
            ROWS=tile.rows,
            COLUMNS=columns,
            DEPTH=min(tile.depth, max(triton.next_power_of_2(in_channels), 16)),
            num_warps=tile.warps,
            num_stages=tile.stages,
        )
    return out
